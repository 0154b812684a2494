#include "engine/prediction.h"

#include <string.h>

#include "base/mem.h"
#include "engine/speculate.h"

#include "base/banned.h"

void prediction_init(struct prediction *p, const int32_t *ids, size_t n)
{
    *p = (struct prediction){.agreed = GUESS_MATCH_MAX}; // the client's word, to begin with
    if (n == 0)
        return;
    p->ids = mem_array(n, sizeof *ids);
    memcpy(p->ids, ids, n * sizeof *ids);
    p->len = (uint32_t)n;
}

void prediction_done(struct prediction *p)
{
    mem_free(p->ids);
}

struct place {
    uint32_t end, match;
};

static void look_between(const struct prediction *p, uint32_t from, uint32_t to,
                         const int32_t *answer, uint32_t n, struct place *best)
{
    for (uint32_t end = from; end <= to && best->match < GUESS_MATCH_MAX; end++) {
        uint32_t match = guess_match(p->ids, end, answer, n);
        if (match > best->match)
            *best = (struct place){end, match};
    }
}

// Of equally long matches the next one ahead: what a change left as it was comes after it.
static void find_again(struct prediction *p, const int32_t *answer, uint32_t n)
{
    struct place best = {0, GUESS_MATCH_MIN - 1};
    look_between(p, p->next + 1, p->len, answer, n, &best);
    look_between(p, 1, p->next, answer, n, &best);
    p->agreed = best.end ? best.match : 0;
    if (best.end)
        p->next = best.end;
}

void prediction_follow(struct prediction *p, const int32_t *answer, uint32_t n)
{
    if (p->len == 0)
        return;
    if (prediction_left(p) > 0 && p->ids[p->next] == answer[n - 1]) {
        p->next++;
        p->agreed += p->agreed < GUESS_MATCH_MAX;
        p->accepted += p->accepted < p->len; // an answer may go through it more than once
        return;
    }
    find_again(p, answer, n);
}

uint32_t prediction_left(const struct prediction *p)
{
    return p->agreed ? p->len - p->next : 0;
}

uint32_t prediction_rejected(const struct prediction *p)
{
    return p->len - p->accepted;
}
