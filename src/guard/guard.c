#include "guard/guard.h"

#include "base/mem.h"
#include "guard/canary.h"
#include "guard/guard_internal.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 4 << 20, NO_PII = 0xff };

// A match's id holds its rule and, for personal data, the kind.
static uint32_t id_of(size_t rule, uint32_t pii)
{
    return (uint32_t)rule << 8 | pii;
}

// --- Compiling

static enum err add_patterns(struct guard *g, const struct guard_rule *r, size_t rule,
                             struct diag *d)
{
    struct patterns *p = g->patterns[r->action];
    for (size_t i = 0; i < r->patterns_len; i++)
        ERR_TRY(patterns_add(p, r->patterns[i], id_of(rule, NO_PII), d));
    for (uint32_t k = 0; k < PII_KINDS; k++)
        if (r->pii >> k & 1)
            ERR_TRY(pii_add(p, (enum pii_kind)k, id_of(rule, k), d));
    if (r->canary.len)
        ERR_TRY(canary_add(p, r->canary, id_of(rule, NO_PII), d));
    return ERR_OK;
}

static enum err add_rule(struct guard *g, const struct guard_rule *r, struct diag *d)
{
    struct compiled_rule *c = &g->rules[g->len];
    if (g->len == GUARD_RULES_MAX)
        return diag_set(d, ERR_LIMIT, "a guard has %d rules at most", GUARD_RULES_MAX);
    c->action = r->action;
    c->name = arena_str(&g->arena, r->name);
    c->replacement = r->replacement.len
                         ? arena_str(&g->arena, r->replacement)
                         : arena_printf(&g->arena, "[" STR_FMT "]", STR_ARG(r->name));
    if (!c->name.ptr || !c->replacement.ptr)
        return diag_set(d, ERR_LIMIT, "the rules are too large");
    c->roles = r->roles;
    c->size = r->size;
    c->injection = r->injection;
    if (c->injection > 0 && !g->injection)
        g->injection = injection_new();
    if (r->topic.len)
        ERR_TRY(topic_new(&r->topic, &c->topic, d));
    return add_patterns(g, r, g->len++, d);
}

enum err guard_new(const struct guard_rule *rules, size_t len, struct guard **ret, struct diag *d)
{
    struct guard *g = mem_new(struct guard);
    arena_init(&g->arena, ARENA_BYTES_MAX);
    for (size_t i = 0; i < GUARD_ACTIONS; i++)
        g->patterns[i] = patterns_new();
    g->placeholders = patterns_new();
    enum err e = vault_add(g->placeholders, 0, d);
    for (size_t i = 0; i < len && e == ERR_OK; i++) {
        e = add_rule(g, &rules[i], d);
        if (e != ERR_OK)
            diag_where(d, "rule " STR_FMT, STR_ARG(str_sub(rules[i].name, 0, 64)));
    }
    if (e != ERR_OK) {
        guard_free(g);
        return e;
    }
    *ret = g;
    return ERR_OK;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < GUARD_ACTIONS; i++)
        patterns_free(g->patterns[i]);
    patterns_free(g->placeholders);
    injection_free(g->injection);
    for (size_t i = 0; i < GUARD_RULES_MAX; i++)
        topic_free(g->rules[i].topic);
    arena_done(&g->arena);
    mem_free(g);
}

const char *guard_rule_name(const struct guard *g, size_t rule)
{
    ASSERT(rule < g->len);
    return g->rules[rule].name.ptr;
}

size_t guard_len(const struct guard *g)
{
    return g->len;
}

enum guard_action guard_rule_action(const struct guard *g, size_t rule)
{
    ASSERT(rule < g->len);
    return g->rules[rule].action;
}

uint32_t guard_rule_roles(const struct guard *g, size_t rule)
{
    ASSERT(rule < g->len);
    return g->rules[rule].roles;
}

const char *guard_action_name(enum guard_action a)
{
    static const char *const names[] = {"allow", "block", "tag", "mask"};
    return names[a];
}

bool guard_has_patterns(const struct guard *g)
{
    for (size_t i = 0; i < GUARD_ACTIONS; i++)
        if (patterns_nodes(g->patterns[i]))
            return true;
    return false;
}

// --- Streams

// To the first stage from this one on that has anything to look for, and behind the last one on.
static void hand_to(struct guard_stream *s, size_t stage, str bytes)
{
    while (stage < GUARD_ACTIONS && !patterns_nodes(s->guard->patterns[stage]))
        stage++;
    if (stage == GUARD_ACTIONS)
        (void)buf_append_str(s->out, bytes);
    else
        scan_feed(&s->stages[stage].scan, s->scratch, bytes);
}

// What passes one stage goes to the next.
static void pass(struct guard_stage *stage, str bytes)
{
    struct guard_stream *s = stage->stream;
    if (s->blocked_by < 0)
        hand_to(s, stage->action + 1, bytes);
}

