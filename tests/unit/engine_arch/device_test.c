// A model on a GPU computes the bits that are recorded for every machine, however its rows are cut
// into passes: on the machine of tests/ptx, which runs the very code that the program carries.
// REQ: ENG-12 ENG-6
// ctest: long
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "support/digests.h"
#include "support/made_digests.h"
#include "support/made_model.h"
#include "support/ptx_driver.h"
#include "support/unit.h"

#define LENGTH 37 // positions looked at

static const struct model_options ON_GPU = {.device = "cuda"};

static void forward(struct made_model *m, struct model_row *rows, size_t n)
{
    assert_int_equal(model_forward(m->model, m->pool, rows, n, NULL), ERR_OK);
}

// Logits of a text's first LENGTH positions, in chunks of `chunk`.
static float *in_chunks(struct made_model *m, size_t sequence, size_t chunk)
{
    float *out = mem_array(LENGTH, m->n_vocab * sizeof *out);
    struct model_row rows[LENGTH];
    for (size_t at = 0; at < LENGTH; at += chunk) {
        size_t n = min_size(chunk, LENGTH - at);
        for (size_t i = 0; i < n; i++)
            rows[i] = made_row(m, sequence, 0, at + i, out + (at + i) * m->n_vocab);
        forward(m, rows, n);
    }
    return out;
}

static void logits_have_the_recorded_digests(void **state)
{
    (void)state;
    struct buf lines;
    buf_init(&lines, 64u << 10);
    made_digests(NULL, &ON_GPU, &lines);
    assert_true(digests_are_recorded(MADE_DIGESTS_FILE, "the GPU's code", &lines));
    buf_done(&lines);
}

static void check_schedules(const char *arch, enum tensor_type type, bool tied)
{
    static const size_t CHUNKS[] = {1, 7, LENGTH};
    struct made_file f;
    struct made_model here, there;
    made_file_init(&f, arch, type, tied);
    made_model_init(&here, &f, NULL, 1, 2, NULL);
    made_model_init(&there, &f, NULL, 1, 2, &ON_GPU);
    assert_string_equal(model_isa(there.model), "cuda");
    float *want = in_chunks(&here, 0, LENGTH);
    for (size_t i = 0; i < ARRAY_LEN(CHUNKS); i++) {
        float *got = in_chunks(&there, i % 2, CHUNKS[i]);
        if (memcmp(got, want, LENGTH * here.n_vocab * sizeof *got) != 0)
            fail_msg("%s %s in chunks of %zu: other bits", arch, tensor_type_name(type), CHUNKS[i]);
        mem_free(got);
    }
    for (size_t i = 0; i < MADE_BLOCKS; i++) // far into the pool, which is there alone
        there.blocks[i] += 3000;
    float *far = in_chunks(&there, 0, LENGTH);
    assert_memory_equal(far, want, LENGTH * here.n_vocab * sizeof *far);
    mem_free(far);
    mem_free(want);
    made_model_done(&here);
    made_model_done(&there);
    made_file_done(&f);
}

static void chunks_and_untied_heads_change_nothing(void **state)
{
    (void)state;
    check_schedules("gpt2", TENSOR_F32, true);
    check_schedules("llama", TENSOR_Q8_0, false);
    check_schedules("qwen3", TENSOR_F16, false);
}

// One layer with a window and one without rotation, under YaRN's angles and factor.
static void layers_of_several_kinds_are_the_same_as_here(void **state)
{
    static const uint8_t KINDS[] = {LAYER_WINDOWED, LAYER_UNTURNED};
    (void)state;
    struct made_file f;
    struct made_model plain, here, there;
    made_file_init(&f, "llama", TENSOR_F32, true);
    made_model_init(&plain, &f, NULL, 1, 1, NULL);
    float *other = in_chunks(&plain, 0, LENGTH);
    struct hparams *hp = (struct hparams *)(uintptr_t)model_file_hparams(f.file);
    hp->sliding_window = 9;
    hp->layer_kinds = KINDS;
    hp->rope_scaling = ROPE_SCALING_YARN;
    hp->rope_factor = 4.0f;
    hp->rope_original_ctx = 64;
    hp->yarn = (struct yarn_params){
        .beta_fast = 32.0f, .beta_slow = 1.0f, .whole_dims = true, .attention_times = 1.0f};
    made_model_init(&here, &f, NULL, 1, 1, NULL);
    made_model_init(&there, &f, NULL, 1, 1, &ON_GPU);
    float *want = in_chunks(&here, 0, LENGTH), *got = in_chunks(&there, 0, 5);
    assert_memory_equal(got, want, LENGTH * here.n_vocab * sizeof *got);
    assert_memory_not_equal(other, want, LENGTH * here.n_vocab * sizeof *got);
    mem_free(other);
    mem_free(want);
    mem_free(got);
    made_model_done(&plain);
    made_model_done(&here);
    made_model_done(&there);
    made_file_done(&f);
}

