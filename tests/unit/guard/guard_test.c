// Rules over streams: the same verdict however a text is cut, nothing forbidden gets out, personal
// data comes back, canaries are found in every disguise.
// REQ: GUARD-1 GUARD-3
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/random.h"
#include "guard/guard.h"

static const str forbidden[] = {{"forbidden", 9}, {"ver(y|ily) bad", 14}};
static const str shouts[] = {{"[A-Z]{5,}", 9}};

static const struct guard_rule rules[] = {
    {.name = {"shout", 5}, .action = GUARD_TAG, .patterns = shouts, .patterns_len = 1},
    {.name = {"pii", 3}, .action = GUARD_MASK, .pii = (1u << PII_KINDS) - 1},
    {.name = {"words", 5}, .action = GUARD_BLOCK, .patterns = forbidden, .patterns_len = 2},
    {.name = {"leak", 4}, .action = GUARD_BLOCK, .canary = {"zebra-lantern-42", 16}},
};

struct bench {
    struct guard *guard;
    struct scan_scratch scratch;
    struct vault vault;
    struct guard_stream stream;
    struct buf out;
};

static void bench_open(struct bench *b)
{
    struct diag d = {0};
    if (guard_new(rules, ARRAY_LEN(rules), &b->guard, &d) != ERR_OK)
        fail_msg("%s: %s", d.where, d.text);
    guard_scratch_init(&b->scratch, b->guard);
    vault_init(&b->vault);
    buf_init(&b->out, 1u << 20);
}

static void bench_close(struct bench *b)
{
    buf_done(&b->out);
    vault_done(&b->vault);
    scan_scratch_done(&b->scratch);
    guard_free(b->guard);
}

// Cut at random, or whole with no randomness.
static bool run(struct bench *b, str text, struct random *r)
{
    buf_clear(&b->out);
    guard_stream_init(&b->stream, b->guard, &b->vault);
    bool ok = true;
    for (size_t at = 0; at < text.len && ok;) {
        size_t len = r ? 1 + random_below(r, 9) : text.len;
        ok = guard_stream_feed(&b->stream, &b->scratch, str_sub(text, at, len), &b->out);
        at += len;
    }
    ok = ok && guard_stream_end(&b->stream, &b->scratch, &b->out);
    guard_stream_done(&b->stream);
    return ok;
}

static void expect(const char *text, bool passes, const char *out)
{
    struct bench b;
    struct random r;
    bench_open(&b);
    random_seed(&r, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run(&b, str_of(text), i ? &r : NULL), passes);
        assert_string_equal(buf_cstr(&b.out), out);
    }
    bench_close(&b);
}

static void personal_data_is_masked_where_it_is_real(void **state)
{
    (void)state;
    expect("mail ada@example.org, or ADA@x.co.uk.", true, "mail <EMAIL_1>, or <EMAIL_2>.");
    expect("a@b.de and a@b.de", true, "<EMAIL_1> and <EMAIL_1>");
    expect("card 4111 1111 1111 1111 now", true, "card <CARD_1> now");
    expect("card 4111 1111 1111 1112 now", true, "card 4111 1111 1111 1112 now");
    expect("iban DE89 3704 0044 0532 0130 00!", true, "iban <IBAN_1>!");
    expect("iban DE88 3704 0044 0532 0130 00!", true, "iban DE88 3704 0044 0532 0130 00!");
    expect("call +49 30 1234567 today", true, "call <PHONE_1> today");
    expect("ssn 123-45-6789, not 000-45-6789", true, "ssn <SSN_1>, not 000-45-6789");
    expect("at 192.168.1.255, not 1.2.3.256", true, "at <IP_1>, not 1.2.3.256");
    expect("key sk-abcdefghijklmnopqrstuv end", true, "key <KEY_1> end");
    expect("plain text with 12 numbers and 2026-11-22", true,
           "plain text with 12 numbers and 2026-11-22");
}

static void nothing_of_what_is_blocked_gets_out(void **state)
{
    (void)state;
    expect("all good, then forbidden words", false, "all good, then ");
    expect("this is verily bad", false, "this is ");
    expect("forbiddes is fine, verily", true, "forbiddes is fine, verily");
}

static void a_stricter_rule_sees_what_others_change(void **state)
{
    (void)state;
    expect("x FORBIDDENforbidden", false, "x ");
    expect("mail forbidden@example.org", false, "mail ");
}

