// Attention over paged blocks: right against double precision; the same bits on every backend,
// alone or with other queries, wherever the blocks lie and whatever unused slots hold.
// REQ: ENG-3 ENG-6
#include <math.h>

#include "base/mem.h"
#include "engine/kernel/fpmode.h"
#include "engine/kernel/kernel.h"
#include "support/unit.h"
#include "unit/engine_kernel/made.h"

#define POSITIONS 203
#define BLOCKS    ((POSITIONS + KV_POSITIONS - 1) / KV_POSITIONS)
#define DIM_MAX   136

struct cache {
    uint32_t dim;
    enum kv_type type;
    float k[POSITIONS][DIM_MAX], v[POSITIONS][DIM_MAX], q[ATTENTION_MAX][DIM_MAX];
    uint8_t *pool;
    uint32_t blocks[BLOCKS];
    size_t k_bytes, block_bytes;
};

static struct cache *make_cache(const struct kernel *kernel, uint32_t dim, enum kv_type type,
                                bool backwards)
{
    struct cache *c = mem_new(struct cache);
    struct random r;
    random_seed(&r, 77);
    c->dim = dim;
    c->type = type;
    c->k_bytes = kv_k_bytes(type, dim);
    c->block_bytes = round_up(c->k_bytes + kv_v_bytes(type, dim), 64);
    c->pool = mem_aligned(64, c->block_bytes * BLOCKS);
    memset(c->pool, 0xFF, c->block_bytes * BLOCKS); // not-a-number in every unused slot
    made_floats(&r, false, &c->q[0][0], ATTENTION_MAX * DIM_MAX);
    for (uint32_t p = 0; p < POSITIONS; p++) {
        made_floats(&r, false, c->k[p], dim);
        made_floats(&r, false, c->v[p], dim);
        uint32_t block = p / KV_POSITIONS;
        c->blocks[block] = backwards ? BLOCKS - 1 - block : block;
        uint8_t *at = c->pool + c->blocks[block] * c->block_bytes;
        kernel->kv_store(at, at + c->k_bytes, p % KV_POSITIONS, c->k[p], c->v[p], dim, type);
    }
    return c;
}

static void free_cache(struct cache *c)
{
    mem_free(c->pool);
    mem_free(c);
}

// n queries from q0, seeing [first[i], last[i]]; results to out[i].
static void attend(const struct kernel *kernel, const struct cache *c, uint32_t q0, uint32_t n,
                   const uint32_t *first, const uint32_t *last, float out[][DIM_MAX])
{
    float *scores = mem_aligned(64, ATTENTION_MAX * BLOCKS * LANES * sizeof *scores);
    struct attention a = {.pool = c->pool,
                          .blocks = c->blocks,
                          .block_bytes = c->block_bytes,
                          .v_offset = c->k_bytes,
                          .head_dim = c->dim,
                          .kv_type = c->type,
                          .scale = 1.0f / sqrtf((float)c->dim),
                          .n = n};
    for (uint32_t i = 0; i < n; i++) {
        a.q[i] = c->q[q0 + i];
        a.out[i] = out[i];
        a.first[i] = first[i];
        a.last[i] = last[i];
    }
    kernel->attention(&a, scores);
    mem_free(scores);
}

static void truth(const struct cache *c, uint32_t q, uint32_t first, uint32_t last, double *out)
{
    double p[POSITIONS], max = -INFINITY, sum = 0;
    for (uint32_t i = first; i <= last; i++) {
        p[i] = 0;
        for (uint32_t d = 0; d < c->dim; d++)
            p[i] += (double)c->q[q][d] * (double)c->k[i][d];
        p[i] /= sqrt(c->dim);
        max = fmax(max, p[i]);
    }
    for (uint32_t i = first; i <= last; i++)
        sum += p[i] = exp(p[i] - max);
    for (uint32_t d = 0; d < c->dim; d++) {
        out[d] = 0;
        for (uint32_t i = first; i <= last; i++)
            out[d] += p[i] / sum * (double)c->v[i][d];
    }
}

static const uint32_t DIMS[] = {8, 16, 24, 64, 80, 128, 136};

static void attention_is_right(void **state)
{
    (void)state;
    static const double within[] = {[KV_F32] = 3e-6, [KV_F16] = 2e-3, [KV_Q8] = 3e-2};
    static const uint32_t RANGE[][2] = {{0, 0}, {0, 15}, {0, 16}, {0, 202}, {17, 17}, {37, 150}};
    for (size_t d = 0; d < ARRAY_LEN(DIMS); d++)
        for (enum kv_type type = KV_F32; type <= KV_Q8; type++) {
            struct cache *c = make_cache(kernel_find(NULL), DIMS[d], type, false);
            for (size_t r = 0; r < ARRAY_LEN(RANGE); r++) {
                float out[1][DIM_MAX];
                double want[DIM_MAX];
                attend(kernel_find(NULL), c, 0, 1, &RANGE[r][0], &RANGE[r][1], out);
                truth(c, 0, RANGE[r][0], RANGE[r][1], want);
                for (uint32_t i = 0; i < c->dim; i++)
                    assert_true(fabs((double)out[0][i] - want[i]) < within[type]);
            }
            free_cache(c);
        }
}

// Eight queries of one sequence, as a chunk of prefill sees them; some with a window.
static void ranges(uint32_t from, uint32_t window, uint32_t *first, uint32_t *last)
{
    for (uint32_t i = 0; i < ATTENTION_MAX; i++) {
        last[i] = from + i;
        first[i] = window && last[i] >= window ? last[i] - window + 1 : 0;
    }
}

