#include "http/url.h"

#include "base/banned.h"

enum { URL_BYTES_MAX = 16 * 1024 };

static bool visible(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

static size_t find_any(str s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr(set, s.ptr[i]))
            return i;
    return s.len;
}

static enum err cut_scheme(str *text, struct url *ret, struct diag *d)
{
    if (str_eq_nocase(str_sub(*text, 0, 7), STR("http://"))) {
        *text = str_sub(*text, 7, SIZE_MAX);
    } else if (str_eq_nocase(str_sub(*text, 0, 8), STR("https://"))) {
        *text = str_sub(*text, 8, SIZE_MAX);
        ret->tls = true;
    } else {
        return diag_set(d, ERR_INVALID, "an address begins with http:// or https://");
    }
    return ERR_OK;
}

// "host", "host:port", "[v6]:port"
static enum err read_authority(str a, struct url *ret, struct diag *d)
{
    ret->authority = a;
    str port = STR_NONE;
    if (a.len && a.ptr[0] == '[') {
        size_t close = str_find_char(a, ']');
        if (close == SIZE_MAX)
            return diag_set(d, ERR_PARSE, "the address has a '[' without its ']'");
        ret->host = str_sub(a, 1, close - 1);
        port = str_sub(a, close + 1, SIZE_MAX);
    } else {
        size_t colon = find_any(a, ":");
        ret->host = str_sub(a, 0, colon);
        port = str_sub(a, colon, SIZE_MAX);
    }
    if (ret->host.len == 0 || ret->host.len > 255)
        return diag_set(d, ERR_PARSE, "the address has no usable host name");
    ret->port = ret->tls ? 443 : 80;
    uint64_t n;
    if (port.len <= 1)
        return port.len == 0 || port.ptr[0] == ':'
                   ? ERR_OK
                   : diag_set(d, ERR_PARSE, "the host name is malformed");
    if (port.ptr[0] != ':' || str_to_u64(str_sub(port, 1, SIZE_MAX), &n) != ERR_OK || n == 0 ||
        n > 65535)
        return diag_set(d, ERR_PARSE, "the port is not a number from 1 to 65535");
    ret->port = (uint16_t)n;
    return ERR_OK;
}

enum err url_parse(str text, struct url *ret, struct diag *d)
{
    struct url u = {0};
    if (text.len > URL_BYTES_MAX || !visible(text))
        return diag_set(d, ERR_PARSE,
                        "the address is too long or holds blanks or bytes that are not ASCII: "
                        "percent-encode them");
    ERR_TRY(cut_scheme(&text, &u, d));
    size_t end = find_any(text, "/?#");
    str authority = str_sub(text, 0, end);
    u.target = str_sub(text, end, SIZE_MAX);
    u.target = str_sub(u.target, 0, find_any(u.target, "#"));
    if (u.target.len == 0)
        u.target = STR("/");
    for (size_t at = authority.len; at-- > 0;)
        if (authority.ptr[at] == '@') {
            u.userinfo = str_sub(authority, 0, at);
            authority = str_sub(authority, at + 1, SIZE_MAX);
            break;
        }
    ERR_TRY(read_authority(authority, &u, d));
    *ret = u;
    return ERR_OK;
}

enum err url_resolve(str base, str reference, struct arena *a, str *ret, struct diag *d)
{
    struct url u;
    str out;
    reference = str_sub(reference, 0, find_any(reference, "#"));
    ERR_TRY(url_parse(base, &u, d));
    const char *scheme = u.tls ? "https:" : "http:";
    if (str_find(reference, STR("://")) < find_any(reference, "/?"))
        out = arena_str(a, reference);
    else if (str_starts(reference, STR("//")))
        out = arena_printf(a, "%s" STR_FMT, scheme, STR_ARG(reference));
    else if (str_starts(reference, STR("/")))
        out = arena_printf(a, "%s//" STR_FMT STR_FMT, scheme, STR_ARG(u.authority),
                           STR_ARG(reference));
    else {
        size_t folder = find_any(u.target, "?");
        while (folder > 0 && u.target.ptr[folder - 1] != '/')
            folder--;
        out = arena_printf(a, "%s//" STR_FMT "%s" STR_FMT STR_FMT, scheme, STR_ARG(u.authority),
                           folder ? "" : "/", STR_ARG(str_sub(u.target, 0, folder)),
                           STR_ARG(reference));
    }
    if (!out.ptr)
        return diag_set(d, ERR_LIMIT, "the address is too long");
    ERR_TRY(url_parse(out, &u, d)); // never hand out what could not be asked for
    *ret = out;
    return ERR_OK;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && str_eq_nocase(a->host, b->host);
}

