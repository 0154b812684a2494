#include "engine/text/tokenizer.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/text/bpe.h"
#include "engine/text/byte_chars.h"
#include "engine/text/literal.h"
#include "engine/text/nfc.h"
#include "engine/text/specials.h"
#include "engine/text/split.h"
#include "engine/text/spm.h"

#include "base/banned.h"

enum { EOG_MAX = 32, IDS_CAP_FIRST = 64 };

struct tokenizer {
    struct vocab vocab;
    struct vocab_index index;
    const struct split_rules *rules; // BPE
    struct bpe bpe;
    struct spm spm;
    struct specials user, all;
    int32_t unknown; // BPE: for bytes that have no token; -1: they are dropped
    int32_t eog[EOG_MAX];
    size_t n_eog;
};

static void add_eog(struct tokenizer *t, int32_t id)
{
    if (id >= 0 && !tokenizer_is_eog(t, id) && t->n_eog < EOG_MAX)
        t->eog[t->n_eog++] = id;
}

// A model may end its turn with another token than its eos: those that are known by their text and
// marked as special.
static void find_eogs(struct tokenizer *t)
{
    static const char *const texts[] = {
        "<|im_end|>", "<|endoftext|>",       "</s>",
        "<|eot_id|>", "<|eom_id|>",          "<|end_of_text|>",
        "<|end|>",    "<end_of_turn>",       "<｜end▁of▁sentence｜>",
        "<EOT>",      "<|end_of_sentence|>", "<|return|>",
    };
    add_eog(t, t->vocab.eos);
    add_eog(t, t->vocab.eot);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int32_t id = vocab_index_find(&t->index, str_of(texts[i]));
        if (id >= 0 && t->vocab.types &&
            (t->vocab.types[id] == TOKEN_CONTROL || t->vocab.types[id] == TOKEN_USER))
            add_eog(t, id);
    }
}

static enum err init(struct tokenizer *t, struct diag *d)
{
    const struct vocab *v = &t->vocab;
    if (v->kind == VOCAB_NONE)
        return diag_set(d, ERR_UNSUPPORTED, "the model file carries no vocabulary");
    if (v->kind == VOCAB_WPM)
        return diag_set(d, ERR_UNSUPPORTED, "WordPiece tokenizers (BERT) are not supported");
    ERR_TRY(vocab_index_init(&t->index, v, d));
    ERR_TRY(specials_init(&t->user, v, 1u << TOKEN_USER, d));
    ERR_TRY(
        specials_init(&t->all, v, 1u << TOKEN_USER | 1u << TOKEN_CONTROL | 1u << TOKEN_UNKNOWN, d));
    find_eogs(t);
    if (v->kind == VOCAB_SPM)
        return spm_init(&t->spm, v, &t->index, d);
    // GPT-NeoX and its kin name <|endoftext|> as the unknown token: not one to put into a text.
    t->unknown = v->unk >= 0 && v->types && v->types[v->unk] == TOKEN_UNKNOWN ? v->unk : -1;
    t->rules = split_rules_find(v->pre);
    if (!t->rules)
        return diag_set(d, ERR_UNSUPPORTED, "the pre-tokenizer \"" STR_FMT "\" is not known",
                        STR_ARG(v->pre));
    return bpe_init(&t->bpe, v, &t->index, d);
}

enum err tokenizer_new(const struct vocab *v, struct tokenizer **ret, struct diag *d)
{
    struct tokenizer *t = mem_new(struct tokenizer);
    t->vocab = *v;
    enum err e = init(t, d);
    if (e != ERR_OK) {
        tokenizer_free(t);
        return e;
    }
    *ret = t;
    return ERR_OK;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    vocab_index_done(&t->index);
    specials_done(&t->user);
    specials_done(&t->all);
    bpe_done(&t->bpe);
    mem_free(t);
}

void token_ids_done(struct token_ids *ids)
{
    mem_free(ids->ids);
    *ids = (struct token_ids){0};
}

// One call of tokenizer_encode.
struct encoding {
    const struct tokenizer *t;
    struct token_ids *out;
    size_t max_tokens;
    struct merge work;
    struct buf scratch;
};

static enum err push(struct encoding *e, int32_t id)
{
    struct token_ids *out = e->out;
    if (out->len >= e->max_tokens)
        return ERR_LIMIT;
    if (out->len == out->cap) {
        out->cap = out->cap ? out->cap * 2 : IDS_CAP_FIRST;
        out->ids = mem_resize(out->ids, out->cap, sizeof *out->ids);
    }
    out->ids[out->len++] = id;
    return ERR_OK;
}

