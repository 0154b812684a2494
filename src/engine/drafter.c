#include "engine/drafter.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/scheduler.h"

#include "base/banned.h"

enum { ROWS_MAX = 128, GAP_MAX = KV_BLOCK_TOKENS }; // a step catches up with so many tokens

struct drafter {
    struct model_file *file;
    struct model *model;
    struct kv *kv;
    struct scheduler *scheduler;
    uint32_t n_vocab, n_ctx, rows_max;
    struct step_speed speed;
    struct model_row rows[ROWS_MAX];
    struct engine_job *jobs[DRAFT_ROWS_MAX]; // whose rows they are, in their order
    float *logits;                           // one row for each
    uint32_t n_rows, n_jobs;
};

enum err drafter_check_file(const struct model_file *main, const struct model_file *f,
                            struct diag *d)
{
    const struct vocab *a = model_file_vocab(main), *b = model_file_vocab(f);
    uint32_t rows = model_file_hparams(main)->n_vocab, draft_rows = model_file_hparams(f)->n_vocab;
    if (a->n_tokens != b->n_tokens || rows != draft_rows)
        return diag_set(d, ERR_INVALID,
                        "the draft model has %u tokens and the model %u: they need the same "
                        "vocabulary",
                        draft_rows, rows);
    for (uint32_t i = 0; i < a->n_tokens; i++)
        if (!str_eq(a->tokens[i], b->tokens[i]))
            return diag_set(d, ERR_INVALID,
                            "token %u of the draft model is not the model's: they need the same "
                            "vocabulary",
                            i);
    return ERR_OK;
}

static size_t padded(uint32_t floats)
{
    return ((size_t)floats + 15) & ~(size_t)15;
}

enum err drafter_open_file(const struct engine_model_options *o, struct model_file **ret,
                           struct diag *d)
{
    return o->draft_path ? model_file_open(o->draft_path, ret, d)
                         : model_file_from_memory(o->draft_image, ret, d);
}

static enum err open_model(struct drafter *dr, const struct engine_model_options *o,
                           const struct model_file *main, const struct model_options *mo,
                           struct diag *d)
{
    ERR_TRY(drafter_open_file(o, &dr->file, d));
    ERR_TRY(drafter_check_file(main, dr->file, d));
    struct model_options draft_mo = *mo;
    draft_mo.kv_type = NULL; // its own numerics
    ERR_TRY(model_open(dr->file, &draft_mo, dr->scheduler->team, &dr->model, d));
    ERR_TRY(kv_new(&dr->scheduler->budget, model_kv_block_bytes(dr->model),
                   model_kv_room(dr->model), &dr->kv, d));
    dr->n_vocab = model_hparams(dr->model)->n_vocab;
    dr->n_ctx = model_hparams(dr->model)->n_ctx;
    dr->rows_max = (uint32_t)min_size(ROWS_MAX, model_rows_max(dr->model));
    dr->logits = mem_aligned(64, DRAFT_ROWS_MAX * padded(dr->n_vocab) * sizeof(float));
    return ERR_OK;
}

enum err drafter_new(const struct engine_model_options *o, const struct model_file *main,
                     const struct model_options *mo, struct scheduler *s, struct drafter **ret,
                     struct diag *d)
{
    struct drafter *dr = mem_new(struct drafter);
    dr->scheduler = s;
    enum err e = open_model(dr, o, main, mo, d);
    if (e != ERR_OK) {
        drafter_free(dr);
        return e;
    }
    *ret = dr;
    return ERR_OK;
}

void drafter_free(struct drafter *dr)
{
    if (!dr)
        return;
    kv_free(dr->kv);
    model_free(dr->model);
    model_file_free(dr->file);
    mem_free(dr->logits);
    mem_free(dr);
}

uint64_t drafter_weight_bytes(const struct drafter *dr)
{
    return model_weight_bytes(dr->model);
}

const struct step_speed *drafter_speed(const struct drafter *dr)
{
    return &dr->speed;
}

// --- Blocks

static void append_block(struct draft_state *t, uint32_t block)
{
    if (t->n_blocks == t->blocks_cap) {
        t->blocks_cap = t->blocks_cap ? t->blocks_cap * 2 : 8;
        t->blocks = mem_resize(t->blocks, t->blocks_cap, sizeof *t->blocks);
    }
    t->blocks[t->n_blocks++] = block;
}

// Only what nobody is about to need.
static bool take_blocks(struct drafter *dr, const struct lane *l, struct draft_state *t,
                        uint32_t positions)
{
    uint32_t block;
    while (kv_blocks_for(positions) > t->n_blocks) {
        if (kv_available(l->kv) <= l->n_running || kv_available(dr->kv) <= l->n_running ||
            !kv_take(dr->kv, &block))
            return false;
        append_block(t, block);
    }
    return true;
}