static void check_grouping(const struct kernel *kernel, const struct cache *c, uint32_t from,
                           uint32_t window, float want[][DIM_MAX])
{
    uint32_t first[ATTENTION_MAX], last[ATTENTION_MAX];
    ranges(from, window, first, last);
    for (uint32_t n = 1; n <= ATTENTION_MAX; n++)
        for (uint32_t q = 0; q + n <= ATTENTION_MAX; q += n) {
            float got[ATTENTION_MAX][DIM_MAX];
            attend(kernel, c, q, n, first + q, last + q, got);
            for (uint32_t i = 0; i < n; i++)
                if (!same_bits(got[i], want[q + i], c->dim))
                    fail_msg(
                        "%s: %u values a head, KV type %d, position %u among %u queries differs",
                        kernel->name, c->dim, (int)c->type, last[q + i], n);
        }
}

static void attention_is_the_same_bits_everywhere(void **state)
{
    (void)state;
    static const uint32_t FROM[] = {0, 12, 100, 195}, WINDOW[] = {0, 1, 3, 40};
    for (size_t d = 0; d < ARRAY_LEN(DIMS); d++)
        for (enum kv_type type = KV_F32; type <= KV_Q8; type++) {
            struct cache *c = make_cache(kernel_find("portable"), DIMS[d], type, false);
            for (size_t f = 0; f < ARRAY_LEN(FROM); f++) {
                uint32_t first[ATTENTION_MAX], last[ATTENTION_MAX], window = WINDOW[(f + d) % 4];
                float want[ATTENTION_MAX][DIM_MAX];
                ranges(FROM[f], window, first, last);
                for (uint32_t q = 0; q < ATTENTION_MAX; q++)
                    attend(kernel_find("portable"), c, q, 1, first + q, last + q, want + q);
                for (size_t k = 0; kernel_at(k); k++) {
                    struct cache *other = make_cache(kernel_at(k), DIMS[d], type, true);
                    check_grouping(kernel_at(k), other, FROM[f], window, want);
                    free_cache(other);
                }
            }
            free_cache(c);
        }
}

static void a_key_that_overflows_is_not_hidden(void **state)
{
    (void)state;
    uint32_t first = 0, last = 40;
    for (size_t k = 0; kernel_at(k); k++) {
        struct cache *c = make_cache(kernel_at(k), 16, KV_F16, false);
        float out[1][DIM_MAX];
        c->k[20][3] = 1e6f;
        uint8_t *at = c->pool + c->blocks[1] * c->block_bytes;
        kernel_at(k)->kv_store(at, at + c->k_bytes, 4, c->k[20], c->v[20], 16, KV_F16);
        attend(kernel_at(k), c, 0, 1, &first, &last, out);
        assert_false(kernel_at(k)->all_finite(out[0], 16) && c->q[0][3] > 0);
        attend(kernel_at(k), c, 0, 1, &first, &(uint32_t){19}, out);
        assert_true(kernel_at(k)->all_finite(out[0], 16));
        free_cache(c);
    }
}

// In q8 every value is within half a step of its block's largest over 127, whatever its size; one
// that is no number is not hidden, and harms no other position.
static void eight_bits_keep_each_block_s_size(void **state)
{
    (void)state;
    static const float SIZES[] = {1e-38f, 1e-6f, 1.0f, 3e4f, 1e30f};
    for (size_t k = 0; kernel_at(k); k++)
        for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
            struct cache *c = make_cache(kernel_at(k), 80, KV_Q8, false);
            uint32_t zero = 0;
            float out[1][DIM_MAX], most = 0.0f;
            for (uint32_t j = 0; j < c->dim; j++) {
                c->v[0][j] *= SIZES[i];
                most = fmaxf(most, fabsf(c->v[0][j]));
            }
            uint8_t *at = c->pool + c->blocks[0] * c->block_bytes;
            kernel_at(k)->kv_store(at, at + c->k_bytes, 0, c->k[0], c->v[0], c->dim, KV_Q8);
            attend(kernel_at(k), c, 0, 1, &zero, &zero, out); // one position: its value
            for (uint32_t j = 0; j < c->dim; j++)
                assert_true(fabsf(out[0][j] - c->v[0][j]) <= most / 253.0f + 1e-36f);
            free_cache(c);
        }
}

static void a_value_that_is_none_is_not_hidden_in_eight_bits(void **state)
{
    (void)state;
    static const float BAD[] = {NAN, INFINITY, -INFINITY};
    uint32_t first = 0, last = 40, before = 19;
    for (size_t k = 0; kernel_at(k); k++)
        for (size_t i = 0; i < 2 * ARRAY_LEN(BAD); i++) {
            struct cache *c = make_cache(kernel_at(k), 16, KV_Q8, false);
            float out[1][DIM_MAX];
            (i % 2 ? c->k : c->v)[20][3] = BAD[i / 2];
            uint8_t *at = c->pool + c->blocks[1] * c->block_bytes;
            kernel_at(k)->kv_store(at, at + c->k_bytes, 4, c->k[20], c->v[20], 16, KV_Q8);
            attend(kernel_at(k), c, 0, 1, &first, &last, out);
            assert_false(kernel_at(k)->all_finite(out[0], 16));
            attend(kernel_at(k), c, 0, 1, &first, &before, out);
            assert_true(kernel_at(k)->all_finite(out[0], 16));
            free_cache(c);
        }
}

int main(void)
{
    fpmode_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_right),
        cmocka_unit_test(attention_is_the_same_bits_everywhere),
        cmocka_unit_test(a_key_that_overflows_is_not_hidden),
        cmocka_unit_test(eight_bits_keep_each_block_s_size),
        cmocka_unit_test(a_value_that_is_none_is_not_hidden_in_eight_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
