// HTTP/2 by origin: who shares which connection, who waits for one, when another is opened.
//
// What a server speaks shows in its first handshake. Until then one connection is opened, and
// whoever wants the same origin waits for its verdict: HTTP/2, and all of them become streams of
// it; HTTP/1.1, and each opens its own, as ever. So a burst at a new origin costs no connections
// that are thrown away, and a server of HTTP/1.1 costs the burst one handshake, once, for the
// verdict is remembered. It is asked anew with each connection.
#include "http/client_h2.h"

#include "base/banned.h"

// --- Waiting

// At the end, but those who were refused before go first.
static void wait(struct h2_origin *o, struct h2_place *p)
{
    struct h2_place *before = o->waiting_last;
    while (before && before->x->refusals < p->x->refusals)
        before = before->prev;
    p->waits = true;
    p->prev = before;
    p->next = before ? before->next : o->waiting;
    if (before)
        before->next = p;
    else
        o->waiting = p;
    if (p->next)
        p->next->prev = p;
    else
        o->waiting_last = p;
    o->waiting_len++;
}

static void unlink_place(struct h2_origin *o, struct h2_place *p)
{
    p->waits = false;
    if (p->prev)
        p->prev->next = p->next;
    else
        o->waiting = p->next;
    if (p->next)
        p->next->prev = p->prev;
    else
        o->waiting_last = p->prev;
    o->waiting_len--;
    for (struct h2_conn *k = o->conns; k; k = k->next)
        if (k->leader == p)
            k->leader = NULL;
}

void h2_origin_forget(struct h2_origin *o, struct h2_place *p)
{
    struct h2_conn *next;
    unlink_place(o, p);
    if (o->waiting)
        return;
    for (struct h2_conn *k = o->conns; k; k = next) { // nobody wants what is being opened
        next = k->next;
        if (k->connecting)
            h2_conn_close(k);
    }
}

static void fail_waiting(struct h2_origin *o, enum err e, const struct diag *d)
{
    while (o->waiting) {
        struct http_exchange *x = o->waiting->x;
        unlink_place(o, o->waiting);
        h2_place_free(x->h2);
        exchange_fail_later(x, e, d);
    }
}

// --- Opening

// They took the same way, so they share its fate; but who came later has more time.
static void not_connected(struct h2_conn *k, struct h2_place *leader, enum err e,
                          const struct diag *d)
{
    struct h2_origin *o = k->origin;
    h2_conn_close(k);
    if (e != ERR_TIMEOUT) {
        fail_waiting(o, e, d);
        return;
    }
    if (leader) {
        struct http_exchange *x = leader->x;
        unlink_place(o, leader);
        h2_place_free(leader);
        exchange_fail_later(x, e, d);
    }
    h2_origin_pump(o);
}

// The verdict is HTTP/1.1: the first goes on with this connection, the others open their own.
static void speaks_h1(struct h2_conn *k, struct stream *stream)
{
    struct h2_origin *o = k->origin;
    bool first = true;
    o->speaks = ORIGIN_H1;
    h2_conn_close(k);
    while (o->waiting) {
        struct http_exchange *x = o->waiting->x;
        unlink_place(o, o->waiting);
        h2_place_free(x->h2);
        if (first)
            exchange_send_on_stream(x, stream);
        else
            exchange_again(x);
        first = false;
    }
    if (first)
        stream_close(stream);
}

static void connected(void *ctx, const struct connect_result *r)
{
    struct h2_conn *k = ctx;
    struct h2_origin *o = k->origin;
    struct h2_place *leader = k->leader;
    k->connecting = NULL;
    k->leader = NULL;
    if (r->e != ERR_OK) {
        not_connected(k, leader, r->e, r->d);
    } else if (r->h2 || o->prior_knowledge) {
        if (leader) // it may have to wait for room
            loop_timer_set(o->client->loop, &leader->x->phase,
                           exchange_connect_timeout_ms(leader->x));
        h2_conn_open(k, r->stream);
        h2_origin_pump(o);
    } else {
        speaks_h1(k, r->stream);
    }
}

