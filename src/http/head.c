#include "http/head.h"

#include "base/banned.h"

enum err http_headers_add(struct http_headers *h, str name, str value)
{
    if (h->len == HTTP_HEADERS_MAX)
        return ERR_LIMIT;
    h->items[h->len++] = (struct http_header){name, value};
    return ERR_OK;
}

str http_headers_get(const struct http_headers *h, str name)
{
    return http_header_find(h->items, h->len, name);
}

// Looked at for every header of every request, so most are turned away by their length or first
// letter.
static bool is_named(const struct http_header *h, str name)
{
    return h->name.len == name.len && name.len && ((h->name.ptr[0] ^ name.ptr[0]) & ~0x20) == 0 &&
           str_eq_nocase(h->name, name);
}

str http_header_find(const struct http_header *items, size_t len, str name)
{
    for (size_t i = 0; i < len; i++)
        if (is_named(&items[i], name))
            return items[i].value;
    return STR_NONE;
}

size_t http_header_count(const struct http_header *items, size_t len, str name)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += is_named(&items[i], name);
    return count;
}

bool http_list_has(str list, str token)
{
    str item;
    while (str_split(&list, ',', &item))
        if (str_eq_nocase(str_trim(item), token))
            return true;
    return false;
}

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {529, "Overloaded"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

// RFC 9110 section 5.6.2: "!#$%&'*+-.^_`|~", digits and letters.
static const bool is_token_char[256] = {
    ['!'] = true,         ['#' ... '\''] = true, ['*'] = true,         ['+'] = true,
    ['-'] = true,         ['.'] = true,          ['0' ... '9'] = true, ['A' ... 'Z'] = true,
    ['^' ... 'z'] = true, ['|'] = true,          ['~'] = true,
};

bool http_token_ok(str s)
{
    bool ok = s.len > 0;
    for (size_t i = 0; i < s.len; i++)
        ok &= is_token_char[(uint8_t)s.ptr[i]];
    return ok;
}

static bool bytes_ok(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

// Eight bytes at a time: is none of them under 0x20, and none 0x7f? (A tab is looked at singly.)
static bool word_ok(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t w, del;
    memcpy(&w, at, sizeof w);
    del = w ^ (ones * 0x7f);
    return (((w - ones * 0x20) & ~w & tops) | ((del - ones) & ~del & tops)) == 0;
}

bool http_value_ok(str s)
{
    while (s.len >= 8) {
        if (!word_ok(s.ptr) && !bytes_ok(str_slice(s.ptr, 8)))
            return false;
        s = str_slice(s.ptr + 8, s.len - 8);
    }
    return bytes_ok(s);
}
