// Looks for patterns in a text that comes in pieces, cut anywhere. It tells the text on, in order,
// as stretches that hold no match and as matches; it holds back exactly the bytes that may still
// become part of one, and nothing else. The same text gives the same matches however it is cut.
// Matches are leftmost, then longest, then of the pattern that was added first; they do not
// overlap. Owner: whoever embeds it; one thread at a time. Memory: two words a node of the
// patterns, and what is held back (PATTERN_MATCH_BYTES_MAX and one piece at most).
#pragma once

#include "base/buf.h"
#include "guard/pattern.h"

struct scan_handler {
    void (*text)(void *ctx, str bytes);               // no match in it
    void (*match)(void *ctx, uint32_t id, str bytes); // all of one
};

struct scan_thread {
    uint32_t node;
    uint64_t start;
};

// Room to work in, of as many patterns as there are; one a thread, shared by all scans there.
struct scan_scratch {
    struct scan_thread *next;
    uint64_t *visited, *listed; // by node: the step that was last here
    uint32_t *stack;
    uint32_t next_len;
    uint64_t step;
};
void scan_scratch_init(struct scan_scratch *x, const struct patterns *p);
void scan_scratch_init_nodes(struct scan_scratch *x, uint32_t nodes); // of the largest of several
void scan_scratch_done(struct scan_scratch *x);

struct scan {
    const struct patterns *patterns;
    const struct scan_handler *handler;
    void *ctx;
    struct buf held;   // bytes from `from` on
    uint64_t from, at; // positions in the text: held begins, next byte to look at
    struct scan_thread *now;
    uint32_t now_len, now_cap;
    int last; // the byte before `at`; -1: none
    bool found;
    uint64_t found_start, found_end;
    uint32_t found_entry;
};

void scan_init(struct scan *s, const struct patterns *p, const struct scan_handler *h, void *ctx);
void scan_done(struct scan *s);
void scan_feed(struct scan *s, struct scan_scratch *x, str bytes);
// The text is complete: tells all that was held back. It may begin anew afterwards.
void scan_end(struct scan *s, struct scan_scratch *x);
size_t scan_held_bytes(const struct scan *s);
