// What is answered, as the rules let it be told. Pieces go on as soon as they cannot become part of
// a match; a call's arguments when they are complete, since JSON can spell a text in many ways.
#include "base/mem.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/guard_texts.h"
#include "gateway/shadow.h"

#include "base/banned.h"

#define BYTES_PER_TOKEN 4 // where nobody has counted

typedef enum phase_result (*say_fn)(struct call *c, struct exchange_event *e);

struct flow {
    struct call *call;
    struct guard_call *own;
    struct guard_answer *answer;
    const struct guard *rules; // NULL: only values come back
    say_fn say;
};

struct scan_scratch *guard_scratch(struct call *c)
{
    struct scan_scratch *x = &c->gateway->guard_scratch;
    if (!x->stack)
        scan_scratch_init_nodes(x, guards_nodes(c->gateway->shared->guards));
    return x;
}

// --- Channels

static struct guard_channel *find(const struct guard_answer *a, uint32_t choice,
                                  enum guard_kind kind, uint32_t call_index)
{
    for (struct guard_channel *ch = a->channels; ch; ch = ch->next)
        if (ch->choice == choice && ch->kind == kind && ch->call_index == call_index)
            return ch;
    return NULL;
}

static struct guard_channel *open_channel(struct flow *f, const struct exchange_event *e,
                                          enum guard_kind kind)
{
    uint32_t call_index = kind == GUARD_ARGUMENTS ? e->call_index : 0;
    struct guard_channel *ch = find(f->answer, e->choice, kind, call_index);
    if (ch)
        return ch;
    ch = mem_new(struct guard_channel);
    ch->choice = e->choice;
    ch->kind = kind;
    ch->call_index = call_index;
    if (f->rules) {
        guard_stream_init(&ch->rules, f->rules, NULL);
        measure_init(&ch->measure, f->rules, 0);
    }
    guard_restore_init(&ch->back, f->rules ? f->rules : f->own->set->input, &f->own->vault);
    buf_init(&ch->arguments, (size_t)f->call->gateway->config->limits.answer_bytes_max);
    ch->next = f->answer->channels;
    f->answer->channels = ch;
    return ch;
}

void guard_answer_done(struct guard_answer *a)
{
    while (a->channels) {
        struct guard_channel *ch = a->channels;
        a->channels = ch->next;
        if (ch->rules.guard) {
            guard_stream_done(&ch->rules);
            measure_done(&ch->measure);
        }
        guard_restore_done(&ch->back);
        buf_done(&ch->arguments);
        mem_free(ch);
    }
    buf_done(&a->out);
    buf_done(&a->back);
    *a = (struct guard_answer){.channels = NULL};
}

void guard_answer_begins(struct call *c)
{
    if (!c->guard || c->routing.shown)
        return; // what goes on with an answer goes on with its rules
    guard_answer_done(&c->guard->answer);
    memset(c->guard->answered, 0, sizeof c->guard->answered);
    c->guard->stopped = false;
}

static bool prepare(struct flow *f)
{
    struct guard_answer *a = f->answer;
    if (a->choices)
        return true;
    a->choices_len = exchange_choices(&f->call->request);
    a->choices = arena_zalloc(&f->call->arena, a->choices_len, sizeof *a->choices);
    buf_init(&a->out, SIZE_MAX / 2);
    buf_init(&a->back, SIZE_MAX / 2);
    return a->choices;
}

// What a stream has found goes to the call. What was changed cannot be gone on with elsewhere.
static void take_hits(struct flow *f, struct guard_channel *ch, struct guard_stream *s)
{
    for (size_t i = 0; i < guard_len(f->rules); i++) {
        if (!s->hits[i])
            continue;
        f->own->answered[i] += s->hits[i];
        s->hits[i] = 0;
        if (guard_rule_action(f->rules, i) != GUARD_MASK)
            continue;
        ch->masked = true;
        f->call->rescue.hopeless = true;
    }
}

// --- Telling

// Past the rules: as the cache hears it.
static void note(struct flow *f, const struct exchange_event *e)
{
    cache_note(f->call, e);
    shadow_note(f->call, e);
}

