// Idle connections by origin: the freshest is taken first, the oldest ages out.
#include "http/client_internal.h"

#include "base/banned.h"

static struct origin *origin_of(struct http_client *c, str key, bool make)
{
    struct origin *o = map_get(&c->origins, key);
    if (!o && make) {
        o = mem_new(struct origin);
        map_put(&c->origins, key, o);
    }
    return o;
}

void pool_remove(struct client_conn *k)
{
    struct origin *o = origin_of(k->client, k->origin_key, false);
    ASSERT(o);
    if (k->prev)
        k->prev->next = k->next;
    else
        o->idle = k->next;
    if (k->next)
        k->next->prev = k->prev;
    k->next = k->prev = NULL;
    o->idle_len--;
    k->client->idle_len--;
    loop_timer_cancel(&k->idle);
    if (o->idle_len == 0) {
        map_remove(&k->client->origins, k->origin_key);
        mem_free(o);
    }
}

struct client_conn *pool_take(struct http_client *c, str origin_key)
{
    for (;;) {
        struct origin *o = origin_of(c, origin_key, false);
        if (!o)
            return NULL;
        struct client_conn *k = o->idle;
        pool_remove(k);
        if (!stream_ended(k->stream))
            return k;
        client_conn_close(k);
    }
}

void pool_put(struct client_conn *k)
{
    struct http_client *c = k->client;
    struct origin *o = origin_of(c, k->origin_key, true);
    k->next = o->idle;
    k->prev = NULL;
    if (o->idle)
        o->idle->prev = k;
    o->idle = k;
    o->idle_len++;
    c->idle_len++;
    loop_timer_set(c->loop, &k->idle, c->o.pool_idle_ms);
    if (o->idle_len <= c->o.pool_per_origin_max)
        return;
    struct client_conn *oldest = o->idle;
    while (oldest->next)
        oldest = oldest->next;
    pool_remove(oldest);
    client_conn_close(oldest);
}

void pool_close_all(struct http_client *c)
{
    while (c->idle_len) {
        size_t cursor = 0;
        str key;
        void *value = NULL;
        bool found = map_next(&c->origins, &cursor, &key, &value);
        ASSERT(found);
        struct client_conn *k = ((struct origin *)value)->idle;
        pool_remove(k);
        client_conn_close(k);
    }
}
