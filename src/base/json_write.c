#include "base/json.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

#include "base/banned.h"

// A byte that may stand in a string as it is. (Bytes from 0x80 on are looked at as UTF-8.)
static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

static enum err escape_char(struct buf *out, char c)
{
    static const char letters[] = "btn-fr"; // from 0x08; 0x0b has no letter
    if (c == '"' || c == '\\')
        return buf_append(out, (char[]){'\\', c}, 2);
    if (c >= 0x08 && c <= 0x0d && c != 0x0b)
        return buf_append(out, (char[]){'\\', letters[c - 0x08]}, 2);
    return buf_printf(out, "\\u%04x", (unsigned)c);
}

enum err json_escape(struct buf *out, str s)
{
    size_t from = 0, i = 0;
    while (i < s.len) {
        uint32_t cp;
        size_t len = is_plain(s.ptr[i]) ? 1
                     : (unsigned char)s.ptr[i] < 0x80
                         ? 0
                         : utf8_decode(str_slice(s.ptr + i, s.len - i), &cp);
        if (len > 0) {
            i += len;
            continue;
        }
        ERR_TRY(buf_append(out, s.ptr + from, i - from));
        if ((unsigned char)s.ptr[i] < 0x80)
            ERR_TRY(escape_char(out, s.ptr[i]));
        else
            ERR_TRY(buf_append_str(out, STR("\xef\xbf\xbd")));
        from = ++i;
    }
    return buf_append(out, s.ptr ? s.ptr + from : NULL, s.len - from);
}

static void quote(struct buf *out, str s)
{
    buf_append_char(out, '"');
    json_escape(out, s);
    buf_append_char(out, '"');
}

void jw_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static uint64_t level_bit(const struct json_writer *w)
{
    return (uint64_t)1 << (w->depth - 1);
}

static void comma(struct json_writer *w)
{
    if (w->has_items & level_bit(w))
        buf_append_char(w->out, ',');
    w->has_items |= level_bit(w);
}

static void value_begin(struct json_writer *w)
{
    if (w->depth == 0)
        return;
    if (w->in_object & level_bit(w)) {
        ASSERT(w->after_key);
        w->after_key = false;
    } else {
        comma(w);
    }
}

static void open_level(struct json_writer *w, char c, bool object)
{
    value_begin(w);
    ASSERT(w->depth < 64);
    w->depth++;
    w->has_items &= ~level_bit(w);
    w->in_object = object ? w->in_object | level_bit(w) : w->in_object & ~level_bit(w);
    buf_append_char(w->out, c);
}

static void close_level(struct json_writer *w, char c, bool object)
{
    ASSERT(w->depth > 0 && !w->after_key && object == ((w->in_object & level_bit(w)) != 0));
    w->depth--;
    buf_append_char(w->out, c);
}

void jw_object_begin(struct json_writer *w)
{
    open_level(w, '{', true);
}

void jw_object_end(struct json_writer *w)
{
    close_level(w, '}', true);
}

void jw_array_begin(struct json_writer *w)
{
    open_level(w, '[', false);
}

void jw_array_end(struct json_writer *w)
{
    close_level(w, ']', false);
}

void jw_key(struct json_writer *w, const char *key)
{
    jw_key_str(w, str_of(key));
}

void jw_key_str(struct json_writer *w, str key)
{
    ASSERT(w->depth > 0 && (w->in_object & level_bit(w)) && !w->after_key);
    comma(w);
    quote(w->out, key);
    buf_append_char(w->out, ':');
    w->after_key = true;
}

void jw_raw(struct json_writer *w, str json)
{
    value_begin(w);
    buf_append_str(w->out, json);
}

void jw_str(struct json_writer *w, str s)
{
    value_begin(w);
    quote(w->out, s);
}

void jw_z(struct json_writer *w, const char *s)
{
    jw_str(w, str_of(s));
}

void jw_int(struct json_writer *w, int64_t v)
{
    value_begin(w);
    buf_printf(w->out, "%lld", (long long)v);
}

void jw_uint(struct json_writer *w, uint64_t v)
{
    value_begin(w);
    buf_printf(w->out, "%llu", (unsigned long long)v);
}

// yyjson has the shortest round-trip conversion; its pool allocator keeps it on the stack.
void jw_f64(struct json_writer *w, double v)
{
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    char pool[512];
    yyjson_alc alc;
    yyjson_val number = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = v};
    size_t len = 0;
    bool ready = yyjson_alc_pool_init(&alc, pool, sizeof pool);
    char *text = ready ? yyjson_val_write_opts(&number, 0, &alc, &len, NULL) : NULL;
    ASSERT(text != NULL);
    jw_raw(w, str_slice(text, len));
}

void jw_bool(struct json_writer *w, bool v)
{
    jw_raw(w, v ? STR("true") : STR("false"));
}

void jw_null(struct json_writer *w)
{
    jw_raw(w, STR("null"));
}

// Recursion as deep as the parse's limits let the value be. The writer's own levels are not used,
// so that a deep value of a peer's cannot run into their ASSERT.
static void copy(struct buf *out, yyjson_val *v)
{
    size_t at, count;
    yyjson_val *key, *item;
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_OBJ:
        buf_append_char(out, '{');
        yyjson_obj_foreach(v, at, count, key, item)
        {
            if (at > 0)
                buf_append_char(out, ',');
            quote(out, json_str(key));
            buf_append_char(out, ':');
            copy(out, item);
        }
        buf_append_char(out, '}');
        break;
    case YYJSON_TYPE_ARR:
        buf_append_char(out, '[');
        yyjson_arr_foreach(v, at, count, item)
        {
            if (at > 0)
                buf_append_char(out, ',');
            copy(out, item);
        }
        buf_append_char(out, ']');
        break;
    case YYJSON_TYPE_STR:
        quote(out, json_str(v));
        break;
    case YYJSON_TYPE_RAW:
        buf_append_str(out, json_num_text(v));
        break;
    case YYJSON_TYPE_BOOL:
        buf_append_str(out, yyjson_is_true(v) ? STR("true") : STR("false"));
        break;
    default:
        buf_append_str(out, STR("null"));
        break;
    }
}

void jw_value(struct json_writer *w, yyjson_val *v)
{
    value_begin(w);
    copy(w->out, v);
}

void jw_kv_str(struct json_writer *w, const char *key, str s)
{
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kv_z(struct json_writer *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_z(w, s);
}

void jw_kv_int(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kv_f64(struct json_writer *w, const char *key, double v)
{
    jw_key(w, key);
    jw_f64(w, v);
}

void jw_kv_bool(struct json_writer *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_kv_null(struct json_writer *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}