static void what_is_allowed_passes_all_others_in_its_place(void **state)
{
    (void)state;
    static const str own[] = {{"help@example\\.com", 17}}, all[] = {{"[a-z]+@[a-z.]+", 14}};
    static const struct guard_rule some[] = {
        {.name = {"own", 3}, .action = GUARD_ALLOW, .patterns = own, .patterns_len = 1},
        {.name = {"mail", 4}, .action = GUARD_MASK, .patterns = all, .patterns_len = 1},
    };
    str text = STR("ask a@b.org, help@example.com, c@d.org, ahelp@example.com");
    struct guard *g;
    struct scan_scratch x;
    struct random r;
    assert_int_equal(guard_new(some, 2, &g, NULL), ERR_OK);
    guard_scratch_init(&x, g);
    random_seed(&r, 3);
    for (int i = 0; i < 50; i++) {
        struct guard_stream s;
        struct buf out;
        buf_init(&out, 1 << 16);
        guard_stream_init(&s, g, NULL);
        for (size_t at = 0, n; at < text.len; at += n) {
            n = i ? 1 + random_below(&r, 9) : text.len;
            assert_true(guard_stream_feed(&s, &x, str_sub(text, at, n), &out));
        }
        assert_true(guard_stream_end(&s, &x, &out));
        assert_string_equal(buf_cstr(&out),
                            "ask [mail], help@example.com, [mail], ahelp@example.com");
        assert_int_equal(s.hits[0], 2);
        guard_stream_done(&s);
        buf_done(&out);
    }
    scan_scratch_done(&x);
    guard_free(g);
}

static void tags_are_counted_and_let_pass(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    assert_true(run(&b, STR("HELLO you, HELLO WORLD"), NULL));
    assert_int_equal(b.stream.hits[0], 3);
    assert_string_equal(buf_cstr(&b.out), "HELLO you, HELLO WORLD");
    assert_string_equal(guard_rule_name(b.guard, 0), "shout");
    bench_close(&b);
}

// --- Canaries

static void expect_leak(const char *text)
{
    struct bench b;
    struct random r;
    char around[600];
    bench_open(&b);
    random_seed(&r, 2);
    snprintf(around, sizeof around, "Sure: %s and so on", text);
    for (int i = 0; i < 10; i++) {
        if (run(&b, str_of(around), i ? &r : NULL))
            fail_msg("got out: %s", around);
        assert_int_equal(b.stream.blocked_by, 3);
        assert_true(b.out.len <=
                    strlen("Sure: ") + 4); // what base64 may share with its surroundings
    }
    bench_close(&b);
}

static void canaries_are_found_in_every_disguise(void **state)
{
    (void)state;
    expect_leak("zebra-lantern-42");
    expect_leak("ZEBRA-Lantern-42");
    expect_leak("z e b r a - l a n t e r n - 4 2");
    expect_leak("z.e.b.r.a.-.l.a.n.t.e.r.n.-.4.2");
    expect_leak("z\ne\nb\nr\na\n-\nl\na\nn\nt\ne\nr\nn\n-\n4\n2");
    expect_leak("24-nretnal-arbez");
    expect_leak("mroen-ynagrea-42");
    expect_leak("7a656272612d6c616e7465726e2d3432");
    expect_leak("7A 65 62 72 61 2D 6C 61 6E 74 65 72 6E 2D 34 32");
    expect_leak("0x7a, 0x65, 0x62, 0x72, 0x61, 0x2d, 0x6c, 0x61, 0x6e, 0x74, 0x65, 0x72, 0x6e, "
                "0x2d, 0x34, 0x32");
}

static void canaries_are_found_in_base64_wherever_they_begin(void **state)
{
    (void)state;
    for (size_t before = 0; before < 7; before++)
        for (size_t after = 0; after < 4; after++) {
            char text[64];
            struct buf out;
            struct bench b;
            snprintf(text, sizeof text, "%.*szebra-lantern-42%.*s", (int)before, "abcdefg",
                     (int)after, "xyz");
            buf_init(&out, 4096);
            assert_int_equal(encode_base64(&out, text, strlen(text)), ERR_OK);
            bench_open(&b);
            if (run(&b, buf_str(&out), NULL))
                fail_msg("got out: %s", buf_cstr(&out));
            bench_close(&b);
            buf_done(&out);
        }
}

