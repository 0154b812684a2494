#include "support/fake_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/arch/model.h"
#include "engine/kernel/team.h"

#include "base/banned.h"

struct slot {
    uint64_t history;
    int32_t token;
    uint32_t position;
};

static struct fake_model fake;

struct fake_model *fake_model_reset(void)
{
    fake = (struct fake_model){.n_vocab = 300,
                               .n_ctx = 512,
                               .n_embd = 8,
                               .rows_max = 256,
                               .held_rows_max = 64,
                               .poison_token = -1};
    return &fake;
}

struct fake_model *fake_model_config(void)
{
    return &fake;
}

// --- The oracle

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static uint64_t extend(uint64_t history, int32_t token)
{
    return mix(history ^ mix((uint64_t)(uint32_t)token + 1));
}

static uint64_t history_of(const int32_t *tokens, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = extend(h, tokens[i]);
    return h;
}

static float logit(uint64_t history, uint32_t token)
{
    if (token == FAKE_EOS) {
        bool likeliest = fake.eos_one_in && mix(history) % (uint64_t)fake.eos_one_in == 0;
        return likeliest ? 20.0f : -20.0f;
    }
    return (float)(mix(history + token * 0x51ed27ull) >> 40) * 0x1p-20f - 8.0f; // in [-8, 8)
}

static void logits_of(uint64_t history, int32_t last, float *ret_logits)
{
    for (uint32_t t = 0; t < fake.n_vocab; t++)
        ret_logits[t] = logit(history, t);
    ret_logits['a' + (last * 5 + 3) % 26] += fake.habit;
}

void fake_model_logits(const int32_t *tokens, size_t n, float *ret_logits)
{
    logits_of(history_of(tokens, n), n ? tokens[n - 1] : 0, ret_logits);
}

int32_t fake_model_greedy(const int32_t *tokens, size_t n)
{
    uint64_t h = history_of(tokens, n);
    int32_t best = 0;
    for (uint32_t t = 1; t < fake.n_vocab; t++)
        if (logit(h, t) > logit(h, (uint32_t)best))
            best = (int32_t)t;
    return best;
}

static float hidden(uint64_t history, uint32_t dimension)
{
    return (float)(mix(history ^ (0xabcdu + dimension)) >> 40) * 0x1p-23f - 1.0f;
}

float fake_model_hidden(const int32_t *tokens, size_t n, uint32_t dimension)
{
    return hidden(history_of(tokens, n), dimension);
}

// --- engine/arch

struct model {
    struct hparams hparams;
    uint64_t mind; // what its logits depend on beside the history
    bool is_timeless;
    struct model_row held; // the first of the rows that are computed in stages
    uint32_t held_block;
    size_t n_held;
};

enum err model_check(const struct model_file *f, struct diag *d)
{
    (void)f, (void)d;
    return ERR_OK;
}

enum err model_open(const struct model_file *f, const struct model_options *o, struct team *team,
                    struct model **ret, struct diag *d)
{
    (void)o, (void)d;
    ASSERT(team_size(team) > 0);
    struct model *m = mem_new(struct model);
    m->hparams = *model_file_hparams(f);
    m->mind = str_eq_z(m->hparams.arch_name, "fake-draft");
    m->is_timeless = !str_eq_z(m->hparams.arch_name, "fake");
    *ret = m;
    return ERR_OK;
}

void model_free(struct model *m)
{
    mem_free(m);
}

bool model_borrows_file(const struct model *m)
{
    (void)m;
    return true;
}

const struct hparams *model_hparams(const struct model *m)
{
    return &m->hparams;
}

bool model_is_on_device(const struct model *m)
{
    (void)m;
    return false;
}

uint64_t model_kv_room(const struct model *m)
{
    (void)m;
    return UINT64_MAX;
}

const char *model_isa(const struct model *m)
{
    (void)m;
    return "fake";
}

size_t model_weight_bytes(const struct model *m)
{
    (void)m;
    return 0;
}

size_t model_rows_max(const struct model *m)
{
    (void)m;
    return fake.rows_max;
}

size_t model_kv_block_bytes(const struct model *m)
{
    (void)m;
    size_t bytes = KV_BLOCK_POSITIONS * sizeof(struct slot) + fake.block_pad_bytes;
    return (bytes + 63) & ~(size_t)63;
}

