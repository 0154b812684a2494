// poll: for systems without epoll. Level-triggered, so only what is armed is asked for, and a
// hangup is told once (it would be told for ever).
#include "net/loop_internal.h"

#include <errno.h>
#include <poll.h>

#include "base/mem.h"

#include "base/banned.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0 // elsewhere POLLHUP tells that one side ended
#endif

struct poll_backend {
    struct pollfd *fds; // by slot
    bool *hangup_told;  // by slot
    uint32_t cap;
};

static enum err poll_open(struct loop *l, struct diag *d UNUSED)
{
    l->backend = mem_new(struct poll_backend);
    return ERR_OK;
}

static void poll_close(struct loop *l)
{
    struct poll_backend *b = l->backend;
    mem_free(b->fds);
    mem_free(b->hangup_told);
    mem_free(b);
}

static void ask(struct poll_backend *b, const struct loop_fd *f)
{
    struct pollfd *p = &b->fds[f->slot];
    bool told = b->hangup_told[f->slot];
    short events = 0;
    if (f->events & LOOP_READ)
        events |= POLLIN;
    if (f->events & LOOP_WRITE)
        events |= POLLOUT;
    if ((f->events & LOOP_HANGUP) && !told)
        events |= POLLRDHUP;
    p->events = events;
    // poll reports a hangup unasked; once it is told and nothing else is wanted, look away.
    p->fd = events == 0 && told ? -1 : f->fd;
}

static enum err poll_add(struct loop *l, struct loop_fd *f)
{
    struct poll_backend *b = l->backend;
    if (f->slot >= b->cap) {
        b->cap = l->slots_cap;
        b->fds = mem_resize(b->fds, b->cap, sizeof *b->fds);
        b->hangup_told = mem_resize(b->hangup_told, b->cap, sizeof *b->hangup_told);
    }
    b->hangup_told[f->slot] = false;
    b->fds[f->slot].revents = 0;
    ask(b, f);
    return ERR_OK;
}

static void poll_set(struct loop *l, struct loop_fd *f, uint32_t newly_armed UNUSED)
{
    ask(l->backend, f);
}

static void poll_remove(struct loop *l, struct loop_fd *f)
{
    struct poll_backend *b = l->backend;
    b->fds[f->slot] = (struct pollfd){.fd = -1};
}

static uint32_t from_poll(short events)
{
    uint32_t ours = 0;
    if (events & POLLIN)
        ours |= LOOP_READ;
    if (events & POLLOUT)
        ours |= LOOP_WRITE;
    if (events & POLLRDHUP)
        ours |= LOOP_READ | LOOP_HANGUP;
#if defined(__linux__)
    const short dead = POLLERR | POLLNVAL | POLLHUP;
#else
    const short dead = POLLERR | POLLNVAL;
    if (events & POLLHUP)
        ours |= LOOP_READ | LOOP_HANGUP;
#endif
    if (events & dead)
        ours |= LOOP_READ | LOOP_WRITE | LOOP_HANGUP | LOOP_ERROR;
    return ours;
}

static void dispatch_slot(struct loop *l, uint32_t slot)
{
    struct poll_backend *b = l->backend;
    short revents = b->fds[slot].revents;
    struct loop_fd *f = l->slots[slot].f;
    b->fds[slot].revents = 0;
    if (!revents || !f)
        return;
    uint32_t events = from_poll(revents);
    if ((events & (LOOP_HANGUP | LOOP_ERROR)) && !b->hangup_told[slot]) {
        b->hangup_told[slot] = true;
        ask(b, f);
    }
    loop_dispatch(l, f, events, false);
}

static void poll_turn(struct loop *l, int timeout_ms)
{
    struct poll_backend *b = l->backend;
    uint32_t len = l->slots_len; // those added by a callback have no events yet
    int n = poll(b->fds, len, timeout_ms);
    ASSERT(n >= 0 || errno == EINTR);
    loop_turn_began(l);
    for (uint32_t slot = 0; n > 0 && slot < len; slot++)
        if (b->fds[slot].revents)
            dispatch_slot(l, slot);
}

const struct loop_backend_ops loop_poll_ops = {
    .open = poll_open,
    .close = poll_close,
    .add = poll_add,
    .set = poll_set,
    .remove = poll_remove,
    .wait = poll_turn,
};
