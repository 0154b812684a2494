// Every storage type gives back what was put in, within what its bits can hold. The writer's tables
// are not the reader's, so a wrong layout on either side shows.
// REQ: ENG-5
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/format/half.h"
#include "engine/format/model_file.h"
#include "support/quantize.h"
#include "support/unit.h"

enum { N = 512 };

static void fill(float *out, uint64_t seed)
{
    struct random r;
    random_seed(&r, seed);
    for (size_t i = 0; i < N; i++)
        out[i] = (float)(random_unit(&r) * 2.0 - 1.0) * (i / 32 % 3 ? 0.25f : 1.0f);
}

static float worst_error(enum tensor_type type, const float *in)
{
    static uint8_t bytes[N * 4];
    float back[N], worst = 0.0f;
    quantize_row(type, in, N, bytes);
    struct tensor t = {.type = type, .n_dims = 1, .dims = {N, 1, 1, 1}, .data = bytes};
    assert_int_equal(tensor_row_f32(&t, 0, back), ERR_OK);
    for (size_t i = 0; i < N; i++)
        worst = fmaxf(worst, fabsf(back[i] - in[i]));
    return worst;
}

static void each_type_gives_its_values_back(void **state)
{
    (void)state;
    static const struct {
        enum tensor_type type;
        float within;
    } cases[] = {
        {TENSOR_F32, 0.0f},     {TENSOR_F16, 0x1p-11f}, {TENSOR_BF16, 0x1p-8f},
        {TENSOR_Q8_0, 0.0045f}, {TENSOR_Q4_0, 0.14f},   {TENSOR_Q4_1, 0.075f},
        {TENSOR_Q4_K, 0.09f},   {TENSOR_Q5_K, 0.05f},   {TENSOR_Q6_K, 0.05f},
    };
    float in[N];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        fill(in, seed);
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            float worst = worst_error(cases[i].type, in);
            if (worst > cases[i].within)
                fail_msg("%s: off by %g, %g allowed", tensor_type_name(cases[i].type),
                         (double)worst, (double)cases[i].within);
        }
    }
}

// Blocks written out by hand from the format's definition, not by our quantiser.
static void blocks_mean_what_the_format_says(void **state)
{
    (void)state;
    float out[256];
    uint8_t q8[34] = {0x00, 0x38, 0x80, 0x7f, 0xff}; // d = 0.5; −128, 127, −1, 0 …
    struct tensor t = {.type = TENSOR_Q8_0, .dims = {32, 1, 1, 1}, .data = q8};
    assert_int_equal(tensor_row_f32(&t, 0, out), ERR_OK);
    assert_true(out[0] == -64.0f && out[1] == 63.5f && out[2] == -0.5f && out[31] == 0.0f);

    uint8_t q4[18] = {0x00, 0xc0, 0xf0}; // d = −2; first byte: low 0, high 15
    t = (struct tensor){.type = TENSOR_Q4_0, .dims = {32, 1, 1, 1}, .data = q4};
    assert_int_equal(tensor_row_f32(&t, 0, out), ERR_OK);
    assert_true(out[0] == 16.0f && out[16] == -14.0f && out[1] == 16.0f);

    uint8_t q4k[144] = {0x00, 0x3c, 0x00, 0x40}; // d = 1, dmin = 2
    q4k[4] = 3;                                  // scale of group 0
    q4k[8] = 5;                                  // minimum of group 0
    q4k[4 + 8] = 0x21;                           // group 4: low nibbles scale 1, minimum 2 …
    q4k[4] |= 2 << 6;                            // … high bits of its scale: 1 + 2·16 = 33
    q4k[8] |= 1 << 6;                            // … and of its minimum: 2 + 16 = 18
    q4k[16] = 7;
    q4k[16 + 64] = 9;
    t = (struct tensor){.type = TENSOR_Q4_K, .dims = {256, 1, 1, 1}, .data = q4k};
    assert_int_equal(tensor_row_f32(&t, 0, out), ERR_OK);
    assert_true(out[0] == 7 * 3 - 2 * 5 && out[1] == -10.0f && out[32] == 0.0f);
    assert_true(out[128] == 9 * 33 - 2 * 18 && out[129] == -36.0f);

    uint8_t q6k[210] = {0};
    q6k[209] = 0x3c;      // d = 1
    q6k[192] = 2;         // scale of values 0–15
    q6k[192 + 14] = 0xff; // −1: values 224–239
    q6k[0] = 0x05;
    q6k[128] = 0x01;      // value 0: 5 + 16 − 32 = −11
    q6k[64 + 32] = 0x30;  // value 128 + 96: high nibble of ql[64 + 32]
    q6k[128 + 32] = 0xc0; // 3 + 48 − 32 = 19
    t = (struct tensor){.type = TENSOR_Q6_K, .dims = {256, 1, 1, 1}, .data = q6k};
    assert_int_equal(tensor_row_f32(&t, 0, out), ERR_OK);
    assert_true(out[0] == -22.0f && out[1] == -64.0f && out[224] == -19.0f && out[225] == 32.0f);
}

// All 65,536 patterns, against the arithmetic definition.
static void halves_widen_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
        float v = half_from_f16((uint16_t)h);
        if (exponent == 31) {
            assert_true(fraction ? isnan(v) : isinf(v));
            continue;
        }
        float want =
            ldexpf((float)(fraction + (exponent ? 1024 : 0)), (exponent ? exponent : 1) - 25);
        assert_true(v == (h & 0x8000 ? -want : want));
        assert_int_equal(signbit(v) != 0, h >> 15);
        assert_int_equal(quantize_f16(v), h);
    }
    for (uint32_t h = 0; h < 65536; h++) {
        uint32_t bits;
        float v = half_from_bf16((uint16_t)h);
        memcpy(&bits, &v, sizeof bits);
        assert_int_equal(bits, h << 16);
    }
}

static void rows_are_found_in_higher_dimensions(void **state)
{
    (void)state;
    uint8_t bytes[2 * 3 * 4 * 2 * 4];
    float row[2];
    for (size_t i = 0; i < sizeof bytes / 4; i++)
        quantize_row(TENSOR_F32, &(float){(float)i}, 1, bytes + 4 * i);
    struct tensor t = {.type = TENSOR_F32, .n_dims = 4, .dims = {2, 3, 4, 2}, .data = bytes};
    assert_int_equal(tensor_row_f32(&t, 23, row), ERR_OK);
    assert_true(row[0] == 46.0f && row[1] == 47.0f);
    assert_int_equal(tensor_row_f32(&t, 24, row), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_gives_its_values_back),
        cmocka_unit_test(blocks_mean_what_the_format_says),
        cmocka_unit_test(halves_widen_exactly),
        cmocka_unit_test(rows_are_found_in_higher_dimensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
