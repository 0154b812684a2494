// What two texts must have in common to mean the same, whatever their embeddings say; and how much
// two answers agree.
#include "base/mem.h"
#include "gateway/semantic.h"

#include "base/banned.h"

#define ANSWER_BYTES_MAX (64u << 10) // of each answer that is compared

// --- Words

// A run of letters, digits, apostrophes and bytes beyond ASCII; between two digits also . , :
struct word {
    str text;
    bool digits; // it has some
    bool opens;  // it begins a sentence
    bool quoted;
};

struct words {
    str rest;
    bool opens, quoted;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

// U+2019, which is also a closing quotation mark.
static bool is_apostrophe(str s)
{
    return str_starts(s, STR("\xe2\x80\x99"));
}

// U+2000 to U+203F: dashes and quotation marks.
static size_t punctuation_len(str s)
{
    bool general = str_starts(s, STR("\xe2\x80")) && s.len >= 3 && (s.ptr[2] & 0xc0) == 0x80;
    return general && !is_apostrophe(s) ? 3 : 0;
}

static bool joins_digits(str s, size_t at)
{
    char c = s.ptr[at];
    return (c == '.' || c == ',' || c == ':') && at && is_digit(s.ptr[at - 1]) && at + 1 < s.len &&
           is_digit(s.ptr[at + 1]);
}

static bool is_of_word(str s, size_t at)
{
    char c = s.ptr[at];
    return (is_letter(c) && !punctuation_len(str_sub(s, at, SIZE_MAX))) || is_digit(c) ||
           c == '\'' || joins_digits(s, at);
}

static struct word take_word(struct words *w)
{
    struct word ret = {.opens = w->opens, .quoted = w->quoted};
    size_t len = 0;
    while (len < w->rest.len && is_of_word(w->rest, len)) {
        ret.digits = ret.digits || is_digit(w->rest.ptr[len]);
        len++;
    }
    ret.text = str_sub(w->rest, 0, len);
    w->rest = str_sub(w->rest, len, SIZE_MAX);
    w->opens = false;
    return ret;
}

// The byte, or the mark of more bytes, in front of `rest`.
static char take_mark(struct words *w)
{
    size_t more = punctuation_len(w->rest);
    char c = more ? '-' : w->rest.ptr[0];
    w->rest = str_sub(w->rest, more ? more : 1, SIZE_MAX);
    if (c == '"' || c == '`')
        w->quoted = !w->quoted;
    w->opens = w->opens || c == '.' || c == '!' || c == '?' || c == ':' || c == '\n';
    return c;
}

// --- Facts

static char lower(char c)
{
    return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static bool is_one_of(str word, const char *const *list)
{
    for (size_t i = 0; list[i]; i++)
        if (str_eq_nocase(word, str_of(list[i])))
            return true;
    return false;
}

static bool ends_nocase(str s, str end)
{
    return s.len > end.len && str_eq_nocase(str_sub(s, s.len - end.len, end.len), end);
}

static bool negates(str word)
{
    static const char *const list[] = {
        "not",     "no",         "never",   "none",   "nobody", "nothing", "nowhere",
        "neither", "nor",        "without", "cannot", "except", "unless",  "hardly",
        "nicht",   "nie",        "kein",    "keine",  "keinen", "ohne",    "ne",
        "pas",     "jamais",     "sans",    "sin",    "nunca",  "non",     "mai",
        "senza",   "n\xc3\xa3o", "sem",     "niet",   "geen",   "zonder",  NULL};
    return is_one_of(word, list) || ends_nocase(word, STR("n't")) ||
           ends_nocase(word, STR("n\xe2\x80\x99t"));
}

static bool is_number_word(str word)
{
    static const char *const list[] = {
        "zero",   "one",     "two",      "three",   "four",    "five",    "six",
        "seven",  "eight",   "nine",     "ten",     "eleven",  "twelve",  "thirteen",
        "twenty", "thirty",  "forty",    "fifty",   "sixty",   "seventy", "eighty",
        "ninety", "hundred", "thousand", "million", "billion", "half",    "twice",
        "double", "first",   "second",   "third",   "last",    NULL};
    return is_one_of(word, list);
}

// Letters beyond Latin's (U+0080 to U+024F): nothing is known here of their words.
static bool is_in_other_letters(str word)
{
    for (size_t i = 0; i < word.len; i++)
        if ((unsigned char)word.ptr[i] >= 0xca && !is_apostrophe(str_sub(word, i, SIZE_MAX)))
            return true;
    return false;
}

// "I", "I'm" and the like have their capital everywhere.
static bool is_name(const struct word *w)
{
    str t = w->text;
    bool of_me =
        t.ptr[0] == 'I' && (t.len == 1 || !is_letter(t.ptr[1]) || is_apostrophe(str_sub(t, 1, 3)));
    return !w->opens && is_upper(t.ptr[0]) && !of_me;
}

struct hash {
    uint64_t value; // FNV-1a
};

static void add(struct hash *h, char c)
{
    h->value = (h->value ^ (unsigned char)c) * 0x100000001b3u;
}

static void add_folded(struct hash *h, str s)
{
    for (size_t i = 0; i < s.len; i++)
        add(h, lower(s.ptr[i]));
    add(h, '\0'); // so that no two run into each other
}

static void add_word(struct hash *h, const struct word *w)
{
    if (!w->digits && negates(w->text))
        add_folded(h, STR("!"));
    else if (w->digits || w->quoted || is_number_word(w->text) || is_name(w) ||
             is_in_other_letters(w->text))
        add_folded(h, w->text);
}

// "-" counts between numbers, or before one: "5 - 3", "-4".
static void add_mark(struct hash *h, const struct words *w, char mark)
{
    str next = str_trim(w->rest);
    bool minus = mark == '-' && next.len && is_digit(next.ptr[0]);
    if (minus || memchr("+*/=<>^%$#&|~", mark, 13))
        add_folded(h, str_slice(&mark, 1));
}

uint64_t semantic_facts(str text)
{
    struct words w = {.rest = text, .opens = true};
    struct hash h = {0xcbf29ce484222325u};
    while (w.rest.len) {
        if (is_of_word(w.rest, 0)) {
            struct word word = take_word(&w);
            add_word(&h, &word);
        } else {
            char mark = take_mark(&w);
            add_mark(&h, &w, mark);
        }
    }
    return h.value;
}

// --- Answers

// Text, and what is called with which arguments.
static void write_answer(const struct tape *t, struct buf *out)
{
    struct tape_listener l = {.at = 0};
    struct exchange_event e;
    while (tape_next(t, &l, &e)) {
        bool call = e.type == EXCHANGE_EVENT_CALL;
        str said = call ? e.call.name : e.text;
        if (!call && e.type != EXCHANGE_EVENT_TEXT && e.type != EXCHANGE_EVENT_ARGUMENTS)
            continue;
        if (call)
            (void)buf_append_char(out, '\n');
        (void)buf_append_str(out, str_sub(said, 0, ANSWER_BYTES_MAX - out->len));
        if (call)
            (void)buf_append_char(out, '\n');
        if (out->len + 2 >= ANSWER_BYTES_MAX)
            return;
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Its words, as sorted hashes.
static size_t hash_words(str text, uint64_t out[static SEMANTIC_WORDS_MAX])
{
    struct words w = {.rest = text};
    size_t len = 0;
    while (w.rest.ptr && w.rest.len && len < SEMANTIC_WORDS_MAX) {
        if (!is_of_word(w.rest, 0)) {
            (void)take_mark(&w);
            continue;
        }
        struct hash h = {0xcbf29ce484222325u};
        add_folded(&h, take_word(&w).text);
        out[len++] = h.value;
    }
    qsort(out, len, sizeof *out, by_value);
    return len;
}

static double words_in_common(str a, str b)
{
    uint64_t *x = mem_array(2 * SEMANTIC_WORDS_MAX, sizeof *x), *y = x + SEMANTIC_WORDS_MAX;
    size_t x_len = hash_words(a, x), y_len = hash_words(b, y), both = 0;
    for (size_t i = 0, k = 0; i < x_len && k < y_len;) {
        both += x[i] == y[k];
        uint64_t least = x[i] < y[k] ? x[i] : y[k];
        i += x[i] == least;
        k += y[k] == least;
    }
    mem_free(x);
    return x_len + y_len ? 2.0 * (double)both / (double)(x_len + y_len) : 0;
}

double semantic_agreement(const struct tape *a, const struct tape *b, bool *ret_equal)
{
    struct buf x, y;
    buf_init(&x, ANSWER_BYTES_MAX);
    buf_init(&y, ANSWER_BYTES_MAX);
    write_answer(a, &x);
    write_answer(b, &y);
    *ret_equal = str_eq(buf_str(&x), buf_str(&y));
    double share = *ret_equal ? 1 : words_in_common(buf_str(&x), buf_str(&y));
    buf_done(&x);
    buf_done(&y);
    return share;
}
