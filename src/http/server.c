#include "http/server_internal.h"

#include <unistd.h>

#include "base/mem.h"

#include "base/banned.h"

enum {
    ACCEPTS_A_TURN = 64, // then the connections that are there have their turn
    NO_ROOM_MS = 50,
};

const struct http_limits http_limits_default = {
    .header_bytes_max = 16 * 1024,
    .headers_max = 100,
    .target_bytes_max = 8 * 1024,
    .body_bytes_max = 32 * 1024 * 1024,
    .header_timeout_ms = 10 * 1000,
    .body_rate_min = 256,
    .body_window_ms = 5 * 1000,
    .idle_timeout_ms = 75 * 1000,
    .write_timeout_ms = 30 * 1000,
    .connections_max = 10000,
    .connections_per_address_max = 4096,
    .handshakes_max = 1000,
    .write_bytes_high = 256 * 1024,
    .write_bytes_low = 64 * 1024,
};

// --- Listening

static void accept_some(void *ctx)
{
    struct http_listener *ln = ctx;
    struct http_server *s = ln->server;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sock_address peer;
        int fd;
        enum err e = sock_accept(ln->fd.fd, &fd, &peer);
        if (e == ERR_OK) {
            conn_new(s, fd, &peer);
        } else if (e == ERR_BUSY) {
            loop_timer_set(s->loop, &ln->no_room, NO_ROOM_MS);
            return;
        } else if (e == ERR_AGAIN) {
            return;
        }
    }
    loop_later_set(s->loop, &ln->again);
}

static void listener_ready(void *ctx, uint32_t events UNUSED)
{
    accept_some(ctx);
}

static void listener_free(struct http_listener *ln)
{
    loop_later_cancel(&ln->again);
    loop_timer_cancel(&ln->no_room);
    loop_fd_remove(ln->server->loop, &ln->fd);
    close(ln->fd.fd);
    if (ln->unlink_path)
        unlink(ln->unlink_path);
    mem_free(ln->unlink_path);
    mem_free(ln);
}

enum err http_server_listen(struct http_server *s, const char *address, bool reuseport,
                            uint16_t *ret_port, struct diag *d)
{
    struct sock_address a, bound;
    int fd;
    ERR_TRY(sock_address_parse(address, &a, d));
    ERR_TRY(sock_listen(&a, reuseport, &fd, d));
    struct http_listener *ln = mem_new(struct http_listener);
    ln->server = s;
    ln->fd = (struct loop_fd){.fd = fd, .ready = listener_ready, .ctx = ln};
    loop_later_init(&ln->again, accept_some, ln);
    loop_timer_init(&ln->no_room, accept_some, ln);
    if (a.any.sa_family == AF_UNIX)
        ln->unlink_path = mem_strdup(a.un.sun_path);
    if (sock_local_address(fd, &bound) != ERR_OK ||
        loop_fd_add(s->loop, &ln->fd, LOOP_READ) != ERR_OK) {
        close(fd);
        mem_free(ln->unlink_path);
        mem_free(ln);
        return diag_set(d, ERR_IO, "cannot watch the socket on %s", address);
    }
    ln->next = s->listeners;
    s->listeners = ln;
    if (ret_port)
        *ret_port = sock_address_port(&bound);
    return ERR_OK;
}

static void stop_listening(struct http_server *s)
{
    while (s->listeners) {
        struct http_listener *next = s->listeners->next;
        listener_free(s->listeners);
        s->listeners = next;
    }
}

// --- Life

static enum err check_options(const struct http_server_options *o, struct diag *d)
{
    const struct http_limits *l = &o->limits;
    if (l->header_bytes_max < 256 || l->target_bytes_max < 16 || l->headers_max < 1)
        return diag_set(d, ERR_INVALID,
                        "heads of under 256 bytes, 16 of target or 1 header serve nobody");
    if (l->write_bytes_low >= l->write_bytes_high)
        return diag_set(d, ERR_INVALID, "write_bytes_low must be under write_bytes_high");
    return ERR_OK;
}

enum err http_server_new(struct loop *l, const struct http_server_options *o,
                         const struct http_handler *h, void *ctx, struct http_server **ret,
                         struct diag *d)
{
    uint64_t seed;
    ERR_TRY(check_options(o, d));
    struct http_server *s = mem_new(struct http_server);
    s->loop = l;
    s->options = *o;
    s->h = h;
    s->ctx = ctx;
    s->h1_limits = (struct h1_limits){.header_bytes_max = o->limits.header_bytes_max,
                                      .target_bytes_max = o->limits.target_bytes_max,
                                      .headers_max = o->limits.headers_max};
    s->conns.next = s->conns.prev = &s->conns;
    map_init(&s->addresses);
    random_bytes(&seed, sizeof seed);
    random_seed(&s->ids, seed);
    *ret = s;
    return ERR_OK;
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    stop_listening(s);
}

size_t http_server_connections(const struct http_server *s)
{
    return s->conns_len;
}

size_t http_server_calls(const struct http_server *s)
{
    return s->calls_len;
}

bool http_server_busy(const struct http_server *s)
{
    for (const struct http_conn *c = s->conns.next; c != &s->conns; c = c->next)
        if (c->phase != CONN_IDLE || stream_pending_bytes(c->stream))
            return true;
    return false;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    stop_listening(s);
    while (s->conns.next != &s->conns)
        conn_free(s->conns.next);
    while (s->spares) {
        struct http_call *next = s->spares->next_spare;
        arena_done(&s->spares->arena);
        mem_free(s->spares);
        s->spares = next;
    }
    map_done(&s->addresses);
    mem_free(s);
}
