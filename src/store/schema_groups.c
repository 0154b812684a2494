#include "store/schema_groups.h"

#include "base/mem.h"
#include "store/group.h"

#include "base/banned.h"

// The columns that version 5 had are the first ones of today's lists.
enum { REQUEST_COLUMNS = 36, ATTEMPT_COLUMNS = 25, SHADOW_COLUMNS = 23 };

#define GROUP_RECORDS   512
#define GROUP_BYTES_MAX (4u << 20) // a group ends with the record that passes it
#define ROW_BYTES_MAX   (16u << 20)
#define ATTEMPTS_A_CALL 64

// A row as version 5 had it, with its place.
struct placed_request {
    struct store_request r;
    int64_t run, seq;
};

struct placed_shadow {
    struct store_shadow r;
    int64_t run, seq;
};

struct mover {
    struct db *db;
    struct group_writer groups;
    sqlite3_stmt *attempts;
    struct record *records[GROUP_RECORDS];
    size_t len, bytes;
    struct row_column request[REQUEST_COLUMNS + 3], attempt[ATTEMPT_COLUMNS + 1],
        shadow[SHADOW_COLUMNS + 3];
};

static enum err flush(struct mover *m, struct diag *d)
{
    enum err e = m->len ? group_write(&m->groups, m->records, m->len, d) : ERR_OK;
    for (size_t i = 0; i < m->len; i++)
        mem_free(m->records[i]);
    m->len = m->bytes = 0;
    return e;
}

static enum err add(struct mover *m, int64_t run, int64_t seq, struct record *r, struct diag *d)
{
    enum err e = ERR_OK;
    if (m->len == GROUP_RECORDS || m->bytes >= GROUP_BYTES_MAX || run != m->groups.run)
        e = flush(m, d);
    m->groups.run = run;
    r->seq = (uint64_t)seq;
    m->records[m->len++] = r;
    m->bytes += r->len;
    return e;
}

static enum err read_attempts(struct mover *m, int64_t run, int64_t seq, struct arena *a,
                              struct store_request *r, struct diag *d)
{
    bool row = true;
    enum err e = ERR_OK;
    r->attempts_len = 0;
    r->attempts = arena_zalloc(a, ATTEMPTS_A_CALL, sizeof *r->attempts);
    if (!r->attempts)
        return ERR_LIMIT;
    db_bind_int(m->attempts, 1, run);
    db_bind_int(m->attempts, 2, seq);
    while (e == ERR_OK && r->attempts_len < ATTEMPTS_A_CALL &&
           (e = db_step(m->db, m->attempts, &row, d)) == ERR_OK && row)
        e = row_read(m->attempts, m->attempt, &r->attempts[r->attempts_len++], a);
    sqlite3_reset(m->attempts);
    return e;
}

static enum err move_request(struct mover *m, sqlite3_stmt *s, struct arena *a, struct diag *d)
{
    struct placed_request p = {.run = 0};
    ERR_TRY(row_read(s, m->request, &p, a));
    ERR_TRY(read_attempts(m, p.run, p.seq, a, &p.r, d));
    return add(m, p.run, p.seq, record_of_request(&p.r), d);
}

static enum err move_shadow(struct mover *m, sqlite3_stmt *s, struct arena *a, struct diag *d)
{
    struct placed_shadow p = {.run = 0};
    ERR_TRY(row_read(s, m->shadow, &p, a));
    return add(m, p.run, p.seq, record_of_shadow(&p.r, 0), d);
}

static enum err move_table(struct mover *m, const char *table, const struct row_column *columns,
                           enum err (*move)(struct mover *m, sqlite3_stmt *s, struct arena *a,
                                            struct diag *d),
                           struct diag *d)
{
    struct arena a;
    sqlite3_stmt *s;
    bool row = true;
    arena_init(&a, ROW_BYTES_MAX);
    str sql = row_select_sql(&a, table, columns, "ORDER BY run, seq");
    enum err e = sql.ptr ? db_prepare(m->db, sql.ptr, &s, d) : ERR_LIMIT;
    arena_done(&a);
    ERR_TRY(e);
    while (e == ERR_OK && (e = db_step(m->db, s, &row, d)) == ERR_OK && row) {
        arena_init(&a, ROW_BYTES_MAX);
        e = move(m, s, &a, d);
        arena_done(&a);
    }
    sqlite3_finalize(s);
    return e == ERR_OK ? flush(m, d) : e;
}

static void list_columns(struct mover *m)
{
    static const struct row_column request_place[] = {
        {"run", ROW_INT, offsetof(struct placed_request, run)},
        {"seq", ROW_INT, offsetof(struct placed_request, seq)},
        {0},
    };
    static const struct row_column shadow_place[] = {
        {"run", ROW_INT, offsetof(struct placed_shadow, run)},
        {"seq", ROW_INT, offsetof(struct placed_shadow, seq)},
        {0},
    };
    memcpy(m->request, store_request_columns, REQUEST_COLUMNS * sizeof *m->request);
    memcpy(m->request + REQUEST_COLUMNS, request_place, sizeof request_place);
    memcpy(m->attempt, store_attempt_columns, ATTEMPT_COLUMNS * sizeof *m->attempt);
    memcpy(m->shadow, store_shadow_columns, SHADOW_COLUMNS * sizeof *m->shadow);
    memcpy(m->shadow + SHADOW_COLUMNS, shadow_place, sizeof shadow_place);
}

static enum err prepare(struct mover *m, struct diag *d)
{
    struct arena a;
    ERR_TRY(db_exec(m->db,
                    "CREATE TABLE record_group(number INTEGER PRIMARY KEY, last INTEGER NOT NULL,"
                    " records INTEGER NOT NULL, requests INTEGER NOT NULL,"
                    " ended_ms INTEGER NOT NULL, message BLOB NOT NULL);"
                    "CREATE INDEX record_group_ended ON record_group(ended_ms)",
                    d));
    ERR_TRY(group_prepare(&m->groups, m->db, 0, d));
    arena_init(&a, ROW_BYTES_MAX);
    str sql =
        row_select_sql(&a, "attempt", m->attempt, "WHERE run = ? AND seq = ? ORDER BY number");
    enum err e = sql.ptr ? db_prepare(m->db, sql.ptr, &m->attempts, d) : ERR_LIMIT;
    arena_done(&a);
    return e;
}

enum err schema_group_records(struct db *b, struct diag *d)
{
    struct mover *m = mem_new(struct mover);
    m->db = b;
    list_columns(m);
    enum err e = prepare(m, d);
    if (e == ERR_OK)
        e = move_table(m, "request", m->request, move_request, d);
    if (e == ERR_OK)
        e = move_table(m, "shadow", m->shadow, move_shadow, d);
    for (size_t i = 0; i < m->len; i++)
        mem_free(m->records[i]);
    sqlite3_finalize(m->attempts);
    group_done(&m->groups);
    mem_free(m);
    return e;
}
