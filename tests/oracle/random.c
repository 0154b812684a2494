// A small random model by the tests' own generator, in any storage type that it can write:
//   oracle_random ARCH TYPE WIDTH PATH [FOLDER | untied]
// and the same model as a Hugging Face folder (which exists), in F32; or with a head of its own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/hf_write.h"
#include "support/random_model.h"

static bool to_file(void *ctx, const void *data, size_t len)
{
    return fwrite(data, 1, len, ctx) == len;
}

static bool type_of(const char *name, enum tensor_type *ret)
{
    for (int t = 0; t <= TENSOR_BF16; t++) {
        const char *known = tensor_type_name((enum tensor_type)t);
        if (known && strcmp(known, name) == 0) {
            *ret = (enum tensor_type)t;
            return true;
        }
    }
    return false;
}

static int write_folder(const char *arch, const char *path, const char *folder)
{
    struct model_file *f;
    struct diag d = {0};
    const struct hf_write w = {.dir = folder,
                               .model_type = arch,
                               .shards = 2,
                               .tokenizer_json = true,
                               .prefixed = true,
                               .half_turned = strcmp(arch, "llama") == 0};
    if (model_file_open(path, &f, &d) != ERR_OK) {
        fprintf(stderr, "oracle_random: %s\n", d.text);
        return 1;
    }
    hf_write_folder(&w, f);
    model_file_free(f);
    return 0;
}

int main(int argc, char **argv)
{
    struct random_model m;
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: oracle_random ARCH TYPE WIDTH PATH [FOLDER | untied]\n");
        return 2;
    }
    random_model_tiny(argv[1], &m);
    m.n_embd = m.n_ff = (uint32_t)strtoul(argv[3], NULL, 10);
    if (!type_of(argv[2], &m.type)) {
        fprintf(stderr, "oracle_random: no type %s\n", argv[2]);
        return 2;
    }
    bool untied = argc == 6 && strcmp(argv[5], "untied") == 0;
    if (untied)
        m.tied_head = false;
    FILE *out = fopen(argv[4], "wb");
    if (!out || !random_model_to(&m, to_file, out) || fclose(out) != 0) {
        perror(argv[4]);
        return 1;
    }
    return argc == 6 && !untied ? write_folder(argv[1], argv[4], argv[5]) : 0;
}
