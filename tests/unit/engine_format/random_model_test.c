// Models made in memory open, and say what they were made with: the other rooms' tests stand on
// them.
// REQ: ENG-1 ENG-2
#include <string.h>

#include "engine/format/model_file.h"
#include "support/random_model.h"
#include "support/unit.h"

static void make(const struct random_model *m, struct buf *image, struct model_file **ret)
{
    struct diag d;
    char text[600];
    buf_init(image, 64 << 20);
    random_model_image(m, image);
    if (model_file_from_memory(buf_str(image), ret, &d) != ERR_OK)
        fail_msg("%s", diag_format(&d, text, sizeof text));
}

static void tiny_models_of_each_architecture_open(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        enum model_arch kind;
        enum rope_kind rope;
        const char *has;
    } cases[] = {
        {"gpt2", ARCH_GPT2, ROPE_NONE, "blk.1.attn_qkv.bias"},
        {"llama", ARCH_LLAMA, ROPE_NORM, "blk.1.ffn_gate.weight"},
        {"qwen2", ARCH_LLAMA, ROPE_NEOX, "blk.1.attn_k.bias"},
        {"qwen3", ARCH_LLAMA, ROPE_NEOX, "blk.1.attn_q_norm.weight"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct random_model m;
        struct buf image;
        struct model_file *f;
        random_model_tiny(cases[i].arch, &m);
        make(&m, &image, &f);
        const struct hparams *h = model_file_hparams(f);
        assert_int_equal(h->arch, cases[i].kind);
        assert_int_equal(h->rope, cases[i].rope);
        assert_int_equal(h->n_layer, 2);
        assert_int_equal(h->head_dim, 16);
        assert_int_equal(h->n_head_kv, m.n_head_kv);
        assert_int_equal(h->n_vocab, model_file_vocab(f)->n_tokens);
        assert_true(h->tied_head);
        assert_int_equal(h->qk_norm, strcmp(cases[i].arch, "qwen3") == 0);
        assert_non_null(model_file_tensor(f, cases[i].has));
        model_file_free(f);
        buf_done(&image);
    }
}

static void same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    struct random_model m;
    struct buf a, b;
    random_model_tiny("llama", &m);
    m.type = TENSOR_Q8_0;
    buf_init(&a, 64 << 20);
    buf_init(&b, 64 << 20);
    random_model_image(&m, &a);
    random_model_image(&m, &b);
    assert_true(str_eq(buf_str(&a), buf_str(&b)));
    buf_clear(&b);
    m.seed++;
    random_model_image(&m, &b);
    assert_false(str_eq(buf_str(&a), buf_str(&b)));
    buf_done(&a);
    buf_done(&b);
}

static void every_type_can_be_made_and_read(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                             TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                             TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct random_model m;
        struct buf image;
        struct model_file *f;
        float row[256];
        double squares = 0;
        random_model_tiny("gpt2", &m);
        m.n_embd = m.n_ff = 256;
        m.type = types[i];
        make(&m, &image, &f);
        const struct tensor *t = model_file_tensor(f, "blk.0.ffn_up.weight");
        assert_int_equal(t->type, types[i]);
        for (uint64_t r = 0; r < 64; r++) {
            assert_int_equal(tensor_row_f32(t, r, row), ERR_OK);
            for (size_t j = 0; j < 256; j++)
                squares += (double)row[j] * (double)row[j];
        }
        double variance = squares / (64 * 256); // made as 1 / 256
        assert_true(variance > 0.9 / 256 && variance < 1.1 / 256);
        model_file_free(f);
        buf_done(&image);
    }
}

static void head_and_vocabulary_follow_the_wish(void **state)
{
    (void)state;
    struct random_model m;
    struct buf image;
    struct model_file *f;
    random_model_tiny("llama", &m);
    m.tied_head = false;
    m.head_dim = 24;
    m.vocab_kind = VOCAB_NONE;
    m.n_vocab = 1000;
    m.chat_template = NULL;
    make(&m, &image, &f);
    assert_false(model_file_hparams(f)->tied_head);
    assert_int_equal(model_file_hparams(f)->head_dim, 24);
    assert_int_equal(model_file_hparams(f)->rope_dims, 24);
    assert_int_equal(model_file_hparams(f)->n_vocab, 1000);
    assert_int_equal(model_file_vocab(f)->kind, VOCAB_NONE);
    model_file_free(f);
    buf_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_models_of_each_architecture_open),
        cmocka_unit_test(same_seed_gives_the_same_bytes),
        cmocka_unit_test(every_type_can_be_made_and_read),
        cmocka_unit_test(head_and_vocabulary_follow_the_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
