#include "guard/topic.h"

#include <utf8proc.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "base/banned.h"

struct term {
    double weight;
};

struct topic {
    struct map by_text; // normalised, a blank between words; to a struct term
    struct term terms[TOPIC_TERMS_MAX];
    size_t len;
    uint32_t lengths; // in words, as bits 1 << words
    double threshold;
    bool allowed;
};

// --- Words

static bool stands_alone(uint32_t c)
{
    return (c >= 0x0e00 && c <= 0x0eff) || // Thai, Lao
           (c >= 0x3040 && c <= 0x30ff) || // Hiragana, Katakana
           (c >= 0x3400 && c <= 0x9fff) || // Han
           (c >= 0xf900 && c <= 0xfaff) || // … for compatibility
           (c >= 0x20000 && c <= 0x3ffff); // … and the rest of it
}

static bool is_in_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO;
}

// Soft hyphens, joiners and the like: part of a word or not, nobody sees them.
static bool is_invisible(uint32_t c)
{
    return c >= 0x80 && utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_CF;
}

// Without case, marks, width and what is invisible. 0: longer than a word may be, or nothing left.
static size_t normalise(str word, char out[static TOPIC_WORD_BYTES_MAX])
{
    utf8proc_int32_t points[4 * TOPIC_WORD_BYTES_MAX];
    size_t len = 0;
    utf8proc_ssize_t n = utf8proc_decompose(
        (const utf8proc_uint8_t *)word.ptr, (utf8proc_ssize_t)word.len, points, ARRAY_LEN(points),
        UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD |
            UTF8PROC_IGNORE | UTF8PROC_STRIPMARK);
    if (n < 0 || (size_t)n > ARRAY_LEN(points))
        return 0;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        char bytes[4];
        size_t more = utf8_encode((uint32_t)points[i], bytes);
        if (len + more > TOPIC_WORD_BYTES_MAX)
            return 0;
        memcpy(out + len, bytes, more);
        len += more;
    }
    return len;
}

// --- Looking

static void look_up(struct topic_stream *s, str phrase)
{
    const struct topic *t = s->topic;
    const struct term *found = map_get(&t->by_text, phrase);
    if (!found)
        return;
    size_t i = (size_t)(found - t->terms);
    if (s->found[i / 64] >> (i % 64) & 1)
        return;
    s->found[i / 64] |= 1ull << (i % 64);
    s->score += found->weight;
}

// Every run of words that ends here and is as long as a term is.
static void look_back(struct topic_stream *s)
{
    size_t words = 0;
    for (size_t from = s->last_len; from > 0; from--) {
        bool begins = from == 1 || s->last[from - 2] == ' ';
        if (!begins)
            continue;
        words++;
        if (s->topic->lengths >> words & 1)
            look_up(s, str_slice(s->last + from - 1, s->last_len - from)); // without its blank
    }
}

static void forget_first(struct topic_stream *s)
{
    char *blank = memchr(s->last, ' ', s->last_len);
    size_t gone = (size_t)(blank - s->last) + 1;
    memmove(s->last, blank + 1, s->last_len - gone);
    s->last_len -= gone;
    s->words--;
    s->dropped = true;
}

static void end_word(struct topic_stream *s)
{
    char word[TOPIC_WORD_BYTES_MAX];
    size_t len = 0;
    if (!s->word_len)
        return;
    if (s->word_len <= sizeof s->word)
        len = normalise(str_slice(s->word, s->word_len), word);
    s->word_len = 0;
    if (!len) { // no term's: what stood before it is no neighbour of what follows
        s->last_len = s->words = 0;
        s->dropped = true;
        return;
    }
    if (s->words == TOPIC_WORDS_MAX)
        forget_first(s);
    memcpy(s->last + s->last_len, word, len);
    s->last_len += len;
    s->last[s->last_len++] = ' ';
    s->words++;
    look_back(s);
}

static void add_character(struct topic_stream *s, uint32_t c, str bytes)
{
    if (is_invisible(c))
        return;
    bool alone = stands_alone(c);
    if (alone || !is_in_word(c))
        end_word(s);
    if (!alone && !is_in_word(c))
        return;
    if (s->word_len + bytes.len <= sizeof s->word)
        memcpy(s->word + s->word_len, bytes.ptr, bytes.len);
    s->word_len = min_size(s->word_len + bytes.len, sizeof s->word + 1);
    if (alone)
        end_word(s);
}

