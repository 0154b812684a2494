// REQ: OBS-1
#include "support/unit.h"

#include "base/timed_id.h"

static void an_id_tells_its_moment_and_sorts_by_it(void **state)
{
    (void)state;
    char a[TIMED_ID_LEN], b[TIMED_ID_LEN], text[64];
    uint64_t ms = 0;
    timed_id_write(a, 0x19f0c3d4e5b, 0x123456789abcd);
    assert_memory_equal(a, "19f0c3d4e5b123456789abcd", TIMED_ID_LEN);
    timed_id_write(b, 0x19f0c3d4e5c, 0);
    assert_true(memcmp(a, b, TIMED_ID_LEN) < 0);
    memcpy(text, "req_", 4);
    memcpy(text + 4, b, TIMED_ID_LEN);
    assert_true(timed_id_read(str_slice(text, 4 + TIMED_ID_LEN), &ms));
    assert_int_equal(ms, 0x19f0c3d4e5c);
    timed_id_write(b, UINT64_MAX, UINT64_MAX);
    assert_memory_equal(b, "ffffffffffffffffffffffff", TIMED_ID_LEN);
}

static void what_a_client_made_up_tells_none(void **state)
{
    (void)state;
    uint64_t ms = 7;
    assert_false(timed_id_read(STR(""), &ms));
    assert_false(timed_id_read(STR("req-1"), &ms));
    assert_false(timed_id_read(STR("19f0c3d4e5b123456789abc"), &ms));
    assert_false(timed_id_read(STR("19f0c3d4e5b123456789abcG"), &ms));
    assert_false(timed_id_read(STR("19F0C3D4E5B123456789ABCD"), &ms));
    assert_int_equal(ms, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_tells_its_moment_and_sorts_by_it),
        cmocka_unit_test(what_a_client_made_up_tells_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