static enum phase_result tell(struct flow *f, const struct exchange_event *e)
{
    struct exchange_event copy = *e;
    note(f, &copy);
    return f->say(f->call, &copy);
}

static struct exchange_event event_of(const struct guard_channel *ch, str text)
{
    static const enum exchange_event_type types[] = {EXCHANGE_EVENT_TEXT, EXCHANGE_EVENT_THINKING,
                                                     EXCHANGE_EVENT_ARGUMENTS};
    return (struct exchange_event){
        .type = types[ch->kind], .choice = ch->choice, .call_index = ch->call_index, .text = text};
}

// Reasoning goes back to its provider as it came, under a seal: placeholders stay in it.
static enum phase_result tell_text(struct flow *f, struct guard_channel *ch, str text, bool at_end)
{
    struct exchange_event e = event_of(ch, text);
    struct buf *back = &f->answer->back;
    if (text.len)
        note(f, &e);
    if (ch->kind == GUARD_THINKING || !f->own->vault.len)
        return text.len ? f->say(f->call, &e) : PHASE_NEXT;
    buf_clear(back);
    guard_restore_feed(&ch->back, guard_scratch(f->call), text, back);
    if (at_end)
        guard_restore_end(&ch->back, guard_scratch(f->call), back);
    e.text = buf_str(back);
    return e.text.len ? f->say(f->call, &e) : PHASE_NEXT;
}

// --- Ending early

// What the provider will not be asked for any more.
static enum phase_result end_answer(struct flow *f)
{
    struct call *c = f->call;
    struct call_record *r = &c->record;
    r->usage = (struct exchange_usage){
        .prompt_tokens = c->admission.prompt_tokens,
        .completion_tokens = c->model->remote ? r->seen_bytes / BYTES_PER_TOKEN : r->seen_pieces,
        .estimated = true};
    struct exchange_event end = {.type = EXCHANGE_EVENT_END, .usage = r->usage};
    return tell(f, &end);
}

static enum phase_result finish(struct flow *f, uint32_t choice, enum exchange_finish why)
{
    struct guard_choice *own = &f->answer->choices[choice];
    struct exchange_event e = {.type = EXCHANGE_EVENT_FINISH, .choice = choice, .finish = why};
    own->over = true;
    f->answer->over++;
    f->call->record.finish = why;
    f->call->record.finished = true;
    enum phase_result result = tell(f, &e);
    if (result != PHASE_NEXT || f->answer->over < f->answer->choices_len)
        return result;
    return end_answer(f);
}

// What had passed before waits for nothing any more.
static enum phase_result stop(struct flow *f, uint32_t choice, size_t rule,
                              enum exchange_finish why)
{
    struct guard_channel *ch = find(f->answer, choice, GUARD_TEXT, 0);
    f->own->stopped |= why == EXCHANGE_FINISH_FILTER;
    f->own->answered[rule] += !f->own->answered[rule];
    f->call->rescue.hopeless = true;
    enum phase_result result = ch ? tell_text(f, ch, STR(""), true) : PHASE_NEXT;
    return result == PHASE_NEXT ? finish(f, choice, why) : result;
}

static bool is_over(const struct flow *f, uint32_t choice)
{
    return f->answer->choices[choice].over;
}

// --- Texts

// So many bytes of the text have so many characters at most.
static size_t bytes_of(str text, uint64_t characters)
{
    for (size_t i = 0; text.ptr && i < text.len; i++) {
        bool begins = ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
        if (begins && !characters--)
            return i;
    }
    return text.len;
}

static uint64_t characters_of(str text)
{
    uint64_t n = 0;
    for (size_t i = 0; text.ptr && i < text.len; i++)
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return n;
}

