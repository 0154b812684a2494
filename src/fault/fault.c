#include "fault/fault.h"

#include "base/map.h"
#include "base/mem.h"
#include "fault/paths.h"
#include "fault/play.h"

#include "base/banned.h"

enum {
    BODY_BYTES_MAX = 64 << 20,
    WHOLE_BYTES_MAX = 96 << 20,
    COUNTERS_MAX = 4096, // orders given by clients that are counted apart
    INPUTS_MAX = 4096,
    DIMENSIONS = 16,
    DIMENSIONS_MAX = 8192,
};

struct counter {
    uint64_t seen;
};

struct fault {
    struct loop *loop;
    const struct script *script;
    struct http_server *http;
    struct attempts attempts;
    struct play plays; // sentinel of a ring
    uint64_t *rules_seen;
    uint64_t always_seen, overflow;
    struct map counters; // of orders in headers and models' names, by their text
    size_t counters_len;
};

// What a play knows of its request beyond its orders.
struct request {
    struct play play; // first: one is the other
    struct fault *fault;
    struct path where;
    struct json_doc doc;
    bool has_doc;
    struct ask ask;
};

// --- Orders

static uint64_t count(struct fault *f, str text)
{
    struct counter *c = map_get(&f->counters, text);
    if (!c && f->counters_len == COUNTERS_MAX)
        return f->overflow++;
    if (!c) {
        c = mem_new(struct counter);
        map_put(&f->counters, text, c);
        f->counters_len++;
    }
    return c->seen++;
}

static void forget_counters(struct fault *f)
{
    size_t cursor = 0;
    str key;
    void *value;
    while (map_next(&f->counters, &cursor, &key, &value))
        mem_free(value);
    map_done(&f->counters);
    map_init(&f->counters);
    f->counters_len = 0;
    f->overflow = f->always_seen = 0;
    memset(f->rules_seen, 0, f->script->rules.len * sizeof *f->rules_seen);
}

// Where an order stands; rules count from SOURCE_RULES on.
enum { SOURCE_ALWAYS = 1, SOURCE_MODEL, SOURCE_HEADER, SOURCE_RULES };

// Lay an order over the play's, if it applies to the nth of its requests.
static bool follow(struct play *p, const struct order *o, uint64_t source, uint64_t nth)
{
    struct order_plan plan;
    struct order_draw at = {p->seed, p->number, source};
    if (order_understand(o, &plan, NULL) != ERR_OK || !order_applies(o, &plan, at, nth))
        return false;
    order_lay_over(&p->order, o);
    return true;
}

static void follow_rules(struct fault *f, struct play *p, str model, str path)
{
    const struct script *s = f->script;
    follow(p, &s->always, SOURCE_ALWAYS, f->always_seen++);
    for (size_t i = 0; i < s->rules.len; i++) {
        const struct script_rule *r = &script_rules(s)[i];
        if (r->model.len && !script_matches(r->model, model))
            continue;
        if (r->path.len && !script_matches(r->path, path))
            continue;
        if (follow(p, &r->orders, SOURCE_RULES + i, f->rules_seen[i]++))
            return;
    }
}

// From what the client itself says: its model's name, its header. False: the header is wrong.
static bool follow_client(struct fault *f, struct play *p, str model, str header, struct diag *d)
{
    struct order o;
    if (model.len && order_parse(model, &p->arena, &o, NULL) == ERR_OK)
        follow(p, &o, SOURCE_MODEL, count(f, model));
    if (header.len == 0)
        return true;
    if (order_parse(header, &p->arena, &o, d) != ERR_OK)
        return false;
    follow(p, &o, SOURCE_HEADER, count(f, header));
    return true;
}

// --- Answers

static void fail(struct request *r, const char *name)
{
    struct mishap m;
    bool known = mishap_find(str_of(name), &m);
    ASSERT(known);
    play_error(&r->play, &m);
}

static void fail_with(struct request *r, const char *message)
{
    struct mishap m;
    (void)mishap_find(STR("bad_request"), &m);
    m.message = message;
    play_error(&r->play, &m);
}

static void answer_plain(struct request *r, str body)
{
    bool json = str_starts(body, STR("{"));
    play_respond(&r->play, 200, json ? STR("application/json") : STR("text/plain"), NULL, body);
}

