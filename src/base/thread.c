#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/banned.h"

struct start {
    void (*run)(void *);
    void *arg;
    char name[16]; // Linux's bound, with the NUL
};

static void name_myself(const char *name)
{
#if defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#else
    (void)name;
#endif
}

static void *entry(void *p)
{
    struct start start = *(struct start *)p;
    mem_free(p);
    name_myself(start.name);
    start.run(start.arg);
    return NULL;
}

enum err thread_start(struct thread *t, const char *name, void (*run)(void *), void *arg,
                      struct diag *d)
{
    struct start *start = mem_new(struct start);
    start->run = run;
    start->arg = arg;
    snprintf(start->name, sizeof start->name, "%s", name);
    int sys = pthread_create(&t->id, NULL, entry, start);
    if (sys != 0) {
        mem_free(start);
        return diag_sys(d, ERR_IO, sys, "cannot start the thread '%s'", name);
    }
    t->running = true;
    return ERR_OK;
}

void thread_join(struct thread *t)
{
    if (!t->running)
        return;
    pthread_join(t->id, NULL);
    t->running = false;
}

static size_t cpus_by_affinity(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (size_t)CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

#if defined(__linux__)
static bool first_line(const char *path, char *out, size_t out_size)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool got = fgets(out, (int)out_size, f) != NULL;
    fclose(f);
    return got;
}

// A group's "quota period" in whole CPUs, rounded up; 0 without a quota.
static size_t quota_cpus(const char *path)
{
    char line[128];
    long long quota, period;
    if (!first_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return 0; // "max 100000" lands here too
    if (quota <= 0 || period <= 0)
        return 0;
    return (size_t)((quota + period - 1) / period);
}

// cgroup v2: the quota of this process's group and of every group above it binds.
static size_t cpus_by_cgroup(void)
{
    char line[512], path[640];
    if (!first_line("/proc/self/cgroup", line, sizeof line) || strncmp(line, "0::/", 4) != 0)
        return 0;
    line[strcspn(line, "\n")] = '\0';
    char *group = line + 3;
    size_t least = 0;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        size_t here = quota_cpus(path);
        if (here && (least == 0 || here < least))
            least = here;
        char *cut = strrchr(group, '/');
        if (!cut)
            return least;
        *cut = '\0';
    }
}
#else
static size_t cpus_by_cgroup(void)
{
    return 0;
}
#endif

size_t thread_cpu_count(void)
{
    size_t cpus = max_size(cpus_by_affinity(), 1);
    size_t quota = cpus_by_cgroup();
    return quota ? min_size(cpus, quota) : cpus;
}
