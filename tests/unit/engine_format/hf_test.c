// Hugging Face folders: the same model written as a folder gives the same view as from GGUF.
// REQ: ENG-1 ENG-2 ENG-11
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/model_file.h"
#include "support/hf_write.h"
#include "support/random_model.h"
#include "support/unit.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/weir-hf-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    return rmdir(dir);
}

static struct model_file *from_gguf(const char *arch, enum vocab_kind vocab, struct buf *image)
{
    struct random_model m;
    struct model_file *f = NULL;
    struct diag d;
    random_model_tiny(arch, &m);
    m.vocab_kind = vocab;
    m.n_vocab = 100;
    m.n_embd = 32;
    m.n_ff = 48;
    m.tied_head = strcmp(arch, "qwen2") != 0;
    m.chat_template = NULL;
    buf_init(image, 16 << 20);
    random_model_image(&m, image);
    assert_int_equal(model_file_from_memory(buf_str(image), &f, &d), ERR_OK);
    return f;
}

static struct model_file *open_dir(void)
{
    struct model_file *f = NULL;
    struct diag d;
    char text[600];
    if (model_file_open(dir, &f, &d) != ERR_OK)
        fail_msg("%s", diag_format(&d, text, sizeof text));
    return f;
}

static void same_tensor(const struct tensor *a, const struct tensor *b)
{
    if (!b) {
        fail_msg("the folder's view lacks " STR_FMT, STR_ARG(a->name));
        return;
    }
    size_t columns = (size_t)a->dims[0], rows = (size_t)a->dims[1];
    float *x = mem_array(columns, sizeof *x), *y = mem_array(columns * rows, sizeof *y);
    if (!b->transposed)
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
    else
        assert_true(b->dims[0] == rows && b->dims[1] == columns);
    for (size_t r = 0; r < (b->transposed ? columns : rows); r++)
        assert_int_equal(tensor_row_f32(b, r, y + r * (size_t)b->dims[0]), ERR_OK);
    for (size_t r = 0; r < rows; r++) {
        assert_int_equal(tensor_row_f32(a, r, x), ERR_OK);
        for (size_t c = 0; c < columns; c++)
            assert_true(x[c] == y[b->transposed ? c * rows + r : r * columns + c]);
    }
    mem_free(x);
    mem_free(y);
}

static void same_vocab(const struct vocab *a, const struct vocab *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->bos, b->bos);
    assert_int_equal(a->eos, b->eos);
    for (uint32_t i = 0; i < a->n_tokens; i++)
        assert_true(str_eq(a->tokens[i], b->tokens[i]));
    if (a->kind == VOCAB_BPE) {
        assert_true(str_eq(a->pre, b->pre));
        assert_int_equal(a->n_merges, b->n_merges);
        for (uint32_t i = 0; i < a->n_merges; i++)
            assert_true(str_eq(a->merges[i], b->merges[i]));
    }
}

static void same_model(const struct model_file *a, const struct model_file *b)
{
    const struct hparams *p = model_file_hparams(a), *q = model_file_hparams(b);
    assert_int_equal(p->arch, q->arch);
    assert_int_equal(p->n_layer, q->n_layer);
    assert_int_equal(p->n_embd, q->n_embd);
    assert_int_equal(p->n_head, q->n_head);
    assert_int_equal(p->n_head_kv, q->n_head_kv);
    assert_int_equal(p->head_dim, q->head_dim);
    assert_int_equal(p->n_ff, q->n_ff);
    assert_int_equal(p->n_vocab, q->n_vocab);
    assert_int_equal(p->n_ctx, q->n_ctx);
    assert_int_equal(p->tied_head, q->tied_head);
    assert_int_equal(p->qk_norm, q->qk_norm);
    assert_true(p->norm_eps == q->norm_eps);
    assert_int_equal(model_file_tensor_count(a), model_file_tensor_count(b));
    for (size_t i = 0; i < model_file_tensor_count(a); i++) {
        char name[64];
        const struct tensor *t = model_file_tensor_at(a, i);
        snprintf(name, sizeof name, STR_FMT, STR_ARG(t->name));
        same_tensor(t, model_file_tensor(b, name));
    }
    same_vocab(model_file_vocab(a), model_file_vocab(b));
}

