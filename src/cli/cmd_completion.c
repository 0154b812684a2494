#include "cli/commands.h"
#include "cli/help.h"
#include "cli/print.h"

#include "base/banned.h"

static int run(struct command_call *call)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    if (help_completion(str_of(call->args[0]), &out) == ERR_OK)
        return print_and_done(&out);
    buf_done(&out);
    return command_fail_text(call, EXIT_STATUS_USAGE, "no completion for '%s': bash, zsh or fish",
                             call->args[0]);
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "print shell completion for bash, zsh or fish",
    .args = "bash|zsh|fish",
    .description =
        "Verbs, their options and file names complete when the shell reads what this prints.",
    .examples = "weir completion bash > /etc/bash_completion.d/weir   # for everybody\n"
                "source <(weir completion bash)                       # for this shell",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
