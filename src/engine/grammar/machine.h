// A regular expression as a machine over characters, and several of them at once, with bounds on
// how many characters there may be, laid into a graph. Understood: characters, escapes, '.',
// classes, groups, '|', * + ? {n,m} (lazy ones are the same language), ^ and $; \d \w \s mean
// ASCII. Refused by name: look-around, back references, \b, \p, flags. What a negated class or \D
// \W \S stands for is kept to what every dialect of expressions agrees on.
//
// Immutable once made. Bounded: MACHINE_STATES_MAX, MACHINE_READ_MAX.
#pragma once

#include "engine/grammar/charset.h"

enum {
    MACHINE_STATES_MAX = 1 << 16,
    MACHINE_NESTING_MAX = 64,
    MACHINE_READ_MAX = 1 << 21, // bytes of text, each as often as it is counted
    MACHINES_MAX = 4,           // at once
};

struct machine;

// `anywhere`: a text fits that holds what the expression means somewhere; else all of it must.
// ERR_PARSE, ERR_UNSUPPORTED, ERR_LIMIT; the sentence quotes the expression.
enum err machine_new(str expression, bool anywhere, struct machine **ret, struct diag *d) MUST_USE;
void machine_free(struct machine *m);

struct machine_bounds {
    uint32_t least, most; // characters; UINT32_MAX: no end
};
// What fits all n machines (at least one). `json`: as it stands between the quotes of a JSON
// string.
void machine_lay(const struct machine *const *machines, size_t n, struct machine_bounds bounds,
                 bool json, struct graph *g, uint32_t from, uint32_t to);
