// REQ: OBS-1
// Records as bytes: what was written before is read for ever, and damage is told.
#include "support/unit.h"

#include "base/mem.h"
#include "base/random.h"
#include "store/message.h"
#include "store/record.h"

static struct store_request whole(struct store_attempt attempts[2])
{
    attempts[0] = (struct store_attempt){.target = STR("far"), .cost_nano_usd = -1};
    attempts[1] = (struct store_attempt){.target = STR("near"),
                                         .ended_us = INT64_MAX,
                                         .usage_estimated = true,
                                         .cost_nano_usd = 0,
                                         .protocol = STR("h2")};
    return (struct store_request){.id = STR("a"),
                                  .started_ms = 300,
                                  .status = 200,
                                  .stream = true,
                                  .seed = INT64_MIN,
                                  .cost_nano_usd = 0,
                                  .context = STR("b"),
                                  .attempts_len = 2,
                                  .attempts = attempts};
}

// The numbers of the fields are what is on users' disks.
static void the_bytes_of_a_record_never_change(void **state)
{
    (void)state;
    static const char bytes[] = "\x0a\x01"
                                "a"                                                // 1: id
                                "\x10\xd8\x04"                                     // 2: 300
                                "\x20\x90\x03"                                     // 4: 200
                                "\x68\x02"                                         // 13: true
                                "\xa0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" // 20
                                "\xe0\x01\x04"                                     // 28: 2
                                "\xe8\x01\x00"                                     // 29: no money
                                "\xa2\x02\x01"
                                "b" // 36
                                "\x82\x04\x05\x0a\x03"
                                "far" // 64: an attempt
                                "\x82\x04\x1c\x0a\x04"
                                "near"
                                "\x70\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                "\xb8\x01\x02\xc0\x01\x00\xca\x01\x02"
                                "h2";
    struct store_attempt attempts[2];
    struct store_request r = whole(attempts);
    struct record *record = record_of_request(&r);
    assert_int_equal(record->len, sizeof bytes - 1);
    assert_memory_equal(record->bytes, bytes, sizeof bytes - 1);
    mem_free(record);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct store_attempt attempts[2];
    struct store_request r = whole(attempts), back;
    struct record *record = record_of_request(&r);
    struct arena a;
    arena_init(&a, 1u << 20);
    str message = str_slice((const char *)record->bytes, record->len);
    assert_int_equal(record_read_request(message, &a, &back, NULL), ERR_OK);
    assert_true(str_eq(back.id, STR("a")) && str_eq(back.context, STR("b")) && back.stream);
    assert_true(back.seed == INT64_MIN && back.started_ms == 300 && back.cost_nano_usd == 0);
    assert_null(back.guard.ptr);
    assert_int_equal(back.attempts_len, 2);
    assert_int_equal(back.attempts[0].cost_nano_usd, -1);
    assert_int_equal(back.attempts[1].ended_us, INT64_MAX);
    assert_true(back.attempts[1].usage_estimated);
    // A newer weir's fields are passed over.
    static const char newer[] = "\x0a\x01z\xf8\x07\x02\xf2\x07\x03new";
    assert_int_equal(record_read_request(str_slice(newer, sizeof newer - 1), &a, &back, NULL),
                     ERR_OK);
    assert_true(str_eq(back.id, STR("z")) && back.attempts_len == 0);
    arena_done(&a);
    mem_free(record);
}

static void damage_is_told_and_never_followed(void **state)
{
    (void)state;
    struct store_attempt attempts[2];
    struct store_request r = whole(attempts), back;
    struct record *record = record_of_request(&r);
    struct random random;
    random_seed(&random, 4);
    for (int i = 0; i < 20000; i++) {
        // Exactly as long as it is, so that a sanitizer sees a step too far.
        size_t len = (size_t)random_below(&random, record->len) + 1;
        char *copy = mem_alloc(len);
        memcpy(copy, record->bytes, len);
        for (uint64_t n = random_below(&random, 4); n > 0; n--)
            copy[random_below(&random, len)] = (char)random_next(&random);
        struct arena a;
        arena_init(&a, 1u << 20);
        enum err e = record_read_request(str_slice(copy, len), &a, &back, NULL);
        assert_true(e == ERR_OK || e == ERR_PARSE);
        arena_done(&a);
        mem_free(copy);
    }
    struct diag d = {0};
    struct arena a;
    arena_init(&a, 1u << 20);
    str cut = str_slice((const char *)record->bytes, record->len - 1);
    assert_int_equal(record_read_request(cut, &a, &back, &d), ERR_PARSE);
    assert_non_null(strstr(d.text, "damaged"));
    arena_done(&a);
    mem_free(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_of_a_record_never_change),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(damage_is_told_and_never_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
