#include "engine/grammar/token_trie.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/banned.h"

struct entry {
    str text;
    int32_t token;
};

static int by_text(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = str_cmp(x->text, y->text);
    return order ? order : (x->token > y->token) - (x->token < y->token);
}

static size_t collect(const str *texts, uint32_t n, struct entry *ret, size_t *ret_bytes)
{
    size_t len = 0, bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!texts[i].len || texts[i].len > UINT16_MAX)
            continue;
        ret[len++] = (struct entry){texts[i], (int32_t)i};
        bytes += texts[i].len;
    }
    if (len)
        qsort(ret, len, sizeof *ret, by_text);
    *ret_bytes = bytes;
    return len;
}

static size_t common(str a, str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

// Closes the branches that are deeper than `depth`: they end before the next node.
static void close_below(struct token_trie *t, const uint32_t *path, size_t *open, size_t depth)
{
    while (*open > depth)
        t->nodes[path[--*open]].past = (uint32_t)t->len;
}

static void add_text(struct token_trie *t, const struct entry *e, uint32_t *path, size_t *open)
{
    for (size_t at = *open; at < e->text.len; at++) {
        path[(*open)++] = (uint32_t)t->len;
        t->nodes[t->len++] = (struct trie_node){
            .token = -1, .depth = (uint16_t)at, .byte = (uint8_t)e->text.ptr[at]};
    }
    t->nodes[path[*open - 1]].token = e->token;
    if (e->text.len == 1)
        t->has_byte[(uint8_t)e->text.ptr[0]] = true;
    if (e->text.len > t->depth_max)
        t->depth_max = (uint32_t)e->text.len;
}

static void build(struct token_trie *t, const struct entry *entries, size_t n)
{
    uint32_t *path = mem_array(UINT16_MAX + 1, sizeof *path);
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(entries[i - 1].text, entries[i].text)) {
            t->also[entries[i - 1].token] = entries[i].token;
            t->nodes[path[open - 1]].shared = true;
            continue;
        }
        close_below(t, path, &open, i ? common(entries[i - 1].text, entries[i].text) : 0);
        add_text(t, &entries[i], path, &open);
    }
    close_below(t, path, &open, 0);
    mem_free(path);
}

static bool bytes_stand_alone(const struct token_trie *t, str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!t->has_byte[(uint8_t)text.ptr[i]])
            return false;
    return true;
}

// A byte that no token is alone leads nowhere in a network: its tokens are of no slice.
static void cut(struct token_trie *t, uint32_t slice, const struct entry *entries, size_t n,
                struct entry *others)
{
    struct token_trie rest = {.also = t->also};
    struct token_slice *s = &t->slices[slice];
    s->mask = mem_array(token_mask_words(t->n_tokens) + 1, sizeof *s->mask);
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t token = (uint32_t)entries[i].token;
        if (slice_says(slice, entries[i].text) && bytes_stand_alone(t, entries[i].text))
            s->mask[token / 64] |= (uint64_t)1 << (token % 64);
        else
            others[len++] = entries[i];
    }
    rest.nodes = mem_array(t->len + 1, sizeof *rest.nodes);
    build(&rest, others, len);
    s->nodes = mem_resize(rest.nodes, rest.len + 1, sizeof *rest.nodes);
    s->len = rest.len;
}

void token_trie_init(struct token_trie *t, const str *texts, uint32_t n)
{
    *t = (struct token_trie){.n_tokens = n};
    struct entry *entries = mem_array((size_t)n + 1, sizeof *entries);
    size_t bytes, len = collect(texts, n, entries, &bytes);
    t->nodes = mem_array(bytes + 1, sizeof *t->nodes);
    t->also = mem_array((size_t)n + 1, sizeof *t->also);
    for (uint32_t i = 0; i < n; i++)
        t->also[i] = -1;
    build(t, entries, len);
    t->nodes = mem_resize(t->nodes, t->len + 1, sizeof *t->nodes);
    struct entry *others = mem_array((size_t)n + 1, sizeof *others);
    for (uint32_t i = 0; i < SLICES; i++)
        cut(t, i, entries, len, others);
    mem_free(others);
    mem_free(entries);
}

void token_trie_done(struct token_trie *t)
{
    mem_free(t->nodes);
    for (uint32_t i = 0; i < SLICES; i++) {
        mem_free(t->slices[i].mask);
        mem_free(t->slices[i].nodes);
    }
    mem_free(t->also);
    *t = (struct token_trie){0};
}

void token_mask_apply(const uint64_t *mask, const float *logits, uint32_t n_tokens, float *ret)
{
    for (uint32_t from = 0; from < n_tokens; from += 64) {
        uint64_t word = mask[from / 64];
        uint32_t n = n_tokens - from < 64 ? n_tokens - from : 64;
        if (word == UINT64_MAX) {
            memcpy(ret + from, logits + from, n * sizeof *ret);
            continue;
        }
        for (uint32_t i = 0; i < n; i++)
            ret[from + i] = -INFINITY;
        for (; word; word &= word - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(word);
            ret[from + i] = logits[from + i];
        }
    }
}
