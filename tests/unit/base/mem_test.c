// REQ: SEC-3
// Sizes are checked before they are used; a refusal is injected where a test asks for it.
#include <string.h>

#include "base/mem.h"
#include "support/unit.h"

static void overflow_is_seen_and_leaves_the_result_alone(void **state)
{
    (void)state;
    size_t r = 7;
    assert_false(mem_mul(SIZE_MAX / 2 + 1, 2, &r));
    assert_false(mem_add(SIZE_MAX, 1, &r));
    assert_int_equal(r, 7);
    assert_true(mem_mul(1000, 1000, &r));
    assert_int_equal(r, 1000000);
    assert_true(mem_add(SIZE_MAX - 1, 1, &r));
    assert_true(r == SIZE_MAX);
}

static void memory_is_zeroed_where_it_is_said(void **state)
{
    (void)state;
    struct pair {
        uint64_t a, b;
    } *pair = mem_new(struct pair);
    assert_int_equal(pair->a | pair->b, 0);
    mem_free(pair);
    unsigned char *array = mem_array(100, 3);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(array[i], 0);
    mem_free(array);
}

static void nothing_is_a_size_too(void **state)
{
    (void)state;
    void *all[] = {mem_alloc(0),     mem_zalloc(0),      mem_array(0, 8),
                   mem_try_alloc(0), mem_aligned(64, 0), mem_resize(NULL, 0, 1)};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_non_null(all[i]);
        mem_free(all[i]);
    }
    mem_free(NULL);
}

static void alignment_is_kept(void **state)
{
    (void)state;
    for (size_t align = 8; align <= 4096; align *= 2) {
        void *p = mem_aligned(align, 100);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 1, 100);
        mem_free(p);
    }
}

static void resizing_keeps_what_was_there(void **state)
{
    (void)state;
    uint32_t *p = mem_resize(NULL, 4, sizeof *p);
    for (uint32_t i = 0; i < 4; i++)
        p[i] = i;
    p = mem_resize(p, 4096, sizeof *p);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(p[i], i);
    mem_free(p);
}

static void strings_are_copied_with_their_end(void **state)
{
    (void)state;
    char *a = mem_strdup("weir");
    char *b = mem_strndup("weir", 2);
    char *c = mem_strndup(NULL, 0);
    assert_string_equal(a, "weir");
    assert_string_equal(b, "we");
    assert_string_equal(c, "");
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void the_nth_try_fails_and_only_that_one(void **state)
{
    (void)state;
    mem_fail_after(2);
    void *first = mem_try_alloc(8);
    void *second = mem_try_alloc(8);
    void *third = mem_try_alloc(8);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    mem_fail_after(1);
    assert_null(mem_try_resize(first, 16));
    mem_fail_after(1);
    mem_fail_after(0);
    void *grown = mem_try_resize(first, 16);
    assert_non_null(grown);
    mem_free(grown);
    mem_free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_is_seen_and_leaves_the_result_alone),
        cmocka_unit_test(memory_is_zeroed_where_it_is_said),
        cmocka_unit_test(nothing_is_a_size_too),
        cmocka_unit_test(alignment_is_kept),
        cmocka_unit_test(resizing_keeps_what_was_there),
        cmocka_unit_test(strings_are_copied_with_their_end),
        cmocka_unit_test(the_nth_try_fails_and_only_that_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
