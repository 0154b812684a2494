// REQ: SEC-4 ENG-11
// Any bytes as a GGUF image: it opens and all of it can be read, or it is refused with a sentence.
#include <stdlib.h>

#include "base/arena.h"
#include "engine/format/model_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROW_MAX = 4096, ROWS_MAX = 64 };

static void read_tensor(const struct tensor *t)
{
    static float row[ROW_MAX];
    uint64_t rows = t->dims[1] * t->dims[2] * t->dims[3];
    if (t->dims[0] > ROW_MAX)
        return;
    for (uint64_t r = 0; r < rows && r < ROWS_MAX; r++)
        if (tensor_row_f32(t, r, row) != ERR_OK || tensor_row_f32(t, rows - 1, row) != ERR_OK)
            abort();
}

static void read_all(const struct model_file *f)
{
    struct arena a;
    str key, value;
    const struct vocab *v = model_file_vocab(f);
    arena_init(&a, 64 << 20);
    for (size_t i = 0; model_file_meta(f, i, &key, &value, &a); i++)
        if (!value.ptr)
            abort();
    for (size_t i = 0; i < model_file_tensor_count(f); i++)
        read_tensor(model_file_tensor_at(f, i));
    for (uint32_t i = 0; i < v->n_tokens; i++)
        if (v->tokens[i].len && v->tokens[i].ptr[v->tokens[i].len - 1] == 'x')
            (void)str_hash_stable(v->tokens[i]);
    if (strlen(model_file_fingerprint(f)) != 64)
        abort();
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    enum err e = model_file_from_memory(str_slice((const char *)data, size), &f, &d);
    if (e == ERR_OK)
        read_all(f);
    else if (d.code != e || d.text[0] == '\0' || f)
        abort();
    model_file_free(f);
    return 0;
}
