// Well-formed GGUF files whose hyper-parameters, vocabulary or shapes are absurd or contradict each
// other: each refused by name.
// REQ: ENG-11
#include <math.h>

#include "engine/format/model_file.h"
#include "support/gguf_write.h"
#include "support/unit.h"

// One key of a small llama file and what to do to it.
struct change {
    const char *key;
    enum { LEAVE_OUT, AS_U32, AS_U64, AS_F32, AS_STR, AS_BOOL } how;
    uint64_t u;
    float f;
    const char *s;
    enum err want;
    const char *names;
};

static void fill(void *ctx, uint64_t row, float *out)
{
    const uint64_t *n = ctx;
    for (uint64_t i = 0; i < *n; i++)
        out[i] = (float)(row + i) / 100.0f;
}

static void put_change(struct gguf_write *w, const struct change *c)
{
    if (c->how == AS_U32)
        gguf_write_u32(w, c->key, (uint32_t)c->u);
    else if (c->how == AS_U64)
        gguf_write_u64(w, c->key, c->u);
    else if (c->how == AS_F32)
        gguf_write_f32(w, c->key, c->f);
    else if (c->how == AS_STR)
        gguf_write_str(w, c->key, str_of(c->s));
    else if (c->how == AS_BOOL)
        gguf_write_bool(w, c->key, c->u);
}

// A file of a 2-layer llama with 16 tokens, all keys right but the changed one.
static void build(const struct change *c, struct buf *out)
{
    static const struct {
        const char *key;
        uint32_t u;
    } sizes[] = {{"llama.block_count", 2},          {"llama.embedding_length", 32},
                 {"llama.feed_forward_length", 64}, {"llama.context_length", 128},
                 {"llama.attention.head_count", 4}, {"llama.attention.head_count_kv", 2}};
    static uint64_t dims[] = {32, 16};
    struct gguf_write *w = gguf_write_new();
    const char *changed = c ? c->key : "";
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (strcmp(changed, sizes[i].key) != 0)
            gguf_write_u32(w, sizes[i].key, sizes[i].u);
    if (strcmp(changed, "general.architecture") != 0)
        gguf_write_str(w, "general.architecture", STR("llama"));
    if (strcmp(changed, "llama.attention.layer_norm_rms_epsilon") != 0)
        gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    if (c)
        put_change(w, c);
    gguf_write_tensor(w, "token_embd.weight", TENSOR_F32, 2, dims, fill, dims);
    gguf_write_image(w, out);
    gguf_write_free(w);
}

static void check(const struct buf *image, enum err want, const char *names)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    enum err e = model_file_from_memory(buf_str(image), &f, &d);
    if (e != want || (e != ERR_OK && !strstr(d.text, names)))
        fail_msg("%s: \"%s\" where %s with \"%s\" was due", err_name(e), d.text, err_name(want),
                 names);
    model_file_free(f);
}

static void the_unchanged_file_is_good(void **state)
{
    (void)state;
    struct buf image;
    buf_init(&image, 1 << 20);
    build(NULL, &image);
    check(&image, ERR_OK, "");
    buf_done(&image);
}

