#include "cli/cmd_key.h"

#include "base/clock.h"
#include "cli/commands.h"

#include "base/banned.h"

const char *key_state(const struct store_key *k)
{
    if (k->revoked_ms)
        return "revoked";
    return k->expires_ms && (int64_t)clock_wall_ms() >= k->expires_ms ? "expired" : "active";
}

void key_write_json(struct json_writer *w, const struct store_key *k)
{
    jw_object_begin(w);
    jw_kv_z(w, "state", key_state(k));
    for (const struct row_column *c = store_key_columns; c->name; c++) {
        const void *field = (const char *)k + c->offset;
        int64_t number = c->type == ROW_STR ? 0 : *(const int64_t *)field;
        if (str_eq_z(STR("digest"), c->name))
            continue;
        if (c->type == ROW_STR)
            jw_kv_str(w, c->name, *(const str *)field);
        else if (c->type == ROW_MONEY && number < 0)
            jw_kv_null(w, c->name);
        else
            jw_kv_int(w, c->name, number);
    }
    jw_object_end(w);
}

static const struct command *const verbs[] = {
    &cmd_key_create, &cmd_key_list, &cmd_key_show, &cmd_key_revoke, NULL,
};

const struct command cmd_key = {
    .name = "key",
    .summary = "create, list, show and revoke API keys",
    .description =
        "Keys are made in the store (see 'store' in the configuration); a running server on the "
        "same store knows a new or revoked key within a second. Only a key's hash is kept: the key "
        "itself is shown once, when it is made. Once there is a key, the server asks everyone for "
        "one, also after all have been revoked.",
    .examples = "weir key create --name team-red --budget 25 --tokens-per-minute 100000\n"
                "weir key list                  # who may call, and what they have spent\n"
                "weir key revoke team-red       # refused from the next second on",
    .subcommands = verbs,
};
