// Rotary positions against the C library's functions.
// REQ: ENG-2 ENG-6
#include <math.h>
#include <stdint.h>

#include "base/base.h"
#include "engine/kernel/rope.h"
#include "support/unit.h"

static void frequencies_are_right(void **state)
{
    (void)state;
    static const double BASE[] = {1.0, 2.0, 10000.0, 100000.0, 500000.0, 1e6, 1e9};
    double f[128];
    for (size_t b = 0; b < ARRAY_LEN(BASE); b++)
        for (uint32_t dims = 2; dims <= 256; dims += 34) {
            rope_frequencies(BASE[b], dims, f);
            for (uint32_t i = 0; i < dims / 2; i++)
                assert_true(fabs(f[i] / pow(BASE[b], -2.0 * i / dims) - 1) < 1e-14);
        }
}

static void angles_are_right(void **state)
{
    (void)state;
    double f[32];
    float c[32], s[32];
    rope_frequencies(10000.0, 64, f);
    for (uint32_t position = 0; position < 2000000; position = position * 5 / 4 + 1) {
        rope_angles(f, 64, 1.0, position, c, s);
        for (int i = 0; i < 32; i++) {
            assert_true(fabs((double)c[i] - cos(position * f[i])) < 1e-7);
            assert_true(fabs((double)s[i] - sin(position * f[i])) < 1e-7);
        }
    }
}

static void llama3_scaling_is_the_reference_s(void **state)
{
    (void)state;
    double f[64], g[64];
    rope_frequencies(500000.0, 128, f);
    rope_frequencies(500000.0, 128, g);
    rope_scale_llama3(g, 128, 8.0, 1.0, 4.0, 8192.0);
    for (int i = 0; i < 64; i++) { // as transformers' _compute_llama3_parameters writes it
        double wavelength = 2 * 3.14159265358979323846 / f[i], want = f[i];
        if (wavelength > 8192.0 / 1.0)
            want = f[i] / 8.0;
        else if (wavelength > 8192.0 / 4.0) {
            double smooth = (8192.0 / wavelength - 1.0) / (4.0 - 1.0);
            want = (1 - smooth) * f[i] / 8.0 + smooth * f[i];
        }
        assert_true(fabs(g[i] / want - 1) < 1e-7); // divisors are f32
    }
}

static void yarn_scaling_is_the_paper_s(void **state)
{
    (void)state;
    static const struct rope_yarn Y[] = {{10000.0, 8.0, 32.0, 1.0, 2048.0, true},
                                         {1e6, 4.0, 32.0, 1.0, 32768.0, true},
                                         {10000.0, 4.0, 8.0, 0.5, 4096.0, false},
                                         {10000.0, 2.0, 3.0, 3.0, 64.0, true}};
    const double pi = 3.14159265358979323846;
    for (size_t y = 0; y < ARRAY_LEN(Y); y++) {
        double f[64], g[64], end[2];
        rope_frequencies(Y[y].base, 128, f);
        rope_frequencies(Y[y].base, 128, g);
        rope_scale_yarn(g, 128, &Y[y]);
        for (int i = 0; i < 2; i++) { // as transformers' _compute_yarn_parameters writes it
            double turns = i ? Y[y].slow : Y[y].fast;
            end[i] = 128 * log(Y[y].original_context / (turns * 2 * pi)) / (2 * log(Y[y].base));
            end[i] = !Y[y].whole ? end[i] : i ? ceil(end[i]) : floor(end[i]);
            end[i] = fmin(fmax(end[i], 0), 127);
        }
        for (int i = 0; i < 64; i++) {
            double gap = end[0] == end[1] ? 0.001 : end[1] - end[0];
            double kept = 1 - fmin(fmax((i - end[0]) / gap, 0), 1);
            double want = f[i] / Y[y].factor * (1 - kept) + f[i] * kept;
            assert_true(fabs(g[i] / want - 1) < 1e-12);
        }
    }
    assert_true(fabs(rope_yarn_attention(8.0, 1.0) - (0.1 * log(8.0) + 1)) < 1e-14);
    assert_true(fabs(rope_yarn_attention(40.0, 0.7) - (0.07 * log(40.0) + 1)) < 1e-14);
    assert_true(rope_yarn_attention(0.5, 1.0) == 1.0);
}

// The factor is applied before the one rounding, and 1 changes nothing.
static void angles_are_scaled_before_they_are_rounded(void **state)
{
    (void)state;
    double f[32];
    float c[32], s[32];
    rope_frequencies(10000.0, 64, f);
    rope_angles(f, 64, 1.25, 77, c, s);
    for (int i = 0; i < 32; i++) {
        assert_true(fabs((double)c[i] - 1.25 * cos(77 * f[i])) < 1e-7);
        assert_true(fabs((double)s[i] - 1.25 * sin(77 * f[i])) < 1e-7);
    }
}

static void heads_are_turned_in_pairs(void **state)
{
    (void)state;
    float near[6] = {1, 0, 0, 1, 7, 8}, far[6] = {1, 0, 0, 1, 7, 8};
    float c[2] = {0, 0.6f}, s[2] = {1, 0.8f};
    rope_turn(near, 4, ROPE_PAIRS_NEAR, c, s);
    assert_true(near[0] == 0 && near[1] == 1 && near[2] == -0.8f && near[3] == 0.6f);
    rope_turn(far, 4, ROPE_PAIRS_FAR, c, s);
    assert_true(far[0] == 0 && far[2] == 1 && far[1] == -0.8f && far[3] == 0.6f);
    assert_true(near[4] == 7 && far[5] == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_are_right),
        cmocka_unit_test(angles_are_right),
        cmocka_unit_test(llama3_scaling_is_the_reference_s),
        cmocka_unit_test(yarn_scaling_is_the_paper_s),
        cmocka_unit_test(angles_are_scaled_before_they_are_rounded),
        cmocka_unit_test(heads_are_turned_in_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