static void absurd_hyper_parameters(void **state)
{
    (void)state;
#define U(k, v, n) {.key = (k), .how = AS_U32, .u = (v), .want = ERR_INVALID, .names = (n)}
#define F(k, v, n) {.key = (k), .how = AS_F32, .f = (v), .want = ERR_INVALID, .names = (n)}
#define MISSING(k) {.key = (k), .how = LEAVE_OUT, .want = ERR_INVALID, .names = (k)}
    const struct change cases[] = {
        MISSING("general.architecture"),
        MISSING("llama.block_count"),
        MISSING("llama.embedding_length"),
        MISSING("llama.feed_forward_length"),
        MISSING("llama.context_length"),
        MISSING("llama.attention.head_count"),
        MISSING("llama.attention.layer_norm_rms_epsilon"),
        U("llama.block_count", 0, "layers"),
        U("llama.block_count", 1025, "layers"),
        U("llama.block_count", UINT32_MAX, "layers"),
        U("llama.feed_forward_length", 0, "feed-forward"),
        U("llama.feed_forward_length", 1u << 21, "feed-forward"),
        U("llama.context_length", 0, "context"),
        U("llama.context_length", 1u << 30, "context"),
        U("llama.embedding_length", 0, "embedding length is 0"),
        U("llama.embedding_length", 64, "embedding length is 64"),
        U("llama.attention.head_count", 0, "heads"),
        U("llama.attention.head_count", 5, "heads"),
        U("llama.attention.head_count", 64, "heads"),
        U("llama.attention.head_count_kv", 3, "key/value heads (3)"),
        U("llama.attention.head_count_kv", 8, "key/value heads (8)"),
        U("llama.attention.key_length", 4096, "head dimension"),
        U("llama.vocab_size", 17, "17"),
        U("llama.rope.dimension_count", 7, "rotated dimensions (7)"),
        U("llama.rope.dimension_count", 10, "rotated dimensions (10)"),
        F("llama.rope.freq_base", 0.0f, "RoPE base"),
        F("llama.rope.freq_base", -1.0f, "RoPE base"),
        F("llama.rope.freq_base", NAN, "llama.rope.freq_base"),
        F("llama.rope.freq_base", INFINITY, "llama.rope.freq_base"),
        F("llama.rope.scale_linear", -2.0f, "scaling factor"),
        F("llama.attention.layer_norm_rms_epsilon", 0.0f, "epsilon"),
        F("llama.attention.layer_norm_rms_epsilon", -1e-5f, "epsilon"),
        F("llama.attention.layer_norm_rms_epsilon", 1.5f, "epsilon"),
        F("llama.attention.layer_norm_rms_epsilon", NAN, "layer_norm_rms_epsilon"),
        {.key = "llama.block_count",
         .how = AS_STR,
         .s = "2",
         .want = ERR_INVALID,
         .names = "must be an integer"},
        {.key = "llama.block_count",
         .how = AS_F32,
         .f = 2,
         .want = ERR_INVALID,
         .names = "must be an integer"},
        {.key = "llama.block_count",
         .how = AS_BOOL,
         .u = 1,
         .want = ERR_INVALID,
         .names = "must be an integer"},
        {.key = "llama.block_count",
         .how = AS_U64,
         .u = UINT64_MAX,
         .want = ERR_INVALID,
         .names = "llama.block_count"},
        {.key = "llama.block_count",
         .how = AS_U64,
         .u = (uint64_t)1 << 32 | 2,
         .want = ERR_INVALID,
         .names = "out of range"},
        {.key = "llama.attention.layer_norm_rms_epsilon",
         .how = AS_U32,
         .u = 1,
         .want = ERR_INVALID,
         .names = "floating-point"},
        {.key = "general.architecture",
         .how = AS_U32,
         .u = 1,
         .want = ERR_INVALID,
         .names = "must be a string"},
        {.key = "general.architecture",
         .how = AS_STR,
         .s = "mamba",
         .want = ERR_UNSUPPORTED,
         .names = "mamba"},
        {.key = "llama.rope.scaling.type",
         .how = AS_STR,
         .s = "longrope",
         .want = ERR_UNSUPPORTED,
         .names = "longrope"},
        {.key = "llama.attention.sliding_window_pattern",
         .how = AS_U32,
         .u = 2,
         .want = ERR_INVALID,
         .names = "an array of bool"},
        {.key = "llama.expert_count",
         .how = AS_U32,
         .u = 8,
         .want = ERR_UNSUPPORTED,
         .names = "8 experts"},
        {.key = "llama.attention.value_length",
         .how = AS_U32,
         .u = 16,
         .want = ERR_UNSUPPORTED,
         .names = "values of 16"},
        {.key = "tokenizer.ggml.model",
         .how = AS_STR,
         .s = "t5",
         .want = ERR_UNSUPPORTED,
         .names = "t5"},
        {.key = "tokenizer.ggml.model",
         .how = AS_STR,
         .s = "llama",
         .want = ERR_INVALID,
         .names = "tokenizer.ggml.tokens"},
        {.key = "tokenizer.chat_template",
         .how = AS_U32,
         .u = 1,
         .want = ERR_INVALID,
         .names = "tokenizer.chat_template"},
    };
    struct buf image;
    buf_init(&image, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&image);
        build(&cases[i], &image);
        check(&image, cases[i].want, cases[i].names);
    }
    buf_done(&image);
}

// A vocabulary of 16 tokens beside a 16-row embedding, changed as the case wants.
struct vocab_case {
    const char *model;
    size_t more_tokens, more_scores, more_types; // wrap around: −1 is one less
    float score;                                 // of token 3
    int32_t type;                                // of token 3; 0: normal
    size_t token_len;                            // of token 3; 0: as the others
    const char *merge;                           // NULL: no merges at all
    const char *id_key;
    uint32_t id;
    enum err want;
    const char *names;
};

static void build_vocab(const struct vocab_case *c, struct buf *out)
{
    static uint64_t dims[] = {32, 16};
    static char letters[8192];
    str tokens[32];
    float scores[32];
    int32_t types[32];
    struct gguf_write *w = gguf_write_new();
    memset(letters, 'x', sizeof letters);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        tokens[i] = str_slice(letters, i + 1);
        scores[i] = 0.0f;
        types[i] = 1;
    }
    tokens[3] = str_slice(letters, c->token_len ? c->token_len : 4);
    scores[3] = c->score;
    types[3] = c->type ? c->type : 1;
    gguf_write_str(w, "general.architecture", STR("llama"));
    gguf_write_u32(w, "llama.block_count", 2);
    gguf_write_u32(w, "llama.embedding_length", 32);
    gguf_write_u32(w, "llama.feed_forward_length", 64);
    gguf_write_u32(w, "llama.context_length", 128);
    gguf_write_u32(w, "llama.attention.head_count", 4);
    gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_write_str(w, "tokenizer.ggml.model", str_of(c->model));
    gguf_write_strs(w, "tokenizer.ggml.tokens", tokens, 16 + c->more_tokens);
    if (strcmp(c->model, "llama") == 0)
        gguf_write_f32s(w, "tokenizer.ggml.scores", scores, 16 + c->more_scores);
    gguf_write_i32s(w, "tokenizer.ggml.token_type", types, 16 + c->more_types);
    if (c->merge)
        gguf_write_strs(w, "tokenizer.ggml.merges", (const str[]){str_of(c->merge)}, 1);
    if (c->id_key)
        gguf_write_u32(w, c->id_key, c->id);
    gguf_write_tensor(w, "token_embd.weight", TENSOR_F32, 2, dims, fill, dims);
    gguf_write_image(w, out);
    gguf_write_free(w);
}

