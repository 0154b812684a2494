// Frames of a server-sent event stream whose events have names.
#pragma once

#include "base/buf.h"

void frame_begin(struct buf *out, const char *name); // "event: NAME\ndata: "
void frame_end(struct buf *out);