static void write_models(const struct request *r, struct buf *out)
{
    const struct option_strings *models = &r->fault->script->models;
    switch (r->where.kind) {
    case PATH_TAGS:
        wire_ollama_tags(models->items, models->len, out);
        break;
    case PATH_SHOW:
        wire_ollama_show(r->ask.model, out);
        break;
    case PATH_MODEL:
        wire_openai_model(r->where.model, out);
        break;
    default:
        if (r->where.wire == &wire_anthropic)
            wire_anthropic_models(models->items, models->len, out);
        else
            wire_openai_models(models->items, models->len, out);
    }
}

static bool embed(struct request *r, struct wire_vectors *v)
{
    yyjson_val *input = r->ask.input;
    int64_t id;
    bool list = yyjson_is_arr(input) && !json_is_int(yyjson_arr_get_first(input), &id); // not ids
    size_t n = list ? yyjson_arr_size(input) : 1;
    v->dimensions = r->ask.dimensions > 0 ? (size_t)r->ask.dimensions : DIMENSIONS;
    v->items = arena_zalloc(&r->play.arena, n ? n : 1, sizeof *v->items);
    if (!input || n > INPUTS_MAX || v->dimensions > DIMENSIONS_MAX || !v->items)
        return false;
    for (v->len = 0; v->len < n; v->len++) {
        yyjson_val *one = list ? yyjson_arr_get(input, v->len) : input;
        str text = yyjson_is_str(one) ? json_str(one) : STR("");
        v->tokens += reply_count(text);
        if (!reply_embed(text, v->dimensions, r->play.seed, &r->play.arena, &v->items[v->len]))
            return false;
    }
    return true;
}

static void play_whole_body(struct request *r, const struct reply *reply)
{
    struct play *p = &r->play;
    struct buf *out = frames_next(&p->frames, FRAME_LEAD);
    struct wire_vectors v = {0};
    p->type = STR("application/json");
    if (r->ask.operation != ASK_EMBEDDING) {
        p->wire->whole(&r->ask, reply, out);
        p->tokens = reply_tokens(reply);
    } else if (!embed(r, &v)) {
        fail_with(r, "'input' must be a string or an array of strings.");
        return;
    } else if (p->wire == &wire_ollama) {
        wire_ollama_embeddings(&r->ask, &v, out);
    } else {
        wire_openai_embeddings(&r->ask, &v, out);
    }
    play_frames(p, true);
}

static bool continues(const struct request *r)
{
    int64_t said = r->play.order.continues;
    if (!r->ask.has_trailing)
        return false;
    if (said != ORDER_CONTINUES_AS_KNOWN)
        return said == ORDER_CONTINUES_YES;
    return r->ask.continues || r->play.wire->continues;
}

static bool tells_usage(const struct request *r, bool streamed)
{
    int64_t said = r->play.order.usage;
    if (said != ORDER_USAGE_ASKED)
        return said == ORDER_USAGE_ALWAYS;
    return r->ask.usage || !streamed;
}

static void add_pings(struct play *p, uint64_t every)
{
    struct frames f;
    frames_init(&f, p->frames.bytes.limit);
    for (size_t i = 0; i < p->frames.len; i++) {
        size_t from = p->frames.items[i].from;
        size_t to = i + 1 < p->frames.len ? p->frames.items[i + 1].from : p->frames.bytes.len;
        struct buf *out = frames_next(&f, p->frames.items[i].kind);
        (void)buf_append(out, buf_ptr(&p->frames.bytes) + from, to - from);
        if ((i + 1) % every == 0)
            (void)buf_append_str(out, str_of(p->wire->ping));
    }
    frames_done(&p->frames);
    p->frames = f;
}

