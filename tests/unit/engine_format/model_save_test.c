// A model that is written again reads back as itself: metadata byte for byte, matrices in the type
// that was asked for, vectors whole; the bytes do not depend on the threads; what cannot be written
// is refused by name and leaves nothing behind.
// REQ: ENG-2 ENG-5 ENG-11
#include "engine/format/model_save.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/gguf.h"
#include "support/hf_write.h"
#include "support/random_model.h"
#include "support/unit.h"

static char dir[64];

static const char *in_dir(const char *name)
{
    static char paths[4][128];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/weir-save-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static size_t files_in_dir(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static struct model_file *made(const char *arch, uint32_t width, bool tied, struct buf *image)
{
    struct random_model m;
    struct model_file *f = NULL;
    struct diag d = {0};
    random_model_tiny(arch, &m);
    m.n_embd = width;
    m.n_ff = 2 * width;
    m.tied_head = tied;
    buf_init(image, 64 << 20);
    random_model_image(&m, image);
    if (model_file_from_memory(buf_str(image), &f, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return f;
}

static struct model_save_report save(const struct model_file *f, const char *path,
                                     struct model_save_options o)
{
    struct model_save_report r = {0};
    struct diag d = {0};
    if (model_save(f, path, &o, &r, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return r;
}

static struct model_file *open_path(const char *path)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    if (model_file_open(path, &f, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return f;
}

static enum tensor_type type_of(const struct model_file *f, const char *name)
{
    const struct tensor *t = model_file_tensor(f, name);
    assert_non_null(t);
    return t->type;
}

static void a_file_written_as_it_is_is_the_same_model(void **state)
{
    (void)state;
    struct buf image, back;
    struct model_file *f = made("llama", 64, false, &image);
    struct model_save_report r =
        save(f, in_dir("a.gguf"), (struct model_save_options){.threads = 1});
    assert_int_equal(fs_read(in_dir("a.gguf"), 64 << 20, &back, NULL), ERR_OK);
    assert_int_equal(back.len, r.bytes);
    struct arena a;
    struct gguf before, after;
    struct diag d = {0};
    arena_init(&a, 16 << 20);
    assert_int_equal(gguf_parse(buf_str(&image), &a, &before, &d), ERR_OK);
    assert_int_equal(gguf_parse(buf_str(&back), &a, &after, &d), ERR_OK);
    for (size_t i = 0; i < before.n_kv; i++) { // also those that weir does not know
        char key[256];
        snprintf(key, sizeof key, STR_FMT, STR_ARG(before.kv[i].key));
        const struct gguf_kv *kv = gguf_find(&after, key);
        assert_non_null(kv);
        assert_int_equal(kv->type, before.kv[i].type);
        assert_int_equal(kv->count, before.kv[i].count);
        assert_int_equal(kv->value_bytes, before.kv[i].value_bytes);
        assert_memory_equal(kv->value, before.kv[i].value, kv->value_bytes);
    }
    assert_int_equal(after.n_tensors, before.n_tensors);
    for (size_t i = 0; i < before.n_tensors; i++) {
        const struct tensor *x = &before.tensors[i], *y = &after.tensors[i];
        assert_true(str_eq(x->name, y->name) && x->type == y->type);
        assert_memory_equal(x->dims, y->dims, sizeof x->dims);
        assert_memory_equal(x->data, y->data, x->size_bytes);
    }
    arena_done(&a);
    buf_done(&back);
    model_file_free(f);
    buf_done(&image);
}

static void each_tensor_gets_the_type_that_suits_it(void **state)
{
    (void)state;
    static const struct {
        uint32_t width;
        bool tied;
        enum tensor_type asked, matrix, head, embedding;
        bool narrow;
    } cases[] = {
        {256, false, TENSOR_Q4_K, TENSOR_Q4_K, TENSOR_Q6_K, TENSOR_Q4_K, false},
        {256, true, TENSOR_Q4_K, TENSOR_Q4_K, TENSOR_Q6_K, TENSOR_Q6_K, false},
        {256, false, TENSOR_Q8_0, TENSOR_Q8_0, TENSOR_Q8_0, TENSOR_Q8_0, false},
        {256, false, TENSOR_F16, TENSOR_F16, TENSOR_F16, TENSOR_F16, false},
        {256, true, TENSOR_Q4_0, TENSOR_Q4_0, TENSOR_Q6_K, TENSOR_Q6_K, false},
        {96, false, TENSOR_Q4_K, TENSOR_Q4_1, TENSOR_Q8_0, TENSOR_Q4_1, true},
        {96, false, TENSOR_Q5_K, TENSOR_Q8_0, TENSOR_Q8_0, TENSOR_Q8_0, true},
        {40, false, TENSOR_Q8_0, TENSOR_F16, TENSOR_F16, TENSOR_F16, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf image;
        struct model_file *f = made("llama", cases[i].width, cases[i].tied, &image);
        struct model_save_report r = save(
            f, in_dir("b.gguf"),
            (struct model_save_options){.retype = true, .type = cases[i].asked, .replace = true});
        struct model_file *back = open_path(in_dir("b.gguf"));
        assert_int_equal(type_of(back, "blk.1.attn_q.weight"), cases[i].matrix);
        assert_int_equal(type_of(back, "token_embd.weight"), cases[i].embedding);
        if (!cases[i].tied)
            assert_int_equal(type_of(back, "output.weight"), cases[i].head);
        assert_int_equal(type_of(back, "blk.0.attn_norm.weight"), TENSOR_F32);
        assert_int_equal(r.n_narrow > 0, cases[i].narrow);
        assert_true(r.tensors[cases[i].matrix] > 0);
        model_file_free(back);
        model_file_free(f);
        buf_done(&image);
    }
}

static void learned_positions_and_biases_stay_whole(void **state)
{
    (void)state;
    struct buf image;
    struct model_file *f = made("gpt2", 64, true, &image);
    save(f, in_dir("p.gguf"), (struct model_save_options){.retype = true, .type = TENSOR_Q8_0});
    struct model_file *back = open_path(in_dir("p.gguf"));
    assert_int_equal(type_of(back, "position_embd.weight"), TENSOR_F32);
    assert_int_equal(type_of(back, "blk.0.attn_qkv.bias"), TENSOR_F32);
    assert_int_equal(type_of(back, "blk.0.attn_qkv.weight"), TENSOR_Q8_0);
    assert_int_equal(type_of(back, "token_embd.weight"), TENSOR_Q8_0);
    model_file_free(back);
    model_file_free(f);
    buf_done(&image);
}

static void the_bytes_do_not_depend_on_the_threads(void **state)
{
    (void)state;
    struct buf image, one, many;
    struct model_file *f = made("qwen2", 256, false, &image);
    save(f, in_dir("1.gguf"),
         (struct model_save_options){.retype = true, .type = TENSOR_Q4_K, .threads = 1});
    save(f, in_dir("5.gguf"),
         (struct model_save_options){.retype = true, .type = TENSOR_Q4_K, .threads = 5});
    assert_int_equal(fs_read(in_dir("1.gguf"), 64 << 20, &one, NULL), ERR_OK);
    assert_int_equal(fs_read(in_dir("5.gguf"), 64 << 20, &many, NULL), ERR_OK);
    assert_true(str_eq(buf_str(&one), buf_str(&many)));
    buf_done(&one);
    buf_done(&many);
    model_file_free(f);
    buf_done(&image);
}

static void refused(const struct model_file *f, const char *path, struct model_save_options o,
                    enum err want, const char *names)
{
    struct model_save_report r;
    struct diag d = {0};
    size_t before = files_in_dir();
    enum err e = model_save(f, path, &o, &r, &d);
    if (e != want || !strstr(d.text, names))
        fail_msg("%s: \"%s\" where %s with \"%s\" was due", err_name(e), d.text, err_name(want),
                 names);
    assert_int_equal(files_in_dir(), before);
}

static void what_cannot_be_written_leaves_nothing(void **state)
{
    (void)state;
    struct buf image;
    struct model_file *f = made("llama", 64, true, &image);
    const struct model_save_options q8 = {.retype = true, .type = TENSOR_Q8_0};
    const struct model_save_options q4 = {.retype = true, .type = TENSOR_Q4_0};
    save(f, in_dir("q8.gguf"), q8);
    refused(f, in_dir("q8.gguf"), q8, ERR_DENIED, "there already");
    refused(f, in_dir("no/such/folder.gguf"), q8, ERR_IO, "cannot write");
    struct model_file *quantised = open_path(in_dir("q8.gguf"));
    refused(quantised, in_dir("q4.gguf"), q4, ERR_UNSUPPORTED, "is Q8_0 already");
    model_file_free(quantised);
    const struct tensor *t = model_file_tensor(f, "blk.1.ffn_down.weight");
    float *weights = (float *)(uintptr_t)t->data; // the image is ours
    weights[3 * t->dims[0] + 5] = NAN;
    refused(f, in_dir("nan.gguf"), q8, ERR_INVALID,
            "\"blk.1.ffn_down.weight\": value 5 of row 3 is not a finite number");
    weights[3 * t->dims[0] + 5] = 1e9f;
    refused(f, in_dir("big.gguf"), q8, ERR_LIMIT, "too large");
    model_file_free(f);
    buf_done(&image);
}

static void a_quantised_model_is_taken_where_that_is_asked(void **state)
{
    (void)state;
    struct buf image;
    struct model_file *f = made("llama", 64, true, &image);
    save(f, in_dir("a.gguf"), (struct model_save_options){.retype = true, .type = TENSOR_Q8_0});
    struct model_file *q8 = open_path(in_dir("a.gguf"));
    save(q8, in_dir("b.gguf"),
         (struct model_save_options){.retype = true, .type = TENSOR_Q4_0, .requantise = true});
    save(q8, in_dir("c.gguf"), (struct model_save_options){.retype = true, .type = TENSOR_F32});
    struct model_file *whole = open_path(in_dir("c.gguf"));
    const struct tensor *x = model_file_tensor(q8, "blk.0.attn_q.weight"),
                        *y = model_file_tensor(whole, "blk.0.attn_q.weight");
    float a[64], b[64];
    assert_int_equal(tensor_row_f32(x, 7, a), ERR_OK);
    assert_int_equal(tensor_row_f32(y, 7, b), ERR_OK);
    assert_memory_equal(a, b, sizeof a);
    model_file_free(whole);
    model_file_free(q8);
    model_file_free(f);
    buf_done(&image);
}

// What a folder says comes back in GGUF's words; convert_test.c holds the logits to the same bits.
static void a_folder_becomes_a_file_with_all_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *model_type, *written;
        enum vocab_kind vocab;
    } cases[] = {{"gpt2", "gpt2", "gpt2", VOCAB_BPE},
                 {"llama", "mistral", "llama", VOCAB_SPM},
                 {"qwen3", "qwen3", "qwen3", VOCAB_SPM}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf image;
        struct model_file *origin = made(cases[i].arch, 64, true, &image);
        const struct hf_write w = {.dir = dir,
                                   .model_type = cases[i].model_type,
                                   .tokenizer_json = true,
                                   .shards = 2,
                                   .prefixed = true};
        hf_write_folder(&w, origin);
        hf_write_file(dir, "chat_template.jinja", STR("{{ messages }}"));
        struct model_file *folder = open_path(dir);
        save(folder, in_dir("f.gguf"), (struct model_save_options){.replace = true});
        struct model_file *file = open_path(in_dir("f.gguf"));
        const struct hparams *p = model_file_hparams(folder), *q = model_file_hparams(file);
        const struct vocab *v = model_file_vocab(folder), *u = model_file_vocab(file);
        assert_true(str_eq_z(q->arch_name, cases[i].written));
        assert_int_equal(p->n_layer, q->n_layer);
        assert_int_equal(p->n_head_kv, q->n_head_kv);
        assert_int_equal(p->head_dim, q->head_dim);
        assert_int_equal(p->n_ff, q->n_ff);
        assert_int_equal(p->n_ctx, q->n_ctx);
        assert_int_equal(p->rope, q->rope);
        assert_int_equal(p->sliding_window, q->sliding_window);
        assert_true(p->norm_eps == q->norm_eps && p->rope_base == q->rope_base);
        assert_int_equal(v->kind, cases[i].vocab);
        assert_int_equal(v->kind, u->kind);
        assert_int_equal(v->n_tokens, u->n_tokens);
        for (uint32_t k = 0; k < v->n_tokens; k++)
            assert_true(str_eq(v->tokens[k], u->tokens[k]) && v->types[k] == u->types[k]);
        assert_true(v->bos == u->bos && v->eos == u->eos && v->unk == u->unk && v->pad == u->pad);
        assert_true(v->add_bos == u->add_bos && v->add_space_prefix == u->add_space_prefix);
        assert_int_equal(v->kind == VOCAB_BPE ? v->n_merges : 0, u->n_merges);
        assert_true(str_eq_z(u->chat_template, "{{ messages }}"));
        model_file_free(file);
        model_file_free(folder);
        model_file_free(origin);
        buf_done(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_written_as_it_is_is_the_same_model, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(each_tensor_gets_the_type_that_suits_it, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(learned_positions_and_biases_stay_whole, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(the_bytes_do_not_depend_on_the_threads, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_leaves_nothing, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_quantised_model_is_taken_where_that_is_asked, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_folder_becomes_a_file_with_all_it_says, make_dir,
                                        remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
