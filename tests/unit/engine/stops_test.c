// Text from tokens: whole characters, stop strings held back, the same whatever the cuts.
//
// REQ: ENG-7
#include "base/mem.h"
#include "base/random.h"
#include "base/utf8.h"
#include "engine/stops.h"
#include "support/unit.h"

struct outcome {
    struct buf text;
    str matched;
    bool stopped;
};

// Feeds `bytes` cut after each length in `cuts` (repeated), and flushes unless it stopped.
static struct outcome feed(str bytes, const size_t *cuts, size_t n_cuts, const str *stops, size_t n,
                           bool include)
{
    struct stops s;
    struct outcome o = {.matched = STR_NONE};
    buf_init(&o.text, SIZE_MAX);
    stops_init(&s, stops, n, include);
    for (size_t i = 0; bytes.len && !o.stopped; i++) {
        size_t len = min_size(cuts[i % n_cuts], bytes.len);
        size_t before = o.text.len;
        o.stopped = stops_feed(&s, str_slice(bytes.ptr, len), true, &o.text, &o.matched);
        assert_true(utf8_valid(str_slice(buf_ptr(&o.text) + before, o.text.len - before)));
        bytes = str_slice(bytes.ptr + len, bytes.len - len);
    }
    if (!o.stopped)
        stops_flush(&s, &o.text);
    stops_done(&s);
    return o;
}

static void assert_text(str bytes, str want)
{
    for (size_t cut = 1; cut <= 4; cut++) {
        struct outcome o = feed(bytes, &cut, 1, NULL, 0, false);
        assert_int_equal(o.text.len, want.len);
        assert_memory_equal(buf_ptr(&o.text), want.ptr, want.len);
        buf_done(&o.text);
    }
}

static void test_characters_are_whole(void **state)
{
    (void)state;
    assert_text(STR("plain"), STR("plain"));
    assert_text(STR("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!"),
                STR("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!"));
}

static void test_invalid_bytes_are_replaced(void **state)
{
    (void)state;
    assert_text(STR("a\xff"
                    "b"),
                STR("a\xef\xbf\xbd"
                    "b"));
    assert_text(STR("\xe2\x82"), STR("\xef\xbf\xbd"));       // cut at the end: one maximal part
    assert_text(STR("\xe2\x82z"), STR("\xef\xbf\xbdz"));     // cut by a letter
    assert_text(STR("\xf0\x9f\x98 "), STR("\xef\xbf\xbd ")); // three of four
    assert_text(STR("\xed\xa0\x80"), STR("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")); // a surrogate
    assert_text(STR("\xc0\xaf"), STR("\xef\xbf\xbd\xef\xbf\xbd"));                 // overlong
}

static void assert_stop(str bytes, const str *stops, size_t n, str want, str matched)
{
    for (size_t cut = 1; cut <= 5; cut++) {
        struct outcome o = feed(bytes, &cut, 1, stops, n, false);
        assert_int_equal(o.text.len, want.len);
        assert_memory_equal(buf_ptr(&o.text), want.ptr, want.len);
        assert_true(str_eq(o.matched, matched));
        assert_int_equal(o.stopped, matched.len > 0);
        buf_done(&o.text);
    }
}

static void test_stop_strings(void **state)
{
    (void)state;
    const str user[] = {STR("User:"), STR("\n\n")};
    assert_stop(STR("Hello.\nUser: and more"), user, 2, STR("Hello.\n"), STR("User:"));
    assert_stop(STR("Hello.\n\nUser:"), user, 2, STR("Hello."), STR("\n\n"));
    assert_stop(STR("Hello Use"), user, 2, STR("Hello Use"), STR_NONE);
    assert_stop(STR("UsUserUser:"), user, 2, STR("UsUser"), STR("User:"));
    const str overlapping[] = {STR("abcd"), STR("bc"), STR("c")};
    assert_stop(STR("xabcd"), overlapping, 3, STR("xa"), STR("bc"));
    const str again[] = {STR("aab")};
    assert_stop(STR("aaab"), again, 1, STR("a"), STR("aab"));
    const str euro[] = {STR("\xe2\x82\xac")};
    assert_stop(STR("5 \xe2\x82\xac more"), euro, 1, STR("5 "), STR("\xe2\x82\xac"));
}