// The whole piece as one token, for the vocabularies that look there first.
static int32_t whole_word(const struct tokenizer *t, str piece)
{
    char text[1024];
    size_t len = 0;
    if (piece.len > sizeof text / 2)
        return -1;
    for (size_t i = 0; i < piece.len; i++) {
        char one[4];
        size_t n = utf8_encode(byte_chars_encode((uint8_t)piece.ptr[i]), one);
        memcpy(text + len, one, n);
        len += n;
    }
    return vocab_index_find(&t->index, str_slice(text, len));
}

static enum err encode_word(struct encoding *e, str piece)
{
    const struct tokenizer *t = e->t;
    int32_t whole = t->vocab.ignore_merges ? whole_word(t, piece) : -1;
    if (whole >= 0)
        return push(e, whole);
    ERR_TRY(bpe_word(&t->bpe, piece, &e->work));
    for (uint32_t i = 0; i != MERGE_END; i = e->work.symbols[i].next) {
        int32_t id = e->work.symbols[i].id >= 0 ? e->work.symbols[i].id : t->unknown;
        if (id >= 0)
            ERR_TRY(push(e, id));
    }
    return ERR_OK;
}

static enum err encode_bpe(struct encoding *e, str text)
{
    struct split split = {0};
    enum err err = ERR_OK;
    if (e->t->rules->nfc)
        ERR_TRY(nfc_normalize(text, &e->scratch, &text));
    err = split_run(e->t->rules, text, &split);
    for (uint32_t i = 0; err == ERR_OK && i < split.n_pieces; i++)
        err = encode_word(e, split_piece(&split, text, i));
    split_done(&split);
    return err;
}

static enum err push_bytes(struct encoding *e, str bytes)
{
    const struct spm *s = &e->t->spm;
    for (size_t i = 0; i < bytes.len; i++)
        if (s->byte_ids[(uint8_t)bytes.ptr[i]] < 0)
            return push(e, s->unk);
    for (size_t i = 0; i < bytes.len; i++)
        ERR_TRY(push(e, s->byte_ids[(uint8_t)bytes.ptr[i]]));
    return ERR_OK;
}

// Blanks become U+2581, one goes before everything where the vocabulary wants it.
static enum err escape_blanks(struct encoding *e, str text)
{
    buf_clear(&e->scratch);
    if (e->t->vocab.add_space_prefix)
        ERR_TRY(buf_append_str(&e->scratch, STR(SPM_BLANK)));
    for (size_t at = 0; at < text.len;) {
        size_t next = str_find_char(str_sub(text, at, text.len), ' ');
        next = next == SIZE_MAX ? text.len : at + next;
        ERR_TRY(buf_append_str(&e->scratch, str_sub(text, at, next - at)));
        if (next < text.len)
            ERR_TRY(buf_append_str(&e->scratch, STR(SPM_BLANK)));
        at = next + 1;
    }
    return ERR_OK;
}

static enum err encode_spm_word(struct encoding *e, str word)
{
    ERR_TRY(spm_text(&e->t->spm, word, &e->work));
    for (uint32_t i = 0; i != MERGE_END; i = e->work.symbols[i].next) {
        const struct merge_symbol *s = &e->work.symbols[i];
        if (s->id >= 0)
            ERR_TRY(push(e, s->id));
        else
            ERR_TRY(push_bytes(e, str_sub(word, s->start, s->len)));
    }
    return ERR_OK;
}

static enum err encode_spm(struct encoding *e, str text)
{
    ERR_TRY(escape_blanks(e, text));
    for (str rest = buf_str(&e->scratch); rest.len;) {
        size_t len = spm_word(&e->t->spm, rest);
        ERR_TRY(encode_spm_word(e, str_sub(rest, 0, len)));
        rest = str_sub(rest, len, rest.len);
    }
    return ERR_OK;
}

static enum err encode_raw(struct encoding *e, str text)
{
    if (text.len == 0)
        return ERR_OK;
    return e->t->vocab.kind == VOCAB_SPM ? encode_spm(e, text) : encode_bpe(e, text);
}

static enum token_type type_of(const struct tokenizer *t, int32_t id)
{
    return t->vocab.types ? (enum token_type)t->vocab.types[id] : TOKEN_NORMAL;
}

// Whether a special token found in the text counts as one: inside what a client wrote, control
// tokens do not.
static bool counts(const struct encoding *e, const struct literal_text *literal, int32_t id,
                   size_t from, size_t to, size_t *cursor)
{
    return !literal || type_of(e->t, id) == TOKEN_USER ||
           !literal_touches(literal, from, to, cursor);
}

// Whether some bytes may vanish from a text.
static bool drops_bytes(const struct tokenizer *t)
{
    if (t->vocab.kind == VOCAB_SPM || t->unknown >= 0)
        return false;
    for (size_t i = 0; i < 256; i++)
        if (t->bpe.byte_ids[i] < 0)
            return true;
    return false;
}

