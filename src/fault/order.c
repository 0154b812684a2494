#include "fault/order.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/random.h"

#include "base/banned.h"

#define AT(f) offsetof(struct order, f)

static const char *const bodies[] = {"json", "html", "empty", NULL};
static const char *const damages[] = {"half", "brace", "utf8", NULL};
static const char *const arguments[] = {"full", "empty", "broken", NULL};
static const char *const usages[] = {"asked", "none", "always", NULL};
static const char *const continues[] = {"as_known", "yes", "no", "refuse", NULL};

const struct option order_table[] = {
    {.name = "rate",
     .type = OPTION_FLOAT,
     .offset = AT(rate),
     .max = 1,
     .help = "Applies to this share of the requests, drawn from the seed."},
    {.name = "every",
     .type = OPTION_INT,
     .offset = AT(every),
     .max = 1e9,
     .help = "Applies to every nth request."},
    {.name = "times",
     .type = OPTION_INT,
     .offset = AT(times),
     .max = 1e9,
     .help = "Applies to the first n requests, then no more."},
    {.name = "flap",
     .type = OPTION_STRING,
     .offset = AT(flap),
     .arg = "GOOD:BAD",
     .help = "Lets GOOD requests pass, applies to BAD, and so on."},
    {.name = "head",
     .type = OPTION_STRING,
     .offset = AT(head),
     .arg = "SPREAD",
     .help = "Waits before the status line."},
    {.name = "first",
     .type = OPTION_STRING,
     .offset = AT(first),
     .arg = "SPREAD",
     .help = "Waits between the headers and the first token; a whole answer waits as its stream "
             "would."},
    {.name = "token",
     .type = OPTION_STRING,
     .offset = AT(token),
     .arg = "SPREAD",
     .help = "Waits before each further token."},
    {.name = "drip",
     .type = OPTION_STRING,
     .offset = AT(drip),
     .arg = "SPREAD",
     .help = "Sends each byte of the body by itself and waits in between (alone: 1ms)."},
    {.name = "hang",
     .type = OPTION_BOOL,
     .offset = AT(hang),
     .help = "Takes the request and never answers."},
    {.name = "reset",
     .type = OPTION_STRING,
     .offset = AT(reset),
     .arg = "PLACE",
     .help = "Resets the connection there; alone: instead of any answer."},
    {.name = "stall",
     .type = OPTION_STRING,
     .offset = AT(stall),
     .arg = "PLACE",
     .help = "Falls silent there and keeps the connection."},
    {.name = "cut",
     .type = OPTION_STRING,
     .offset = AT(cut),
     .arg = "PLACE",
     .help = "Closes the connection there, in the middle of the body."},
    {.name = "stop",
     .type = OPTION_STRING,
     .offset = AT(stop),
     .arg = "PLACE",
     .help = "Ends the body there as if it were whole: without its terminal event."},
    {.name = "no_done",
     .type = OPTION_BOOL,
     .offset = AT(no_done),
     .help = "Leaves out only the terminal event: [DONE], message_stop, the line with done."},
    {.name = "fail",
     .type = OPTION_STRING,
     .offset = AT(fail),
     .arg = "PLACE",
     .help = "Sends an error event there (error says which) and ends the stream."},
    {.name = "unstreamed",
     .type = OPTION_BOOL,
     .offset = AT(unstreamed),
     .help = "Gives a whole JSON answer although a stream was asked for."},
    {.name = "error",
     .type = OPTION_STRING,
     .offset = AT(error),
     .arg = "WORD|STATUS",
     .help = "Answers with an error: a status from 300 to 599, or bad_request, auth, permission, "
             "model, context, filter, rate_limit, quota, server, unavailable, overloaded, "
             "timeout."},
    {.name = "status",
     .type = OPTION_INT,
     .offset = AT(status),
     .min = 0,
     .max = 599,
     .help = "Sends the error with this status instead of its own: 200 for an error in disguise."},
    {.name = "body",
     .type = OPTION_CHOICE,
     .offset = AT(body),
     .value = "json",
     .choices = bodies,
     .help = "An error's body: the protocol's JSON, a proxy's HTML page, or none."},
    {.name = "retry_after",
     .type = OPTION_STRING,
     .offset = AT(retry_after),
     .arg = "TEXT",
     .help = "Sends Retry-After with exactly this text: a number of seconds, or nonsense."},
    {.name = "retry_after_date",
     .type = OPTION_INT,
     .offset = AT(retry_after_date),
     .arg = "SECONDS",
     .max = 1e6,
     .help = "Sends Retry-After as the HTTP date that many seconds from now."},
    {.name = "retry_after_ms",
     .type = OPTION_INT,
     .offset = AT(retry_after_ms),
     .max = 1e9,
     .help = "Sends retry-after-ms."},
    {.name = "x_ms_retry_after_ms",
     .type = OPTION_INT,
     .offset = AT(x_ms_retry_after_ms),
     .max = 1e9,
     .help = "Sends x-ms-retry-after-ms, as Azure does."},
    {.name = "tokens",
     .type = OPTION_INT,
     .offset = AT(tokens),
     .max = 20000,
     .help = "How many tokens the answer has; 0: drawn from the seed and the prompt."},
    {.name = "text",
     .type = OPTION_STRING,
     .offset = AT(text),
     .help = "The answer itself, instead of words drawn from the seed and the prompt."},
    {.name = "empty",
     .type = OPTION_BOOL,
     .offset = AT(empty),
     .help = "An answer without any text, ended properly."},
    {.name = "reasoning",
     .type = OPTION_INT,
     .offset = AT(reasoning),
     .max = 20000,
     .help = "Tokens of reasoning before the answer."},
    {.name = "tools",
     .type = OPTION_INT,
     .offset = AT(tools),
     .max = 64,
     .help = "Calls that many of the request's tools at once, unless the last message is a tool's "
             "result. Without it only a tool_choice that forces a call makes one."},
    {.name = "arguments",
     .type = OPTION_CHOICE,
     .offset = AT(arguments),
     .value = "full",
     .choices = arguments,
     .help = "A tool call's arguments: values that fit its schema, none at all, or broken JSON."},
    {.name = "filter",
     .type = OPTION_STRING,
     .offset = AT(filter),
     .arg = "TOKEN",
     .help = "The provider's content filter ends the answer before that token."},
    {.name = "malformed",
     .type = OPTION_STRING,
     .offset = AT(malformed),
     .arg = "EVENT",
     .help = "That event (from 0) is broken; alone: event 1."},
    {.name = "malformed_as",
     .type = OPTION_CHOICE,
     .offset = AT(malformed_as),
     .value = "half",
     .choices = damages,
     .help = "How: half of its JSON is missing, its first brace is wrong, or it is not UTF-8."},
    {.name = "huge",
     .type = OPTION_BYTES,
     .offset = AT(huge),
     .max = 16 << 20,
     .help = "One token of the answer is that large."},
    {.name = "pings",
     .type = OPTION_INT,
     .offset = AT(pings),
     .max = 100000,
     .help = "A comment or ping after every nth event."},
    {.name = "usage",
     .type = OPTION_CHOICE,
     .offset = AT(usage),
     .value = "asked",
     .choices = usages,
     .help = "Token counts: where the protocol and the request want them, never, or always."},
    {.name = "continues",
     .type = OPTION_CHOICE,
     .offset = AT(continues),
     .value = "as_known",
     .choices = continues,
     .help = "Whether the answer continues a trailing assistant message. as_known: Anthropic and "
             "Ollama do, OpenAI with continue_final_message. refuse: answers 400."},
    {0},
};

