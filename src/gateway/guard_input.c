// What is asked, as the rules let it be asked. The document is changed in its texts and read again:
// what follows sees no difference to a client that wrote it so, whatever protocol it is carried in.
#include "base/mem.h"
#include "gateway/admission.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/guard_texts.h"
#include "gateway/shadow.h"
#include "guard/fold.h"
#include "guard/measure.h"

#include "base/banned.h"

#define ADDED_BYTES_MAX 8192 // what planting adds

struct input {
    struct call *call;
    struct guard_call *own;
    const struct guard *guard;
    struct scan_scratch *scratch;
    struct guard_texts texts;
    uint64_t characters;
    uint64_t lacking; // rules of absence that every text so far has fired
    bool looked;      // … and there was one that they look at
};

static bool refuse(struct input *in, size_t rule)
{
    in->own->stopped = true;
    in->own->asked[rule] += !in->own->asked[rule];
    return api_error_set(call_error(in->call), API_GUARD_BLOCKED, NULL,
                         "The request was stopped by the rule '%s' of this gateway. Ask without "
                         "what it forbids.",
                         guard_rule_name(in->guard, rule));
}

static bool no_memory(struct call *c)
{
    return api_error_set(call_error(c), API_JSON_LIMIT, NULL, "The request needs too much memory.");
}

// Rules that fired, as bits: the first that blocks refuses.
static bool heed(struct input *in, uint64_t fired)
{
    for (size_t i = 0; i < guard_len(in->guard); i++) {
        if (!(fired >> i & 1))
            continue;
        in->own->asked[i]++;
        if (guard_rule_action(in->guard, i) == GUARD_BLOCK)
            return refuse(in, i);
    }
    return true;
}

// --- Patterns

// One message, text by text or as one text: what its pieces became, and what was found.
struct pass {
    str *out; // by text
    uint32_t hits[GUARD_RULES_MAX];
    int blocked_by;
};

static bool keep(struct input *in, struct buf *text, str *ret)
{
    *ret = arena_str(&in->call->arena, buf_str(text));
    bool kept = ret->ptr && !text->failed;
    buf_clear(text);
    return kept || no_memory(in->call);
}

static void note_hits(struct pass *p, const struct guard_stream *s)
{
    for (size_t i = 0; i < GUARD_RULES_MAX; i++)
        p->hits[i] += s->hits[i];
    if (p->blocked_by < 0)
        p->blocked_by = s->blocked_by;
}

static void open_stream(struct input *in, struct guard_stream *s, uint32_t role)
{
    guard_stream_init(s, in->guard, &in->own->vault);
    s->roles = role;
}

static bool pass_json(struct input *in, const struct guard_text *t, struct pass *p, str *ret);

static bool pass_text(struct input *in, str text, uint32_t role, struct pass *p, str *ret)
{
    struct guard_stream s;
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    open_stream(in, &s, role);
    if (guard_stream_feed(&s, in->scratch, text, &out))
        (void)guard_stream_end(&s, in->scratch, &out);
    note_hits(p, &s);
    guard_stream_done(&s);
    bool ok = true;
    str told = buf_str(&out);
    if (told.ptr && text.ptr && str_eq(told, text))
        *ret = text;
    else
        ok = keep(in, &out, ret);
    buf_done(&out);
    return ok;
}

static bool found_more(const struct pass *a, const struct pass *b)
{
    for (size_t i = 0; i < GUARD_RULES_MAX; i++)
        if (a->hits[i] > b->hits[i])
            return true;
    return a->blocked_by >= 0 && b->blocked_by < 0;
}

