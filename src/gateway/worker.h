// A bounded pool of threads for a loop's long work: large JSON, template rendering, tokenising.
// worker_submit and the completion run on the loop thread; `run` on a pool thread. Bound: depth
// waiting items, then worker_submit says ERR_BUSY. Completion cannot fail: each item carries its
// own doorbell.
#pragma once

#include "gateway/world.h"
#include "net/loop.h"

struct worker;

enum err worker_new(struct loop *l, uint32_t threads, uint32_t depth_max, struct worker **ret,
                    struct diag *d) MUST_USE;
// Waits until all that was handed in has run, and completes it. Loop thread.
void worker_free(struct worker *w);
enum err worker_submit(struct worker *w, struct offload *o) MUST_USE;
