// A guard: rules over a text that streams by. Each rule looks for patterns, personal data or a
// canary, and says what becomes of what it finds. Compiled once, immutable, used by any number of
// streams in any thread; a stream belongs to one call. Whatever is told on has passed every rule:
// nothing of a blocked or masked text gets out before its verdict, and no byte waits that cannot be
// part of a match any more. Rules that block see the text first, then those that tag, then those
// that mask: no rule can hide a text from a stricter one.
#pragma once

#include "guard/pii.h"
#include "guard/scan.h"
#include "guard/vault.h"

#define GUARD_RULES_MAX 64

// In the order in which they see the text.
enum guard_action {
    GUARD_BLOCK, // nothing of it goes on, nor anything behind it
    GUARD_TAG,   // it is noted, and passes
    GUARD_MASK,  // something else goes on in its place
    GUARD_ACTIONS
};

struct guard_rule {
    str name; // for records and replacements
    enum guard_action action;
    const str *patterns; // any of these …
    size_t patterns_len;
    uint32_t pii;    // … or of these kinds: bits 1 << enum pii_kind …
    str canary;      // … or this canary
    str replacement; // MASK; empty: "[NAME]". Personal data gets a placeholder that comes back
};

struct guard;

// Rules are copied. ERR_PARSE, ERR_INVALID or ERR_LIMIT name the rule.
enum err guard_new(const struct guard_rule *rules, size_t len, struct guard **ret,
                   struct diag *d) MUST_USE;
void guard_free(struct guard *g); // NULL is fine; after every stream
const char *guard_rule_name(const struct guard *g, size_t rule);

struct guard_stage {
    struct guard_stream *stream;
    struct scan scan;
    enum guard_action action;
};

struct guard_stream {
    const struct guard *guard;
    struct vault *vault;
    struct guard_stage stages[GUARD_ACTIONS];
    struct scan_scratch *scratch;
    struct buf *out;
    uint32_t hits[GUARD_RULES_MAX]; // by rule
    int blocked_by;                 // a rule, or -1
};

// `vault` (may be NULL) gets what is masked of personal data.
void guard_stream_init(struct guard_stream *s, const struct guard *g, struct vault *vault);
void guard_stream_done(struct guard_stream *s);
// Append to `out` what may go on. False: it is blocked, now or before; `out` has what had passed
// every rule by then.
bool guard_stream_feed(struct guard_stream *s, struct scan_scratch *x, str bytes, struct buf *out);
// The text is complete: the rest of it.
bool guard_stream_end(struct guard_stream *s, struct scan_scratch *x, struct buf *out);
// Room to scan with, one a thread.
void guard_scratch_init(struct scan_scratch *x, const struct guard *g);

// --- The way back: placeholders of a vault to what they stand for, in a text that streams by.
struct guard_restore {
    const struct vault *vault;
    struct scan scan;
    struct buf *out;
};
void guard_restore_init(struct guard_restore *r, const struct guard *g, const struct vault *vault);
void guard_restore_done(struct guard_restore *r);
void guard_restore_feed(struct guard_restore *r, struct scan_scratch *x, str bytes,
                        struct buf *out);
void guard_restore_end(struct guard_restore *r, struct scan_scratch *x, struct buf *out);