static void test_what_cannot_begin_a_stop_is_shown_at_once(void **state)
{
    (void)state;
    const str stop = STR("stop");
    struct stops s;
    struct buf out;
    str matched;
    buf_init(&out, SIZE_MAX);
    stops_init(&s, &stop, 1, false);
    assert_false(stops_feed(&s, STR("go st"), true, &out, &matched));
    assert_true(str_eq(buf_str(&out), STR("go ")));
    assert_false(stops_feed(&s, STR("ay"), true, &out, &matched));
    assert_true(str_eq(buf_str(&out), STR("go stay")));
    stops_done(&s);
    buf_done(&out);
}

static void test_stops_pass_until_they_may_stop(void **state)
{
    (void)state;
    const str stop = STR("aa");
    struct stops s;
    struct buf out;
    str matched;
    buf_init(&out, SIZE_MAX);
    stops_init(&s, &stop, 1, false);
    assert_false(stops_feed(&s, STR("xaay"), false, &out, &matched));
    assert_true(str_eq(buf_str(&out), STR("xaay")));
    assert_false(stops_feed(&s, STR("baa"), false, &out, &matched));
    assert_true(str_eq(buf_str(&out), STR("xaayba")));
    assert_true(stops_feed(&s, STR("a"), true, &out, &matched));
    stops_done(&s);
    buf_done(&out);
}

static void test_the_stop_string_may_be_shown(void **state)
{
    (void)state;
    const str stop = STR("END");
    const size_t cut = 2;
    struct outcome o = feed(STR("the END of it"), &cut, 1, &stop, 1, true);
    assert_true(str_eq(buf_str(&o.text), STR("the END")));
    buf_done(&o.text);
}

// By the definition: the first place where any stop string is complete, the longest of those.
static size_t first_stop(str text, const str *stops, size_t n, str *ret)
{
    for (size_t end = 1; end <= text.len; end++) {
        str best = STR_NONE;
        for (size_t i = 0; i < n; i++)
            if (str_ends(str_slice(text.ptr, end), stops[i]) && stops[i].len > best.len)
                best = stops[i];
        if (best.len) {
            *ret = best;
            return end - best.len;
        }
    }
    *ret = STR_NONE;
    return text.len;
}

static void test_cuts_change_nothing(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 3);
    for (int round = 0; round < 3000; round++) {
        char text[40], stop_text[3][4];
        str stops[3];
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)('a' + random_below(&r, 2));
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; k < 4; k++)
                stop_text[i][k] = (char)('a' + random_below(&r, 2));
            stops[i] = str_slice(stop_text[i], 2 + random_below(&r, 3));
        }
        size_t cuts[5], n = random_below(&r, 4), len = random_below(&r, sizeof text);
        for (size_t i = 0; i < 5; i++)
            cuts[i] = 1 + random_below(&r, 6);
        str matched;
        size_t want = first_stop(str_slice(text, len), stops, n, &matched);
        struct outcome o = feed(str_slice(text, len), cuts, 5, stops, n, false);
        assert_int_equal(o.text.len, want);
        assert_memory_equal(buf_ptr(&o.text) ? buf_ptr(&o.text) : "", text, want);
        assert_true(str_eq(o.matched, matched));
        buf_done(&o.text);
    }
}

static void test_any_bytes_become_text_whatever_the_cuts(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 4);
    for (int round = 0; round < 3000; round++) {
        char bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++) // mostly the bytes that characters are made of
            bytes[i] =
                (char)(random_below(&r, 4) ? 0x80 + random_below(&r, 128) : random_below(&r, 128));
        size_t whole = sizeof bytes, cuts[4];
        for (size_t i = 0; i < 4; i++)
            cuts[i] = 1 + random_below(&r, 5);
        str all = str_slice(bytes, sizeof bytes);
        struct outcome a = feed(all, &whole, 1, NULL, 0, false),
                       b = feed(all, cuts, 4, NULL, 0, false);
        assert_true(str_eq(buf_str(&a.text), buf_str(&b.text)));
        buf_done(&a.text);
        buf_done(&b.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters_are_whole),
        cmocka_unit_test(test_invalid_bytes_are_replaced),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_what_cannot_begin_a_stop_is_shown_at_once),
        cmocka_unit_test(test_stops_pass_until_they_may_stop),
        cmocka_unit_test(test_the_stop_string_may_be_shown),
        cmocka_unit_test(test_cuts_change_nothing),
        cmocka_unit_test(test_any_bytes_become_text_whatever_the_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
