// A call's dealings with the cache: whether it is asked, whom it hears, what it leaves there.
// Loop thread.
#pragma once

#include "gateway/cache.h"
#include "gateway/world.h"

struct answer_headers;
struct call;
struct call_input;
struct call_semantic;

enum cache_use {
    CACHE_UNUSED,  // it is off, or the request is none of its
    CACHE_MISS,    // this call makes the answer
    CACHE_HIT,     // it was there
    CACHE_SHARED,  // another call was making it
    CACHE_SEMANTIC // the answer to a question that means nearly the same
};
const char *cache_use_name(enum cache_use u); // "hit"

// What the client says about it, in x-weir-cache.
enum cache_wish {
    CACHE_WISH_USUAL,
    CACHE_WISH_OFF,
    CACHE_WISH_REFRESH,
    CACHE_WISH_ON,
    CACHE_WISH_EXACT // nothing but what was asked in these words
};
enum cache_wish cache_wish_read(str header);

struct call_cache {
    enum cache_use use;
    uint8_t key[CACHE_KEY_BYTES];
    struct tape *tape; // that this call makes
    struct world_timer bell;
    bool ringing;
    bool follows;                   // its attempt is somebody else's answer
    bool on_its_own;                // it has followed once, in vain
    bool deserted;                  // its client has gone, and others hear it
    struct call_semantic *semantic; // phase_semantic.h; NULL: not compared
};

// What the answer's headers say of it.
void cache_headers(const struct call *c, struct answer_headers *h);
// One more event for those who ask the same, as this call's client got it.
void cache_note(struct call *c, const struct exchange_event *e);
// What was noted so far has come to nothing.
void cache_discard(struct call *c);
// Its client has gone. True: others hear it, so it goes on.
bool cache_desert(struct call *c);
// Others wait for what it says: it may not wait for its own client.
bool cache_is_heard(const struct call *c);
void cache_leave(struct call *c); // at the call's end