static void a_folder_is_the_model_it_was_written_from(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *model_type;
        enum vocab_kind vocab;
        size_t shards;
        bool tokenizer_json, prefixed;
        enum rope_kind rope;
    } cases[] = {
        {"gpt2", "gpt2", VOCAB_BPE, 1, false, false, ROPE_NONE},
        {"gpt2", "gpt2", VOCAB_BPE, 3, true, true, ROPE_NONE},
        {"llama", "llama", VOCAB_SPM, 1, true, true, ROPE_NORM},
        {"llama", "mistral", VOCAB_NONE, 2, false, true, ROPE_NORM},
        {"qwen2", "qwen2", VOCAB_NONE, 1, false, true, ROPE_NEOX},
        {"qwen3", "qwen3", VOCAB_NONE, 1, false, true, ROPE_NEOX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf image;
        struct model_file *gguf = from_gguf(cases[i].arch, cases[i].vocab, &image);
        struct hf_write w = {.dir = dir,
                             .model_type = cases[i].model_type,
                             .shards = cases[i].shards,
                             .tokenizer_json = cases[i].tokenizer_json,
                             .prefixed = cases[i].prefixed,
                             .half_turned = cases[i].rope == ROPE_NORM};
        assert_int_equal(make_dir(NULL), 0);
        hf_write_folder(&w, gguf);
        struct model_file *folder = open_dir();
        same_model(gguf, folder);
        assert_int_equal(model_file_hparams(folder)->rope, cases[i].rope);
        assert_true(str_eq_z(model_file_hparams(folder)->arch_name, cases[i].model_type));
        assert_int_equal(strlen(model_file_fingerprint(folder)), 64);
        assert_true(model_file_bytes(folder) > 0);
        model_file_free(folder);
        model_file_free(gguf);
        buf_done(&image);
        assert_int_equal(remove_dir(NULL), 0);
    }
}

// The merges' order gives scores under which SentencePiece's merging is the same.
static void scores_follow_the_merges(void **state)
{
    (void)state;
    struct buf image;
    struct model_file *gguf = from_gguf("llama", VOCAB_SPM, &image);
    const struct hf_write w = {
        .dir = dir, .model_type = "llama", .tokenizer_json = true, .prefixed = true};
    hf_write_folder(&w, gguf);
    struct model_file *folder = open_dir();
    const struct vocab *a = model_file_vocab(gguf), *b = model_file_vocab(folder);
    assert_true(b->add_bos && b->add_space_prefix && b->scores);
    float last_a = 1.0f, last_b = 1.0f;
    for (uint32_t i = 0; i < a->n_tokens; i++) { // made with falling scores
        if (b->scores[i] <= -1e6f || a->types[i] != TOKEN_NORMAL)
            continue;
        assert_true(a->scores[i] < last_a && b->scores[i] < last_b);
        last_a = a->scores[i];
        last_b = b->scores[i];
    }
    assert_true(last_b < 0.0f);
    model_file_free(folder);
    model_file_free(gguf);
    buf_done(&image);
}

static void refused(const char *file, const char *bytes, enum err want, const char *names)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    struct buf image;
    struct model_file *gguf = from_gguf("llama", VOCAB_SPM, &image);
    const struct hf_write w = {
        .dir = dir, .model_type = "llama", .shards = 2, .tokenizer_json = true, .prefixed = true};
    hf_write_folder(&w, gguf);
    if (bytes) {
        hf_write_file(dir, file, str_of(bytes));
    } else {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", dir, file);
        assert_int_equal(unlink(path), 0);
    }
    enum err e = model_file_open(dir, &f, &d);
    if (e != want || !strstr(d.text, names))
        fail_msg("%s: %s: \"%s\" where %s with \"%s\" was due", file, err_name(e), d.text,
                 err_name(want), names);
    assert_true(strstr(d.where, dir) != NULL);
    model_file_free(gguf);
    buf_done(&image);
}

// A llama of 4 layers, complete but for what `more` adds.
static void config_refused(const char *type, const char *more, enum err want, const char *names)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"model_type\":\"%s\",\"num_hidden_layers\":4,\"hidden_size\":32,"
             "\"num_attention_heads\":2,\"intermediate_size\":48,"
             "\"max_position_embeddings\":64,%s}",
             type, more);
    refused("config.json", text, want, names);
}

