// The promise of the engine: a row's logits are the same bits alone and in a batch, in one piece
// and in chunks, on any number of threads and any instruction set, for every weight type and
// architecture. (digest_test.c holds all machines to the same bits.)
// REQ: ENG-2 ENG-4 ENG-5 ENG-6
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/kernel/kernel.h"
#include "support/made_model.h"
#include "support/unit.h"

#define LENGTH    37 // positions looked at
#define SEQUENCES 32

static const char *const ARCHES[] = {"gpt2", "llama", "qwen2", "qwen3"};
static const enum tensor_type TYPES[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                         TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                         TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};

static float *logits_alloc(const struct made_model *m, size_t rows)
{
    return mem_array(rows, m->n_vocab * sizeof(float));
}

// Logits of all LENGTH positions of a text, in chunks of `chunk`.
static float *in_chunks(struct made_model *m, size_t text, size_t chunk)
{
    float *out = logits_alloc(m, LENGTH);
    struct model_row rows[LENGTH];
    for (size_t at = 0; at < LENGTH; at += chunk) {
        size_t n = min_size(chunk, LENGTH - at);
        for (size_t i = 0; i < n; i++)
            rows[i] = made_row(m, 0, text, at + i, out + (at + i) * m->n_vocab);
        assert_int_equal(model_forward(m->model, m->pool, rows, n, NULL), ERR_OK);
    }
    return out;
}

static void check_chunks(struct made_model *m, const float *want, const char *what)
{
    static const size_t CHUNKS[] = {1, 7, 16, LENGTH};
    for (size_t i = 0; i < ARRAY_LEN(CHUNKS); i++) {
        float *got = in_chunks(m, 0, CHUNKS[i]);
        if (memcmp(got, want, LENGTH * m->n_vocab * sizeof *got) != 0)
            fail_msg("%s: chunks of %zu change the logits", what, CHUNKS[i]);
        mem_free(got);
    }
}

// `batch` sequences side by side, each at its own position: sequence s is s positions behind the
// first. Half of them say what text 0 says.
static void check_batch(struct made_model *m, const float *want, size_t batch, const char *what)
{
    float *got = logits_alloc(m, batch);
    struct model_row rows[SEQUENCES];
    for (size_t step = 0; step < LENGTH; step++) {
        size_t n = 0;
        for (size_t s = 0; s < batch && s <= step; s++, n++)
            rows[n] = made_row(m, s, s % 2 ? s : 0, step - s, got + s * m->n_vocab);
        assert_int_equal(model_forward(m->model, m->pool, rows, n, NULL), ERR_OK);
        for (size_t s = 0; s < n; s += 2)
            if (memcmp(got + s * m->n_vocab, want + (step - s) * m->n_vocab,
                       m->n_vocab * sizeof *got) != 0)
                fail_msg("%s: position %zu in a batch of %zu differs", what, step - s, n);
    }
    mem_free(got);
}

// Prompts of three sequences, cut anyhow and mixed with each other and with single rows.
static void check_mixture(struct made_model *m, const float *want, const char *what)
{
    float *got = logits_alloc(m, 1);
    size_t at[3] = {0, 0, 0};
    for (size_t turn = 0; at[0] < LENGTH; turn++) {
        struct model_row rows[3 * 24];
        size_t n = 0, last = 0;
        for (size_t s = 0; s < 3; s++)
            for (size_t i = 0; i < (turn * 5 + s * 9) % 24 + 1 && at[s] < LENGTH; i++) {
                rows[n++] = made_row(m, s, s, at[s]++, NULL);
                last = s == 0 ? n - 1 : last;
            }
        rows[last].logits = got;
        assert_int_equal(model_forward(m->model, m->pool, rows, n, NULL), ERR_OK);
        if (memcmp(got, want + (at[0] - 1) * m->n_vocab, m->n_vocab * sizeof *got) != 0)
            fail_msg("%s: mixed prompts change position %zu", what, at[0] - 1);
    }
    mem_free(got);
}

// Many rows at once, so that threads take slices of them alone: the cuts fall anywhere in the
// sequences.
static void check_slices(struct made_model *m, const float *want, const char *what)
{
    enum { TEXTS = 8, MANY = TEXTS * LENGTH };
    float *got = logits_alloc(m, MANY);
    struct model_row rows[MANY];
    for (size_t i = 0; i < MANY; i++) {
        size_t s = i / LENGTH;
        rows[i] = made_row(m, s, s % 2 ? s : 0, i % LENGTH, got + i * m->n_vocab);
    }
    assert_int_equal(model_forward(m->model, m->pool, rows, MANY, NULL), ERR_OK);
    for (size_t s = 0; s < TEXTS; s += 2)
        if (memcmp(got + s * LENGTH * m->n_vocab, want, LENGTH * m->n_vocab * sizeof *got) != 0)
            fail_msg("%s: sequence %zu of %d at once differs", what, s, TEXTS);
    mem_free(got);
}

