// Everything written from the table of commands: help pages, the man page, shell completion.
#pragma once

#include "base/buf.h"
#include "cli/command.h"

void help_overview(struct buf *out); // `weir` and `weir help`
void help_command(const struct command *c, const char *path, struct buf *out); // path: "model pull"
void help_exit_codes(struct buf *out);
void help_man(struct buf *out); // troff
enum err help_completion(str shell,
                         struct buf *out) MUST_USE; // bash, zsh, fish; ERR_NOT_FOUND otherwise