// Lengths: what is too long is cut where it is.
static enum phase_result tell_bounded(struct flow *f, struct guard_channel *ch, str text,
                                      bool at_end)
{
    struct guard_choice *own = &f->answer->choices[ch->choice];
    size_t rule = 0;
    uint64_t max =
        f->rules && ch->kind == GUARD_TEXT ? measure_characters_max(f->rules, &rule) : UINT64_MAX;
    size_t fits = max == UINT64_MAX ? text.len : bytes_of(text, max - own->characters);
    own->characters += characters_of(str_sub(text, 0, fits));
    enum phase_result result = tell_text(f, ch, str_sub(text, 0, fits), at_end);
    if (result != PHASE_NEXT || fits == text.len)
        return result;
    f->own->answered[rule]++;
    bool block = guard_rule_action(f->rules, rule) == GUARD_BLOCK;
    return stop(f, ch->choice, rule, block ? EXCHANGE_FINISH_FILTER : EXCHANGE_FINISH_LENGTH);
}

// Rules about the whole text, as far as it has come. A rule that blocks, or -1.
static int measure_piece(struct flow *f, struct guard_channel *ch, str text)
{
    struct guard_choice *own = &f->answer->choices[ch->choice];
    if (!ch->measure.looks)
        return -1;
    measure_feed(&ch->measure, guard_scratch(f->call), text);
    uint64_t fires = measure_fires(&ch->measure, false) & ~own->fired;
    own->fired |= fires;
    for (size_t i = 0; fires && i < guard_len(f->rules); i++) {
        if (!(fires >> i & 1))
            continue;
        f->own->answered[i]++;
        if (guard_rule_action(f->rules, i) == GUARD_BLOCK)
            return (int)i;
    }
    return -1;
}

static enum phase_result pass(struct flow *f, struct guard_channel *ch, str text, bool at_end)
{
    struct buf *out = &f->answer->out;
    if (!f->rules)
        return tell_text(f, ch, text, at_end);
    int stopped = measure_piece(f, ch, text);
    if (stopped >= 0)
        return stop(f, ch->choice, (size_t)stopped, EXCHANGE_FINISH_FILTER);
    buf_clear(out);
    bool passes = guard_stream_feed(&ch->rules, guard_scratch(f->call), text, out);
    if (passes && at_end)
        passes = guard_stream_end(&ch->rules, guard_scratch(f->call), out);
    take_hits(f, ch, &ch->rules);
    enum phase_result result = tell_bounded(f, ch, buf_str(out), at_end && passes);
    if (result != PHASE_NEXT || passes || is_over(f, ch->choice))
        return result;
    return stop(f, ch->choice, (size_t)ch->rules.blocked_by, EXCHANGE_FINISH_FILTER);
}

// The text is over, or another kind of it begins.
static enum phase_result end_text(struct flow *f, uint32_t choice, enum guard_kind kind)
{
    struct guard_channel *ch = find(f->answer, choice, kind, 0);
    return ch && !is_over(f, choice) ? pass(f, ch, STR(""), true) : PHASE_NEXT;
}

// --- Arguments

typedef bool (*change_fn)(struct flow *f, struct guard_channel *ch, str text, struct buf *out);

static bool by_rules(struct flow *f, struct guard_channel *ch, str text, struct buf *out)
{
    struct guard_stream s;
    struct scan_scratch *x = guard_scratch(f->call);
    guard_stream_init(&s, f->rules, NULL);
    bool passes = guard_stream_feed(&s, x, text, out) && guard_stream_end(&s, x, out);
    take_hits(f, ch, &s);
    if (!passes)
        ch->rules.blocked_by = s.blocked_by;
    guard_stream_done(&s);
    return passes;
}

static bool by_vault(struct flow *f, struct guard_channel *ch, str text, struct buf *out)
{
    guard_restore_feed(&ch->back, guard_scratch(f->call), text, out);
    guard_restore_end(&ch->back, guard_scratch(f->call), out);
    return true;
}

