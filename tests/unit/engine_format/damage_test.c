// A good file cut at every byte and flipped at every bit: it opens, and all of it can be read, or
// it is refused with a sentence. (Run under ASan and UBSan too.)
// REQ: ENG-11
#include <stdlib.h>

#include "base/arena.h"
#include "engine/format/model_file.h"
#include "support/random_model.h"
#include "support/unit.h"

static void small_model(enum vocab_kind vocab, struct buf *out)
{
    struct random_model m;
    random_model_tiny(vocab == VOCAB_SPM ? "llama" : "gpt2", &m);
    m.n_layer = 1;
    m.n_embd = 8;
    m.n_head = m.n_head_kv = 1;
    m.n_ff = 8;
    m.n_ctx = 4;
    m.vocab_kind = vocab;
    m.n_vocab = 4;
    buf_init(out, 1 << 20);
    random_model_image(&m, out);
}

// Everything that the view gives out is touched, so that a sanitizer sees what lies outside.
static void read_all(const struct model_file *f)
{
    struct arena a;
    str key, value;
    const struct vocab *v = model_file_vocab(f);
    unsigned sum = 0;
    float row[1024];
    arena_init(&a, 1 << 22);
    for (size_t i = 0; model_file_meta(f, i, &key, &value, &a); i++)
        sum += (unsigned)value.len;
    for (uint32_t i = 0; i < v->n_tokens; i++)
        sum += v->tokens[i].len ? (unsigned char)v->tokens[i].ptr[v->tokens[i].len - 1] : 0;
    for (uint32_t i = 0; i < v->n_merges; i++)
        sum += (unsigned char)v->merges[i].ptr[v->merges[i].len - 1];
    for (size_t i = 0; i < model_file_tensor_count(f); i++) {
        const struct tensor *t = model_file_tensor_at(f, i);
        if (t->dims[0] > ARRAY_LEN(row))
            continue;
        for (uint64_t r = 0; tensor_row_f32(t, r, row) == ERR_OK; r++)
            sum += row[0] > 0.0f;
    }
    assert_true(sum > 0 || v->n_tokens == 0);
    arena_done(&a);
}

static bool opens(const char *image, size_t size)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (image)
        memcpy(copy, image, size);
    enum err e = model_file_from_memory(str_slice(copy, size), &f, &d);
    if (e == ERR_OK)
        read_all(f);
    else
        assert_true(d.code == e && d.text[0] && !f);
    model_file_free(f);
    free(copy);
    return e == ERR_OK;
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const enum vocab_kind kinds[] = {VOCAB_NONE, VOCAB_SPM};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct buf image;
        small_model(kinds[k], &image);
        size_t padding = 31; // behind the last tensor's data
        assert_true(opens(buf_ptr(&image), image.len));
        for (size_t size = 0; size + padding < image.len; size += k ? 7 : 1)
            assert_false(opens(buf_ptr(&image), size));
        buf_done(&image);
    }
}

static void a_file_flipped_anywhere_opens_or_is_refused(void **state)
{
    (void)state;
    struct buf image;
    small_model(VOCAB_NONE, &image);
    char *bytes = buf_ptr(&image);
    size_t good = 0;
    for (size_t bit = 0; bytes && bit < image.len * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        good += opens(bytes, image.len);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(good > image.len && good < image.len * 8); // weights may change, structure may not
    buf_done(&image);
}

static void a_vocabulary_flipped_anywhere_opens_or_is_refused(void **state)
{
    (void)state;
    struct buf image;
    small_model(VOCAB_SPM, &image);
    char *bytes = buf_ptr(&image);
    for (size_t at = 0; bytes && at < image.len; at++) {
        char old = bytes[at];
        bytes[at] = (char)(at % 3 == 0 ? 0xff : at % 3 == 1 ? 0x80 : ~old);
        (void)opens(bytes, image.len);
        bytes[at] = old;
    }
    buf_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_file_flipped_anywhere_opens_or_is_refused),
        cmocka_unit_test(a_vocabulary_flipped_anywhere_opens_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
