#include "engine/text/spm.h"

#include "base/utf8.h"

#include "base/banned.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int byte_of(str token)
{
    if (token.len != 6 || memcmp(token.ptr, "<0x", 3) != 0 || token.ptr[5] != '>')
        return -1;
    int high = hex_digit(token.ptr[3]), low = hex_digit(token.ptr[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// By type; in vocabularies that mark no token as a byte, by text.
static enum err read_bytes(struct spm *s, const struct vocab *v, struct diag *d)
{
    bool typed = false;
    for (uint32_t i = 0; v->types && i < v->n_tokens; i++)
        typed = typed || v->types[i] == TOKEN_BYTE;
    for (size_t i = 0; i < 256; i++)
        s->byte_ids[i] = -1;
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        int byte = byte_of(v->tokens[i]);
        bool marked = typed && v->types[i] == TOKEN_BYTE;
        if (marked && byte < 0)
            return diag_set(d, ERR_INVALID,
                            "token %u is marked as a byte, but its text is not of the form <0x0A>",
                            i);
        if (byte >= 0 && marked == typed)
            s->byte_ids[byte] = (int32_t)i;
    }
    return ERR_OK;
}

int spm_byte(const struct spm *s, int32_t id)
{
    int byte = byte_of(s->index->tokens[id]);
    return byte >= 0 && s->byte_ids[byte] == id ? byte : -1;
}

// The first blank that follows another character, or SIZE_MAX.
static size_t inner_blank(str text)
{
    size_t at = 0, next;
    while (str_starts(str_sub(text, at, text.len), STR(SPM_BLANK)))
        at += sizeof SPM_BLANK - 1;
    for (; (next = str_find_char(str_sub(text, at, text.len), SPM_BLANK[0])) != SIZE_MAX; at++) {
        at += next;
        if (str_starts(str_sub(text, at, text.len), STR(SPM_BLANK)))
            return at;
    }
    return SIZE_MAX;
}

size_t spm_word(const struct spm *s, str text)
{
    return s->by_words ? min_size(inner_blank(text), text.len) : text.len;
}

enum err spm_init(struct spm *s, const struct vocab *v, const struct vocab_index *x, struct diag *d)
{
    *s = (struct spm){.index = x, .scores = v->scores, .types = v->types, .unk = v->unk};
    ERR_TRY(read_bytes(s, v, d));
    s->by_words = true;
    for (uint32_t i = 0; s->by_words && i < v->n_tokens; i++)
        s->by_words = inner_blank(v->tokens[i]) == SIZE_MAX;
    for (size_t i = 0; i < 256 && s->unk < 0; i++)
        if (s->byte_ids[i] < 0)
            return diag_set(
                d, ERR_INVALID,
                "the vocabulary has neither an unknown token nor a token for byte 0x%02X",
                (unsigned)i);
    return ERR_OK;
}

// Higher scores first: the bits of a float in an order that unsigned numbers have, turned over.
static uint32_t rank_of(float score)
{
    uint32_t bits;
    score += 0.0f; // −0 ranks as 0
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

struct run {
    const struct spm *spm;
    str text;
};

// Control, unknown and byte tokens are never made from text, as in sentencepiece.
static bool is_piece(const struct spm *s, int32_t id)
{
    if (id < 0 || spm_byte(s, id) >= 0)
        return false;
    return !s->types || s->types[id] == TOKEN_NORMAL || s->types[id] == TOKEN_USER ||
           s->types[id] == TOKEN_UNUSED;
}

static bool pair_rank(const void *ctx, const struct merge_symbol *left,
                      const struct merge_symbol *right, uint32_t *ret_rank, int32_t *ret_id)
{
    const struct run *r = ctx;
    size_t len = (size_t)left->len + right->len;
    int32_t id = vocab_index_find(r->spm->index, str_sub(r->text, left->start, len));
    if (!is_piece(r->spm, id))
        return false;
    *ret_rank = r->spm->scores ? rank_of(r->spm->scores[id]) : 0;
    *ret_id = id;
    return true;
}

enum err spm_text(const struct spm *s, str text, struct merge *work)
{
    if (text.len >= UINT32_MAX)
        return ERR_LIMIT;
    merge_clear(work);
    for (size_t at = 0; at < text.len;) {
        uint32_t cp;
        str rest = str_sub(text, at, 4);
        size_t len = max_size(utf8_decode(rest, &cp), 1); // a bad byte is a symbol of its own
        int32_t id = vocab_index_find(s->index, str_sub(rest, 0, len));
        ERR_TRY(merge_add(work, is_piece(s, id) ? id : -1, (uint32_t)at, (uint32_t)len));
        at += len;
    }
    struct run r = {s, text};
    return merge_run(work, pair_rank, &r);
}
