// Opening models, and what a forward pass promises beside exactness: refusals that name the tensor,
// rows out of range, numbers that are not finite, windows, hidden states.
// REQ: ENG-1 ENG-2 ENG-11
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/panel.h"
#include "support/made_model.h"
#include "support/unit.h"

#define LENGTH 40

// The image is ours to change.
static void replace(struct made_file *f, const char *old, const char *new)
{
    ASSERT(strlen(old) == strlen(new));
    size_t at = str_find(buf_str(&f->image), str_of(old));
    ASSERT(at != SIZE_MAX);
    memcpy(buf_ptr(&f->image) + at, new, strlen(new));
}

static uint8_t *tensor_bytes(struct made_file *f, const char *name)
{
    const struct tensor *t = model_file_tensor(f->file, name);
    assert_non_null(t);
    return (uint8_t *)buf_ptr(&f->image) + (t->data - (const uint8_t *)buf_ptr(&f->image));
}

static struct hparams *hparams_of(const struct made_file *f)
{
    return (struct hparams *)(uintptr_t)model_file_hparams(f->file);
}

static void refused(const struct made_file *f, const struct model_options *o, enum err want,
                    const char *names)
{
    struct team *team;
    struct model *m = NULL;
    struct diag d = {0};
    assert_int_equal(team_new(1, &team, &d), ERR_OK);
    assert_int_equal(model_open(f->file, o, team, &m, &d), want);
    assert_null(m);
    if (!strstr(d.text, names))
        fail_msg("\"%s\" does not name \"%s\"", d.text, names);
    team_free(team);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    struct made_file f;
    made_file_init(&f, "llama", TENSOR_F32, true);
    model_file_free(f.file);
    struct diag d = {0};
    replace(&f, "blk.1.ffn_down.weight", "blk.1.ffn_dawn.weight");
    assert_int_equal(model_file_from_memory(buf_str(&f.image), &f.file, &d), ERR_OK);
    refused(&f, NULL, ERR_NOT_FOUND, "blk.1.ffn_down.weight");
    made_file_done(&f);
}

static void a_wrong_shape_is_named_with_what_was_expected(void **state)
{
    (void)state;
    struct made_file f;
    made_file_init(&f, "llama", TENSOR_Q8_0, false);
    struct hparams *hp = hparams_of(&f);
    hp->n_ff += 32;
    refused(&f, NULL, ERR_INVALID, "blk.0.ffn_gate.weight is 64 x 192 x 1 x 1");
    hp->n_ff -= 32;
    hp->n_vocab -= 1;
    refused(&f, NULL, ERR_INVALID, "token_embd.weight");
    hp->n_vocab += 1;
    hp->head_dim = 32;
    refused(&f, NULL, ERR_INVALID, "blk.0.attn_q.weight");
    made_file_done(&f);
    made_file_init(&f, "gpt2", TENSOR_F32, true);
    hparams_of(&f)->n_ctx = 100;
    refused(&f, NULL, ERR_INVALID, "position_embd.weight");
    made_file_done(&f);
}

static void absurd_hyper_parameters_are_refused(void **state)
{
    (void)state;
    struct made_file f;
    made_file_init(&f, "llama", TENSOR_F32, true);
    const struct hparams good = *hparams_of(&f);
    struct hparams *hp = hparams_of(&f);
    hp->n_layer = 1u << 20;
    refused(&f, NULL, ERR_INVALID, "1048576 layers");
    *hp = good;
    hp->n_head_kv = 3;
    refused(&f, NULL, ERR_INVALID, "4 query heads over 3");
    *hp = good;
    hp->rope_dims = 18;
    refused(&f, NULL, ERR_INVALID, "18 of them rotated");
    *hp = good;
    hp->rope_base = 0x1p-126f;
    refused(&f, NULL, ERR_INVALID, "rotary");
    *hp = good;
    made_file_done(&f);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct made_file f;
    made_file_init(&f, "gpt2", TENSOR_F32, true);
    refused(&f, &(struct model_options){.isa = "avx1024"}, ERR_UNSUPPORTED, "portable");
    refused(&f, &(struct model_options){.kv_type = "q1"}, ERR_INVALID, "q1");
    refused(&f, &(struct model_options){.kv_type = "q8_0", .device = "cuda"}, ERR_UNSUPPORTED,
            "the GPU keeps them");
    made_file_done(&f);
}

