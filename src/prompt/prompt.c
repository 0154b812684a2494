#include "prompt/prompt.h"

#include "base/mem.h"

#include "base/banned.h"

const char *prompt_type_name(enum prompt_type type)
{
    static const char *const names[] = {"string", "number", "integer", "boolean", "list", "object"};
    return names[type];
}

void prompt_free(struct prompt *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->messages_len; i++)
        mustache_free(p->messages[i].content);
    for (size_t i = 0; i < p->partials_len; i++)
        mustache_free(p->partials[i].text);
    json_done(&p->parameters);
    arena_done(&p->arena);
    mem_free(p);
}

const struct prompt_variable *prompt_variable(const struct prompt *p, str name)
{
    for (size_t i = 0; i < p->variables_len; i++)
        if (str_eq(p->variables[i].name, name))
            return &p->variables[i];
    return NULL;
}

// --- Rendering

static bool fits(enum prompt_type type, yyjson_val *v)
{
    int64_t i;
    switch (type) {
    case PROMPT_STRING:
        return yyjson_is_str(v);
    case PROMPT_NUMBER:
        return json_num_text(v).ptr != NULL;
    case PROMPT_INTEGER:
        return json_is_int(v, &i);
    case PROMPT_BOOLEAN:
        return yyjson_is_bool(v);
    case PROMPT_LIST:
        return yyjson_is_arr(v);
    case PROMPT_OBJECT:
        return yyjson_is_obj(v);
    }
    return false;
}

static enum err named(struct diag *d, enum err e, str name)
{
    diag_where(d, STR_FMT, STR_ARG(str_sub(name, 0, 80)));
    return e;
}

static enum err check_given(const struct prompt *p, yyjson_val *variables, struct diag *d)
{
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(variables, i, max, key, value)
    {
        const struct prompt_variable *v = prompt_variable(p, json_str(key));
        if (!v) {
            (void)diag_set(d, ERR_INVALID, "the prompt '" STR_FMT "' has no such variable",
                           STR_ARG(p->name));
            return named(d, ERR_INVALID, json_str(key));
        }
        if (!fits((enum prompt_type)v->type, value)) {
            (void)diag_set(d, ERR_INVALID, "the variable must be of type %s, but it is %s",
                           prompt_type_name((enum prompt_type)v->type), json_type_words(value));
            return named(d, ERR_INVALID, v->name);
        }
    }
    return ERR_OK;
}

// All variables as one object: the caller's, else the defaults.
static enum err write_data(const struct prompt *p, yyjson_val *variables, struct buf *out,
                           struct diag *d)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    for (size_t i = 0; i < p->variables_len; i++) {
        const struct prompt_variable *v = &p->variables[i];
        yyjson_val *given = variables ? yyjson_obj_getn(variables, v->name.ptr, v->name.len) : NULL;
        if (!given && !v->json.ptr) {
            (void)diag_set(d, ERR_NOT_FOUND, "the prompt '" STR_FMT "' needs this variable",
                           STR_ARG(p->name));
            return named(d, ERR_NOT_FOUND, v->name);
        }
        jw_key_str(&w, v->name);
        if (given)
            jw_value(&w, given);
        else
            jw_raw(&w, v->json);
    }
    jw_object_end(&w);
    return out->failed ? diag_set(d, ERR_LIMIT, "the variables are too large") : ERR_OK;
}

static const struct mustache *find_partial(void *ctx, str name)
{
    const struct prompt *p = ctx;
    for (size_t i = 0; i < p->partials_len; i++)
        if (str_eq(p->partials[i].name, name))
            return p->partials[i].text;
    return NULL;
}

static enum err render_messages(const struct prompt *p, yyjson_val *data, size_t bytes_max,
                                struct json_writer *w, struct diag *d)
{
    struct mustache_options o = {
        .escape = p->escape, .partial = find_partial, .ctx = (void *)(uintptr_t)p};
    struct buf text;
    enum err e = ERR_OK;
    buf_init(&text, bytes_max);
    for (size_t i = 0; i < p->messages_len && e == ERR_OK; i++) {
        size_t from = text.len;
        e = mustache_render(p->messages[i].content, data, &o, &text, d);
        if (e != ERR_OK)
            break;
        jw_object_begin(w);
        jw_kv_str(w, "role", p->messages[i].role);
        jw_kv_str(w, "content", str_sub(buf_str(&text), from, SIZE_MAX));
        jw_object_end(w);
    }
    buf_done(&text);
    return e;
}

enum err prompt_render(const struct prompt *p, yyjson_val *variables, size_t bytes_max,
                       struct json_writer *w, struct diag *d)
{
    struct buf text;
    struct json_doc data;
    if (yyjson_is_null(variables))
        variables = NULL;
    if (variables && !yyjson_is_obj(variables))
        return diag_set(d, ERR_INVALID, "the variables must be an object");
    if (variables)
        ERR_TRY(check_given(p, variables, d));
    buf_init(&text, bytes_max + PROMPT_FILE_BYTES_MAX);
    enum err e = write_data(p, variables, &text, d);
    if (e == ERR_OK)
        e = json_parse(&data, buf_str(&text), JSON_LIMITS_DEFAULT, d);
    if (e == ERR_OK) {
        e = render_messages(p, data.root, bytes_max, w, d);
        json_done(&data);
    }
    buf_done(&text);
    return e;
}