// --- Texts

static enum err understand_place(str text, bool events_only, struct order_place *ret,
                                 struct diag *d)
{
    struct order_place p = {.given = true};
    if (text.len == 0)
        return ERR_OK;
    p.bytes = !events_only && text.ptr[text.len - 1] == 'b';
    if (str_to_u64(str_sub(text, 0, text.len - (p.bytes ? 1 : 0)), &p.at) != ERR_OK)
        return diag_set(d, ERR_PARSE, "'" STR_FMT "' is no place in an answer; write %s",
                        STR_ARG(str_sub(text, 0, 80)),
                        events_only ? "a number (5)" : "an event (5) or a byte (120b)");
    *ret = p;
    return ERR_OK;
}

static enum err understand_flap(str text, struct order_plan *ret, struct diag *d)
{
    str rest = text, head = STR_NONE;
    uint64_t good, bad;
    if (text.len == 0)
        return ERR_OK;
    if (!str_split(&rest, ':', &head) || str_to_u64(head, &good) != ERR_OK ||
        str_to_u64(rest, &bad) != ERR_OK || good > 1000000 || bad > 1000000 || bad == 0)
        return diag_set(d, ERR_PARSE, "flap wants GOOD:BAD (3:2), not '" STR_FMT "'",
                        STR_ARG(str_sub(text, 0, 80)));
    ret->flap_good = (uint32_t)good;
    ret->flap_bad = (uint32_t)bad;
    return ERR_OK;
}

