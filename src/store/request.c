#include "store/request.h"

#include "base/mem.h"

#include "base/banned.h"

#define R(column, type, member) {column, type, offsetof(struct store_request, member)}
#define A(column, type, member) {column, type, offsetof(struct store_attempt, member)}

// clang-format off: one row, one look
const struct row_column store_request_columns[] = {
    R("id", ROW_STR, id),
    R("started_ms", ROW_INT, started_ms),
    R("endpoint", ROW_STR, endpoint),
    R("status", ROW_INT, status),
    R("outcome", ROW_STR, outcome),
    R("code", ROW_STR, code),
    R("param", ROW_STR, param),
    R("key", ROW_STR, key),
    R("key_id", ROW_STR, key_id),
    R("peer", ROW_STR, peer),
    R("model", ROW_STR, model),
    R("provider", ROW_STR, provider),
    R("stream", ROW_BOOL, stream),
    R("choices", ROW_INT, choices),
    R("finish", ROW_STR, finish),
    R("cache", ROW_STR, cache),
    R("cache_source", ROW_STR, cache_source),
    R("cache_similarity_ppm", ROW_INT, cache_similarity_ppm),
    R("dropped", ROW_STR, dropped),
    R("seed", ROW_INT, seed),
    R("prompt_tokens", ROW_INT, prompt_tokens),
    R("cached_tokens", ROW_INT, cached_tokens),
    R("cache_write_tokens", ROW_INT, cache_write_tokens),
    R("completion_tokens", ROW_INT, completion_tokens),
    R("reasoning_tokens", ROW_INT, reasoning_tokens),
    R("usage_estimated", ROW_BOOL, usage_estimated),
    R("reserved_tokens", ROW_INT, reserved_tokens),
    R("attempts", ROW_INT, attempts_len),
    R("cost_nano_usd", ROW_MONEY, cost_nano_usd),
    R("read_us", ROW_INT, read_us),
    R("admitted_us", ROW_INT, admitted_us),
    R("first_us", ROW_INT, first_us),
    R("total_us", ROW_INT, total_us),
    R("overhead_us", ROW_INT, overhead_us),
    R("guard", ROW_STR, guard),
    R("context", ROW_STR, context),
    {0},
};

const struct row_column store_attempt_columns[] = {
    A("target", ROW_STR, target),
    A("provider", ROW_STR, provider),
    A("model", ROW_STR, model),
    A("reason", ROW_STR, reason),
    A("breaker", ROW_STR, breaker),
    A("result", ROW_STR, result),
    A("failure", ROW_STR, failure),
    A("code", ROW_STR, code),
    A("upstream_status", ROW_INT, upstream_status),
    A("upstream_request_id", ROW_STR, upstream_request_id),
    A("waited_us", ROW_INT, waited_us),
    A("started_us", ROW_INT, started_us),
    A("first_us", ROW_INT, first_us),
    A("ended_us", ROW_INT, ended_us),
    A("queue_us", ROW_INT, queue_us),
    A("prefill_us", ROW_INT, prefill_us),
    A("decode_us", ROW_INT, decode_us),
    A("prompt_tokens", ROW_INT, prompt_tokens),
    A("cached_tokens", ROW_INT, cached_tokens),
    A("cache_write_tokens", ROW_INT, cache_write_tokens),
    A("completion_tokens", ROW_INT, completion_tokens),
    A("reasoning_tokens", ROW_INT, reasoning_tokens),
    A("usage_estimated", ROW_BOOL, usage_estimated),
    A("cost_nano_usd", ROW_MONEY, cost_nano_usd),
    A("protocol", ROW_STR, protocol),
    {0},
};
// clang-format on

struct store_request *store_request_copy(const struct store_request *r)
{
    size_t attempts = (size_t)r->attempts_len;
    size_t bytes = sizeof *r + attempts * sizeof *r->attempts;
    size_t texts = row_text_bytes(store_request_columns, r);
    for (size_t i = 0; i < attempts; i++)
        texts += row_text_bytes(store_attempt_columns, &r->attempts[i]);
    struct store_request *copy = mem_alloc(bytes + texts);
    char *room = (char *)copy + bytes;
    *copy = *r;
    copy->attempts = (struct store_attempt *)(void *)(copy + 1);
    room = row_move_texts(store_request_columns, copy, room);
    for (size_t i = 0; i < attempts; i++) {
        copy->attempts[i] = r->attempts[i];
        room = row_move_texts(store_attempt_columns, &copy->attempts[i], room);
    }
    return copy;
}

// --- Reading

struct place {
    int64_t run, seq;
};

static enum err find_place(struct db *b, str id, struct place *ret, struct diag *d)
{
    sqlite3_stmt *s;
    bool row;
    ERR_TRY(db_prepare(b,
                       "SELECT run, seq FROM request WHERE id = ? ORDER BY run DESC, seq DESC "
                       "LIMIT 1",
                       &s, d));
    db_bind_str(s, 1, id);
    enum err e = db_step(b, s, &row, d);
    if (e == ERR_OK && row)
        *ret = (struct place){sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1)};
    else if (e == ERR_OK)
        e = diag_set(d, ERR_NOT_FOUND, "there is no record of the request '" STR_FMT "'",
                     STR_ARG(id));
    sqlite3_finalize(s);
    return e;
}

static enum err select_at(struct db *b, str sql, const struct place *p, sqlite3_stmt **ret,
                          struct diag *d)
{
    if (!sql.ptr)
        return ERR_LIMIT;
    ERR_TRY(db_prepare(b, sql.ptr, ret, d));
    db_bind_int(*ret, 1, p->run);
    db_bind_int(*ret, 2, p->seq);
    return ERR_OK;
}

static enum err read_request(struct db *b, const struct place *p, struct arena *a,
                             struct store_request *ret, struct diag *d)
{
    sqlite3_stmt *s;
    bool row;
    str sql = row_select_sql(a, "request", store_request_columns, "WHERE run = ? AND seq = ?");
    ERR_TRY(select_at(b, sql, p, &s, d));
    enum err e = db_step(b, s, &row, d);
    if (e == ERR_OK && row)
        e = row_read(s, 0, store_request_columns, ret, a);
    sqlite3_finalize(s);
    return e;
}

static enum err read_attempts(struct db *b, const struct place *p, struct arena *a,
                              struct store_request *r, struct diag *d)
{
    sqlite3_stmt *s;
    bool row = true;
    size_t wanted = (size_t)r->attempts_len, len = 0;
    r->attempts = arena_zalloc(a, wanted + 1, sizeof *r->attempts);
    if (!r->attempts)
        return ERR_LIMIT;
    str sql = row_select_sql(a, "attempt", store_attempt_columns,
                             "WHERE run = ? AND seq = ? ORDER BY number");
    ERR_TRY(select_at(b, sql, p, &s, d));
    enum err e = ERR_OK;
    while (e == ERR_OK && len < wanted && (e = db_step(b, s, &row, d)) == ERR_OK && row)
        e = row_read(s, 0, store_attempt_columns, &r->attempts[len++], a);
    r->attempts_len = (int64_t)len;
    sqlite3_finalize(s);
    return e;
}

enum err store_request_find(struct db *b, str id, struct arena *a, struct store_request *ret,
                            struct diag *d)
{
    struct place p = {0};
    *ret = (struct store_request){0};
    ERR_TRY(find_place(b, id, &p, d));
    ERR_TRY(read_request(b, &p, a, ret, d));
    return read_attempts(b, &p, a, ret, d);
}
