// Identifiers that tell when they were made: 24 hex digits, 11 of the millisecond since 1970 and 13
// of chance, so that they sort by time and a search knows where to begin. Pure functions.
#pragma once

#include "base/str.h"

#define TIMED_ID_LEN 24

// `chance`: its low 52 bits are taken.
void timed_id_write(char out[TIMED_ID_LEN], uint64_t wall_ms, uint64_t chance);
// The moment in the last TIMED_ID_LEN characters of `id`; false when they are no such digits.
bool timed_id_read(str id, uint64_t *ret_wall_ms) MUST_USE;
