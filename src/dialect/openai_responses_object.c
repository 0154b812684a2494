// The response object and the items of its output.
#include "dialect/openai_common.h"
#include "dialect/openai_responses.h"

#include "base/banned.h"

// --- Items

void responses_write_item_id(struct json_writer *w, const char *key, const struct exchange_head *h,
                             enum block_type type, size_t index)
{
    static const char *const prefixes[] = {"rs", "msg", "fc"};
    struct buf id;
    size_t mark = str_find_char(h->id, '_');
    buf_init(&id, 4096);
    (void)buf_printf(&id, "%s_" STR_FMT "_%zu", prefixes[type],
                     STR_ARG(str_sub(h->id, mark == SIZE_MAX ? 0 : mark + 1, SIZE_MAX)), index);
    jw_kv_str(w, key, buf_str(&id));
    buf_done(&id);
}

static void raw_array(struct json_writer *w, const char *key, str items)
{
    jw_key(w, key);
    jw_array_begin(w);
    if (items.len)
        jw_raw(w, items);
    jw_array_end(w);
}

void responses_write_part(struct json_writer *w, enum block_type type, str text, str logprobs)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", type == BLOCK_TEXT ? "output_text" : "reasoning_text");
    jw_kv_str(w, "text", text);
    if (type == BLOCK_TEXT) {
        raw_array(w, "annotations", STR_NONE);
        raw_array(w, "logprobs", logprobs);
    }
    jw_object_end(w);
}

static void write_reasoning(struct json_writer *w, const struct responses_item *item)
{
    raw_array(w, "summary", STR_NONE);
    jw_key(w, "content");
    jw_array_begin(w);
    if (!item->opening && item->text.len)
        responses_write_part(w, BLOCK_THINKING, item->text, STR_NONE);
    jw_array_end(w);
    if (item->signature.len)
        jw_kv_str(w, "encrypted_content", item->signature);
}

static void write_message(struct json_writer *w, const struct responses_item *item)
{
    jw_kv_z(w, "role", "assistant");
    jw_key(w, "content");
    jw_array_begin(w);
    if (!item->opening)
        responses_write_part(w, BLOCK_TEXT, item->text, item->logprobs);
    jw_array_end(w);
}

static void write_call(struct json_writer *w, const struct responses_item *item)
{
    jw_kv_str(w, "call_id", item->call_id);
    jw_kv_str(w, "name", item->name);
    jw_kv_str(w, "arguments", item->text);
}

void responses_write_item(struct json_writer *w, const struct exchange_head *h,
                          const struct responses_item *item)
{
    static const char *const types[] = {"reasoning", "message", "function_call"};
    jw_object_begin(w);
    responses_write_item_id(w, "id", h, item->type, item->index);
    jw_kv_z(w, "type", types[item->type]);
    jw_kv_z(w, "status", item->status);
    if (item->type == BLOCK_THINKING)
        write_reasoning(w, item);
    else if (item->type == BLOCK_TEXT)
        write_message(w, item);
    else
        write_call(w, item);
    jw_object_end(w);
}

void responses_add_logprobs(struct buf *out, const struct exchange_token *tokens, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct json_writer w;
        if (out->len)
            buf_append_char(out, ',');
        jw_init(&w, out);
        openai_write_token(&w, &tokens[i]);
    }
}

// --- What was asked, told again

static void echo(struct json_writer *w, const struct exchange_request *r, const char *name)
{
    jw_key(w, name);
    jw_value(w, json_get(r->root, name)); // NULL is null
}