// Each string of a JSON text; what is no JSON as it stands there. False: a rule blocks it.
static bool change_json(struct flow *f, struct guard_channel *ch, str json, change_fn change,
                        struct buf *out)
{
    struct json_doc doc = {0};
    struct guard_texts texts;
    bool passes = true;
    if (json_parse(&doc, json, JSON_LIMITS_DEFAULT, NULL) != ERR_OK) {
        json_done(&doc);
        return change(f, ch, json, out);
    }
    struct arena arena;
    struct buf one;
    arena_init(&arena, SIZE_MAX / 2);
    buf_init(&one, SIZE_MAX / 2);
    guard_texts_find_all(doc.root, GUARD_ROLE_ASSISTANT, &texts);
    for (size_t i = 0; i < texts.len && passes; i++) {
        struct guard_text *t = &texts.items[i];
        buf_clear(&one);
        passes = change(f, ch, t->text, &one);
        str told = passes ? arena_str(&arena, buf_str(&one)) : t->text;
        t->changed = !str_eq(told, t->text);
        t->text = told;
    }
    if (passes && guard_texts_changed(&texts))
        guard_texts_write(doc.root, &texts, NULL, out);
    else if (passes)
        (void)buf_append_str(out, json);
    guard_texts_done(&texts);
    buf_done(&one);
    arena_done(&arena);
    json_done(&doc);
    return passes;
}

static enum phase_result tell_call(struct flow *f, struct guard_channel *ch)
{
    struct exchange_event e = {.type = EXCHANGE_EVENT_CALL,
                               .choice = ch->choice,
                               .call_index = ch->call_index,
                               .call = {.id = ch->id, .name = ch->name}};
    ch->called = true;
    return tell(f, &e);
}

static enum phase_result tell_arguments(struct flow *f, struct guard_channel *ch)
{
    struct guard_answer *a = f->answer;
    str past = buf_str(&ch->arguments), back = STR_NONE;
    buf_clear(&a->out);
    buf_clear(&a->back);
    if (f->rules) {
        if (!change_json(f, ch, past, by_rules, &a->out))
            return stop(f, ch->choice, (size_t)ch->rules.blocked_by, EXCHANGE_FINISH_FILTER);
        past = buf_str(&a->out);
    }
    if (f->own->vault.len) {
        (void)change_json(f, ch, past, by_vault, &a->back);
        back = buf_str(&a->back);
    }
    struct exchange_event e = event_of(ch, past);
    enum phase_result result = ch->called ? PHASE_NEXT : tell_call(f, ch);
    if (result == PHASE_NEXT && past.len)
        note(f, &e);
    e.text = back.len ? back : past;
    if (result == PHASE_NEXT && e.text.len)
        result = f->say(f->call, &e);
    buf_clear(&ch->arguments);
    return result;
}

static bool is_complete(str json)
{
    struct json_doc doc = {0};
    bool whole = json_parse(&doc, json, JSON_LIMITS_DEFAULT, NULL) == ERR_OK;
    json_done(&doc);
    return whole;
}

// Something of it is to be told, now or at the end.
static bool waits(const struct guard_channel *ch, bool at_end)
{
    return at_end ? ch->arguments.len || !ch->called
                  : ch->arguments.len && is_complete(buf_str(&ch->arguments));
}

// Of all calls of the choice that are complete; at its end, of all. The oldest is the last of the
// list, and is told first.
static enum phase_result end_calls(struct flow *f, uint32_t choice, bool all)
{
    for (;;) {
        struct guard_channel *first = NULL;
        for (struct guard_channel *ch = f->answer->channels; ch; ch = ch->next)
            if (ch->choice == choice && ch->kind == GUARD_ARGUMENTS && waits(ch, all))
                first = ch;
        if (!first || is_over(f, choice))
            return PHASE_NEXT;
        enum phase_result result = tell_arguments(f, first);
        if (result != PHASE_NEXT)
            return result;
    }
}

static enum phase_result add_arguments(struct flow *f, const struct exchange_event *e)
{
    struct guard_channel *ch = open_channel(f, e, GUARD_ARGUMENTS);
    if (buf_append_str(&ch->arguments, e->text) == ERR_OK)
        return PHASE_NEXT;
    api_error_set(call_error(f->call), API_ANSWER_TOO_LARGE, NULL,
                  "The arguments of a tool call are larger than an answer may be.");
    return call_refuse(f->call);
}

