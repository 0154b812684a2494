// The quantisers that `weir model quantize` uses: what they write reads back near, nearer than the
// plain rounding of the test's own quantiser; Q8_0, Q4_0 and Q4_1 are the formats' customary bytes;
// what cannot be written is refused with its place. REQ: ENG-5 ENG-10
#include "engine/format/quantise.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/format/half.h"
#include "support/quantize.h"
#include "support/unit.h"

enum { N = 256 * 64 };

static float values[N];
static uint8_t bytes[N * 4];

// A bell of twelve uniform numbers, standard deviation 1; each block of 256 with its own size.
static void fill(uint64_t seed)
{
    struct random r;
    random_seed(&r, seed);
    for (size_t i = 0; i < N; i++) {
        double v = -6.0;
        for (int k = 0; k < 12; k++)
            v += random_unit(&r);
        values[i] = (float)(v * (i / 256 % 4 ? 0.02 : 1.0));
    }
}

// The root of the mean square of what is off, relative to each block's size.
static double error_of(enum tensor_type type)
{
    static float back[N];
    struct tensor t = {.type = type, .n_dims = 1, .dims = {N, 1, 1, 1}, .data = bytes};
    double sum = 0;
    assert_int_equal(tensor_row_f32(&t, 0, back), ERR_OK);
    for (size_t i = 0; i < N; i++) {
        double off = (double)(back[i] - values[i]) / (i / 256 % 4 ? 0.02 : 1.0);
        sum += off * off;
    }
    return sqrt(sum / N);
}

// `peer`: what llama.cpp's quantiser (b3f545becc) leaves on the same values.
static void searched_types_are_nearer_than_rounding_and_than_a_peer(void **state)
{
    (void)state;
    static const struct {
        enum tensor_type type;
        double within, peer;
    } cases[] = {
        {TENSOR_Q4_K, 0.0699, 0.0715},
        {TENSOR_Q5_K, 0.0345, 0.0361},
        {TENSOR_Q6_K, 0.0167, 0.0178},
    };
    fill(1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum tensor_type type = cases[i].type;
        assert_int_equal(quantise_row(type, values, N, bytes, NULL), ERR_OK);
        double ours = error_of(type);
        quantize_row(type, values, N, bytes);
        double plain = error_of(type);
        if (!(ours < plain) || !(ours < cases[i].peer) || ours > cases[i].within)
            fail_msg("%s: off by %.5f; %.5f by rounding, %.5f by a peer", tensor_type_name(type),
                     ours, plain, cases[i].peer);
    }
}

static void blocks_of_32_are_the_customary_bytes(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1};
    static uint8_t expected[N * 4];
    for (uint64_t seed = 2; seed < 6; seed++)
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            fill(seed);
            quantize_row(types[i], values, N, expected);
            assert_int_equal(quantise_row(types[i], values, N, bytes, NULL), ERR_OK);
            assert_memory_equal(bytes, expected, N / 32 * tensor_type_block_bytes(types[i]));
        }
}

static float of_bits(uint32_t bits)
{
    return half_bits_f32(bits);
}

static void halves_round_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000u; h++) {
        float f = half_from_f16((uint16_t)h);
        if (isfinite(f))
            assert_int_equal(quantise_to_f16(f), h);
        if (!isnan(half_from_bf16((uint16_t)h)))
            assert_int_equal(quantise_to_bf16(half_from_bf16((uint16_t)h)), h);
    }
    for (uint64_t bits = 0; bits < 1ull << 32; bits += 4093) { // every exponent, both signs
        float f = of_bits((uint32_t)bits);
        if (isnan(f))
            continue;
        assert_int_equal(quantise_to_f16(f), quantize_f16(f));
        assert_int_equal(quantise_to_bf16(f), quantize_bf16(f));
    }
}

static void blocks_of_one_value_and_of_none_are_exact(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                             TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};
    static const float cases[] = {0.0f, 1.0f, -1.0f, 0.25f, -0.0f};
    float back[256];
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
            for (size_t k = 0; k < 256; k++)
                values[k] = cases[c];
            assert_int_equal(quantise_row(types[i], values, 256, bytes, NULL), ERR_OK);
            struct tensor t = {
                .type = types[i], .n_dims = 1, .dims = {256, 1, 1, 1}, .data = bytes};
            assert_int_equal(tensor_row_f32(&t, 0, back), ERR_OK);
            for (size_t k = 0; k < 256; k++)
                assert_true(fabsf(back[k] - cases[c]) <= 2e-3f * fabsf(cases[c]));
        }
}

// Nothing that is finite and in range makes an infinite scale or a value that is none.
static void sizes_at_both_ends_stay_finite(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                             TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};
    float back[256];
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        for (int e = -149; e <= 16; e++) {
            fill(3);
            for (size_t k = 0; k < 256; k++)
                values[k] = ldexpf(fmodf(values[k], 0.99f), e);
            assert_int_equal(quantise_row(types[i], values, 256, bytes, NULL), ERR_OK);
            struct tensor t = {
                .type = types[i], .n_dims = 1, .dims = {256, 1, 1, 1}, .data = bytes};
            assert_int_equal(tensor_row_f32(&t, 0, back), ERR_OK);
            for (size_t k = 0; k < 256; k++) {
                float off = fabsf(back[k] - values[k]);
                if (!(off <= ldexpf(0.3f, e) + 0x1p-18f)) // f16 has no smaller scales
                    fail_msg("%s at 2^%d: %g for %g", tensor_type_name(types[i]), e,
                             (double)back[k], (double)values[k]);
            }
        }
}

static void what_cannot_be_written_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        enum tensor_type type;
        float value;
        enum err e;
    } cases[] = {
        {TENSOR_F32, NAN, ERR_INVALID},        {TENSOR_F16, INFINITY, ERR_INVALID},
        {TENSOR_F16, 65505.0f, ERR_LIMIT},     {TENSOR_F16, 65504.0f, ERR_OK},
        {TENSOR_BF16, -INFINITY, ERR_INVALID}, {TENSOR_BF16, 3.4e38f, ERR_LIMIT},
        {TENSOR_Q8_0, 1e7f, ERR_LIMIT},        {TENSOR_Q8_0, NAN, ERR_INVALID},
        {TENSOR_Q4_0, 5e5f, ERR_LIMIT},        {TENSOR_Q4_1, -1e5f, ERR_LIMIT},
        {TENSOR_Q4_K, 1e8f, ERR_LIMIT},        {TENSOR_Q6_K, NAN, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t at = 0;
        memset(values, 0, sizeof values);
        values[777] = cases[i].value;
        assert_int_equal(quantise_row(cases[i].type, values, N, bytes, &at), cases[i].e);
        assert_int_equal(at, cases[i].e == ERR_OK ? 0 : 777);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searched_types_are_nearer_than_rounding_and_than_a_peer),
        cmocka_unit_test(blocks_of_32_are_the_customary_bytes),
        cmocka_unit_test(halves_round_to_even),
        cmocka_unit_test(blocks_of_one_value_and_of_none_are_exact),
        cmocka_unit_test(sizes_at_both_ends_stay_finite),
        cmocka_unit_test(what_cannot_be_written_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
