// Unicode normalisation form C, as some models' tokenizers apply it before anything else.
#pragma once

#include "base/buf.h"
#include "base/err.h"

// *ret is `text` itself when it is already normal, else what `scratch` then holds. Bytes that are
// not UTF-8 stay; so do runs of more than 128 combining marks (sorting them would be slow).
// ERR_NOMEM, ERR_LIMIT of scratch.
enum err nfc_normalize(str text, struct buf *scratch, str *ret) MUST_USE;
