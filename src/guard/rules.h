// Rules of a guard as people write them: an option table, and the guard made from what it read.
// Strings live in the arena of the reader; the guard copies them. Any thread.
#pragma once

#include "base/option.h"
#include "guard/guard.h"

struct guard_rule_text {
    str name;
    int64_t action; // enum guard_action
    struct option_strings patterns, pii;
    str canary, replacement;
};

extern const struct option guard_rule_table[];

// `rules`: of struct guard_rule_text. Errors name the rule.
enum err guard_from_rules(const struct option_items *rules, struct guard **ret,
                          struct diag *d) MUST_USE;
// A file with `rules:`, a map by name or a list.
enum err guard_parse_file(str text, struct guard **ret, struct diag *d) MUST_USE;