static void write_tools(struct json_writer *w, const struct exchange_request *r)
{
    yyjson_val *tools = json_get(r->root, "tools");
    jw_key(w, "tools");
    jw_array_begin(w);
    for (size_t i = 0; i < r->tools_len; i++) {
        const struct exchange_tool *t = &r->tools[i];
        if (t->builtin) {
            jw_value(w, yyjson_arr_get(tools, i));
            continue;
        }
        jw_object_begin(w);
        jw_kv_z(w, "type", "function");
        jw_kv_str(w, "name", t->name);
        if (t->description.ptr)
            jw_kv_str(w, "description", t->description);
        jw_key(w, "parameters");
        jw_value(w, t->parameters);
        jw_kv_bool(w, "strict", t->strict);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_tool_choice(struct json_writer *w, const struct exchange_request *r)
{
    static const char *const names[] = {"auto", "none", "required"};
    jw_key(w, "tool_choice");
    if (r->tool_choice != EXCHANGE_TOOLS_NAMED) {
        jw_z(w, names[r->tool_choice]);
        return;
    }
    jw_object_begin(w);
    jw_kv_z(w, "type", "function");
    jw_kv_str(w, "name", r->tool_name);
    jw_object_end(w);
}

static void write_text(struct json_writer *w, const struct exchange_request *r)
{
    yyjson_val *format = json_get(json_get(r->root, "text"), "format");
    jw_key(w, "text");
    jw_object_begin(w);
    jw_key(w, "format");
    if (format) {
        jw_value(w, format);
    } else {
        jw_object_begin(w);
        jw_kv_z(w, "type", "text");
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void write_asked(struct json_writer *w, const struct exchange_request *r)
{
    echo(w, r, "instructions");
    echo(w, r, "max_output_tokens");
    echo(w, r, "metadata");
    jw_kv_bool(w, "parallel_tool_calls", r->parallel_tool_calls);
    jw_kv_null(w, "previous_response_id");
    echo(w, r, "reasoning");
    jw_kv_bool(w, "store", false);
    jw_kv_f64(w, "temperature", r->temperature);
    write_text(w, r);
    write_tool_choice(w, r);
    write_tools(w, r);
    jw_kv_f64(w, "top_p", r->top_p);
    jw_kv_z(w, "truncation", r->truncates ? "auto" : "disabled");
}

// --- The object

const char *responses_status(enum exchange_finish f)
{
    return f == EXCHANGE_FINISH_LENGTH || f == EXCHANGE_FINISH_FILTER ? "incomplete" : "completed";
}

static void write_incomplete(struct json_writer *w, const struct responses_state *s)
{
    jw_key(w, "incomplete_details");
    if (!str_eq_z(STR("incomplete"), s->status)) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    jw_kv_z(w, "reason",
            s->finish == EXCHANGE_FINISH_LENGTH ? "max_output_tokens" : "content_filter");
    jw_object_end(w);
}

static void write_error(struct json_writer *w, const struct api_error *e)
{
    jw_key(w, "error");
    if (!e) {
        jw_null(w);
        return;
    }
    int status = api_error_row(e->code)->status;
    jw_object_begin(w);
    jw_kv_z(w, "code",
            status == 429  ? "rate_limit_exceeded"
            : status < 500 ? "invalid_prompt"
                           : "server_error");
    jw_kv_z(w, "message", e->message);
    jw_object_end(w);
}

static void write_usage(struct json_writer *w, const struct exchange_usage *u)
{
    jw_key(w, "usage");
    jw_object_begin(w);
    jw_kv_int(w, "input_tokens", (int64_t)u->prompt_tokens);
    jw_key(w, "input_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "cached_tokens", (int64_t)u->cached_tokens);
    jw_kv_int(w, "cache_write_tokens", (int64_t)u->cache_write_tokens);
    jw_object_end(w);
    jw_kv_int(w, "output_tokens", (int64_t)u->completion_tokens);
    jw_key(w, "output_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "reasoning_tokens", (int64_t)u->reasoning_tokens);
    jw_object_end(w);
    jw_kv_int(w, "total_tokens", (int64_t)(u->prompt_tokens + u->completion_tokens));
    jw_object_end(w);
}

void responses_write(struct json_writer *w, const struct exchange_request *r,
                     const struct exchange_head *h, const struct responses_state *s)
{
    jw_object_begin(w);
    jw_kv_str(w, "id", h->id);
    jw_kv_z(w, "object", "response");
    jw_kv_int(w, "created_at", h->created_s);
    jw_kv_z(w, "status", s->status);
    jw_kv_bool(w, "background", false);
    write_error(w, s->error);
    write_incomplete(w, s);
    jw_kv_str(w, "model", h->model);
    raw_array(w, "output", s->output);
    write_asked(w, r);
    if (s->usage)
        write_usage(w, s->usage);
    jw_object_end(w);
}
