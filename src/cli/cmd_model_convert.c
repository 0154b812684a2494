#include <sys/stat.h>

#include "cli/cmd_model.h"
#include "cli/model_write.h"

#include "base/banned.h"

static const struct option options[] = {
    {.name = "type",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct model_write_options, type),
     .value = "keep",
     .choices = model_write_types,
     .arg = "TYPE",
     .help = "The matrices' type; keep: as they are in the folder."},
    MODEL_WRITE_THREADS,
    MODEL_WRITE_FORCE,
    MODEL_WRITE_JSON,
    {0},
};

static enum err open_folder(const char *path, struct model_file **ret, struct diag *d)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return diag_set(d, ERR_NOT_FOUND, "there is no folder '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return diag_set(d, ERR_INVALID,
                        "'%s' is a file: convert takes a Hugging Face folder (config.json, "
                        "*.safetensors, tokenizer.json); 'weir model quantize' takes files",
                        path);
    return model_file_open(path, ret, d);
}

static int status_of(enum err e)
{
    return e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE
           : e == ERR_INVALID ? EXIT_STATUS_USAGE
                              : EXIT_STATUS_FAILED;
}

static int run(struct command_call *call)
{
    const struct model_write_options *o = call->options;
    struct model_save_options save = {
        .retype = o->type != 0, .replace = o->force, .threads = (uint32_t)o->threads};
    const char *type = model_write_types[o->type];
    struct model_file *f;
    struct diag d = {0};
    if (save.retype && model_write_type(str_of(type), &save.type, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    enum err e = open_folder(call->args[0], &f, &d);
    if (e != ERR_OK)
        return command_fail(call, status_of(e), &d);
    str path = call->args_len > 1 ? str_of(call->args[1])
                                  : model_write_default_path(call->arena, str_of(call->args[0]),
                                                             save.retype ? type : NULL);
    return model_write(call, f, path.ptr, &save, o->json);
}

const struct command cmd_model_convert = {
    .name = "convert",
    .summary = "write a Hugging Face folder as one GGUF file",
    .args = "FOLDER [OUT]",
    .description =
        "The folder holds config.json, *.safetensors (one or shards) and tokenizer.json, or "
        "vocab.json with merges.txt. The families gpt2, llama (mistral, smollm), qwen2, qwen3, "
        "smollm3 "
        "are converted; what the file cannot say is refused by name. weir computes the same bits "
        "from the file as from the folder; llama.cpp reads it as well. OUT is by default the "
        "folder's name in the current folder; it appears when it is complete, never before.",
    .examples = "weir model convert ./SmolLM2-360M-Instruct             # as it is\n"
                "weir model convert ./Qwen3-0.6B qwen3.gguf --type q8_0 # and smaller at once",
    .options = options,
    .options_size = sizeof(struct model_write_options),
    .args_min = 1,
    .args_max = 2,
    .run = run,
};
