#include <stdio.h>

#include "base/clock.h"
#include "cli/cmd_key.h"
#include "cli/open_store.h"

#include "base/banned.h"

static int run(struct command_call *call)
{
    struct db b;
    struct diag d = {0};
    int status;
    if (!open_store(call, DB_EXISTING, &b, &status))
        return status;
    enum err e = store_key_revoke(&b, str_of(call->args[0]), (int64_t)clock_wall_ms(), &d);
    db_close(&b);
    if (e != ERR_OK)
        return command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                            &d);
    printf("The key '%s' is revoked.\n", call->args[0]);
    return EXIT_STATUS_OK;
}

const struct command cmd_key_revoke = {
    .name = "revoke",
    .summary = "refuse a key from now on",
    .description = "Running servers on the same store refuse it within a second; requests that it "
                   "has begun may end. Its record stays, its name is free again.",
    .args = "NAME|ID",
    .examples = "weir key revoke team-red   # 401 from then on",
    .options = store_verb_option_table,
    .options_size = sizeof(struct store_verb_options),
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
