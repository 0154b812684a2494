#include "gateway/retry.h"

#include "base/banned.h"

#define BIT(f) (1u << (f))
// What a quiet gateway may spend at once, and the most that is saved up.
#define PURSE_MIN 10.0
#define PURSE_MAX 100.0

static const struct {
    const char *name;
    failure_set set;
} names[] = {
    {"error", BIT(FAILURE_TRANSIENT) | BIT(FAILURE_HARD_DOWN) | BIT(FAILURE_TRUNCATED) |
                  BIT(FAILURE_MALFORMED)},
    {"timeout", BIT(FAILURE_CONNECT_TIMEOUT) | BIT(FAILURE_FIRST_TIMEOUT) |
                    BIT(FAILURE_IDLE_TIMEOUT) | BIT(FAILURE_TOTAL_TIMEOUT)},
    {"rate_limit", BIT(FAILURE_RATE_LIMITED)},
    {"context", BIT(FAILURE_CONTEXT)},
    {"content_policy", BIT(FAILURE_CONTENT_POLICY)},
};

bool failure_set_of(const str *list, size_t len, failure_set *ret, str *ret_bad)
{
    failure_set set = 0;
    for (size_t i = 0; i < len; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(names) && !str_eq_z(list[i], names[k].name))
            k++;
        if (k == ARRAY_LEN(names)) {
            *ret_bad = list[i];
            return false;
        }
        set |= names[k].set;
    }
    *ret = set;
    return true;
}

// Would the same target perhaps do better a moment later?
static bool passes_by_itself(enum failure f)
{
    return f == FAILURE_TRANSIENT || f == FAILURE_RATE_LIMITED || f == FAILURE_CONNECT_TIMEOUT ||
           f == FAILURE_FIRST_TIMEOUT || f == FAILURE_IDLE_TIMEOUT || f == FAILURE_TRUNCATED ||
           f == FAILURE_MALFORMED;
}

// Full jitter: anywhere between nothing and the bound, so that clients that failed together do not
// come back together (Brooker, "Exponential Backoff And Jitter", AWS 2015).
static uint64_t backoff(const struct retry_policy *p, uint32_t attempts, uint64_t random)
{
    uint64_t bound = (uint64_t)p->backoff_ms;
    for (uint32_t i = 1; i < attempts && bound < (uint64_t)p->backoff_max_ms; i++)
        bound *= 2;
    if (bound > (uint64_t)p->backoff_max_ms)
        bound = (uint64_t)p->backoff_max_ms;
    return random % (bound + 1);
}

static struct retry_decision give_up(const char *reason)
{
    return (struct retry_decision){RETRY_GIVE_UP, 0, reason};
}

struct retry_decision retry_decide(const struct retry_policy *p, const struct retry_state *s,
                                   const struct api_error *error, uint64_t now_ms, uint64_t random)
{
    enum failure f = error->failure;
    uint64_t spent = now_ms - s->began_ms;
    if (f == FAILURE_NONE || f == FAILURE_CLIENT)
        return give_up("the request itself is at fault");
    if (s->shown)
        return give_up("a part of the answer was shown");
    if (s->attempts >= (uint64_t)p->attempts_max)
        return give_up("attempts are used up");
    if (spent >= (uint64_t)p->time_max_ms)
        return give_up("the time is used up");
    if (retry_is_too_dear(p, s->cost_nano))
        return give_up("the money is used up");
    if (s->others && (f == FAILURE_UNSUITED || (p->fallback_on & BIT(f))))
        return (struct retry_decision){RETRY_OTHER, 0, failure_name(f)};
    if (!passes_by_itself(f))
        return give_up("no other target may be tried");
    uint64_t wait = backoff(p, s->attempts, random);
    if (wait < error->retry_after_ms)
        wait = error->retry_after_ms;
    if (spent + wait >= (uint64_t)p->time_max_ms)
        return give_up("the wait would be too long");
    return (struct retry_decision){RETRY_WAIT, wait, failure_name(f)};
}

void retry_purse_request(struct retry_purse *p, double share)
{
    p->left += share;
    if (p->left > PURSE_MAX)
        p->left = PURSE_MAX;
}

bool retry_purse_take(struct retry_purse *p)
{
    if (p->left <= -PURSE_MIN)
        return false;
    p->left -= 1;
    return true;
}
