// Tools and the choice among them, as OpenAI's chat and Ollama write them.
#include "dialect/openai_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

static bool read_tool(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_tool *ret = to;
    yyjson_val *function = json_get(v, "function");
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!yyjson_equals_str(json_get(v, "type"), "function"))
        return field_refuse(r, API_INVALID_VALUE, "type", "must be 'function'.");
    if (!yyjson_is_obj(function))
        return field_refuse(r, API_INVALID_TYPE, "function", "must be an object with a 'name'.");
    if (!tools_read_name(r, "function.name", json_get(function, "name"), &ret->name) ||
        !tools_read_schema(r, "function.parameters", json_get(function, "parameters"),
                           &ret->parameters))
        return false;
    ret->description = json_str(json_get(function, "description"));
    ret->strict = yyjson_is_true(json_get(function, "strict"));
    return true;
}

bool openai_read_tools(struct reader *r, yyjson_val *v)
{
    if (!tools_read(r, v, read_tool))
        return false;
    r->request->tools_raw = r->request->tools_len ? v : NULL;
    return true;
}

bool openai_read_tool_choice(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    if (yyjson_is_obj(v) && yyjson_equals_str(json_get(v, "type"), "function")) {
        q->tool_choice = EXCHANGE_TOOLS_NAMED;
        q->tool_name = json_str(json_get(json_get(v, "function"), "name"));
        if (q->tool_name.len)
            return true;
        return field_refuse(r, API_MISSING_PARAMETER, "tool_choice.function.name", "is required.");
    }
    if (yyjson_equals_str(v, "auto"))
        q->tool_choice = EXCHANGE_TOOLS_AUTO;
    else if (yyjson_equals_str(v, "none"))
        q->tool_choice = EXCHANGE_TOOLS_NONE;
    else if (yyjson_equals_str(v, "required"))
        q->tool_choice = EXCHANGE_TOOLS_REQUIRED;
    else
        return field_refuse(r, API_INVALID_VALUE, "tool_choice",
                            "must be 'none', 'auto', 'required' or a named function.");
    return true;
}
