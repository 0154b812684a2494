#include "engine/text/vocab_index.h"

#include "base/mem.h"

#include "base/banned.h"

// The slot that holds `text`, or the free one where it belongs.
static size_t slot_of(const struct vocab_index *x, str text)
{
    size_t i = (size_t)str_hash(text) & x->mask;
    while (x->slots[i] >= 0 && !str_eq(x->tokens[x->slots[i]], text))
        i = (i + 1) & x->mask;
    return i;
}

enum err vocab_index_init(struct vocab_index *x, const struct vocab *v, struct diag *d)
{
    size_t cap = 16;
    while (cap < (size_t)v->n_tokens * 2)
        cap *= 2;
    *x = (struct vocab_index){.tokens = v->tokens, .mask = cap - 1};
    x->slots = mem_try_alloc(cap * sizeof *x->slots);
    if (!x->slots)
        return diag_set(d, ERR_NOMEM, "no memory for a vocabulary of %u tokens", v->n_tokens);
    memset(x->slots, 0xff, cap * sizeof *x->slots);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        size_t slot = slot_of(x, v->tokens[i]);
        if (x->slots[slot] >= 0)
            return diag_set(d, ERR_INVALID, "tokens %d and %u have the same text",
                            (int)x->slots[slot], i);
        x->slots[slot] = (int32_t)i;
        x->longest_bytes = max_size(x->longest_bytes, v->tokens[i].len);
    }
    return ERR_OK;
}

void vocab_index_done(struct vocab_index *x)
{
    mem_free(x->slots);
    *x = (struct vocab_index){0};
}

int32_t vocab_index_find(const struct vocab_index *x, str text)
{
    if (text.len > x->longest_bytes)
        return -1;
    return x->slots[slot_of(x, text)];
}
