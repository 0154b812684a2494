#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cmd_model.h"
#include "models/library.h"

#include "base/banned.h"

// Only files in the library are removed: a path is refused, so that a slip cannot delete somebody's
// own file.
static enum err library_path(struct command_call *call, str name, str *ret, struct diag *d)
{
    str folder;
    ERR_TRY(model_library_folder(call->arena, &folder, d));
    if (!model_library_name_ok(name))
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT
                        "' is not the name of a pulled model; remove a file of your own with rm",
                        STR_ARG(name));
    *ret = arena_printf(call->arena, STR_FMT "/" STR_FMT "%s", STR_ARG(folder), STR_ARG(name),
                        str_ends(name, STR(".gguf")) ? "" : ".gguf");
    return ret->ptr ? ERR_OK : diag_set(d, ERR_LIMIT, "the path is too long");
}

static int run(struct command_call *call)
{
    str path;
    struct diag d = {0};
    enum err e = library_path(call, str_of(call->args[0]), &path, &d);
    if (e != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    if (unlink(path.ptr) == 0) {
        printf("removed %s\n", path.ptr);
        return EXIT_STATUS_OK;
    }
    if (errno == ENOENT)
        return command_fail_text(
            call, EXIT_STATUS_UNREACHABLE,
            "there is no pulled model '%s'; 'weir model list' shows what is here", call->args[0]);
    (void)diag_sys(&d, ERR_IO, errno, "cannot remove %s", path.ptr);
    return command_fail(call, EXIT_STATUS_FAILED, &d);
}

const struct command cmd_model_rm = {
    .name = "rm",
    .summary = "remove a pulled model",
    .args = "NAME",
    .examples = "weir model rm smollm2   # gives its disk space back",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
