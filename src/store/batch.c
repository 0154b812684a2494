#include "store/batch.h"

#include "store/run.h"

#include "base/banned.h"

// Old records go that many at a time, so that no commit takes long.
#define PRUNE_MIN 256
#define PRUNE_MAX 4096
#define SUMS_MAX  32
#define DAY_MS    86400000

enum err batch_prepare(struct batch_writer *w, struct db *b, int64_t run, int64_t records_max,
                       struct diag *d)
{
    struct arena a;
    *w = (struct batch_writer){.db = b, .run = run, .records_max = records_max};
    arena_init(&a, 1u << 16);
    str request = row_insert_sql(&a, "request", "run, seq", 2, store_request_columns);
    str attempt = row_insert_sql(&a, "attempt", "run, seq, number", 3, store_attempt_columns);
    str shadow = row_insert_sql(&a, "shadow", "run, seq", 2, store_shadow_columns);
    ASSERT(request.ptr && attempt.ptr && shadow.ptr); // fixed texts in a larger arena
    enum err e = db_prepare(b, request.ptr, &w->request, d);
    if (e == ERR_OK)
        e = db_prepare(b, attempt.ptr, &w->attempt, d);
    if (e == ERR_OK)
        e = db_prepare(b, shadow.ptr, &w->shadow, d);
    if (e == ERR_OK)
        e = spend_prepare(b, &w->spend, d);
    if (e == ERR_OK)
        e = run_note_prepare(b, &w->note, d);
    if (e == ERR_OK)
        e = db_number(b, "SELECT count(*) FROM request", &w->records, d);
    arena_done(&a);
    return e;
}

void batch_done(struct batch_writer *w)
{
    sqlite3_finalize(w->request);
    sqlite3_finalize(w->attempt);
    sqlite3_finalize(w->shadow);
    sqlite3_finalize(w->note);
    spend_done(&w->spend);
}

static enum err write_attempts(struct batch_writer *w, uint64_t seq, const struct store_request *r,
                               struct diag *d)
{
    for (int64_t i = 0; i < r->attempts_len; i++) {
        db_bind_int(w->attempt, 1, w->run);
        db_bind_int(w->attempt, 2, (int64_t)seq);
        db_bind_int(w->attempt, 3, i + 1);
        row_bind(w->attempt, 4, store_attempt_columns, &r->attempts[i]);
        ERR_TRY(db_run(w->db, w->attempt, d));
    }
    return ERR_OK;
}

static enum err write_shadow(struct batch_writer *w, const struct batch_item *it, struct diag *d)
{
    db_bind_int(w->shadow, 1, w->run);
    db_bind_int(w->shadow, 2, (int64_t)it->seq);
    row_bind(w->shadow, 3, store_shadow_columns, it->shadow);
    return db_run(w->db, w->shadow, d);
}

static enum err write_one(struct batch_writer *w, const struct batch_item *it, struct diag *d)
{
    const struct store_request *r = it->request;
    if (it->shadow)
        return write_shadow(w, it, d);
    ASSERT(r);
    db_bind_int(w->request, 1, w->run);
    db_bind_int(w->request, 2, (int64_t)it->seq);
    row_bind(w->request, 3, store_request_columns, r);
    ERR_TRY(db_run(w->db, w->request, d));
    return write_attempts(w, it->seq, r, d);
}

// What a batch adds to a key's spend on one day: its rows are written once a batch and not once a
// request. The sums that no longer fit are written early.
struct sums {
    struct sum {
        str key_id; // of a record of the batch
        int64_t day, wall_ms, nano_usd;
    } items[SUMS_MAX];
    size_t len;
};

static enum err write_sums(struct batch_writer *w, struct sums *s, struct diag *d)
{
    for (size_t i = 0; i < s->len; i++)
        ERR_TRY(spend_add(w->db, &w->spend, s->items[i].key_id, s->items[i].wall_ms,
                          s->items[i].nano_usd, d));
    s->len = 0;
    return ERR_OK;
}

static enum err add_spend(struct batch_writer *w, struct sums *s, const struct store_request *r,
                          struct diag *d)
{
    int64_t day = r->started_ms / DAY_MS;
    if (!r->spend_nano_usd || !r->key_id.len)
        return ERR_OK;
    for (size_t i = 0; i < s->len; i++) {
        struct sum *sum = &s->items[i];
        int64_t both;
        if (sum->day != day || !str_eq(sum->key_id, r->key_id) ||
            __builtin_add_overflow(sum->nano_usd, r->spend_nano_usd, &both))
            continue;
        sum->nano_usd = both;
        return ERR_OK;
    }
    if (s->len == SUMS_MAX)
        ERR_TRY(write_sums(w, s, d));
    s->items[s->len++] = (struct sum){r->key_id, day, r->started_ms, r->spend_nano_usd};
    return ERR_OK;
}

// Deletes up to the `count`-th oldest record. A request's row and its attempts go together.
static enum err prune(struct batch_writer *w, int64_t count, struct diag *d)
{
    static const char *const deletes[] = {
        "DELETE FROM attempt WHERE (run, seq) <= (SELECT run, seq FROM request "
        "ORDER BY run, seq LIMIT 1 OFFSET ?)",
        "DELETE FROM shadow WHERE (run, seq) <= (SELECT run, seq FROM request "
        "ORDER BY run, seq LIMIT 1 OFFSET ?)",
        "DELETE FROM request WHERE (run, seq) <= (SELECT run, seq FROM request "
        "ORDER BY run, seq LIMIT 1 OFFSET ?)",
    };
    for (size_t i = 0; i < ARRAY_LEN(deletes); i++) {
        sqlite3_stmt *s;
        ERR_TRY(db_prepare(w->db, deletes[i], &s, d));
        db_bind_int(s, 1, count - 1);
        enum err e = db_run(w->db, s, d);
        sqlite3_finalize(s);
        ERR_TRY(e);
    }
    return ERR_OK;
}

static int64_t records_over(const struct batch_writer *w, int64_t records)
{
    int64_t over = records - w->records_max;
    int64_t least = w->records_max < PRUNE_MIN ? 1 : PRUNE_MIN;
    if (over < least)
        return 0;
    return over > PRUNE_MAX ? PRUNE_MAX : over;
}

static enum err write_all(struct batch_writer *w, const struct batch_item *items, size_t len,
                          uint64_t seen, uint64_t written, int64_t over, struct diag *d)
{
    struct sums sums = {.len = 0};
    for (size_t i = 0; i < len; i++) {
        ERR_TRY(write_one(w, &items[i], d));
        if (items[i].request)
            ERR_TRY(add_spend(w, &sums, items[i].request, d));
    }
    ERR_TRY(write_sums(w, &sums, d));
    if (over)
        ERR_TRY(prune(w, over, d));
    return run_note(w->db, w->note, w->run, seen, written, d);
}

enum err batch_write(struct batch_writer *w, const struct batch_item *items, size_t len,
                     uint64_t seen, uint64_t written, struct diag *d)
{
    int64_t records = w->records;
    for (size_t i = 0; i < len; i++)
        records += items[i].request != NULL;
    int64_t over = records_over(w, records);
    ERR_TRY(db_begin(w->db, d));
    enum err e = write_all(w, items, len, seen, written, over, d);
    if (e == ERR_OK)
        e = db_commit(w->db, d);
    if (e == ERR_OK)
        w->records = records - over;
    else
        db_rollback(w->db);
    return e;
}
