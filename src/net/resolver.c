#include "net/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/ring.h"
#include "base/thread.h"

#include "base/banned.h"

enum {
    QUESTIONS_MAX = 1024,
    CACHE_MAX = 1024,
    FRESH_MS = 30 * 1000,
    STALE_MS = 5 * 60 * 1000,
    HOST_MAX = 255,
};

typedef void (*resolver_done_fn)(void *ctx, enum err e, const struct resolver_answer *answer,
                                 const struct diag *d);

struct resolver_query {
    struct resolver *r;
    struct resolver_query *next; // in r->ready
    resolver_done_fn done;       // NULL: cancelled
    void *ctx;
    char host[HOST_MAX + 1];
    uint16_t port;
    enum err e;
    struct diag d;
    struct resolver_answer answer;
};

struct cached {
    struct resolver_answer answer; // ports are 0
    uint64_t at_ms;
};

struct resolver {
    struct loop *loop;
    struct thread thread;
    struct ring_spsc questions, answers; // of struct resolver_query
    int asked[2]; // a pipe: one byte a question, so that the thread can sleep
    _Atomic bool stopping;
    struct loop_wake answered;
    struct loop_later later;      // tells what was known at once
    struct resolver_query *ready; // waiting for `later`
    size_t under_way;
    struct map cache; // host → struct cached
};

// --- The thread

static enum err of_getaddrinfo(int code, struct resolver_query *q)
{
    if (code == EAI_NONAME || code == EAI_FAIL
#ifdef EAI_NODATA
        || code == EAI_NODATA
#endif
    )
        return diag_set(&q->d, ERR_NOT_FOUND, "the name %s does not exist: check its spelling",
                        q->host);
    return diag_set(&q->d, ERR_IO, "cannot look up %s: %s", q->host, gai_strerror(code));
}

static void look_up(struct resolver_query *q)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(q->host, NULL, &hints, &list);
    q->e = code ? of_getaddrinfo(code, q) : ERR_OK;
    for (struct addrinfo *a = list; a && q->answer.len < RESOLVER_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof q->answer.addresses[0].in6)
            continue;
        struct sock_address *to = &q->answer.addresses[q->answer.len++];
        memcpy(&to->any, a->ai_addr, a->ai_addrlen);
        to->len = a->ai_addrlen;
    }
    if (list)
        freeaddrinfo(list);
    if (q->e == ERR_OK && q->answer.len == 0)
        q->e = diag_set(&q->d, ERR_NOT_FOUND, "the name %s has no address", q->host);
}

static void thread_main(void *arg)
{
    struct resolver *r = arg;
    for (;;) {
        char byte;
        if (read(r->asked[0], &byte, 1) != 1 && errno != EINTR)
            return;
        if (atomic_load(&r->stopping))
            return;
        struct resolver_query *q = ring_spsc_pop(&r->questions);
        if (!q)
            continue;
        look_up(q);
        bool pushed = ring_spsc_push(&r->answers, q); // as long as the questions: never full
        ASSERT(pushed);
        loop_wake_signal(&r->answered);
    }
}

// --- The loop's side

static void set_ports(struct resolver_answer *a, uint16_t port)
{
    for (size_t i = 0; i < a->len; i++) {
        if (a->addresses[i].any.sa_family == AF_INET6)
            a->addresses[i].in6.sin6_port = htons(port);
        else
            a->addresses[i].in.sin_port = htons(port);
    }
}

static void tell(struct resolver_query *q)
{
    if (q->done) {
        set_ports(&q->answer, q->port);
        q->done(q->ctx, q->e, q->e == ERR_OK ? &q->answer : NULL, &q->d);
    }
    mem_free(q);
}

static void tell_ready(void *ctx)
{
    struct resolver *r = ctx;
    while (r->ready) {
        struct resolver_query *q = r->ready;
        r->ready = q->next;
        tell(q);
    }
}

static void forget_all(struct resolver *r)
{
    size_t cursor = 0;
    str key;
    void *value;
    while (map_next(&r->cache, &cursor, &key, &value))
        mem_free(value);
    map_done(&r->cache);
    map_init(&r->cache);
}

