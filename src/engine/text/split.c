#include "engine/text/split.h"

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"

#include "base/banned.h"

// White_Space of Unicode's PropList: \s in the tokenizers' regular expressions.
static bool is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 32 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

static uint8_t class_of(uint32_t cp)
{
    if (is_space(cp))
        return SPLIT_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return SPLIT_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return SPLIT_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return SPLIT_PUNCT;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return SPLIT_SYMBOL;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return SPLIT_MARK;
    default:
        return 0;
    }
}

static void scan(struct split *s, str text)
{
    uint32_t n = 0;
    for (size_t at = 0; at < text.len; n++) {
        s->offsets[n] = (uint32_t)at;
        size_t len = utf8_decode(str_sub(text, at, 4), &s->cp[n]);
        s->cls[n] = len ? class_of(s->cp[n]) : 0;
        at += len ? len : 1;
    }
    s->offsets[n] = (uint32_t)text.len;
    s->n = n;
}

// Cuts the piece [at, end) and appends the ends to `out`.
static uint32_t cut(const struct split *s, split_match_fn match, uint32_t at, uint32_t end,
                    uint32_t *out)
{
    const struct split_text t = {s->cp, s->cls};
    uint32_t n = 0, begun = at; // of what matches nothing
    while (at < end) {
        uint32_t skip = 1, len = match(&t, at, end, &skip);
        if (len == 0) {
            at += skip;
            continue;
        }
        if (begun < at)
            out[n++] = at;
        at += len;
        out[n++] = begun = at;
    }
    if (begun < end)
        out[n++] = end;
    return n;
}

static void stage(struct split *s, split_match_fn match)
{
    uint32_t n = 0, start = 0;
    for (uint32_t i = 0; i < s->n_pieces; i++) {
        n += cut(s, match, start, s->ends[i], s->spare + n);
        start = s->ends[i];
    }
    uint32_t *done = s->spare;
    s->spare = s->ends;
    s->ends = done;
    s->n_pieces = n;
}

enum err split_run(const struct split_rules *r, str text, struct split *ret)
{
    *ret = (struct split){0};
    if (text.len >= UINT32_MAX)
        return ERR_LIMIT;
    size_t room = (text.len + 1) * sizeof(uint32_t);
    ret->cp = mem_try_alloc(room);
    ret->offsets = mem_try_alloc(room);
    ret->ends = mem_try_alloc(room);
    ret->spare = mem_try_alloc(room);
    ret->cls = mem_try_alloc(text.len + 1);
    if (!ret->cp || !ret->offsets || !ret->ends || !ret->spare || !ret->cls)
        return ERR_NOMEM;
    scan(ret, text);
    ret->ends[0] = ret->n;
    ret->n_pieces = ret->n > 0;
    for (size_t i = 0; i < SPLIT_STAGES_MAX && r->stages[i]; i++)
        stage(ret, r->stages[i]);
    return ERR_OK;
}

void split_done(struct split *s)
{
    mem_free(s->cp);
    mem_free(s->offsets);
    mem_free(s->ends);
    mem_free(s->spare);
    mem_free(s->cls);
    *s = (struct split){0};
}

str split_piece(const struct split *s, str text, uint32_t i)
{
    uint32_t start = s->offsets[i ? s->ends[i - 1] : 0], end = s->offsets[s->ends[i]];
    return str_sub(text, start, end - start);
}
