// Standard output of verbs: whole texts, and JSON where --json is asked.
#pragma once

#include "base/buf.h"

// Write everything and free the buf; the exit status (failed when stdout is gone or the text passed
// its limit).
int print_and_done(struct buf *out);
