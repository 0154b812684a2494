// Matrix products of every weight type: the order of operations that kernel.h states, on every
// backend that this CPU runs, for any number of rows at once and any split of panels.
// REQ: ENG-5 ENG-6
#include <math.h>

#include "base/mem.h"
#include "engine/kernel/fpmode.h"
#include "engine/kernel/half.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/panel.h"
#include "support/quantize.h"
#include "support/unit.h"
#include "unit/engine_kernel/made.h"

#define ROWS_MAX  100
#define ROWS_READ 19 // by the slow rule in plain words

static const enum tensor_type TYPE[PANEL_KINDS] = {
    [PANEL_F32] = TENSOR_F32,   [PANEL_F16] = TENSOR_F16,   [PANEL_BF16] = TENSOR_BF16,
    [PANEL_Q8_0] = TENSOR_Q8_0, [PANEL_Q4_0] = TENSOR_Q4_0, [PANEL_Q4_1] = TENSOR_Q4_1,
    [PANEL_Q4_K] = TENSOR_Q4_K, [PANEL_Q5_K] = TENSOR_Q5_K, [PANEL_Q6_K] = TENSOR_Q6_K,
};

// A matrix in the file's layout and packed, with inputs.
struct made {
    struct panels w;
    uint8_t *file;
    float *x;
    struct act_block *q;
    struct matmul_in in;
};

static void make_inputs(struct made *t, uint32_t cols, struct random *r, bool nasty)
{
    size_t stride = round_up(cols, 32);
    t->x = mem_array(ROWS_MAX, stride * sizeof *t->x);
    t->q = mem_aligned(64, ROWS_MAX * (stride / 32) * sizeof *t->q);
    made_floats(r, nasty, t->x, ROWS_MAX * stride);
    if (panel_kind_quantised(t->w.kind))
        kernel_find("portable")->quantise(t->x, ROWS_MAX * stride, t->q);
    t->in = (struct matmul_in){t->x, stride, t->q, stride / 32};
}

static struct made make(enum panel_kind kind, uint32_t rows, uint32_t cols, bool nasty)
{
    struct made t = {0};
    struct random r;
    random_seed(&r, kind * 1000003u + rows * 1009u + cols);
    assert_int_equal(panels_layout(kind, rows, cols, &t.w), ERR_OK);
    size_t row_bytes = panel_kind_row_bytes(kind, cols);
    float *row = mem_array(cols, sizeof *row);
    t.file = mem_alloc(rows * row_bytes);
    for (uint32_t i = 0; i < rows; i++) {
        made_floats(&r, nasty && !panel_kind_quantised(kind), row, cols);
        quantize_row(TYPE[kind], row, cols, t.file + i * row_bytes);
    }
    mem_free(row);
    t.w.data = mem_aligned(64, panels_bytes(&t.w));
    panels_pack(&t.w, t.file, false, 0, t.w.n_panels);
    make_inputs(&t, cols, &r, nasty);
    return t;
}

static void unmake(struct made *t)
{
    mem_free(t->w.data);
    mem_free(t->file);
    mem_free(t->x);
    mem_free(t->q);
}

// m rows by kernel k, in pieces of `piece` panels; rows of 0xAA-filled memory, to see what was
// written.
static float *multiply(const struct kernel *k, const struct made *t, size_t row, size_t m,
                       size_t piece)
{
    size_t n = t->w.rows;
    float *out = mem_alloc((m * n + 1) * sizeof *out), *at[ROWS_MAX];
    memset(out, 0xAA, (m * n + 1) * sizeof *out);
    struct matmul_in in = t->in;
    in.x += row * in.x_stride;
    in.q += row * in.q_stride;
    for (size_t i = 0; i < m; i++)
        at[i] = out + i * n;
    for (size_t p = 0; p < t->w.n_panels; p += piece)
        k->matmul(&t->w, p, min_size(p + piece, t->w.n_panels), &in, m, at);
    uint32_t guard;
    memcpy(&guard, &out[m * n], 4);
    assert_int_equal(guard, 0xAAAAAAAA);
    return out;
}

// --- The rule of kernel.h in plain words, from the file's bytes. Only the types that a person can
// read at a glance; the others are tied to them by the tests of panels_row and of the backends.

