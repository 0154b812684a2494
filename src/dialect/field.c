#include "dialect/field.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

#include "base/banned.h"

#define STOP_BYTES_MAX 1024

const char *field_path(const struct reader *r, const char *name, char out[static 96])
{
    snprintf(out, 96, "%s%s", r->path, name ? name : "");
    size_t len = strlen(out);
    if (!name && len && out[len - 1] == '.')
        out[len - 1] = 0;
    return out;
}

bool field_refuse(struct reader *r, enum api_error_code code, const char *name, const char *fmt,
                  ...)
{
    char path[96], text[480];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    field_path(r, name, path);
    return api_error_set(r->error, code, path, "'%s' %s", path, text);
}

bool field_wrong_type(struct reader *r, const char *name, const char *expected, yyjson_val *v)
{
    return field_refuse(r, API_INVALID_TYPE, name, "must be %s, but %s was given.", expected,
                        yyjson_is_null(v) ? "the value null" : json_type_words(v));
}

bool field_missing(struct reader *r, const char *name)
{
    return field_refuse(r, API_MISSING_PARAMETER, name, "is required.");
}

bool field_no_memory(struct reader *r)
{
    return api_error_set(r->error, API_JSON_LIMIT, NULL,
                         "The request needs more memory than one call may use.");
}

void *field_alloc(struct reader *r, size_t count, size_t size)
{
    void *p = arena_zalloc(r->arena, count ? count : 1, size);
    if (!p)
        field_no_memory(r);
    return p;
}

// Doubled each time, so that what is left behind in the arena is no more than what is used.
void *field_grow(struct reader *r, void **items, size_t len, size_t size)
{
    if ((len & (len - 1)) == 0) {
        char *more = field_alloc(r, len ? 2 * len : 1, size);
        if (!more)
            return NULL;
        if (len)
            memcpy(more, *items, len * size);
        *items = more;
    }
    return (char *)*items + len * size;
}

struct exchange_part *field_add_part(struct reader *r, struct exchange_message *m)
{
    void *items = m->parts;
    struct exchange_part *p = field_grow(r, &items, m->parts_len, sizeof *p);
    m->parts = items;
    m->parts_len += p ? 1 : 0;
    return p;
}

struct exchange_tool_call *field_add_call(struct reader *r, struct exchange_message *m)
{
    void *items = m->calls;
    struct exchange_tool_call *c = field_grow(r, &items, m->calls_len, sizeof *c);
    m->calls = items;
    m->calls_len += c ? 1 : 0;
    return c;
}

void field_note_prefill(struct exchange_request *q)
{
    const struct exchange_message *last =
        q->messages_len ? &q->messages[q->messages_len - 1] : NULL;
    q->prefilled = last && last->role == EXCHANGE_ASSISTANT && last->parts_len == 1 &&
                   !last->calls_len && last->parts[0].type == EXCHANGE_PART_TEXT;
}

void field_ignore(struct reader *r, str name)
{
    struct exchange_request *q = r->request;
    if (q->ignored_len == EXCHANGE_IGNORED_MAX)
        return;
    if (r->path[0])
        name = arena_printf(r->arena, "%s%.*s", r->path, (int)min_size(name.len, 64), name.ptr);
    if (!q->ignored)
        q->ignored = arena_zalloc(r->arena, EXCHANGE_IGNORED_MAX, sizeof *q->ignored);
    if (name.ptr && q->ignored)
        q->ignored[q->ignored_len++] = name;
}

// The path behind its end, but for its NUL.
static struct text path_end(struct reader *r)
{
    struct text t = text_in(r->path, sizeof r->path - 1);
    t.len = strlen(r->path);
    return t;
}

struct field_scope field_enter(struct reader *r, const char *name, size_t index)
{
    struct text t = path_end(r);
    struct field_scope scope = {.len = t.len};
    if (name)
        text_add(&t, str_of(name));
    else if (t.len && r->path[t.len - 1] == '.')
        scope.undotted = t.len--;
    text_add(&t, STR("["));
    text_u64(&t, index);
    text_add(&t, STR("]."));
    r->path[t.len] = 0;
    return scope;
}

