// Conversations that are too long for their model: which messages are left out so that the rest
// fits. System messages stay, and so do the last turn of the user's and the newest step of the
// answer that goes on there; a call stays with its results, and a turn goes as a whole. Pure but
// for the caller's count; any thread.
#pragma once

#include "dialect/exchange.h"

enum context_policy { CONTEXT_REFUSE, CONTEXT_TRUNCATE_OLDEST, CONTEXT_TRUNCATE_MIDDLE };
extern const char *const context_policy_names[]; // NULL-ended: "refuse", "truncate_oldest"

// How many tokens a request of these messages has; false: nobody can tell.
typedef bool (*context_count)(void *ctx, const struct exchange_message *messages, size_t len,
                              uint64_t *ret);

struct context_cut {
    struct exchange_message *messages; // in the arena; the request's own where nothing was cut
    size_t len;
    uint64_t before, after; // tokens
    size_t left_out;        // messages
};

enum context_result {
    CONTEXT_FITS,     // nothing is left out
    CONTEXT_CUT,      // *ret says what
    CONTEXT_TOO_LONG, // also without all that may go; ret->before and ret->after say how long
    CONTEXT_UNKNOWN   // the count failed, or there is no memory
};

// `room`: tokens that the prompt may have.
enum context_result context_fit(enum context_policy policy, struct exchange_message *messages,
                                size_t len, uint64_t room, context_count count, void *ctx,
                                struct arena *arena, struct context_cut *ret);
