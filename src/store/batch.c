#include "store/batch.h"

#include "store/run.h"

#include "base/banned.h"

// Old records go that many at a time, so that no commit takes long.
#define PRUNE_MIN 256
#define PRUNE_MAX 4096

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
        e = db_number(b, "SELECT count(*) FROM request", &w->records, d);
    arena_done(&a);
    return e;
}

void batch_done(struct batch_writer *w)
{
    sqlite3_finalize(w->request);
    sqlite3_finalize(w->attempt);
    sqlite3_finalize(w->shadow);
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
    ERR_TRY(write_attempts(w, it->seq, r, d));
    if (r->spend_nano_usd && r->key_id.len)
        return spend_add(w->db, &w->spend, r->key_id, r->started_ms, r->spend_nano_usd, d);
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
    for (size_t i = 0; i < len; i++)
        ERR_TRY(write_one(w, &items[i], d));
    if (over)
        ERR_TRY(prune(w, over, d));
    return run_note(w->db, w->run, seen, written, d);
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
