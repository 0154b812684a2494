#include <stdio.h>

#include "base/json.h"
#include "base/option_value.h"

#include "base/banned.h"

static const void *field_of(const struct option *row, const void *target)
{
    return (const char *)target + row->offset;
}

static enum err result(const struct buf *out)
{
    return out->failed ? ERR_LIMIT : ERR_OK;
}

// ---- values as YAML ----

static bool is_plain_yaml(str s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq_nocase(s, str_of(words[i])))
            return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '/';
        bool inner = (c >= '0' && c <= '9') || c == '.' || c == '-';
        if (!letter && !(inner && i > 0))
            return false;
    }
    return s.len > 0;
}

// A JSON string is a YAML string. "${" is written so that it reads back as itself.
static void show_string(str s, struct buf *out)
{
    if (is_plain_yaml(s)) {
        buf_append_str(out, s);
        return;
    }
    buf_append_char(out, '"');
    for (size_t at; (at = str_find(s, STR("${"))) != SIZE_MAX; s = str_sub(s, at + 2, s.len)) {
        json_escape(out, str_sub(s, 0, at));
        buf_append_str(out, STR("$${"));
    }
    json_escape(out, s);
    buf_append_char(out, '"');
}

static void show_strings(const struct option_strings *list, bool secret, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < list->len; i++) {
        if (i > 0)
            buf_append_str(out, STR(", "));
        show_string(secret ? STR("***") : list->items[i], out);
    }
    buf_append_char(out, ']');
}

static void show_single(const struct option *row, const void *field, struct buf *out)
{
    char text[40];
    switch (row->type) {
    case OPTION_BOOL:
        buf_append_str(out, *(const bool *)field ? STR("true") : STR("false"));
        break;
    case OPTION_INT:
        buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case OPTION_DURATION:
    case OPTION_BYTES:
        buf_append_str(out, str_of(option_number_text(row->type, (double)*(const int64_t *)field,
                                                      text, sizeof text)));
        break;
    case OPTION_FLOAT:
        buf_append_str(
            out, str_of(option_number_text(row->type, *(const double *)field, text, sizeof text)));
        break;
    case OPTION_CHOICE:
        buf_append_str(out, str_of(row->choices[*(const int64_t *)field]));
        break;
    case OPTION_SECRET:
        buf_append_str(out, ((const str *)field)->len ? STR("\"***\"") : STR("null"));
        break;
    case OPTION_STRINGS:
        show_strings(field, row->secret, out);
        break;
    default:
        show_string(*(const str *)field, out);
        break;
    }
}

static void indent(unsigned level, struct buf *out)
{
    buf_printf(out, "%*s", (int)(level * 2), "");
}

static void show_table(const struct option *table, const void *target, unsigned level, bool dashed,
                       struct buf *out);

static void show_items(const struct option *row, const struct option_items *items, unsigned level,
                       struct buf *out)
{
    if (items->len == 0)
        buf_append_str(out, STR(" []"));
    buf_append_char(out, '\n');
    for (size_t i = 0; i < items->len; i++) {
        indent(level, out);
        buf_append_str(out, STR("- "));
        show_table(row->table, (const char *)items->items + i * row->table_size, level + 1, true,
                   out);
    }
}

// `dashed`: the first line stands behind a list's dash.
static void show_table(const struct option *table, const void *target, unsigned level, bool dashed,
                       struct buf *out)
{
    for (const struct option *row = table; row->name; row++) {
        const void *field = field_of(row, target);
        if (!dashed || row != table)
            indent(level, out);
        buf_printf(out, "%s:", row->name);
        if (row->type == OPTION_TABLE) {
            buf_append_char(out, '\n');
            show_table(row->table, field, level + 1, false, out);
        } else if (row->type == OPTION_TABLES) {
            show_items(row, field, level + 1, out);
        } else {
            buf_append_char(out, ' ');
            show_single(row, field, out);
            buf_append_char(out, '\n');
        }
    }
}

