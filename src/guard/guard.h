// A guard: rules over a text that streams by. Each rule looks for patterns, personal data or a
// canary, and says what becomes of what it finds; or it measures the text as a whole
// (guard/measure.h). Compiled once, immutable, used by any number of streams in any thread; a
// stream belongs to one call. Whatever is told on has passed every rule: nothing of a blocked or
// masked text gets out before its verdict, and no byte waits that cannot be part of a match any
// more. What is allowed passes all others; then rules that block see the text first, then those
// that tag, then those that mask: no rule can hide a text from a stricter one.
#pragma once

#include "guard/pii.h"
#include "guard/scan.h"
#include "guard/topic.h"
#include "guard/vault.h"

#define GUARD_RULES_MAX 64

// In the order in which they see the text.
enum guard_action {
    GUARD_ALLOW, // no other rule looks at it
    GUARD_BLOCK, // nothing of it goes on, nor anything behind it
    GUARD_TAG,   // it is noted, and passes
    GUARD_MASK,  // something else goes on in its place
    GUARD_ACTIONS
};

// Bounds of a text; 0: any.
struct guard_size {
    uint64_t characters, tokens, turns;
};

struct guard_rule {
    str name; // for records and replacements
    enum guard_action action;
    const str *patterns; // any of these …
    size_t patterns_len;
    uint32_t pii;    // … or of these kinds: bits 1 << enum pii_kind …
    str canary;      // … or this canary
    str replacement; // MASK; empty: "[NAME]". Personal data gets a placeholder that comes back
    // Or the text as a whole: its score of injection from this on, a topic, its length. BLOCK, TAG;
    // a length may also MASK, which cuts.
    double injection;
    struct topic_rule topic;
    struct guard_size size;
    uint32_t roles; // of messages it looks at: bits of the caller's; 0: all
};

struct guard;

// Rules are copied. ERR_PARSE, ERR_INVALID or ERR_LIMIT name the rule.
enum err guard_new(const struct guard_rule *rules, size_t len, struct guard **ret,
                   struct diag *d) MUST_USE;
void guard_free(struct guard *g); // NULL is fine; after every stream
size_t guard_len(const struct guard *g);
const char *guard_rule_name(const struct guard *g, size_t rule);
enum guard_action guard_rule_action(const struct guard *g, size_t rule);
uint32_t guard_rule_roles(const struct guard *g, size_t rule);
const char *guard_action_name(enum guard_action a); // "block"
// Whether any rule looks into texts, and not only at them as a whole.
bool guard_has_patterns(const struct guard *g);

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
    uint32_t roles;                 // of the text: rules for others pass; 0: all look
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
uint32_t guard_nodes(const struct guard *g); // what the room must be for

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
