// A request that names a prompt becomes the request that the prompt stands for: its messages before
// the client's own, its model and parameters where the client says nothing. Any thread.
#include "gateway/phase_prompt.h"

#include <stdio.h>

#include "gateway/gateway_internal.h"
#include "gateway/server.h"
#include "prompt/prompts.h"

#include "base/banned.h"

// What the two protocols that take prompts call the same things.
struct words {
    const char *dialect;
    const char *messages; // the array that the rendered ones go into
    const char *limit;    // "max_tokens"
    const char *also;     // another word for it; may be NULL
    bool few;             // knows neither stop strings, nor a seed, nor penalties
};

static const struct words *words_of(const struct call *c)
{
    static const struct words both[] = {
        {"openai.chat", "messages", "max_tokens", "max_completion_tokens", false},
        {"openai.responses", "input", "max_output_tokens", NULL, true},
    };
    for (size_t i = 0; c->kind->dialect && i < ARRAY_LEN(both); i++)
        if (str_eq_z(str_of(c->kind->dialect->name), both[i].dialect))
            return &both[i];
    return NULL;
}

bool phase_prompt_named(const struct call *c)
{
    return c->gateway->shared->prompts && words_of(c) &&
           str_find(c->in.body, STR("\"prompt\"")) != SIZE_MAX;
}

// --- Which prompt

static const struct prompt *find(struct call *c, yyjson_val *asked)
{
    const struct prompts *all = c->gateway->shared->prompts;
    yyjson_val *by_name = json_get(asked, "name");
    str name = json_str(by_name ? by_name : json_get(asked, "id"));
    str version = json_str(json_get(asked, "version"));
    const char *param = by_name ? "prompt.name" : "prompt.id";
    const struct prompt *p = name.len ? prompts_find(all, name, version) : NULL;
    if (p)
        return p;
    if (!name.len)
        api_error_set(call_error(c), API_MISSING_PARAMETER, "prompt.name",
                      "'prompt' needs a name.");
    else if (version.len && prompts_find(all, name, STR_NONE))
        api_error_set(call_error(c), API_PROMPT_NOT_FOUND, "prompt.version",
                      "The prompt '%.64s' has no version '%.64s'; GET /v1/prompts lists them.",
                      name.ptr, version.ptr);
    else
        api_error_set(call_error(c), API_PROMPT_NOT_FOUND, param,
                      "There is no prompt '%.64s'; GET /v1/prompts lists what there is.", name.ptr);
    return NULL;
}

static bool refuse_render(struct call *c, enum err e, const struct diag *d)
{
    char param[160];
    enum api_error_code code = e == ERR_NOT_FOUND ? API_MISSING_PARAMETER
                               : e == ERR_INVALID ? API_INVALID_VALUE
                                                  : API_BODY_TOO_LARGE;
    snprintf(param, sizeof param, "prompt.variables%s%s", d->where[0] ? "." : "", d->where);
    return api_error_set(call_error(c), code, param, "'%s': %s.", param, d->text);
}

// --- The request it stands for

static void write_own_messages(struct json_writer *w, yyjson_val *own)
{
    size_t i, max;
    yyjson_val *one;
    if (yyjson_is_str(own)) { // Responses: a user's text
        jw_object_begin(w);
        jw_kv_z(w, "role", "user");
        jw_kv_str(w, "content", json_str(own));
        jw_object_end(w);
    }
    yyjson_arr_foreach(own, i, max, one)
    {
        jw_value(w, one);
    }
}

static bool is_for_few(str name)
{
    return str_eq(name, STR("temperature")) || str_eq(name, STR("top_p")) ||
           str_eq(name, STR("max_tokens"));
}

static void write_parameters(struct json_writer *w, const struct prompt *p, const struct words *of,
                             yyjson_val *root)
{
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(p->parameters.root, i, max, key, value)
    {
        bool limit = str_eq(json_str(key), STR("max_tokens"));
        str name = limit ? str_of(of->limit) : json_str(key);
        if ((of->few && !is_for_few(json_str(key))) || yyjson_obj_getn(root, name.ptr, name.len) ||
            (limit && of->also && json_get(root, of->also)))
            continue;
        jw_key_str(w, name);
        jw_value(w, value);
    }
}

static void write_rest(struct json_writer *w, const struct prompt *p, const struct words *of,
                       yyjson_val *root)
{
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, max, key, value)
    {
        str name = json_str(key);
        if (str_eq(name, STR("prompt")) || str_eq_z(name, of->messages))
            continue;
        jw_key_str(w, name);
        jw_value(w, value);
    }
    if (p->model.len && !json_get(root, "model"))
        jw_kv_str(w, "model", p->model);
    if (p->parameters.root)
        write_parameters(w, p, of, root);
}

static bool write_body(struct call *c, const struct prompt *p, const struct words *of,
                       struct buf *out)
{
    struct json_writer w;
    struct diag d = {0};
    yyjson_val *root = c->doc.root, *own = json_get(root, of->messages);
    jw_init(&w, out);
    jw_object_begin(&w);
    write_rest(&w, p, of, root);
    jw_key(&w, of->messages);
    jw_array_begin(&w);
    enum err e = prompt_render(p, json_get(json_get(root, "prompt"), "variables"),
                               (size_t)c->gateway->config->limits.body_bytes_max, &w, &d);
    if (e != ERR_OK)
        return refuse_render(c, e, &d);
    write_own_messages(&w, own);
    jw_array_end(&w);
    jw_object_end(&w);
    return !out->failed || api_error_set(call_error(c), API_BODY_TOO_LARGE, "prompt",
                                         "The rendered prompt is larger than a body may be.");
}

// Read anew: what follows sees no difference to a client that wrote all this itself.
static bool replace_body(struct call *c, const struct buf *body)
{
    struct json_doc doc;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    str text = arena_str(&c->arena, buf_str(body));
    if (!text.ptr || json_parse(&doc, text, limits, NULL) != ERR_OK)
        return api_error_set(call_error(c), API_JSON_LIMIT, "prompt",
                             "The rendered prompt needs too much memory.");
    json_done(&c->doc);
    c->doc = doc;
    c->in.body = text;
    return true;
}

bool phase_prompt(struct call *c)
{
    yyjson_val *asked = json_get(c->doc.root, "prompt");
    const struct words *of = words_of(c);
    struct buf body;
    if (!c->gateway->shared->prompts || !of || !yyjson_is_obj(asked))
        return true;
    const struct prompt *p = find(c, asked);
    if (!p)
        return false;
    buf_init(&body, 2 * (size_t)c->gateway->config->limits.body_bytes_max);
    bool ok = write_body(c, p, of, &body) && replace_body(c, &body);
    buf_done(&body);
    return ok;
}

// --- GET /v1/prompts

void prompts_page(struct gateway *g, struct http_call *hc)
{
    struct buf out;
    buf_init(&out, 16u << 20);
    if (g->shared->prompts)
        prompts_write(g->shared->prompts, &out);
    else
        (void)buf_append_str(&out, STR("{\"object\":\"list\",\"data\":[]}"));
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}
