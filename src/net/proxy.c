// Which proxy, if any: the environment's rules as curl applies them (curl's man page,
// "Environment").
#include <stdlib.h>

#include "net/connect.h"

#include "base/banned.h"

static str first_of(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    if ((!value || !value[0]) && upper)
        value = getenv(upper);
    return value && value[0] ? str_of(value) : STR_NONE;
}

void connect_proxies_from_environment(struct connect_proxies *ret)
{
    str all = first_of("all_proxy", "ALL_PROXY");
    ret->http = first_of("http_proxy", NULL);
    ret->https = first_of("https_proxy", "HTTPS_PROXY");
    ret->none = first_of("no_proxy", "NO_PROXY");
    if (!ret->http.len)
        ret->http = all;
    if (!ret->https.len)
        ret->https = all;
}

// "host:port" in the list applies to that port only.
static bool entry_matches(str entry, str host, uint16_t port)
{
    size_t colon = str_find_char(entry, ':');
    uint64_t wanted;
    if (colon != SIZE_MAX && str_to_u64(str_sub(entry, colon + 1, SIZE_MAX), &wanted) == ERR_OK) {
        if (wanted != port)
            return false;
        entry = str_sub(entry, 0, colon);
    }
    if (entry.len && entry.ptr[0] == '.')
        entry = str_sub(entry, 1, SIZE_MAX);
    if (entry.len == 0 || entry.len > host.len)
        return false;
    if (!str_eq_nocase(str_sub(host, host.len - entry.len, SIZE_MAX), entry))
        return false;
    return entry.len == host.len || host.ptr[host.len - entry.len - 1] == '.';
}

static bool without_proxy(str list, str host, uint16_t port)
{
    str entry;
    while (str_split(&list, ',', &entry)) {
        entry = str_trim(entry);
        if (str_eq_z(entry, "*") || entry_matches(entry, host, port))
            return true;
    }
    return false;
}

str connect_proxy_for(const struct connect_proxies *p, bool tls, str host, uint16_t port)
{
    if (without_proxy(p->none, host, port))
        return STR_NONE;
    return tls ? p->https : p->http;
}
