// Where the store's thread sleeps: until another thread rings, until another process has written to
// the database's files where the system tells (inotify), or until a time is up. The thread opens,
// sleeps and closes; sleeper_ring is any thread's, and cheap while nobody sleeps.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct sleeper {
    int bell[2]; // a pipe
    int watch;   // -1: the system does not tell who writes
    _Atomic bool asleep;
};

// `path` is the database, whose log stands beside it.
enum err sleeper_open(struct sleeper *s, const char *path, struct diag *d) MUST_USE;
void sleeper_close(struct sleeper *s); // fine when it is all zero
void sleeper_ring(struct sleeper *s);
// Call `idle` once a ring from now on would be heard: nothing is slept if it says false.
void sleeper_sleep(struct sleeper *s, uint32_t ms, bool (*idle)(const void *ctx), const void *ctx);
// Forgets what the files' changes so far were: whoever looks after that misses none.
void sleeper_forget_writes(struct sleeper *s);
// How long one may sleep and still see within a second which keys another process has written.
uint32_t sleeper_ms_max(const struct sleeper *s);
