#include "store/group.h"

#include "base/timed_id.h"
#include "store/message.h"

#include "base/banned.h"

#define MESSAGE_BYTES_MAX (64u << 20)
#define PRUNE_MAX         64
#define CLOCKS_MS         1000 // between the clock of an id and that of its record

// --- Writing

enum err group_prepare(struct group_writer *w, struct db *b, int64_t run, struct diag *d)
{
    *w = (struct group_writer){.db = b, .run = run};
    buf_init(&w->message, MESSAGE_BYTES_MAX);
    ERR_TRY(db_prepare(b,
                       "INSERT INTO record_group(number, last, records, requests, ended_ms, "
                       "message) VALUES(?,?,?,?,?,?)",
                       &w->insert, d));
    ERR_TRY(db_prepare(b, "SELECT number, requests FROM record_group ORDER BY number LIMIT 1",
                       &w->oldest, d));
    ERR_TRY(db_prepare(b, "DELETE FROM record_group WHERE number = ?", &w->forget, d));
    return db_number(b, "SELECT sum(requests) FROM record_group", &w->requests, d);
}

void group_done(struct group_writer *w)
{
    sqlite3_finalize(w->insert);
    sqlite3_finalize(w->oldest);
    sqlite3_finalize(w->forget);
    buf_done(&w->message);
}

static enum err put_record(struct buf *message, const struct record *r, struct diag *d)
{
    uint8_t head[MESSAGE_HEAD_MAX];
    size_t len = (size_t)(message_put_head(head, r->kind, r->len) - head);
    (void)buf_append(message, head, len);
    if (buf_append(message, r->bytes, r->len) != ERR_OK)
        return diag_set(d, ERR_LIMIT, "a group of records is too long");
    return ERR_OK;
}

static int64_t number_of(const struct group_writer *w, const struct record *r)
{
    return w->run << GROUP_RUN_SHIFT | (int64_t)r->seq;
}

enum err group_write(struct group_writer *w, struct record *const *records, size_t len,
                     struct diag *d)
{
    int64_t requests = 0, ended_ms = 0;
    ASSERT(len > 0);
    buf_clear(&w->message);
    for (size_t i = 0; i < len; i++) {
        ERR_TRY(put_record(&w->message, records[i], d));
        requests += records[i]->kind == RECORD_REQUEST;
        ended_ms = ended_ms < records[i]->ended_ms ? records[i]->ended_ms : ended_ms;
    }
    db_bind_int(w->insert, 1, number_of(w, records[0]));
    db_bind_int(w->insert, 2, number_of(w, records[len - 1]));
    db_bind_int(w->insert, 3, (int64_t)len);
    db_bind_int(w->insert, 4, requests);
    db_bind_int(w->insert, 5, ended_ms);
    db_bind_blob(w->insert, 6, buf_str(&w->message));
    ERR_TRY(db_run(w->db, w->insert, d));
    w->requests += requests;
    return ERR_OK;
}

static enum err forget(struct group_writer *w, int64_t number, struct diag *d)
{
    db_bind_int(w->forget, 1, number);
    return db_run(w->db, w->forget, d);
}

enum err group_prune(struct group_writer *w, int64_t requests_max, int64_t *ret_forgotten,
                     struct diag *d)
{
    int64_t forgotten = 0;
    for (int i = 0; i < PRUNE_MAX && w->requests - forgotten > requests_max; i++) {
        bool row;
        ERR_TRY(db_step(w->db, w->oldest, &row, d));
        if (!row)
            break;
        int64_t number = sqlite3_column_int64(w->oldest, 0);
        int64_t requests = sqlite3_column_int64(w->oldest, 1);
        sqlite3_reset(w->oldest);
        if (w->requests - forgotten - requests < requests_max)
            break;
        ERR_TRY(forget(w, number, d));
        forgotten += requests;
    }
    *ret_forgotten = forgotten;
    return ERR_OK;
}

// --- Finding

// The id of the request is the first column of both kinds.
static bool tells_of(str record, str request_id)
{
    struct message_field f;
    return message_next(&record, &f) && f.number == 1 && f.is_text && str_eq(f.text, request_id);
}

static bool find_in(str group, enum record_kind kind, str request_id, str *ret)
{
    struct message_field f;
    bool found = false;
    if (str_find(group, request_id) == SIZE_MAX)
        return false;
    while (message_next(&group, &f))
        if (f.is_text && f.number == (uint32_t)kind && tells_of(f.text, request_id)) {
            *ret = f.text;
            found = true;
        }
    return found;
}

// Groups in the order of `sql`, which asks for those on one side of a moment.
static enum err look_through(struct db *b, const char *sql, int64_t ms, enum record_kind kind,
                             str request_id, struct arena *a, str *ret, struct diag *d)
{
    sqlite3_stmt *s;
    bool row = true, found = false;
    str message;
    ERR_TRY(db_prepare(b, sql, &s, d));
    db_bind_int(s, 1, ms);
    enum err e = ERR_OK;
    while (e == ERR_OK && !found && (e = db_step(b, s, &row, d)) == ERR_OK && row)
        found = find_in(db_column_blob(s, 0), kind, request_id, &message);
    if (e == ERR_OK && !found)
        e = ERR_NOT_FOUND;
    if (found && !(*ret = arena_str(a, message)).ptr)
        e = diag_set(d, ERR_LIMIT, "the record is too long");
    sqlite3_finalize(s);
    return e;
}

enum err group_find(struct db *b, enum record_kind kind, str request_id, struct arena *a,
                    str *ret_message, struct diag *d)
{
    uint64_t made_ms;
    int64_t ms = timed_id_read(request_id, &made_ms) ? (int64_t)made_ms - CLOCKS_MS : INT64_MAX;
    enum err e = look_through(b,
                              "SELECT message FROM record_group WHERE ended_ms >= ? "
                              "ORDER BY ended_ms",
                              ms, kind, request_id, a, ret_message, d);
    if (e != ERR_NOT_FOUND)
        return e;
    return look_through(b,
                        "SELECT message FROM record_group WHERE ended_ms < ? "
                        "ORDER BY ended_ms DESC",
                        ms, kind, request_id, a, ret_message, d);
}
