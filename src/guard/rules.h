// Rules of a guard as people write them: an option table, and the guard made from what it read.
// Strings live in the arena of the reader; the guard copies them. Any thread.
#pragma once

#include "base/option.h"
#include "guard/guard.h"

enum guard_direction { GUARD_BOTH, GUARD_INPUT, GUARD_OUTPUT };

// Whose texts: bits of guard_rule.roles.
enum {
    GUARD_ROLE_SYSTEM = 1u << 0,
    GUARD_ROLE_USER = 1u << 1,
    GUARD_ROLE_ASSISTANT = 1u << 2,
    GUARD_ROLE_TOOL = 1u << 3
};

struct guard_rule_text {
    str name;
    int64_t action, direction; // enum guard_action, enum guard_direction
    struct option_strings roles, patterns, pii;
    str canary, replacement;
    bool plant;
    double injection, threshold;
    struct option_strings topic;
    int64_t topic_is; // 0: denied, 1: allowed
    int64_t characters_max, tokens_max, turns_max;
};

extern const struct option guard_rule_table[];

// One rule; its strings are the text's. What it says must fit together.
enum err guard_rule_read(const struct guard_rule_text *text, struct guard_rule *ret,
                         struct diag *d) MUST_USE;
// `rules`: of struct guard_rule_text. Errors name the rule.
enum err guard_from_rules(const struct option_items *rules, struct guard **ret,
                          struct diag *d) MUST_USE;
// A file with `rules:`, a map by name or a list.
enum err guard_parse_file(str text, struct guard **ret, struct diag *d) MUST_USE;
