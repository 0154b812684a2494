// Command-line words to a command's options struct, by its option table. GNU style: --name value,
// --name=value, --flag, --no-flag, -x value, "--" ends options. Names are written with dashes for
// the table's underscores.
#pragma once

#include "cli/command.h"

// argv: the words behind `path` ("model info"), which hints name. On success call->path, options,
// given and args are set (in the arena).
// ERR_INVALID with the remedy otherwise.
enum err parse_command_line(const struct command *c, const char *path, int argc, char **argv,
                            struct arena *arena, struct command_call *ret, struct diag *d) MUST_USE;
