#include "gateway/guards.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/random.h"

#include "base/banned.h"

enum {
    ARENA_BYTES_MAX = 16 << 20,
    CANARY_CHARACTERS = 24,
    COMBINATIONS_MAX = 1024,
    NAME_BYTES_MAX = 64
};

struct guards {
    struct arena arena;
    uint64_t everywhere;
    struct guard_set *sets;
    size_t len, cap;
    str drawn[GUARD_SETS_MAX * GUARD_RULES_MAX]; // canaries, by set and rule
};

static const struct gateway_guard *config_sets(const struct gateway_config *c)
{
    return c->guards.items;
}

uint64_t guards_bits(const struct gateway_config *c, const struct option_strings *names)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < names->len; i++)
        for (size_t k = 0; k < c->guards.len; k++)
            if (str_eq(names->items[i], config_sets(c)[k].name))
                bits |= 1ull << k;
    return bits;
}

// --- One combination

struct gathered {
    struct guard_rule rules[GUARD_RULES_MAX];
    size_t len;
};

static enum err gather(struct gathered *g, const struct guard_rule *r, struct diag *d)
{
    if (g->len == GUARD_RULES_MAX)
        return diag_set(d, ERR_LIMIT,
                        "the sets that are for one call have more than %d rules together",
                        GUARD_RULES_MAX);
    g->rules[g->len++] = *r;
    return ERR_OK;
}

static str canary_of(struct guards *g, size_t set, size_t rule, const struct guard_rule_text *t)
{
    str *drawn = &g->drawn[set * GUARD_RULES_MAX + rule];
    char id[CANARY_CHARACTERS + 1];
    if (t->canary.len || !t->plant)
        return t->canary;
    random_id(id, CANARY_CHARACTERS);
    if (!drawn->ptr)
        *drawn = arena_printf(&g->arena, "%s", id);
    return *drawn;
}

static enum err add_rule(struct guards *g, size_t set, size_t rule, const struct gateway_guard *s,
                         struct gathered *in, struct gathered *out, struct guard_set *made,
                         struct diag *d)
{
    struct guard_rule_text t = ((const struct guard_rule_text *)s->rules.items)[rule];
    struct guard_rule r;
    t.canary = canary_of(g, set, rule, &t);
    ERR_TRY(guard_rule_read(&t, &r, d));
    // A canary stands in what we send: what comes back is looked at.
    if (t.plant)
        t.direction = GUARD_OUTPUT;
    r.name = arena_printf(&g->arena, STR_FMT "." STR_FMT, STR_ARG(s->name), STR_ARG(t.name));
    if (!r.replacement.len)
        r.replacement = arena_printf(&g->arena, "[" STR_FMT "]", STR_ARG(t.name));
    if (!r.name.ptr || !r.replacement.ptr)
        return diag_set(d, ERR_LIMIT, "the rules are too large");
    if (t.plant)
        made->planted = arena_printf(&g->arena, STR_FMT "%s" STR_FMT, STR_ARG(made->planted),
                                     made->planted.len ? " " : "", STR_ARG(t.canary));
    if (t.direction != GUARD_OUTPUT)
        ERR_TRY(gather(in, &r, d));
    // Who asks is not told what is known of an answer: its tokens, its turns, what it lacks.
    r.injection = 0;
    r.size.tokens = r.size.turns = 0;
    bool looks = r.patterns_len || r.pii || r.canary.len || r.topic.len || r.size.characters;
    return t.direction != GUARD_INPUT && looks ? gather(out, &r, d) : ERR_OK;
}

static enum err add_set(struct guards *g, size_t set, const struct gateway_guard *s,
                        struct gathered *in, struct gathered *out, struct guard_set *made,
                        struct diag *d)
{
    enum err e = ERR_OK;
    if (s->rules.len > GUARD_RULES_MAX)
        return diag_set(d, ERR_LIMIT, "guards." STR_FMT " has more than %d rules", STR_ARG(s->name),
                        GUARD_RULES_MAX);
    for (size_t i = 0; i < s->rules.len && e == ERR_OK; i++)
        e = add_rule(g, set, i, s, in, out, made, d);
    made->names = arena_printf(&g->arena, STR_FMT "%s" STR_FMT, STR_ARG(made->names),
                               made->names.len ? "," : "", STR_ARG(s->name));
    if (e != ERR_OK) {
        char where[sizeof d->where];
        snprintf(where, sizeof where, "%s", d->where);
        diag_where(d, "guards." STR_FMT "%s%s", STR_ARG(s->name), where[0] ? ", " : "", where);
    }
    return e;
}

