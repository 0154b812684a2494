// From the bytes of tokens to text that may be shown. Two stages, both independent of how the bytes
// are cut: whole UTF-8 characters (an incomplete one waits; bytes that never become valid turn into
// U+FFFD, one for each maximal part, as the Unicode Standard advises), then stop strings: text that
// may be the beginning of one waits, the first to be complete ends the text (at the same byte, the
// longest). Owner: one sequence.
#pragma once

#include "base/buf.h"

struct stops_one {
    str text;
    uint32_t *fallback; // Knuth-Morris-Pratt
    uint32_t matched;
};

struct stops {
    struct stops_one *all;
    size_t n;
    bool include; // the stop string itself is shown
    char partial[4];
    size_t partial_len;
    struct buf held; // characters that may begin a stop string
};

// `texts` outlive it and are not empty.
void stops_init(struct stops *s, const str *texts, size_t n, bool include);
void stops_done(struct stops *s);
// Appends to `out` what may be shown. With may_stop, true when a stop string is complete (then
// *ret_matched is it, and what follows it is dropped); without, they pass.
bool stops_feed(struct stops *s, str bytes, bool may_stop, struct buf *out, str *ret_matched);
// The end: what waits is shown after all.
void stops_flush(struct stops *s, struct buf *out);
