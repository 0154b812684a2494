// Real files: every GGUF of the shared models opens and says what models.md says of it.
// REQ: ENG-1 ENG-2 ENG-5
#include <stdio.h>
#include <string.h>

#include "engine/format/model_file.h"
#include "support/shared_data.h"
#include "support/unit.h"

static struct model_file *open_or_skip(const char *relative)
{
    const char *path = shared_data_path(relative);
    struct model_file *f = NULL;
    struct diag d;
    char text[600];
    if (!path) {
        print_message("skipped: %s is not here\n", relative);
        skip();
    }
    if (model_file_open(path, &f, &d) != ERR_OK)
        fail_msg("%s", diag_format(&d, text, sizeof text));
    return f;
}

static void stories260k_has_its_sizes(void **state)
{
    (void)state;
    struct model_file *f = open_or_skip("models/stories260K/stories260K-f32.gguf");
    const struct hparams *h = model_file_hparams(f);
    assert_int_equal(h->arch, ARCH_LLAMA);
    assert_int_equal(h->n_layer, 5);
    assert_int_equal(h->n_embd, 64);
    assert_int_equal(h->n_head, 8);
    assert_int_equal(h->n_head_kv, 4);
    assert_int_equal(h->head_dim, 8);
    assert_int_equal(h->n_ff, 172);
    assert_int_equal(h->n_vocab, 512);
    assert_int_equal(h->n_ctx, 512);
    assert_int_equal(h->rope, ROPE_NORM);
    assert_int_equal(h->rope_dims, 8);
    assert_false(h->tied_head);
    assert_int_equal(model_file_tensor_count(f), 48);
    assert_int_equal(model_file_bytes(f), 1185504);
    const struct vocab *v = model_file_vocab(f);
    assert_int_equal(v->kind, VOCAB_SPM);
    assert_int_equal(v->bos, 1);
    assert_int_equal(v->eos, 2);
    assert_true(v->add_bos && v->add_space_prefix);
    model_file_free(f);
}

static void pilot_has_its_sizes(void **state)
{
    (void)state;
    struct model_file *f = open_or_skip("models/pilot-gpt2-3M/pilot-gpt2-3M-q8_0.gguf");
    const struct hparams *h = model_file_hparams(f);
    assert_int_equal(h->arch, ARCH_GPT2);
    assert_int_equal(h->n_layer, 6);
    assert_int_equal(h->n_vocab, 2048);
    assert_int_equal(h->head_dim, 32);
    assert_int_equal(h->rope, ROPE_NONE);
    assert_true(h->tied_head);
    const struct tensor *t = model_file_tensor(f, "blk.5.ffn_down.weight");
    assert_non_null(t);
    assert_int_equal(t->type, TENSOR_Q8_0);
    assert_int_equal(t->dims[0], 768);
    assert_int_equal(t->dims[1], 192);
    assert_int_equal(t->size_bytes, 192 * 768 / 32 * 34);
    assert_null(model_file_tensor(f, "blk.6.ffn_down.weight"));
    const struct vocab *v = model_file_vocab(f);
    assert_int_equal(v->kind, VOCAB_BPE);
    assert_true(str_eq_z(v->pre, "gpt-2"));
    assert_int_equal(v->eos, 2047);
    assert_false(v->add_bos);
    assert_true(v->chat_template.len > 0);
    model_file_free(f);
}

