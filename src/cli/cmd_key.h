// What the verbs of `weir key` share.
#pragma once

#include "base/json.h"
#include "cli/command.h"
#include "store/key.h"

extern const struct command cmd_key_create, cmd_key_list, cmd_key_show, cmd_key_revoke;

// "active", "expired", "revoked".
const char *key_state(const struct store_key *k);
// Everything about it but the key itself, which nobody has.
void key_write_json(struct json_writer *w, const struct store_key *k);
