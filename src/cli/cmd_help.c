#include <stdio.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/print.h"

#include "base/banned.h"

struct help_options {
    bool man;
};

static const struct option options[] = {
    {.name = "man",
     .type = OPTION_BOOL,
     .offset = offsetof(struct help_options, man),
     .help = "Print the whole manual page (troff): weir help --man | man -l -"},
    {0},
};

static enum err topic(const struct command_call *call, struct buf *out)
{
    const struct command *c = command_find(command_table, str_of(call->args[0]));
    if (!c && str_eq_z(str_of(call->args[0]), "exit-codes")) {
        help_exit_codes(out);
        return ERR_OK;
    }
    if (!c)
        return ERR_NOT_FOUND;
    char path[64];
    snprintf(path, sizeof path, "%s", c->name);
    if (call->args_len > 1) {
        const struct command *s =
            c->subcommands ? command_find(c->subcommands, str_of(call->args[1])) : NULL;
        if (!s)
            return ERR_NOT_FOUND;
        snprintf(path, sizeof path, "%s %s", c->name, s->name);
        c = s;
    }
    help_command(c, path, out);
    return ERR_OK;
}

static int run(struct command_call *call)
{
    const struct help_options *o = call->options;
    struct buf out;
    buf_init(&out, 1u << 20);
    if (o->man) {
        help_man(&out);
    } else if (call->args_len == 0) {
        help_overview(&out);
    } else if (topic(call, &out) != ERR_OK) {
        buf_done(&out);
        return command_fail_text(
            call, EXIT_STATUS_USAGE, "no verb '%s%s%s'; 'weir help' lists them", call->args[0],
            call->args_len > 1 ? " " : "", call->args_len > 1 ? call->args[1] : "");
    }
    return print_and_done(&out);
}

const struct command cmd_help = {
    .name = "help",
    .summary = "explain a verb",
    .args = "[VERB [VERB] | exit-codes]",
    .examples = "weir help model pull   # one verb\n"
                "weir help exit-codes   # what the exit status says\n"
                "weir help --man | man -l -",
    .options = options,
    .options_size = sizeof(struct help_options),
    .args_max = 2,
    .run = run,
};