static void vocabularies_that_do_not_fit(void **state)
{
    (void)state;
#define SPM(...) {.model = "llama", __VA_ARGS__}
#define LESS(n)  ((size_t)0 - (n))
#define BPE(...) {.model = "gpt2", __VA_ARGS__}
    const struct vocab_case cases[] = {
        SPM(.names = ""),
        BPE(.merge = "x x"),
        SPM(LESS(1), LESS(1), LESS(1), .want = ERR_INVALID, .names = "15 tokens"),
        SPM(1, 1, 1, .want = ERR_INVALID, .names = "17 tokens"),
        SPM(.more_scores = LESS(1), .want = ERR_INVALID, .names = "15 scores"),
        SPM(.more_types = 1, .want = ERR_INVALID, .names = "17 token types"),
        SPM(LESS(16), LESS(16), LESS(16), .want = ERR_INVALID, .names = "number of tokens is 0"),
        SPM(.score = NAN, .want = ERR_INVALID, .names = "score of token 3"),
        SPM(.score = -INFINITY, .want = ERR_INVALID, .names = "score of token 3"),
        SPM(.type = 7, .want = ERR_INVALID, .names = "token 3"),
        SPM(.type = -1, .want = ERR_INVALID, .names = "token 3"),
        SPM(.token_len = 5000, .want = ERR_LIMIT, .names = "token 3 is 5000 bytes"),
        SPM(.id_key = "tokenizer.ggml.bos_token_id", .id = 16, .want = ERR_INVALID,
            .names = "bos token is 16"),
        SPM(.id_key = "tokenizer.ggml.eos_token_id", .id = 1u << 30, .want = ERR_INVALID,
            .names = "eos token"),
        SPM(.id_key = "tokenizer.ggml.unknown_token_id", .id = UINT32_MAX, .want = ERR_INVALID,
            .names = "unknown"),
        SPM(.id_key = "tokenizer.ggml.padding_token_id", .id = 99, .want = ERR_INVALID,
            .names = "padding"),
        BPE(.want = ERR_INVALID, .names = "tokenizer.ggml.merges"),
        BPE(.merge = "x", .want = ERR_PARSE, .names = "merge 0"),
        BPE(.merge = "", .want = ERR_PARSE, .names = "merge 0"),
        BPE(.merge = " x", .want = ERR_PARSE, .names = "merge 0"),
        BPE(.merge = "x ", .want = ERR_PARSE, .names = "merge 0"),
        BPE(.merge = "x x x", .want = ERR_PARSE, .names = "merge 0"),
    };
    struct buf image;
    buf_init(&image, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&image);
        build_vocab(&cases[i], &image);
        check(&image, cases[i].want, cases[i].names);
    }
    buf_done(&image);
}

static void embeddings_that_do_not_fit(void **state)
{
    (void)state;
    static uint64_t dims[] = {32, 16};
    struct buf image;
    buf_init(&image, 1 << 20);
    struct gguf_write *w = gguf_write_new();
    gguf_write_str(w, "general.architecture", STR("llama"));
    gguf_write_tensor(w, "output.weight", TENSOR_F32, 2, dims, fill, dims);
    gguf_write_u32(w, "llama.block_count", 2);
    gguf_write_u32(w, "llama.embedding_length", 32);
    gguf_write_u32(w, "llama.feed_forward_length", 64);
    gguf_write_u32(w, "llama.context_length", 128);
    gguf_write_u32(w, "llama.attention.head_count", 4);
    gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_write_image(w, &image);
    check(&image, ERR_INVALID, "token_embd.weight");
    buf_clear(&image);
    gguf_write_tensor(w, "token_embd.weight", TENSOR_F32, 1, dims, fill, dims);
    gguf_write_image(w, &image);
    check(&image, ERR_INVALID, "token_embd.weight");
    gguf_write_free(w);
    buf_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unchanged_file_is_good),
        cmocka_unit_test(absurd_hyper_parameters),
        cmocka_unit_test(vocabularies_that_do_not_fit),
        cmocka_unit_test(embeddings_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
