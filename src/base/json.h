// JSON: a strict reader over yyjson (immutable values) and a streaming writer into a buf.
// Reader: the document owns its memory (bounded by `limits`), values point into it. Numbers keep
// their raw text (YYJSON_TYPE_RAW): ask json_is_int and json_is_num, never yyjson_is_num. Not
// thread-safe; one owner.
#pragma once

#include <yyjson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct json_limits {
    size_t bytes_max; // of the text
    uint32_t depth_max;
    uint32_t values_max;
};

#define JSON_LIMITS_DEFAULT ((struct json_limits){64u << 20, 64, 4u << 20})

struct json_doc {
    yyjson_doc *doc;
    yyjson_val *root;
};

// Parse strictly (RFC 8259, valid UTF-8, no trailing bytes). Duplicate members (compared after
// unescaping) are ERR_INVALID; too deep, too big, too many values: ERR_LIMIT; the rest ERR_PARSE.
// diag has line and column (or the member's name).
enum err json_parse(struct json_doc *d, str text, struct json_limits limits,
                    struct diag *diag) MUST_USE;
void json_done(struct json_doc *d);

// For those who read a text themselves: the offset behind the string whose quote is at `start`, the
// text's length when it does not end.
size_t json_after_string(str text, size_t start);
// Where a member's name stands in the text that was parsed: the offset of its quote. The parser
// unescapes strings in place, in a copy of the text, so that offsets agree.
size_t json_name_offset(const yyjson_doc *doc, yyjson_val *key);
static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Accessors. All take NULL for "absent". json_get: member of an object, NULL when absent or not an
// object.
yyjson_val *json_member(yyjson_val *obj, str key);
static inline yyjson_val *json_get(yyjson_val *obj, const char *key)
{
    return json_member(obj, str_of(key)); // inline: the length of a literal is known
}
str json_str(yyjson_val *v); // STR_NONE unless a string
bool json_is_int(yyjson_val *v,
                 int64_t *ret);               // an integer, or a real with no fraction within ±2^53
bool json_is_num(yyjson_val *v, double *ret); // false also when a double cannot hold it (1e999)
str json_num_text(yyjson_val *v); // a number as it was written; STR_NONE unless a number
// "object", "array", "string", "integer", "number", "boolean", "null"; "nothing" for NULL.
const char *json_type_name(yyjson_val *v);
const char *json_type_words(yyjson_val *v); // with its article: "an array"

// Writer: commas and escapes are its business. A failed buf stays failed (check buf.failed once at
// the end). Nothing stops a wrong nesting but an ASSERT. Strings that are not valid UTF-8 are
// written with U+FFFD for each bad byte.
struct json_writer {
    struct buf *out;
    uint64_t has_items, in_object; // a bit a level
    uint32_t depth;
    bool after_key;
};

void jw_init(struct json_writer *w, struct buf *out);
void jw_object_begin(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array_begin(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_key_str(struct json_writer *w, str key);
void jw_str(struct json_writer *w, str s);
void jw_z(struct json_writer *w, const char *s);
void jw_int(struct json_writer *w, int64_t v);
void jw_uint(struct json_writer *w, uint64_t v);
void jw_f64(struct json_writer *w,
            double v); // shortest text that reads back; non-finite becomes null
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, str json);        // a complete value, trusted
void jw_value(struct json_writer *w, yyjson_val *v); // copies a parsed value, NULL as null
// Shorthands: key and value.
void jw_kv_str(struct json_writer *w, const char *key, str s);
void jw_kv_z(struct json_writer *w, const char *key, const char *s);
void jw_kv_int(struct json_writer *w, const char *key, int64_t v);
void jw_kv_f64(struct json_writer *w, const char *key, double v);
void jw_kv_bool(struct json_writer *w, const char *key, bool v);
void jw_kv_null(struct json_writer *w, const char *key);
// Escape s as the inside of a JSON string (no quotes).
enum err json_escape(struct buf *out, str s);