bool drafter_forget(struct drafter *dr, struct sequence *q)
{
    struct draft_state *t = &q->draft;
    bool had_any = t->n_blocks > 0;
    while (t->n_blocks > 0)
        kv_drop(dr->kv, t->blocks[--t->n_blocks]);
    t->n_done = 0;
    return had_any;
}

void drafter_settle(struct sequence *q)
{
    if (q->draft.n_done >= q->n_tokens)
        q->draft.n_done = q->n_tokens - 1;
}

// --- Computing

static void add_row(struct drafter *dr, const struct sequence *q, uint32_t position, float *logits)
{
    dr->rows[dr->n_rows++] = (struct model_row){.token = q->tokens[position],
                                                .position = position,
                                                .blocks = q->draft.blocks,
                                                .logits = logits};
}

// Its own failures cost a guess, no answer.
static bool compute(struct drafter *dr)
{
    uint64_t from_us = clock_mono_us();
    enum err e = model_forward(dr->model, kv_pool(dr->kv), dr->rows, dr->n_rows, NULL);
    if (dr->n_jobs > 0 && dr->n_rows <= DRAFT_ROWS_MAX)
        speed_note(&dr->speed, dr->n_rows, (double)(clock_mono_us() - from_us));
    return e == ERR_OK;
}

static void begin(struct drafter *dr)
{
    dr->n_rows = dr->n_jobs = 0;
}

bool drafter_catch_up(struct drafter *dr, const struct lane *l, struct sequence *q,
                      uint32_t *rows_left)
{
    struct draft_state *t = &q->draft;
    drafter_settle(q); // a step may have guessed for it and then not computed it
    uint32_t gap = q->n_tokens - 1 - t->n_done;
    if (q->n_tokens + DRAFT_TOKENS_MAX > dr->n_ctx)
        return false;
    if (gap <= GAP_MAX)
        return true;
    uint32_t n = gap < dr->rows_max ? gap : dr->rows_max;
    n = n < *rows_left ? n : *rows_left;
    if (n == 0 || !take_blocks(dr, l, t, t->n_done + n))
        return false;
    begin(dr);
    for (uint32_t i = 0; i < n; i++)
        add_row(dr, q, t->n_done + i, NULL);
    *rows_left -= n;
    if (!compute(dr))
        return false;
    t->n_done += n;
    return q->n_tokens - 1 - t->n_done <= GAP_MAX;
}

// All that it has not read yet; the last row's logits are its guess.
static void add_job(struct drafter *dr, const struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    uint32_t end = q->n_tokens + q->n_draft, n = end - q->draft.n_done;
    if (dr->n_jobs == DRAFT_ROWS_MAX || dr->n_rows + n > dr->rows_max ||
        !take_blocks(dr, l, &q->draft, end)) {
        q->guesser.found_len = q->n_draft; // it ends here
        return;
    }
    for (uint32_t p = q->draft.n_done; p < end; p++)
        add_row(dr, q, p, p + 1 < end ? NULL : dr->logits + dr->n_jobs * padded(dr->n_vocab));
    dr->jobs[dr->n_jobs++] = j;
}

static void draw_guess(struct drafter *dr, uint32_t i)
{
    struct engine_job *j = dr->jobs[i];
    struct sequence *q = &j->seq;
    const struct sample_task t = {j, dr->logits + i * padded(dr->n_vocab),
                                  q->n_tokens + q->n_draft - 1};
    int32_t token = sample_draw(&t, &dr->scheduler->sampling[0]);
    q->draft.n_done = q->n_tokens + q->n_draft;
    if (token < 0)
        q->guesser.found_len = q->n_draft;
    else
        q->tokens[q->n_tokens + q->n_draft++] = token;
}

void drafter_guess(struct drafter *dr, const struct lane *l, struct step *s, uint32_t rounds)
{
    for (uint32_t round = 0; round < rounds; round++) {
        begin(dr);
        for (uint32_t i = 0; i < s->n_turn; i++) {
            struct sequence *q = &s->turn[i]->seq;
            if (q->guesser.found_len <= round || q->n_draft != round)
                continue;
            sequence_reserve(q, q->n_tokens + rounds);
            add_job(dr, l, s->turn[i]);
        }
        if (dr->n_jobs == 0 || !compute(dr))
            return;
        for (uint32_t i = 0; i < dr->n_jobs; i++)
            draw_guess(dr, i);
    }
}
