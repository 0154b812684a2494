// JSON in prompts, spaced as Python spaces it.
#include "engine/text/chat_render.h"

#include "base/banned.h"

static void put(struct buf *out, str s)
{
    buf_append_str(out, s);
}

void chat_dump_str(struct buf *out, str s)
{
    buf_append_char(out, '"');
    json_escape(out, s);
    buf_append_char(out, '"');
}

// Between items, and before and after them.
static void line(struct buf *out, unsigned indent, unsigned depth)
{
    if (!indent)
        return;
    buf_append_char(out, '\n');
    for (unsigned i = 0; i < indent * depth; i++)
        buf_append_char(out, ' ');
}

static void separate(struct buf *out, size_t i, unsigned indent, unsigned depth)
{
    if (i)
        put(out, indent ? STR(",") : STR(", "));
    line(out, indent, depth);
}

// The depth is bounded by the parser's limit.
static void dump(struct buf *out, yyjson_val *v, unsigned indent, unsigned depth)
{
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_obj(v)) {
        buf_append_char(out, '{');
        yyjson_obj_foreach(v, i, n, key, item)
        {
            separate(out, i, indent, depth + 1);
            chat_dump_str(out, json_str(key));
            put(out, STR(": "));
            dump(out, item, indent, depth + 1);
        }
        if (yyjson_obj_size(v))
            line(out, indent, depth);
        buf_append_char(out, '}');
    } else if (yyjson_is_arr(v)) {
        buf_append_char(out, '[');
        yyjson_arr_foreach(v, i, n, item)
        {
            separate(out, i, indent, depth + 1);
            dump(out, item, indent, depth + 1);
        }
        if (yyjson_arr_size(v))
            line(out, indent, depth);
        buf_append_char(out, ']');
    } else if (yyjson_is_str(v)) {
        chat_dump_str(out, json_str(v));
    } else if (yyjson_is_bool(v)) {
        put(out, yyjson_is_true(v) ? STR("true") : STR("false"));
    } else if (yyjson_is_null(v)) {
        put(out, STR("null"));
    } else {
        put(out, json_num_text(v));
    }
}

void chat_dump(struct buf *out, yyjson_val *v, unsigned indent)
{
    dump(out, v, indent, 0);
}

void chat_dump_arguments(struct buf *out, yyjson_val *arguments)
{
    struct json_doc doc;
    if (yyjson_is_str(arguments) &&
        json_parse(&doc, json_str(arguments), JSON_LIMITS_DEFAULT, NULL) == ERR_OK) {
        chat_dump(out, doc.root, 0);
        json_done(&doc);
    } else if (arguments) {
        chat_dump(out, arguments, 0);
    } else {
        put(out, STR("{}"));
    }
}

static enum err parse_array(str text, const char *what, struct json_doc *ret, struct diag *d)
{
    ERR_TRY(json_parse(ret, text, JSON_LIMITS_DEFAULT, d));
    if (yyjson_is_arr(ret->root))
        return ERR_OK;
    json_done(ret);
    return diag_set(d, ERR_INVALID, "%s must be an array", what);
}

enum err chat_parse_tools(const struct chat_turns *c, struct json_doc *ret, struct diag *d)
{
    return parse_array(c->tools_json, "tools", ret, d);
}

enum err chat_parse_calls(const struct chat_turns *c, size_t i, struct json_doc *ret,
                          struct diag *d)
{
    enum err e = parse_array(c->messages[i].tool_calls_json, "tool_calls", ret, d);
    if (e != ERR_OK)
        diag_where(d, "messages[%zu]", i);
    return e;
}

yyjson_val *chat_function(yyjson_val *v)
{
    yyjson_val *function = json_get(v, "function");
    return function ? function : v;
}
