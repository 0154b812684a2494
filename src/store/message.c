#include "store/message.h"

#include "base/banned.h"

enum wire { WIRE_VARINT = 0, WIRE_LEN = 2 };

#define VARINT_BYTES_MAX 10
#define TAG_BYTES_MAX    2 // of up to 2047 columns

// --- Writing

static uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

uint8_t *message_put_head(uint8_t *at, uint32_t number, size_t len)
{
    at = put_varint(at, (uint64_t)number << 3 | WIRE_LEN);
    return put_varint(at, len);
}

static uint8_t *put_number(uint8_t *at, uint32_t number, int64_t v)
{
    at = put_varint(at, (uint64_t)number << 3 | WIRE_VARINT);
    return put_varint(at, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static const void *field(const void *row, const struct row_column *c)
{
    return (const char *)row + c->offset;
}

static uint8_t *put_text(uint8_t *at, uint32_t number, str text)
{
    if (!text.len)
        return at;
    at = message_put_head(at, number, text.len);
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

uint8_t *message_put_row(uint8_t *at, const struct row_column *columns, const void *row)
{
    uint32_t number = 1;
    for (const struct row_column *c = columns; c->name; c++, number++) {
        const void *f = field(row, c);
        if (c->type == ROW_STR) {
            at = put_text(at, number, *(const str *)f);
            continue;
        }
        int64_t v = c->type == ROW_BOOL ? *(const bool *)f : *(const int64_t *)f;
        if (c->type == ROW_MONEY ? v >= 0 : v != 0)
            at = put_number(at, number, v);
    }
    return at;
}

size_t message_row_bytes_max(const struct row_column *columns, const void *row)
{
    size_t bytes = 0;
    for (const struct row_column *c = columns; c->name; c++) {
        bytes += TAG_BYTES_MAX + VARINT_BYTES_MAX;
        if (c->type == ROW_STR)
            bytes += ((const str *)field(row, c))->len;
    }
    return bytes;
}

// --- Reading

static bool get_varint(str *rest, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < rest->len && i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = (uint8_t)rest->ptr[i];
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *rest = str_sub(*rest, i + 1, SIZE_MAX);
        *ret = v;
        return true;
    }
    return false;
}

bool message_next(str *rest, struct message_field *ret)
{
    str at = *rest;
    uint64_t tag, v;
    if (!get_varint(&at, &tag) || tag >> 3 > UINT32_MAX || !get_varint(&at, &v))
        return false;
    *ret = (struct message_field){.number = (uint32_t)(tag >> 3)};
    if ((tag & 7) == WIRE_LEN) {
        if (v > at.len)
            return false;
        ret->is_text = true;
        ret->text = str_sub(at, 0, (size_t)v);
        at = str_sub(at, (size_t)v, SIZE_MAX);
    } else if ((tag & 7) == WIRE_VARINT) {
        ret->value = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    } else {
        return false;
    }
    *rest = at;
    return true;
}

static void set_field(const struct row_column *c, void *row, const struct message_field *f)
{
    void *at = (char *)row + c->offset;
    if (f->is_text != (c->type == ROW_STR))
        return;
    if (f->is_text)
        *(str *)at = f->text;
    else if (c->type == ROW_BOOL)
        *(bool *)at = f->value != 0;
    else
        *(int64_t *)at = f->value;
}

static void set_nothing(const struct row_column *c, void *row)
{
    void *at = (char *)row + c->offset;
    if (c->type == ROW_STR)
        *(str *)at = STR_NONE;
    else if (c->type == ROW_BOOL)
        *(bool *)at = false;
    else
        *(int64_t *)at = c->type == ROW_MONEY ? -1 : 0;
}

enum err message_read_row(str message, const struct row_column *columns, void *ret_row,
                          struct diag *d)
{
    struct message_field f;
    size_t len = 0;
    for (; columns[len].name; len++)
        set_nothing(&columns[len], ret_row);
    while (message_next(&message, &f))
        if (f.number >= 1 && f.number <= len)
            set_field(&columns[f.number - 1], ret_row, &f);
    return message.len ? diag_set(d, ERR_PARSE, "a record in the store is damaged") : ERR_OK;
}
