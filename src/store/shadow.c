#include "store/shadow.h"

#include "base/mem.h"

#include "base/banned.h"

#define S(column, type, member) {column, type, offsetof(struct store_shadow, member)}

// clang-format off: one row, one look
const struct row_column store_shadow_columns[] = {
    S("request", ROW_STR, request),
    S("route", ROW_STR, route),
    S("target", ROW_STR, target),
    S("provider", ROW_STR, provider),
    S("model", ROW_STR, model),
    S("outcome", ROW_STR, outcome),
    S("failure", ROW_STR, failure),
    S("code", ROW_STR, code),
    S("upstream_status", ROW_INT, upstream_status),
    S("upstream_request_id", ROW_STR, upstream_request_id),
    S("first_us", ROW_INT, first_us),
    S("total_us", ROW_INT, total_us),
    S("answer_first_us", ROW_INT, answer_first_us),
    S("answer_total_us", ROW_INT, answer_total_us),
    S("prompt_tokens", ROW_INT, prompt_tokens),
    S("cached_tokens", ROW_INT, cached_tokens),
    S("completion_tokens", ROW_INT, completion_tokens),
    S("usage_estimated", ROW_BOOL, usage_estimated),
    S("cost_nano_usd", ROW_MONEY, cost_nano_usd),
    S("answer_bytes", ROW_INT, answer_bytes),
    S("shadow_bytes", ROW_INT, shadow_bytes),
    S("answer_text", ROW_STR, answer_text),
    S("shadow_text", ROW_STR, shadow_text),
    {0},
};
// clang-format on

struct store_shadow *store_shadow_copy(const struct store_shadow *r)
{
    struct store_shadow *copy = mem_alloc(sizeof *r + row_text_bytes(store_shadow_columns, r));
    *copy = *r;
    row_move_texts(store_shadow_columns, copy, (char *)(copy + 1));
    return copy;
}

enum err store_shadow_find(struct db *b, str id, struct arena *a, struct store_shadow *ret,
                           struct diag *d)
{
    sqlite3_stmt *s;
    bool row;
    str sql = row_select_sql(a, "shadow", store_shadow_columns,
                             "WHERE request = ? ORDER BY run DESC, seq DESC LIMIT 1");
    *ret = (struct store_shadow){0};
    if (!sql.ptr)
        return ERR_LIMIT;
    ERR_TRY(db_prepare(b, sql.ptr, &s, d));
    db_bind_str(s, 1, id);
    enum err e = db_step(b, s, &row, d);
    if (e == ERR_OK)
        e = row ? row_read(s, 0, store_shadow_columns, ret, a)
                : diag_set(d, ERR_NOT_FOUND, "the request has no copy");
    sqlite3_finalize(s);
    return e;
}
