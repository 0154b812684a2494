// Tokens that are looked for in the text itself, before anything is cut or merged: leftmost first,
// the longest there. Sorted by bytes and narrowed byte by byte. Immutable after init.
#pragma once

#include "base/err.h"
#include "engine/format/model_file.h"

struct specials {
    const str *tokens;
    int32_t *ids; // by their text
    uint32_t n;
    uint32_t first[257]; // ids[first[b]] … ids[first[b + 1]] begin with byte b
};

// Takes the tokens whose type is in the set `types` (1u << enum token_type).
enum err specials_init(struct specials *s, const struct vocab *v, unsigned types,
                       struct diag *d) MUST_USE;
void specials_done(struct specials *s);
// The first one at or after `from`: its id, place and length; -1 when there is none.
int32_t specials_find(const struct specials *s, str text, size_t from, size_t *ret_at,
                      size_t *ret_len);
