// From the exchange to token ids: template, tokenizer, and what this model cannot do.
#include <stdio.h>

#include "base/json.h"
#include "gateway/local_internal.h"

#include "base/banned.h"

// A prompt's text may be that much longer than its tokens could ever be.
#define PROMPT_TEXT_BYTES_MAX (64u << 20)

bool local_refuse(struct api_error *e, enum err code, const struct diag *d, const char *param)
{
    enum api_error_code api = API_ENGINE_ERROR;
    switch (code) {
    case ERR_LIMIT:
        api = API_CONTEXT_LENGTH;
        break;
    case ERR_INVALID:
    case ERR_PARSE:
        api = API_INVALID_VALUE;
        break;
    case ERR_UNSUPPORTED:
        api = API_OPERATION_UNSUPPORTED;
        break;
    case ERR_BUSY:
        api = API_QUEUE_FULL;
        break;
    case ERR_TIMEOUT:
        api = API_TIMEOUT;
        break;
    case ERR_CANCELLED:
        api = API_SHUTTING_DOWN;
        break;
    default:
        param = NULL;
        break;
    }
    return api_error_set(e, api, param, "%s", d->text[0] ? d->text : err_name(code));
}

static bool no_memory(struct api_error *e)
{
    return api_error_set(e, API_JSON_LIMIT, NULL,
                         "The request needs more memory than one call may use.");
}

// --- What is not offered

static bool check_request(const struct local_model *lm, const struct exchange_request *r,
                          struct api_error *e)
{
    if (r->tools_len && r->tool_choice != EXCHANGE_TOOLS_NONE && !lm->info->chat_tools)
        return api_error_set(e, API_TOOLS_UNSUPPORTED, "tools",
                             "The model '" STR_FMT "' does not support tools: its chat template "
                             "has no place for them. Leave 'tools' out, choose another model, or "
                             "write them by another template (chat_family: chatml-tools).",
                             STR_ARG(lm->info->name));
    for (size_t i = 0; i < r->tools_len; i++)
        if (r->tools[i].builtin)
            return api_error_set(e, API_TOOLS_UNSUPPORTED, "tools",
                                 "The tool '" STR_FMT
                                 "' is another provider's own; the local model "
                                 "can call functions of yours only.",
                                 STR_ARG(r->tools[i].name));
    if ((r->given & EXCHANGE_HAS_DIMENSIONS) && r->dimensions > lm->info->n_embd)
        return api_error_set(e, API_ABOVE_MAX, "dimensions",
                             "'dimensions' can be %u at most for the model '" STR_FMT "'.",
                             lm->info->n_embd, STR_ARG(lm->info->name));
    return true;
}

static bool check_part(const struct exchange_part *p, size_t message, struct api_error *e)
{
    char param[48];
    switch (p->type) {
    case EXCHANGE_PART_TEXT:
    case EXCHANGE_PART_REFUSAL:
    case EXCHANGE_PART_THINKING:
        return true;
    case EXCHANGE_PART_FILE:
        if (p->text.ptr)
            return true;
        break;
    case EXCHANGE_PART_IMAGE:
    case EXCHANGE_PART_AUDIO:
    case EXCHANGE_PART_OTHER:
        break;
    }
    snprintf(param, sizeof param, "messages[%zu].content", message);
    return api_error_set(
        e, p->type == EXCHANGE_PART_IMAGE ? API_IMAGES_UNSUPPORTED : API_OPERATION_UNSUPPORTED,
        param, "The local model reads text only.");
}

// --- Chat

// Templates have no place for the reasoning of earlier turns.
static str said(const struct exchange_part *p)
{
    return p->type == EXCHANGE_PART_THINKING ? STR("") : p->text;
}