static enum err understand_spread(str text, struct spread *ret, struct diag *d)
{
    return text.len ? spread_parse(text, ret, d) : ERR_OK;
}

enum err order_understand(const struct order *o, struct order_plan *ret, struct diag *d)
{
    struct order_plan p = {0};
    ERR_TRY(understand_flap(o->flap, &p, d));
    ERR_TRY(understand_spread(o->head, &p.head, d));
    ERR_TRY(understand_spread(o->first, &p.first, d));
    ERR_TRY(understand_spread(o->token, &p.token, d));
    ERR_TRY(understand_spread(o->drip, &p.drip, d));
    ERR_TRY(understand_place(o->reset, false, &p.reset, d));
    ERR_TRY(understand_place(o->stall, false, &p.stall, d));
    ERR_TRY(understand_place(o->cut, false, &p.cut, d));
    ERR_TRY(understand_place(o->stop, false, &p.stop, d));
    ERR_TRY(understand_place(o->fail, false, &p.fail, d));
    ERR_TRY(understand_place(o->filter, true, &p.filter, d));
    ERR_TRY(understand_place(o->malformed, true, &p.malformed, d));
    *ret = p;
    return ERR_OK;
}

// --- Words

// What a word says that stands alone.
static const char *value_alone(const struct option *row)
{
    static const char *const pairs[][2] = {
        {"reset", "0"}, {"drip", "1ms"}, {"malformed", "1"}, {"filter", "1"}, {"huge", "1MiB"}};
    if (row->type == OPTION_BOOL)
        return "true";
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (str_eq_z(str_of(row->name), pairs[i][0]))
            return pairs[i][1];
    return NULL;
}

// A word as people write it: with dashes.
static const struct option *find_word(str word)
{
    char name[32];
    if (word.len == 0 || word.len >= sizeof name)
        return NULL;
    for (size_t i = 0; i < word.len; i++)
        name[i] = word.ptr[i] == '-' ? '_' : word.ptr[i];
    return option_find(order_table, str_slice(name, word.len));
}

static enum err take_word(str text, struct arena *arena, struct order *o, struct diag *d)
{
    size_t at = 0;
    while (at < text.len && text.ptr[at] != '=' && text.ptr[at] != '@')
        at++;
    str word = str_trim(str_sub(text, 0, at));
    const struct option *row = find_word(word);
    if (!row) {
        const char *near = option_nearest(order_table, word);
        return diag_set(d, ERR_NOT_FOUND,
                        "there is no fault '" STR_FMT "'%s%s%s; 'weir fault --orders' lists them",
                        STR_ARG(str_sub(word, 0, 80)), near ? "; did you mean '" : "",
                        near ? near : "", near ? "'?" : "");
    }
    str value = at < text.len ? str_trim(str_sub(text, at + 1, text.len)) : STR_NONE;
    if (at >= text.len)
        value = str_of(value_alone(row));
    if (!value.ptr)
        return diag_set(d, ERR_INVALID, "the fault '%s' wants a value", row->name);
    return option_set(row, value, o, arena, d);
}

