#include "cli/cmd_model.h"
#include "cli/model_choice.h"
#include "cli/model_write.h"

#include "base/banned.h"

static const struct option options[] = {
    MODEL_WRITE_THREADS,
    {.name = "requantize",
     .type = OPTION_BOOL,
     .offset = offsetof(struct model_write_options, requantize),
     .help = "Take a model that is quantised already, though rounding twice costs quality."},
    MODEL_WRITE_FORCE,
    MODEL_WRITE_JSON,
    {0},
};

static int run(struct command_call *call)
{
    const struct model_write_options *o = call->options;
    struct model_save_options save = {.retype = true,
                                      .requantise = o->requantize,
                                      .replace = o->force,
                                      .threads = (uint32_t)o->threads};
    struct model_file *f;
    struct diag d = {0};
    if (model_write_type(str_of(call->args[1]), &save.type, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    enum err e = model_choice_open_file(call->arena, str_of(call->args[0]), &f, &d);
    if (e != ERR_OK)
        return command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                            &d);
    str path = call->args_len > 2 ? str_of(call->args[2])
                                  : model_write_default_path(call->arena, str_of(call->args[0]),
                                                             tensor_type_name(save.type));
    return model_write(call, f, path.ptr, &save, o->json);
}

const struct command cmd_model_quantize = {
    .name = "quantize",
    .summary = "write a model with smaller weights",
    .args = "NAME|FILE TYPE [OUT]",
    .description =
        "Reads an F32, F16 or BF16 model and writes a GGUF file whose matrices are of TYPE: q8_0, "
        "q6_k, q5_k, q4_k, q4_1, q4_0, f16 or bf16. Norms, biases and learned positions stay F32; "
        "below q8_0 the output head is q6_k, as errors there show most. Metadata and vocabulary "
        "are carried over unchanged. OUT is by default the model's name and the type in the "
        "current folder; it appears when it is complete, never before. llama.cpp reads the file "
        "as well.",
    .examples = "weir model quantize model-f16.gguf q8_0             # model-f16-q8_0.gguf\n"
                "weir model quantize model-f32.gguf q4_k small.gguf  # about a seventh of its size",
    .options = options,
    .options_size = sizeof(struct model_write_options),
    .args_min = 2,
    .args_max = 3,
    .run = run,
};