// The three storage types of one model hold the same numbers up to their precision.
static void types_of_one_model_agree(void **state)
{
    (void)state;
    static const char *const paths[] = {"models/stories3M/stories3M-f32.gguf",
                                        "models/stories3M/stories3M-f16.gguf",
                                        "models/stories3M/stories3M-q8_0.gguf"};
    static const double tolerance[] = {0, 0x1p-10, 0x1p-6};
    float rows[3][512], largest = 0;
    for (size_t i = 0; i < 3; i++) {
        struct model_file *f = open_or_skip(paths[i]);
        const struct tensor *t = model_file_tensor(f, "blk.3.ffn_down.weight");
        assert_int_equal(t->dims[0], 512);
        assert_int_equal(tensor_row_f32(t, 100, rows[i]), ERR_OK);
        assert_int_equal(tensor_row_f32(t, 192, rows[i]), ERR_INVALID);
        model_file_free(f);
    }
    for (size_t j = 0; j < 512; j++)
        largest = __builtin_fmaxf(largest, __builtin_fabsf(rows[0][j]));
    for (size_t i = 1; i < 3; i++)
        for (size_t j = 0; j < 512; j++)
            assert_true(__builtin_fabs((double)rows[i][j] - (double)rows[0][j]) <=
                        tolerance[i] * (double)largest);
}

static void vocabularies_open_without_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum vocab_kind kind;
        uint32_t n_tokens, n_merges;
    } files[] = {
        {"gpt-2", VOCAB_BPE, 50257, 50000},          {"llama-spm", VOCAB_SPM, 32000, 0},
        {"gpt-neox", VOCAB_BPE, 50432, 50009},       {"falcon", VOCAB_BPE, 65024, 64784},
        {"deepseek-llm", VOCAB_BPE, 102400, 99757},  {"starcoder", VOCAB_BPE, 49152, 48872},
        {"deepseek-coder", VOCAB_BPE, 32256, 31757}, {"mpt", VOCAB_BPE, 50432, 50009},
        {"refact", VOCAB_BPE, 49216, 48891},         {"phi-3", VOCAB_SPM, 32064, 0},
        {"baichuan", VOCAB_SPM, 64000, 0},           {"bert-bge", VOCAB_WPM, 30522, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char relative[128];
        snprintf(relative, sizeof relative, "models/ggml-vocab/ggml-vocab-%s.gguf", files[i].name);
        struct model_file *f = open_or_skip(relative);
        const struct vocab *v = model_file_vocab(f);
        assert_int_equal(v->kind, files[i].kind);
        assert_int_equal(v->n_tokens, files[i].n_tokens);
        assert_int_equal(v->n_merges, files[i].n_merges);
        assert_int_equal(model_file_tensor_count(f), 0);
        model_file_free(f);
    }
}

static void fingerprint_is_of_the_file(void **state)
{
    (void)state;
    char first[65];
    struct model_file *f = open_or_skip("models/stories3M/stories3M-f32.gguf");
    assert_int_equal(strlen(model_file_fingerprint(f)), 64);
    snprintf(first, sizeof first, "%s", model_file_fingerprint(f));
    model_file_free(f);
    f = open_or_skip("models/stories3M/stories3M-f32.gguf");
    assert_string_equal(first, model_file_fingerprint(f));
    model_file_free(f);
    f = open_or_skip("models/stories3M/stories3M-f16.gguf");
    assert_string_not_equal(first, model_file_fingerprint(f));
    model_file_free(f);
}

static void metadata_is_listed_in_order(void **state)
{
    (void)state;
    struct model_file *f = open_or_skip("models/stories260K/stories260K-f32.gguf");
    struct arena a;
    str key, value;
    size_t n = 0;
    arena_init(&a, 1 << 20);
    assert_true(model_file_meta(f, 0, &key, &value, &a));
    assert_true(str_eq_z(key, "general.architecture") && str_eq_z(value, "llama"));
    while (model_file_meta(f, n, &key, &value, &a))
        n++;
    assert_int_equal(n, 22);
    arena_done(&a);
    model_file_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories260k_has_its_sizes),
        cmocka_unit_test(pilot_has_its_sizes),
        cmocka_unit_test(types_of_one_model_agree),
        cmocka_unit_test(vocabularies_open_without_tensors),
        cmocka_unit_test(fingerprint_is_of_the_file),
        cmocka_unit_test(metadata_is_listed_in_order),
    };
    if (!shared_data_path("models")) {
        print_message("skipped: the shared models are not here\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