// --- For a server

// RFC 3986 reg-name without escapes (no name that one can connect to has any): letters, digits and
// -._~!$&'()*+,;=
static bool name_ok(str s)
{
    static const uint32_t allowed[4] = {0, 0x2bff7fd2, 0x87fffffe, 0x47fffffe};
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c > 127 || !(allowed[c >> 5] >> (c & 31) & 1))
            return false;
    }
    return s.len > 0 && s.len <= 255;
}

static bool ipv6_ok(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex && c != ':' && c != '.')
            return false;
    }
    return s.len >= 2 && s.len <= 45;
}

// Cut an authority into host and the text of its port (ptr NULL without a colon).
static bool split_authority(str s, str *ret_host, str *ret_port)
{
    *ret_port = STR_NONE;
    if (s.len && s.ptr[0] == '[') {
        size_t end = str_find_char(s, ']');
        if (end == SIZE_MAX || !ipv6_ok(str_sub(s, 1, end - 1)))
            return false;
        *ret_host = str_sub(s, 1, end - 1);
        s = str_sub(s, end + 1, s.len);
        if (s.len && s.ptr[0] != ':')
            return false;
        if (s.len)
            *ret_port = str_sub(s, 1, s.len);
        return true;
    }
    size_t colon = str_find_char(s, ':');
    *ret_host = str_sub(s, 0, colon);
    if (colon != SIZE_MAX)
        *ret_port = str_sub(s, colon + 1, s.len);
    return name_ok(*ret_host);
}

static bool read_port(str text, uint16_t *port)
{
    uint64_t value;
    if (!text.ptr || text.len == 0)
        return true; // "host:" means the scheme's own
    if (str_to_u64(text, &value) != ERR_OK || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

bool url_authority_ok(str s)
{
    str host, port_text;
    uint16_t port = 0;
    return split_authority(s, &host, &port_text) && read_port(port_text, &port);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool has_dot_segment(str path)
{
    str segment;
    while (str_split(&path, '/', &segment))
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return true;
    return false;
}

static enum err unescape(str raw, char *out, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            if (raw.len - i < 3)
                return ERR_PARSE;
            int high = hex_value(raw.ptr[i + 1]), low = hex_value(raw.ptr[i + 2]);
            if (high < 0 || low < 0)
                return ERR_PARSE;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return ERR_PARSE;
        out[len++] = c;
    }
    *ret_len = len;
    return ERR_OK;
}

enum err url_decode_path(str raw, struct arena *a, str *ret)
{
    str path = raw;
    bool plain = true;
    for (size_t i = 0; i < raw.len && plain; i++)
        plain = raw.ptr[i] != '%' && raw.ptr[i] != '.' && raw.ptr[i] != '\0';
    if (plain) {
        *ret = raw;
        return ERR_OK;
    }
    if (str_find_char(raw, '%') != SIZE_MAX) {
        char *out = arena_alloc(a, raw.len);
        if (!out)
            return ERR_LIMIT;
        path.ptr = out;
        ERR_TRY(unescape(raw, out, &path.len));
    } else if (str_find_char(raw, '\0') != SIZE_MAX) {
        return ERR_PARSE;
    }
    if (has_dot_segment(path))
        return ERR_PARSE;
    *ret = path;
    return ERR_OK;
}
