#include "gateway/hedge.h"

#include "base/mem.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Larger requests take too long to prepare on the loop.
#define BODY_BYTES_MAX 8192

// What is one attempt's own.
struct call_side {
    const struct model_entry *model;
    void *plan;
    struct attempt *attempt;
    struct exchange_answer answer;
    struct dialect_stream stream;
    struct exchange_losses losses;
    struct buf out;
    struct target_state *target;
    struct attempt_record *record;
    struct admission admission;
    bool spoke;
};

void hedge_arm(struct call *c)
{
    const struct model_route *r = c->route;
    c->due.hedge = 0;
    if (r->hedge_quantile <= 0 || r->targets_len < 2 || c->in.body.len > BODY_BYTES_MAX ||
        call_form_is_held(c) || // to be compiled, where the model is local
        c->routing.shown || hedge_runs(c))
        return;
    uint64_t usual_ms = target_first_quantile_ms(c->routing.target, r->hedge_quantile);
    if (usual_ms)
        c->due.hedge = call_now_us(c) / 1000 + usual_ms + 1;
}

bool hedge_runs(const struct call *c)
{
    return c->side && c->side->attempt;
}

#define SWAP(type, a, b)                                                                           \
    do {                                                                                           \
        type swapped = (a);                                                                        \
        (a) = (b);                                                                                 \
        (b) = swapped;                                                                             \
    } while (0)

void hedge_swap(struct call *c)
{
    struct call_side *s = c->side;
    SWAP(const struct model_entry *, c->model, s->model);
    SWAP(void *, c->plan, s->plan);
    SWAP(struct attempt *, c->attempt, s->attempt);
    SWAP(struct exchange_answer, c->answer, s->answer);
    SWAP(struct dialect_stream, c->stream, s->stream);
    SWAP(struct exchange_losses, c->losses, s->losses);
    SWAP(struct buf, c->out, s->out);
    SWAP(struct target_state *, c->routing.target, s->target);
    SWAP(struct attempt_record *, c->routing.record, s->record);
    SWAP(struct admission, c->admission, s->admission);
    SWAP(bool, c->routing.spoke, s->spoke);
}

// Closes the call's attempt, whichever of the two that is now.
static void drop(struct call *c, enum attempt_end end)
{
    attempt_close(c, end);
    attempt_discard(c);
    buf_done(&c->out);
}

static bool start(struct call *c)
{
    c->routing.reason = ATTEMPT_HEDGE;
    return target_choose(c) && admission_try(c) && phase_prepare(c) && admission_prepared(c) &&
           attempt_begin(c);
}

void hedge_begin(struct call *c)
{
    const struct retry_policy *policy = &c->route->retry;
    bool spent =
        c->record.attempts_len >= (uint64_t)policy->attempts_max ||
        retry_is_too_dear(policy, c->record.cost_nano_usd + target_likely_cost(c, c->model));
    if (spent || hedge_runs(c) || !retry_purse_take(&c->gateway->purse))
        return;
    if (!c->side)
        c->side = arena_zalloc(&c->arena, 1, sizeof *c->side);
    if (!c->side)
        return;
    *c->side = (struct call_side){.losses.arena = &c->arena};
    if (!admission_beside(c, &c->side->admission))
        return;
    buf_init(&c->side->out, c->out.limit);
    struct api_error *before = c->error;
    c->error = NULL;
    hedge_swap(c);
    if (!start(c)) {
        if (call_error(c)->failure == FAILURE_NONE)
            call_error(c)->failure = failure_of(call_error(c)->code);
        drop(c, ATTEMPT_FAILED);
    }
    hedge_swap(c);
    mem_free(c->error);
    c->error = before;
}

bool hedge_take_over(struct call *c)
{
    if (!hedge_runs(c))
        return false;
    attempt_discard(c);
    hedge_swap(c);
    buf_done(&c->side->out);
    call_forgive(c);
    return true;
}

void hedge_end(struct call *c)
{
    if (!hedge_runs(c))
        return;
    struct attempt_report report = c->record.attempt;
    struct api_error *error = c->error;
    c->error = NULL;
    bool finished = c->record.finished;
    hedge_swap(c);
    drop(c, ATTEMPT_LOST);
    hedge_swap(c);
    c->record.attempt = report;
    c->record.finished = finished;
    mem_free(c->error);
    c->error = error;
}
