#include "store/key.h"

#include "base/banned.h"

#define K(column, type, member) {column, type, offsetof(struct store_key, member)}

// clang-format off: one row, one look
const struct row_column store_key_columns[] = {
    K("id", ROW_STR, id),
    K("name", ROW_STR, name),
    K("created_ms", ROW_INT, created_ms),
    K("expires_ms", ROW_INT, expires_ms),
    K("revoked_ms", ROW_INT, revoked_ms),
    K("models", ROW_STR, models),
    K("tags", ROW_STR, tags),
    K("requests_per_minute", ROW_INT, requests_per_minute),
    K("tokens_per_minute", ROW_INT, tokens_per_minute),
    K("concurrency", ROW_INT, concurrency),
    K("budget_nano_usd", ROW_MONEY, budget_nano_usd),
    K("budget_period", ROW_STR, budget_period),
    K("priority", ROW_STR, priority),
    K("digest", ROW_STR, digest),
    {0},
};
// clang-format on

#define SQL_ARENA_BYTES 8192

static enum err insert(struct db *b, struct arena *a, const struct store_key *k, struct diag *d)
{
    sqlite3_stmt *s;
    str sql = row_insert_sql(a, "key", store_key_columns);
    if (!sql.ptr)
        return ERR_LIMIT;
    ERR_TRY(db_prepare(b, sql.ptr, &s, d));
    row_bind(s, store_key_columns, k);
    enum err e = db_run(b, s, d);
    sqlite3_finalize(s);
    return e;
}

enum err store_key_insert(struct db *b, const struct store_key *k, struct diag *d)
{
    struct arena a;
    arena_init(&a, SQL_ARENA_BYTES);
    enum err e = insert(b, &a, k, d);
    arena_done(&a);
    if (e == ERR_INVALID)
        return diag_set(d, e,
                        "a key named '" STR_FMT "' is in use: choose another name, or revoke it",
                        STR_ARG(k->name));
    if (e == ERR_OK)
        db_tell(b);
    return e;
}

enum err store_key_revoke(struct db *b, str which, int64_t now_ms, struct diag *d)
{
    sqlite3_stmt *s;
    ERR_TRY(db_prepare(b,
                       "UPDATE key SET revoked_ms = ?1 WHERE revoked_ms = 0 AND "
                       "(id = ?2 OR name = ?2)",
                       &s, d));
    db_bind_int(s, 1, now_ms);
    db_bind_str(s, 2, which);
    enum err e = db_run(b, s, d);
    sqlite3_finalize(s);
    if (e == ERR_OK && !sqlite3_changes(b->handle))
        return diag_set(d, ERR_NOT_FOUND, "there is no key in use called '" STR_FMT "'",
                        STR_ARG(which));
    if (e == ERR_OK)
        db_tell(b);
    return e;
}

enum err store_key_list(struct db *b, struct arena *a, struct store_key **ret, size_t *ret_len,
                        struct diag *d)
{
    sqlite3_stmt *s;
    bool row = true;
    int64_t count;
    size_t len = 0;
    ERR_TRY(db_number(b, "SELECT count(*) FROM key", &count, d));
    struct store_key *keys = arena_zalloc(a, (size_t)count + 1, sizeof *keys);
    str sql = row_select_sql(a, "key", store_key_columns, "ORDER BY created_ms, id");
    if (!keys || !sql.ptr)
        return diag_set(d, ERR_LIMIT, "the store has too many keys (%lld)", (long long)count);
    ERR_TRY(db_prepare(b, sql.ptr, &s, d));
    enum err e = ERR_OK;
    while (e == ERR_OK && len < (size_t)count && (e = db_step(b, s, &row, d)) == ERR_OK && row)
        e = row_read(s, store_key_columns, &keys[len++], a);
    sqlite3_finalize(s);
    *ret = keys;
    *ret_len = len;
    return e;
}
