// A model that is open, written as a GGUF v3 file: its matrices in the types it has, or in another
// (`weir model quantize`), whatever format it came in (`weir model convert`). Metadata and
// vocabulary of a GGUF file are carried over as they are; a folder's are written in GGUF's words.
// The file is there whole or not at all (base/new_file.h).
//
// Which type a tensor gets: vectors, norms and learned positions are F32. The head (the embedding,
// where that is the head) is Q6_K below Q8_0, as errors there show most. A matrix whose rows do not
// fill the type's blocks gets the nearest type with smaller ones: Q4_1 for Q4_K, Q8_0 for Q5_K and
// Q6_K, F16 where not even 32 divides them.
#pragma once

#include "engine/format/model_file.h"

enum { MODEL_SAVE_THREADS_MAX = 64 };

struct model_save_options {
    bool retype; // false: matrices stay as they are
    enum tensor_type type;
    bool requantise;            // take quantised matrices as a source, too
    bool replace;               // a file that is there
    uint32_t threads;           // 0 = CPUs available; the bytes do not depend on it
    const float *rope_divisors; // rope_dims / 2; needed where a folder asks for llama3's scaling
    void (*progress)(void *ctx, uint64_t done, uint64_t total); // bytes written; may be NULL
    void *progress_ctx;
};

struct model_save_report {
    uint64_t bytes;
    uint32_t tensors[32]; // by enum tensor_type
    uint32_t n_narrow;    // matrices whose rows were too narrow for the type
};

// The model must have tensors. ERR_DENIED: a file is there and `replace` was not asked.
// ERR_UNSUPPORTED: quantised matrices without `requantise`. ERR_INVALID, ERR_LIMIT: a weight that
// is not finite, or too large for the type; the tensor is named.
enum err model_save(const struct model_file *f, const char *path,
                    const struct model_save_options *o, struct model_save_report *ret,
                    struct diag *d) MUST_USE;

// "q4_k", "Q4_K": false when no such type is written.
bool model_save_type(str name, enum tensor_type *ret);