static bool open_another(struct h2_origin *o, struct h2_place *leader)
{
    struct http_client *c = o->client;
    struct http_exchange *x = leader->x;
    const struct url *url = &x->address->url;
    struct diag d = {0};
    if (url->tls && client_need_tls(c, &d) != ERR_OK) {
        fail_waiting(o, d.code, &d);
        return false;
    }
    struct h2_conn *k = h2_conn_new(o);
    const struct connect_target t = {
        .host = url->host,
        .port = url->port,
        .tls = url->tls ? c->tls : NULL,
        .proxy = x->address->proxy,
        .timeout_ms = exchange_connect_timeout_ms(x),
        .h2 = true,
    };
    k->leader = leader;
    loop_timer_cancel(&x->phase); // the connection's own deadline is its deadline
    k->connecting = connect_begin(c->loop, c->resolver, &t, &h2_conn_handler, k, connected, k);
    return true;
}

// Connections that will have room soon.
static size_t coming(const struct h2_origin *o)
{
    size_t len = 0;
    for (const struct h2_conn *k = o->conns; k; k = k->next)
        len += k->connecting || (!h2_settled(k->h2) && !h2_going(k->h2));
    return len;
}

static void open_more(struct h2_origin *o)
{
    size_t each = o->streams_max; // until the first settings it is not known: one is enough
    size_t wanted = each ? (o->waiting_len + each - 1) / each : 1;
    struct h2_place *p = o->waiting;
    for (size_t len = coming(o); p && len < wanted; len++, p = p->next)
        if (o->conns_len >= o->client->o.pool_per_origin_max || !open_another(o, p))
            return;
}

static struct h2_conn *with_room(const struct h2_origin *o)
{
    struct h2_conn *fullest = NULL;
    for (struct h2_conn *k = o->conns; k; k = k->next)
        if (!k->connecting && !k->dead && h2_room(k->h2) && !stream_ended(k->stream) &&
            (!fullest || h2_open(k->h2) > h2_open(fullest->h2)))
            fullest = k;
    return fullest;
}

void h2_origin_pump(struct h2_origin *o)
{
    struct h2_conn *k;
    while (o->waiting && (k = with_room(o))) {
        struct h2_place *p = o->waiting;
        unlink_place(o, p);
        h2_place_attach(p, k);
    }
    if (o->waiting)
        open_more(o);
}

// --- For client.c

static struct h2_origin *origin_of(struct http_exchange *x)
{
    struct http_client *c = x->client;
    struct h2_origin *o = map_get(&c->h2_origins, x->address->origin_key);
    if (o)
        return o;
    o = mem_new(struct h2_origin);
    o->client = c;
    o->prior_knowledge = !x->address->url.tls;
    map_put(&c->h2_origins, x->address->origin_key, o);
    return o;
}

bool client_h2_start(struct http_exchange *x)
{
    struct h2_origin *o = origin_of(x);
    if (o->speaks == ORIGIN_H1)
        return false;
    struct h2_conn *k = o->waiting ? NULL : with_room(o);
    struct h2_place *p = h2_place_new(o, x);
    x->reused = k != NULL;
    x->step = EXCHANGE_CONNECT;
    if (k) {
        h2_place_attach(p, k);
        return true;
    }
    loop_timer_set(x->client->loop, &x->phase, exchange_connect_timeout_ms(x));
    wait(o, p);
    h2_origin_pump(o);
    return true;
}

void client_h2_adopt(struct http_exchange *x, struct stream *stream)
{
    struct h2_origin *o = origin_of(x);
    struct h2_conn *k = h2_conn_new(o);
    struct h2_place *p = h2_place_new(o, x);
    wait(o, p);
    h2_conn_open(k, stream);
    h2_origin_pump(o);
}

void client_h2_close_all(struct http_client *c)
{
    size_t cursor = 0;
    str key;
    void *value = NULL;
    while (map_next(&c->h2_origins, &cursor, &key, &value)) {
        struct h2_origin *o = value;
        while (o->conns)
            h2_conn_close(o->conns);
        while (o->leaving)
            h2_conn_close(o->leaving);
        mem_free(o);
    }
    map_done(&c->h2_origins);
}

size_t client_h2_idle(const struct http_client *c)
{
    size_t cursor = 0, len = 0;
    str key;
    void *value = NULL;
    while (map_next(&c->h2_origins, &cursor, &key, &value))
        for (const struct h2_conn *k = ((struct h2_origin *)value)->conns; k; k = k->next)
            len += !k->connecting && !k->places;
    return len;
}
