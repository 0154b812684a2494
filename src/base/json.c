#include "base/json.h"

#include <math.h>

#include "base/mem.h"

#include "base/banned.h"

// ---- limits: most texts are too short to break one, so that nothing is counted beforehand ----

struct scan {
    str text;
    size_t at;
    uint32_t depth, values;
    bool opened; // the last token was [ or {
};

// A quote ends the string unless an odd number of backslashes stands before; looking for quotes
// alone lets memchr do the work.
size_t json_after_string(str text, size_t start)
{
    size_t i = start + 1;
    while (i < text.len) {
        const char *quote = memchr(text.ptr + i, '"', text.len - i);
        if (!quote)
            break;
        size_t at = (size_t)(quote - text.ptr), before = at;
        while (before > start + 1 && text.ptr[before - 1] == '\\')
            before--;
        if ((at - before) % 2 == 0)
            return at + 1;
        i = at + 1;
    }
    return text.len;
}

static enum err scan_token(struct scan *s, struct json_limits limits)
{
    char c = s->text.ptr[s->at];
    bool closes = c == ']' || c == '}';
    if (c == ',' || (s->opened && !closes))
        s->values++;
    s->opened = c == '[' || c == '{';
    if (s->opened)
        s->depth++;
    else if (closes && s->depth > 0)
        s->depth--;
    s->at = c == '"' ? json_after_string(s->text, s->at) : s->at + 1;
    return s->depth > limits.depth_max || s->values > limits.values_max ? ERR_LIMIT : ERR_OK;
}

static void place(struct diag *diag, str text, size_t offset)
{
    size_t line = 0, col = 0, chr = 0;
    if (yyjson_locate_pos(text.ptr, text.len, min_size(offset, text.len), &line, &col, &chr))
        diag_place(diag, (uint32_t)line, (uint32_t)col);
}

// Counts depth and values as a valid text has them; whether it is valid is the parser's question.
static enum err count_limits(str text, struct json_limits limits, struct diag *diag)
{
    struct scan s = {.text = text, .values = 1};
    while (s.at < text.len) {
        size_t here = s.at;
        if (json_is_space(text.ptr[here])) {
            s.at++;
        } else if (scan_token(&s, limits) != ERR_OK) {
            bool deep = s.depth > limits.depth_max;
            diag_set(diag, ERR_LIMIT, "the JSON text has more than %u %s",
                     deep ? limits.depth_max : limits.values_max,
                     deep ? "levels of nesting" : "values");
            place(diag, text, here);
            return ERR_LIMIT;
        }
    }
    return ERR_OK;
}

// ---- duplicate members ----

enum { FEW_MEMBERS = 12 };

static str key_text(yyjson_val *key)
{
    return str_slice(unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
}

static yyjson_val *next_key(yyjson_val *key)
{
    return unsafe_yyjson_get_next(key + 1);
}

static yyjson_val *duplicate_of_few(yyjson_val *obj, size_t members)
{
    str seen[FEW_MEMBERS];
    yyjson_val *key = unsafe_yyjson_get_first(obj);
    for (size_t i = 0; i < members; i++, key = next_key(key)) {
        seen[i] = key_text(key);
        for (size_t j = 0; j < i; j++)
            if (seen[j].len == seen[i].len && str_eq(seen[j], seen[i]))
                return key;
    }
    return NULL;
}

// Slots hold a key's distance from its object: half the memory of a pointer.
static enum err duplicate_of_many(yyjson_val *obj, size_t members, yyjson_val **ret)
{
    size_t cap = 64;
    while (cap < members * 2)
        cap *= 2;
    uint32_t *slots = mem_try_alloc(cap * sizeof *slots);
    if (!slots)
        return ERR_NOMEM;
    memset(slots, 0, cap * sizeof *slots);
    yyjson_val *found = NULL;
    yyjson_val *key = unsafe_yyjson_get_first(obj);
    for (size_t i = 0; i < members && !found; i++, key = next_key(key)) {
        size_t slot = (size_t)str_hash(key_text(key)) & (cap - 1);
        while (slots[slot] && !str_eq(key_text(obj + slots[slot]), key_text(key)))
            slot = (slot + 1) & (cap - 1);
        if (slots[slot])
            found = key;
        slots[slot] = (uint32_t)(key - obj);
    }
    mem_free(slots);
    *ret = found;
    return ERR_OK;
}

size_t json_name_offset(const yyjson_doc *doc, yyjson_val *key)
{
    return (size_t)(unsafe_yyjson_get_str(key) - doc->str_pool) - 1;
}

static enum err refuse_duplicate(yyjson_doc *doc, str text, yyjson_val *key, struct diag *diag)
{
    str name = key_text(key);
    diag_set(diag, ERR_INVALID, "the member \"%.*s\" is given twice in one object",
             (int)min_size(name.len, 64), name.ptr);
    place(diag, text, json_name_offset(doc, key));
    return ERR_INVALID;
}

// The document is one array of values in the order of the text: no recursion needed. Gives the
// number of arrays and objects.
static enum err check_values(yyjson_doc *doc, str text, size_t *ret_containers, struct diag *diag)
{
    yyjson_val *end = doc->root + yyjson_doc_get_val_count(doc);
    size_t containers = 0;
    for (yyjson_val *v = doc->root; v < end; v++) {
        if (!unsafe_yyjson_is_ctn(v))
            continue;
        containers++;
        size_t members = unsafe_yyjson_is_obj(v) ? unsafe_yyjson_get_len(v) : 0;
        yyjson_val *twice = NULL;
        if (members > FEW_MEMBERS) {
            enum err e = duplicate_of_many(v, members, &twice);
            if (e != ERR_OK)
                return diag_set(diag, e, "no memory to check the JSON text");
        } else if (members > 1) {
            twice = duplicate_of_few(v, members);
        }
        if (twice)
            return refuse_duplicate(doc, text, twice, diag);
    }
    *ret_containers = containers;
    return ERR_OK;
}

// ---- reader ----

static void *try_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return mem_try_alloc(size);
}