// As it stands there, and as people read it where that is something else: what shows more counts.
static bool pass_both(struct input *in, str text, uint32_t role, struct pass *p, str *ret)
{
    struct pass plain = {.blocked_by = -1}, read = {.blocked_by = -1};
    struct buf folded;
    str now = STR_NONE;
    buf_init(&folded, SIZE_MAX / 2);
    bool other = fold_text(text, &folded);
    bool ok = pass_text(in, text, role, &plain, ret) &&
              (!other || pass_text(in, buf_str(&folded), role, &read, &now));
    buf_done(&folded);
    bool more = other && found_more(&read, &plain);
    const struct pass *taken = more ? &read : &plain;
    if (more)
        *ret = now;
    for (size_t i = 0; i < GUARD_RULES_MAX; i++)
        p->hits[i] += taken->hits[i];
    if (p->blocked_by < 0)
        p->blocked_by = taken->blocked_by;
    return ok;
}

static bool pass_one(struct input *in, const struct guard_text *t, struct pass *p, str *ret)
{
    return (t->is_json && pass_json(in, t, p, ret)) || pass_both(in, t->text, t->role, p, ret);
}

// The strings within a call's arguments, however they are escaped. False: they are no JSON, and are
// looked at as they stand there.
static bool pass_json(struct input *in, const struct guard_text *t, struct pass *p, str *ret)
{
    struct json_doc doc = {0};
    struct guard_texts inner;
    struct buf out;
    if (json_parse(&doc, t->text, JSON_LIMITS_DEFAULT, NULL) != ERR_OK) {
        json_done(&doc);
        return false;
    }
    guard_texts_find_all(doc.root, t->role, &inner);
    bool ok = true;
    for (size_t i = 0; i < inner.len && ok; i++) {
        struct guard_text *one = &inner.items[i];
        str now;
        ok = pass_one(in, one, p, &now);
        one->changed = ok && !str_eq(now, one->text);
        one->text = ok ? now : one->text;
    }
    *ret = t->text;
    if (ok && guard_texts_changed(&inner)) {
        buf_init(&out, SIZE_MAX / 2);
        guard_texts_write(doc.root, &inner, NULL, &out);
        ok = keep(in, &out, ret);
        buf_done(&out);
    }
    guard_texts_done(&inner);
    json_done(&doc);
    return ok;
}

static bool pass_apart(struct input *in, struct guard_text *t, size_t len, struct pass *p)
{
    for (size_t i = 0; i < len && p->blocked_by < 0; i++)
        if (!pass_one(in, &t[i], p, &p->out[i]))
            return false;
    return true;
}

// As one text, so that nothing hides in the gap between two parts of a message.
static bool pass_joined(struct input *in, struct guard_text *t, size_t len, struct pass *p)
{
    struct guard_stream s;
    struct buf out;
    bool ok = true, passes = true;
    buf_init(&out, SIZE_MAX / 2);
    open_stream(in, &s, t[0].role);
    for (size_t i = 0; i < len && ok && passes; i++) {
        passes = guard_stream_feed(&s, in->scratch, t[i].text, &out);
        if (passes && i + 1 == len)
            passes = guard_stream_end(&s, in->scratch, &out);
        ok = keep(in, &out, &p->out[i]);
    }
    note_hits(p, &s);
    guard_stream_done(&s);
    buf_done(&out);
    return ok;
}

static bool take(struct input *in, struct guard_text *t, size_t len, const struct pass *p)
{
    for (size_t i = 0; i < GUARD_RULES_MAX; i++)
        in->own->asked[i] += p->hits[i];
    if (p->blocked_by >= 0)
        return refuse(in, (size_t)p->blocked_by);
    for (size_t i = 0; i < len; i++) {
        if (str_eq(p->out[i], t[i].text))
            continue;
        t[i].changed = true;
        t[i].text = p->out[i].len ? p->out[i] : STR(" "); // an empty part is refused elsewhere
    }
    return true;
}

static bool pass_group(struct input *in, struct guard_text *t, size_t len)
{
    struct pass apart = {.blocked_by = -1}, joined = {.blocked_by = -1};
    apart.out = arena_zalloc(&in->call->arena, 2 * len, sizeof *apart.out);
    if (!apart.out)
        return no_memory(in->call);
    joined.out = apart.out + len;
    if (!pass_apart(in, t, len, &apart))
        return false;
    if (len > 1 && apart.blocked_by < 0 && !pass_joined(in, t, len, &joined))
        return false;
    return take(in, t, len, len > 1 && found_more(&joined, &apart) ? &joined : &apart);
}

