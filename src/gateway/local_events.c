#include "gateway/local_events.h"

#include "base/mem.h"

#include "base/banned.h"

struct exchange_event *local_events_push(struct local_events *q, enum exchange_event_type type,
                                         uint32_t choice)
{
    if (q->len == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 4;
        q->items = mem_resize(q->items, q->cap, sizeof *q->items);
    }
    struct exchange_event *e = &q->items[q->len++];
    *e = (struct exchange_event){.type = type, .choice = choice};
    return e;
}

struct api_error *local_events_fail(struct local_events *q, uint32_t choice)
{
    if (!q->error)
        q->error = mem_new(struct api_error);
    local_events_push(q, EXCHANGE_EVENT_ERROR, choice)->error = q->error;
    return q->error;
}

bool local_events_pop(struct local_events *q, struct exchange_event *ret)
{
    if (q->next == q->len) {
        q->next = q->len = 0;
        return false;
    }
    *ret = q->items[q->next++];
    return true;
}

void local_events_done(struct local_events *q)
{
    mem_free(q->items);
    mem_free(q->error);
    *q = (struct local_events){0};
}
