#include "store/shadow.h"

#include "store/group.h"

#include "base/banned.h"

#define S(column, type, member) {column, type, offsetof(struct store_shadow, member)}

// A column's place is its number in the records that are on disk: new ones stand at the end.
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

enum err store_shadow_find(struct db *b, str id, struct arena *a, struct store_shadow *ret,
                           struct diag *d)
{
    str message;
    *ret = (struct store_shadow){0};
    enum err e = group_find(b, RECORD_SHADOW, id, a, &message, d);
    if (e == ERR_NOT_FOUND)
        return diag_set(d, e, "the request has no copy");
    return e == ERR_OK ? record_read_shadow(message, ret, d) : e;
}
