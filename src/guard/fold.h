// A text as people read it: without the invisible characters that programs read between its
// letters, and with compatibility forms (full width, ligatures, letters in circles) as what they
// stand for. Letters of another alphabet that only look alike stay what they are. Pure; any thread.
#pragma once

#include "base/buf.h"

// False: it is the same, or it is no UTF-8; `out` is as it was then.
bool fold_text(str text, struct buf *out);
