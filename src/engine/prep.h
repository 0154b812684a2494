// Turns the text of prompts into tokens and compiles grammars, off the loops and off the scheduler:
// one thread with a queue. Short texts, and grammars that were compiled before, are done by whoever
// submits; the others come here. The queue is bounded: each job has a place in the scheduler's.
#pragma once

#include <stdatomic.h>

#include "base/ring.h"
#include "base/thread.h"
#include "engine/scheduler.h"

// Texts up to this take well under a millisecond.
enum { PREP_SHORT_BYTES = 1024 };

struct prep {
    struct scheduler *scheduler;
    struct ring_mpsc queue;
    struct park park;
    _Atomic bool stop;
    struct thread thread;
};

enum err prep_start(struct prep *p, struct scheduler *s, struct diag *d) MUST_USE;
void prep_stop(struct prep *p); // what is queued still is passed on, as cancelled
void prep_submit(struct prep *p, struct engine_job *j);
// Text to tokens, and the checks that need their number; the error is also left in the job.
enum err prep_tokenize(struct engine_job *j, struct diag *d);
