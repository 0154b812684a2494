#include "store/run.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

#include "base/banned.h"

static bool is_alive(int64_t pid)
{
    return pid > 0 && pid != getpid() && kill((pid_t)pid, 0) == 0;
}

static enum err mark_counted(struct db *b, int64_t run, struct diag *d)
{
    sqlite3_stmt *s;
    ERR_TRY(db_prepare(b, "UPDATE run SET counted = 1 WHERE id = ?", &s, d));
    db_bind_int(s, 1, run);
    enum err e = db_run(b, s, d);
    sqlite3_finalize(s);
    return e;
}

// Those of processes that still run are left for later.
static enum err count_missing(struct db *b, int64_t *ret, struct diag *d)
{
    sqlite3_stmt *s;
    bool row = true;
    int64_t missing = 0;
    ERR_TRY(db_prepare(
        b, "SELECT id, pid, ended_ms IS NOT NULL, seen - written FROM run WHERE counted = 0", &s,
        d));
    enum err e = ERR_OK;
    while (e == ERR_OK && (e = db_step(b, s, &row, d)) == ERR_OK && row) {
        bool ended = sqlite3_column_int(s, 2);
        if (!ended && is_alive(sqlite3_column_int64(s, 1)))
            continue;
        missing += sqlite3_column_int64(s, 3);
        e = mark_counted(b, sqlite3_column_int64(s, 0), d);
    }
    sqlite3_finalize(s);
    if (e == ERR_OK)
        *ret = missing;
    return e;
}

static enum err insert_run(struct db *b, int64_t *ret, struct diag *d)
{
    sqlite3_stmt *s;
    ERR_TRY(db_prepare(b, "INSERT INTO run(pid, started_ms) VALUES(?,?)", &s, d));
    db_bind_int(s, 1, getpid());
    db_bind_int(s, 2, (int64_t)clock_wall_ms());
    enum err e = db_run(b, s, d);
    sqlite3_finalize(s);
    if (e == ERR_OK)
        *ret = sqlite3_last_insert_rowid(b->handle);
    return e;
}

enum err run_begin(struct db *b, int64_t *ret_run, int64_t *ret_missing, struct diag *d)
{
    ERR_TRY(db_begin(b, d));
    enum err e = count_missing(b, ret_missing, d);
    if (e == ERR_OK)
        e = insert_run(b, ret_run, d);
    if (e == ERR_OK)
        return db_commit(b, d);
    db_rollback(b);
    return e;
}

enum err run_note_prepare(struct db *b, sqlite3_stmt **ret, struct diag *d)
{
    return db_prepare(b, "UPDATE run SET seen = ?, written = ? WHERE id = ?", ret, d);
}

enum err run_note(struct db *b, sqlite3_stmt *s, int64_t run, uint64_t seen, uint64_t written,
                  struct diag *d)
{
    db_bind_int(s, 1, (int64_t)seen);
    db_bind_int(s, 2, (int64_t)written);
    db_bind_int(s, 3, run);
    return db_run(b, s, d);
}

enum err run_end(struct db *b, int64_t run, struct diag *d)
{
    sqlite3_stmt *s;
    ERR_TRY(db_prepare(b, "UPDATE run SET ended_ms = ? WHERE id = ?", &s, d));
    db_bind_int(s, 1, (int64_t)clock_wall_ms());
    db_bind_int(s, 2, run);
    enum err e = db_run(b, s, d);
    sqlite3_finalize(s);
    return e;
}
