#include "cli/open_store.h"

#include "cli/configuration.h"
#include "store/place.h"
#include "store/schema.h"

#include "base/banned.h"

const struct option store_verb_option_table[] = {STORE_VERB_ROWS, {0}};

static enum err find(struct command_call *call, str *ret, struct diag *d, int *ret_status)
{
    const struct store_verb_options *o = call->options;
    struct gateway_config config;
    str place = o->store;
    if (!place.len) {
        enum err e = configuration_load(call->arena, o->config, &config, NULL, d);
        if (e != ERR_OK) {
            *ret_status = configuration_exit_status(e);
            return e;
        }
        place = config.store.path;
    }
    ERR_TRY(store_place(place, call->arena, ret, d));
    if (ret->ptr)
        return ERR_OK;
    *ret_status = EXIT_STATUS_USAGE;
    return diag_set(d, ERR_INVALID, "the store is off: name one with --store FILE");
}

static enum err open_upgraded(const char *path, enum db_open_mode mode, struct db *ret,
                              struct diag *d)
{
    struct db b;
    ERR_TRY(db_open(path, mode, &b, d));
    enum err e = schema_upgrade(&b, d);
    if (e == ERR_OK)
        *ret = b;
    else
        db_close(&b);
    return e;
}

bool open_store(struct command_call *call, enum db_open_mode mode, struct db *ret, int *ret_status)
{
    struct diag d = {0};
    str path;
    *ret_status = EXIT_STATUS_FAILED;
    enum err e = find(call, &path, &d, ret_status);
    if (e == ERR_OK)
        e = open_upgraded(path.ptr, mode, ret, &d);
    if (e == ERR_NOT_FOUND)
        *ret_status = EXIT_STATUS_UNREACHABLE;
    if (e != ERR_OK)
        command_fail(call, *ret_status, &d);
    return e == ERR_OK;
}
