#include "engine/grammar/charset.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/grammar/slice.h"

#include "base/banned.h"

#define LAST_CHARACTER 0x10FFFFu

void charset_done(struct charset *s)
{
    mem_free(s->ranges);
    *s = (struct charset){0};
}

void charset_add(struct charset *s, uint32_t low, uint32_t high)
{
    if (s->len == s->cap) {
        s->cap = s->cap * 2 + 4;
        s->ranges = mem_resize(s->ranges, s->cap, sizeof *s->ranges);
    }
    s->ranges[s->len++] = (struct char_range){low, high};
}

void charset_add_all(struct charset *s, const struct charset *other)
{
    for (size_t i = 0; i < other->len; i++)
        charset_add(s, other->ranges[i].low, other->ranges[i].high);
}

void charset_add_everything(struct charset *s)
{
    charset_add(s, 0, 0xD7FF);
    charset_add(s, 0xE000, LAST_CHARACTER);
}

static int by_low(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

void charset_settle(struct charset *s)
{
    size_t n = 0;
    if (s->len)
        qsort(s->ranges, s->len, sizeof *s->ranges, by_low);
    for (size_t i = 0; i < s->len; i++) {
        struct char_range r = s->ranges[i];
        if (n && r.low <= s->ranges[n - 1].high + 1) {
            if (r.high > s->ranges[n - 1].high)
                s->ranges[n - 1].high = r.high;
        } else {
            s->ranges[n++] = r;
        }
    }
    s->len = n;
}

void charset_copy(struct charset *to, const struct charset *from)
{
    *to = (struct charset){0};
    charset_add_all(to, from);
}

void charset_meet(struct charset *ret, const struct charset *a, const struct charset *b)
{
    *ret = (struct charset){0};
    for (size_t i = 0, k = 0; i < a->len && k < b->len;) {
        struct char_range x = a->ranges[i], y = b->ranges[k];
        uint32_t low = x.low > y.low ? x.low : y.low;
        uint32_t high = x.high < y.high ? x.high : y.high;
        if (low <= high)
            charset_add(ret, low, high);
        if (x.high < y.high)
            i++;
        else
            k++;
    }
}

void charset_invert(struct charset *s)
{
    struct charset gaps = {0}, everything = {0}, left;
    uint32_t next = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->ranges[i].low > next)
            charset_add(&gaps, next, s->ranges[i].low - 1);
        next = s->ranges[i].high + 1;
    }
    if (next <= LAST_CHARACTER)
        charset_add(&gaps, next, LAST_CHARACTER);
    charset_add_everything(&everything);
    charset_meet(&left, &gaps, &everything);
    charset_done(&gaps);
    charset_done(&everything);
    charset_done(s);
    *s = left;
}

bool charset_has(const struct charset *s, uint32_t c)
{
    for (size_t i = 0; i < s->len; i++)
        if (c >= s->ranges[i].low && c <= s->ranges[i].high)
            return true;
    return false;
}

// --- UTF-8

// Ranges come in order, so that what begins with the same bytes as the one before shares its
// states: a byte then leads to one place, and not to as many as there are ranges.
struct encoding {
    struct graph *graph;
    uint32_t to;
    struct {
        uint32_t from, state;
        int byte; // -1: none yet
    } shared[3];  // the latest single byte, by how many follow it
};

// n bytes of 80 to BF.
static void lay_tail(struct encoding *e, uint32_t from, size_t n)
{
    for (; n > 1; n--) {
        uint32_t next = graph_state(e->graph);
        graph_bytes(e->graph, from, next, 0x80, 0xBF);
        from = next;
    }
    graph_bytes(e->graph, from, e->to, 0x80, 0xBF);
}

// Behind a byte that n more follow.
static uint32_t after_byte(struct encoding *e, uint32_t from, uint8_t byte, size_t n)
{
    if (e->shared[n - 1].byte != byte || e->shared[n - 1].from != from) {
        uint32_t next = graph_state(e->graph);
        graph_bytes(e->graph, from, next, byte, byte);
        e->shared[n - 1].from = from;
        e->shared[n - 1].byte = byte;
        e->shared[n - 1].state = next;
    }
    return e->shared[n - 1].state;
}