static void *try_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return mem_try_resize(p, size);
}

static void release(void *ctx, void *p)
{
    (void)ctx;
    mem_free(p);
}

static const yyjson_alc allocator = {try_malloc, try_realloc, release, NULL};

static enum err refuse(str text, const yyjson_read_err *e, struct diag *diag)
{
    if (e->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return diag_set(diag, ERR_NOMEM, "no memory to parse the JSON text");
    diag_set(diag, ERR_PARSE, "not valid JSON: %s", text.len ? e->msg : "the text is empty");
    place(diag, text, e->pos);
    return ERR_PARSE;
}

enum err json_parse(struct json_doc *d, str text, struct json_limits limits, struct diag *diag)
{
    yyjson_read_err e;
    size_t containers = 0;
    if (text.len > limits.bytes_max)
        return diag_set(diag, ERR_LIMIT, "the JSON text is longer than the %zu bytes allowed",
                        limits.bytes_max);
    // A value and what parts it from the next take two bytes: memory is bounded before it is taken.
    bool counted = text.len / 2 >= limits.values_max;
    if (counted)
        ERR_TRY(count_limits(text, limits, diag));
    // Without YYJSON_READ_INSITU the text is only read.
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len,
                                       YYJSON_READ_NUMBER_AS_RAW, &allocator, &e);
    if (!doc) {
        if (!counted) // what is too deep is told as that, whatever else it is
            ERR_TRY(count_limits(text, limits, diag));
        return refuse(text, &e, diag);
    }
    enum err err = check_values(doc, text, &containers, diag);
    if (err == ERR_OK && containers > limits.depth_max && !counted)
        err = count_limits(text, limits, diag); // with fewer it cannot be too deep
    if (err != ERR_OK) {
        yyjson_doc_free(doc);
        return err;
    }
    *d = (struct json_doc){.doc = doc, .root = doc->root};
    return ERR_OK;
}

void json_done(struct json_doc *d)
{
    yyjson_doc_free(d->doc);
    *d = (struct json_doc){0};
}

yyjson_val *json_member(yyjson_val *obj, str name)
{
    if (!yyjson_is_obj(obj))
        return NULL;
    yyjson_val *key = unsafe_yyjson_get_first(obj);
    for (size_t left = unsafe_yyjson_get_len(obj); left; left--, key = next_key(key))
        if (str_eq(key_text(key), name))
            return key + 1;
    return NULL;
}

str json_str(yyjson_val *v)
{
    return yyjson_is_str(v) ? str_slice(yyjson_get_str(v), yyjson_get_len(v)) : STR_NONE;
}

str json_num_text(yyjson_val *v)
{
    return yyjson_is_raw(v) ? str_slice(yyjson_get_raw(v), yyjson_get_len(v)) : STR_NONE;
}

bool json_is_num(yyjson_val *v, double *ret)
{
    return yyjson_is_raw(v) && str_to_f64(json_num_text(v), ret) == ERR_OK;
}

bool json_is_int(yyjson_val *v, int64_t *ret)
{
    if (!yyjson_is_raw(v))
        return false;
    enum err e = str_to_i64(json_num_text(v), ret);
    if (e != ERR_PARSE)
        return e == ERR_OK;
    double real;
    if (!json_is_num(v, &real) || real != trunc(real) || fabs(real) > 0x1p53)
        return false;
    *ret = (int64_t)real;
    return true;
}

static bool is_whole(str number)
{
    for (size_t i = 0; i < number.len; i++)
        if (number.ptr[i] == '.' || number.ptr[i] == 'e' || number.ptr[i] == 'E')
            return false;
    return true;
}

const char *json_type_name(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_OBJ:
        return "object";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_RAW:
        return is_whole(json_num_text(v)) ? "integer" : "number";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_NULL:
        return "null";
    default:
        return "nothing";
    }
}

const char *json_type_words(yyjson_val *v)
{
    static const char *const words[] = {"an object", "an array",  "a string", "an integer",
                                        "a number",  "a boolean", "null",     "nothing"};
    const char *name = json_type_name(v);
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(words) && !str_ends(str_of(words[i]), str_of(name)))
        i++;
    return words[i];
}
