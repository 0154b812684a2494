// The step of the schema that brings records from a row each into groups. For schema.c alone.
#pragma once

#include "store/db.h"

// Makes the table of groups and copies the tables request (with attempt) and shadow into it, as
// version 5 had them.
enum err schema_group_records(struct db *b, struct diag *d) MUST_USE;
