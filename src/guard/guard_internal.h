// What a guard was compiled to: for guard.c, which looks into texts, and measure.c, which looks at
// them as a whole.
#pragma once

#include "guard/guard.h"
#include "guard/injection.h"

struct compiled_rule {
    str name, replacement;
    enum guard_action action;
    uint32_t roles;
    double injection;
    struct topic *topic; // or NULL
    struct guard_size size;
};

struct guard {
    struct arena arena;
    struct patterns *patterns[GUARD_ACTIONS];
    struct patterns *placeholders;
    struct injection *injection; // NULL: no rule asks for it
    struct compiled_rule rules[GUARD_RULES_MAX];
    size_t len;
};