static void end_stages(struct guard_stream *s, size_t from)
{
    for (size_t i = from; i < GUARD_ACTIONS && s->blocked_by < 0; i++)
        scan_end(&s->stages[i].scan, s->scratch);
}

// What comes before it is told on first: it does not wait for what comes behind.
static void let_through(struct guard_stream *s, str bytes)
{
    end_stages(s, GUARD_ALLOW + 1);
    if (s->blocked_by < 0)
        (void)buf_append_str(s->out, bytes);
}

static void on_text(void *ctx, str bytes)
{
    pass(ctx, bytes);
}

static void mask(struct guard_stream *s, const struct compiled_rule *rule, uint32_t pii, str bytes)
{
    if (pii != NO_PII && s->vault)
        (void)buf_append_str(s->out, vault_put(s->vault, pii_name((enum pii_kind)pii), bytes));
    else
        (void)buf_append_str(s->out, rule->replacement);
}

static void on_match(void *ctx, uint32_t id, str bytes)
{
    struct guard_stage *stage = ctx;
    struct guard_stream *s = stage->stream;
    uint32_t pii = id & 0xff;
    const struct compiled_rule *rule = &s->guard->rules[id >> 8];
    bool looks = !rule->roles || !s->roles || (rule->roles & s->roles);
    bool real = looks && (pii == NO_PII || pii_is((enum pii_kind)pii, bytes));
    if (s->blocked_by >= 0)
        return;
    s->hits[id >> 8] += real;
    if (real && stage->action == GUARD_ALLOW)
        let_through(s, bytes);
    else if (real && stage->action == GUARD_BLOCK)
        s->blocked_by = (int)(id >> 8);
    else if (real && stage->action == GUARD_MASK)
        mask(s, rule, pii, bytes);
    else
        pass(stage, bytes);
}

static const struct scan_handler stage_handler = {on_text, on_match};

void guard_stream_init(struct guard_stream *s, const struct guard *g, struct vault *vault)
{
    *s = (struct guard_stream){.guard = g, .vault = vault, .blocked_by = -1};
    for (size_t i = 0; i < GUARD_ACTIONS; i++) {
        s->stages[i].stream = s;
        s->stages[i].action = (enum guard_action)i;
        scan_init(&s->stages[i].scan, g->patterns[i], &stage_handler, &s->stages[i]);
    }
}

void guard_stream_done(struct guard_stream *s)
{
    for (size_t i = 0; i < GUARD_ACTIONS; i++)
        scan_done(&s->stages[i].scan);
}

bool guard_stream_feed(struct guard_stream *s, struct scan_scratch *x, str bytes, struct buf *out)
{
    s->out = out;
    s->scratch = x;
    if (s->blocked_by < 0)
        hand_to(s, 0, bytes);
    return s->blocked_by < 0;
}

bool guard_stream_end(struct guard_stream *s, struct scan_scratch *x, struct buf *out)
{
    s->out = out;
    s->scratch = x;
    end_stages(s, 0);
    return s->blocked_by < 0;
}

uint32_t guard_nodes(const struct guard *g)
{
    uint32_t most = patterns_nodes(g->placeholders);
    for (size_t i = 0; i < GUARD_ACTIONS; i++)
        most = (uint32_t)max_size(most, patterns_nodes(g->patterns[i]));
    return (uint32_t)max_size(most, g->injection ? injection_nodes(g->injection) : 0);
}

void guard_scratch_init(struct scan_scratch *x, const struct guard *g)
{
    scan_scratch_init_nodes(x, guard_nodes(g));
}

// --- The way back

static void restore_text(void *ctx, str bytes)
{
    struct guard_restore *r = ctx;
    (void)buf_append_str(r->out, bytes);
}

static void restore_match(void *ctx, uint32_t id UNUSED, str bytes)
{
    struct guard_restore *r = ctx;
    str value = vault_get(r->vault, bytes);
    (void)buf_append_str(r->out, value.ptr ? value : bytes);
}

static const struct scan_handler restore_handler = {restore_text, restore_match};

void guard_restore_init(struct guard_restore *r, const struct guard *g, const struct vault *vault)
{
    *r = (struct guard_restore){.vault = vault};
    scan_init(&r->scan, g->placeholders, &restore_handler, r);
}

void guard_restore_done(struct guard_restore *r)
{
    scan_done(&r->scan);
}

void guard_restore_feed(struct guard_restore *r, struct scan_scratch *x, str bytes, struct buf *out)
{
    r->out = out;
    scan_feed(&r->scan, x, bytes);
}

void guard_restore_end(struct guard_restore *r, struct scan_scratch *x, struct buf *out)
{
    r->out = out;
    scan_end(&r->scan, x);
}
