#include "gateway/origin.h"

#include "base/banned.h"

bool origin_host_is_loopback(str host)
{
    str name = host;
    size_t colon = str_find_char(host, ':');
    if (host.len && host.ptr[0] == '[')
        return str_eq(host, STR("[::1]")) || str_starts(host, STR("[::1]:"));
    if (colon != SIZE_MAX)
        name = str_sub(host, 0, colon);
    if (str_eq_nocase(name, STR("localhost")))
        return true;
    if (!str_starts(name, STR("127.")))
        return false;
    for (size_t i = 0; i < name.len; i++) // an address, not "127.0.0.1.example.com"
        if (name.ptr[i] != '.' && (name.ptr[i] < '0' || name.ptr[i] > '9'))
            return false;
    return true;
}

bool origin_is_loopback(str origin)
{
    if (str_starts(origin, STR("http://")))
        return origin_host_is_loopback(str_sub(origin, 7, SIZE_MAX));
    if (str_starts(origin, STR("https://")))
        return origin_host_is_loopback(str_sub(origin, 8, SIZE_MAX));
    return false;
}

str origin_allowed(const struct gateway_config *c, str origin)
{
    for (size_t i = 0; origin.len && i < c->cors.origins.len; i++) {
        str allowed = c->cors.origins.items[i];
        if (str_eq(allowed, STR("*")))
            return allowed;
        if (str_eq_nocase(allowed, origin))
            return origin;
    }
    return STR_NONE;
}
