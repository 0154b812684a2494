#include "base/str.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"

#include "base/banned.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq_nocase(str a, str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

int str_cmp(str a, str b)
{
    size_t common = min_size(a.len, b.len);
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && str_eq(str_slice(s.ptr, prefix.len), prefix);
}

bool str_ends(str s, str suffix)
{
    return s.len >= suffix.len && str_eq(str_sub(s, s.len - suffix.len, suffix.len), suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

str str_trim(str s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

str str_sub(str s, size_t from, size_t len)
{
    if (!s.ptr)
        return STR_NONE;
    from = min_size(from, s.len);
    return str_slice(s.ptr + from, min_size(len, s.len - from));
}

size_t str_find(str s, str needle)
{
    if (needle.len == 0)
        return 0;
    if (s.len < needle.len)
        return SIZE_MAX;
    const char *hit = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

size_t str_find_char(str s, char c)
{
    const char *hit = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

// At a mismatch the last '*' takes one byte more: linear but for what stars must go back.
bool str_matches(str s, str pattern)
{
    size_t i = 0, k = 0, star = SIZE_MAX, taken = 0;
    while (i < s.len) {
        if (k < pattern.len && pattern.ptr[k] == '*') {
            star = k++;
            taken = i;
        } else if (k < pattern.len && pattern.ptr[k] == s.ptr[i]) {
            i++;
            k++;
        } else if (star != SIZE_MAX) {
            k = star + 1;
            i = ++taken;
        } else {
            return false;
        }
    }
    while (k < pattern.len && pattern.ptr[k] == '*')
        k++;
    return k == pattern.len;
}

bool str_split(str *s, char sep, str *ret_head)
{
    if (s->len == 0)
        return false;
    size_t at = str_find_char(*s, sep);
    if (at == SIZE_MAX) {
        *ret_head = *s;
        *s = str_slice(s->ptr + s->len, 0);
        return true;
    }
    *ret_head = str_slice(s->ptr, at);
    *s = str_slice(s->ptr + at + 1, s->len - at - 1);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum err str_to_u64(str s, uint64_t *ret)
{
    if (s.len == 0)
        return ERR_PARSE;
    uint64_t value = 0;
    bool fits = true;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return ERR_PARSE;
        fits = fits && !__builtin_mul_overflow(value, 10u, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value);
    }
    if (!fits)
        return ERR_LIMIT;
    *ret = value;
    return ERR_OK;
}

enum err str_to_i64(str s, int64_t *ret)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    ERR_TRY(str_to_u64(negative ? str_sub(s, 1, s.len) : s, &magnitude));
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return ERR_LIMIT;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return ERR_OK;
}

static size_t skip_digits(str s, size_t i)
{
    while (i < s.len && is_digit(s.ptr[i]))
        i++;
    return i;
}

// RFC 8259 section 6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
static bool is_json_number(str s)
{
    size_t i = s.len > 0 && s.ptr[0] == '-' ? 1 : 0;
    size_t start = i;
    i = skip_digits(s, i);
    if (i == start || (s.ptr[start] == '0' && i > start + 1))
        return false;
    if (i < s.len && s.ptr[i] == '.') {
        start = ++i;
        i = skip_digits(s, i);
        if (i == start)
            return false;
    }
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i++;
        if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-'))
            i++;
        start = i;
        i = skip_digits(s, i);
        if (i == start)
            return false;
    }
    return i == s.len;
}

// Up to 15 digits and no exponent, as nearly all numbers are: the digits and the power of ten are
// exact doubles, so one division rounds once, as it should (Clinger 1990, "How to read floating
// point numbers accurately").
static bool few_digits(str s, double *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = s.len && s.ptr[0] == '-', point = false;
    uint64_t digits = 0;
    size_t len = 0, behind = 0;
    for (size_t i = negative; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.') {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++len >= ARRAY_LEN(powers))
            return false;
        digits = digits * 10 + (uint64_t)(c - '0');
        behind += point;
    }
    double value = (double)digits / powers[behind];
    *ret = negative ? -value : value;
    return true;
}

enum err str_to_f64(str s, double *ret)
{
    if (!is_json_number(s))
        return ERR_PARSE;
    if (few_digits(s, ret))
        return ERR_OK;
    char few[64];
    char *text = few;
    if (s.len >= sizeof few && !(text = mem_try_alloc(s.len + 1)))
        return ERR_NOMEM;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    double value = strtod(text, NULL); // the process stays in the "C" locale
    if (text != few)
        mem_free(text);
    if (__builtin_isinf(value))
        return ERR_LIMIT;
    *ret = value;
    return ERR_OK;
}

enum { DISTANCE_LEN_MAX = 64 };

// Optimal string alignment over three rolling rows: neighbours swapped count as one edit.
size_t str_distance(str a, str b)
{
    size_t rows[3][DISTANCE_LEN_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    a = str_sub(a, 0, DISTANCE_LEN_MAX);
    b = str_sub(b, 0, DISTANCE_LEN_MAX);
    for (size_t j = 0; j <= b.len; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t same = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;
            size_t best = min_size(min_size(last[j], row[j - 1]) + 1, last[j - 1] + same);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                best = min_size(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b.len];
}

static uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

// SipHash-c-d (Aumasson, Bernstein 2012) with c = 1, d = 3. Words are read in the machine's order:
// the result never leaves the process.
static uint64_t siphash13(str s, const uint64_t key[2])
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (i < s.len)
        memcpy(&word, s.ptr + i, s.len - i);
    word ^= (uint64_t)s.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int k = 0; k < 3; k++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void draw_process_key(void)
{
    random_bytes(process_key, sizeof process_key);
}

uint64_t str_hash(str s)
{
    pthread_once(&process_key_once, draw_process_key);
    return siphash13(s, process_key);
}

uint64_t str_hash_stable(str s)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * 0x100000001b3;
    return hash;
}
