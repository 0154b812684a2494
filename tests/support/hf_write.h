// Writes a model that is open as a Hugging Face folder, for tests of that way in: config.json,
// model.safetensors (or shards with an index), tokenizer.json or vocab.json + merges.txt. The names
// and layouts are written here once more, on purpose not shared with the reader.
#pragma once

#include "engine/format/model_file.h"

struct hf_write {
    const char *dir;        // exists
    const char *model_type; // "gpt2", "llama", "qwen2", "qwen3", "mistral"
    size_t shards;          // 0 or 1: model.safetensors
    bool tokenizer_json;    // else vocab.json + merges.txt
    bool prefixed;          // tensor names begin with "transformer." or "model."
    bool half_turned;       // rows of q and k from GGUF's llama order (pairs 2i, 2i+1) to the
                            // folder's (i, i + d/2), so that the model stays the same
};

void hf_write_folder(const struct hf_write *w, const struct model_file *f);
// The file `name` of the folder, with these bytes.
void hf_write_file(const char *dir, const char *name, str bytes);