static void answer_conversation(struct request *r)
{
    struct play *p = &r->play;
    struct reply reply;
    bool streamed = r->ask.stream && !p->order.unstreamed && r->ask.operation != ASK_COUNT_TOKENS;
    if (p->order.continues == ORDER_CONTINUES_REFUSE && r->ask.has_trailing) {
        fail_with(r, "This model does not support assistant message prefill.");
        return;
    }
    if (!reply_make(&reply, &r->ask, &p->order, &p->plan, continues(r), p->seed, p->number,
                    &p->arena)) {
        fail(r, "server");
        return;
    }
    reply.usage = tells_usage(r, streamed);
    reply.azure = p->wire == &wire_azure;
    if (!streamed) {
        play_whole_body(r, &reply);
        return;
    }
    p->type = str_of(p->wire->stream_type);
    p->wire->stream(&r->ask, &reply, &p->frames);
    if (p->order.pings && p->wire->ping)
        add_pings(p, (uint64_t)p->order.pings);
    play_frames(p, false);
}

static void answer(struct request *r)
{
    struct buf out;
    switch (r->where.kind) {
    case PATH_ASK:
        if (!r->has_doc)
            fail_with(r, "The body is not valid JSON.");
        else if (r->ask.operation == ASK_EMBEDDING)
            play_whole_body(r, NULL);
        else
            answer_conversation(r);
        return;
    case PATH_PLAIN:
        answer_plain(r, str_of(r->where.document));
        return;
    case PATH_UNKNOWN:
        fail(r, "model");
        return;
    default:
        buf_init(&out, 1u << 20);
        write_models(r, &out);
        answer_plain(r, buf_str(&out));
        buf_done(&out);
    }
}

// After the wait before the status line.
static void act(struct play *p)
{
    struct request *r = (struct request *)p;
    struct mishap m;
    if (p->order.hang)
        play_hang(p);
    else if (p->plan.reset.given && !p->plan.reset.bytes && p->plan.reset.at == 0)
        play_reset(p);
    else if (p->order.error.len && !p->plan.fail.given && mishap_find(p->order.error, &m))
        play_error(p, &m);
    else
        answer(r);
}

// --- Requests

static bool key_fits(const struct fault *f, const struct http_call *call)
{
    str key = f->script->key;
    str bearer = http_call_header(call, "authorization");
    if (key.len == 0 || str_eq(http_call_header(call, "x-api-key"), key) ||
        str_eq(http_call_header(call, "api-key"), key))
        return true;
    return str_starts(bearer, STR("Bearer ")) && str_eq(str_sub(bearer, 7, bearer.len), key);
}

static void read_body(struct request *r)
{
    str body = http_call_body(r->play.call);
    ask_init(&r->ask, r->where.operation, BODY_BYTES_MAX);
    r->ask.stream = r->where.wire->streams_unasked;
    r->has_doc = body.len && json_parse(&r->doc, body, JSON_LIMITS_DEFAULT, NULL) == ERR_OK;
    if (r->has_doc)
        r->where.wire->read(&r->ask, r->doc.root, &r->play.arena);
    if (r->where.model.len)
        r->ask.model = r->where.model;
}

static void request_done(struct play *p)
{
    struct request *r = (struct request *)p;
    ask_done(&r->ask);
    if (r->has_doc)
        json_done(&r->doc);
}

static struct request *request_new(struct fault *f, struct http_call *call,
                                   const struct path *where)
{
    struct request *r = mem_new(struct request);
    struct play *p = &r->play;
    play_init(p, f->loop, call);
    p->done = request_done;
    p->next = f->plays.next;
    p->prev = &f->plays;
    p->next->prev = p;
    f->plays.next = p;
    p->attempts = &f->attempts;
    p->seed = (uint64_t)f->script->seed;
    p->number = attempts_add(&f->attempts, call);
    p->wire = where->wire;
    r->fault = f;
    r->where = *where;
    http_call_set_data(call, r);
    return r;
}

static void note_orders(struct request *r)
{
    struct buf text;
    struct attempt *t = attempts_get(&r->fault->attempts, r->play.number);
    buf_init(&text, 4096);
    order_write(&r->play.order, &text);
    if (t) {
        attempt_says(t, r->ask.model, buf_str(&text));
        t->wire = r->play.wire->name;
        t->stream = r->ask.stream;
    }
    buf_done(&text);
}

