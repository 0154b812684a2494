// Digests of what every machine computes to the same bits, one line each, held against a file of
// tests/data: so machines that never meet are compared. A new version of the numerics alone may
// change such a file. Aborts on misuse.
#pragma once

#include <stdbool.h>

#include "base/buf.h"

// A line: what it is, and a hash of the bytes.
void digests_add(struct buf *lines, const char *what, str bytes);
// Whether the lines are those of tests/data/`file`. Where not, those that were computed are
// printed, to be put there by whoever means the change.
bool digests_are_recorded(const char *file, const char *computed_by, const struct buf *lines);