enum err order_parse(str text, struct arena *arena, struct order *ret, struct diag *d)
{
    struct order o = {0};
    struct order_plan plan;
    str word;
    while (str_split(&text, ',', &word))
        if (str_trim(word).len)
            ERR_TRY(take_word(str_trim(word), arena, &o, d));
    ERR_TRY(order_understand(&o, &plan, d));
    *ret = o;
    return ERR_OK;
}

static size_t size_of(const struct option *row)
{
    return row->type == OPTION_BOOL     ? sizeof(bool)
           : row->type == OPTION_STRING ? sizeof(str)
           : row->type == OPTION_FLOAT  ? sizeof(double)
                                        : sizeof(int64_t);
}

static bool is_said(const struct option *row, const struct order *o)
{
    const char *at = (const char *)o + row->offset;
    static const char nothing[sizeof(str)];
    if (row->type == OPTION_STRING)
        return ((const str *)(const void *)at)->len > 0;
    return memcmp(at, nothing, size_of(row)) != 0;
}

void order_lay_over(struct order *base, const struct order *top)
{
    for (const struct option *row = order_table; row->name; row++)
        if (is_said(row, top))
            memcpy((char *)base + row->offset, (const char *)top + row->offset, size_of(row));
}

// --- For people

static void write_value(const struct option *row, const void *at, struct buf *out)
{
    char number[40];
    switch (row->type) {
    case OPTION_BOOL:
        return;
    case OPTION_STRING:
        (void)buf_printf(out, "=" STR_FMT, STR_ARG(*(const str *)at));
        return;
    case OPTION_FLOAT:
        (void)buf_printf(out, "=%g", *(const double *)at);
        return;
    case OPTION_CHOICE:
        (void)buf_printf(out, "=%s", row->choices[*(const int64_t *)at]);
        return;
    default:
        snprintf(number, sizeof number, "%lld", (long long)*(const int64_t *)at);
        (void)buf_printf(out, "=%s", number);
    }
}

void order_write(const struct order *o, struct buf *out)
{
    bool more = false;
    for (const struct option *row = order_table; row->name; row++) {
        if (!is_said(row, o))
            continue;
        (void)buf_printf(out, "%s%s", more ? ", " : "", row->name);
        write_value(row, (const char *)o + row->offset, out);
        more = true;
    }
}

void order_list(struct buf *out)
{
    for (const struct option *row = order_table; row->name; row++) {
        char word[80];
        const char *arg = row->type == OPTION_BOOL ? "" : row->arg ? row->arg : "N";
        snprintf(word, sizeof word, "%s%s%s", row->name, *arg ? "=" : "",
                 row->type == OPTION_CHOICE ? "CHOICE" : arg);
        (void)buf_printf(out, "%-28s %s", word, row->help);
        for (size_t i = 0; row->choices && row->choices[i]; i++)
            (void)buf_printf(out, "%s%s", i ? "|" : " [", row->choices[i]);
        (void)buf_printf(out, "%s\n", row->choices ? "]" : "");
    }
}

bool order_applies(const struct order *o, const struct order_plan *p, struct order_draw at,
                   uint64_t nth)
{
    double draw = (double)(random_counter(at.seed, at.number, at.source) >> 11) * 0x1p-53;
    if (o->times && nth >= (uint64_t)o->times)
        return false;
    if (o->every && (nth + 1) % (uint64_t)o->every != 0)
        return false;
    if (p->flap_bad && nth % (p->flap_good + p->flap_bad) < p->flap_good)
        return false;
    return o->rate == 0 || draw < o->rate;
}