static void what_only_resembles_a_canary_passes(void **state)
{
    (void)state;
    expect("zebra-lantern-41 zebra lantern zebra-lantern", true,
           "zebra-lantern-41 zebra lantern zebra-lantern");
}

static void a_canary_must_be_unmistakable(void **state)
{
    (void)state;
    static const struct guard_rule short_one[] = {
        {.name = {"leak", 4}, .action = GUARD_BLOCK, .canary = {"short", 5}}};
    struct guard *g;
    struct diag d = {0};
    assert_int_equal(guard_new(short_one, 1, &g, &d), ERR_INVALID);
    assert_string_equal(d.where, "rule leak");
}

// --- The way back

static void placeholders_come_back_as_what_they_stand_for(void **state)
{
    (void)state;
    struct bench b;
    struct buf back;
    bench_open(&b);
    buf_init(&back, 65536);
    assert_true(run(&b, STR("I am ada@example.org, card 4111111111111111"), NULL));
    str answer = STR("Dear <EMAIL_1>, <CARD_1>; <EMAIL_2> <EMAIL_1 <<EMAIL_1>");
    for (size_t piece = 1; piece < 12; piece++) {
        struct guard_restore r;
        buf_clear(&back);
        guard_restore_init(&r, b.guard, &b.vault);
        for (size_t at = 0; at < answer.len; at += piece)
            guard_restore_feed(&r, &b.scratch, str_sub(answer, at, piece), &back);
        guard_restore_end(&r, &b.scratch, &back);
        guard_restore_done(&r);
        assert_string_equal(buf_cstr(&back), "Dear ada@example.org, 4111111111111111; <EMAIL_2> "
                                             "<EMAIL_1 <ada@example.org");
    }
    buf_done(&back);
    bench_close(&b);
}

// --- Any cutting

static void random_text(struct random *r, char *out, size_t size)
{
    static const char *const bits[] = {"ada@example.org",
                                       "4111 1111 1111 1111",
                                       "forbidd",
                                       "en",
                                       "HELLO",
                                       "zebra",
                                       "-lantern-",
                                       "42",
                                       " ",
                                       "x",
                                       "+49 30 1234567",
                                       "1.2.3.4",
                                       "very bad",
                                       "sk-",
                                       "<EMAIL_1>",
                                       "\xc3\xa9"};
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < 1 + random_below(r, 9); i++)
        len +=
            (size_t)snprintf(out + len, size - len, "%s", bits[random_below(r, ARRAY_LEN(bits))]);
}

static void any_cutting_gives_the_same_verdict_and_text(void **state)
{
    (void)state;
    struct random r;
    struct bench b;
    struct buf whole;
    char text[400];
    uint32_t hits[GUARD_RULES_MAX];
    random_seed(&r, 3);
    buf_init(&whole, 65536);
    for (int i = 0; i < 2000; i++) {
        random_text(&r, text, sizeof text);
        bench_open(&b);
        bool passes = run(&b, str_of(text), NULL);
        buf_clear(&whole);
        (void)buf_append_str(&whole, buf_str(&b.out));
        memcpy(hits, b.stream.hits, sizeof hits);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(run(&b, str_of(text), &r), passes);
            if (!str_eq(buf_str(&b.out), buf_str(&whole)))
                fail_msg("%s: %s, whole %s", text, buf_cstr(&b.out), buf_cstr(&whole));
            if (passes)
                assert_memory_equal(b.stream.hits, hits, sizeof hits);
        }
        bench_close(&b);
    }
    buf_done(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(personal_data_is_masked_where_it_is_real),
        cmocka_unit_test(nothing_of_what_is_blocked_gets_out),
        cmocka_unit_test(a_stricter_rule_sees_what_others_change),
        cmocka_unit_test(what_is_allowed_passes_all_others_in_its_place),
        cmocka_unit_test(tags_are_counted_and_let_pass),
        cmocka_unit_test(canaries_are_found_in_every_disguise),
        cmocka_unit_test(canaries_are_found_in_base64_wherever_they_begin),
        cmocka_unit_test(what_only_resembles_a_canary_passes),
        cmocka_unit_test(a_canary_must_be_unmistakable),
        cmocka_unit_test(placeholders_come_back_as_what_they_stand_for),
        cmocka_unit_test(any_cutting_gives_the_same_verdict_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
