#include "dialect/upstream_reader.h"

#include <stdio.h>

#include "base/mem.h"

#include "base/banned.h"

#define ARENA_BYTES_MAX (256u << 20)
// Where a provider counts no tokens: so many bytes of text are taken for one.
#define BYTES_PER_TOKEN 4

void upstream_reader_init(struct upstream_reader *r, const struct upstream_dialect *d,
                          const struct exchange_request *q, str provider, bool raw)
{
    *r = (struct upstream_reader){.dialect = d, .request = q, .provider = provider, .raw = raw};
    r->choices_len = exchange_choices(q);
    r->choices = mem_array(r->choices_len, sizeof *r->choices);
    arena_init(&r->arena, ARENA_BYTES_MAX);
    buf_init(&r->raw_text, 2 * (size_t)UPSTREAM_FRAME_BYTES_MAX);
}

void upstream_reader_done(struct upstream_reader *r)
{
    for (size_t i = 0; i < r->choices_len; i++)
        mem_free(r->choices[i].calls);
    mem_free(r->choices);
    mem_free(r->id);
    mem_free(r->model);
    exchange_events_done(&r->events);
    json_done(&r->doc);
    arena_done(&r->arena);
    buf_done(&r->raw_text);
    *r = (struct upstream_reader){.ended = true};
}

static void forget(struct upstream_reader *r)
{
    json_done(&r->doc);
    arena_reset(&r->arena);
    buf_clear(&r->raw_text);
    r->frame_raw = STR_NONE;
    r->frame_dropped = false;
}

void upstream_reader_rest(struct upstream_reader *r)
{
    if (r->events.next != r->events.len)
        return;
    forget(r);
    arena_done(&r->arena);
    buf_shrink(&r->raw_text);
    exchange_events_rest(&r->events);
}

// --- Ending

void upstream_reader_fail(struct upstream_reader *r, const struct api_error *e)
{
    if (r->ended)
        return;
    r->ended = true;
    *exchange_events_fail(&r->events, 0) = *e;
}

static void fail(struct upstream_reader *r, enum api_error_code code, enum failure failure,
                 const char *what)
{
    struct api_error e;
    api_error_set(&e, code, NULL, "The provider '" STR_FMT "' %s.", STR_ARG(r->provider), what);
    e.failure = failure;
    upstream_reader_fail(r, &e);
}

void upstream_malformed(struct upstream_reader *r, const char *what)
{
    fail(r, API_UPSTREAM_MALFORMED, FAILURE_MALFORMED, what);
}

static void cut(struct upstream_reader *r)
{
    fail(r, API_UPSTREAM_CUT, FAILURE_TRUNCATED, "ended its answer before it was complete");
}

static uint64_t tokens_of(uint64_t bytes)
{
    return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

static uint64_t prompt_bytes(const struct exchange_request *q)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < q->messages_len; i++)
        for (size_t k = 0; k < q->messages[i].parts_len; k++)
            bytes += q->messages[i].parts[k].text.len;
    for (size_t i = 0; i < q->prompts_len; i++)
        bytes +=
            q->prompts[i].is_ids ? q->prompts[i].ids_len * BYTES_PER_TOKEN : q->prompts[i].text.len;
    return bytes;
}

static void estimate_usage(struct upstream_reader *r)
{
    r->usage.prompt_tokens = tokens_of(prompt_bytes(r->request));
    r->usage.completion_tokens = tokens_of(r->text_bytes);
    r->usage.estimated = true;
    if (!r->raw || !r->request->include_usage || !r->dialect->usage_frame)
        return;
    struct buf text;
    struct json_writer j;
    buf_init(&text, UPSTREAM_FRAME_BYTES_MAX);
    (void)buf_append_str(&text, STR("data: "));
    jw_init(&j, &text);
    r->dialect->usage_frame(r, &j);
    (void)buf_append_str(&text, STR("\n\n"));
    exchange_events_push(&r->events, EXCHANGE_EVENT_RAW, 0)->raw =
        arena_str(&r->arena, buf_str(&text));
    buf_done(&text);
}

