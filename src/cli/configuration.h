// The configuration file as verbs read it: --config FILE, else $WEIR_CONFIG, else the defaults.
#pragma once

#include "base/arena.h"
#include "gateway/config.h"

// Everything it points to lives in the arena. A refusal names file, line, column and what to write
// instead. ret_path (may be NULL): the file that was read, or STR_NONE.
enum err configuration_load(struct arena *a, str path, struct gateway_config *ret, str *ret_path,
                            struct diag *d) MUST_USE;
// What a verb ends with when configuration_load said `e`: a file that is not there is not a wrong
// one.
int configuration_exit_status(enum err e);
