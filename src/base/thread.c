#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

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

// A group's "quota period" in whole CPUs, rounded up; 0 without a quota ("max 100000").
static size_t quota_of(const char *path)
{
    struct buf text;
    long long quota = 0, period = 0;
    if (fs_read(path, 128, &text, NULL) != ERR_OK)
        return 0;
    bool limited = sscanf(buf_cstr(&text), "%lld %lld", &quota, &period) == 2;
    buf_done(&text);
    if (!limited || quota <= 0 || period <= 0)
        return 0;
    return (size_t)(quota / period + (quota % period != 0));
}

// The path behind "0::" is this process's group in the v2 tree.
static bool own_group(const char *membership, char *out, size_t out_size)
{
    struct buf text;
    if (fs_read(membership, 64 * 1024, &text, NULL) != ERR_OK)
        return false;
    str rest = buf_str(&text), line;
    bool found = false;
    while (!found && str_split(&rest, '\n', &line))
        found = str_starts(line, STR("0::/"));
    if (found)
        snprintf(out, out_size, STR_FMT, STR_ARG(str_sub(line, 3, line.len)));
    buf_done(&text);
    return found;
}

size_t thread_quota_cpus(const char *membership, const char *root)
{
    char group[512], path[1024];
    if (!own_group(membership, group, sizeof group))
        return 0;
    size_t least = 0;
    for (;;) {
        snprintf(path, sizeof path, "%s%s/cpu.max", root, group);
        size_t here = quota_of(path);
        if (here && (least == 0 || here < least))
            least = here;
        char *cut = strrchr(group, '/');
        if (!cut)
            return least;
        *cut = '\0';
    }
}

size_t thread_cpu_count(void)
{
    size_t cpus = max_size(cpus_by_affinity(), 1);
    size_t quota = thread_quota_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota ? min_size(cpus, quota) : cpus;
}
