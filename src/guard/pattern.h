// A set of patterns compiled to one automaton over bytes. What a pattern may say is what can be
// matched in one pass with a bounded look: literals, classes, groups, alternatives, repetitions,
// \b; no captures, no back-references, no look-around. So time is linear in the text whatever the
// pattern. Built at load, then immutable; any thread may scan with it (guard/scan.h).
//   .  any character but a line break        [a-z] [^a-z]  classes of ASCII
//   \d \w \s \D \W \S   \b \B   \n \r \t \xHH   \ before anything else: itself
//   ( ) (?: )  |  * + ? {m} {m,} {m,n}       (?i) in front: letters of ASCII in either case
// Limits: 4 KiB a pattern, 512 patterns and 65536 nodes a set, repetitions up to 1000, groups 32
// deep. A match has PATTERN_MATCH_BYTES_MAX bytes at most: where one could be longer, it ends
// there.
#pragma once

#include "base/err.h"
#include "base/str.h"

#define PATTERN_MATCH_BYTES_MAX 1024

struct patterns;

struct patterns *patterns_new(void);
void patterns_free(struct patterns *p); // NULL is fine
uint32_t patterns_nodes(const struct patterns *p);
// `id` comes back with every match. Where two patterns match the same bytes, the one that was added
// first does. ERR_PARSE or ERR_LIMIT with the place in the pattern (column). A pattern that matches
// the empty text is refused.
enum err patterns_add(struct patterns *p, str pattern, uint32_t id, struct diag *d) MUST_USE;
// The text itself, whatever stands in it; `nocase`: letters of ASCII in either case.
enum err patterns_add_literal(struct patterns *p, str text, bool nocase, uint32_t id,
                              struct diag *d) MUST_USE;