struct field_scope field_enter_member(struct reader *r, const char *name)
{
    struct text t = path_end(r);
    struct field_scope scope = {.len = t.len};
    text_add(&t, str_of(name));
    text_add(&t, STR("."));
    r->path[t.len] = 0;
    return scope;
}

void field_leave(struct reader *r, struct field_scope s)
{
    if (s.undotted)
        r->path[s.len - 1] = '.';
    r->path[s.len] = 0;
}

bool field_each(struct reader *r, const char *name, yyjson_val *array, field_item *read, void *ctx)
{
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(array, i, max, item)
    {
        struct field_scope scope = field_enter(r, name, i);
        bool ok = read(r, item, ctx);
        field_leave(r, scope);
        if (!ok)
            return false;
    }
    return true;
}

bool field_list_fits(struct reader *r, const struct field_list *l, yyjson_val *v)
{
    if (!yyjson_is_arr(v))
        return field_wrong_type(r, l->name, l->what, v);
    if (l->empty && !yyjson_arr_size(v))
        return field_refuse(r, API_EMPTY_ARRAY, l->name, "%s", l->empty);
    if (l->items_max && yyjson_arr_size(v) > l->items_max)
        return field_refuse(r, API_ARRAY_TOO_LONG, l->name, "may have %zu items at most.",
                            l->items_max);
    return true;
}

struct filling {
    const struct field_list *list;
    char *next;
};

static bool fill_one(struct reader *r, yyjson_val *item, void *ctx)
{
    struct filling *f = ctx;
    void *to = f->next;
    f->next += f->list->size;
    return f->list->read(r, item, to);
}

void *field_list(struct reader *r, const struct field_list *l, yyjson_val *v, size_t *ret_len)
{
    void *items = field_list_fits(r, l, v) ? field_alloc(r, yyjson_arr_size(v), l->size) : NULL;
    struct filling f = {l, items};
    if (!items || !field_each(r, l->name, v, fill_one, &f))
        return NULL;
    *ret_len = yyjson_arr_size(v);
    return items;
}

bool field_json_text(struct reader *r, yyjson_val *v, str *ret)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, r->arena->ceiling_bytes);
    jw_init(&w, &text);
    jw_value(&w, v);
    str copy = text.failed ? STR_NONE : arena_str(r->arena, buf_str(&text));
    buf_done(&text);
    if (!copy.ptr)
        return field_no_memory(r);
    *ret = copy;
    return true;
}

