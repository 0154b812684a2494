#include "cli/gpu_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/thread.h"
#include "engine/arch/model.h"
#include "engine/kernel/team.h"

#include "base/banned.h"

enum { SIDES = 2, SCORED_ROWS = 32, REPEAT_MAX = 100 };

struct side {
    struct model *model;
    uint8_t *pool;
    float *logits; // of SCORED_ROWS rows
};

struct compare {
    const struct hparams *hp;
    const struct gpu_compare_options *o;
    struct gpu_comparison *result;
    struct side sides[SIDES];
    uint32_t *blocks;
    struct model_row *rows;
    size_t prompt;
};

static int32_t token_at(const struct compare *c, size_t position)
{
    return (int32_t)(random_counter(3, 1, position) % c->hp->n_vocab);
}

// Rows [from, from + n) of the text; the last `scored` of them with logits.
static enum err forward(struct compare *c, const struct side *s, size_t from, size_t n,
                        size_t scored, struct diag *d)
{
    size_t bad;
    for (size_t i = 0; i < n; i++)
        c->rows[i] = (struct model_row){
            .token = token_at(c, from + i),
            .position = (uint32_t)(from + i),
            .blocks = c->blocks,
            .logits = i + scored < n ? NULL : s->logits + (i + scored - n) * c->hp->n_vocab,
        };
    enum err e = model_forward(s->model, s->pool, c->rows, n, &bad);
    return e == ERR_OK ? ERR_OK : diag_set(d, e, "the model does not compute (%s)", err_name(e));
}

// --- The same bits?

static void compare_logits(struct compare *c, size_t rows)
{
    const float *a = c->sides[0].logits, *b = c->sides[1].logits;
    struct gpu_comparison *r = c->result;
    size_t n = rows * c->hp->n_vocab;
    for (size_t i = 0; i < n; i++) {
        double apart = (double)a[i] - (double)b[i];
        apart = apart < 0 ? -apart : apart;
        // The bits are compared on purpose: equal numbers would not do.
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        r->different += memcmp(&a[i], &b[i], sizeof *a) != 0;
        r->largest = apart > r->largest ? apart : r->largest;
    }
    r->logits += n;
}

// The whole prompt at once, then token by token.
static enum err compare_all(struct compare *c, struct diag *d)
{
    size_t scored = min_size(c->prompt, SCORED_ROWS);
    for (size_t s = 0; s < SIDES; s++)
        ERR_TRY(forward(c, &c->sides[s], 0, c->prompt, scored, d));
    compare_logits(c, scored);
    for (size_t i = 0; i < c->o->tokens; i++) {
        for (size_t s = 0; s < SIDES; s++)
            ERR_TRY(forward(c, &c->sides[s], c->prompt + i, 1, 1, d));
        compare_logits(c, 1);
    }
    return ERR_OK;
}

// --- How long?

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static enum err time_side(struct compare *c, size_t side, struct diag *d)
{
    double prompt[REPEAT_MAX] = {0}, token[REPEAT_MAX] = {0};
    size_t n = c->o->repeat;
    for (size_t r = 0; r < n; r++) {
        uint64_t start = clock_mono_ns();
        ERR_TRY(forward(c, &c->sides[side], 0, c->prompt, 1, d));
        uint64_t middle = clock_mono_ns();
        for (size_t i = 0; i < c->o->tokens; i++)
            ERR_TRY(forward(c, &c->sides[side], c->prompt + i, 1, 1, d));
        prompt[r] = (double)(middle - start) / 1e9;
        token[r] = (double)(clock_mono_ns() - middle) / 1e9 / (double)c->o->tokens;
    }
    qsort(prompt, n, sizeof *prompt, by_value);
    qsort(token, n, sizeof *token, by_value);
    c->result->prompt_s[side] = prompt[n / 2];
    c->result->token_s[side] = token[n / 2];
    return ERR_OK;
}

// --- Both sides

static enum err open_sides(struct compare *c, const struct model_file *f, struct team *team,
                           struct diag *d)
{
    const struct model_options on_gpu = {.device = c->o->device};
    ERR_TRY(model_open(f, NULL, team, &c->sides[0].model, d));
    uint64_t start = clock_mono_ns();
    ERR_TRY(model_open(f, &on_gpu, team, &c->sides[1].model, d));
    c->result->load_s = (double)(clock_mono_ns() - start) / 1e9;
    size_t blocks = (c->prompt + c->o->tokens) / KV_BLOCK_POSITIONS + 1;
    c->blocks = mem_array(blocks, sizeof *c->blocks);
    c->rows = mem_array(c->prompt, sizeof *c->rows);
    for (size_t i = 0; i < blocks; i++)
        c->blocks[i] = (uint32_t)i;
    for (size_t s = 0; s < SIDES; s++)
        c->sides[s].logits = mem_array(SCORED_ROWS, c->hp->n_vocab * sizeof(float));
    c->sides[0].pool = mem_aligned(64, blocks * model_kv_block_bytes(c->sides[0].model));
    snprintf(c->result->isa, sizeof c->result->isa, "%s", model_isa(c->sides[0].model));
    return ERR_OK;
}

enum err gpu_compare(const struct model_file *f, const struct gpu_compare_options *o,
                     struct gpu_comparison *ret, struct diag *d)
{
    struct compare c = {.hp = model_file_hparams(f), .o = o, .result = ret};
    size_t room = c.hp->n_ctx > o->tokens ? c.hp->n_ctx - o->tokens : 1;
    struct team *team;
    ASSERT(o->repeat >= 1 && o->repeat <= REPEAT_MAX && o->tokens >= 1 && o->prompt_tokens >= 1);
    c.prompt = min_size(o->prompt_tokens, room);
    *ret = (struct gpu_comparison){.threads = o->threads ? o->threads : thread_cpu_count(),
                                   .prompt_tokens = c.prompt};
    ERR_TRY(team_new(ret->threads, &team, d));
    enum err e = open_sides(&c, f, team, d);
    if (e == ERR_OK)
        e = compare_all(&c, d);
    for (size_t s = 0; s < SIDES && e == ERR_OK; s++)
        e = time_side(&c, s, d);
    for (size_t s = 0; s < SIDES; s++) {
        model_free(c.sides[s].model);
        mem_free(c.sides[s].pool);
        mem_free(c.sides[s].logits);
    }
    mem_free(c.blocks);
    mem_free(c.rows);
    team_free(team);
    return e;
}
