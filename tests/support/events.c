#include "support/events.h"

#include "base/banned.h"

#define CALLS_MAX 6

static uint32_t state;

static uint32_t draw(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

static struct exchange_event *push(struct events *e, enum exchange_event_type type)
{
    struct exchange_event *new = &e->items[e->len++];
    *new = (struct exchange_event){.type = type};
    return new;
}

#define LITERAL(text) {text, sizeof(text) - 1}

static const str texts[] = {LITERAL("Hel"), LITERAL("lo"), LITERAL(" \"\\"),
                            LITERAL("\n"),  LITERAL(""),   LITERAL("\xc3\xa9")};
static const str arguments[] = {
    LITERAL("{}"), LITERAL("{\"a\":\"x}\\\"]\",\"b\":[1,{\"c\":2}]}"),
    LITERAL("{ \"city\": \"Paris\" }\n"),
    LITERAL(""), // none at all
};
static const char *const ids[CALLS_MAX] = {"c0", "c1", "c2", "c3", "c4", "c5"};
static const char *const names[CALLS_MAX] = {"f0", "f1", "f2", "f3", "f4", "f5"};

struct call {
    str left;
};

static void open_call(struct events *e, struct call *calls)
{
    size_t i = e->calls++;
    struct exchange_event *new = push(e, EXCHANGE_EVENT_CALL);
    new->call_index = (uint32_t)i;
    new->call.id = str_of(ids[i]);
    new->call.name = str_of(names[i]);
    calls[i].left = arguments[draw(ARRAY_LEN(arguments))];
}

static void say_arguments(struct events *e, struct call *calls, size_t i)
{
    str *left = &calls[i].left;
    if (!left->len)
        return;
    size_t n = 1 + draw((uint32_t)left->len);
    struct exchange_event *new = push(e, EXCHANGE_EVENT_ARGUMENTS);
    new->call_index = (uint32_t)i;
    new->text = str_sub(*left, 0, n);
    *left = str_sub(*left, n, SIZE_MAX);
}

static void finish_arguments(struct events *e, struct call *calls)
{
    for (size_t i = 0; i < e->calls; i++)
        while (calls[i].left.len)
            say_arguments(e, calls, i);
}

static void step(struct events *e, struct call *calls)
{
    switch (draw(6)) {
    case 0:
        push(e, EXCHANGE_EVENT_TEXT)->text = texts[draw(ARRAY_LEN(texts))];
        return;
    case 1:
        push(e, EXCHANGE_EVENT_THINKING)->text = texts[draw(ARRAY_LEN(texts))];
        return;
    case 2:
        if (e->sequential)
            finish_arguments(e, calls);
        if (e->calls < CALLS_MAX)
            open_call(e, calls);
        return;
    case 3:
        if (draw(4) == 0)
            push(e, EXCHANGE_EVENT_THINKING)->signature = STR("seal");
        return;
    default:
        if (e->calls)
            say_arguments(e, calls, e->sequential ? e->calls - 1 : draw((uint32_t)e->calls));
    }
}

void events_draw(struct events *e, uint32_t seed)
{
    struct call calls[CALLS_MAX] = {0};
    state = seed * 2654435761u + 1;
    e->len = e->calls = 0;
    e->sequential = draw(2) == 0;
    push(e, EXCHANGE_EVENT_BEGIN)->usage.prompt_tokens = 9;
    for (uint32_t steps = draw(24); steps > 0; steps--)
        step(e, calls);
    finish_arguments(e, calls);
    struct exchange_event *finish = push(e, EXCHANGE_EVENT_FINISH);
    finish->finish = e->calls ? EXCHANGE_FINISH_TOOL_CALLS : (enum exchange_finish)draw(2);
    push(e, EXCHANGE_EVENT_END)->usage =
        (struct exchange_usage){.prompt_tokens = 9, .cached_tokens = 2, .completion_tokens = 5};
}
