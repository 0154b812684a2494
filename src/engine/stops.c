#include "engine/stops.h"

#include "base/mem.h"
#include "base/utf8.h"

#include "base/banned.h"

static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD

static void prepare(struct stops_one *one, str text)
{
    one->text = text;
    one->fallback = mem_array(text.len, sizeof *one->fallback);
    for (uint32_t i = 1, k = 0; i < text.len; i++) {
        while (k > 0 && text.ptr[i] != text.ptr[k])
            k = one->fallback[k - 1];
        k += text.ptr[i] == text.ptr[k];
        one->fallback[i] = k;
    }
}

void stops_init(struct stops *s, const str *texts, size_t n, bool include)
{
    *s = (struct stops){.n = n, .include = include};
    buf_init(&s->held, SIZE_MAX); // bounded by the longest stop string
    if (n)
        s->all = mem_array(n, sizeof *s->all);
    for (size_t i = 0; i < n; i++)
        prepare(&s->all[i], texts[i]);
}

void stops_done(struct stops *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->all[i].fallback);
    mem_free(s->all);
    buf_done(&s->held);
    *s = (struct stops){0};
}

static void advance(struct stops_one *one, char byte)
{
    if (one->matched == one->text.len)
        one->matched = one->fallback[one->matched - 1];
    while (one->matched > 0 && one->text.ptr[one->matched] != byte)
        one->matched = one->fallback[one->matched - 1];
    one->matched += one->text.ptr[one->matched] == byte;
}

// How many bytes at the end may be the beginning of this stop string; of one that is complete, what
// could begin it anew.
static size_t may_begin(const struct stops_one *one)
{
    return one->matched == one->text.len ? one->fallback[one->matched - 1] : one->matched;
}

// The longest stop string that ends here, or NULL; and how many bytes may begin one.
static const struct stops_one *advance_all(struct stops *s, char byte, size_t *ret_waiting)
{
    const struct stops_one *complete = NULL;
    size_t waiting = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct stops_one *one = &s->all[i];
        advance(one, byte);
        if (one->matched == one->text.len && (!complete || one->text.len > complete->text.len))
            complete = one;
        waiting = max_size(waiting, may_begin(one));
    }
    *ret_waiting = waiting;
    return complete;
}

static void show_held(struct stops *s, size_t but_last, struct buf *out)
{
    size_t len = s->held.len - but_last;
    buf_append(out, buf_ptr(&s->held), len);
    buf_consume(&s->held, len);
}

// Whole characters in. A stop string may end in the middle of `text`.
static bool match_text(struct stops *s, str text, bool may_stop, struct buf *out, str *ret_matched)
{
    size_t waiting = 0;
    ASSERT(text.ptr || text.len == 0);
    for (size_t i = 0; i < text.len; i++) {
        buf_append_char(&s->held, text.ptr[i]);
        const struct stops_one *stop = advance_all(s, text.ptr[i], &waiting);
        if (stop && may_stop) {
            show_held(s, s->include ? 0 : stop->text.len, out);
            buf_clear(&s->held);
            *ret_matched = stop->text;
            return true;
        }
    }
    show_held(s, waiting, out);
    return false;
}

// How many bytes one U+FFFD stands for: the longest beginning of a character that went wrong.
static size_t broken_len(str s)
{
    for (size_t len = min_size(3, s.len); len > 1; len--)
        if (utf8_incomplete_tail(str_slice(s.ptr, len)) == len)
            return len;
    return 1;
}

// Valid text from the partial character and `bytes`; the incomplete rest waits, unless this is the
// end.
static void to_characters(struct stops *s, str bytes, bool is_end, struct buf *text)
{
    struct buf joined;
    buf_init(&joined, SIZE_MAX);
    str rest = bytes;
    if (s->partial_len) {
        buf_append(&joined, s->partial, s->partial_len);
        buf_append_str(&joined, bytes);
        rest = buf_str(&joined);
        s->partial_len = 0;
    }
    while (rest.len > 0) {
        size_t good = utf8_valid_prefix(rest);
        buf_append(text, rest.ptr, good);
        rest = str_slice(rest.ptr + good, rest.len - good);
        if (rest.len == 0 || (!is_end && utf8_incomplete_tail(rest) == rest.len))
            break;
        size_t broken = broken_len(rest);
        buf_append(text, replacement, sizeof replacement - 1);
        rest = str_slice(rest.ptr + broken, rest.len - broken);
    }
    if (rest.len)
        memcpy(s->partial, rest.ptr, rest.len);
    s->partial_len = rest.len;
    buf_done(&joined);
}

// Text without stop strings and without half characters needs no detour.
static bool may_pass(const struct stops *s, str bytes)
{
    return s->n == 0 && s->partial_len == 0 && utf8_valid(bytes);
}

bool stops_feed(struct stops *s, str bytes, bool may_stop, struct buf *out, str *ret_matched)
{
    if (may_pass(s, bytes)) {
        buf_append_str(out, bytes);
        return false;
    }
    struct buf text;
    buf_init(&text, SIZE_MAX);
    to_characters(s, bytes, false, &text);
    bool stopped = match_text(s, buf_str(&text), may_stop, out, ret_matched);
    buf_done(&text);
    return stopped;
}

void stops_flush(struct stops *s, struct buf *out)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    to_characters(s, STR_NONE, true, &text);
    show_held(s, 0, out);
    buf_append_str(out, buf_str(&text));
    buf_done(&text);
}
