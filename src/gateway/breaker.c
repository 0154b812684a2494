#include "gateway/breaker.h"

#include "base/banned.h"

const char *breaker_state_name(enum breaker_state s)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    return names[s];
}

enum breaker_state breaker_state(const struct breaker *b, uint64_t now_ms)
{
    if (!b->open)
        return BREAKER_CLOSED;
    return now_ms < b->until_ms ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}

bool breaker_allows(const struct breaker *b, uint64_t now_ms)
{
    if (now_ms < b->limited_ms)
        return false;
    enum breaker_state s = breaker_state(b, now_ms);
    return s == BREAKER_CLOSED || (s == BREAKER_HALF_OPEN && !b->probing);
}

uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms)
{
    uint64_t until = b->open && b->until_ms > b->limited_ms ? b->until_ms : b->limited_ms;
    return until > now_ms ? until - now_ms : 0;
}

void breaker_enter(struct breaker *b, uint64_t now_ms)
{
    if (breaker_state(b, now_ms) == BREAKER_HALF_OPEN)
        b->probing = true;
}

void breaker_forget(struct breaker *b)
{
    b->probing = false;
}

// --- The window

static void clear(struct breaker *b)
{
    for (size_t i = 0; i < BREAKER_SLOTS; i++)
        b->slots[i].good = b->slots[i].bad = 0;
}

// Moves the window on; what falls out of it is forgotten.
static void advance(struct breaker *b, const struct breaker_options *o, uint64_t now_ms)
{
    uint64_t slot_ms = max_size((size_t)o->window_ms / BREAKER_SLOTS, 1);
    uint64_t slot = now_ms / slot_ms;
    if (slot >= b->slot + BREAKER_SLOTS) {
        clear(b);
        b->slot = slot;
    }
    while (b->slot < slot) {
        b->slot++;
        b->slots[b->slot % BREAKER_SLOTS].good = b->slots[b->slot % BREAKER_SLOTS].bad = 0;
    }
}

static bool too_bad(const struct breaker *b, const struct breaker_options *o)
{
    uint64_t good = 0, bad = 0;
    for (size_t i = 0; i < BREAKER_SLOTS; i++) {
        good += b->slots[i].good;
        bad += b->slots[i].bad;
    }
    return bad + good >= (uint64_t)o->results_min &&
           (double)bad >= o->failures_rate * (double)(bad + good);
}

// --- Opening

static void open_for(struct breaker *b, int64_t ms, uint64_t now_ms, uint64_t random)
{
    uint64_t spread = (uint64_t)ms / 5; // ±10 %
    b->open = true;
    b->until_ms = now_ms + (uint64_t)ms - spread / 2 + (spread ? random % spread : 0);
    clear(b);
}

static void trip(struct breaker *b, const struct breaker_options *o, uint64_t now_ms,
                 uint64_t random)
{
    int64_t ms = o->open_ms;
    for (uint32_t i = 0; i < b->trips && ms < o->open_max_ms; i++)
        ms *= 2;
    b->trips++;
    open_for(b, ms < o->open_max_ms ? ms : o->open_max_ms, now_ms, random);
}

// Says a result something about the target, and is it bad?
static bool counts(enum failure f)
{
    return f != FAILURE_CLIENT && f != FAILURE_UNSUITED && f != FAILURE_CONTEXT &&
           f != FAILURE_CONTENT_POLICY && f != FAILURE_RATE_LIMITED;
}

bool breaker_leave(struct breaker *b, const struct breaker_options *o, enum failure f,
                   uint64_t retry_after_ms, uint64_t now_ms, uint64_t random)
{
    bool probe = b->probing;
    b->probing = false;
    if (f == FAILURE_RATE_LIMITED) {
        uint64_t wait = retry_after_ms ? retry_after_ms : (uint64_t)o->rate_limited_ms;
        if (now_ms + wait > b->limited_ms)
            b->limited_ms = now_ms + wait;
    }
    if (f == FAILURE_HARD_DOWN) {
        bool was = b->open;
        open_for(b, o->hard_down_ms, now_ms, random);
        return !was;
    }
    if (!counts(f)) {
        // It answered: a probe that was merely refused has shown that the target lives.
        if (probe && f != FAILURE_RATE_LIMITED)
            *b = (struct breaker){.limited_ms = b->limited_ms};
        return false;
    }
    if (probe) {
        if (f == FAILURE_NONE)
            *b = (struct breaker){.limited_ms = b->limited_ms};
        else
            trip(b, o, now_ms, random);
        return false;
    }
    if (b->open)
        return false; // an answer from before it opened
    advance(b, o, now_ms);
    if (f == FAILURE_NONE) {
        b->slots[b->slot % BREAKER_SLOTS].good++;
        b->trips = 0;
        return false;
    }
    b->slots[b->slot % BREAKER_SLOTS].bad++;
    if (!too_bad(b, o))
        return false;
    trip(b, o, now_ms, random);
    return true;
}