enum err option_show(const struct option *table, const void *target, struct buf *out)
{
    show_table(table, target, 0, false, out);
    return result(out);
}

// ---- the reference page ----

static bool is_nested(const struct option *row)
{
    return row->type == OPTION_TABLE || row->type == OPTION_TABLES;
}

static void describe_choices(const struct option *row, struct buf *out)
{
    for (size_t i = 0; row->choices[i]; i++)
        buf_printf(out, "%s`%s`", i ? ", " : "", row->choices[i]);
}

static void describe_type(const struct option *row, struct buf *out)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "true or false", [OPTION_INT] = "whole number",
        [OPTION_FLOAT] = "number",       [OPTION_STRING] = "text",
        [OPTION_SECRET] = "secret",      [OPTION_DURATION] = "duration",
        [OPTION_BYTES] = "size",         [OPTION_STRINGS] = "list of texts"};
    char low[40], high[40];
    if (row->type == OPTION_CHOICE) {
        describe_choices(row, out);
        return;
    }
    buf_append_str(out, str_of(names[row->type]));
    if (row->min == 0 && row->max == 0)
        return;
    option_number_text(row->type, row->min, low, sizeof low);
    option_number_text(row->type, row->max, high, sizeof high);
    if (row->max > 1e300)
        buf_printf(out, ", at least %s", low);
    else
        buf_printf(out, ", %s to %s", low, high);
}

static void describe_row(const struct option *row, struct buf *out)
{
    buf_printf(out, "| `%s` | ", row->name);
    describe_type(row, out);
    if (row->value && row->value[0])
        buf_printf(out, " | `%s` | ", row->value);
    else
        buf_append_str(out, STR(" | | "));
    for (const char *c = row->help ? row->help : ""; *c; c++) {
        if (*c == '|')
            buf_append_char(out, '\\');
        buf_append_char(out, *c);
    }
    buf_append_str(out, STR(" |\n"));
}

static void describe_rows(const struct option *table, struct buf *out)
{
    bool any = false;
    for (const struct option *row = table; row->name; row++) {
        if (is_nested(row))
            continue;
        if (!any)
            buf_append_str(out, STR("| key | value | default | meaning |\n|---|---|---|---|\n"));
        any = true;
        describe_row(row, out);
    }
    if (any)
        buf_append_char(out, '\n');
}

enum err option_markdown(const struct option *table, const char *path, struct buf *out)
{
    describe_rows(table, out);
    for (const struct option *row = table; row->name; row++) {
        if (!is_nested(row))
            continue;
        char inner[160];
        snprintf(inner, sizeof inner, "%s%s%s%s", path, *path ? "." : "", row->name,
                 row->type == OPTION_TABLES ? "[]" : "");
        buf_printf(out, "## `%s`\n\n%s\n\n", inner, row->help ? row->help : "");
        ERR_TRY(option_markdown(row->table, inner, out));
    }
    return result(out);
}

// ---- JSON Schema ----

static void schema_of_table(const struct option *table, struct json_writer *w);

static void schema_pattern(struct json_writer *w, const char *pattern)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "string");
    jw_kv_z(w, "pattern", pattern);
    jw_object_end(w);
}

static void schema_number(const struct option *row, const char *type, struct json_writer *w)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", type);
    if (row->min != 0 || row->max != 0) {
        jw_kv_f64(w, "minimum", row->min);
        if (row->max < 1e300)
            jw_kv_f64(w, "maximum", row->max);
    }
    jw_object_end(w);
}

static void schema_plain(const char *type, struct json_writer *w)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", type);
    jw_object_end(w);
}

static void schema_choices(const struct option *row, struct json_writer *w)
{
    jw_object_begin(w);
    jw_key(w, "enum");
    jw_array_begin(w);
    for (size_t i = 0; row->choices[i]; i++)
        jw_z(w, row->choices[i]);
    jw_array_end(w);
    jw_object_end(w);
}

