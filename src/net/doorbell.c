#include "net/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "net/sock.h"

#if defined(__linux__) && !defined(WEIR_NET_PORTABLE)
#define HAVE_EVENTFD 1
#include <sys/eventfd.h>
#else
#define HAVE_EVENTFD 0
#endif

#include "base/banned.h"

static enum err open_pipe(struct doorbell *b, struct diag *d)
{
    int ends[2];
    if (pipe(ends) != 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a pipe for the event loop");
    b->read_fd = ends[0];
    b->write_fd = ends[1];
    if (sock_set_flags(ends[0]) && sock_set_flags(ends[1]))
        return ERR_OK;
    int sys = errno;
    doorbell_done(b);
    return diag_sys(d, ERR_IO, sys, "cannot make the event loop's pipe non-blocking");
}

enum err doorbell_init(struct doorbell *b, bool portable, struct diag *d)
{
#if HAVE_EVENTFD
    if (!portable) {
        int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (fd < 0)
            return diag_sys(d, ERR_IO, errno, "cannot make an eventfd for the event loop");
        b->read_fd = b->write_fd = fd;
        return ERR_OK;
    }
#endif
    (void)portable;
    return open_pipe(b, d);
}

void doorbell_done(struct doorbell *b)
{
    close(b->read_fd);
    if (b->write_fd != b->read_fd)
        close(b->write_fd);
}

void doorbell_ring(struct doorbell *b)
{
    uint64_t one = 1;
    ssize_t done;
    do
        done = write(b->write_fd, &one, sizeof one);
    while (done < 0 && errno == EINTR);
    // EAGAIN: the pipe is full of rings nobody has taken yet; one more would say nothing new.
}

void doorbell_hush(struct doorbell *b)
{
    uint64_t rings[32];
    while (read(b->read_fd, rings, sizeof rings) == (ssize_t)sizeof rings) {
    }
}