void topic_stream_init(struct topic_stream *s, const struct topic *t)
{
    *s = (struct topic_stream){.topic = t};
}

// The first byte was none of a character's; those behind it may be.
static void begin_anew(struct topic_stream *s, str bytes)
{
    char rest[4];
    memcpy(rest, bytes.ptr + 1, bytes.len - 1);
    end_word(s);
    topic_stream_feed(s, str_slice(rest, bytes.len - 1));
}

// A character that was cut: its first bytes wait for the others. Those taken from `bytes`.
static size_t complete(struct topic_stream *s, str bytes)
{
    uint32_t c;
    size_t taken = 0;
    while (s->bytes_len && taken < bytes.len) {
        s->bytes[s->bytes_len++] = bytes.ptr[taken++];
        str now = str_slice(s->bytes, s->bytes_len);
        size_t len = utf8_decode(now, &c);
        if (!len && utf8_incomplete_tail(now) == now.len)
            continue;
        s->bytes_len = 0;
        if (len)
            add_character(s, c, now);
        else
            begin_anew(s, now);
    }
    return taken;
}

void topic_stream_feed(struct topic_stream *s, str bytes)
{
    uint32_t c;
    bytes = str_sub(bytes, complete(s, bytes), SIZE_MAX);
    size_t tail = utf8_incomplete_tail(bytes);
    str whole = str_sub(bytes, 0, bytes.len - tail);
    while (whole.len) {
        size_t len = utf8_decode(whole, &c);
        if (len)
            add_character(s, c, str_sub(whole, 0, len));
        else
            end_word(s);
        whole = str_sub(whole, len ? len : 1, SIZE_MAX);
    }
    if (tail)
        memcpy(s->bytes, bytes.ptr + bytes.len - tail, tail);
    if (tail)
        s->bytes_len = tail;
}

void topic_stream_end(struct topic_stream *s)
{
    s->bytes_len = 0;
    end_word(s);
}

bool topic_fires(const struct topic_stream *s, bool at_end)
{
    bool about = s->score >= s->topic->threshold;
    return s->topic->allowed ? at_end && !about : about;
}

bool topic_wants(const struct topic *t)
{
    return t->allowed;
}

// --- Compiling

// "loan=2" in its text and its weight.
static enum err read_term(str given, str *ret_text, double *ret_weight, struct diag *d)
{
    size_t at = str_find_char(given, '=');
    *ret_text = str_trim(str_sub(given, 0, at));
    *ret_weight = 1;
    if (at != SIZE_MAX &&
        (str_to_f64(str_trim(str_sub(given, at + 1, SIZE_MAX)), ret_weight) != ERR_OK ||
         *ret_weight <= 0))
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT
                        "': what follows '=' must be a weight above 0, as in \"loan=2\"",
                        STR_ARG(str_sub(given, 0, 64)));
    return ERR_OK;
}

static enum err add_term(struct topic *t, str given, struct diag *d)
{
    struct topic empty = {.lengths = 0};
    struct topic_stream s;
    str text;
    double weight;
    ERR_TRY(read_term(given, &text, &weight, d));
    topic_stream_init(&s, &empty); // the same hands that cut texts
    topic_stream_feed(&s, text);
    topic_stream_end(&s);
    if (!s.words || s.dropped)
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT "' is no term: words of %d bytes at most, up to %d of them",
                        STR_ARG(str_sub(given, 0, 64)), TOPIC_WORD_BYTES_MAX, TOPIC_WORDS_MAX);
    if (t->len == TOPIC_TERMS_MAX)
        return diag_set(d, ERR_LIMIT, "a topic has %d terms at most", TOPIC_TERMS_MAX);
    struct term *made = &t->terms[t->len++];
    made->weight = weight;
    t->lengths |= 1u << s.words;
    map_put(&t->by_text, str_slice(s.last, s.last_len - 1), made);
    return ERR_OK;
}

enum err topic_new(const struct topic_rule *r, struct topic **ret, struct diag *d)
{
    struct topic *t = mem_new(struct topic);
    enum err e = ERR_OK;
    map_init(&t->by_text);
    t->threshold = r->threshold;
    t->allowed = r->allowed;
    for (size_t i = 0; i < r->len && e == ERR_OK; i++)
        e = add_term(t, r->terms[i], d);
    if (e != ERR_OK) {
        topic_free(t);
        return e;
    }
    *ret = t;
    return ERR_OK;
}

void topic_free(struct topic *t)
{
    if (!t)
        return;
    map_done(&t->by_text);
    mem_free(t);
}