// A stage ends when its time is up: now at once, now never, now by chance.
static uint64_t any_deadline(size_t turn)
{
    static const uint64_t LATER_US[] = {0, 5, 20, 80};
    return turn % 7 == 6 ? UINT64_MAX : clock_mono_us() + LATER_US[turn % ARRAY_LEN(LATER_US)];
}

// Rows of sequence 0 in stages; after each call the sequence beside it goes on by one row.
static void check_stages(struct made_model *m, const float *want, size_t chunk, const char *what)
{
    size_t row_bytes = m->n_vocab * sizeof(float), turn = 0, other = 0;
    float *got = logits_alloc(m, LENGTH), *beside = logits_alloc(m, 1);
    struct model_row rows[LENGTH];
    for (size_t at = 0; at < LENGTH; at += chunk) {
        size_t n = min_size(chunk, LENGTH - at);
        for (size_t i = 0; i < n; i++)
            rows[i] = made_row(m, 0, 0, at + i, got + (at + i) * m->n_vocab);
        for (uint32_t stage = 0; stage != MODEL_STAGE_DONE; turn++) {
            assert_int_equal(
                model_forward_until(m->model, m->pool, rows, n, any_deadline(turn), &stage, NULL),
                ERR_OK);
            if (other == LENGTH)
                continue;
            struct model_row row = made_row(m, 1, 0, other, beside);
            assert_int_equal(model_forward(m->model, m->pool, &row, 1, NULL), ERR_OK);
            if (memcmp(beside, want + other++ * m->n_vocab, row_bytes) != 0)
                fail_msg("%s: position %zu beside a pass in stages differs", what, other - 1);
        }
    }
    if (memcmp(got, want, LENGTH * row_bytes) != 0)
        fail_msg("%s: stages of chunks of %zu change the logits", what, chunk);
    mem_free(got);
    mem_free(beside);
}

// The best backend is taken through everything; the others are held to the same bits by the digests
// and a mixture.
static void check_backend(const struct made_file *f, const char *kv_type, const char *isa,
                          size_t threads, bool thorough, const float *want, const char *what)
{
    struct made_model m;
    char name[96];
    snprintf(name, sizeof name, "%s, %s, %zu threads", what, isa, threads);
    made_model_init(&m, f, isa, threads, SEQUENCES, &(struct model_options){.kv_type = kv_type});
    check_mixture(&m, want, name);
    if (thorough || threads > 2) {
        check_slices(&m, want, name);
        check_stages(&m, want, threads == 2 ? LENGTH : 16, name);
    }
    if (thorough) {
        check_chunks(&m, want, name);
        check_batch(&m, want, 2, name);
        check_batch(&m, want, 8, name);
        check_batch(&m, want, SEQUENCES, name);
    }
    made_model_done(&m);
}

static void check_file(const struct made_file *f, const char *kv_type, const char *what)
{
    struct made_model m;
    const char *best = kernel_at(0)->name;
    made_model_init(&m, f, best, 1, 1, &(struct model_options){.kv_type = kv_type});
    float *want = in_chunks(&m, 0, 1);
    made_model_done(&m);
    check_backend(f, kv_type, best, 1, true, want, what);
    check_backend(f, kv_type, best, 2, true, want, what);
    check_backend(f, kv_type, best, 5, false, want, what);
    for (size_t k = 1; kernel_at(k); k++)
        check_backend(f, kv_type, kernel_at(k)->name, 2, false, want, what);
    mem_free(want);
}

static void logits_are_the_same_bits_however_computed(void **state)
{
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(TYPES); t++)
        for (size_t a = 0; a < ARRAY_LEN(ARCHES); a++) {
            if (a >= 2 && TYPES[t] != TENSOR_F32 && TYPES[t] != TENSOR_Q8_0)
                continue; // the other llamas differ from llama in steps, not in products
            struct made_file f;
            char what[64];
            snprintf(what, sizeof what, "%s %s", ARCHES[a], tensor_type_name(TYPES[t]));
            made_file_init(&f, ARCHES[a], TYPES[t], a % 2 == 0);
            check_file(&f, NULL, what);
            made_file_done(&f);
        }
}

static void keys_and_values_in_eight_bits_are_exact_too(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        struct made_file f;
        char what[64];
        snprintf(what, sizeof what, "%s Q8_0, KV in q8_0", ARCHES[a]);
        made_file_init(&f, ARCHES[a], TENSOR_Q8_0, true);
        check_file(&f, "q8_0", what);
        made_file_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_the_same_bits_however_computed),
        cmocka_unit_test(keys_and_values_in_eight_bits_are_exact_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
