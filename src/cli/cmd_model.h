// The verbs under `weir model`.
#pragma once

#include "cli/command.h"

extern const struct command cmd_model_list;
extern const struct command cmd_model_info;
extern const struct command cmd_model_pull;
extern const struct command cmd_model_quantize;
extern const struct command cmd_model_convert;
extern const struct command cmd_model_rm;

// --json alone: what list, info and rm share.
struct model_verb_options {
    bool json;
};
extern const struct option model_verb_option_table[];
