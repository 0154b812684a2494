// Time. Monotonic for everything that measures or waits; wall time only for people and protocols.
// Any thread.
#pragma once

#include "base/err.h"
#include "base/str.h"

uint64_t clock_mono_ns(void);
static inline uint64_t clock_mono_us(void)
{
    return clock_mono_ns() / 1000;
}
static inline uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}
uint64_t clock_wall_ms(void); // since 1970
// "2026-11-22T04:33:06.123Z"; out holds 25 bytes with the NUL.
void clock_iso8601(uint64_t wall_ms, char out[static 25]);
// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, the one form that may be sent). ERR_PARSE: anything
// else.
enum err clock_parse_http_date(str text, uint64_t *ret_wall_ms) MUST_USE;
// "2026-11-22" (its first moment, UTC) or "2026-11-22T04:33:06Z"; ERR_PARSE on anything else, and
// before 1970.
enum err clock_parse_iso8601(str text, uint64_t *ret_wall_ms) MUST_USE;
