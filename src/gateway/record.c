#include "gateway/record.h"

#include "base/banned.h"

const char *attempt_reason_name(enum attempt_reason r)
{
    static const char *const names[ATTEMPT_REASON_COUNT] = {"first",  "retry", "fallback", "hedge",
                                                            "rescue", "probe", "shadow"};
    return names[r];
}

const char *attempt_end_name(enum attempt_end e)
{
    static const char *const names[ATTEMPT_END_COUNT] = {"running", "answered", "failed",
                                                         "cancelled", "lost"};
    return names[e];
}

struct attempt_record *record_attempt(struct call_record *r, struct arena *arena)
{
    struct attempt_record *a = arena_zalloc(arena, 1, sizeof *a);
    if (!a)
        return NULL;
    if (r->attempt_last)
        r->attempt_last->next = a;
    else
        r->attempts = a;
    r->attempt_last = a;
    r->attempts_len++;
    return a;
}