static void remember(struct resolver *r, struct resolver_query *q)
{
    str host = str_of(q->host);
    struct cached *c = map_get(&r->cache, host);
    if (q->e == ERR_OK) {
        if (!c) {
            if (r->cache.len >= CACHE_MAX)
                forget_all(r);
            c = mem_new(struct cached);
            map_put(&r->cache, host, c);
        }
        c->answer = q->answer;
        c->at_ms = loop_now_ms(r->loop);
    } else if (c && loop_now_ms(r->loop) - c->at_ms < STALE_MS) {
        q->answer = c->answer; // better an old address than none
        q->e = ERR_OK;
    }
}

static void take_answers(void *ctx)
{
    struct resolver *r = ctx;
    struct resolver_query *q;
    while ((q = ring_spsc_pop(&r->answers)) != NULL) {
        r->under_way--;
        remember(r, q);
        tell(q);
    }
}

static void answer_later(struct resolver *r, struct resolver_query *q)
{
    struct resolver_query **end = &r->ready;
    while (*end)
        end = &(*end)->next;
    *end = q;
    loop_later_set(r->loop, &r->later);
}

static bool known_at_once(struct resolver *r, struct resolver_query *q)
{
    if (sock_address_of(str_of(q->host), 0, &q->answer.addresses[0]) == ERR_OK) {
        q->answer.len = 1;
        return true;
    }
    const struct cached *c = map_get(&r->cache, str_of(q->host));
    if (!c || loop_now_ms(r->loop) - c->at_ms >= FRESH_MS)
        return false;
    q->answer = c->answer;
    return true;
}

// Fewer than QUESTIONS_MAX bytes are ever in the pipe: it takes them without waiting.
static void ring(struct resolver *r)
{
    ssize_t written = write(r->asked[1], "", 1);
    ASSERT(written == 1);
}

static enum err ask_thread(struct resolver *r, struct resolver_query *q)
{
    if (r->under_way >= QUESTIONS_MAX)
        return diag_set(&q->d, ERR_BUSY, "too many names are being looked up at once");
    if (!r->thread.running)
        ERR_TRY(thread_start(&r->thread, "resolver", thread_main, r, &q->d));
    r->under_way++;
    bool pushed = ring_spsc_push(&r->questions, q);
    ASSERT(pushed);
    ring(r);
    return ERR_OK;
}

struct resolver_query *resolver_ask(struct resolver *r, str host, uint16_t port,
                                    resolver_done_fn done, void *ctx)
{
    struct resolver_query *q = mem_new(struct resolver_query);
    q->r = r;
    q->done = done;
    q->ctx = ctx;
    q->port = port;
    if (host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, '\0', host.len)) {
        q->e = diag_set(&q->d, ERR_NOT_FOUND, "this is not a host name");
        answer_later(r, q);
        return q;
    }
    memcpy(q->host, host.ptr, host.len);
    if (known_at_once(r, q)) {
        answer_later(r, q);
        return q;
    }
    enum err e = ask_thread(r, q); // from here on q is the thread's, unless that failed
    if (e != ERR_OK) {
        q->e = e;
        answer_later(r, q);
    }
    return q;
}

void resolver_cancel(struct resolver_query *q)
{
    if (q)
        q->done = NULL;
}

struct resolver *resolver_new(struct loop *l)
{
    struct resolver *r = mem_new(struct resolver);
    r->loop = l;
    int made = pipe(r->asked);
    ASSERT(made == 0);
    ring_spsc_init(&r->questions, QUESTIONS_MAX);
    ring_spsc_init(&r->answers, QUESTIONS_MAX);
    loop_wake_init(l, &r->answered, take_answers, r);
    loop_later_init(&r->later, tell_ready, r);
    map_init(&r->cache);
    return r;
}

static void drop(struct ring_spsc *ring)
{
    struct resolver_query *q;
    while ((q = ring_spsc_pop(ring)) != NULL)
        mem_free(q);
    ring_spsc_done(ring);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    atomic_store(&r->stopping, true);
    ring(r);
    thread_join(&r->thread);
    loop_wake_done(&r->answered);
    loop_later_cancel(&r->later);
    drop(&r->questions);
    drop(&r->answers);
    while (r->ready) {
        struct resolver_query *q = r->ready;
        r->ready = q->next;
        mem_free(q);
    }
    forget_all(r);
    map_done(&r->cache);
    close(r->asked[0]);
    close(r->asked[1]);
    mem_free(r);
}
