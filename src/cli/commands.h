// Every verb, one file each (cmd_NAME.c). A new verb is a file, a line here and a line in cli.c's
// table.
#pragma once

#include "cli/command.h"

extern const struct command cmd_bench;
extern const struct command cmd_chat;
extern const struct command cmd_completion;
extern const struct command cmd_config;
extern const struct command cmd_doctor;
extern const struct command cmd_explain;
extern const struct command cmd_fault;
extern const struct command cmd_gpu;
extern const struct command cmd_guard;
extern const struct command cmd_help;
extern const struct command cmd_key;
extern const struct command cmd_model;
extern const struct command cmd_prompt;
extern const struct command cmd_serve;
extern const struct command cmd_version;
