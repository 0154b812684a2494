// A streamed answer as blocks that follow each other: reasoning, text, tool calls. Events of one
// choice go in; blocks that open, grow and close one at a time come out. Arguments of parallel
// calls may come interleaved with anything: what is not of the call that is open is held back until
// its arguments are complete JSON, or the choice is. Owner: a dialect's stream. One thread at a
// time. Holds bytes_max at most; past that it fails.
#pragma once

#include "dialect/exchange.h"

enum block_type { BLOCK_THINKING, BLOCK_TEXT, BLOCK_CALL };

// Whose text is kept until blocks_done.
enum blocks_keep { BLOCKS_KEEP_NONE, BLOCKS_KEEP_CALLS, BLOCKS_KEEP_ALL };

// Where the end of a JSON value is, piece by piece.
struct block_json {
    uint32_t depth;
    bool begun, in_string, escaped;
};

struct block {
    enum block_type type;
    uint32_t index;  // its place in the answer
    str id, name;    // CALL
    str signature;   // THINKING, when it came
    bool redacted;   // THINKING that only its provider can read: nothing but a signature
    struct buf text; // what it said, or a call's arguments; kept only where blocks keep
    // blocks.c's own
    uint32_t call_index;
    bool closed;
    struct block_json json;
    struct buf held;
};

// Slices last as long as the call of the function.
struct block_sink {
    void (*open)(void *ctx, const struct block *b);
    void (*grow)(void *ctx, const struct block *b, str text);
    void (*sign)(void *ctx, const struct block *b); // its signature came
    void (*close)(void *ctx, const struct block *b);
};

struct blocks {
    const struct block_sink *sink;
    void *ctx;
    enum blocks_keep keep;
    bool failed;
    struct block **items; // all: opened ones, then those whose turn has not come
    size_t len, cap, opened;
    struct block *open;
    struct arena arena;
    size_t bytes, bytes_max;
};

void blocks_init(struct blocks *b, const struct block_sink *sink, void *ctx, enum blocks_keep keep,
                 size_t bytes_max);
void blocks_done(struct blocks *b); // a zeroed one is fine
// TEXT, THINKING, CALL and ARGUMENTS; others change nothing.
void blocks_feed(struct blocks *b, const struct exchange_event *e);
// The choice is complete: everything held comes out, and the last block closes.
void blocks_finish(struct blocks *b);
