// Tools by the convention of Qwen 2.5 and Hermes: <tools> in the system turn, <tool_call> from the
// assistant, <tool_response> to it.
#include "base/json.h"
#include "engine/text/chat_render.h"

#include "base/banned.h"

// Everything that is dumped is the client's: marked as literal.
static void mark(struct buf *out)
{
    buf_append_char(out, LITERAL_MARK);
}

static void put(struct buf *out, str s)
{
    buf_append_str(out, s);
}

static void put_quoted(struct buf *out, str s)
{
    buf_append_char(out, '"');
    json_escape(out, s);
    buf_append_char(out, '"');
}

// As Python's json.dumps(v, ensure_ascii=False) spaces it. The depth is bounded by the parser's
// limit.
static void dump(struct buf *out, yyjson_val *v)
{
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_obj(v)) {
        buf_append_char(out, '{');
        yyjson_obj_foreach(v, i, n, key, item)
        {
            put(out, i ? STR(", ") : STR_NONE);
            put_quoted(out, json_str(key));
            put(out, STR(": "));
            dump(out, item);
        }
        buf_append_char(out, '}');
    } else if (yyjson_is_arr(v)) {
        buf_append_char(out, '[');
        yyjson_arr_foreach(v, i, n, item)
        {
            put(out, i ? STR(", ") : STR_NONE);
            dump(out, item);
        }
        buf_append_char(out, ']');
    } else if (yyjson_is_str(v)) {
        put_quoted(out, json_str(v));
    } else if (yyjson_is_bool(v)) {
        put(out, yyjson_is_true(v) ? STR("true") : STR("false"));
    } else if (yyjson_is_null(v)) {
        put(out, STR("null"));
    } else {
        put(out, json_num_text(v));
    }
}

static enum err parse_array(str text, const char *what, struct json_doc *ret, struct diag *d)
{
    enum err e = json_parse(ret, text, JSON_LIMITS_DEFAULT, d);
    if (e != ERR_OK)
        return e;
    if (yyjson_is_arr(ret->root))
        return ERR_OK;
    json_done(ret);
    return diag_set(d, ERR_INVALID, "%s must be an array", what);
}

enum err chat_tools_block(str tools_json, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t i, n;
    yyjson_val *tool;
    ERR_TRY(parse_array(tools_json, "tools", &doc, d));
    chat_put(out, "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
                  "You are provided with function signatures within <tools></tools> XML tags:\n"
                  "<tools>");
    yyjson_arr_foreach(doc.root, i, n, tool)
    {
        chat_put(out, "\n");
        mark(out);
        dump(out, tool);
        mark(out);
    }
    chat_put(out, "\n</tools>\n\nFor each function call, return a json object with function name "
                  "and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
                  "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>");
    json_done(&doc);
    return ERR_OK;
}

// Arguments come as an object, or as its text; text that is no JSON stays a string.
static void dump_arguments(struct buf *out, yyjson_val *arguments)
{
    struct json_doc doc;
    if (yyjson_is_str(arguments) &&
        json_parse(&doc, json_str(arguments), JSON_LIMITS_DEFAULT, NULL) == ERR_OK) {
        dump(out, doc.root);
        json_done(&doc);
    } else if (arguments) {
        dump(out, arguments);
    } else {
        put(out, STR("{}"));
    }
}

enum err chat_tools_calls(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t at, n;
    yyjson_val *call;
    enum err e = parse_array(c->messages[i].tool_calls_json, "tool_calls", &doc, d);
    if (e != ERR_OK) {
        diag_where(d, "messages[%zu]", i);
        return e;
    }
    yyjson_arr_foreach(doc.root, at, n, call)
    {
        yyjson_val *function = json_get(call, "function");
        function = function ? function : call;
        chat_put(out, "\n<tool_call>\n{\"name\": ");
        mark(out);
        put_quoted(out, json_str(json_get(function, "name")));
        chat_put(out, ", \"arguments\": ");
        dump_arguments(out, json_get(function, "arguments"));
        mark(out);
        chat_put(out, "}\n</tool_call>");
    }
    json_done(&doc);
    return ERR_OK;
}