static void what_layers_and_positions_are_is_checked(void **state)
{
    (void)state;
#define YARN    "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0,"
#define WINDOWS "\"use_sliding_window\":true,\"sliding_window\":8,"
    config_refused("llama", YARN "\"beta_fast\":1,\"beta_slow\":2}", ERR_INVALID, "beta_slow");
    config_refused("llama", YARN "\"beta_slow\":0}", ERR_INVALID, "beta_slow");
    config_refused("llama", YARN "\"attention_factor\":-1}", ERR_INVALID, "attention factor");
    config_refused("llama", YARN "\"mscale\":\"x\"}", ERR_INVALID, "mscale");
    config_refused("llama", "\"rope_theta\":1.0," YARN "\"beta_fast\":32}", ERR_INVALID, "base");
    config_refused("qwen2", WINDOWS "\"layer_types\":[\"full_attention\"]", ERR_INVALID,
                   "must name 4 layers");
    config_refused("qwen2", WINDOWS "\"layer_types\":[\"full_attention\",\"a\",\"b\",\"c\"]",
                   ERR_UNSUPPORTED, "\"a\"");
    config_refused("qwen2", WINDOWS "\"max_window_layers\":-1", ERR_INVALID, "max_window_layers");
    config_refused("smollm3", "\"no_rope_layers\":[1]", ERR_INVALID, "must name 4 layers");
    config_refused("smollm3", "\"no_rope_layers\":[1,1,1,\"0\"]", ERR_INVALID, "0 and 1");
    config_refused("llama", "\"partial_rotary_factor\":0.5", ERR_UNSUPPORTED, "partial_rotary");
#undef YARN
#undef WINDOWS
}

static void folders_that_lie_are_refused(void **state)
{
    (void)state;
    static const char index[] = "model.safetensors.index.json", config[] = "config.json",
                      tokens[] = "tokenizer.json", more[] = "tokenizer_config.json";
    refused(config, NULL, ERR_NOT_FOUND, "no config.json");
    refused(config, "{", ERR_PARSE, "");
    refused(config, "[]", ERR_INVALID, "model_type");
    refused(config, "{\"model_type\":\"bert\"}", ERR_UNSUPPORTED, "bert");
    refused(config, "{\"model_type\":\"llama\",\"num_hidden_layers\":-1}", ERR_INVALID,
            "num_hidden_layers");
    refused(config, "{\"model_type\":\"llama\",\"num_hidden_layers\":1e300}", ERR_INVALID,
            "num_hidden_layers");
    refused(config, "{\"model_type\":\"llama\",\"rms_norm_eps\":\"x\"}", ERR_INVALID,
            "rms_norm_eps");
    refused(config, "{\"model_type\":\"llama\",\"hidden_act\":\"relu\"}", ERR_UNSUPPORTED, "relu");
    refused(config, "{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"longrope\"}}",
            ERR_UNSUPPORTED, "longrope");
    refused(config, "{\"model_type\":\"llama\",\"hidden_size\":32}", ERR_INVALID, "");
    refused(config, "{\"model_type\":\"gpt2\"}", ERR_UNSUPPORTED, "has no place");
    refused(config, "{\"model_type\":\"gpt2\",\"activation_function\":\"relu\"}", ERR_UNSUPPORTED,
            "relu");
    refused(index, "{}", ERR_INVALID, "weight_map");
    refused(index, "{\"weight_map\":{\"a\":\"../../etc/passwd\"}}", ERR_INVALID, "passwd");
    refused(index, "{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", ERR_INVALID, "/etc");
    refused(index, "{\"weight_map\":{\"a\":7}}", ERR_INVALID, "not a .safetensors");
    refused(index, "{\"weight_map\":{\"a\":\"absent.safetensors\"}}", ERR_NOT_FOUND, "");
    refused("model-00001-of-00002.safetensors", "short", ERR_PARSE, "not a safetensors file");
    refused(tokens, "{\"model\":{\"type\":\"Unigram\"}}", ERR_UNSUPPORTED, "Unigram");
    refused(tokens, "{\"model\":{\"type\":\"BPE\"}}", ERR_INVALID, "vocabulary");
    refused(tokens, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"b\"}}}", ERR_INVALID, "no id");
    refused(tokens, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0}}}", ERR_INVALID,
            "one id");
    refused(tokens, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999}}}", ERR_INVALID,
            "far beyond");
    refused(tokens, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", ERR_INVALID, "merges");
    refused(tokens, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
            ERR_UNSUPPORTED, "pre-tokenizer");
    refused(tokens, "{\"added_tokens\":[{}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}",
            ERR_INVALID, "added_tokens[0]");
    refused(tokens,
            "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0},\"merges\":"
            "[[1,2]]}}",
            ERR_PARSE, "merge 0");
    refused(more, "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}", ERR_INVALID, "no id");
}

