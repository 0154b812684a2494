// What the scripted provider says: tokens of text, reasoning and tool calls, made from the seed and
// the conversation alone, so that the whole answer is known to whoever asks again without faults.
// Owner: the call; lives in its arena. One thread.
#pragma once

#include "fault/ask.h"
#include "fault/order.h"

#define REPLY_BYTES_MAX (64u << 20)

enum reply_finish { REPLY_STOP, REPLY_LENGTH, REPLY_TOOLS, REPLY_FILTER };

struct reply_call {
    str id, name;
    str arguments; // as text; may be empty or broken on order
};

struct reply {
    str *reasoning; // tokens
    size_t reasoning_len;
    str *tokens; // of the text
    size_t tokens_len;
    struct reply_call *calls;
    size_t calls_len;
    enum reply_finish finish;
    uint64_t prompt_tokens;
    uint64_t id; // for the answer's own name
    int64_t created_s;
    str model;
    bool usage; // tell token counts
    bool azure; // Azure's members are there
};

// False: the arena is full.
bool reply_make(struct reply *r, const struct ask *a, const struct order *o,
                const struct order_plan *p, bool continues, uint64_t seed, uint64_t number,
                struct arena *arena);
// Output tokens in all.
uint64_t reply_tokens(const struct reply *r);
// Tokens joined to one text, and as a member of an open object.
void reply_join(const str *tokens, size_t len, struct buf *out);
void reply_write_joined(struct json_writer *w, const char *key, const str *tokens, size_t len);
// The vector of a text: `dimensions` numbers of length 1.
bool reply_embed(str text, size_t dimensions, uint64_t seed, struct arena *arena, float **ret);
uint64_t reply_count(str text); // prompt tokens, by a rule of thumb: four bytes each