void upstream_end(struct upstream_reader *r)
{
    if (r->ended)
        return;
    upstream_begin(r);
    if (!r->usage_known)
        estimate_usage(r);
    r->ended = true;
    exchange_events_push(&r->events, EXCHANGE_EVENT_END, 0)->usage = r->usage;
}

bool upstream_all_finished(const struct upstream_reader *r)
{
    for (size_t i = 0; i < r->choices_len; i++)
        if (!r->choices[i].finished)
            return false;
    return true;
}

// --- Saying

void upstream_begin(struct upstream_reader *r)
{
    if (r->begun || r->ended)
        return;
    r->begun = true;
    exchange_events_push(&r->events, EXCHANGE_EVENT_BEGIN, 0)->usage.prompt_tokens =
        r->usage.prompt_tokens;
}

// NULL: no such choice was asked for.
static struct upstream_choice *choice_at(struct upstream_reader *r, int64_t choice)
{
    if (choice >= 0 && (uint64_t)choice < r->choices_len)
        return &r->choices[choice];
    upstream_malformed(r, "answers a choice that was not asked for");
    return NULL;
}

static struct exchange_event *say(struct upstream_reader *r, enum exchange_event_type type,
                                  int64_t choice)
{
    if (r->ended || !choice_at(r, choice))
        return NULL;
    upstream_begin(r);
    return exchange_events_push(&r->events, type, (uint32_t)choice);
}

void upstream_scored_text(struct upstream_reader *r, int64_t choice, str text,
                          const struct exchange_token *tokens, size_t tokens_len)
{
    bool any = text.len || tokens_len;
    struct exchange_event *e = any ? say(r, EXCHANGE_EVENT_TEXT, choice) : NULL;
    if (!e)
        return;
    e->text = text;
    e->tokens = tokens;
    e->tokens_len = tokens_len;
    r->text_bytes += text.len;
}

void upstream_text(struct upstream_reader *r, int64_t choice, str text)
{
    upstream_scored_text(r, choice, text, NULL, 0);
}

void upstream_thinking(struct upstream_reader *r, int64_t choice, str text, str signature)
{
    struct exchange_event *e =
        text.len || signature.len ? say(r, EXCHANGE_EVENT_THINKING, choice) : NULL;
    if (!e)
        return;
    e->text = text;
    e->signature = signature;
    r->text_bytes += text.len;
}

// The newest call of that key: its index, or -1.
static int64_t find_call(const struct upstream_choice *c, int64_t key)
{
    for (uint32_t i = c->calls_len; i > 0; i--)
        if (c->calls[i - 1].key == key)
            return i - 1;
    return -1;
}

static struct upstream_call *add_call(struct upstream_reader *r, struct upstream_choice *c)
{
    if (c->calls_len == EXCHANGE_TOOLS_MAX) {
        upstream_malformed(r, "makes more tool calls than one answer may have");
        return NULL;
    }
    if (c->calls_len == c->calls_cap) {
        c->calls_cap = c->calls_cap ? c->calls_cap * 2 : 4;
        c->calls = mem_resize(c->calls, c->calls_cap, sizeof *c->calls);
    }
    c->calls[c->calls_len] = (struct upstream_call){.id_hash = 0};
    return &c->calls[c->calls_len++];
}