// --- Whole texts

static uint64_t characters(str text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

static void measure_text(struct input *in, struct measure *m, str text)
{
    struct buf folded;
    buf_init(&folded, SIZE_MAX / 2);
    measure_feed(m, in->scratch, text);
    measure_feed(m, in->scratch, STR("\n"));
    if (fold_text(text, &folded)) {
        measure_feed(m, in->scratch, buf_str(&folded));
        measure_feed(m, in->scratch, STR("\n"));
    }
    buf_done(&folded);
}

static bool measure_group(struct input *in, const struct guard_text *t, size_t len)
{
    struct measure m;
    uint64_t absence = measure_of_absence(in->guard);
    measure_init(&m, in->guard, t[0].role);
    for (size_t i = 0; i < len; i++)
        in->characters += characters(t[i].text);
    for (size_t i = 0; i < len && m.looks; i++)
        measure_text(in, &m, t[i].text);
    measure_end(&m, in->scratch);
    uint64_t fires = measure_fires(&m, true);
    if (m.topics && absence) {
        in->lacking &= fires;
        in->looked = true;
    }
    measure_done(&m);
    return heed(in, fires & ~absence);
}

static uint64_t turns(const struct exchange_request *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->messages_len; i++)
        n += r->messages[i].role == EXCHANGE_USER;
    return n;
}

// Exact where the model runs here.
static uint64_t tokens(struct call *c)
{
    struct api_error unused;
    uint64_t n = 0;
    const struct provider_ops *p = c->model->provider;
    if (c->request.kind == EXCHANGE_CHAT && p->count &&
        p->count(c->model, &c->request, &c->arena, &n, &unused))
        return n;
    return admission_estimate(&c->request);
}

static bool wants_tokens(const struct guard *g)
{
    return measure_size(g, &(struct guard_size){.tokens = UINT64_MAX});
}

static bool measure_request(struct input *in)
{
    struct call *c = in->call;
    struct guard_size size = {.characters = in->characters,
                              .turns = turns(&c->request),
                              .tokens = wants_tokens(in->guard) ? tokens(c) : 0};
    uint64_t lacking = in->looked ? in->lacking & measure_of_absence(in->guard) : 0;
    return heed(in, measure_size(in->guard, &size) | lacking);
}

// --- The request

static size_t group_len(const struct guard_texts *t, size_t from)
{
    size_t len = 1;
    while (from + len < t->len && t->items[from + len].group == t->items[from].group &&
           t->items[from + len].role == t->items[from].role)
        len++;
    return len;
}

// Token ids cannot be read as they stand there, and rules must see what is asked.
static bool is_readable(struct call *c)
{
    for (size_t i = 0; i < c->request.prompts_len; i++)
        if (c->request.prompts[i].is_ids)
            return api_error_set(call_error(c), API_GUARD_BLOCKED,
                                 c->request.kind == EXCHANGE_EMBEDDING ? "input" : "prompt",
                                 "The rules of this gateway must be able to read what is asked: "
                                 "send text, not token ids.");
    return true;
}

static bool look(struct input *in)
{
    bool ok = is_readable(in->call);
    in->lacking = UINT64_MAX;
    for (size_t at = 0, len; at < in->texts.len && ok; at += len) {
        struct guard_text *t = &in->texts.items[at];
        len = group_len(&in->texts, at);
        ok =
            measure_group(in, t, len) && (!guard_has_patterns(in->guard) || pass_group(in, t, len));
    }
    return ok && measure_request(in);
}

// --- Planting

