// REQ: SEC-3
// A buf never passes its limit, keeps what it holds when it refuses, and survives a refused
// allocation.
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "support/unit.h"

static void what_is_appended_is_there(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_append(&b, "ab", 2), ERR_OK);
    assert_int_equal(buf_append_str(&b, STR("cd")), ERR_OK);
    assert_int_equal(buf_append_char(&b, 'e'), ERR_OK);
    assert_int_equal(buf_printf(&b, "-%d", 7), ERR_OK);
    assert_true(str_eq(buf_str(&b), STR("abcde-7")));
    assert_string_equal(buf_cstr(&b), "abcde-7");
    assert_int_equal(b.len, 7);
    buf_done(&b);
}

static void the_limit_is_exact_and_refusing_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_int_equal(buf_append(&b, "12345678", 8), ERR_OK);
    assert_false(b.failed);
    assert_int_equal(buf_append_char(&b, '9'), ERR_LIMIT);
    assert_true(b.failed);
    assert_true(str_eq(buf_str(&b), STR("12345678")));
    assert_string_equal(buf_cstr(&b), ""); // a failed text is no text
    buf_clear(&b);
    assert_false(b.failed);
    assert_int_equal(buf_printf(&b, "%s", "123456789"), ERR_LIMIT);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%s", "12345678"), ERR_OK);
    assert_string_equal(buf_cstr(&b), "12345678"); // the NUL does not count
    buf_done(&b);
}

static void a_huge_size_is_refused_without_overflow(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_append_char(&b, 'x'), ERR_OK);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(b.len, 1);
    buf_done(&b);
}

static void a_refused_allocation_is_an_error_and_loses_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_append(&b, "kept", 4), ERR_OK);
    mem_fail_after(1);
    assert_null(buf_reserve(&b, 4096));
    assert_true(b.failed);
    assert_true(str_eq(buf_str(&b), STR("kept")));
    assert_non_null(buf_reserve(&b, 4096));
    buf_done(&b);
}

static void memory_stays_near_the_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    while (buf_append_char(&b, 'x') == ERR_OK)
        assert_true(b.cap <= 1000);
    assert_int_equal(b.len, 1000);
    buf_done(&b);
}

static void reserving_may_commit_less(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    char *room = buf_reserve(&b, 50);
    assert_non_null(room);
    memset(room, 'a', 3);
    buf_commit(&b, 3);
    assert_true(str_eq(buf_str(&b), STR("aaa")));
    assert_non_null(buf_reserve(&b, 0));
    buf_done(&b);
}

static void a_long_format_fits_too(void **state)
{
    (void)state;
    char word[700];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    struct buf b;
    buf_init(&b, 2000);
    assert_int_equal(buf_printf(&b, "<%s>", word), ERR_OK);
    assert_int_equal(b.len, 701);
    assert_int_equal(buf_ptr(&b)[700], '>');
    buf_done(&b);
}

// Against a plain array: the same bytes come out in the same order, whatever the pattern.
static void a_random_queue_keeps_order(void **state)
{
    (void)state;
    struct random r;
    struct buf b;
    random_seed(&r, 42);
    buf_init(&b, 300);
    uint8_t in = 0, out = 0;
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)random_below(&r, 40);
        if (random_below(&r, 2)) {
            for (size_t k = 0; k < n && buf_append_char(&b, (char)in) == ERR_OK; k++)
                in++;
        } else {
            n = min_size(n, b.len);
            for (size_t k = 0; k < n; k++)
                assert_int_equal((uint8_t)buf_ptr(&b)[k], out++);
            buf_consume(&b, n);
        }
        assert_true(b.len <= 300 && b.cap <= 300);
    }
    buf_done(&b);
}

static void an_empty_buf_gives_its_memory_back_when_told(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(buf_append_char(&b, 'x'), ERR_OK);
    buf_shrink(&b);
    assert_non_null(b.mem); // not empty
    buf_consume(&b, 1);
    buf_shrink(&b);
    assert_null(b.mem);
    assert_int_equal(buf_append_char(&b, 'y'), ERR_OK);
    buf_done(&b);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_there),
        cmocka_unit_test(the_limit_is_exact_and_refusing_changes_nothing),
        cmocka_unit_test(a_huge_size_is_refused_without_overflow),
        cmocka_unit_test(a_refused_allocation_is_an_error_and_loses_nothing),
        cmocka_unit_test(memory_stays_near_the_limit),
        cmocka_unit_test(reserving_may_commit_less),
        cmocka_unit_test(a_long_format_fits_too),
        cmocka_unit_test(a_random_queue_keeps_order),
        cmocka_unit_test(an_empty_buf_gives_its_memory_back_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