static void serve(struct fault *f, struct http_call *call, const struct path *where)
{
    struct request *r = request_new(f, call, where);
    struct play *p = &r->play;
    struct diag d = {0};
    read_body(r);
    follow_rules(f, p, r->ask.model, http_call_path(call));
    if (!follow_client(f, p, r->ask.model, http_call_header(call, "x-fault"), &d)) {
        p->order = (struct order){0};
        note_orders(r);
        fail_with(r, d.text);
        return;
    }
    enum err e = order_understand(&p->order, &p->plan, &d);
    ASSERT(e == ERR_OK); // every layer of it was understood
    note_orders(r);
    if (!key_fits(r->fault, p->call)) {
        fail(r, "auth");
        return;
    }
    play_after(p, play_draw(p, &p->plan.head, PLAY_DRAW_HEAD, 0), act);
}

static void tell_attempts(struct fault *f, struct http_call *call)
{
    struct buf out;
    if (!key_fits(f, call)) {
        http_call_respond(call, 401, STR("text/plain"), NULL, STR("the key is missing or wrong\n"));
        return;
    }
    if (str_eq(http_call_method(call), STR("DELETE"))) {
        attempts_clear(&f->attempts);
        forget_counters(f);
        http_call_respond(call, 204, STR_NONE, NULL, STR_NONE);
        return;
    }
    buf_init(&out, WHOLE_BYTES_MAX);
    attempts_write(&f->attempts, &out);
    http_call_respond(call, out.failed ? 500 : 200, STR("application/json"), NULL, buf_str(&out));
    buf_done(&out);
}

static void tell_orders(struct http_call *call)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    order_list(&out);
    http_call_respond(call, 200, STR("text/plain"), NULL, buf_str(&out));
    buf_done(&out);
}

static void on_request(void *ctx, struct http_call *call)
{
    struct fault *f = ctx;
    bool anthropic = http_call_header(call, "anthropic-version").ptr != NULL;
    struct path where = paths_find(http_call_method(call), http_call_path(call), anthropic);
    http_call_set_data(call, NULL);
    if (where.kind == PATH_ATTEMPTS)
        tell_attempts(f, call);
    else if (where.kind == PATH_ORDERS)
        tell_orders(call);
    else
        serve(f, call, &where);
}

static void on_cancel(void *ctx UNUSED, struct http_call *call)
{
    struct request *r = http_call_data(call);
    if (r)
        play_client_gone(&r->play);
}

static void on_drained(void *ctx UNUSED, struct http_call *call)
{
    struct request *r = http_call_data(call);
    if (r)
        play_drained(&r->play);
}

static void on_refusal(void *ctx UNUSED, const struct http_refusal *refusal, struct buf *out)
{
    struct mishap m = {.status = refusal->status,
                       .openai_type = "invalid_request_error",
                       .anthropic_type = "invalid_request_error",
                       .message = refusal->text};
    wire_openai.error(&m, out);
}

// --- The server

static const struct http_handler handler = {
    .request = on_request, .cancel = on_cancel, .drained = on_drained, .refusal = on_refusal};

enum err fault_new(struct loop *l, const struct script *s, struct fault **ret, struct diag *d)
{
    struct http_server_options options = {.limits = http_limits_default,
                                          .half_close_cancels = true};
    options.limits.body_bytes_max = BODY_BYTES_MAX;
    struct fault *f = mem_new(struct fault);
    enum err e = http_server_new(l, &options, &handler, f, &f->http, d);
    if (e != ERR_OK) {
        mem_free(f);
        return e;
    }
    f->loop = l;
    f->script = s;
    f->plays.next = f->plays.prev = &f->plays;
    f->rules_seen = mem_array(s->rules.len + 1, sizeof *f->rules_seen);
    map_init(&f->counters);
    attempts_init(&f->attempts, (size_t)s->attempts_max, s->record_bodies);
    *ret = f;
    return ERR_OK;
}

enum err fault_listen(struct fault *f, const char *address, uint16_t *ret_port, struct diag *d)
{
    return http_server_listen(f->http, address, false, ret_port, d);
}

void fault_free(struct fault *f)
{
    if (!f)
        return;
    http_server_free(f->http); // cancels every call, and so every play
    ASSERT(f->plays.next == &f->plays);
    forget_counters(f);
    map_done(&f->counters);
    attempts_done(&f->attempts);
    mem_free(f->rules_seen);
    mem_free(f);
}