// {env: NAME} or {file: PATH}
static void schema_secret_map(const char *member, struct json_writer *w)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "object");
    jw_key(w, "properties");
    jw_object_begin(w);
    jw_key(w, member);
    schema_plain("string", w);
    jw_object_end(w);
    jw_key(w, "required");
    jw_array_begin(w);
    jw_z(w, member);
    jw_array_end(w);
    jw_kv_bool(w, "additionalProperties", false);
    jw_object_end(w);
}

static void schema_list(void (*of)(const struct option *, struct json_writer *),
                        const struct option *row, struct json_writer *w)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "array");
    jw_key(w, "items");
    of(row, w);
    jw_object_end(w);
}

static void schema_text(const struct option *row, struct json_writer *w)
{
    (void)row;
    schema_plain("string", w);
}

static void schema_nested(const struct option *row, struct json_writer *w)
{
    jw_object_begin(w);
    schema_of_table(row->table, w);
    jw_object_end(w);
}

static void schema_named(const struct option *row, struct json_writer *w)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "object");
    jw_key(w, "additionalProperties");
    schema_nested(row, w);
    jw_object_end(w);
}

static const char env_pattern[] = "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$";

// What may stand for the row's value, one alternative after the other.
static void schema_alternatives(const struct option *row, struct json_writer *w)
{
    switch (row->type) {
    case OPTION_BOOL:
        schema_plain("boolean", w);
        break;
    case OPTION_INT:
        schema_number(row, "integer", w);
        break;
    case OPTION_FLOAT:
        schema_number(row, "number", w);
        break;
    case OPTION_STRING:
        schema_plain("string", w);
        return;
    case OPTION_SECRET:
        schema_pattern(w, "^(env|file):");
        schema_secret_map("env", w);
        schema_secret_map("file", w);
        break;
    case OPTION_DURATION:
        schema_pattern(w, "^([0-9]+(\\.[0-9]+)? ?(ms|s|m|h|d)|0)$");
        break;
    case OPTION_BYTES:
        schema_number(row, "integer", w);
        schema_pattern(w, "^[0-9]+(\\.[0-9]+)? ?([kMGT]B|[KMGT]iB|B)$");
        break;
    case OPTION_CHOICE:
        schema_choices(row, w);
        break;
    case OPTION_STRINGS:
        schema_plain("string", w);
        schema_list(schema_text, row, w);
        return;
    case OPTION_TABLE:
        schema_nested(row, w);
        return;
    case OPTION_TABLES:
        schema_list(schema_nested, row, w);
        if (row->table->type == OPTION_STRING && str_eq_z(STR("name"), row->table->name))
            schema_named(row, w);
        return;
    }
    schema_pattern(w, env_pattern);
}

static void schema_default(const struct option *row, struct json_writer *w)
{
    jw_key(w, "default");
    if (row->type == OPTION_BOOL || row->type == OPTION_INT || row->type == OPTION_FLOAT)
        jw_raw(w, str_of(row->value)); // those are written alike in YAML and JSON
    else
        jw_z(w, row->value);
}

static void schema_of_row(const struct option *row, struct json_writer *w)
{
    jw_key(w, row->name);
    jw_object_begin(w);
    if (row->help)
        jw_kv_z(w, "description", row->help);
    if (row->value)
        schema_default(row, w);
    jw_key(w, "anyOf");
    jw_array_begin(w);
    schema_alternatives(row, w);
    schema_plain("null", w);
    jw_array_end(w);
    jw_object_end(w);
}

static void schema_of_table(const struct option *table, struct json_writer *w)
{
    jw_kv_z(w, "type", "object");
    jw_key(w, "properties");
    jw_object_begin(w);
    for (const struct option *row = table; row->name; row++)
        schema_of_row(row, w);
    jw_object_end(w);
    jw_kv_bool(w, "additionalProperties", false);
}

enum err option_json_schema(const struct option *table, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    schema_of_table(table, &w);
    jw_object_end(&w);
    return result(out);
}
