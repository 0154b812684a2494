// A slice of bytes: not NUL-terminated, not owned. Valid as long as what it points into. Value
// type.
#pragma once

#include <stdbool.h>
#include <string.h>

#include "base/base.h"
#include "base/err.h"

typedef struct str {
    const char *ptr;
    size_t len;
} str;

#define STR(lit)   ((str){"" lit, sizeof(lit) - 1})
#define STR_NONE   ((str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)((s).len > 4096 ? 4096 : (s).len), (s).ptr ? (s).ptr : ""

static inline str str_of(const char *z)
{
    return (str){z, z ? strlen(z) : 0};
}

static inline str str_slice(const char *ptr, size_t len)
{
    return (str){ptr, len};
}

static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || (a.ptr && b.ptr && memcmp(a.ptr, b.ptr, a.len) == 0));
}
static inline bool str_eq_z(str a, const char *z)
{
    return str_eq(a, str_of(z));
}
bool str_eq_nocase(str a, str b); // ASCII
int str_cmp(str a, str b);        // bytewise, as memcmp then length
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
str str_trim(str s);                         // ASCII blanks on both sides
str str_sub(str s, size_t from, size_t len); // clamped
// Index of the first occurrence, or SIZE_MAX.
size_t str_find(str s, str needle);
size_t str_find_char(str s, char c);
// Whether `s` is what the pattern says: '*' stands for any bytes, also none.
bool str_matches(str s, str pattern);
// Cut off the part before the first `sep` into ret_head and leave the rest in *s; false when *s is
// empty.
bool str_split(str *s, char sep, str *ret_head);

// Whole-string numbers: ERR_PARSE on anything else, ERR_LIMIT out of range. No locale.
enum err str_to_i64(str s, int64_t *ret) MUST_USE;
enum err str_to_u64(str s, uint64_t *ret) MUST_USE;
enum err str_to_f64(str s, double *ret) MUST_USE; // JSON number syntax, finite

// Edit distance (Damerau-Levenshtein on bytes, both cut to 64); for "did you mean".
size_t str_distance(str a, str b);
// 64-bit hash keyed by the process's random seed (SipHash-1-3): for tables that outsiders fill.
uint64_t str_hash(str s);
// 64-bit FNV-1a, the same in every process.
uint64_t str_hash_stable(str s);