bool field_data_url(struct reader *r, str media_type, str base64, str *ret)
{
    const str pieces[] = {STR("data:"), media_type, STR(";base64,"), base64};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        len += pieces[i].len;
    char *text = field_alloc(r, len, 1), *at = text;
    if (!text)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        if (pieces[i].len)
            memcpy(at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    *ret = str_slice(text, len);
    return true;
}

bool field_str(struct reader *r, yyjson_val *object, const char *name, bool optional, str *ret)
{
    yyjson_val *v = json_get(object, name);
    if (optional && (!v || yyjson_is_null(v)))
        return true;
    if (!v)
        return field_missing(r, name);
    if (!yyjson_is_str(v))
        return field_wrong_type(r, name, "a string", v);
    *ret = json_str(v);
    return true;
}

static bool read_stop(struct reader *r, const char *name, yyjson_val *v, str *ret)
{
    if (!yyjson_is_str(v))
        return field_wrong_type(r, name, "a string", v);
    if (yyjson_get_len(v) == 0)
        return field_refuse(r, API_INVALID_VALUE, name, "must not be empty.");
    if (yyjson_get_len(v) > STOP_BYTES_MAX)
        return field_refuse(r, API_STRING_TOO_LONG, name, "may have %d bytes at most.",
                            STOP_BYTES_MAX);
    *ret = json_str(v);
    return true;
}

static bool read_stop_item(struct reader *r, yyjson_val *item, void *to)
{
    return read_stop(r, NULL, item, to);
}

bool field_stops(struct reader *r, const char *name, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    const struct field_list list = {name,
                                    "a string or an array of strings",
                                    NULL,
                                    EXCHANGE_STOPS_MAX,
                                    sizeof *q->stops,
                                    read_stop_item};
    if (yyjson_is_arr(v)) {
        q->stops = field_list(r, &list, v, &q->stops_len);
        return q->stops;
    }
    q->stops = field_alloc(r, 1, sizeof *q->stops);
    q->stops_len = q->stops ? 1 : 0;
    return q->stops && read_stop(r, name, v, &q->stops[0]);
}

bool field_token_id(struct reader *r, const char *name, yyjson_val *v, int32_t *ret)
{
    int64_t id;
    if (!json_is_int(v, &id))
        return field_wrong_type(r, name, "a token id (an integer)", v);
    if (id < 0 || id > INT32_MAX)
        return field_refuse(r, API_INVALID_VALUE, name, "is not a token id.");
    *ret = (int32_t)id;
    return true;
}

static bool in_range(struct reader *r, const struct field *f, double value)
{
    if (f->min >= f->max || (value >= f->min && value <= f->max))
        return true;
    bool below = value < f->min;
    return field_refuse(r, below ? API_BELOW_MIN : API_ABOVE_MAX, f->name,
                        "must be between %.17g and %.17g.", f->min, f->max);
}

static bool read_number(struct reader *r, const struct field *f, const char *expected,
                        yyjson_val *v, double *ret)
{
    if (!json_num_text(v).ptr)
        return field_wrong_type(r, f->name, expected, v);
    if (!json_is_num(v, ret))
        return field_refuse(r, API_INVALID_VALUE, f->name, "is too large a number.");
    return in_range(r, f, *ret);
}

static bool read_int(struct reader *r, const struct field *f, yyjson_val *v, void *place)
{
    int64_t value;
    double number;
    if (!read_number(r, f, "an integer", v, &number))
        return false;
    if (!json_is_int(v, &value) && fabs(number) >= 0x1p63)
        return field_refuse(r, number < 0 ? API_BELOW_MIN : API_ABOVE_MAX, f->name,
                            "must be between %" PRId64 " and %" PRId64 ".", INT64_MIN, INT64_MAX);
    if (!json_is_int(v, &value))
        return field_refuse(r, API_INVALID_TYPE, f->name, "must be an integer without a fraction.");
    *(int64_t *)place = value;
    return true;
}

static bool read_float(struct reader *r, const struct field *f, yyjson_val *v, void *place)
{
    double value;
    if (!read_number(r, f, "a number", v, &value))
        return false;
    *(double *)place = value;
    return true;
}

static bool is_inert(yyjson_val *v)
{
    return yyjson_is_false(v) || (yyjson_is_str(v) && yyjson_get_len(v) == 0) ||
           (yyjson_is_ctn(v) && yyjson_get_len(v) == 0);
}

static bool read_one(struct reader *r, const struct field *f, yyjson_val *v, void *place)
{
    switch (f->type) {
    case FIELD_BOOL:
        if (!yyjson_is_bool(v))
            return field_wrong_type(r, f->name, "a boolean", v);
        *(bool *)place = yyjson_get_bool(v);
        return true;
    case FIELD_INT:
        return read_int(r, f, v, place);
    case FIELD_FLOAT:
        return read_float(r, f, v, place);
    case FIELD_STRING:
        if (!yyjson_is_str(v))
            return field_wrong_type(r, f->name, "a string", v);
        *(str *)place = json_str(v);
        return true;
    case FIELD_CUSTOM:
        return f->read(r, v);
    case FIELD_ACCEPTED:
        return true;
    case FIELD_UNSUPPORTED:
        if (yyjson_is_obj(v) && !yyjson_obj_size(v))
            field_ignore(r, str_of(f->name)); // it may ask for the thing as it is by default
        return is_inert(v) || field_refuse(r, API_UNSUPPORTED_PARAMETER, f->name, "%s", f->why);
    }
    return true;
}

static const struct field *find(const struct field *table, str name)
{
    for (const struct field *f = table; f->name; f++)
        if (name.ptr && name.len && name.ptr[0] == f->name[0] && str_eq_z(name, f->name))
            return f;
    return NULL;
}

bool fields_read(struct reader *r, const struct field *table, yyjson_val *object, void *target,
                 bool collect)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        str name = {yyjson_get_str(key), yyjson_get_len(key)};
        const struct field *f = find(table, name);
        if (!f && collect)
            field_ignore(r, name);
        if (!f || yyjson_is_null(v))
            continue;
        if (!read_one(r, f, v, (char *)target + f->offset))
            return false;
        r->request->given |= f->given;
    }
    return true;
}
