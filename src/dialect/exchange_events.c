#include "dialect/exchange_events.h"

#include "base/mem.h"

#include "base/banned.h"

struct exchange_event *exchange_events_push(struct exchange_events *q,
                                            enum exchange_event_type type, uint32_t choice)
{
    if (q->len == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 4;
        q->items = mem_resize(q->items, q->cap, sizeof *q->items);
    }
    struct exchange_event *e = &q->items[q->len++];
    *e = (struct exchange_event){.type = type, .choice = choice};
    return e;
}

struct api_error *exchange_events_fail(struct exchange_events *q, uint32_t choice)
{
    if (!q->error)
        q->error = mem_new(struct api_error);
    exchange_events_push(q, EXCHANGE_EVENT_ERROR, choice)->error = q->error;
    return q->error;
}

bool exchange_events_pop(struct exchange_events *q, struct exchange_event *ret)
{
    if (q->next == q->len) {
        q->next = q->len = 0;
        return false;
    }
    *ret = q->items[q->next++];
    return true;
}

void exchange_events_rest(struct exchange_events *q)
{
    if (q->next != q->len)
        return;
    mem_free(q->items);
    q->items = NULL;
    q->next = q->len = q->cap = 0;
}

void exchange_events_done(struct exchange_events *q)
{
    mem_free(q->items);
    mem_free(q->error);
    *q = (struct exchange_events){0};
}