// --- Events

static enum phase_result on_text(struct flow *f, const struct exchange_event *e)
{
    enum phase_result result = end_text(f, e->choice, GUARD_THINKING);
    if (result != PHASE_NEXT || is_over(f, e->choice) || !e->text.len)
        return result;
    return pass(f, open_channel(f, e, GUARD_TEXT), e->text, false);
}

static enum phase_result on_thinking(struct flow *f, const struct exchange_event *e)
{
    struct guard_channel *ch = open_channel(f, e, GUARD_THINKING);
    enum phase_result result = end_text(f, e->choice, GUARD_TEXT);
    if (result == PHASE_NEXT && !is_over(f, e->choice))
        result = pass(f, ch, e->text, e->signature.len > 0);
    // A seal is that of the text as it was.
    if (result != PHASE_NEXT || is_over(f, e->choice) || !e->signature.len || ch->masked)
        return result;
    struct exchange_event seal = *e;
    seal.text = STR_NONE;
    return tell(f, &seal);
}

static enum phase_result end_texts(struct flow *f, uint32_t choice)
{
    enum phase_result result = end_text(f, choice, GUARD_THINKING);
    return result == PHASE_NEXT ? end_text(f, choice, GUARD_TEXT) : result;
}

static enum phase_result on_call(struct flow *f, const struct exchange_event *e)
{
    enum phase_result result = end_texts(f, e->choice);
    if (result == PHASE_NEXT)
        result = end_calls(f, e->choice, false);
    if (result != PHASE_NEXT || is_over(f, e->choice))
        return result;
    struct guard_channel *ch = open_channel(f, e, GUARD_ARGUMENTS);
    ch->id = arena_str(&f->call->arena, e->call.id);
    ch->name = arena_str(&f->call->arena, e->call.name);
    return PHASE_NEXT;
}

static enum phase_result on_finish(struct flow *f, const struct exchange_event *e)
{
    enum phase_result result = end_texts(f, e->choice);
    if (result == PHASE_NEXT)
        result = end_calls(f, e->choice, true);
    if (result != PHASE_NEXT || is_over(f, e->choice))
        return result;
    f->answer->choices[e->choice].over = true;
    f->answer->over++;
    return tell(f, e);
}

static enum phase_result take_event(struct flow *f, const struct exchange_event *e)
{
    bool of_choice = e->type == EXCHANGE_EVENT_TEXT || e->type == EXCHANGE_EVENT_THINKING ||
                     e->type == EXCHANGE_EVENT_CALL || e->type == EXCHANGE_EVENT_ARGUMENTS ||
                     e->type == EXCHANGE_EVENT_FINISH;
    if (of_choice && (e->choice >= f->answer->choices_len || is_over(f, e->choice)))
        return PHASE_NEXT;
    switch (e->type) {
    case EXCHANGE_EVENT_TEXT:
        return on_text(f, e);
    case EXCHANGE_EVENT_THINKING:
        return on_thinking(f, e);
    case EXCHANGE_EVENT_CALL:
        return on_call(f, e);
    case EXCHANGE_EVENT_ARGUMENTS:
        return add_arguments(f, e);
    case EXCHANGE_EVENT_FINISH:
        return on_finish(f, e);
    default:
        return tell(f, e);
    }
}

enum phase_result guard_output(struct call *c, const struct exchange_event *e, say_fn say)
{
    struct flow f = {.call = c,
                     .own = c->guard,
                     .answer = &c->guard->answer,
                     .rules = c->guard->set->output,
                     .say = say};
    if (!c->guard->hears)
        return tell(&f, e);
    if (!prepare(&f)) {
        api_error_set(call_error(c), API_JSON_LIMIT, NULL, "The request needs too much memory.");
        return call_refuse(c);
    }
    return take_event(&f, e);
}

void guard_leave(struct call *c)
{
    if (!c->guard)
        return;
    guard_answer_done(&c->guard->answer);
    vault_done(&c->guard->vault);
}
