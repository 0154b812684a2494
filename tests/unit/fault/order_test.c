// What can be ordered of the scripted provider, and when an order applies.
// REQ: PROV-7
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fault/order.h"
#include "fault/script.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct order read_order(const char *text)
{
    struct order o;
    struct diag d = {0};
    assert_int_equal(order_parse(str_of(text), &arena, &o, &d), ERR_OK);
    return o;
}

static struct order_plan plan_of(const struct order *o)
{
    struct order_plan p;
    assert_int_equal(order_understand(o, &p, NULL), ERR_OK);
    return p;
}

static void words_take_either_sign_dashes_or_stand_alone(void **state)
{
    (void)state;
    struct order o = read_order(" cut@5 ,first=2s, no-done, x-ms-retry-after-ms=20,huge ");
    struct order_plan p = plan_of(&o);
    assert_true(p.cut.given && !p.cut.bytes && p.cut.at == 5);
    assert_true(o.no_done);
    assert_int_equal(o.x_ms_retry_after_ms, 20);
    assert_int_equal(o.huge, 1 << 20);
    assert_int_equal(spread_draw(&p.first, 1, 2, 3), 2000000);
    assert_false(p.stall.given);
}

static void a_place_is_an_event_or_a_byte(void **state)
{
    (void)state;
    struct order o = read_order("cut@120b, stall=0");
    struct order_plan p = plan_of(&o);
    assert_true(p.cut.bytes && p.cut.at == 120);
    assert_true(p.stall.given && p.stall.at == 0);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "cutt@5",     "cut",        "cut@x",    "first=fast",
        "flap=3",     "flap=1:0",   "rate=2",   "arguments=odd",
        "filter@3b",  "gpt-4o",     "cut@-1",   "first=uniform:9ms:1ms",
        "tokens=1e9", "usage=some", "times=-1", "first=lognormal:1ms"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct order o;
        struct diag d = {0};
        assert_int_not_equal(order_parse(str_of(wrong[i]), &arena, &o, &d), ERR_OK);
        assert_true(d.text[0] != '\0');
    }
}

static void orders_lie_over_each_other(void **state)
{
    (void)state;
    struct order base = read_order("first=1ms, tokens=5, cut@1");
    struct order top = read_order("cut@9, hang");
    order_lay_over(&base, &top);
    struct order_plan p = plan_of(&base);
    assert_int_equal(p.cut.at, 9);
    assert_int_equal(base.tokens, 5);
    assert_true(base.hang);
}

static void an_order_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct order o =
        read_order("rate=0.25,flap=3:2,hang,error=429,tools=2,arguments=broken,huge=7");
    struct buf text;
    buf_init(&text, 1000);
    order_write(&o, &text);
    struct order again = read_order(buf_cstr(&text));
    struct buf twice;
    buf_init(&twice, 1000);
    order_write(&again, &twice);
    assert_string_equal(buf_cstr(&text), buf_cstr(&twice));
    assert_string_equal(buf_cstr(&text),
                        "rate=0.25, flap=3:2, hang, error=429, tools=2, arguments=broken, huge=7");
    buf_done(&text);
    buf_done(&twice);
}

static unsigned pattern(const char *text, unsigned requests)
{
    struct order o = read_order(text);
    struct order_plan p = plan_of(&o);
    unsigned bits = 0;
    for (unsigned n = 0; n < requests; n++)
        bits |= (unsigned)order_applies(&o, &p, (struct order_draw){7, n, 0}, n) << n;
    return bits;
}

static void gates_open_when_they_say(void **state)
{
    (void)state;
    assert_int_equal(pattern("hang", 8), 0xff);
    assert_int_equal(pattern("hang,times=2", 8), 0x03);
    assert_int_equal(pattern("hang,every=3", 8), 0x24);
    assert_int_equal(pattern("hang,flap=2:1", 9), 0x124);
    assert_int_equal(pattern("hang,flap=0:1", 8), 0xff);
}

static void a_rate_holds_its_share_and_repeats(void **state)
{
    (void)state;
    struct order o = read_order("rate=0.2");
    struct order_plan p = plan_of(&o);
    unsigned hits = 0;
    for (uint64_t n = 0; n < 10000; n++) {
        bool applies = order_applies(&o, &p, (struct order_draw){11, n, 0}, n);
        assert_int_equal(applies, order_applies(&o, &p, (struct order_draw){11, n, 0}, n));
        hits += applies;
    }
    assert_in_range(hits, 1850, 2150);
}

static void patterns_match_with_stars(void **state)
{
    (void)state;
    assert_true(script_matches(STR("gpt-4o*"), STR("gpt-4o-mini")));
    assert_true(script_matches(STR("*mini"), STR("gpt-4o-mini")));
    assert_true(script_matches(STR("g*4*i"), STR("gpt-4o-mini")));
    assert_true(script_matches(STR("*"), STR("")));
    assert_false(script_matches(STR("gpt"), STR("gpt-4o")));
    assert_false(script_matches(STR("*x"), STR("gpt")));
}

static void a_script_is_understood_before_it_is_taken(void **state)
{
    (void)state;
    struct script s;
    struct diag d = {0};
    str good = STR("seed: 3\nmodels: [a, b]\nalways: {first: 5ms}\nrules:\n"
                   "  - {name: r, model: a*, do: {error: '503', rate: 0.5}}\n");
    assert_int_equal(script_parse(good, &arena, &s, &d), ERR_OK);
    assert_int_equal(s.seed, 3);
    assert_int_equal(s.models.len, 2);
    assert_int_equal(s.rules.len, 1);
    assert_true(script_rules(&s)[0].orders.rate > 0.4);
    assert_int_not_equal(script_parse(STR("always: {cut: soon}\n"), &arena, &s, &d), ERR_OK);
    assert_int_not_equal(
        script_parse(STR("rules:\n  - {name: r, do: {flap: x}}\n"), &arena, &s, &d), ERR_OK);
    assert_string_equal(d.where, "rules[0]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_take_either_sign_dashes_or_stand_alone),
        cmocka_unit_test(a_place_is_an_event_or_a_byte),
        cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
        cmocka_unit_test(orders_lie_over_each_other),
        cmocka_unit_test(an_order_reads_back_as_it_was_written),
        cmocka_unit_test(gates_open_when_they_say),
        cmocka_unit_test(a_rate_holds_its_share_and_repeats),
        cmocka_unit_test(patterns_match_with_stars),
        cmocka_unit_test(a_script_is_understood_before_it_is_taken),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
