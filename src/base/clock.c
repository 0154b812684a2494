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
