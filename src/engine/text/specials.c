#include "engine/text/specials.h"

#include <stdlib.h>

#include "base/mem.h"

#include "base/banned.h"

static int by_text(const void *a, const void *b, void *tokens)
{
    const int32_t *x = a, *y = b;
    const str *t = tokens;
    return str_cmp(t[*x], t[*y]);
}

static bool wanted(const struct vocab *v, uint32_t i, unsigned types)
{
    return v->types && v->tokens[i].len > 0 && (types >> v->types[i] & 1);
}

enum err specials_init(struct specials *s, const struct vocab *v, unsigned types, struct diag *d)
{
    *s = (struct specials){.tokens = v->tokens};
    size_t n = 0;
    for (uint32_t i = 0; i < v->n_tokens; i++)
        n += wanted(v, i, types);
    if (n == 0)
        return ERR_OK;
    s->ids = mem_try_alloc(n * sizeof *s->ids);
    if (!s->ids)
        return diag_set(d, ERR_NOMEM, "no memory for %zu special tokens", n);
    for (uint32_t i = 0; i < v->n_tokens; i++)
        if (wanted(v, i, types))
            s->ids[s->n++] = (int32_t)i;
    qsort_r(s->ids, s->n, sizeof *s->ids, by_text, (void *)(uintptr_t)v->tokens);
    for (uint32_t i = 0; i < s->n; i++)
        s->first[(uint8_t)v->tokens[s->ids[i]].ptr[0] + 1]++;
    for (size_t b = 0; b < 256; b++)
        s->first[b + 1] += s->first[b];
    return ERR_OK;
}

void specials_done(struct specials *s)
{
    mem_free(s->ids);
    *s = (struct specials){0};
}

// The first index in [low, high) whose byte at `depth` is at least `byte`.
static uint32_t bound(const struct specials *s, uint32_t low, uint32_t high, size_t depth,
                      unsigned byte)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if ((uint8_t)s->tokens[s->ids[mid]].ptr[depth] < byte)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int32_t longest_at(const struct specials *s, str text, size_t at)
{
    unsigned byte = (uint8_t)text.ptr[at];
    uint32_t low = s->first[byte], high = s->first[byte + 1];
    int32_t best = -1;
    for (size_t depth = 1; low < high; depth++) {
        if (s->tokens[s->ids[low]].len == depth)
            best = s->ids[low++]; // a prefix sorts before what it begins
        if (at + depth >= text.len)
            break;
        byte = (uint8_t)text.ptr[at + depth];
        low = bound(s, low, high, depth, byte);
        high = bound(s, low, high, depth, byte + 1);
    }
    return best;
}

int32_t specials_find(const struct specials *s, str text, size_t from, size_t *ret_at,
                      size_t *ret_len)
{
    for (size_t at = from; s->n && at < text.len; at++) {
        int32_t id = longest_at(s, text, at);
        if (id < 0)
            continue;
        *ret_at = at;
        *ret_len = s->tokens[id].len;
        return id;
    }
    return -1;
}