// Where a system prompt of this protocol is; false: it has none.
static bool place_of_prompt(const struct dialect *d, struct guard_addition *ret)
{
    *ret = (struct guard_addition){.member = "system"};
    if (d == &dialect_openai_responses)
        ret->member = "instructions";
    else if (d == &dialect_openai_chat || d == &dialect_ollama_chat)
        *ret = (struct guard_addition){.member = "messages", .as_message = true};
    else
        return d == &dialect_anthropic_messages || d == &dialect_anthropic_count ||
               d == &dialect_ollama_generate;
    return true;
}

// At the end of the last text of the system prompt, or as one.
static bool plant(struct input *in, struct guard_addition *ret)
{
    str canary = in->own->set->planted;
    struct guard_text *last = NULL;
    if (!canary.len || !place_of_prompt(in->call->kind->dialect, ret))
        return true;
    str text = arena_printf(&in->call->arena, "[" STR_FMT "]", STR_ARG(canary));
    for (size_t i = 0; i < in->texts.len; i++)
        if (in->texts.items[i].is_prompt)
            last = &in->texts.items[i];
    if (last) {
        struct buf longer;
        buf_init(&longer, SIZE_MAX / 2);
        (void)buf_append_str(&longer, last->text);
        (void)buf_append_str(&longer, STR("\n\n"));
        (void)buf_append_str(&longer, text);
        last->changed = true;
        bool ok = keep(in, &longer, &last->text);
        buf_done(&longer);
        return ok;
    }
    ret->text = text;
    return text.ptr || no_memory(in->call);
}

// --- The document that it becomes

static bool read_again(struct call *c, str text)
{
    struct json_doc doc;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    limits.bytes_max = SIZE_MAX;
    if (json_parse(&doc, text, limits, NULL) != ERR_OK)
        return no_memory(c);
    json_done(&c->doc);
    c->doc = doc;
    c->in.body = text;
    c->request = (struct exchange_request){0};
    return phase_read_document(c) && phase_route(c);
}

static bool rewrite(struct input *in, const struct guard_addition *add)
{
    struct call *c = in->call;
    struct buf out;
    str text;
    if (!guard_texts_changed(&in->texts) && !add->text.len)
        return true;
    buf_init(&out, 4 * (size_t)c->gateway->config->limits.body_bytes_max + ADDED_BYTES_MAX);
    guard_texts_write(c->doc.root, &in->texts, add, &out);
    bool ok = keep(in, &out, &text);
    buf_done(&out);
    return ok && read_again(c, text);
}

static bool run(struct call *c, struct guard_call *own)
{
    struct scan_scratch elsewhere = {.stack = NULL};
    struct input in = {.call = c, .own = own, .guard = own->set->input};
    struct guard_addition add = {.member = NULL};
    if (!in.guard && !own->set->planted.len)
        return true;
    guard_texts_find(c->doc.root, &in.texts);
    in.scratch = c->work ? &elsewhere : guard_scratch(c); // the gateway's is the loop's
    if (c->work)
        scan_scratch_init_nodes(&elsewhere, guards_nodes(c->gateway->shared->guards));
    bool ok = (!in.guard || look(&in)) && plant(&in, &add) && rewrite(&in, &add);
    scan_scratch_done(&elsewhere);
    guard_texts_done(&in.texts);
    return ok;
}

bool guard_input(struct call *c)
{
    const struct guards *all = c->gateway->shared->guards;
    const struct guard_set *set = guards_find(all, c->route->guards, c->key ? c->key->guards : 0);
    // A copy for a shadow is of what the rules have let through, and nobody sees its answer.
    if (!set || !c->kind->dialect || c->request.nothing || shadow_is_copy(c))
        return true;
    c->guard = arena_zalloc(&c->arena, 1, sizeof *c->guard);
    if (!c->guard)
        return no_memory(c);
    c->guard->set = set;
    vault_init(&c->guard->vault);
    bool ok = run(c, c->guard);
    c->guard->hears = set->output || c->guard->vault.len;
    c->request.in_events = c->guard->hears;
    return ok;
}
