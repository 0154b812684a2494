// What holds a local answer to a form: the request's own, or the call of a tool that must be made.
#include "gateway/local_internal.h"

#include "base/banned.h"

#define JSON_BYTES_MAX (8u << 20)

static bool no_memory(struct api_error *e)
{
    return api_error_set(e, API_JSON_LIMIT, NULL,
                         "The request needs more memory than one call may use.");
}

static bool text_of(yyjson_val *v, struct arena *arena, str *ret, struct api_error *e)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, JSON_BYTES_MAX);
    jw_init(&w, &out);
    jw_value(&w, v);
    *ret = out.failed ? STR_NONE : arena_str(arena, buf_str(&out));
    buf_done(&out);
    return ret->ptr || no_memory(e);
}

// --- The request's form

static bool plan_format(const struct exchange_request *r, struct arena *arena,
                        struct local_plan *plan, struct api_error *e)
{
    static const enum grammar_kind kinds[] = {
        [EXCHANGE_FORMAT_JSON] = GRAMMAR_JSON,     [EXCHANGE_FORMAT_SCHEMA] = GRAMMAR_SCHEMA,
        [EXCHANGE_FORMAT_REGEX] = GRAMMAR_REGEX,   [EXCHANGE_FORMAT_GRAMMAR] = GRAMMAR_GBNF,
        [EXCHANGE_FORMAT_CHOICE] = GRAMMAR_CHOICE,
    };
    struct grammar_part *part = arena_zalloc(arena, 1, sizeof *part);
    if (!part)
        return no_memory(e);
    part->kind = kinds[r->format];
    part->text = r->format_text;
    plan->grammar = part;
    plan->grammar_len = 1;
    if (r->format == EXCHANGE_FORMAT_SCHEMA && r->schema)
        return text_of(r->schema, arena, &part->text, e);
    if (r->format == EXCHANGE_FORMAT_SCHEMA) // a name and no schema
        part->kind = GRAMMAR_JSON;
    return r->format != EXCHANGE_FORMAT_CHOICE || text_of(r->format_choices, arena, &part->text, e);
}

// --- A call that must be made: the prompt has begun it (plan->call_open)

static bool is_wanted(const struct exchange_request *r, const struct exchange_tool *t)
{
    return r->tool_choice == EXCHANGE_TOOLS_REQUIRED || str_eq(t->name, r->tool_name);
}

static bool plan_call(const struct exchange_tool *t, bool named, enum chat_tools format,
                      struct arena *arena, struct grammar_part *part, struct api_error *e)
{
    part->kind = t->parameters ? GRAMMAR_SCHEMA : GRAMMAR_JSON;
    part->after = local_tools_closing(format);
    part->before = named ? STR("") : ARENA_JOIN(arena, t->name, local_tools_behind_name(format));
    if (!part->before.ptr)
        return no_memory(e);
    return !t->parameters || text_of(t->parameters, arena, &part->text, e);
}

static bool plan_calls(const struct exchange_request *r, struct arena *arena,
                       struct local_plan *plan, struct api_error *e)
{
    struct grammar_part *parts = arena_zalloc(arena, r->tools_len, sizeof *parts);
    if (!parts)
        return no_memory(e);
    plan->grammar = parts;
    bool named = r->tool_choice == EXCHANGE_TOOLS_NAMED;
    for (size_t i = 0; i < r->tools_len; i++)
        if (is_wanted(r, &r->tools[i]) &&
            !plan_call(&r->tools[i], named, plan->tools, arena, &parts[plan->grammar_len++], e))
            return false;
    return true;
}

bool local_plan_grammar(const struct exchange_request *r, struct arena *arena,
                        struct local_plan *plan, struct api_error *e)
{
    if (plan->call_open.len)
        return plan_calls(r, arena, plan, e);
    return r->format == EXCHANGE_FORMAT_TEXT || plan_format(r, arena, plan, e);
}

// --- Whether the model can be held to it

static bool refuse(const struct exchange_request *r, const struct local_plan *plan,
                   const struct diag *d, struct api_error *e)
{
    enum api_error_code code =
        d->code == ERR_UNSUPPORTED ? API_UNSUPPORTED_PARAMETER : API_INVALID_VALUE;
    const char *param = plan->call_open.len ? "tools"
                        : r->format_name    ? r->format_name
                                            : "response_format";
    return api_error_set(e, code, param, "'%s' cannot be held: %s.", param, d->text);
}

// Tools' schemas are often loose: where one asks for more than can be held, any object will do.
static bool loosen(const struct exchange_request *r, struct local_plan *plan)
{
    struct grammar_part *parts = plan->grammar;
    for (size_t i = 0; i < r->tools_len; i++)
        if (!plan->call_open.len || (r->tools[i].strict && is_wanted(r, &r->tools[i])))
            return false;
    for (size_t i = 0; i < plan->grammar_len; i++)
        parts[i].kind = GRAMMAR_JSON;
    return plan->call_open.len > 0;
}

bool local_check_grammar(const struct local_model *lm, const struct exchange_request *r,
                         struct local_plan *plan, struct api_error *ret_error)
{
    struct engine_request q;
    struct diag d = {0};
    if (!plan->grammar_len)
        return true;
    engine_request_default(&q);
    q.grammar = plan->grammar;
    q.grammar_len = plan->grammar_len;
    q.grammar_said = plan->grammar_said;
    if (engine_grammar_check(lm->model, &q, &d) == ERR_OK)
        return true;
    if (loosen(r, plan) && engine_grammar_check(lm->model, &q, &d) == ERR_OK)
        return true;
    return refuse(r, plan, &d, ret_error);
}
