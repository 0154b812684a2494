#include "engine/sample.h"

#include <math.h>

#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/kernel/team.h"
#include "engine/lane.h"
#include "engine/logprobs.h"
#include "engine/scheduler.h"

#include "base/banned.h"

// So many logits are worth waking the team for.
enum { LOGITS_WORTH_SHARING = 1 << 16 };

void sample_scratch_done(struct sample_scratch *s)
{
    sampler_scratch_done(&s->sampler);
    mem_free(s->banned);
    mem_free(s->masked);
    mem_free(s->mask);
}

static void ban(struct sample_scratch *s, const int32_t *ids, size_t n)
{
    if (s->banned_len + n > s->banned_cap) {
        s->banned_cap = (s->banned_len + n) * 2;
        s->banned = mem_resize(s->banned, s->banned_cap, sizeof *s->banned);
    }
    for (size_t i = 0; i < n; i++)
        s->banned[s->banned_len++] = ids[i];
}

// Only tokens that agree with the bytes that the answer must go on with. Rare and short: a
// vocabulary is gone through for each.
static void ban_what_disagrees(const struct engine_job *j, struct sample_scratch *s)
{
    str left = str_sub(j->request.forced, j->seq.n_forced, SIZE_MAX);
    struct buf piece;
    buf_init(&piece, SIZE_MAX);
    for (int32_t id = 0; id < (int32_t)j->model->info.n_vocab; id++) {
        buf_clear(&piece);
        str text = STR_NONE;
        if (engine_token_piece(j->model, id, &piece) == ERR_OK)
            text = lane_token_text(j, j->seq.n_tokens, id, buf_str(&piece));
        size_t n = min_size(text.len, left.len);
        if (!n || !str_eq(str_sub(text, 0, n), str_sub(left, 0, n)))
            ban(s, &id, 1);
    }
    buf_done(&piece);
}

// The logits of the tokens that the answer's grammar allows after those ahead; NULL: the guesses
// before this row break it, and none of them will stand.
static float *mask_logits(const struct sample_task *t, struct sample_scratch *s)
{
    const struct engine_job *j = t->job;
    uint32_t n = j->model->info.n_vocab;
    if (s->masked_cap < n) {
        s->masked_cap = n;
        s->masked = mem_resize(s->masked, n, sizeof *s->masked);
        s->mask = mem_resize(s->mask, token_mask_words(n), sizeof *s->mask);
    }
    if (!constraint_mask(j->seq.constraint, j, s->sampler.ahead, s->sampler.ahead_len, s->mask))
        return NULL;
    token_mask_apply(s->mask, t->logits, n, s->masked);
    return s->masked;
}

// Tokens that would end the answer are banned until it has its least length.
int32_t sample_draw(const struct sample_task *t, struct sample_scratch *scratch)
{
    const struct engine_job *j = t->job;
    const struct sequence *q = &j->seq;
    const struct engine_request *r = &j->request;
    uint32_t position = t->position + 1;
    scratch->banned_len = 0;
    scratch->sampler.ahead = q->tokens + q->n_tokens;
    scratch->sampler.ahead_len = position - q->n_tokens;
    if (position - q->n_prompt < r->tokens_min) {
        ban(scratch, r->stop_ids, r->stop_ids_len);
        if (!r->ignore_eos)
            ban(scratch, j->model->eog, j->model->n_eog);
    }
    if (q->n_forced < r->forced.len)
        ban_what_disagrees(j, scratch);
    float *logits = q->constraint ? mask_logits(t, scratch) : t->logits;
    if (!logits)
        return -1;
    return sampler_pick(&q->sampler, logits, j->model->info.n_vocab, position, scratch->banned,
                        scratch->banned_len, &scratch->sampler);
}

static void run_task(const struct sample_task *t, struct sample_scratch *scratch,
                     struct outcome *ret)
{
    const struct engine_job *j = t->job;
    const struct sequence *q = &j->seq;
    bool scores = t->position + 1 < q->n_tokens;
    uint32_t n_vocab = j->model->info.n_vocab;
    ret->token = scores ? q->tokens[t->position + 1] : sample_draw(t, scratch);
    ret->top_len = 0;
    if (ret->token < 0 || (!scores && !j->request.logprobs))
        return;
    struct logprobs l = logprobs_of(scratch->sampler.kernel, t->logits, n_vocab);
    ret->logprob = logprobs_get(&l, t->logits[ret->token]);
    ret->top_len = logprobs_top(&l, t->logits, n_vocab, j->request.top_logprobs, ret->top);
}

struct share {
    struct scheduler *scheduler;
    struct step *step;
};

static void work(void *ctx, size_t member, size_t size)
{
    const struct share *share = ctx;
    struct step *s = share->step;
    for (size_t i = member; i < s->n_tasks; i += size)
        run_task(&s->tasks[i], &share->scheduler->sampling[member], &s->outcomes[i]);
}

void sample_step(struct lane *l, struct step *s)
{
    struct share share = {l->scheduler, s};
    if (s->n_tasks > 1 && (uint64_t)s->n_tasks * l->n_vocab >= LOGITS_WORTH_SHARING)
        team_run(l->scheduler->team, work, &share);
    else
        work(&share, 0, 1);
}
