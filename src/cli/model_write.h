// What `weir model quantize` and `weir model convert` share: write an open model to a file with
// progress, say what became of it.
#pragma once

#include "cli/command.h"
#include "engine/format/model_save.h"

struct model_write_options {
    int64_t threads;
    bool force, json, requantize;
    int64_t type; // index into model_write_types; the first is "keep"
};

// Rows of the verbs' tables of options.
#define MODEL_WRITE_THREADS                                                                        \
    {.name = "threads",                                                                            \
     .type = OPTION_INT,                                                                           \
     .offset = offsetof(struct model_write_options, threads),                                      \
     .value = "0",                                                                                 \
     .min = 0,                                                                                     \
     .max = MODEL_SAVE_THREADS_MAX,                                                                \
     .arg = "N",                                                                                   \
     .help =                                                                                       \
         "Threads that compute; 0: as many as there are CPUs. The file does not depend on it."}
#define MODEL_WRITE_FORCE                                                                          \
    {.name = "force",                                                                              \
     .type = OPTION_BOOL,                                                                          \
     .offset = offsetof(struct model_write_options, force),                                        \
     .help = "Write over a file that is there."}
#define MODEL_WRITE_JSON                                                                           \
    {.name = "json",                                                                               \
     .type = OPTION_BOOL,                                                                          \
     .offset = offsetof(struct model_write_options, json),                                         \
     .help = "Print JSON that a program can read."}

extern const char *const model_write_types[]; // "keep", "f16", …; NULL-ended
// "q4_k"; ERR_INVALID with the types that there are.
enum err model_write_type(str name, enum tensor_type *ret, struct diag *d) MUST_USE;

// Where a model without a given place is written: its name, the type, ".gguf", in this folder.
str model_write_default_path(struct arena *a, str source, const char *type);

// Frees the model. The exit status.
int model_write(struct command_call *call, struct model_file *f, const char *path,
                const struct model_save_options *o, bool json);
