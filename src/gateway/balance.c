#include "gateway/balance.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/banned.h"

// After so long half of a peak is forgotten.
#define HALF_LIFE_MS 10000.0
// So many times must be known before a quantile of them says anything.
#define FIRSTS_MIN 10

const char *const balance_strategy_names[] = {"priority", "weighted", "least_busy", "latency",
                                              "cheapest", "prefix",   "sticky",     NULL};

// --- What is known of a target

static double decayed(const struct target_state *t, uint64_t now_ms)
{
    double age = now_ms > t->first_at_ms ? (double)(now_ms - t->first_at_ms) : 0;
    return t->first_ms * exp2(-age / HALF_LIFE_MS);
}

// Peak EWMA (Finagle): a worse time counts at once, a better one bit by bit.
void target_first_output(struct target_state *t, uint64_t after_ms, uint64_t now_ms)
{
    double old = decayed(t, now_ms), seen = (double)after_ms;
    double age = now_ms > t->first_at_ms ? (double)(now_ms - t->first_at_ms) : 0;
    double keep = exp2(-age / HALF_LIFE_MS);
    t->first_ms = seen > old ? seen : t->first_ms * keep + seen * (1 - keep);
    t->first_at_ms = now_ms;
    t->firsts_ms[t->firsts_len++ % TARGET_FIRSTS] =
        (uint32_t)(after_ms < UINT32_MAX ? after_ms : UINT32_MAX);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t target_first_quantile_ms(const struct target_state *t, double q)
{
    uint32_t sorted[TARGET_FIRSTS];
    size_t n = min_size(t->firsts_len, TARGET_FIRSTS);
    if (n < FIRSTS_MIN)
        return 0;
    memcpy(sorted, t->firsts_ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    return sorted[min_size((size_t)(q * (double)n), n - 1)];
}

double target_expected_ms(const struct target_state *t, uint64_t now_ms)
{
    return (decayed(t, now_ms) + 1) * (t->running + 1);
}

struct target_state *targets_at(struct targets *t, size_t index)
{
    if (index >= t->len) {
        t->items = mem_resize(t->items, index + 1, sizeof *t->items);
        memset(t->items + t->len, 0, (index + 1 - t->len) * sizeof *t->items);
        t->len = index + 1;
    }
    if (!t->items[index])
        t->items[index] = mem_new(struct target_state);
    return t->items[index];
}

void targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->len; i++)
        mem_free(t->items[i]);
    mem_free(t->items);
    *t = (struct targets){0};
}

// --- Choosing

static bool eligible(const struct balance_target *t, uint64_t now_ms)
{
    return !t->excluded && breaker_allows(&t->state->breaker, now_ms);
}

static uint64_t mix(uint64_t x) // splitmix64's finaliser
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double unit(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

double balance_unit(uint64_t bits)
{
    return unit(mix(bits));
}

// The lower the better. Ties go to the earlier one.
static double cost(enum balance_strategy s, const struct balance_target *t, size_t index,
                   uint64_t key, uint64_t now_ms, uint64_t random)
{
    double weight = t->weight > 0 ? t->weight : 1e-9;
    switch (s) {
    case BALANCE_PRIORITY:
        return (double)index;
    case BALANCE_WEIGHTED: // exponential clocks: the first one rings in proportion to its weight
        return -log(unit(mix(random ^ mix(index + 1)))) / weight;
    case BALANCE_LEAST_BUSY:
        return (fmax(t->state->running, t->load) + 1) / weight;
    case BALANCE_LATENCY:
        return target_expected_ms(t->state, now_ms);
    case BALANCE_CHEAPEST:
        return (double)t->price;
    case BALANCE_PREFIX:
    case BALANCE_STICKY: // rendezvous hashing: few keys move when a target comes or goes
        return -log(unit(mix(key ^ t->name_hash))) / weight;
    }
    return (double)index;
}

// Bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): affinity may not pile up on one target.
static bool overloaded(const struct balance_target *targets, size_t len, size_t i, uint64_t now_ms)
{
    double running = 0, weights = 0;
    for (size_t k = 0; k < len; k++) {
        if (targets[k].down != targets[i].down || !eligible(&targets[k], now_ms))
            continue;
        running += targets[k].state->running;
        weights += targets[k].weight;
    }
    double share = weights > 0 ? targets[i].weight / weights : 1;
    return targets[i].state->running + 1 > ceil(1.25 * (running + 1) * share) + 1;
}

static int pick(enum balance_strategy s, const struct balance_target *targets, size_t len,
                uint64_t key, uint64_t now_ms, uint64_t random, bool down)
{
    bool affine = s == BALANCE_PREFIX || s == BALANCE_STICKY;
    if (affine && !key)
        s = BALANCE_LEAST_BUSY;
    int best = -1, crowded = -1;
    double best_cost = INFINITY, crowded_cost = INFINITY;
    for (size_t i = 0; i < len; i++) {
        if (targets[i].down != down || !eligible(&targets[i], now_ms))
            continue;
        double c = cost(s, &targets[i], i, key, now_ms, random);
        bool crowd = affine && key && overloaded(targets, len, i, now_ms);
        int *at = crowd ? &crowded : &best;
        double *least = crowd ? &crowded_cost : &best_cost;
        if (*at >= 0 && c >= *least)
            continue;
        *at = (int)i;
        *least = c;
    }
    return best >= 0 ? best : crowded;
}

int balance_pick(enum balance_strategy s, const struct balance_target *targets, size_t len,
                 uint64_t key, uint64_t now_ms, uint64_t random)
{
    int well = pick(s, targets, len, key, now_ms, random, false);
    return well >= 0 ? well : pick(s, targets, len, key, now_ms, random, true);
}

uint64_t balance_wait_ms(const struct balance_target *targets, size_t len, uint64_t now_ms)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < len; i++) {
        if (targets[i].excluded)
            continue;
        uint64_t wait = breaker_wait_ms(&targets[i].state->breaker, now_ms);
        if (targets[i].state->breaker.probing && !wait)
            wait = 100; // the probe's result is near
        if (wait < least)
            least = wait;
    }
    return least;
}
