// REQ: SEC-3
// An arena's ceiling holds whatever is asked of it; its memory is apart, aligned and freed at once.
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "support/unit.h"

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    unsigned char *pieces[500];
    for (size_t i = 0; i < 500; i++) {
        pieces[i] = arena_alloc(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i & 255);
    arena_done(&a);
}

static void the_ceiling_holds_and_what_fits_still_fits(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    assert_null(arena_alloc(&a, 1001));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_zalloc(&a, SIZE_MAX / 2, 3)); // the product overflows
    assert_non_null(arena_alloc(&a, 900));
    assert_null(arena_alloc(&a, 200));
    assert_non_null(arena_alloc(&a, 80));
    assert_true(a.used_bytes <= 1000);
    assert_null(arena_str(&a, STR("this text does not fit any more")).ptr);
    assert_null(arena_printf(&a, "%d%d%d", 123456789, 123456789, 123456789).ptr);
    arena_done(&a);
}

static void a_refused_allocation_is_null(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    mem_fail_after(1);
    assert_null(arena_alloc(&a, 10));
    assert_non_null(arena_alloc(&a, 10));
    mem_fail_after(1);
    assert_null(arena_alloc(&a, 100000));
    arena_done(&a);
}

static void texts_are_copied_and_terminated(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10000);
    str copy = arena_str(&a, STR("we\0ir"));
    assert_int_equal(copy.len, 5);
    assert_memory_equal(copy.ptr, "we\0ir", 6);
    str empty = arena_str(&a, STR_NONE);
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    assert_string_equal(arena_printf(&a, "%s-%d", "n", 5).ptr, "n-5");
    unsigned char *zeros = arena_zalloc(&a, 10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    arena_done(&a);
}

static void a_reset_arena_starts_again_and_keeps_one_small_chunk(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10 << 20);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_alloc(&a, 1000));
        assert_non_null(arena_alloc(&a, 1 << 20));
        arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
    assert_non_null(a.head);
    void *again = arena_alloc(&a, 100);
    assert_non_null(again);
    memset(again, 1, 100);
    arena_done(&a);
    arena_done(&a);
}

static void a_reset_arena_does_not_hoard_a_large_chunk(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10 << 20);
    assert_non_null(arena_alloc(&a, 1 << 20)); // the first chunk of all
    arena_reset(&a);
    assert_null(a.head);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(the_ceiling_holds_and_what_fits_still_fits),
        cmocka_unit_test(a_refused_allocation_is_null),
        cmocka_unit_test(texts_are_copied_and_terminated),
        cmocka_unit_test(a_reset_arena_starts_again_and_keeps_one_small_chunk),
        cmocka_unit_test(a_reset_arena_does_not_hoard_a_large_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
