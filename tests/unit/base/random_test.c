// REQ: ENG-6 ENG-7
// Random numbers: published vectors for the generators that replay depends on, fairness for the
// rest.
#include <string.h>

#include "base/random.h"
#include "support/unit.h"

// Random123's kat_vectors for philox4x32-10: the first two words of each result.
static void the_counter_generator_gives_philox_s_vectors(void **state)
{
    (void)state;
    assert_true(random_counter(0, 0, 0) == 0xe169c58d6627e8d5);
    assert_true(random_counter(UINT64_MAX, UINT64_MAX, UINT64_MAX) == 0x41c83b0e408f276d);
    assert_true(random_counter(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
                0x94fdccebd16cfe09);
}

static void seeds_spread_as_splitmix64_does(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 1234567);
    assert_true(r.s[0] == 6457827717110365317u);
    assert_true(r.s[1] == 3203168211198807973u);
    assert_true(r.s[2] == 9817491932198370423u);
    assert_true(r.s[3] == 4593380528125082431u);
}

static void the_stream_is_xoshiro256_star_star_s(void **state)
{
    (void)state;
    struct random r = {{1, 2, 3, 4}};
    const uint64_t want[] = {
        11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(random_next(&r) == want[i]);
}

static void bounded_numbers_are_even_and_within(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 1);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t v = random_below(&r, 7);
        assert_true(v < 7);
        counts[v]++;
    }
    for (int i = 0; i < 7; i++) // five standard deviations of a fair die are 463
        assert_in_range(counts[i], 10000 - 463, 10000 + 463);
    assert_int_equal(random_below(&r, 1), 0);
    assert_true(random_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void unit_numbers_are_in_the_half_open_interval(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 2);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        double v = random_unit(&r);
        assert_true(v >= 0 && v < 1);
        sum += v;
    }
    assert_true(sum / 100000 > 0.495 && sum / 100000 < 0.505);
}

static void ids_are_of_their_alphabet_and_differ(void **state)
{
    (void)state;
    char a[200], b[200];
    random_id(a, 199);
    random_id(b, 199);
    assert_int_equal(strlen(a), 199);
    assert_int_equal(strspn(a, "0123456789abcdefghijklmnopqrstuvwxyz"), 199);
    assert_string_not_equal(a, b);
    random_id(a, 0);
    assert_string_equal(a, "");
}

static void the_system_s_bytes_are_not_all_alike(void **state)
{
    (void)state;
    uint8_t bytes[4096] = {0};
    unsigned seen[256] = {0};
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        seen[bytes[i]]++;
    for (int i = 0; i < 256; i++)
        assert_true(seen[i] < 64); // 16 are expected
    random_bytes(bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_generator_gives_philox_s_vectors),
        cmocka_unit_test(seeds_spread_as_splitmix64_does),
        cmocka_unit_test(the_stream_is_xoshiro256_star_star_s),
        cmocka_unit_test(bounded_numbers_are_even_and_within),
        cmocka_unit_test(unit_numbers_are_in_the_half_open_interval),
        cmocka_unit_test(ids_are_of_their_alphabet_and_differ),
        cmocka_unit_test(the_system_s_bytes_are_not_all_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
