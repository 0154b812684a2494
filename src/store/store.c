#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ring.h"
#include "base/thread.h"
#include "store/batch.h"
#include "store/run.h"
#include "store/schema.h"
#include "store/sleep.h"

#include "base/banned.h"

#define GATHER_MS      50 // how long a group gathers before it is written
#define RETRY_MS       500
#define WARN_EVERY_MS  10000
#define KEYS_BYTES_MAX (64u << 20)
#define NICE           5 // answers first, where they share a core

struct store {
    struct db db;
    struct batch_writer writer;
    struct store_options o;
    char *path;
    struct thread thread;
    struct ring_mpsc queue;
    struct sleeper sleeper; // whoever puts something rings
    pthread_mutex_t lock;   // for `done`: something was written
    pthread_cond_t done;
    _Atomic bool closing, hurry;
    _Atomic uint64_t taken, put, dropped; // `put` and `dropped` by any thread
    _Atomic uint64_t durable, written, failures;
    uint64_t seq, drops_seen, missing, warned_ms;
    int64_t data_version;
    struct record *batch[BATCH_MAX];
    size_t batch_len, batch_bytes;
};

// --- Any thread

static bool put(struct store *s, struct record *r)
{
    if (!ring_mpsc_push(&s->queue, r)) {
        mem_free(r);
        atomic_fetch_add(&s->dropped, 1);
        return false;
    }
    atomic_fetch_add(&s->put, 1);
    sleeper_ring(&s->sleeper);
    return true;
}

bool store_put(struct store *s, const struct store_request *r)
{
    return put(s, record_of_request(r));
}

bool store_put_shadow(struct store *s, const struct store_shadow *r)
{
    return put(s, record_of_shadow(r, (int64_t)clock_wall_ms()));
}

uint64_t store_durable(const struct store *s)
{
    return atomic_load(&s->durable);
}

void store_stats(const struct store *s, struct store_stats *ret)
{
    uint64_t taken = atomic_load(&s->taken), put = atomic_load(&s->put);
    *ret = (struct store_stats){
        .written = atomic_load(&s->written),
        .dropped = atomic_load(&s->dropped),
        .missing = s->missing,
        .failures = atomic_load(&s->failures),
        .waiting = put > taken ? put - taken : 0,
    };
}

static struct timespec after_ms(uint64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

bool store_flush(struct store *s, uint64_t timeout_ms)
{
    struct timespec end = after_ms(timeout_ms);
    uint64_t wanted = atomic_load(&s->put);
    int waited = 0;
    atomic_store(&s->hurry, true);
    sleeper_ring(&s->sleeper);
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->written) < wanted && waited == 0)
        waited = pthread_cond_timedwait(&s->done, &s->lock, &end);
    pthread_mutex_unlock(&s->lock);
    return atomic_load(&s->written) >= wanted;
}

// --- The store's thread: records

static bool batch_full(const struct store *s)
{
    return s->batch_len >= batch_max(&s->writer) || s->batch_bytes >= BATCH_BYTES_MAX;
}

// The numbers of dropped records are skipped, so that they show as a gap.
static void take_batch(struct store *s)
{
    while (!batch_full(s)) {
        struct record *r = ring_mpsc_pop(&s->queue);
        if (!r)
            return;
        uint64_t dropped = atomic_load(&s->dropped);
        s->seq += 1 + (dropped - s->drops_seen);
        s->drops_seen = dropped;
        r->seq = s->seq;
        s->batch[s->batch_len++] = r;
        s->batch_bytes += r->len;
        atomic_fetch_add(&s->taken, 1);
    }
}

static void forget_batch(struct store *s)
{
    for (size_t i = 0; i < s->batch_len; i++)
        mem_free(s->batch[i]);
    s->batch_len = s->batch_bytes = 0;
}

static void warn(struct store *s, const char *what, const struct diag *d)
{
    char text[640];
    uint64_t now = clock_mono_ms();
    if (s->warned_ms && now - s->warned_ms < WARN_EVERY_MS)
        return;
    s->warned_ms = now;
    log_write(LOG_WARN, what, LOG_Z("error", diag_format(d, text, sizeof text)));
}

// What was handed over but not taken yet counts as seen: should the process die now, the next start
// knows that it is missing.
static bool write_batch(struct store *s)
{
    struct diag d = {0};
    struct store_stats now;
    store_stats(s, &now);
    uint64_t written = atomic_load(&s->written) + s->batch_len;
    uint64_t seen = s->seq + now.waiting + (now.dropped - s->drops_seen);
    if (batch_write(&s->writer, s->batch, s->batch_len, seen, written, &d) != ERR_OK) {
        atomic_fetch_add(&s->failures, 1);
        warn(s, "records cannot be written; trying again", &d);
        return false;
    }
    forget_batch(s);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->durable, s->seq);
    atomic_store(&s->written, written);
    pthread_cond_broadcast(&s->done);
    pthread_mutex_unlock(&s->lock);
    return true;
}

// --- The store's thread: keys

static int64_t spent_now(struct store *s, const struct store_key *k, struct diag *d, enum err *e)
{
    char periods[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX];
    int64_t spent = 0;
    spend_periods((int64_t)clock_wall_ms(), periods);
    for (size_t i = 0; i < SPEND_PERIODS && *e == ERR_OK; i++)
        if (k->budget_period.len && str_starts(str_of(periods[i]), k->budget_period))
            *e = spend_read(&s->db, k->id, periods[i], &spent, d);
    return spent;
}

