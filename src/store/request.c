#include "store/request.h"

#include "store/group.h"

#include "base/banned.h"

#define R(column, type, member) {column, type, offsetof(struct store_request, member)}
#define A(column, type, member) {column, type, offsetof(struct store_attempt, member)}

// A column's place is its number in the records that are on disk: new ones stand at the end.
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

enum err store_request_find(struct db *b, str id, struct arena *a, struct store_request *ret,
                            struct diag *d)
{
    str message;
    *ret = (struct store_request){0};
    enum err e = group_find(b, RECORD_REQUEST, id, a, &message, d);
    if (e == ERR_NOT_FOUND)
        return diag_set(d, e, "there is no record of the request '" STR_FMT "'", STR_ARG(id));
    return e == ERR_OK ? record_read_request(message, a, ret, d) : e;
}
