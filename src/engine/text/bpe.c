#include "engine/text/bpe.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/utf8.h"
#include "engine/text/byte_chars.h"

#include "base/banned.h"

struct bpe_pair {
    int32_t left, right; // left -1: free
    uint32_t rank;
    int32_t merged;
};

enum { MERGED_BYTES_MAX = 1 << 16 };

static struct bpe_pair *slot_of(const struct bpe *b, int32_t left, int32_t right)
{
    // splitmix64's finaliser over a keyed pair: merges come from a file that may be hostile
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) ^ b->seed;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    size_t i = (size_t)(h ^ h >> 31) & b->mask;
    while (b->pairs[i].left >= 0 && (b->pairs[i].left != left || b->pairs[i].right != right))
        i = (i + 1) & b->mask;
    return &b->pairs[i];
}

static enum err unknown(str text, uint32_t rank, struct diag *d)
{
    return diag_set(d, ERR_INVALID,
                    "merge %u needs the token \"" STR_FMT "\", which the vocabulary lacks", rank,
                    STR_ARG(text));
}

static enum err add_merge(struct bpe *b, const struct vocab_index *x, str merge, uint32_t rank,
                          struct buf *scratch, struct diag *d)
{
    size_t cut = str_find_char(merge, ' ');
    if (cut == SIZE_MAX)
        return diag_set(d, ERR_INVALID, "merge %u is not two tokens with a space between", rank);
    str left = str_sub(merge, 0, cut), right = str_sub(merge, cut + 1, merge.len);
    buf_clear(scratch);
    ERR_TRY(buf_append_str(scratch, left));
    ERR_TRY(buf_append_str(scratch, right));
    int32_t left_id = vocab_index_find(x, left), right_id = vocab_index_find(x, right);
    int32_t merged = vocab_index_find(x, buf_str(scratch));
    if (left_id < 0 || right_id < 0 || merged < 0)
        return unknown(left_id < 0 ? left : right_id < 0 ? right : buf_str(scratch), rank, d);
    struct bpe_pair *p = slot_of(b, left_id, right_id);
    if (p->left < 0)
        *p = (struct bpe_pair){left_id, right_id, rank, merged};
    return ERR_OK;
}

static enum err add_merges(struct bpe *b, const struct vocab *v, const struct vocab_index *x,
                           struct diag *d)
{
    struct buf scratch;
    enum err e = ERR_OK;
    buf_init(&scratch, MERGED_BYTES_MAX);
    for (uint32_t i = 0; e == ERR_OK && i < v->n_merges; i++)
        e = add_merge(b, x, v->merges[i], i, &scratch, d);
    buf_done(&scratch);
    return e;
}

enum err bpe_init(struct bpe *b, const struct vocab *v, const struct vocab_index *x, struct diag *d)
{
    size_t cap = 16;
    while (cap < (size_t)v->n_merges * 2)
        cap *= 2;
    *b = (struct bpe){.mask = cap - 1};
    random_bytes(&b->seed, sizeof b->seed);
    b->pairs = mem_try_alloc(cap * sizeof *b->pairs);
    if (!b->pairs)
        return diag_set(d, ERR_NOMEM, "no memory for %u merges", v->n_merges);
    for (size_t i = 0; i < cap; i++)
        b->pairs[i].left = -1;
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[4];
        size_t len = utf8_encode(byte_chars_encode((uint8_t)byte), text);
        b->byte_ids[byte] = vocab_index_find(x, str_slice(text, len));
    }
    return add_merges(b, v, x, d);
}

void bpe_done(struct bpe *b)
{
    mem_free(b->pairs);
    *b = (struct bpe){0};
}

static bool pair_rank(const void *ctx, const struct merge_symbol *left,
                      const struct merge_symbol *right, uint32_t *ret_rank, int32_t *ret_id)
{
    const struct bpe *b = ctx;
    if (left->id < 0 || right->id < 0)
        return false;
    const struct bpe_pair *p = slot_of(b, left->id, right->id);
    if (p->left < 0)
        return false;
    *ret_rank = p->rank;
    *ret_id = p->merged;
    return true;
}

enum err bpe_word(const struct bpe *b, str word, struct merge *work)
{
    merge_clear(work);
    for (size_t i = 0; i < word.len; i++)
        ERR_TRY(merge_add(work, b->byte_ids[(uint8_t)word.ptr[i]], (uint32_t)i, 1));
    return merge_run(work, pair_rank, b);
}
