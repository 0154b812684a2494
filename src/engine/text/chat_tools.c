// Tools by the convention of Qwen 2.5 and Hermes: <tools> in the system turn, <tool_call> from the
// assistant, <tool_response> to it.
#include "engine/text/chat_render.h"

#include "base/banned.h"

// Everything that is dumped is the client's: marked as literal.
static void mark(struct buf *out)
{
    buf_append_char(out, LITERAL_MARK);
}

enum err chat_tools_block(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t i, n;
    yyjson_val *tool;
    ERR_TRY(chat_parse_tools(c, &doc, d));
    chat_put(out, "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
                  "You are provided with function signatures within <tools></tools> XML tags:\n"
                  "<tools>");
    yyjson_arr_foreach(doc.root, i, n, tool)
    {
        chat_put(out, "\n");
        mark(out);
        chat_dump(out, tool, 0);
        mark(out);
    }
    chat_put(out, "\n</tools>\n\nFor each function call, return a json object with function name "
                  "and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n"
                  "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>");
    json_done(&doc);
    return ERR_OK;
}

enum err chat_tools_calls(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t at, n;
    yyjson_val *call;
    ERR_TRY(chat_parse_calls(c, i, &doc, d));
    yyjson_arr_foreach(doc.root, at, n, call)
    {
        yyjson_val *function = chat_function(call);
        chat_put(out, "\n<tool_call>\n{\"name\": ");
        mark(out);
        chat_dump_str(out, json_str(json_get(function, "name")));
        chat_put(out, ", \"arguments\": ");
        chat_dump_arguments(out, json_get(function, "arguments"));
        mark(out);
        chat_put(out, "}\n</tool_call>");
    }
    json_done(&doc);
    return ERR_OK;
}