// The place within a pattern is none in a file.
static void below_guards(struct diag *d)
{
    char where[sizeof d->where];
    snprintf(where, sizeof where, "%s", d->where);
    diag_where(d, "guards, %s", where);
    d->line = d->col = 0;
}

static enum err compile(struct guards *g, const struct gateway_config *c, uint64_t bits,
                        struct guard_set *ret, struct diag *d)
{
    struct gathered *both = mem_array(2, sizeof *both);
    struct guard_set made = {.bits = bits};
    enum err e = ERR_OK;
    for (size_t i = 0; i < c->guards.len && e == ERR_OK; i++)
        if (bits >> i & 1)
            e = add_set(g, i, &config_sets(c)[i], &both[0], &both[1], &made, d);
    if (e == ERR_OK && both[0].len)
        e = guard_new(both[0].rules, both[0].len, &made.input, d);
    if (e == ERR_OK && both[1].len)
        e = guard_new(both[1].rules, both[1].len, &made.output, d);
    if (e != ERR_OK && !str_starts(str_of(d->where), STR("guards")))
        below_guards(d);
    mem_free(both);
    *ret = made; // whatever there is of it is freed with the rest
    return e;
}

// --- All of them

static const struct guard_set *find(const struct guards *g, uint64_t bits)
{
    for (size_t i = 0; i < g->len; i++)
        if (g->sets[i].bits == bits)
            return &g->sets[i];
    return NULL;
}

static enum err add_combination(struct guards *g, const struct gateway_config *c, uint64_t bits,
                                struct diag *d)
{
    if (!bits || find(g, bits))
        return ERR_OK;
    if (g->len == COMBINATIONS_MAX)
        return diag_set(d, ERR_LIMIT,
                        "guards: routes and keys combine them in more than %d ways; name them with "
                        "fewer of both",
                        COMBINATIONS_MAX);
    if (g->len == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 4;
        g->sets = mem_resize(g->sets, g->cap, sizeof *g->sets);
    }
    return compile(g, c, bits, &g->sets[g->len++], d);
}

static uint64_t route_bits(const struct gateway_config *c, size_t i)
{
    const struct gateway_route *routes = c->routes.items;
    return i < c->routes.len ? guards_bits(c, &routes[i].guards) : 0;
}

static uint64_t key_bits(const struct gateway_config *c, size_t i)
{
    return i < c->keys.len ? guards_bits(c, &gateway_config_keys(c)[i].guards) : 0;
}

// The last ones stand for models without a route, and for clients without a key.
static enum err add_all(struct guards *g, const struct gateway_config *c, struct diag *d)
{
    for (size_t r = 0; r <= c->routes.len; r++)
        for (size_t k = 0; k <= c->keys.len; k++)
            ERR_TRY(add_combination(g, c, g->everywhere | route_bits(c, r) | key_bits(c, k), d));
    return ERR_OK;
}

enum err guards_new(const struct gateway_config *c, struct guards **ret, struct diag *d)
{
    *ret = NULL;
    if (!c->guards.len)
        return ERR_OK;
    struct guards *g = mem_new(struct guards);
    arena_init(&g->arena, ARENA_BYTES_MAX);
    for (size_t i = 0; i < c->guards.len; i++)
        g->everywhere |= (uint64_t)config_sets(c)[i].everywhere << i;
    enum err e = add_all(g, c, d);
    if (e != ERR_OK) {
        guards_free(g);
        return e;
    }
    *ret = g;
    return ERR_OK;
}

void guards_free(struct guards *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->len; i++) {
        guard_free(g->sets[i].input);
        guard_free(g->sets[i].output);
    }
    mem_free(g->sets);
    arena_done(&g->arena);
    mem_free(g);
}

