#include "net/connect.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

enum {
    STAGGER_MS = 250, // RFC 8305 §5: time that one address has before the next is tried beside it
    PROXY_ANSWER_MAX = 4096,
    MEMORY_MAX = 64 * 1024,
};

// One address being tried.
struct attempt {
    struct connecting *c;
    struct loop_fd fd;
    bool open;
};

enum step { STEP_RESOLVE, STEP_RACE, STEP_PROXY, STEP_TLS, STEP_TELL };

struct connecting {
    struct loop *loop;
    struct resolver *resolver;
    struct resolver_query *query;
    struct connect_target target;
    const struct stream_handler *handler;
    void *handler_ctx;
    void (*done)(void *ctx, const struct connect_result *result);
    void *ctx;
    enum step step;
    struct arena arena;
    str proxy_host, proxy_auth; // of target.proxy; auth is "Basic …"
    uint16_t proxy_port;
    struct resolver_answer order; // as they are tried
    struct attempt attempts[RESOLVER_ADDRESSES_MAX];
    size_t tried, open;
    struct loop_timer deadline, stagger;
    struct loop_later later;
    // the winner
    struct loop_fd fd;
    struct stream_io *io;
    struct buf out, in; // the talk with a proxy
    struct stream *stream;
    bool h2;
    enum err e;
    struct diag d;
};

static void tell(void *ctx);

// --- Ending

static void close_attempt(struct attempt *a)
{
    if (!a->open)
        return;
    a->open = false;
    a->c->open--;
    loop_fd_remove(a->c->loop, &a->fd);
    close(a->fd.fd);
}

static void release(struct connecting *c)
{
    for (size_t i = 0; i < c->tried; i++)
        close_attempt(&c->attempts[i]);
    resolver_cancel(c->query);
    c->query = NULL;
    loop_timer_cancel(&c->deadline);
    loop_timer_cancel(&c->stagger);
    if (c->fd.fd >= 0) {
        loop_fd_remove(c->loop, &c->fd);
        close(c->fd.fd);
        c->fd.fd = -1;
    }
    if (c->io)
        c->io->ops->free(c->io);
    c->io = NULL;
}

static void free_all(struct connecting *c)
{
    loop_later_cancel(&c->later);
    buf_done(&c->out);
    buf_done(&c->in);
    arena_done(&c->arena);
    mem_free(c);
}

void connect_cancel(struct connecting *c)
{
    if (!c)
        return;
    release(c);
    stream_close(c->stream);
    free_all(c);
}

// The end of the way, told in a later callback so that the owner may free us there.
static void finish(struct connecting *c, enum err e)
{
    if (c->step == STEP_TELL)
        return;
    release(c);
    c->step = STEP_TELL;
    c->e = e;
    loop_later_set(c->loop, &c->later);
}

static bool is_tunnelled(const struct connecting *c)
{
    return c->target.tls || c->target.h2;
}

static void tell(void *ctx)
{
    struct connecting *c = ctx;
    struct connect_result r = {.e = c->e, .stream = c->stream, .d = &c->d};
    r.absolute_form = c->target.proxy.len && !is_tunnelled(c);
    r.h2 = c->h2;
    if (c->stream && c->target.h2)
        stream_resume(c->stream);
    r.proxy_authorization = r.absolute_form ? c->proxy_auth : STR_NONE;
    c->done(c->ctx, &r);
    free_all(c);
}

static void too_late(void *ctx)
{
    static const char *const what[] = {"looking up the name", "connecting", "the proxy",
                                       "the TLS handshake", "nothing"};
    struct connecting *c = ctx;
    diag_set(&c->d, ERR_TIMEOUT, "no connection to " STR_FMT ":%u within %u ms (it was at: %s)",
             STR_ARG(c->target.host), c->target.port, c->target.timeout_ms, what[c->step]);
    finish(c, ERR_TIMEOUT);
}

// --- TLS and the proxy, on the connected socket

