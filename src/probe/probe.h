// What this machine's processors can do at most, measured: the roofline that the engine is held to.
// Reading memory by the size of what is read, and multiply-adds of each kind, on some threads at
// once. Each figure is the best of several runs of a few milliseconds, so that what else runs on
// the machine shows as little as can be. Blocking; any thread; nothing is kept.
#pragma once

#include "base/err.h"

enum probe_peak {
    PROBE_FMA,       // f32
    PROBE_BF16_DOT,  // pairs of bf16 into f32
    PROBE_INT8_DOT,  // fours of int8 into int32
    PROBE_BF16_TILE, // matrix unit (AMX)
    PROBE_INT8_TILE, // matrix unit (AMX)
    PROBE_PEAKS
};

const char *probe_peak_name(enum probe_peak p);  // "fma_f32_per_s"
const char *probe_peak_label(enum probe_peak p); // for people

// Operations a second (a multiply-add is two) of `threads` threads together; 0: this processor or
// this build has no such instruction. Takes about `seconds`.
enum err probe_peak_measure(enum probe_peak p, size_t threads, double seconds, double *ret,
                            struct diag *d) MUST_USE;

// Bytes a second that `threads` threads read together from `bytes` of memory, each its own part,
// again and again. ERR_INVALID below 16 KiB a thread; ERR_LIMIT when there is no such memory.
enum err probe_read(uint64_t bytes, size_t threads, double seconds, double *ret,
                    struct diag *d) MUST_USE;
