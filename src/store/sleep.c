#include "store/sleep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/inotify.h>
#endif

#include "base/banned.h"

// A file system that others write without this kernel's knowledge is looked at now and then all the
// same.
enum { LOOK_MS = 250, LOOK_TOLD_MS = 10000, PATH_BYTES_MAX = 4096 };

// A commit of another process is written to the log, and told by a touch of the database (db_tell)
// where others wait for it.
static int watch_files(const char *path)
{
#if defined(__linux__)
    char log[PATH_BYTES_MAX];
    int n = snprintf(log, sizeof log, "%s-wal", path);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -1;
    if (n > 0 && (size_t)n < sizeof log && inotify_add_watch(fd, log, IN_MODIFY) >= 0 &&
        inotify_add_watch(fd, path, IN_MODIFY | IN_ATTRIB) >= 0)
        return fd;
    close(fd);
#else
    (void)path;
#endif
    return -1;
}

enum err sleeper_open(struct sleeper *s, const char *path, struct diag *d)
{
    int ends[2];
    if (pipe(ends) != 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a pipe");
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        s->bell[i] = ends[i];
    }
    atomic_init(&s->asleep, false);
    s->watch = watch_files(path);
    return ERR_OK;
}

void sleeper_close(struct sleeper *s)
{
    if (!s->bell[1])
        return;
    close(s->bell[0]);
    close(s->bell[1]);
    if (s->watch >= 0)
        close(s->watch);
    *s = (struct sleeper){0};
}

void sleeper_ring(struct sleeper *s)
{
    if (!atomic_load(&s->asleep))
        return;
    while (write(s->bell[1], "", 1) < 0 && errno == EINTR)
        continue; // a full pipe has rung
}

static void take_all(int fd)
{
    _Alignas(8) char taken[PATH_BYTES_MAX];
    while (fd >= 0 && read(fd, taken, sizeof taken) > 0)
        continue;
}

void sleeper_sleep(struct sleeper *s, uint32_t ms, bool (*idle)(const void *ctx), const void *ctx)
{
    struct pollfd of[2] = {{.fd = s->bell[0], .events = POLLIN},
                           {.fd = s->watch, .events = POLLIN}}; // a negative one is left out
    atomic_store(&s->asleep, true);
    if (idle(ctx))
        poll(of, 2, (int)ms);
    atomic_store(&s->asleep, false);
    take_all(s->bell[0]);
}

void sleeper_forget_writes(struct sleeper *s)
{
    take_all(s->watch);
}

uint32_t sleeper_ms_max(const struct sleeper *s)
{
    return s->watch >= 0 ? LOOK_TOLD_MS : LOOK_MS;
}
