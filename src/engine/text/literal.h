// What a client wrote, marked inside a rendered prompt, so that the text of a message is never
// taken for the template's own control tokens ("<|im_end|>" in a user's message stays five plain
// tokens). A mark is a byte that valid UTF-8 never holds; it opens and closes. chat_template_render
// writes marks, tokenizer_encode with TOKENIZE_SPECIAL takes them out again. Pure functions.
#pragma once

#include "base/buf.h"

#define LITERAL_MARK '\xff'

// s between marks; marks that s itself holds are left out.
enum err literal_put(struct buf *out, str s);

struct literal_range {
    size_t from, to;
};

struct literal_text {
    struct buf text;   // without marks
    struct buf ranges; // of struct literal_range, ascending
};

// False: `marked` holds no mark and stands for itself; nothing was written.
bool literal_find(str marked);
enum err literal_strip(str marked, struct literal_text *ret) MUST_USE;
void literal_text_done(struct literal_text *t);
// Does [from, to) touch a literal range? *cursor begins at 0 and may be kept while `from` ascends.
bool literal_touches(const struct literal_text *t, size_t from, size_t to, size_t *cursor);
