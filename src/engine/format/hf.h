// A Hugging Face folder: config.json, *.safetensors (one, or shards by index), tokenizer.json or
// vocab.json + merges.txt (or OpenAI's encoder.json + vocab.bpe). Shared inside this room.
#pragma once

#include "base/json.h"
#include "engine/format/parts.h"

enum { HF_JSON_BYTES_MAX = 64 << 20, HF_PATH_BYTES_MAX = 4096 };

// A parsed file of the folder; zeroed when it is absent.
struct hf_json {
    struct buf text;
    struct json_doc doc;
};

struct hf_folder {
    const char *path;
    struct model_file *f;
    struct hf_json config, tokenizer, tokenizer_config, generation_config;
    bool tied_head; // lm_head.weight, if any, is the embedding
};

// "folder/name" into out; ERR_LIMIT when it does not fit.
enum err hf_path(const struct hf_folder *h, const char *name, char out[static HF_PATH_BYTES_MAX],
                 struct diag *d) MUST_USE;
// ERR_NOT_FOUND, without a sentence, when the file is absent.
enum err hf_json_read(const struct hf_folder *h, const char *name, struct hf_json *ret,
                      struct diag *d) MUST_USE;
void hf_json_done(struct hf_json *j);

enum err hf_open(const char *path, struct model_file *f, struct diag *d) MUST_USE;

// config.json's members as hyper-parameters.
enum err hf_config(struct hf_folder *h, struct hparams *ret, struct diag *d) MUST_USE;

enum hf_name { HF_NAME_MAPPED, HF_NAME_SKIPPED, HF_NAME_UNKNOWN };
// The GGUF name of a tensor, written into out; *ret_transposed for Conv1D weights.
enum hf_name hf_tensor_name(const struct hf_folder *h, str name, char out[static 64],
                            bool *ret_transposed);

enum err hf_vocab(struct hf_folder *h, struct vocab *ret, struct diag *d) MUST_USE;

// A vocabulary that is being put together: ids may come in any order.
struct hf_tokens {
    struct arena *arena;
    str *tokens; // ptr NULL: not given yet
    int32_t *types;
    uint32_t n, entries_max;
};
// Room for `entries` given tokens and the gaps between them.
enum err hf_tokens_init(struct hf_tokens *t, struct arena *a, size_t entries,
                        struct diag *d) MUST_USE;
enum err hf_tokens_add(struct hf_tokens *t, str text, uint64_t id, enum token_type type,
                       struct diag *d) MUST_USE;
int32_t hf_tokens_find(const struct hf_tokens *t, str text);
// {"text": id, …}: every member a normal token.
enum err hf_tokens_add_map(struct hf_tokens *t, yyjson_val *map, struct diag *d) MUST_USE;

enum err hf_tokenizer_json(struct hf_folder *h, struct hf_tokens *t, struct vocab *v,
                           struct diag *d) MUST_USE;
enum err hf_bpe_files(struct hf_folder *h, struct hf_tokens *t, struct vocab *v,
                      struct diag *d) MUST_USE;
