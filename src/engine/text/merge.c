#include "engine/text/merge.h"

#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

enum { CAP_FIRST = 64 };

void merge_done(struct merge *m)
{
    mem_free(m->symbols);
    mem_free(m->heap);
    *m = (struct merge){0};
}

void merge_clear(struct merge *m)
{
    m->n = m->heap_n = 0;
}

// Doubles an array whose length follows from the text: refused, not fatal, when memory is out.
static enum err grow(void **array, size_t *cap, size_t size)
{
    size_t wanted = *cap ? *cap * 2 : CAP_FIRST;
    void *bigger = mem_try_alloc(wanted * size);
    if (!bigger)
        return ERR_NOMEM;
    if (*cap)
        memcpy(bigger, *array, *cap * size);
    mem_free(*array);
    *array = bigger;
    *cap = wanted;
    return ERR_OK;
}

enum err merge_add(struct merge *m, int32_t id, uint32_t start, uint32_t len)
{
    if (m->n >= MERGE_END)
        return ERR_LIMIT;
    if (m->n == m->cap) {
        void *symbols = m->symbols;
        ERR_TRY(grow(&symbols, &m->cap, sizeof *m->symbols));
        m->symbols = symbols;
    }
    uint32_t at = (uint32_t)m->n++;
    m->symbols[at] = (struct merge_symbol){id, start, len, at ? at - 1 : MERGE_END, MERGE_END};
    if (at)
        m->symbols[at - 1].next = at;
    return ERR_OK;
}

static enum err heap_push(struct merge *m, uint64_t key)
{
    if (m->heap_n == m->heap_cap) {
        void *heap = m->heap;
        ERR_TRY(grow(&heap, &m->heap_cap, sizeof *m->heap));
        m->heap = heap;
    }
    size_t i = m->heap_n++;
    while (i > 0 && m->heap[(i - 1) / 2] > key) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = key;
    return ERR_OK;
}

static uint64_t heap_pop(struct merge *m)
{
    uint64_t top = m->heap[0], key = m->heap[--m->heap_n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= m->heap_n)
            break;
        if (child + 1 < m->heap_n && m->heap[child + 1] < m->heap[child])
            child++;
        if (m->heap[child] >= key)
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = key;
    return top;
}

static enum err offer(struct merge *m, uint32_t left, merge_pair_fn pair, const void *ctx)
{
    const struct merge_symbol *s = &m->symbols[left];
    uint32_t rank;
    int32_t id;
    if (s->next == MERGE_END || !pair(ctx, s, &m->symbols[s->next], &rank, &id))
        return ERR_OK;
    return heap_push(m, (uint64_t)rank << 32 | left);
}

// Takes the right neighbour into `left`.
static void join(struct merge *m, uint32_t left, int32_t id)
{
    struct merge_symbol *l = &m->symbols[left], *r = &m->symbols[l->next];
    l->id = id;
    l->len += r->len;
    l->next = r->next;
    if (r->next != MERGE_END)
        m->symbols[r->next].prev = left;
    r->len = 0;
}

enum err merge_run(struct merge *m, merge_pair_fn pair, const void *ctx)
{
    for (uint32_t i = 0; i < m->n; i++)
        ERR_TRY(offer(m, i, pair, ctx));
    while (m->heap_n) {
        uint64_t key = heap_pop(m);
        uint32_t left = (uint32_t)key, rank;
        const struct merge_symbol *s = &m->symbols[left];
        int32_t id;
        // An entry is stale when its symbols have changed since: then the pair now there has
        // another rank (and an entry of its own), or none.
        if (s->len == 0 || s->next == MERGE_END ||
            !pair(ctx, s, &m->symbols[s->next], &rank, &id) || rank != key >> 32)
            continue;
        join(m, left, id);
        ERR_TRY(offer(m, left, pair, ctx));
        if (s->prev != MERGE_END)
            ERR_TRY(offer(m, s->prev, pair, ctx));
    }
    return ERR_OK;
}