// Many sequences at once, more rows than one pass takes, only some of them wanted, the last states
// too; and a pool that grows meanwhile.
static void a_large_batch_is_the_same_as_here(void **state)
{
    enum { SEQUENCES = 15, N = SEQUENCES * LENGTH };
    (void)state;
    struct made_file f;
    struct made_model m[2];
    float *logits[2], *hidden[2];
    made_file_init(&f, "llama", TENSOR_Q4_0, true);
    for (size_t i = 0; i < 2; i++) {
        static struct model_row rows[N];
        made_model_init(&m[i], &f, NULL, 1, SEQUENCES, i ? &ON_GPU : NULL);
        size_t width = model_hparams(m[i].model)->n_embd;
        float *warm = in_chunks(&m[i], 1, LENGTH);
        mem_free(warm);
        logits[i] = mem_array(N, m[i].n_vocab * sizeof(float));
        hidden[i] = mem_array(N, width * sizeof(float));
        for (size_t r = 0; r < N; r++) {
            rows[r] = made_row(&m[i], r / LENGTH, r / LENGTH, r % LENGTH,
                               r % 3 ? logits[i] + r * m[i].n_vocab : NULL);
            rows[r].hidden = r % 5 == 0 ? hidden[i] + r * width : NULL;
        }
        forward(&m[i], rows, N);
    }
    assert_memory_equal(logits[0], logits[1], N * m[0].n_vocab * sizeof(float));
    assert_memory_equal(hidden[0], hidden[1],
                        N * model_hparams(m[0].model)->n_embd * sizeof(float));
    for (size_t i = 0; i < 2; i++) {
        mem_free(logits[i]);
        mem_free(hidden[i]);
        made_model_done(&m[i]);
    }
    made_file_done(&f);
}

static void a_failing_device_fails_the_pass_and_is_not_a_rows_fault(void **state)
{
    (void)state;
    struct made_file f;
    struct made_model m;
    size_t bad = SIZE_MAX;
    made_file_init(&f, "gpt2", TENSOR_F32, true);
    made_model_init(&m, &f, NULL, 1, 1, &ON_GPU);
    float *logits = mem_array(m.n_vocab, sizeof *logits);
    struct model_row row = made_row(&m, 0, 0, 0, logits);
    static const char *const CALLS[] = {"cuLaunchKernel", "cuMemcpyHtoDAsync_v2", "attention",
                                        "cuStreamSynchronize"};
    for (size_t i = 0; i < ARRAY_LEN(CALLS); i++) {
        setenv("WEIR_PTX_FAIL", CALLS[i], 1);
        assert_int_equal(model_forward(m.model, m.pool, &row, 1, &bad), ERR_IO);
        assert_true(bad == SIZE_MAX);
    }
    unsetenv("WEIR_PTX_FAIL");
    assert_int_equal(model_forward(m.model, m.pool, &row, 1, &bad), ERR_OK);
    mem_free(logits);
    made_model_done(&m);
    made_file_done(&f);
}

static void open_with(const struct made_file *f, const struct model_options *o, enum err want,
                      const char *words)
{
    struct team *team;
    struct model *m;
    struct diag d = {0};
    assert_int_equal(team_new(1, &team, &d), ERR_OK);
    assert_int_equal(model_open(f->file, o, team, &m, &d), want);
    if (want == ERR_OK)
        model_free(m);
    else
        assert_non_null(strstr(d.text, words));
    team_free(team);
}

static void what_cannot_be_had_is_refused_in_words(void **state)
{
    (void)state;
    struct made_file f;
    made_file_init(&f, "llama", TENSOR_Q8_0, true);
    const struct model_options checked = {.device = "cuda", .device_check = true};
    open_with(&f, &(struct model_options){.device = "cpu"}, ERR_OK, NULL);
    open_with(&f, &(struct model_options){.device = "tpu"}, ERR_INVALID, "cuda:N");
    open_with(&f, &(struct model_options){.device = "cuda:3"}, ERR_NOT_FOUND, "no GPU 3");
    setenv("WEIR_PTX_UNFUSED", "1", 1);
    open_with(&f, &checked, ERR_UNSUPPORTED, "other bits");
    unsetenv("WEIR_PTX_UNFUSED");
    open_with(&f, &checked, ERR_OK, NULL);
    setenv("WEIR_PTX_MEMORY", "1000000", 1);
    open_with(&f, &ON_GPU, ERR_NOMEM, "smaller model");
    unsetenv("WEIR_PTX_MEMORY");
    made_file_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_have_the_recorded_digests),
        cmocka_unit_test(chunks_and_untied_heads_change_nothing),
        cmocka_unit_test(layers_of_several_kinds_are_the_same_as_here),
        cmocka_unit_test(a_large_batch_is_the_same_as_here),
        cmocka_unit_test(a_failing_device_fails_the_pass_and_is_not_a_rows_fault),
        cmocka_unit_test(what_cannot_be_had_is_refused_in_words),
    };
    ptx_driver_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
