// How connections begin under TLS: the handshake and the wait for the first request. Those that
// have come no further are in a list, and when they are too many the oldest goes: a flood of
// handshakes that are never finished takes a bounded amount of memory, and whoever finishes his
// soon is not among the oldest.
#include "http/server_internal.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/banned.h"

#define LINGER_MS 1000

void greeting_no_contact(struct http_conn *c, const struct diag *why)
{
    struct http_server *s = c->server;
    if (s->h->no_contact)
        s->h->no_contact(s->ctx, stream_peer(c->stream), why);
}

// A flood is not answered in words for ever: the descriptors of the refused linger too.
bool greeting_may_explain(struct http_server *s)
{
    enum { EXPLAINED_A_SECOND = 200 };
    uint64_t second = loop_now_ms(s->loop) / 1000;
    if (second != s->refused_second) {
        s->refused_second = second;
        s->refused_len = 0;
    }
    return s->refused_len++ < EXPLAINED_A_SECOND;
}

// A socket that is closed with bytes unread resets the connection, and what was sent last (an
// alert, an answer) may be lost on its way: another stream lingers over it, in plain.
static void linger_in_plain(struct http_conn *c, const struct h1_error *e)
{
    static const struct stream_handler nobody = {0}; // it is given up at once
    struct http_server *s = c->server;
    int fd = greeting_may_explain(s) ? fcntl(stream_fd(c->stream), F_DUPFD_CLOEXEC, 0) : -1;
    struct stream *plain = fd >= 0 ? stream_new(s->loop, fd, NULL, &nobody, NULL) : NULL;
    if (!plain)
        return;
    if (e)
        write_refusal(s, plain, e, STR_NONE);
    stream_close_after_flush(plain, LINGER_MS);
}

// TLS that never came to be.
void greeting_failed(struct http_conn *c, enum err e, const struct diag *d)
{
    static const struct h1_error tls_wanted = {400, "bad_request",
                                               "This port speaks TLS: use https://."};
    if (e == ERR_CLOSED)
        return; // it went before it had said anything: a probe of the port
    greeting_no_contact(c, d);
    linger_in_plain(c, e == ERR_PARSE ? &tls_wanted : NULL);
}

void greeting_was_slow(struct http_conn *c)
{
    struct diag d = {0};
    (void)diag_set(&d, ERR_TIMEOUT, "no TLS handshake, or no request after it, came in time");
    greeting_no_contact(c, &d);
}

// --- The list, the oldest first

static void drop_oldest(struct http_server *s)
{
    struct diag d = {0};
    (void)diag_set(&d, ERR_LIMIT, "more TLS handshakes than limits.handshakes_max at once");
    greeting_no_contact(s->greets_first, &d);
    conn_free(s->greets_first);
}

void greeting_begin(struct http_conn *c)
{
    struct http_server *s = c->server;
    c->greeting = true;
    c->greets_prev = s->greets_last;
    if (s->greets_last)
        s->greets_last->greets_next = c;
    else
        s->greets_first = c;
    s->greets_last = c;
    if (++s->greets_len > s->options.limits.handshakes_max)
        drop_oldest(s);
}

void greeting_over(struct http_conn *c)
{
    struct http_server *s = c->server;
    c->greeting = false;
    if (c->greets_prev)
        c->greets_prev->greets_next = c->greets_next;
    else
        s->greets_first = c->greets_next;
    if (c->greets_next)
        c->greets_next->greets_prev = c->greets_prev;
    else
        s->greets_last = c->greets_prev;
    c->greets_next = c->greets_prev = NULL;
    s->greets_len--;
}
