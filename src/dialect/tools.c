#include "dialect/tools.h"

#include "base/banned.h"

#define NAME_MAX_BYTES 128

// A call says which tool it means by its name alone.
static bool names_differ(struct reader *r)
{
    const struct exchange_request *q = r->request;
    for (size_t i = 0; i < q->tools_len; i++)
        for (size_t k = 0; k < i; k++)
            if (q->tools[i].name.len && str_eq(q->tools[i].name, q->tools[k].name))
                return field_refuse(r, API_INVALID_VALUE, "tools",
                                    "has two of the name '" STR_FMT "'.",
                                    STR_ARG(q->tools[i].name));
    return true;
}

bool tools_read(struct reader *r, yyjson_val *v, field_item *read_one)
{
    struct exchange_request *q = r->request;
    const struct field_list list = {
        "tools", "an array of tools", NULL, EXCHANGE_TOOLS_MAX, sizeof *q->tools, read_one};
    q->tools = field_list(r, &list, v, &q->tools_len);
    return q->tools && names_differ(r);
}

bool tools_read_calls(struct reader *r, yyjson_val *v, field_item *read_one,
                      struct exchange_message *m)
{
    const struct field_list list = {"tool_calls",       "an array",       NULL,
                                    EXCHANGE_TOOLS_MAX, sizeof *m->calls, read_one};
    m->calls = field_list(r, &list, v, &m->calls_len);
    return m->calls;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

bool tools_read_name(struct reader *r, const char *path, yyjson_val *v, str *ret)
{
    str name = json_str(v);
    bool ok = name.len > 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; ok && i < name.len; i++)
        ok = is_name_char(name.ptr[i]);
    if (!ok)
        return field_refuse(r, API_INVALID_VALUE, path,
                            "must be 1 to %d letters, digits, '_', '-' or '.'.", NAME_MAX_BYTES);
    *ret = name;
    return true;
}

bool tools_read_schema(struct reader *r, const char *path, yyjson_val *v, yyjson_val **ret)
{
    if (v && !yyjson_is_null(v) && !yyjson_is_obj(v))
        return field_wrong_type(r, path, "a JSON schema (an object)", v);
    *ret = yyjson_is_obj(v) ? v : NULL;
    return true;
}

void tools_write_arguments(struct json_writer *w, str arguments)
{
    struct json_doc doc;
    bool blank = !str_trim(arguments).len, object = false;
    if (!blank && json_parse(&doc, arguments, JSON_LIMITS_DEFAULT, NULL) == ERR_OK) {
        object = yyjson_is_obj(doc.root);
        if (object)
            jw_value(w, doc.root);
        json_done(&doc);
    }
    if (object)
        return;
    jw_object_begin(w);
    if (!blank)
        jw_kv_str(w, "arguments", arguments);
    jw_object_end(w);
}

static bool has_tool(const struct exchange_request *q, str name)
{
    for (size_t i = 0; i < q->tools_len; i++)
        if (str_eq(q->tools[i].name, name))
            return true;
    return false;
}

bool tools_check_choice(struct reader *r, const char *choice_path, const char *name_path)
{
    struct exchange_request *q = r->request;
    bool must = q->tool_choice == EXCHANGE_TOOLS_REQUIRED || q->tool_choice == EXCHANGE_TOOLS_NAMED;
    if (must && !q->tools_len)
        return field_refuse(r, API_INVALID_VALUE, choice_path,
                            "is only allowed when 'tools' are given.");
    if (q->tool_choice == EXCHANGE_TOOLS_NAMED && !has_tool(q, q->tool_name))
        return field_refuse(r, API_INVALID_VALUE, name_path, "is not among the 'tools'.");
    return true;
}
