// The tables and their versions. The version stands in the file itself (user_version), and each
// step up is one transaction, so that a program killed in between finds the old one or the new.
#pragma once

#include "store/db.h"

#define SCHEMA_VERSION 6

// Bring the file up to this program's version. ERR_UNSUPPORTED: a newer weir has written it.
enum err schema_upgrade(struct db *b, struct diag *d) MUST_USE;
// To an earlier version: for tests of the steps.
enum err schema_upgrade_to(struct db *b, int64_t wanted, struct diag *d) MUST_USE;
