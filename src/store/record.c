#include "store/record.h"

#include "base/mem.h"
#include "store/message.h"

#include "base/banned.h"

#define ATTEMPT_NUMBER 64 // of an attempt's message in a request's

static struct record *new_record(enum record_kind kind, size_t bytes_max)
{
    struct record *r = mem_alloc(sizeof *r + bytes_max);
    *r = (struct record){.kind = kind};
    return r;
}

static void end_at(struct record *r, const uint8_t *end)
{
    r->len = (uint32_t)(end - r->bytes);
}

// --- Writing

static size_t request_bytes_max(const struct store_request *r)
{
    size_t bytes = message_row_bytes_max(store_request_columns, r) + r->key_id.len;
    for (int64_t i = 0; i < r->attempts_len; i++)
        bytes += MESSAGE_HEAD_MAX + message_row_bytes_max(store_attempt_columns, &r->attempts[i]);
    return bytes;
}

// Its length stands before it: the fields are written where the longest head would end, and moved.
static uint8_t *put_attempt(uint8_t *at, const struct store_attempt *a)
{
    uint8_t *row = at + MESSAGE_HEAD_MAX;
    size_t len = (size_t)(message_put_row(row, store_attempt_columns, a) - row);
    at = message_put_head(at, ATTEMPT_NUMBER, len);
    memmove(at, row, len);
    return at + len;
}

struct record *record_of_request(const struct store_request *r)
{
    size_t bytes_max = request_bytes_max(r);
    struct record *record = new_record(RECORD_REQUEST, bytes_max);
    uint8_t *at = message_put_row(record->bytes, store_request_columns, r);
    for (int64_t i = 0; i < r->attempts_len; i++)
        at = put_attempt(at, &r->attempts[i]);
    end_at(record, at);
    record->started_ms = r->started_ms;
    record->ended_ms = r->started_ms + r->total_us / 1000;
    record->spend_nano_usd = r->spend_nano_usd;
    if (r->key_id.len) {
        char *key_id = (char *)record->bytes + bytes_max - r->key_id.len;
        memcpy(key_id, r->key_id.ptr, r->key_id.len);
        record->key_id = str_slice(key_id, r->key_id.len);
    }
    return record;
}

struct record *record_of_shadow(const struct store_shadow *r, int64_t ended_ms)
{
    struct record *record =
        new_record(RECORD_SHADOW, message_row_bytes_max(store_shadow_columns, r));
    end_at(record, message_put_row(record->bytes, store_shadow_columns, r));
    record->ended_ms = ended_ms;
    return record;
}

// --- Reading

static bool is_attempt(const struct message_field *f)
{
    return f->is_text && f->number == ATTEMPT_NUMBER;
}

static enum err read_attempts(str message, struct arena *a, struct store_request *ret,
                              struct diag *d)
{
    struct message_field f;
    size_t len = 0;
    for (str rest = message; message_next(&rest, &f);)
        len += is_attempt(&f);
    ret->attempts = arena_zalloc(a, len + 1, sizeof *ret->attempts);
    ret->attempts_len = 0;
    if (!ret->attempts)
        return diag_set(d, ERR_LIMIT, "the record is too long");
    for (str rest = message; message_next(&rest, &f);)
        if (is_attempt(&f))
            ERR_TRY(message_read_row(f.text, store_attempt_columns,
                                     &ret->attempts[ret->attempts_len++], d));
    return ERR_OK;
}

enum err record_read_request(str message, struct arena *a, struct store_request *ret,
                             struct diag *d)
{
    *ret = (struct store_request){0};
    ERR_TRY(message_read_row(message, store_request_columns, ret, d));
    return read_attempts(message, a, ret, d);
}

enum err record_read_shadow(str message, struct store_shadow *ret, struct diag *d)
{
    *ret = (struct store_shadow){0};
    return message_read_row(message, store_shadow_columns, ret, d);
}
