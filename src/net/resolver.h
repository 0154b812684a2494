// Names to addresses. getaddrinfo blocks, so it runs on the resolver's own thread (started by the
// first real lookup); answers come back on the loop by its doorbell. One resolver a loop, used on
// that loop's thread only. IP literals need no thread. Answers are kept for a while: fresh for 30
// s; when a later lookup fails, the last good answer is served for up to 5 minutes.
#pragma once

#include "net/loop.h"
#include "net/sock.h"

#define RESOLVER_ADDRESSES_MAX 16

struct resolver;
struct resolver_query;

struct resolver_answer {
    struct sock_address addresses[RESOLVER_ADDRESSES_MAX]; // in the system's order of preference
    size_t len;
};

struct resolver *resolver_new(struct loop *l);
// Waits for a lookup under way. Queries left are dropped without a word.
void resolver_free(struct resolver *r);

// done(ctx, …) is called once, in a later turn. ERR_NOT_FOUND: no such name; ERR_IO: could not ask;
// ERR_BUSY: too many questions. The diag lives until done returns.
struct resolver_query *resolver_ask(struct resolver *r, str host, uint16_t port,
                                    void (*done)(void *ctx, enum err e,
                                                 const struct resolver_answer *answer,
                                                 const struct diag *d),
                                    void *ctx);
void resolver_cancel(struct resolver_query *q); // before done was called; no call after it
