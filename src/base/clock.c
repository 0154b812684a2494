#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/banned.h"

uint64_t clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

void clock_iso8601(uint64_t wall_ms, char out[static 25])
{
    uint64_t year_10000_ms = 253402300800000;
    if (wall_ms >= year_10000_ms)
        wall_ms = year_10000_ms - 1;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    // The remainders change nothing; they show the compiler that the text fits.
    snprintf(out, 25, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(t.tm_year + 1900) % 10000u,
             (unsigned)(t.tm_mon + 1) % 100u, (unsigned)t.tm_mday % 100u,
             (unsigned)t.tm_hour % 100u, (unsigned)t.tm_min % 100u, (unsigned)t.tm_sec % 100u,
             (unsigned)(wall_ms % 1000u));
}

static bool two_digits(const char *at, int max, int *ret)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *ret = (at[0] - '0') * 10 + (at[1] - '0');
    return *ret <= max;
}

static bool month_named(const char *at, int *ret)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        *ret = i;
        if (memcmp(at, names + (size_t)i * 3, 3) == 0)
            return true;
    }
    return false;
}

enum err clock_parse_http_date(str text, uint64_t *ret_wall_ms)
{
    static const char shape[] = "ddd, 00 mmm 0000 00:00:00 GMT";
    const char *s = text.ptr;
    struct tm t = {0};
    int century, year;
    if (text.len != sizeof shape - 1)
        return ERR_PARSE;
    for (size_t i = 0; i < text.len; i++)
        if (memchr(" ,:GMT", shape[i], 6) && s[i] != shape[i])
            return ERR_PARSE;
    if (!two_digits(s + 5, 31, &t.tm_mday) || !month_named(s + 8, &t.tm_mon) ||
        !two_digits(s + 12, 99, &century) || !two_digits(s + 14, 99, &year) ||
        !two_digits(s + 17, 23, &t.tm_hour) || !two_digits(s + 20, 59, &t.tm_min) ||
        !two_digits(s + 23, 60, &t.tm_sec))
        return ERR_PARSE;
    t.tm_year = century * 100 + year - 1900;
    int64_t seconds = timegm(&t);
    if (seconds < 0)
        return ERR_PARSE;
    *ret_wall_ms = (uint64_t)seconds * 1000;
    return ERR_OK;
}

enum err clock_parse_iso8601(str text, uint64_t *ret_wall_ms)
{
    char z[24], again[25];
    struct tm tm = {0};
    if (text.len >= sizeof z || !text.len)
        return ERR_PARSE;
    memcpy(z, text.ptr, text.len);
    z[text.len] = 0;
    const char *end = strptime(z, text.len == 10 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t seconds = timegm(&tm);
    if (!end || *end || seconds < 0)
        return ERR_PARSE;
    clock_iso8601((uint64_t)seconds * 1000, again); // no 31st of June, no blanks
    if (memcmp(again, z, text.len == 10 ? 10 : 19) != 0)
        return ERR_PARSE;
    *ret_wall_ms = (uint64_t)seconds * 1000;
    return ERR_OK;
}