static void pickles_are_refused(void **state)
{
    (void)state;
    struct model_file *f = NULL;
    struct diag d = {0};
    hf_write_file(dir, "config.json", STR("{\"model_type\":\"gpt2\"}"));
    hf_write_file(dir, "pytorch_model.bin", STR("PK"));
    assert_int_equal(model_file_open(dir, &f, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "safetensors"));
}

static void folders_without_a_model_are_refused(void **state)
{
    (void)state;
    struct model_file *f = NULL;
    struct diag d = {0};
    assert_int_equal(model_file_open(dir, &f, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "no model"));
    hf_write_file(dir, "README.md", STR("nothing here"));
    assert_int_equal(model_file_open(dir, &f, &d), ERR_NOT_FOUND);
}

static void llama3_scaling_is_read(void **state)
{
    (void)state;
    hf_write_file(dir, "config.json",
                  STR("{\"model_type\":\"llama\",\"rope_theta\":500000,\"rope_scaling\":{"
                      "\"rope_type\":\"llama3\",\"factor\":32,\"low_freq_factor\":1,"
                      "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}}"));
    struct model_file *f = open_dir(); // no tensors: only what is said is known
    const struct hparams *h = model_file_hparams(f);
    assert_int_equal(h->rope_scaling, ROPE_SCALING_LLAMA3);
    assert_true(h->rope_base == 500000.0f && h->rope_factor == 32.0f);
    assert_true(h->rope_low_freq_factor == 1.0f && h->rope_high_freq_factor == 4.0f);
    assert_int_equal(h->rope_original_ctx, 8192);
    model_file_free(f);
}

static void special_tokens_and_template_come_from_their_files(void **state)
{
    (void)state;
    hf_write_file(dir, "vocab.json", STR("{\"a\":0,\"b\":1,\"ab\":2}"));
    hf_write_file(dir, "merges.txt", STR("#version: 0.2\r\na b\r\n"));
    hf_write_file(
        dir, "tokenizer_config.json",
        STR("{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"<e>\",\"add_bos_token\":"
            "true,\"chat_template\":[{\"name\":\"tool\",\"template\":\"T\"},{\"name\":"
            "\"default\",\"template\":\"D\"}],\"added_tokens_decoder\":{\"4\":{"
            "\"content\":\"<s>\",\"special\":true},\"6\":{\"content\":\"<e>\"}}}"));
    struct model_file *f = open_dir();
    const struct vocab *v = model_file_vocab(f);
    assert_int_equal(v->n_tokens, 7);
    assert_int_equal(v->bos, 4);
    assert_int_equal(v->eos, 6);
    assert_int_equal(v->types[4], TOKEN_CONTROL);
    assert_int_equal(v->types[6], TOKEN_USER);
    assert_true(str_eq_z(v->tokens[3], "[PAD3]") && v->types[3] == TOKEN_UNUSED);
    assert_true(v->add_bos && str_eq_z(v->chat_template, "D"));
    assert_int_equal(v->n_merges, 1);
    assert_true(str_eq_z(v->merges[0], "a b"));
    model_file_free(f);
    hf_write_file(dir, "tokenizer_config.json", STR("{}"));
    hf_write_file(dir, "chat_template.jinja", STR("{{ J }}"));
    f = open_dir();
    assert_true(str_eq_z(model_file_vocab(f)->chat_template, "{{ J }}"));
    model_file_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_the_model_it_was_written_from),
        cmocka_unit_test_setup_teardown(scores_follow_the_merges, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(folders_that_lie_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(what_layers_and_positions_are_is_checked, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(pickles_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(folders_without_a_model_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(llama3_scaling_is_read, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(special_tokens_and_template_come_from_their_files, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