// A text that must pass the limit is cut first, so that work and memory follow the limit and not
// the text: no token stands for more bytes than the longest, and normalising shrinks a text by less
// than 4.
static str cut_to_limit(const struct encoding *e, str text)
{
    size_t room = e->max_tokens - min_size(e->max_tokens, e->out->len), most;
    if (drops_bytes(e->t))
        return text;
    if (!mem_add(room, 1, &most) || !mem_mul(most, max_size(e->t->index.longest_bytes, 4), &most) ||
        !mem_mul(most, 4, &most))
        return text;
    return str_sub(text, 0, most);
}

// Alternates between text and the special tokens found in it. literal: NULL when nothing was
// marked.
static enum err encode_all(struct encoding *e, str text, const struct specials *specials,
                           const struct literal_text *literal)
{
    size_t at = 0, look = 0, cursor = 0, found, len;
    int32_t id;
    text = cut_to_limit(e, text);
    while ((id = specials_find(specials, text, look, &found, &len)) >= 0) {
        look = found + 1;
        if (!counts(e, literal, id, found, found + len, &cursor))
            continue;
        ERR_TRY(encode_raw(e, str_sub(text, at, found - at)));
        ERR_TRY(push(e, id));
        at = look = found + len;
    }
    return encode_raw(e, str_sub(text, at, text.len));
}

static enum err encode_marked(struct encoding *e, str text)
{
    struct literal_text literal = {0};
    if (!literal_find(text))
        return encode_all(e, text, &e->t->all, NULL);
    enum err err = literal_strip(text, &literal);
    if (err == ERR_OK)
        err = encode_all(e, buf_str(&literal.text), &e->t->all, &literal);
    literal_text_done(&literal);
    return err;
}

enum err tokenizer_encode(const struct tokenizer *t, str text, uint32_t flags, size_t max_tokens,
                          struct token_ids *ids)
{
    struct encoding e = {.t = t, .out = ids, .max_tokens = max_tokens};
    enum err err = ERR_OK;
    buf_init(&e.scratch, SIZE_MAX / 2);
    if (flags & TOKENIZE_BOS && t->vocab.add_bos && t->vocab.bos >= 0)
        err = push(&e, t->vocab.bos);
    if (err == ERR_OK)
        err = flags & TOKENIZE_SPECIAL ? encode_marked(&e, text)
                                       : encode_all(&e, text, &t->user, NULL);
    merge_done(&e.work);
    buf_done(&e.scratch);
    return err;
}

// Byte-level: each character is a byte; a token with any other character is its text.
static enum err piece_bpe(str token, struct buf *out)
{
    char bytes[1024];
    size_t n = 0;
    for (size_t at = 0; at < token.len;) {
        uint32_t cp;
        size_t len = utf8_decode(str_sub(token, at, 4), &cp);
        int byte = len ? byte_chars_decode(cp) : -1;
        if (byte < 0 || n == sizeof bytes)
            return buf_append_str(out, token);
        bytes[n++] = (char)byte;
        at += len;
    }
    return buf_append(out, bytes, n);
}

static enum err piece_spm(const struct spm *s, int32_t id, str token, struct buf *out)
{
    int byte = spm_byte(s, id);
    if (byte >= 0)
        return buf_append_char(out, (char)byte);
    for (size_t at; (at = str_find(token, STR(SPM_BLANK))) != SIZE_MAX;) {
        ERR_TRY(buf_append_str(out, str_sub(token, 0, at)));
        ERR_TRY(buf_append_char(out, ' '));
        token = str_sub(token, at + sizeof SPM_BLANK - 1, token.len);
    }
    return buf_append_str(out, token);
}

enum err tokenizer_piece(const struct tokenizer *t, int32_t id, bool special, struct buf *out)
{
    if (id < 0 || (uint32_t)id >= t->vocab.n_tokens)
        return ERR_INVALID;
    str token = t->vocab.tokens[id];
    switch (type_of(t, id)) {
    case TOKEN_CONTROL:
    case TOKEN_UNKNOWN:
        return special ? buf_append_str(out, token) : ERR_OK;
    case TOKEN_USER:
        return buf_append_str(out, token);
    default:
        return t->vocab.kind == VOCAB_SPM ? piece_spm(&t->spm, id, token, out)
                                          : piece_bpe(token, out);
    }
}

bool tokenizer_strip_leading_space(const struct tokenizer *t)
{
    return t->vocab.kind == VOCAB_SPM && t->vocab.add_space_prefix;
}

enum err tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool special,
                          struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        ERR_TRY(tokenizer_piece(t, ids[i], special, out));
    return ERR_OK;
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    return t->vocab.n_tokens;
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->vocab.n_tokens && type_of(t, id) == TOKEN_CONTROL;
}

bool tokenizer_is_eog(const struct tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_eog; i++)
        if (t->eog[i] == id)
            return true;
    return false;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->vocab.bos;
}

int32_t tokenizer_find(const struct tokenizer *t, str piece)
{
    return vocab_index_find(&t->index, piece);
}