static void the_kv_type_follows_the_weights(void **state)
{
    (void)state;
    struct made_file f32, q8;
    struct made_model m;
    made_file_init(&f32, "llama", TENSOR_F32, true);
    made_file_init(&q8, "llama", TENSOR_Q8_0, true);
    const struct hparams *hp = model_file_hparams(f32.file);
    size_t values = 2u * hp->n_layer * hp->n_head_kv * hp->head_dim * KV_BLOCK_POSITIONS;
    made_model_init(&m, &f32, NULL, 1, 1, NULL);
    assert_int_equal(model_kv_block_bytes(m.model), values * 4);
    made_model_done(&m);
    made_model_init(&m, &q8, NULL, 1, 1, NULL);
    assert_int_equal(model_kv_block_bytes(m.model), values * 2);
    made_model_done(&m);
    made_model_init(&m, &f32, NULL, 1, 1, &(struct model_options){.kv_type = "f16"});
    assert_int_equal(model_kv_block_bytes(m.model), values * 2);
    assert_false(model_kv_is_usual(m.model));
    made_model_done(&m);
    made_model_init(&m, &q8, NULL, 1, 1, &(struct model_options){.kv_type = "q8_0"});
    // Heads of 16 have a scale of four bytes for 16 values; wider ones, for 32.
    assert_int_equal(model_kv_block_bytes(m.model), values + values / 16 * 4);
    assert_string_equal(model_kv_type(m.model), "q8_0");
    made_model_done(&m);
    made_file_done(&f32);
    made_file_done(&q8);
}

static void rows_out_of_range_are_refused(void **state)
{
    (void)state;
    struct made_file f;
    struct made_model m;
    made_file_init(&f, "gpt2", TENSOR_F32, true);
    made_model_init(&m, &f, NULL, 1, 1, NULL);
    struct model_row rows[2] = {made_row(&m, 0, 0, 0, NULL), made_row(&m, 0, 0, 1, NULL)};
    size_t bad = 9;
    rows[1].token = (int32_t)m.n_vocab;
    assert_int_equal(model_forward(m.model, m.pool, rows, 2, &bad), ERR_INVALID);
    assert_int_equal(bad, 1);
    rows[0].token = -1;
    assert_int_equal(model_forward(m.model, m.pool, rows, 2, &bad), ERR_INVALID);
    assert_int_equal(bad, 0);
    rows[0].token = rows[1].token = 0;
    rows[1].position = model_hparams(m.model)->n_ctx;
    assert_int_equal(model_forward(m.model, m.pool, rows, 2, &bad), ERR_INVALID);
    assert_int_equal(bad, 1);
    made_model_done(&m);
    made_file_done(&f);
}

// A token whose embedding is not finite spoils its own row and those after it, no other sequence.
static void a_row_that_is_not_finite_is_named(void **state)
{
    (void)state;
    struct made_file f;
    struct made_model m;
    made_file_init(&f, "llama", TENSOR_F32, false);
    float *embedding = (float *)(void *)tensor_bytes(&f, "token_embd.weight");
    embedding[7 * 64 + 5] = INFINITY;
    made_model_init(&m, &f, NULL, 2, 2, NULL);
    float *logits = mem_array(6, m.n_vocab * sizeof *logits);
    struct model_row rows[6];
    for (size_t i = 0; i < 6; i++) {
        rows[i] = made_row(&m, i / 3, i / 3, i % 3, logits + i * m.n_vocab);
        rows[i].token = i == 4 ? 7 : (int32_t)i + 10;
    }
    size_t bad = 99;
    assert_int_equal(model_forward(m.model, m.pool, rows, 6, &bad), ERR_INVALID);
    assert_int_equal(bad, 4);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(kernel_find(NULL)->all_finite(logits + i * m.n_vocab, m.n_vocab), i < 4);
    mem_free(logits);
    made_model_done(&m);
    made_file_done(&f);
}

// In stages too; and rows that are begun anew owe nothing to those that were held.
static void a_pass_in_stages_names_its_bad_row_and_can_be_given_up(void **state)
{
    (void)state;
    struct made_file f;
    struct made_model m;
    made_file_init(&f, "llama", TENSOR_F32, false);
    float *embedding = (float *)(void *)tensor_bytes(&f, "token_embd.weight");
    embedding[7 * 64 + 5] = INFINITY;
    made_model_init(&m, &f, NULL, 2, 1, NULL);
    float *logits = mem_array(2, m.n_vocab * sizeof *logits), *again = logits + m.n_vocab;
    struct model_row rows[3];
    for (size_t i = 0; i < 3; i++)
        rows[i] = made_row(&m, 0, 0, i, i == 2 ? logits : NULL);
    assert_int_equal(model_forward(m.model, m.pool, rows, 3, NULL), ERR_OK);
    uint32_t stage = 0, calls = 0;
    size_t bad = 99;
    rows[2].token = 7;
    rows[2].logits = again;
    enum err e = ERR_OK;
    for (; stage != MODEL_STAGE_DONE && e == ERR_OK; calls++)
        e = model_forward_until(m.model, m.pool, rows, 3, 0, &stage, &bad);
    assert_int_equal(e, ERR_INVALID);
    assert_int_equal(bad, 2);
    assert_int_equal(calls, 2 * model_hparams(m.model)->n_layer + 1);
    stage = 0;
    assert_int_equal(model_forward_until(m.model, m.pool, rows, 3, 0, &stage, NULL), ERR_OK);
    rows[2].token = made_token(&m, 0, 2);
    stage = 0;
    assert_int_equal(model_forward_until(m.model, m.pool, rows, 3, UINT64_MAX, &stage, NULL),
                     ERR_OK);
    assert_int_equal(stage, MODEL_STAGE_DONE);
    assert_memory_equal(again, logits, m.n_vocab * sizeof *logits);
    size_t many = model_held_rows_max(m.model) + 1;
    assert_int_equal(model_forward_until(m.model, m.pool, rows, many, 0, &stage, NULL), ERR_LIMIT);
    mem_free(logits);
    made_model_done(&m);
    made_file_done(&f);
}