void upstream_call(struct upstream_reader *r, int64_t choice, int64_t key, str id, str name)
{
    struct upstream_choice *c = r->ended ? NULL : choice_at(r, choice);
    uint64_t hash = id.len ? str_hash(id) | 1 : 0;
    if (!c)
        return;
    int64_t known = find_call(c, key);
    bool another = known >= 0 && name.len && hash && c->calls[known].id_hash != hash;
    if (known >= 0 && !another)
        return;
    struct upstream_call *call = add_call(r, c);
    if (!call)
        return;
    *call = (struct upstream_call){.key = key, .id_hash = hash};
    struct exchange_event *e = say(r, EXCHANGE_EVENT_CALL, choice);
    if (!e)
        return;
    e->call_index = c->calls_len - 1;
    e->call = (struct exchange_tool_call){.id = id, .name = name};
    if (!id.len) // every client wants one
        e->call.id = arena_printf(&r->arena, "call_%lld_%u", (long long)choice, e->call_index);
    r->text_bytes += name.len;
}

void upstream_arguments(struct upstream_reader *r, int64_t choice, int64_t key, str text)
{
    struct upstream_choice *c = text.len && !r->ended ? choice_at(r, choice) : NULL;
    int64_t index = c ? find_call(c, key) : -1;
    if (!c)
        return;
    if (index < 0) {
        upstream_malformed(r, "sends arguments of a tool call that it did not open");
        return;
    }
    struct exchange_event *e = say(r, EXCHANGE_EVENT_ARGUMENTS, choice);
    if (!e)
        return;
    c->calls[index].has_arguments = true;
    e->call_index = (uint32_t)index;
    e->text = text;
    r->text_bytes += text.len;
}

void upstream_arguments_object(struct upstream_reader *r, int64_t choice, int64_t key,
                               yyjson_val *object)
{
    struct buf text;
    struct json_writer j;
    if (!yyjson_is_obj(object))
        return;
    buf_init(&text, UPSTREAM_FRAME_BYTES_MAX);
    jw_init(&j, &text);
    jw_value(&j, object);
    upstream_arguments(r, choice, key, arena_str(&r->arena, buf_str(&text)));
    buf_done(&text);
}

bool upstream_has_call(struct upstream_reader *r, int64_t choice, int64_t key)
{
    return (uint64_t)choice < r->choices_len && find_call(&r->choices[choice], key) >= 0;
}

void upstream_call_end(struct upstream_reader *r, int64_t choice, int64_t key)
{
    struct upstream_choice *c = r->ended ? NULL : choice_at(r, choice);
    int64_t index = c ? find_call(c, key) : -1;
    if (index >= 0 && !c->calls[index].has_arguments)
        upstream_arguments(r, choice, key, STR("{}"));
}

void upstream_finish(struct upstream_reader *r, int64_t choice, enum exchange_finish f, str stop)
{
    struct upstream_choice *c = r->ended ? NULL : choice_at(r, choice);
    if (!c || c->finished)
        return;
    for (uint32_t i = 0; i < c->calls_len; i++)
        upstream_call_end(r, choice, c->calls[i].key);
    c->finished = true;
    struct exchange_event *e = say(r, EXCHANGE_EVENT_FINISH, choice);
    if (!e)
        return;
    e->finish = f;
    e->stop_matched = stop;
}

void upstream_embedding(struct upstream_reader *r, int64_t choice, const float *values, size_t len)
{
    if (!values) {
        upstream_malformed(r, "sent an embedding that is no list of numbers");
        return;
    }
    struct exchange_event *e = say(r, EXCHANGE_EVENT_EMBEDDING, choice);
    if (!e)
        return;
    e->embedding = values;
    e->embedding_len = len;
    r->choices[choice].finished = true;
}

enum exchange_finish upstream_finish_of(str reason)
{
    if (str_eq(reason, STR("length")))
        return EXCHANGE_FINISH_LENGTH;
    if (str_eq(reason, STR("tool_calls")) || str_eq(reason, STR("function_call")))
        return EXCHANGE_FINISH_TOOL_CALLS;
    if (str_eq(reason, STR("content_filter")))
        return EXCHANGE_FINISH_FILTER;
    return EXCHANGE_FINISH_STOP;
}