static void make_stream(struct connecting *c)
{
    int fd = c->fd.fd;
    loop_fd_remove(c->loop, &c->fd);
    c->fd.fd = -1;
    struct stream_io *io = c->io;
    c->io = NULL;
    c->stream = stream_new(c->loop, fd, io, c->handler, c->handler_ctx);
    if (c->stream && c->target.h2)
        stream_pause(c->stream); // an HTTP/2 server speaks first: not before our owner was told
    finish(c, c->stream ? ERR_OK : diag_set(&c->d, ERR_BUSY, "no room for another connection"));
}

static void handshake(struct connecting *c)
{
    enum err e = tls_handshake(c->io);
    c->h2 = e == ERR_OK && tls_chose_h2(c->io);
    if (e == ERR_OK)
        make_stream(c);
    else if (e == ERR_AGAIN)
        loop_fd_set(c->loop, &c->fd, c->io->wants_write ? LOOP_WRITE : LOOP_READ);
    else
        finish(c, c->io->ops->why(c->io, &c->d));
}

static void begin_tls(struct connecting *c)
{
    if (!c->target.tls) {
        make_stream(c);
        return;
    }
    c->step = STEP_TLS;
    c->io = tls_connect(c->target.tls, c->fd.fd, c->target.host);
    if (c->io && c->target.h2)
        tls_offer_h2(c->io);
    if (c->io)
        handshake(c);
    else
        finish(c, diag_set(&c->d, ERR_NOMEM, "cannot prepare TLS for " STR_FMT,
                           STR_ARG(c->target.host)));
}

// The proxy's head is complete: "HTTP/1.1 200 …".
static void proxy_answered(struct connecting *c)
{
    str head = buf_str(&c->in);
    str line = str_sub(head, 0, str_find_char(head, '\r'));
    if (str_starts(line, STR("HTTP/1.")) && line.len >= 12 && line.ptr[9] == '2') {
        begin_tls(c);
        return;
    }
    finish(c,
           diag_set(&c->d, ERR_UPSTREAM, "the proxy " STR_FMT ":%u does not connect us: " STR_FMT,
                    STR_ARG(c->proxy_host), c->proxy_port, STR_ARG(str_sub(line, 0, 80))));
}

// Nothing may be taken beyond the head: what follows belongs to the server behind the proxy, and
// one of HTTP/2 speaks first. So the head is looked at before it is taken.
static ssize_t take_head(struct connecting *c, char *to, size_t size)
{
    size_t had = c->in.len;
    ssize_t n = recv(c->fd.fd, to, size, MSG_PEEK);
    if (n <= 0)
        return n;
    buf_commit(&c->in, (size_t)n);
    size_t end = str_find(buf_str(&c->in), STR("\r\n\r\n"));
    size_t len = end == SIZE_MAX ? (size_t)n : end + 4 - had;
    return recv(c->fd.fd, to, len, 0);
}

static void proxy_read(struct connecting *c)
{
    for (;;) {
        char *to = buf_reserve(&c->in, 512);
        if (!to) {
            finish(c, diag_set(&c->d, ERR_UPSTREAM, "the proxy's answer is too long"));
            return;
        }
        ssize_t n = take_head(c, to, 512);
        if (n > 0) {
            if (str_find(buf_str(&c->in), STR("\r\n\r\n")) != SIZE_MAX) {
                proxy_answered(c);
                return;
            }
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            loop_fd_set(c->loop, &c->fd, LOOP_READ);
            return;
        } else if (n == 0 || errno != EINTR) {
            finish(c,
                   diag_set(&c->d, ERR_UPSTREAM, "the proxy " STR_FMT ":%u closed the connection",
                            STR_ARG(c->proxy_host), c->proxy_port));
            return;
        }
    }
}