static bool join_parts(const struct exchange_message *m, size_t index, struct arena *arena,
                       str *ret, struct api_error *e)
{
    size_t len = 0;
    for (size_t i = 0; i < m->parts_len; i++) {
        if (!check_part(&m->parts[i], index, e))
            return false;
        len += said(&m->parts[i]).len;
    }
    if (m->parts_len == 1) {
        *ret = said(&m->parts[0]);
        return true;
    }
    char *text = arena_alloc(arena, len + 1);
    if (!text)
        return no_memory(e);
    *ret = str_slice(text, len);
    for (size_t i = 0; i < m->parts_len; i++) {
        str s = said(&m->parts[i]);
        if (s.len)
            memcpy(text, s.ptr, s.len);
        text += s.len;
    }
    return true;
}

static bool arena_copy(struct arena *arena, const struct buf *b, str *ret, struct api_error *e)
{
    if (b->failed)
        return no_memory(e);
    *ret = arena_str(arena, buf_str(b));
    return ret->ptr || no_memory(e);
}

// OpenAI's array of calls, as the templates read it.
static bool calls_json(const struct exchange_message *m, struct arena *arena, str *ret,
                       struct api_error *e)
{
    struct buf out;
    struct json_writer w;
    if (!m->calls_len)
        return true;
    buf_init(&out, PROMPT_TEXT_BYTES_MAX);
    jw_init(&w, &out);
    jw_array_begin(&w);
    for (size_t i = 0; i < m->calls_len; i++) {
        jw_object_begin(&w);
        jw_kv_str(&w, "id", m->calls[i].id);
        jw_key(&w, "function");
        jw_object_begin(&w);
        jw_kv_str(&w, "name", m->calls[i].name);
        jw_kv_str(&w, "arguments", m->calls[i].arguments);
        jw_object_end(&w);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    bool ok = arena_copy(arena, &out, ret, e);
    buf_done(&out);
    return ok;
}

// OpenAI's array of tools, as the templates read it.
static void write_tools(struct json_writer *w, const struct exchange_request *r)
{
    jw_array_begin(w);
    for (size_t i = 0; i < r->tools_len; i++) {
        jw_object_begin(w);
        jw_kv_z(w, "type", "function");
        jw_key(w, "function");
        jw_object_begin(w);
        jw_kv_str(w, "name", r->tools[i].name);
        if (r->tools[i].description.len)
            jw_kv_str(w, "description", r->tools[i].description);
        if (r->tools[i].parameters) {
            jw_key(w, "parameters");
            jw_value(w, r->tools[i].parameters);
        }
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static bool tools_json(const struct exchange_request *r, struct arena *arena, str *ret,
                       struct api_error *e)
{
    struct buf out;
    struct json_writer w;
    *ret = STR_NONE;
    if (!r->tools_len || r->tool_choice == EXCHANGE_TOOLS_NONE)
        return true;
    buf_init(&out, PROMPT_TEXT_BYTES_MAX);
    jw_init(&w, &out);
    if (r->tools_raw)
        jw_value(&w, r->tools_raw);
    else
        write_tools(&w, r);
    bool ok = arena_copy(arena, &out, ret, e);
    buf_done(&out);
    return ok;
}

static bool fill_messages(const struct exchange_request *r, struct arena *arena,
                          struct chat_message *out, struct api_error *e)
{
    for (size_t i = 0; i < r->messages_len; i++) {
        const struct exchange_message *m = &r->messages[i];
        out[i].role = str_of(exchange_role_name(m->role));
        out[i].name = m->name;
        out[i].tool_call_id = m->tool_call_id;
        if (!join_parts(m, i, arena, &out[i].content, e) ||
            !calls_json(m, arena, &out[i].tool_calls_json, e))
            return false;
    }
    return true;
}

bool local_render(const struct model_entry *m, const struct exchange_request *r,
                  bool add_generation, struct arena *arena, struct buf *out,
                  struct api_error *ret_error)
{
    const struct local_model *lm = m->provider_model;
    struct diag d = {0};
    str tools;
    struct chat_message *messages = arena_zalloc(arena, r->messages_len, sizeof *messages);
    if (!messages)
        return no_memory(ret_error);
    if (!fill_messages(r, arena, messages, ret_error) || !tools_json(r, arena, &tools, ret_error))
        return false;
    enum err code =
        engine_chat_render(lm->model, messages, r->messages_len, tools, add_generation, out, &d);
    return code == ERR_OK || local_refuse(ret_error, code, &d, "messages");
}

// --- Tokens

bool local_tokenize(const struct model_entry *m, str text, bool add_special, bool parse_special,
                    struct arena *arena, int32_t **ret_ids, size_t *ret_len,
                    struct api_error *ret_error)
{
    const struct local_model *lm = m->provider_model;
    struct engine_tokens tokens = {0};
    struct diag d = {0};
    enum err code = engine_tokenize(lm->model, text, add_special, parse_special, &tokens);
    if (code != ERR_OK) {
        diag_set(&d, code, "The text cannot be tokenised (%s).", err_name(code));
        return local_refuse(ret_error, code, &d, NULL);
    }
    int32_t *ids = arena_alloc(arena, (tokens.len ? tokens.len : 1) * sizeof *ids);
    if (ids && tokens.len)
        memcpy(ids, tokens.ids, tokens.len * sizeof *ids);
    *ret_len = tokens.len;
    *ret_ids = ids;
    engine_tokens_done(&tokens);
    return ids || no_memory(ret_error);
}

static bool check_ids(const struct local_model *lm, const int32_t *ids, size_t len,
                      struct api_error *e)
{
    for (size_t i = 0; i < len; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= lm->info->n_vocab)
            return api_error_set(e, API_INVALID_VALUE, NULL,
                                 "%d is not a token of the model '" STR_FMT
                                 "': its ids go from 0 to %u.",
                                 ids[i], STR_ARG(lm->info->name), lm->info->n_vocab - 1);
    return true;
}

bool local_detokenize(const struct model_entry *m, const int32_t *ids, size_t len, struct buf *out,
                      struct api_error *ret_error)
{
    const struct local_model *lm = m->provider_model;
    struct diag d = {0};
    if (!check_ids(lm, ids, len, ret_error))
        return false;
    enum err code = engine_detokenize(lm->model, ids, len, out);
    if (code == ERR_OK)
        return true;
    diag_set(&d, code, "The tokens cannot be turned into text (%s).", err_name(code));
    return local_refuse(ret_error, code, &d, NULL);
}

// --- The plan

// A call that must be made is begun in the prompt, so that the model can only go on with it.
static bool plan_tools(const struct local_model *lm, const struct exchange_request *r,
                       struct arena *arena, struct local_plan *plan, struct api_error *e)
{
    bool named = r->tool_choice == EXCHANGE_TOOLS_NAMED;
    if (r->tools_len && r->tool_choice != EXCHANGE_TOOLS_NONE)
        plan->tools = lm->info->chat_tool_format;
    if (!plan->tools || (!named && r->tool_choice != EXCHANGE_TOOLS_REQUIRED))
        return true;
    plan->call_open = local_tools_opening(plan->tools, named ? r->tool_name : STR_NONE, arena);
    return plan->call_open.ptr || no_memory(e);
}

// An answer that goes on after `said`: its tokens follow the prompt's, but for the last one. The
// break may lie inside what would have been one token, so the model says that piece once more, held
// to its bytes, and is free to go on with a longer token.
static bool plan_continuation(const struct model_entry *m, str said, struct arena *arena,
                              struct local_plan *plan, struct local_prompt *p, struct api_error *e)
{
    int32_t *ids = NULL;
    size_t len = 0;
    if (!local_tokenize(m, said, false, false, arena, &ids, &len, e))
        return false;
    struct buf kept;
    buf_init(&kept, PROMPT_TEXT_BYTES_MAX);
    len -= len > 0;
    bool ok = local_detokenize(m, ids, len, &kept, e);
    size_t kept_len = kept.len;
    // A tokenizer that does not give the text back is not trusted with a cut.
    bool exact = ok && str_starts(said, buf_str(&kept));
    buf_done(&kept);
    int32_t *all = ok ? arena_alloc(arena, (p->len + len + 1) * sizeof *all) : NULL;
    if (!all)
        return ok ? no_memory(e) : false;
    if (!exact)
        kept_len = len = 0;
    if (p->ids)
        memcpy(all, p->ids, p->len * sizeof *all);
    if (len)
        memcpy(all + p->len, ids, len * sizeof *all);
    p->ids = all;
    p->len += len;
    plan->forced = str_sub(said, kept_len, SIZE_MAX);
    plan->grammar_said = str_sub(said, 0, kept_len);
    return true;
}

static str last_text(const struct exchange_request *r)
{
    const struct exchange_message *m = &r->messages[r->messages_len - 1];
    return m->parts_len ? m->parts[0].text : STR("");
}

static bool plan_chat(const struct model_entry *m, const struct exchange_request *r,
                      struct local_plan *plan, struct arena *arena, struct local_prompt *ret,
                      struct api_error *e)
{
    struct buf text;
    int32_t *ids = NULL;
    buf_init(&text, PROMPT_TEXT_BYTES_MAX);
    struct exchange_request before = *r;
    before.messages_len -= r->continues;
    bool ok = local_render(m, &before, true, arena, &text, e) &&
              (buf_append_str(&text, plan->call_open) == ERR_OK || no_memory(e)) &&
              local_tokenize(m, buf_str(&text), r->add_special, true, arena, &ids, &ret->len, e);
    buf_done(&text);
    ret->ids = ok ? ids : NULL;
    return ok && (!r->continues || plan_continuation(m, last_text(r), arena, plan, ret, e));
}

static bool echo_ids(const struct model_entry *m, struct local_prompt *p, struct arena *arena,
                     struct api_error *e)
{
    struct buf text;
    buf_init(&text, PROMPT_TEXT_BYTES_MAX);
    bool ok =
        local_detokenize(m, p->ids, p->len, &text, e) && arena_copy(arena, &text, &p->echo, e);
    buf_done(&text);
    return ok;
}

static bool plan_prompt(const struct model_entry *m, const struct exchange_request *r,
                        const struct exchange_prompt *from, struct arena *arena,
                        struct local_prompt *ret, struct api_error *e)
{
    const struct local_model *lm = m->provider_model;
    int32_t *ids = NULL;
    if (from->is_ids) {
        ret->ids = from->ids;
        ret->len = from->ids_len;
        return check_ids(lm, ret->ids, ret->len, e) && (!r->echo || echo_ids(m, ret, arena, e));
    }
    ret->echo = r->echo ? from->text : STR_NONE;
    if (!local_tokenize(m, from->text, r->add_special, true, arena, &ids, &ret->len, e))
        return false;
    ret->ids = ids;
    return true;
}

static bool check_length(const struct local_model *lm, const struct exchange_request *r,
                         const struct local_prompt *p, struct api_error *e)
{
    static const char *const params[] = {"messages", "prompt", "input"};
    const char *param = params[r->kind];
    bool generates = r->kind != EXCHANGE_EMBEDDING &&
                     !((r->given & EXCHANGE_HAS_TOKENS_MAX) && r->tokens_max == 0);
    size_t most = lm->info->context_max - (generates ? 1 : 0);
    if (!p->len)
        return api_error_set(e, API_INVALID_VALUE, param,
                             "'%s' has no tokens: there is nothing to go on from.", param);
    if (p->len <= most)
        return true;
    return api_error_set(e, API_CONTEXT_LENGTH, param,
                         "This model's maximum context length is %u tokens, but the %s came to "
                         "%zu%s. Shorten it.",
                         lm->info->context_max, param, p->len,
                         generates ? " and the answer needs at least one" : "");
}

static bool plan_stops(const struct local_model *lm, const struct exchange_request *r,
                       struct arena *arena, struct local_plan *plan, struct api_error *e)
{
    const char *const *own = lm->info->chat_stops;
    size_t own_len = 0;
    // A grammar knows itself where the answer ends.
    while (r->kind == EXCHANGE_CHAT && !r->ignore_eos && !plan->grammar_len && own && own[own_len])
        own_len++;
    if (r->stops_len + own_len > ENGINE_STOPS_MAX)
        return api_error_set(e, API_ARRAY_TOO_LONG, "stop", "'stop' may have %zu strings at most.",
                             ENGINE_STOPS_MAX - own_len);
    plan->stops = arena_zalloc(arena, own_len + r->stops_len + 1, sizeof *plan->stops);
    if (!plan->stops)
        return no_memory(e);
    plan->stops_len = own_len + r->stops_len;
    for (size_t i = 0; i < own_len; i++)
        plan->stops[i] = str_of(own[i]);
    if (r->stops_len)
        memcpy(plan->stops + own_len, r->stops, r->stops_len * sizeof *plan->stops);
    return true;
}

static bool plan_prompts(const struct model_entry *m, const struct exchange_request *r,
                         struct arena *arena, struct local_plan *plan, struct api_error *e)
{
    const struct local_model *lm = m->provider_model;
    for (size_t i = 0; i < plan->len; i++) {
        struct local_prompt *p = &plan->prompts[i];
        bool ok = r->kind == EXCHANGE_CHAT ? plan_chat(m, r, plan, arena, p, e)
                                           : plan_prompt(m, r, &r->prompts[i], arena, p, e);
        if (!ok || !check_length(lm, r, p, e))
            return false;
        plan->prompt_tokens += p->len;
    }
    return true;
}

static bool plan_prediction(const struct model_entry *m, const struct exchange_request *r,
                            struct arena *arena, struct local_plan *plan, struct api_error *e)
{
    return !r->prediction.len || local_tokenize(m, r->prediction, false, false, arena,
                                                &plan->prediction_ids, &plan->prediction_len, e);
}

// What an engine without a notion of it leaves out.
static void lose(const struct exchange_request *r, struct exchange_losses *losses)
{
    if (r->reasoning_effort.len && !str_eq_z(r->reasoning_effort, "none"))
        exchange_lose(losses, STR("reasoning_effort"));
    if (r->thinking_tokens_max)
        exchange_lose(losses, STR("thinking"));
    for (size_t i = 0; i < r->messages_len; i++) {
        if (r->messages[i].is_error)
            exchange_lose(losses, STR("messages[].is_error"));
        for (size_t k = 0; k < r->messages[i].parts_len; k++)
            if (r->messages[i].parts[k].type == EXCHANGE_PART_THINKING)
                exchange_lose(losses, STR("messages[].thinking"));
    }
}

bool local_prepare(const struct model_entry *m, const struct exchange_request *r,
                   struct arena *arena, struct exchange_losses *losses, void **ret_plan,
                   struct api_error *ret_error)
{
    const struct local_model *lm = m->provider_model;
    struct local_plan *plan = arena_zalloc(arena, 1, sizeof *plan);
    if (!check_request(lm, r, ret_error))
        return false;
    if (!plan)
        return no_memory(ret_error);
    plan->len = r->kind == EXCHANGE_CHAT ? 1 : r->prompts_len;
    plan->prompts = arena_zalloc(arena, plan->len, sizeof *plan->prompts);
    if (!plan->prompts)
        return no_memory(ret_error);
    *ret_plan = plan;
    lose(r, losses);
    return plan_tools(lm, r, arena, plan, ret_error) &&
           local_plan_grammar(r, arena, plan, ret_error) &&
           plan_stops(lm, r, arena, plan, ret_error) &&
           plan_prompts(m, r, arena, plan, ret_error) &&
           plan_prediction(m, r, arena, plan, ret_error) &&
           local_check_grammar(lm, r, plan, ret_error);
}

bool local_count(const struct model_entry *m, const struct exchange_request *r, struct arena *arena,
                 uint64_t *ret_tokens, struct api_error *ret_error)
{
    struct local_plan plan = {.len = 1};
    struct local_prompt prompt = {0};
    if (!check_request(m->provider_model, r, ret_error) ||
        !plan_tools(m->provider_model, r, arena, &plan, ret_error) ||
        !plan_chat(m, r, &plan, arena, &prompt, ret_error))
        return false;
    *ret_tokens = prompt.len;
    return true;
}