// The encodings from `low` to `high`, both of n bytes.
static void lay_between(struct encoding *e, uint32_t from, const char *low, const char *high,
                        size_t n)
{
    uint8_t a = (uint8_t)low[0], b = (uint8_t)high[0];
    if (n == 1) {
        graph_bytes(e->graph, from, e->to, a, b);
        return;
    }
    if (a == b) {
        lay_between(e, after_byte(e, from, a, n - 1), low + 1, high + 1, n - 1);
        return;
    }
    static const char lowest[3] = {(char)0x80, (char)0x80, (char)0x80};
    static const char highest[3] = {(char)0xBF, (char)0xBF, (char)0xBF};
    if (memcmp(low + 1, lowest, n - 1) != 0) {
        lay_between(e, after_byte(e, from, a, n - 1), low + 1, highest, n - 1);
        a++;
    }
    bool cut = memcmp(high + 1, highest, n - 1) != 0;
    if (a + (cut ? 1 : 0) <= b) {
        uint32_t next = graph_state(e->graph);
        graph_bytes(e->graph, from, next, a, cut ? (uint8_t)(b - 1) : b);
        lay_tail(e, next, n - 1);
    }
    if (cut)
        lay_between(e, after_byte(e, from, b, n - 1), lowest, high + 1, n - 1);
}

static void lay_range(struct encoding *e, uint32_t from, uint32_t low, uint32_t high)
{
    static const struct char_range lengths[] = {
        {0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, LAST_CHARACTER}};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint32_t a = low > lengths[i].low ? low : lengths[i].low;
        uint32_t b = high < lengths[i].high ? high : lengths[i].high;
        char first[4] = {0}, last[4] = {0};
        if (a > b)
            continue;
        size_t n = utf8_encode(a, first);
        (void)utf8_encode(b, last);
        lay_between(e, from, first, last, n);
    }
}

void charset_lay(const struct charset *s, struct graph *g, uint32_t from, uint32_t to)
{
    struct encoding e = {.graph = g, .to = to};
    for (size_t i = 0; i < ARRAY_LEN(e.shared); i++)
        e.shared[i].byte = -1;
    for (size_t i = 0; i < s->len && !graph_is_full(g); i++)
        lay_range(&e, from, s->ranges[i].low, s->ranges[i].high);
    for (uint32_t i = 0; i < SLICES; i++)
        if (slice_is_within(i, s))
            graph_slice(g, from, to, i);
}

// --- Between the quotes of a JSON string

static void lay_escape(struct graph *g, uint32_t from, uint32_t to, uint32_t c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    char text[8];
    const char *at = c ? memchr(named, (int)c, sizeof named - 1) : NULL;
    int len = at ? snprintf(text, sizeof text, "\\%c", letters[at - named])
                 : snprintf(text, sizeof text, "\\u%04x", c);
    graph_text(g, from, to, str_slice(text, (size_t)len));
}

void charset_lay_json(const struct charset *s, struct graph *g, uint32_t from, uint32_t to)
{
    struct charset plain = {0}, as_they_are;
    charset_add(&plain, 0x20, 0x21);
    charset_add(&plain, 0x23, 0x5B);
    charset_add(&plain, 0x5D, 0xD7FF);
    charset_add(&plain, 0xE000, LAST_CHARACTER);
    charset_meet(&as_they_are, s, &plain);
    charset_lay(&as_they_are, g, from, to);
    charset_done(&as_they_are);
    charset_done(&plain);
    for (uint32_t c = 0; c < 0x20; c++)
        if (charset_has(s, c))
            lay_escape(g, from, to, c);
    if (charset_has(s, '"'))
        lay_escape(g, from, to, '"');
    if (charset_has(s, '\\'))
        lay_escape(g, from, to, '\\');
}
