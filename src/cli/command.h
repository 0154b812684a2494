// A verb of the command line: one `struct command` a file (cmd_serve.c …), one table in cli.c. The
// same rows give parsing, help, the man page and shell completion. Runs on the main thread;
// everything here may block.
#pragma once

#include "base/arena.h"
#include "base/option.h"

// What the program's exit status says (documented in the man page and by `weir help exit-codes`).
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,      // the work was tried and failed
    EXIT_STATUS_USAGE = 2,       // wrong command line or configuration; nothing was done
    EXIT_STATUS_UNREACHABLE = 3, // a model, server or file that the work needs is not there
    EXIT_STATUS_INTERRUPTED = 130,
};

struct command;

struct command_call {
    const struct command *command;
    const char *path;        // "model info"
    void *options;           // the command's own struct, filled from the table
    const bool *given;       // by row of the table: was it on the command line?
    const char *const *args; // what is not an option
    size_t args_len;
    struct arena *arena; // lives until the program ends
};

struct command {
    const char *name;
    const char *summary;     // one line, for the list of verbs
    const char *args;        // "[NAME|FILE]"; NULL = none taken
    const char *description; // plain paragraphs
    const char
        *examples; // lines as one types them, each followed by a line of explanation behind "#"
    const struct option *options; // may be NULL
    size_t options_size;
    size_t args_min, args_max;
    int (*run)(struct command_call *call);
    // NULL-ended. run is then NULL, or what is done where no subcommand is named.
    const struct command *const *subcommands;
};

bool command_given(const struct command_call *call, const char *option);

// All verbs, NULL-ended.
extern const struct command *const command_table[];
const struct command *command_find(const struct command *const *table, str name);

// Print a diag as "weir PATH: where: text" to stderr; returns `status` so that a verb may end with
// it.
int command_fail(const struct command_call *call, int status, const struct diag *d);
int command_fail_text(const struct command_call *call, int status, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