static float plain_weight(const struct made *t, size_t row, size_t k)
{
    const uint8_t *p = t->file + row * panel_kind_row_bytes(t->w.kind, t->w.cols);
    float f;
    uint16_t h;
    memcpy(&f, p + (t->w.kind == PANEL_F32 ? k * 4 : 0), 4);
    memcpy(&h, p + k * 2 - (t->w.kind == PANEL_F32 ? k * 2 : 0), 2);
    return t->w.kind == PANEL_F32   ? f
           : t->w.kind == PANEL_F16 ? half_to_float(h)
                                    : bf16_to_float(h);
}

static float plain_product(const struct made *t, size_t m, size_t row)
{
    float acc = 0;
    for (size_t k = 0; k < t->w.cols; k++)
        acc = fmaf(plain_weight(t, row, k), t->x[m * t->in.x_stride + k], acc);
    return acc;
}

static float q_product(const struct made *t, size_t m, size_t row)
{
    float acc = 0;
    size_t bytes = t->w.kind == PANEL_Q8_0 ? 34 : t->w.kind == PANEL_Q4_0 ? 18 : 20;
    for (size_t b = 0; b < t->w.cols / 32; b++) {
        const uint8_t *p = t->file + (row * (t->w.cols / 32) + b) * bytes;
        const struct act_block *a = &t->q[m * t->in.q_stride + b];
        uint16_t half[2];
        int isum = 0, qsum = 0;
        memcpy(half, p, 4);
        for (int k = 0; k < 32; k++) {
            int w = t->w.kind == PANEL_Q8_0
                        ? (int8_t)p[2 + k]
                        : p[bytes - 16 + (size_t)k % 16] >> (k < 16 ? 0 : 4) & 15;
            isum += (t->w.kind == PANEL_Q4_0 ? w - 8 : w) * a->q[k];
            qsum += a->q[k];
        }
        acc = fmaf((float)isum, half_to_float(half[0]) * a->d, acc);
        if (t->w.kind == PANEL_Q4_1)
            acc = fmaf(half_to_float(half[1]), a->d * (float)qsum, acc);
    }
    return acc;
}

static void check_order(enum panel_kind kind, uint32_t rows, uint32_t cols, size_t m_max)
{
    struct made t = make(kind, rows, cols, false);
    for (size_t i = 0; kernel_at(i); i++) {
        float *out = multiply(kernel_at(i), &t, 0, m_max, 64);
        for (size_t m = 0; m < m_max; m++)
            for (size_t row = 0; row < t.w.rows; row++) {
                float want =
                    panel_kind_quantised(kind) ? q_product(&t, m, row) : plain_product(&t, m, row);
                assert_true(same_bits(&out[m * t.w.rows + row], &want, 1));
            }
        mem_free(out);
    }
    unmake(&t);
}

static void products_follow_the_stated_order(void **state)
{
    (void)state;
    for (enum panel_kind kind = PANEL_F32; kind <= PANEL_Q4_1; kind++)
        check_order(kind, 37, panel_kind_quantised(kind) ? 96 : 101, ROWS_READ);
    check_order(PANEL_F32, 69, 2051, 17); // more ks than are worked on at once
}

// --- The same bits from every backend, batch and split

// From `least` rows at once to `most`.
static void check_batches(enum panel_kind kind, uint32_t rows, uint32_t cols, bool nasty,
                          size_t least, size_t most)
{
    struct made t = make(kind, rows, cols, nasty);
    float *want = multiply(kernel_find("portable"), &t, 0, most, SIZE_MAX / 2);
    for (size_t i = 0; kernel_at(i); i++)
        for (size_t m = least; m <= most; m += m < 9 ? 1 : m < 19 ? 5 : 27) {
            size_t row = most - m, piece = m % 3 == 0 ? 1 : m % 3 == 1 ? 5 : 1000;
            float *out = multiply(kernel_at(i), &t, row, m, piece);
            if (!same_bits(out, want + row * rows, m * rows))
                fail_msg("%s: kind %d, %u x %u, %zu rows in pieces of %zu differ",
                         kernel_at(i)->name, (int)kind, rows, cols, m, piece);
            mem_free(out);
        }
    mem_free(want);
    unmake(&t);
}

