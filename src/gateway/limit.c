#include "gateway/limit.h"

#include "base/banned.h"

#define MINUTE_NS 60000000000ull

const char *limit_kind_name(enum limit_kind k)
{
    static const char *const names[] = {"none", "requests per minute", "tokens per minute",
                                        "concurrent requests"};
    return names[k];
}

void limit_init(struct limit *l, const struct limit_rules *rules)
{
    *l = (struct limit){.rules = *rules};
}

// --- One bucket

// How long `count` of `per_minute` take to come back. Rounded up, so that a bucket never gives more
// than its rate.
static uint64_t span_ns(uint64_t count, int64_t per_minute)
{
    unsigned __int128 ns = (unsigned __int128)count * MINUTE_NS;
    unsigned __int128 span = (ns + (unsigned __int128)per_minute - 1) / (uint64_t)per_minute;
    return span > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)span;
}

static bool take(_Atomic uint64_t *full_at, int64_t per_minute, uint64_t now_ns, uint64_t count,
                 uint64_t *ret_wait_ns)
{
    uint64_t span = span_ns(count, per_minute), was = atomic_load(full_at), then;
    do {
        then = (was > now_ns ? was : now_ns) + span;
        if (then > now_ns + MINUTE_NS) {
            *ret_wait_ns = then - now_ns - MINUTE_NS;
            return false;
        }
    } while (!atomic_compare_exchange_weak(full_at, &was, then));
    return true;
}

// Back into the bucket, or out of it although it is empty. A bucket that was full meanwhile stays
// full: `take` looks at the later of this moment and now.
static void give(_Atomic uint64_t *full_at, uint64_t back_ns, uint64_t more_ns)
{
    atomic_fetch_add(full_at, more_ns - back_ns);
}

static struct limit_view view(const _Atomic uint64_t *full_at, int64_t per_minute, uint64_t now_ns)
{
    uint64_t full = atomic_load(full_at);
    uint64_t missing = full > now_ns ? full - now_ns : 0;
    if (!per_minute)
        return (struct limit_view){0};
    uint64_t left = missing < MINUTE_NS ? MINUTE_NS - missing : 0;
    unsigned __int128 remaining = (unsigned __int128)left * (uint64_t)per_minute / MINUTE_NS;
    return (struct limit_view){per_minute, (int64_t)remaining, missing};
}

// --- Requests

bool limit_take_request(struct limit *l, uint64_t now_ns, struct limit_refusal *ret)
{
    int64_t rate = l->rules.requests_per_minute;
    uint64_t wait_ns;
    if (!rate || take(&l->requests_full_at, rate, now_ns, 1, &wait_ns))
        return true;
    *ret = (struct limit_refusal){LIMIT_REQUESTS, rate, 1, wait_ns, false};
    return false;
}

void limit_return_request(struct limit *l)
{
    if (l->rules.requests_per_minute)
        give(&l->requests_full_at, span_ns(1, l->rules.requests_per_minute), 0);
}

struct limit_view limit_requests(const struct limit *l, uint64_t now_ns)
{
    return view(&l->requests_full_at, l->rules.requests_per_minute, now_ns);
}

// --- At once

bool limit_take_slot(struct limit *l, struct limit_refusal *ret)
{
    int64_t most = l->rules.concurrency, running = atomic_load(&l->running);
    do {
        if (most && running >= most) {
            *ret = (struct limit_refusal){LIMIT_CONCURRENCY, most, 1, 0, false};
            return false;
        }
    } while (!atomic_compare_exchange_weak(&l->running, &running, running + 1));
    return true;
}

void limit_return_slot(struct limit *l)
{
    atomic_fetch_sub(&l->running, 1);
}

// --- Tokens

bool limit_take_tokens(struct limit *l, uint64_t now_ns, uint64_t tokens, struct limit_refusal *ret)
{
    int64_t rate = l->rules.tokens_per_minute;
    uint64_t wait_ns = 0;
    if (!rate)
        return true;
    bool never = tokens > (uint64_t)rate;
    if (!never && take(&l->tokens_full_at, rate, now_ns, tokens, &wait_ns))
        return true;
    int64_t wanted = tokens > INT64_MAX ? INT64_MAX : (int64_t)tokens;
    *ret = (struct limit_refusal){LIMIT_TOKENS, rate, wanted, wait_ns, never};
    return false;
}

void limit_settle_tokens(struct limit *l, uint64_t reserved, uint64_t used)
{
    int64_t rate = l->rules.tokens_per_minute;
    if (rate && reserved != used)
        give(&l->tokens_full_at, span_ns(reserved, rate), span_ns(used, rate));
}

struct limit_view limit_tokens(const struct limit *l, uint64_t now_ns)
{
    return view(&l->tokens_full_at, l->rules.tokens_per_minute, now_ns);
}
