// An output that nobody hears: of a copy of a call, or of one whose client has gone while others
// wait for what it brings. Its ctx is the body that the call may take (a struct buf), or NULL.
#pragma once

#include "gateway/call.h"

extern const struct call_output call_unheard;