static void logits_after(struct made_model *m, int32_t first_token, float *out)
{
    struct model_row rows[LENGTH];
    for (size_t i = 0; i < LENGTH; i++)
        rows[i] = made_row(m, 0, 0, i, NULL);
    rows[0].token = first_token;
    rows[LENGTH - 1].logits = out;
    assert_int_equal(model_forward(m->model, m->pool, rows, LENGTH, NULL), ERR_OK);
}

// Two layers with a window of w reach back 2(w-1) positions and no further.
static void a_window_ends_what_is_seen(void **state)
{
    (void)state;
    for (uint32_t window = 0; window <= 22; window += 11) {
        struct made_file f;
        struct made_model m;
        made_file_init(&f, "llama", TENSOR_F32, true);
        hparams_of(&f)->sliding_window = window;
        made_model_init(&m, &f, NULL, 1, 1, NULL);
        float *a = mem_array(2, m.n_vocab * sizeof *a), *b = a + m.n_vocab;
        logits_after(&m, 11, a);
        logits_after(&m, 12, b);
        bool same = memcmp(a, b, m.n_vocab * sizeof *a) == 0;
        assert_int_equal(same, window == 11);
        mem_free(a);
        made_model_done(&m);
        made_file_done(&f);
    }
}

static void hidden_states_come_with_and_without_logits(void **state)
{
    (void)state;
    struct made_file f;
    struct made_model m;
    made_file_init(&f, "gpt2", TENSOR_Q8_0, true);
    made_model_init(&m, &f, NULL, 2, 1, NULL);
    size_t n = model_hparams(m.model)->n_embd;
    float *both = mem_array(LENGTH, n * sizeof *both), *one = mem_array(1, n * sizeof *one);
    float *logits = mem_array(LENGTH, m.n_vocab * sizeof *logits);
    struct model_row rows[LENGTH];
    for (size_t i = 0; i < LENGTH; i++) {
        rows[i] = made_row(&m, 0, 0, i, i % 3 ? logits + i * m.n_vocab : NULL);
        rows[i].hidden = both + i * n;
    }
    assert_int_equal(model_forward(m.model, m.pool, rows, LENGTH, NULL), ERR_OK);
    for (size_t i = 0; i < LENGTH; i++) {
        struct model_row row = made_row(&m, 0, 0, i, NULL);
        row.hidden = one;
        assert_int_equal(model_forward(m.model, m.pool, &row, 1, NULL), ERR_OK);
        assert_memory_equal(one, both + i * n, n * sizeof *one);
    }
    mem_free(both);
    mem_free(one);
    mem_free(logits);
    made_model_done(&m);
    made_file_done(&f);
}

// What is read back from panels is what the format's own reader makes of the file.
static void a_tied_embedding_is_read_back_from_the_panels(void **state)
{
    (void)state;
    static const enum tensor_type TYPES[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                             TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                             TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};
    for (size_t t = 0; t < ARRAY_LEN(TYPES); t++) {
        struct made_file f;
        struct panels p;
        made_file_init(&f, "llama", TYPES[t], true);
        const struct tensor *w = model_file_tensor(f.file, "blk.0.ffn_up.weight");
        uint32_t rows = (uint32_t)w->dims[1], cols = (uint32_t)w->dims[0];
        assert_int_equal(panels_layout((enum panel_kind)t, rows, cols, &p), ERR_OK);
        p.data = mem_aligned(64, panels_bytes(&p));
        panels_pack(&p, w->data, false, 0, p.n_panels);
        float want[512], got[512];
        for (uint32_t row = 0; row < rows; row++) {
            assert_int_equal(tensor_row_f32(w, row, want), ERR_OK);
            panels_row(&p, row, got);
            for (uint32_t k = 0; k < cols; k++)
                assert_true(fabsf(got[k] - want[k]) <= 1e-6f * fabsf(want[k]));
        }
        mem_free(p.data);
        made_file_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_wrong_shape_is_named_with_what_was_expected),
        cmocka_unit_test(absurd_hyper_parameters_are_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(the_kv_type_follows_the_weights),
        cmocka_unit_test(rows_out_of_range_are_refused),
        cmocka_unit_test(a_row_that_is_not_finite_is_named),
        cmocka_unit_test(a_pass_in_stages_names_its_bad_row_and_can_be_given_up),
        cmocka_unit_test(a_window_ends_what_is_seen),
        cmocka_unit_test(hidden_states_come_with_and_without_logits),
        cmocka_unit_test(a_tied_embedding_is_read_back_from_the_panels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
