// A model computes the same bits from a Hugging Face folder, from the GGUF file that `weir model
// convert` makes of the folder, and from the GGUF file that the folder was made of.
// REQ: ENG-1 ENG-2 ENG-6
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/format/model_save.h"
#include "engine/kernel/rope.h"
#include "support/hf_write.h"
#include "support/made_model.h"
#include "support/unit.h"

enum { LENGTH = 20 };

static char dir[64], path[96];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/weir-convert-XXXXXX");
    bool good = mkdtemp(dir) != NULL;
    snprintf(path, sizeof path, "%s/made.gguf", dir);
    return good ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static float *logits_of(const struct model_file *file, size_t *ret_n)
{
    struct made_file f = {.file = (struct model_file *)(uintptr_t)file};
    struct made_model m;
    struct model_row rows[LENGTH];
    made_model_init(&m, &f, NULL, 1, 1, NULL);
    float *out = mem_array(LENGTH * m.n_vocab, sizeof *out);
    for (size_t i = 0; i < LENGTH; i++)
        rows[i] = made_row(&m, 0, 0, i, out + i * m.n_vocab);
    assert_int_equal(model_forward(m.model, m.pool, rows, LENGTH, NULL), ERR_OK);
    *ret_n = LENGTH * m.n_vocab;
    made_model_done(&m);
    return out;
}

static void same_bits(const struct model_file *a, const struct model_file *b, const char *what)
{
    size_t n, also;
    float *x = logits_of(a, &n), *y = logits_of(b, &also);
    assert_int_equal(n, also);
    if (memcmp(x, y, n * sizeof *x) != 0)
        fail_msg("%s: other logits", what);
    mem_free(x);
    mem_free(y);
}

static struct model_file *open_path(const char *at)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    char text[600];
    if (model_file_open(at, &f, &d) != ERR_OK)
        fail_msg("%s", diag_format(&d, text, sizeof text));
    return f;
}

static struct model_file *converted(const struct model_file *folder, struct model_save_options o)
{
    struct model_save_report r;
    struct diag d = {0};
    o.replace = true;
    if (model_save(folder, path, &o, &r, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return open_path(path);
}

static void a_folder_a_file_of_it_and_its_origin_are_one_model(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *model_type;
        bool tied;
    } cases[] = {{"gpt2", "gpt2", true},
                 {"llama", "llama", false},
                 {"llama", "mistral", true},
                 {"qwen2", "qwen2", false},
                 {"qwen3", "qwen3", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct made_file origin;
        made_file_init(&origin, cases[i].arch, TENSOR_F32, cases[i].tied);
        const struct hf_write w = {.dir = dir,
                                   .model_type = cases[i].model_type,
                                   .tokenizer_json = true,
                                   .prefixed = true,
                                   .half_turned = strcmp(cases[i].arch, "llama") == 0};
        hf_write_folder(&w, origin.file);
        struct model_file *folder = open_path(dir);
        struct model_file *file = converted(folder, (struct model_save_options){.threads = 2});
        same_bits(origin.file, folder, cases[i].model_type);
        same_bits(folder, file, cases[i].model_type);
        model_file_free(file);
        model_file_free(folder);
        made_file_done(&origin);
    }
}

// "rope_scaling": null in config.json becomes llama3's.
static void set_scaling(void)
{
    struct buf config, scaled;
    char file_path[96];
    snprintf(file_path, sizeof file_path, "%s/config.json", dir);
    assert_int_equal(fs_read(file_path, 1 << 20, &config, NULL), ERR_OK);
    str text = buf_str(&config), none = STR("\"rope_scaling\":null");
    size_t at = str_find(text, none);
    assert_true(at != SIZE_MAX);
    buf_init(&scaled, 1 << 20);
    buf_append_str(&scaled, str_sub(text, 0, at));
    buf_append_str(&scaled, STR("\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,"
                                "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                                "\"original_max_position_embeddings\":64}"));
    buf_append_str(&scaled, str_sub(text, at + none.len, SIZE_MAX));
    hf_write_file(dir, "config.json", buf_str(&scaled));
    buf_done(&scaled);
    buf_done(&config);
}

// Its table of divisors stands for the hyper-parameters.
static void llama3_scaling_survives(void **state)
{
    (void)state;
    struct made_file origin;
    made_file_init(&origin, "llama", TENSOR_F32, true);
    const struct hf_write w = {.dir = dir,
                               .model_type = "llama",
                               .tokenizer_json = true,
                               .prefixed = true,
                               .half_turned = true};
    hf_write_folder(&w, origin.file);
    set_scaling();
    struct model_file *folder = open_path(dir);
    const struct hparams *h = model_file_hparams(folder);
    assert_int_equal(h->rope_scaling, ROPE_SCALING_LLAMA3);
    double f[256];
    float divisors[256];
    rope_frequencies((double)h->rope_base, h->rope_dims, f);
    rope_llama3_divisors(f, h->rope_dims, 8.0, 1.0, 4.0, 64.0, divisors);
    struct model_file *file =
        converted(folder, (struct model_save_options){.rope_divisors = divisors});
    assert_non_null(model_file_tensor(file, "rope_freqs.weight"));
    same_bits(folder, file, "llama3 scaling");
    model_file_free(file);
    model_file_free(folder);
    made_file_done(&origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_a_file_of_it_and_its_origin_are_one_model,
                                        make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(llama3_scaling_survives, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