static enum err tell_keys(struct store *s, struct arena *a, struct diag *d)
{
    struct store_key *keys;
    size_t len;
    ERR_TRY(store_key_list(&s->db, a, &keys, &len, d));
    int64_t *spent = arena_zalloc(a, len + 1, sizeof *spent);
    if (!spent)
        return diag_set(d, ERR_LIMIT, "too many keys");
    enum err e = ERR_OK;
    for (size_t i = 0; i < len && e == ERR_OK; i++)
        spent[i] = spent_now(s, &keys[i], d, &e);
    if (e == ERR_OK)
        s->o.keys(s->o.ctx, keys, spent, len);
    return e;
}

static enum err read_keys(struct store *s, struct diag *d)
{
    struct arena a;
    if (!s->o.keys)
        return ERR_OK;
    arena_init(&a, KEYS_BYTES_MAX);
    enum err e = tell_keys(s, &a, d);
    arena_done(&a);
    return e;
}

// data_version changes when another connection has committed.
static enum err look(struct store *s, bool always, struct diag *d)
{
    int64_t version;
    ERR_TRY(db_number(&s->db, "PRAGMA data_version", &version, d));
    if (version == s->data_version && !always)
        return ERR_OK;
    ERR_TRY(read_keys(s, d));
    s->data_version = version;
    return ERR_OK;
}

// --- The store's thread

static bool has_nothing_to_do(const void *ctx)
{
    const struct store *s = ctx;
    struct store_stats now;
    store_stats(s, &now);
    return !now.waiting && !s->batch_len && !atomic_load(&s->closing) && !atomic_load(&s->hurry);
}

static void nap(struct store *s, unsigned ms)
{
    if (!atomic_load(&s->closing) && !atomic_load(&s->hurry))
        usleep(ms * 1000);
}

// What waits, in full batches; what comes meanwhile gathers for the next time, but for the last.
// False: the disk refuses.
static bool write_waiting(struct store *s, bool all)
{
    for (bool full = true; full || all;) {
        take_batch(s);
        if (!s->batch_len)
            return true;
        full = batch_full(s);
        if (!write_batch(s))
            return false;
    }
    return true;
}

static void thread_main(void *arg)
{
    struct store *s = arg;
    (void)setpriority(PRIO_PROCESS, 0, NICE); // on Linux, of this thread alone
    for (;;) {
        struct diag d = {0};
        bool last = atomic_load(&s->closing);
        if (!last) {
            sleeper_sleep(&s->sleeper, sleeper_ms_max(&s->sleeper), has_nothing_to_do, s);
            if (!has_nothing_to_do(s))
                nap(s, GATHER_MS);
        }
        atomic_store(&s->hurry, false);
        bool wrote = write_waiting(s, last);
        if (last)
            return;
        sleeper_forget_writes(&s->sleeper); // its own among them; others' are looked for now
        if (!wrote)
            nap(s, RETRY_MS);
        else if (look(s, false, &d) != ERR_OK)
            warn(s, "keys cannot be read; going on with those there were", &d);
    }
}

// --- Life

static enum err begin(struct store *s, struct diag *d)
{
    int64_t run, missing = 0;
    ERR_TRY(schema_upgrade(&s->db, d));
    ERR_TRY(run_begin(&s->db, &run, &missing, d));
    s->missing = (uint64_t)missing;
    ERR_TRY(batch_prepare(&s->writer, &s->db, run, s->o.records_max, d));
    ERR_TRY(sleeper_open(&s->sleeper, s->path, d));
    ERR_TRY(look(s, true, d));
    return thread_start(&s->thread, "store", thread_main, s, d);
}

enum err store_open(const struct store_options *o, struct store **ret, struct diag *d)
{
    struct store *s = mem_new(struct store);
    s->o = *o;
    s->path = mem_strdup(o->path);
    s->o.path = s->path;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->done, NULL);
    ring_mpsc_init(&s->queue, STORE_QUEUE_MAX);
    enum err e = db_open(s->path, DB_CREATE, &s->db, d);
    if (e == ERR_OK)
        e = begin(s, d);
    if (e != ERR_OK) {
        store_close(s);
        return e;
    }
    *ret = s;
    return ERR_OK;
}

// What the disk has refused to the last.
static void drop_rest(struct store *s)
{
    uint64_t lost = s->batch_len;
    forget_batch(s);
    for (void *queued; (queued = ring_mpsc_pop(&s->queue)); lost++)
        mem_free(queued);
    atomic_fetch_add(&s->dropped, lost);
    if (lost)
        log_write(LOG_ERROR, "records are lost", LOG_I("records", lost));
}

static void stop_thread(struct store *s)
{
    if (!s->thread.running)
        return;
    atomic_store(&s->closing, true);
    sleeper_ring(&s->sleeper);
    thread_join(&s->thread);
    if (run_end(&s->db, s->writer.groups.run, NULL) != ERR_OK)
        log_write(LOG_WARN, "the store could not be closed in order");
}

void store_close(struct store *s)
{
    if (!s)
        return;
    stop_thread(s);
    drop_rest(s);
    ring_mpsc_done(&s->queue);
    batch_done(&s->writer);
    if (s->db.handle)
        db_close(&s->db);
    sleeper_close(&s->sleeper);
    pthread_cond_destroy(&s->done);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->path);
    mem_free(s);
}
