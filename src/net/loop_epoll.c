// epoll, edge-triggered: each descriptor is registered once for everything, and arming is a mask of
// ours, so that a connection costs one epoll_ctl in its life.
#include "net/loop_internal.h"

#if defined(__linux__) && !defined(WEIR_NET_PORTABLE)

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

#include "base/banned.h"

enum { BATCH = 256 };

struct epoll_backend {
    int fd;
    uint64_t *rearmed; // slot and generation of descriptors with missed events now armed
    size_t rearmed_len, rearmed_cap;
    struct epoll_event events[BATCH];
};

static uint64_t tag_of(const struct loop *l, const struct loop_fd *f)
{
    return (uint64_t)l->slots[f->slot].generation << 32 | f->slot;
}

static enum err epoll_open(struct loop *l, struct diag *d)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot make an epoll descriptor");
    struct epoll_backend *b = mem_new(struct epoll_backend);
    b->fd = fd;
    l->backend = b;
    return ERR_OK;
}

static void epoll_close(struct loop *l)
{
    struct epoll_backend *b = l->backend;
    close(b->fd);
    mem_free(b->rearmed);
    mem_free(b);
}

static enum err epoll_add(struct loop *l, struct loop_fd *f)
{
    struct epoll_backend *b = l->backend;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            .data.u64 = tag_of(l, f)};
    return epoll_ctl(b->fd, EPOLL_CTL_ADD, f->fd, &e) == 0 ? ERR_OK : ERR_IO;
}

static void epoll_set(struct loop *l, struct loop_fd *f, uint32_t newly_armed)
{
    struct epoll_backend *b = l->backend;
    if (!(f->missed & newly_armed))
        return;
    if (b->rearmed_len == b->rearmed_cap) {
        b->rearmed_cap = b->rearmed_cap ? b->rearmed_cap * 2 : 16;
        b->rearmed = mem_resize(b->rearmed, b->rearmed_cap, sizeof *b->rearmed);
    }
    b->rearmed[b->rearmed_len++] = tag_of(l, f);
}

static void epoll_remove(struct loop *l, struct loop_fd *f)
{
    struct epoll_backend *b = l->backend;
    struct epoll_event unused = {0};
    epoll_ctl(b->fd, EPOLL_CTL_DEL, f->fd, &unused);
}

static void dispatch_tag(struct loop *l, uint64_t tag, uint32_t events)
{
    struct loop_slot *slot = &l->slots[(uint32_t)tag];
    if (slot->f && slot->generation == (uint32_t)(tag >> 32))
        loop_dispatch(l, slot->f, events, true);
}

static uint32_t from_epoll(uint32_t events)
{
    uint32_t ours = 0;
    if (events & EPOLLIN)
        ours |= LOOP_READ;
    if (events & EPOLLOUT)
        ours |= LOOP_WRITE;
    if (events & EPOLLRDHUP)
        ours |= LOOP_READ | LOOP_HANGUP;
    if (events & (EPOLLERR | EPOLLHUP))
        ours |= LOOP_READ | LOOP_WRITE | LOOP_HANGUP | LOOP_ERROR;
    return ours;
}

static void epoll_turn(struct loop *l, int timeout_ms)
{
    struct epoll_backend *b = l->backend;
    size_t rearmed = b->rearmed_len;
    int n = epoll_wait(b->fd, b->events, BATCH, rearmed ? 0 : timeout_ms);
    ASSERT(n >= 0 || errno == EINTR);
    loop_turn_began(l);
    for (int i = 0; i < n; i++)
        dispatch_tag(l, b->events[i].data.u64, from_epoll(b->events[i].events));
    for (size_t i = 0; i < rearmed; i++)
        dispatch_tag(l, b->rearmed[i], 0);
    b->rearmed_len -= rearmed;
    for (size_t i = 0; rearmed && i < b->rearmed_len; i++)
        b->rearmed[i] = b->rearmed[i + rearmed];
}

const struct loop_backend_ops loop_epoll_ops = {
    .open = epoll_open,
    .close = epoll_close,
    .add = epoll_add,
    .set = epoll_set,
    .remove = epoll_remove,
    .wait = epoll_turn,
};

#endif
