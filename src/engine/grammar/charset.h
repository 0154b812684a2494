// Sets of Unicode characters as sorted ranges, and how they are laid into a graph as UTF-8, plainly
// or as they stand in a JSON string. One thread; owner: whoever embeds it.
#pragma once

#include "engine/grammar/graph.h"

struct char_range {
    uint32_t low, high;
};

struct charset {
    struct char_range *ranges; // after charset_settle: ascending, apart from each other
    size_t len, cap;
};

void charset_done(struct charset *s); // a zeroed one is empty
void charset_add(struct charset *s, uint32_t low, uint32_t high);
void charset_add_all(struct charset *s, const struct charset *other);
void charset_settle(struct charset *s); // sorts and joins
// All characters (no surrogates) that are not in a settled set.
void charset_invert(struct charset *s);
void charset_copy(struct charset *to, const struct charset *from);
// What two settled sets share.
void charset_meet(struct charset *ret, const struct charset *a, const struct charset *b);
bool charset_has(const struct charset *s, uint32_t c);
void charset_add_everything(struct charset *s);

// One character of a settled set.
void charset_lay(const struct charset *s, struct graph *g, uint32_t from, uint32_t to);
// As it stands between the quotes of a JSON string: what must be escaped is, in its one shortest
// way.
void charset_lay_json(const struct charset *s, struct graph *g, uint32_t from, uint32_t to);
