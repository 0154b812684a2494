// A count that only grows, and those who wait for it to: a new work, a barrier that opens, a layer
// that is written. Whoever waits is awake for a quarter of a millisecond at most, offering its CPU
// to others, then sleeps, so that whoever waits long costs nothing. Any number of threads may wait
// and advance. What a thread wrote before it advanced the count is seen by whoever saw the count.
#pragma once

#include <stdatomic.h>

#if !defined(__linux__)
#include <pthread.h>
#endif

struct progress {
    _Alignas(64) atomic_uint value;
    atomic_uint sleepers;
#if !defined(__linux__)
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
};

void progress_init(struct progress *p);
void progress_done(struct progress *p);
void progress_advance(struct progress *p);
// Returns when the count is no longer `old`.
void progress_wait(struct progress *p, unsigned old);
// Returns when the count is `least` or more: for counts that do not wrap.
void progress_reach(struct progress *p, unsigned least);
// Nobody waits.
void progress_reset(struct progress *p);