static void check_shape(enum panel_kind kind, uint32_t rows, uint32_t cols, bool nasty)
{
    check_batches(kind, rows, cols, nasty, 1, ROWS_READ);
}

static void products_are_the_same_bits_everywhere(void **state)
{
    (void)state;
    for (enum panel_kind kind = 0; kind < PANEL_KINDS; kind++) {
        uint32_t block = panel_kind_block(kind);
        check_shape(kind, 1, block, false);
        check_shape(kind, 16, 3 * block, false);
        check_shape(kind, 230, 2 * block, false);
        check_shape(kind, 77, 5 * block, true);
    }
    for (enum panel_kind kind = PANEL_Q8_0; kind < PANEL_KINDS; kind++)
        check_batches(kind, 20, 1280, false, 46, ROWS_MAX); // more than is worked on together
    check_batches(PANEL_F32, 117, 1090, true, 7, ROWS_READ);
    check_shape(PANEL_F32, 211, 129, true);
    check_shape(PANEL_F16, 211, 129, true);
    check_shape(PANEL_BF16, 211, 129, true); // odd: half a pair is padding
}

static void every_half_is_widened_exactly(void **state)
{
    (void)state;
    uint32_t rows = 1 << 16;
    struct panels w;
    float one = 1.0f, *at[1];
    uint16_t *file = mem_array(rows, 2);
    for (uint32_t i = 0; i < rows; i++)
        file[i] = (uint16_t)i;
    assert_int_equal(panels_layout(PANEL_F16, rows, 1, &w), ERR_OK);
    w.data = mem_aligned(64, panels_bytes(&w));
    panels_pack(&w, (const uint8_t *)file, false, 0, w.n_panels);
    at[0] = mem_array(rows, sizeof(float));
    for (size_t k = 0; kernel_at(k); k++) {
        kernel_at(k)->matmul(&w, 0, w.n_panels, &(struct matmul_in){.x = &one}, 1, at);
        for (uint32_t i = 0; i < rows; i++) {
            float want = fmaf(half_to_float((uint16_t)i), 1.0f, 0.0f);
            assert_true(same_bits(&at[0][i], &want, 1));
        }
    }
    mem_free(at[0]);
    mem_free(w.data);
    mem_free(file);
}

static void a_transposed_file_packs_to_the_same_panels(void **state)
{
    (void)state;
    static const enum panel_kind KINDS[] = {PANEL_F32, PANEL_F16, PANEL_BF16};
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        struct made t = make(KINDS[i], 45, 33, true);
        size_t size = KINDS[i] == PANEL_F32 ? 4 : 2, bytes = panels_bytes(&t.w);
        uint8_t *turned = mem_alloc(45 * 33 * size), *straight = mem_alloc(bytes);
        for (size_t row = 0; row < 45; row++)
            for (size_t k = 0; k < 33; k++)
                memcpy(turned + (k * 45 + row) * size, t.file + (row * 33 + k) * size, size);
        memcpy(straight, t.w.data, bytes);
        memset(t.w.data, 0x55, bytes);
        panels_pack(&t.w, turned, true, 0, t.w.n_panels);
        assert_memory_equal(t.w.data, straight, bytes);
        mem_free(turned);
        mem_free(straight);
        unmake(&t);
    }
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    struct panels p;
    assert_int_equal(panels_layout(PANEL_Q8_0, 16, 33, &p), ERR_INVALID);
    assert_int_equal(panels_layout(PANEL_Q4_K, 16, 128, &p), ERR_INVALID);
    assert_int_equal(panels_layout(PANEL_F32, 0, 4, &p), ERR_INVALID);
    assert_int_equal(panels_layout(PANEL_F32, 4, 0, &p), ERR_INVALID);
    assert_int_equal(panels_layout(PANEL_F32, UINT32_MAX, UINT32_MAX, &p), ERR_LIMIT);
}

int main(void)
{
    fpmode_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_follow_the_stated_order),
        cmocka_unit_test(products_are_the_same_bits_everywhere),
        cmocka_unit_test(every_half_is_widened_exactly),
        cmocka_unit_test(a_transposed_file_packs_to_the_same_panels),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