static void proxy_write(struct connecting *c)
{
    while (c->out.len) {
        ssize_t n = sock_send(c->fd.fd, buf_ptr(&c->out), c->out.len);
        if (n > 0) {
            buf_consume(&c->out, (size_t)n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            loop_fd_set(c->loop, &c->fd, LOOP_WRITE);
            return;
        } else if (errno != EINTR) {
            finish(c, diag_sys(&c->d, ERR_UPSTREAM, errno, "the proxy takes nothing"));
            return;
        }
    }
    proxy_read(c);
}

static void begin_proxy(struct connecting *c)
{
    c->step = STEP_PROXY;
    bool six = str_find_char(c->target.host, ':') != SIZE_MAX;
    (void)buf_printf(&c->out, "CONNECT %s" STR_FMT "%s:%u HTTP/1.1\r\nHost: %s" STR_FMT "%s:%u\r\n",
                     six ? "[" : "", STR_ARG(c->target.host), six ? "]" : "", c->target.port,
                     six ? "[" : "", STR_ARG(c->target.host), six ? "]" : "", c->target.port);
    if (c->proxy_auth.len)
        (void)buf_printf(&c->out, "Proxy-Authorization: " STR_FMT "\r\n", STR_ARG(c->proxy_auth));
    (void)buf_append_str(&c->out, STR("\r\n"));
    proxy_write(c);
}

static void winner_ready(void *ctx, uint32_t events UNUSED)
{
    struct connecting *c = ctx;
    if (c->step == STEP_TLS)
        handshake(c);
    else if (c->out.len)
        proxy_write(c);
    else
        proxy_read(c);
}

static void won(struct connecting *c, int fd)
{
    loop_timer_cancel(&c->stagger);
    for (size_t i = 0; i < c->tried; i++)
        close_attempt(&c->attempts[i]);
    c->fd = (struct loop_fd){.fd = fd, .ready = winner_ready, .ctx = c};
    enum err e = loop_fd_add(c->loop, &c->fd, 0);
    if (e != ERR_OK) {
        close(fd);
        c->fd.fd = -1;
        finish(c, diag_set(&c->d, e, "no room for another connection"));
    } else if (c->target.proxy.len && is_tunnelled(c)) {
        begin_proxy(c);
    } else {
        begin_tls(c);
    }
}

// --- The race

static void try_next(void *ctx);

static void lost(struct connecting *c, int sys)
{
    char address[SOCK_ADDRESS_TEXT_MAX];
    sock_address_format(&c->order.addresses[c->tried - 1], address);
    diag_sys(&c->d, ERR_UPSTREAM, sys, "cannot connect to %s", address);
}

static void attempt_ready(void *ctx, uint32_t events UNUSED)
{
    struct attempt *a = ctx;
    struct connecting *c = a->c;
    int sys = sock_take_error(a->fd.fd);
    if (sys == EINPROGRESS || sys == EALREADY)
        return;
    if (sys == 0) {
        int fd = a->fd.fd;
        a->open = false;
        c->open--;
        loop_fd_remove(c->loop, &a->fd);
        won(c, fd);
        return;
    }
    close_attempt(a);
    lost(c, sys);
    if (c->tried < c->order.len || c->open == 0)
        try_next(c);
}

// Start with the next address; the one after it waits for STAGGER_MS or for this one's failure.
static void try_next(void *ctx)
{
    struct connecting *c = ctx;
    loop_timer_cancel(&c->stagger);
    while (c->tried < c->order.len) {
        struct attempt *a = &c->attempts[c->tried];
        *a = (struct attempt){.c = c, .fd = {.ready = attempt_ready, .ctx = a}};
        enum err e = sock_connect(&c->order.addresses[c->tried++], &a->fd.fd, &c->d);
        if (e == ERR_OK) {
            won(c, a->fd.fd);
            return;
        }
        if (e != ERR_AGAIN)
            continue; // the diag says why; the next address may do better
        a->open = true;
        c->open++;
        if (loop_fd_add(c->loop, &a->fd, LOOP_WRITE) != ERR_OK) {
            diag_set(&c->d, ERR_BUSY, "no room for another connection");
            close_attempt(a);
            continue;
        }
        if (c->tried < c->order.len)
            loop_timer_set(c->loop, &c->stagger, STAGGER_MS);
        return;
    }
    if (c->open == 0)
        finish(c, ERR_UPSTREAM);
}

// RFC 8305 §4: the families take turns, beginning with the one that the system prefers.
static void interleave(struct connecting *c, const struct resolver_answer *in)
{
    int first = in->addresses[0].any.sa_family;
    size_t same = 0, other = 0;
    while (c->order.len < in->len) {
        while (same < in->len && in->addresses[same].any.sa_family != first)
            same++;
        if (same < in->len)
            c->order.addresses[c->order.len++] = in->addresses[same++];
        while (other < in->len && in->addresses[other].any.sa_family == first)
            other++;
        if (other < in->len)
            c->order.addresses[c->order.len++] = in->addresses[other++];
    }
}

static void resolved(void *ctx, enum err e, const struct resolver_answer *answer,
                     const struct diag *d)
{
    struct connecting *c = ctx;
    c->query = NULL;
    if (e != ERR_OK) {
        c->d = *d;
        finish(c, e);
        return;
    }
    c->step = STEP_RACE;
    interleave(c, answer);
    try_next(c);
}

// --- Beginning

// "http://user:password@host:port/" → host, port, "Basic …". Only plain HTTP proxies are spoken to.
static enum err read_proxy(struct connecting *c)
{
    str p = c->target.proxy;
    if (str_starts(p, STR("http://")))
        p = str_sub(p, 7, SIZE_MAX);
    else if (str_find(p, STR("://")) != SIZE_MAX)
        return diag_set(
            &c->d, ERR_UNSUPPORTED,
            "only http:// proxies are supported: change *_PROXY, or list the host in NO_PROXY");
    p = str_sub(p, 0, str_find_char(p, '/'));
    for (size_t at = p.len; at-- > 0;)
        if (p.ptr[at] == '@') {
            struct buf b;
            buf_init(&b, 4096);
            enum err e = encode_base64(&b, p.ptr, at);
            c->proxy_auth = arena_printf(&c->arena, "Basic " STR_FMT, STR_ARG(buf_str(&b)));
            buf_done(&b);
            if (e != ERR_OK || !c->proxy_auth.ptr)
                return diag_set(&c->d, ERR_LIMIT, "the proxy's credentials are too long");
            p = str_sub(p, at + 1, SIZE_MAX);
            break;
        }
    size_t colon = p.len;
    while (colon > 0 && p.ptr[colon - 1] != ':' && p.ptr[colon - 1] != ']')
        colon--;
    uint64_t port = 80;
    bool has_port = colon > 0 && p.ptr[colon - 1] == ':';
    if (has_port &&
        (str_to_u64(str_sub(p, colon, SIZE_MAX), &port) != ERR_OK || port == 0 || port > 65535))
        return diag_set(&c->d, ERR_INVALID, "the proxy's port is not a number from 1 to 65535");
    str host = has_port ? str_sub(p, 0, colon - 1) : p;
    if (host.len > 2 && host.ptr[0] == '[')
        host = str_sub(host, 1, host.len - 2);
    c->proxy_host = host;
    c->proxy_port = (uint16_t)port;
    return host.len ? ERR_OK : diag_set(&c->d, ERR_INVALID, "the proxy has no host name");
}

struct connecting *connect_begin(struct loop *l, struct resolver *r, const struct connect_target *t,
                                 const struct stream_handler *handler, void *handler_ctx,
                                 void (*done)(void *ctx, const struct connect_result *result),
                                 void *ctx)
{
    struct connecting *c = mem_new(struct connecting);
    c->loop = l;
    c->resolver = r;
    c->handler = handler;
    c->handler_ctx = handler_ctx;
    c->done = done;
    c->ctx = ctx;
    c->fd.fd = -1;
    arena_init(&c->arena, MEMORY_MAX);
    buf_init(&c->out, PROXY_ANSWER_MAX);
    buf_init(&c->in, PROXY_ANSWER_MAX);
    loop_later_init(&c->later, tell, c);
    loop_timer_init(&c->deadline, too_late, c);
    loop_timer_init(&c->stagger, try_next, c);
    c->target = *t;
    c->target.host = arena_str(&c->arena, t->host);
    c->target.proxy = t->proxy.len ? arena_str(&c->arena, t->proxy) : STR_NONE;
    loop_timer_set(l, &c->deadline, t->timeout_ms);
    if (!c->target.host.ptr || (t->proxy.len && !c->target.proxy.ptr))
        finish(c, diag_set(&c->d, ERR_LIMIT, "the host name is too long"));
    else if (c->target.proxy.len && read_proxy(c) != ERR_OK)
        finish(c, c->d.code);
    else
        c->query = resolver_ask(r, c->proxy_host.len ? c->proxy_host : c->target.host,
                                c->proxy_host.len ? c->proxy_port : t->port, resolved, c);
    return c;
}
