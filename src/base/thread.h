// Named threads. The function's return value is ignored. Joining is the owner's duty.
#pragma once

#include <pthread.h>

#include <stdbool.h>

#include "base/err.h"

struct thread {
    pthread_t id;
    bool running;
};
enum err thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg,
                      struct diag *d) MUST_USE;
void thread_join(struct thread *t); // fine when never started
size_t thread_cpu_count(void); // CPUs this process may use (affinity and cgroup quota considered)
// The CPU quota (control groups v2) that binds this process, as whole CPUs rounded up: the least of
// its group and those above; 0 without one. The parameters are /proc/self/cgroup and /sys/fs/cgroup
// but in tests.
size_t thread_quota_cpus(const char *membership, const char *root);
