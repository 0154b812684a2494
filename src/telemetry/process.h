// What the system says about this process. Any thread; reads /proc (Linux) or getrusage.
#pragma once

#include "base/base.h"

struct process_stats {
    double cpu_seconds; // user and system
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
    double start_time_seconds; // since 1970
};

// What the system does not tell stays 0.
void process_stats(struct process_stats *ret);
