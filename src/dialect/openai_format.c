// What form the answer must have: OpenAI's `response_format`, and the words of vLLM (`guided_json`
// …, later `structured_outputs`) and llama-server (`grammar`, `json_schema`), which models on this
// machine understand, too.
#include "dialect/openai_common.h"

#include "base/banned.h"

// One form only.
static bool take(struct reader *r, const char *name, enum exchange_format format)
{
    struct exchange_request *q = r->request;
    if (q->format != EXCHANGE_FORMAT_TEXT)
        return field_refuse(r, API_INVALID_VALUE, name,
                            "stands beside '%s': ask for one form of the answer.",
                            q->format_name ? q->format_name : "response_format");
    q->format = format;
    q->format_name = name;
    return true;
}

static bool take_schema(struct reader *r, const char *name, yyjson_val *v)
{
    r->request->schema = v;
    r->request->schema_strict = true;
    if (yyjson_is_obj(v))
        return take(r, name, EXCHANGE_FORMAT_SCHEMA);
    return field_wrong_type(r, name, "a JSON schema (an object)", v);
}

static bool take_text(struct reader *r, const char *name, enum exchange_format format,
                      yyjson_val *v)
{
    r->request->format_text = json_str(v);
    if (yyjson_is_str(v))
        return json_str(v).len ? take(r, name, format)
                               : field_refuse(r, API_INVALID_VALUE, name, "must not be empty.");
    return field_wrong_type(r, name, "a string", v);
}

static bool take_choices(struct reader *r, const char *name, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *item;
    bool fits = yyjson_arr_size(v) > 0;
    yyjson_arr_foreach(v, i, max, item) fits = fits && yyjson_is_str(item);
    r->request->format_choices = v;
    if (fits)
        return take(r, name, EXCHANGE_FORMAT_CHOICE);
    if (yyjson_is_arr(v))
        return field_refuse(r, API_INVALID_VALUE, name,
                            "must have at least one string, and nothing else.");
    return field_wrong_type(r, name, "an array of strings", v);
}

// Members of the object that are not read by anyone are told to the client.
static bool note_unread(struct reader *r, const char *name, const struct field *read, yyjson_val *v)
{
    struct field_scope scope = field_enter_member(r, name);
    bool ok = fields_read(r, read, v, r->request, true);
    field_leave(r, scope);
    return ok;
}

#define READ_BY_NAME(member) {member, FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}

static const struct field read_of_text[] = {READ_BY_NAME("type"), {0}};
static const struct field read_of_object[] = {READ_BY_NAME("type"), READ_BY_NAME("schema"), {0}};
static const struct field read_of_schema[] = {
    READ_BY_NAME("type"), READ_BY_NAME("json_schema"), {0}};
static const struct field read_of_named[] = {
    READ_BY_NAME("name"), READ_BY_NAME("schema"), READ_BY_NAME("strict"), {0}};
static const struct field read_of_outputs[] = {READ_BY_NAME("json"),        READ_BY_NAME("regex"),
                                               READ_BY_NAME("choice"),      READ_BY_NAME("grammar"),
                                               READ_BY_NAME("json_object"), {0}};

// --- OpenAI's

// llama-server's form: the schema stands in the object itself. An empty one asks for any object.
static bool read_bare_schema(struct reader *r, yyjson_val *v, yyjson_val *schema)
{
    if (!note_unread(r, "response_format", read_of_object, v))
        return false;
    if (schema && !yyjson_is_null(schema) && !yyjson_is_obj(schema))
        return field_wrong_type(r, "response_format.schema", "a JSON schema (an object)", schema);
    return yyjson_obj_size(schema) ? take_schema(r, "response_format.schema", schema)
                                   : take(r, "response_format", EXCHANGE_FORMAT_JSON);
}

static bool read_named_schema(struct reader *r, yyjson_val *v, yyjson_val *named)
{
    struct exchange_request *q = r->request;
    if (!note_unread(r, "response_format", read_of_schema, v))
        return false;
    if (!yyjson_is_obj(named))
        return field_refuse(r, API_MISSING_PARAMETER, "response_format.json_schema",
                            "is required.");
    if (!note_unread(r, "response_format.json_schema", read_of_named, named))
        return false;
    q->schema = json_get(named, "schema");
    q->schema_name = json_str(json_get(named, "name"));
    q->schema_strict = yyjson_is_true(json_get(named, "strict"));
    if (q->schema && !yyjson_is_obj(q->schema))
        return field_wrong_type(r, "response_format.json_schema.schema", "an object", q->schema);
    return take(r, "response_format", EXCHANGE_FORMAT_SCHEMA);
}

bool openai_read_format(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "response_format", "an object with a 'type'", v);
    yyjson_val *type = json_get(v, "type"), *bare = json_get(v, "schema");
    yyjson_val *named = json_get(v, "json_schema");
    if (yyjson_equals_str(type, "text"))
        return note_unread(r, "response_format", read_of_text, v);
    if (yyjson_equals_str(type, "json_object"))
        return read_bare_schema(r, v, bare);
    if (!yyjson_equals_str(type, "json_schema"))
        return field_refuse(r, API_INVALID_VALUE, "response_format.type",
                            "must be 'text', 'json_object' or 'json_schema'.");
    return yyjson_is_obj(bare) && !named ? read_bare_schema(r, v, bare)
                                         : read_named_schema(r, v, named);
}

// --- Others'

bool openai_read_grammar(struct reader *r, yyjson_val *v)
{
    return take_text(r, "grammar", EXCHANGE_FORMAT_GRAMMAR, v);
}

bool openai_read_json_schema(struct reader *r, yyjson_val *v)
{
    return take_schema(r, "json_schema", v);
}

bool openai_read_guided_json(struct reader *r, yyjson_val *v)
{
    return take_schema(r, "guided_json", v);
}

bool openai_read_guided_regex(struct reader *r, yyjson_val *v)
{
    return take_text(r, "guided_regex", EXCHANGE_FORMAT_REGEX, v);
}

bool openai_read_guided_grammar(struct reader *r, yyjson_val *v)
{
    return take_text(r, "guided_grammar", EXCHANGE_FORMAT_GRAMMAR, v);
}

bool openai_read_guided_choice(struct reader *r, yyjson_val *v)
{
    return take_choices(r, "guided_choice", v);
}

bool openai_read_structured_outputs(struct reader *r, yyjson_val *v)
{
    static const char *const known = "must have one of 'json', 'regex', 'choice', 'grammar' and "
                                     "'json_object'.";
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "structured_outputs", "an object", v);
    yyjson_val *json = json_get(v, "json"), *regex = json_get(v, "regex");
    yyjson_val *choice = json_get(v, "choice"), *grammar = json_get(v, "grammar");
    if (!!json + !!regex + !!choice + !!grammar + yyjson_is_true(json_get(v, "json_object")) != 1)
        return field_refuse(r, API_INVALID_VALUE, "structured_outputs", "%s", known);
    if (!note_unread(r, "structured_outputs", read_of_outputs, v))
        return false;
    if (json)
        return take_schema(r, "structured_outputs.json", json);
    if (regex)
        return take_text(r, "structured_outputs.regex", EXCHANGE_FORMAT_REGEX, regex);
    if (choice)
        return take_choices(r, "structured_outputs.choice", choice);
    if (grammar)
        return take_text(r, "structured_outputs.grammar", EXCHANGE_FORMAT_GRAMMAR, grammar);
    return take(r, "structured_outputs.json_object", EXCHANGE_FORMAT_JSON);
}