static struct slot *slot_at(const struct model *m, uint8_t *pool, const struct model_row *row,
                            uint32_t position)
{
    uint8_t *block = pool + row->blocks[position / KV_BLOCK_POSITIONS] * model_kv_block_bytes(m);
    return (struct slot *)(void *)block + position % KV_BLOCK_POSITIONS;
}

static void check(bool good, const char *what, uint32_t position)
{
    if (good)
        return;
    fprintf(stderr, "fake model: %s at position %u\n", what, position);
    base_assert_failed(what, __FILE__, __LINE__, __func__);
}

static uint64_t run_row(const struct model *m, uint8_t *pool, const struct model_row *row)
{
    uint64_t before = 0;
    check(row->token >= 0 && (uint32_t)row->token < fake.n_vocab, "unknown token", row->position);
    if (row->position > 0) {
        const struct slot *previous = slot_at(m, pool, row, row->position - 1);
        check(previous->position == row->position - 1, "a hole in the history", row->position);
        before = previous->history;
    }
    uint64_t history = extend(before, row->token);
    *slot_at(m, pool, row, row->position) = (struct slot){history, row->token, row->position};
    return history;
}

// A query comes after all rows' keys and values: nobody else may have written into its block.
static void check_block(const struct model *m, uint8_t *pool, const struct model_row *row)
{
    uint32_t first = row->position - row->position % KV_BLOCK_POSITIONS;
    for (uint32_t p = first; p <= row->position; p++)
        check(slot_at(m, pool, row, p)->position == p, "another's history", row->position);
}

static enum err run_rows(const struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                         size_t n_rows, size_t *ret_bad_row)
{
    enum err e = ERR_OK;
    check(n_rows > 0 && n_rows <= fake.rows_max, "the number of rows", (uint32_t)n_rows);
    fake.passes++;
    fake.rows += (uint32_t)n_rows;
    fake.rows_largest = n_rows > fake.rows_largest ? (uint32_t)n_rows : fake.rows_largest;
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t history = run_row(m, kv_pool, &rows[i]);
        for (uint32_t k = 0; rows[i].hidden && k < fake.n_embd; k++)
            rows[i].hidden[k] = hidden(history, k);
        if (!rows[i].logits)
            continue;
        fake.logits_rows++;
        logits_of(history ^ m->mind, rows[i].token, rows[i].logits);
        if (rows[i].token == fake.poison_token) {
            rows[i].logits[7] = NAN;
            fake.poisoned++;
            if (e == ERR_OK && ret_bad_row)
                *ret_bad_row = i;
            e = ERR_INVALID;
        }
    }
    for (size_t i = 0; i < n_rows; i++)
        check_block(m, kv_pool, &rows[i]);
    return e;
}

static void pass_time(const struct model *m, size_t rows, uint32_t part)
{
    long us = (long)((fake.step_us + rows * fake.row_us) / part);
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    if (us && !m->is_timeless)
        nanosleep(&t, NULL);
}

enum err model_forward(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                       size_t n_rows, size_t *ret_bad_row)
{
    enum err e = run_rows(m, kv_pool, rows, n_rows, ret_bad_row);
    pass_time(m, n_rows, 1);
    return e;
}

size_t model_held_rows_max(const struct model *m)
{
    (void)m;
    return fake.held_rows_max;
}

// Rows leave no trace before the last stage, and have the whole pass's effect in it.
enum err model_forward_until(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                             size_t n_rows, uint64_t until_us, uint32_t *stage, size_t *ret_bad_row)
{
    bool begins = *stage == 0;
    check(n_rows > 0 && n_rows <= fake.held_rows_max, "the number of held rows", rows->position);
    check(begins || (n_rows == m->n_held && rows->token == m->held.token &&
                     rows->position == m->held.position && rows->blocks[0] == m->held_block),
          "other rows than are held", rows->position);
    m->held = *rows;
    m->held_block = rows->blocks[0];
    m->n_held = n_rows;
    while (*stage + 1 < FAKE_STAGES) {
        ++*stage;
        fake.stages++;
        pass_time(m, n_rows, FAKE_STAGES);
        if (clock_mono_us() >= until_us)
            return ERR_OK;
    }
    *stage = MODEL_STAGE_DONE;
    pass_time(m, n_rows, FAKE_STAGES);
    return run_rows(m, kv_pool, rows, n_rows, ret_bad_row);
}

const char *model_kv_type(const struct model *m)
{
    (void)m;
    return "f32";
}

bool model_kv_is_usual(const struct model *m)
{
    (void)m;
    return true;
}
