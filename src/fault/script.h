// The script of a misbehaving provider: what it serves and what it does wrong, for which requests.
// Read once from YAML by its option table; strings live in the caller's arena. Immutable; any
// thread.
#pragma once

#include "fault/order.h"

struct script_rule {
    str name;
    str model, path; // patterns with '*'; empty: any
    struct order orders;
};

struct script {
    int64_t seed;
    str key; // when set, a request without it is answered 401
    struct option_strings models;
    struct order always;       // lies under every other order
    struct option_items rules; // struct script_rule: the first that matches and applies
    int64_t attempts_max;
    bool record_bodies;
};

extern const struct option script_table[];

static inline const struct script_rule *script_rules(const struct script *s)
{
    return s->rules.items;
}
enum err script_defaults(struct script *ret, struct arena *arena, struct diag *d) MUST_USE;
// The text of a script file. Every order in it is understood before it is taken.
enum err script_parse(str text, struct arena *arena, struct script *ret, struct diag *d) MUST_USE;
// Whether `text` is what the pattern says; '*' stands for any run of bytes.
bool script_matches(str pattern, str text);
