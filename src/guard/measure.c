#include "guard/measure.h"

#include "base/mem.h"
#include "guard/guard_internal.h"

#include "base/banned.h"

static bool looks_at(const struct measure *m, const struct compiled_rule *r)
{
    return !r->roles || !m->roles || (r->roles & m->roles);
}

static bool has_topics(const struct measure *m)
{
    for (size_t i = 0; i < m->guard->len; i++)
        if (m->guard->rules[i].topic && looks_at(m, &m->guard->rules[i]))
            return true;
    return false;
}

static bool wants_score(const struct measure *m)
{
    for (size_t i = 0; i < m->guard->len; i++)
        if (m->guard->rules[i].injection > 0 && looks_at(m, &m->guard->rules[i]))
            return true;
    return false;
}

void measure_init(struct measure *m, const struct guard *g, uint32_t roles)
{
    *m = (struct measure){.guard = g, .roles = roles};
    if (wants_score(m))
        injection_stream_init(&m->injection, g->injection);
    if (has_topics(m))
        m->topics = mem_array(g->len, sizeof *m->topics);
    for (size_t i = 0; i < g->len && m->topics; i++)
        if (g->rules[i].topic && looks_at(m, &g->rules[i]))
            topic_stream_init(&m->topics[i], g->rules[i].topic);
    m->looks = m->topics || m->injection.scan.patterns;
}

void measure_done(struct measure *m)
{
    if (m->injection.scan.patterns)
        injection_stream_done(&m->injection);
    mem_free(m->topics);
    *m = (struct measure){0};
}

void measure_feed(struct measure *m, struct scan_scratch *x, str bytes)
{
    if (m->injection.scan.patterns)
        injection_stream_feed(&m->injection, x, bytes);
    for (size_t i = 0; m->topics && i < m->guard->len; i++)
        if (m->topics[i].topic)
            topic_stream_feed(&m->topics[i], bytes);
}

void measure_end(struct measure *m, struct scan_scratch *x)
{
    if (m->injection.scan.patterns)
        injection_stream_end(&m->injection, x);
    for (size_t i = 0; m->topics && i < m->guard->len; i++)
        if (m->topics[i].topic)
            topic_stream_end(&m->topics[i]);
}

double measure_score(const struct measure *m)
{
    return injection_score(m->injection.signs);
}

uint64_t measure_of_absence(const struct guard *g)
{
    uint64_t rules = 0;
    for (size_t i = 0; i < g->len; i++)
        if (g->rules[i].topic && topic_wants(g->rules[i].topic))
            rules |= 1ull << i;
    return rules;
}

uint64_t measure_fires(const struct measure *m, bool at_end)
{
    uint64_t fires = 0;
    for (size_t i = 0; i < m->guard->len; i++) {
        const struct compiled_rule *r = &m->guard->rules[i];
        bool injected = r->injection > 0 && m->injection.scan.patterns && looks_at(m, r) &&
                        measure_score(m) >= r->injection;
        bool about = m->topics && m->topics[i].topic && topic_fires(&m->topics[i], at_end);
        if (injected || about)
            fires |= 1ull << i;
    }
    return fires;
}

static bool passes(uint64_t value, uint64_t max)
{
    return max && value > max;
}

uint64_t measure_size(const struct guard *g, const struct guard_size *size)
{
    uint64_t fires = 0;
    for (size_t i = 0; i < g->len; i++) {
        const struct guard_size *max = &g->rules[i].size;
        if (passes(size->characters, max->characters) || passes(size->tokens, max->tokens) ||
            passes(size->turns, max->turns))
            fires |= 1ull << i;
    }
    return fires;
}

uint64_t measure_characters_max(const struct guard *g, size_t *ret_rule)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < g->len; i++) {
        uint64_t max = g->rules[i].size.characters;
        if (!max || max >= least || g->rules[i].action == GUARD_TAG)
            continue;
        least = max;
        *ret_rule = i;
    }
    return least;
}
