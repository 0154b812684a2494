// How another thread ends a loop's wait: an eventfd where there is one, else a pipe. Owner: a loop.
// doorbell_ring: any thread; the rest on the loop's thread.
#pragma once

#include "base/err.h"

struct doorbell {
    int read_fd, write_fd; // the same for an eventfd
};

enum err doorbell_init(struct doorbell *b, bool portable, struct diag *d) MUST_USE;
void doorbell_done(struct doorbell *b);
void doorbell_ring(struct doorbell *b);
void doorbell_hush(struct doorbell *b); // take all rings so far
