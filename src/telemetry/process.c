#include "telemetry/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"

#include "base/banned.h"

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static uint64_t count_files(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d)
        return 0;
    uint64_t count = 0;
    const struct dirent *e;
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            count++;
    closedir(d);
    return count - 1; // the folder's own
}

#if defined(__linux__)
// Field 22 of /proc/self/stat: the start, in clock ticks since boot. Fields are counted from the
// last ')', since the command's name may hold anything.
static double start_ticks(void)
{
    struct buf text;
    if (fs_read("/proc/self/stat", 4096, &text, NULL) != ERR_OK)
        return 0;
    const char *at = strrchr(buf_cstr(&text), ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    double ticks = at ? strtod(at, NULL) : 0;
    buf_done(&text);
    return ticks;
}

static double boot_time(void)
{
    struct buf text;
    if (fs_read("/proc/stat", 1 << 20, &text, NULL) != ERR_OK)
        return 0;
    const char *line = strstr(buf_cstr(&text), "\nbtime ");
    double time = line ? strtod(line + strlen("\nbtime "), NULL) : 0;
    buf_done(&text);
    return time;
}

static double start_time(void)
{
    double boot = boot_time();
    return boot > 0 ? boot + start_ticks() / (double)sysconf(_SC_CLK_TCK) : 0;
}

static void memory(struct process_stats *s)
{
    struct buf text;
    if (fs_read("/proc/self/statm", 4096, &text, NULL) != ERR_OK)
        return;
    char *end;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    s->virtual_bytes = strtoull(buf_cstr(&text), &end, 10) * page;
    s->resident_bytes = strtoull(end, NULL, 10) * page;
    buf_done(&text);
}
#else
static double start_time(void)
{
    return 0;
}

static void memory(struct process_stats *s)
{
    (void)s;
}
#endif

void process_stats(struct process_stats *ret)
{
    struct process_stats s = {0};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        s.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        s.max_fds = files.rlim_cur;
    s.open_fds = count_files("/dev/fd");
    s.start_time_seconds = start_time();
    memory(&s);
    *ret = s;
}
