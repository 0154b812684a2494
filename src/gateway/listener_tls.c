#include "gateway/listener_tls.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "net/tls_certificate.h"

#include "base/banned.h"

#define LOOK_MS   2000
#define FILES_MAX 3

// Enough of a file to see that it is another, also when a link points elsewhere.
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct look {
    struct stamp files[FILES_MAX];
};

struct listener_tls {
    struct loop *loop;
    struct worker *worker;
    struct metrics_shard *shard;
    struct tls_server_options options;
    struct tls_context *context;
    struct loop_timer timer;
    struct offload offload;
    bool stopped;
    bool busy, asked; // a look is under way; all shall be read, changed or not
    // Of the look under way, its thread's alone until it is back.
    struct look taken, seen; // the files of the last attempt to read them; as they were last time
    bool forced, tried;
    struct tls_context *fresh; // what it has read; NULL: nothing, or no good
    struct tls_certificate certificate;
    struct diag diag;
};

// --- Reading, on any thread

static void stamp_of(const char *file, struct stamp *ret)
{
    struct stat s;
    *ret = (struct stamp){0}; // also of what is not there
    if (!file || stat(file, &s) != 0)
        return;
    ret->device = s.st_dev;
    ret->inode = s.st_ino;
    ret->size = s.st_size;
    ret->changed = s.st_mtim;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool same_look(const struct look *a, const struct look *b)
{
    bool same = true;
    for (size_t i = 0; i < FILES_MAX; i++)
        same = same && same_stamp(&a->files[i], &b->files[i]);
    return same;
}

static void look_at(const struct tls_server_options *o, struct look *ret)
{
    stamp_of(o->cert_file, &ret->files[0]);
    stamp_of(o->key_file, &ret->files[1]);
    stamp_of(o->client_ca_file, &ret->files[2]);
}

static enum err read_all(const struct tls_server_options *o,
                         struct tls_certificate *ret_certificate, struct tls_context **ret,
                         struct diag *d)
{
    struct tls_certificate c;
    ERR_TRY(tls_certificate_read(o->cert_file, &c, d));
    if ((uint64_t)c.until_ms <= clock_wall_ms())
        return diag_set(d, ERR_INVALID, "%s: the certificate has expired", o->cert_file);
    ERR_TRY(tls_server_new(o, ret, d));
    *ret_certificate = c;
    return ERR_OK;
}

// A new key and its certificate come one after the other: they are read when two looks saw the
// same.
static void look(void *ctx)
{
    struct listener_tls *t = ctx;
    struct look now;
    look_at(&t->options, &now);
    bool settled = same_look(&now, &t->seen), other = !same_look(&now, &t->taken);
    t->seen = now;
    t->tried = t->forced || (other && settled);
    if (!t->tried)
        return;
    t->taken = now;
    t->diag = (struct diag){0};
    if (read_all(&t->options, &t->certificate, &t->fresh, &t->diag) != ERR_OK)
        t->fresh = NULL;
}

// --- On the loop

static void tell_end(const struct listener_tls *t)
{
    metrics_set(metrics_series(t->shard, METRIC_TLS_EXPIRY, NULL),
                (double)t->certificate.until_ms / 1e3);
}

static void count(struct listener_tls *t, const char *result)
{
    metrics_add(metrics_series(t->shard, METRIC_TLS_RELOADS, METRICS_VALUES(str_of(result))), 1);
}

static void take(struct listener_tls *t)
{
    char until[25], words[640];
    if (!t->fresh) {
        count(t, "refused");
        log_write(LOG_ERROR, "new certificate refused, the one before stays in use",
                  LOG_Z("why", diag_format(&t->diag, words, sizeof words)));
        return;
    }
    tls_server_adopt(t->context, t->fresh);
    t->fresh = NULL;
    count(t, "taken");
    tell_end(t);
    clock_iso8601((uint64_t)t->certificate.until_ms, until);
    log_write(LOG_INFO, "certificate taken", LOG_Z("names", t->certificate.names),
              LOG_Z("until", until));
}

static void begin_look(struct listener_tls *t)
{
    t->forced = t->asked;
    t->busy = worker_submit(t->worker, &t->offload) == ERR_OK;
    if (t->busy)
        t->asked = false;
    else
        loop_timer_set(t->loop, &t->timer, LOOK_MS); // the workers are full: later
}

static void looked(void *ctx)
{
    struct listener_tls *t = ctx;
    t->busy = false;
    if (t->stopped) {
        tls_context_free(t->fresh);
        t->fresh = NULL;
        return;
    }
    if (t->tried)
        take(t);
    if (t->asked)
        begin_look(t);
    else
        loop_timer_set(t->loop, &t->timer, LOOK_MS);
}

static void on_timer(void *ctx)
{
    struct listener_tls *t = ctx;
    if (!t->busy)
        begin_look(t);
}

void listener_tls_reload(struct listener_tls *t)
{
    if (!t || t->stopped)
        return;
    t->asked = true;
    if (!t->busy)
        begin_look(t);
}

void listener_tls_measure(struct listener_tls *t)
{
    if (!t)
        return;
    struct tls_handshakes h = tls_server_handshakes(t->context);
    metrics_set(metrics_series(t->shard, METRIC_TLS_HANDSHAKES, METRICS_VALUES(STR("full"))),
                (double)h.full);
    metrics_set(metrics_series(t->shard, METRIC_TLS_HANDSHAKES, METRICS_VALUES(STR("resumed"))),
                (double)h.resumed);
}

void listener_tls_no_contact(struct metrics_shard *shard)
{
    metrics_add(metrics_series(shard, METRIC_TLS_HANDSHAKES, METRICS_VALUES(STR("failed"))), 1);
}

// --- Life

// Strings of a configuration end with a NUL; an empty one is none.
static const char *path_of(str s)
{
    return s.len ? s.ptr : NULL;
}

enum err listener_tls_new(struct loop *l, struct worker *w, const struct gateway_tls *config,
                          struct metrics_shard *shard, struct listener_tls **ret, struct diag *d)
{
    struct listener_tls *t = mem_new(struct listener_tls);
    t->loop = l;
    t->worker = w;
    t->shard = shard;
    t->options = (struct tls_server_options){
        .cert_file = path_of(config->certificate),
        .key_file = path_of(config->key),
        .client_ca_file = path_of(config->client_ca),
    };
    look_at(&t->options, &t->taken);
    t->seen = t->taken;
    enum err e = read_all(&t->options, &t->certificate, &t->context, d);
    if (e != ERR_OK) {
        diag_where(d, "tls");
        mem_free(t);
        return e;
    }
    tell_end(t);
    t->offload = (struct offload){.run = look, .done = looked, .ctx = t};
    loop_timer_init(&t->timer, on_timer, t);
    loop_timer_set(l, &t->timer, LOOK_MS);
    *ret = t;
    return ERR_OK;
}

void listener_tls_stop(struct listener_tls *t)
{
    if (!t)
        return;
    t->stopped = true;
    loop_timer_cancel(&t->timer);
}

void listener_tls_free(struct listener_tls *t)
{
    if (!t)
        return;
    ASSERT(!t->busy);
    tls_context_free(t->context);
    mem_free(t);
}

struct tls_context *listener_tls_context(const struct listener_tls *t)
{
    return t ? t->context : NULL;
}