uint64_t upstream_count(yyjson_val *v)
{
    int64_t n;
    return json_is_int(v, &n) && n > 0 ? (uint64_t)n : 0;
}

// --- Reading

static bool parse(struct upstream_reader *r, str text)
{
    struct json_limits limits = {SIZE_MAX, 256, 8u << 20};
    struct diag d = {0};
    if (json_parse(&r->doc, text, limits, &d) == ERR_OK && yyjson_is_obj(r->doc.root))
        return true;
    if (r->at_eof)
        cut(r);
    else
        upstream_malformed(r, "sent something that is not a JSON object");
    return false;
}

// An error that came with status 200.
static bool read_error(struct upstream_reader *r)
{
    yyjson_val *error = json_get(r->doc.root, "error");
    struct api_error e;
    if (!error || yyjson_is_null(error))
        return false;
    upstream_error_of_object(r->doc.root, r->provider, &e);
    upstream_reader_fail(r, &e);
    return true;
}

static void write_raw(struct upstream_reader *r, str event, str data)
{
    if (r->dialect->framing == UPSTREAM_NDJSON) {
        (void)buf_append_str(&r->raw_text, data);
        (void)buf_append_char(&r->raw_text, '\n');
        return;
    }
    if (event.len && !str_eq(event, STR("message")))
        (void)buf_printf(&r->raw_text, "event: " STR_FMT "\n", STR_ARG(event));
    (void)buf_append_str(&r->raw_text, STR("data: "));
    (void)buf_append_str(&r->raw_text, data);
    (void)buf_append_str(&r->raw_text, STR("\n\n"));
}

// The frame as the client gets it goes with the last of its events.
static void give_raw(struct upstream_reader *r, size_t before, str event, str data)
{
    struct exchange_events *q = &r->events;
    if (!r->raw || r->frame_dropped ||
        (q->len > before && q->items[q->len - 1].type == EXCHANGE_EVENT_ERROR))
        return;
    write_raw(r, event, r->frame_raw.ptr ? r->frame_raw : data);
    if (q->len == before)
        exchange_events_push(q, EXCHANGE_EVENT_RAW, 0);
    q->items[q->len - 1].raw = buf_str(&r->raw_text);
}

void upstream_complete(struct upstream_reader *r)
{
    if (r->ended)
        return;
    if (upstream_all_finished(r))
        upstream_end(r);
    else
        cut(r);
}

// Also where the word is missing: the client shall have it.
static void end_of_words(struct upstream_reader *r)
{
    size_t before = r->events.len;
    upstream_complete(r);
    if (r->dialect->ends_with_done && r->events.len > before)
        give_raw(r, before, STR_NONE, STR("[DONE]"));
}

void upstream_reader_frame(struct upstream_reader *r, str event, str data)
{
    size_t before = r->events.len;
    str trimmed = str_trim(data);
    if (r->ended)
        return;
    forget(r);
    if (!trimmed.len)
        return;
    if (r->dialect->ends_with_done && str_eq(trimmed, STR("[DONE]"))) {
        end_of_words(r);
        return;
    }
    if (!parse(r, data) || read_error(r))
        return;
    r->dialect->frame(r, event, data, r->doc.root);
    give_raw(r, before, event, data);
}

void upstream_reader_eof(struct upstream_reader *r)
{
    if (r->ended)
        return; // what was told last may still be read
    forget(r);
    end_of_words(r);
}

void upstream_reader_whole(struct upstream_reader *r, str body)
{
    if (r->ended)
        return;
    forget(r);
    if (!parse(r, body) || read_error(r))
        return;
    bool raw = r->raw && !r->request->stream;
    r->raw = false; // not frame by frame
    r->dialect->whole(r, r->doc.root);
    end_of_words(r);
    r->raw = raw;
    if (raw && r->events.items[r->events.len - 1].type == EXCHANGE_EVENT_END)
        r->events.items[r->events.len - 1].raw = body;
}
