// Command-line words to a command's options struct, by its option table. GNU style: --name value,
// --name=value, --flag, --no-flag, -x value, "--" ends options. Names are written with dashes for
// the table's underscores.
#pragma once

#include "cli/command.h"

// argv: the words after the verb. On success call->options, given, args are set (in the arena).
// ERR_INVALID with the remedy otherwise.
enum err parse_command_line(const struct command *c, int argc, char **argv, struct arena *arena,
                            struct command_call *ret, struct diag *d) MUST_USE;
