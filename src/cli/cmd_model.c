#include "cli/cmd_model.h"

#include "cli/commands.h"

#include "base/banned.h"

const struct option model_verb_option_table[] = {
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = offsetof(struct model_verb_options, json),
     .help = "Print JSON that a program can read."},
    {0},
};

static const struct command *const verbs[] = {
    &cmd_model_list,
    &cmd_model_info,
    &cmd_model_pull,
    &cmd_model_quantize,
    &cmd_model_convert,
    &cmd_model_rm,
    NULL,
};

const struct command cmd_model = {
    .name = "model",
    .summary = "list, inspect, fetch, convert and remove models",
    .description = "The bundled model needs no download. Others are GGUF files or Hugging Face "
                   "folders: named by path, or "
                   "pulled into the data folder ($WEIR_MODELS, else $XDG_DATA_HOME/weir/models) "
                   "and then named without it.",
    .examples = "weir model list            # what is here and what can be pulled\n"
                "weir model pull smollm2    # a real small chat model (98 MB)\n"
                "weir model info smollm2    # its shape, types and template",
    .subcommands = verbs,
};