const struct guard_set *guards_find(const struct guards *g, uint64_t route, uint64_t key)
{
    uint64_t bits = g->everywhere | route | key;
    const struct guard_set *set = bits ? find(g, bits) : NULL;
    ASSERT(set || !bits); // all that can come were compiled: nothing passes for want of one
    return set;
}

uint32_t guards_nodes(const struct guards *g)
{
    size_t most = 0;
    for (size_t i = 0; i < g->len; i++) {
        most = max_size(most, g->sets[i].input ? guard_nodes(g->sets[i].input) : 0);
        most = max_size(most, g->sets[i].output ? guard_nodes(g->sets[i].output) : 0);
    }
    return (uint32_t)most;
}

// --- Checks

static enum err check_names(const struct gateway_config *c, const struct option_strings *names,
                            const char *of, str who, struct diag *d)
{
    for (size_t i = 0; i < names->len; i++) {
        struct option_strings one = {&names->items[i], 1};
        if (!guards_bits(c, &one))
            return diag_set(d, ERR_INVALID,
                            "%s." STR_FMT ": guards: there is no '" STR_FMT
                            "' in 'guards'; define it there, or leave it out",
                            of, STR_ARG(who), STR_ARG(str_sub(names->items[i], 0, 64)));
    }
    return ERR_OK;
}

// Names stand in headers, labels and lists.
static bool is_name(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_';
        if (!fine)
            return false;
    }
    return s.len && s.len <= NAME_BYTES_MAX;
}

static enum err check_own_names(const struct gateway_guard *s, struct diag *d)
{
    const struct guard_rule_text *rules = s->rules.items;
    bool fine = is_name(s->name);
    str bad = s->name;
    for (size_t i = 0; i < s->rules.len && fine; i++) {
        fine = is_name(rules[i].name);
        bad = rules[i].name;
    }
    return fine ? ERR_OK
                : diag_set(d, ERR_INVALID,
                           "guards." STR_FMT ": '" STR_FMT
                           "' is no name of a set or rule: letters, digits, '-' and '_', %d at "
                           "most",
                           STR_ARG(str_sub(s->name, 0, NAME_BYTES_MAX)),
                           STR_ARG(str_sub(bad, 0, NAME_BYTES_MAX)), NAME_BYTES_MAX);
}

static bool is_named(const struct gateway_config *c, size_t set)
{
    uint64_t bits = config_sets(c)[set].everywhere ? 1ull << set : 0;
    for (size_t i = 0; i < c->routes.len; i++)
        bits |= route_bits(c, i);
    for (size_t i = 0; i < c->keys.len; i++)
        bits |= key_bits(c, i);
    return bits >> set & 1;
}

// A rule that nobody asks for would be a hole that looks like a wall.
static enum err check_sets(const struct gateway_config *c, struct diag *d)
{
    if (c->guards.len > GUARD_SETS_MAX)
        return diag_set(d, ERR_LIMIT, "guards: there are %d sets at most", GUARD_SETS_MAX);
    for (size_t i = 0; i < c->guards.len; i++) {
        const struct gateway_guard *s = &config_sets(c)[i];
        ERR_TRY(check_own_names(s, d));
        if (!s->rules.len)
            return diag_set(d, ERR_INVALID, "guards." STR_FMT ": has no rules", STR_ARG(s->name));
        if (!is_named(c, i))
            return diag_set(d, ERR_INVALID,
                            "guards." STR_FMT
                            ": is for nobody; say 'everywhere: true', or name it in the 'guards' "
                            "of a route or a key",
                            STR_ARG(s->name));
    }
    return ERR_OK;
}

enum err guards_check(const struct gateway_config *c, struct diag *d)
{
    const struct gateway_route *routes = c->routes.items;
    struct guards *made;
    for (size_t i = 0; i < c->routes.len; i++)
        ERR_TRY(check_names(c, &routes[i].guards, "routes", routes[i].name, d));
    for (size_t i = 0; i < c->keys.len; i++)
        ERR_TRY(check_names(c, &gateway_config_keys(c)[i].guards, "keys",
                            gateway_config_keys(c)[i].name, d));
    ERR_TRY(check_sets(c, d));
    ERR_TRY(guards_new(c, &made, d));
    guards_free(made);
    return ERR_OK;
}
