#include "engine/cuda/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/cuda/ops.h"
#include "engine/kernel/half.h"
#include "engine/kernel/rope.h"

#include "base/banned.h"

enum { SCRATCH_MAX = 32 };

// One run of the checks: what it works with, and what it holds until the check that uses it ends.
struct run {
    struct gpu *g;
    const struct kernel *cpu;
    struct random random;
    struct gpu_check *result;
    struct diag *d;
    void *here[SCRATCH_MAX], *there[SCRATCH_MAX];
    size_t n_here, n_there;
    char name[sizeof((struct gpu_check *)0)->first_different];
};

// --- Made numbers

static float made_number(struct random *r, bool nasty)
{
    static const uint32_t NASTY[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF,
                                     0x00800000, 0x7E000000, 0xFE000000, 0x33000000, 0x0D800000,
                                     0x38000000, 0x33800001, 0x477FEFFF, 0xC2B00000};
    if (nasty && random_below(r, 4) == 0) {
        float f;
        memcpy(&f, &NASTY[random_below(r, ARRAY_LEN(NASTY))], 4);
        return f;
    }
    return (float)((random_unit(r) + random_unit(r) - 1.0) * 3.0);
}

static void *here(struct run *r, size_t bytes)
{
    ASSERT(r->n_here < SCRATCH_MAX);
    void *p = mem_aligned(64, round_up(bytes, 64));
    memset(p, 0, round_up(bytes, 64));
    return r->here[r->n_here++] = p;
}

static float *made(struct run *r, size_t n, bool nasty)
{
    float *x = here(r, n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = made_number(&r->random, nasty);
    return x;
}

static enum err there(struct run *r, const void *from, size_t bytes, void *ret_pointer)
{
    ASSERT(r->n_there < SCRATCH_MAX);
    void *p;
    ERR_TRY(gpu_copy_of(r->g, from, bytes, &p, r->d));
    r->there[r->n_there++] = p;
    memcpy(ret_pointer, &p, sizeof p);
    return ERR_OK;
}

static void let_go(struct run *r)
{
    while (r->n_here > 0)
        mem_free(r->here[--r->n_here]);
    while (r->n_there > 0)
        gpu_free(r->g, r->there[--r->n_there]);
}

// --- Comparing

PRINTF_LIKE(2, 3) static void begin(struct run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->name, sizeof r->name, fmt, args);
    va_end(args);
}

static void note_difference(struct run *r, float want, float got)
{
    struct gpu_check *c = r->result;
    double apart = (double)want - (double)got;
    apart = apart < 0 ? -apart : apart;
    if (c->different++ == 0)
        memcpy(c->first_different, r->name, sizeof c->first_different);
    if (apart > c->largest && apart <= 3.5e38)
        c->largest = apart;
}

// Rows of n numbers; those that are not numbers are equal whatever their bits.
static enum err compare(struct run *r, const float *want, const float *there_at, size_t rows,
                        size_t n, size_t stride)
{
    float *got = here(r, rows * stride * sizeof *got);
    ERR_TRY(gpu_read(r->g, got, there_at, rows * stride * sizeof *got, r->d));
    for (size_t i = 0; i < rows * stride; i++)
        // The bits are compared on purpose: equal numbers would not do.
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        if (i % stride < n && memcmp(&want[i], &got[i], 4) != 0 &&
            !(want[i] != want[i] && got[i] != got[i]))
            note_difference(r, want[i], got[i]);
    r->result->checks++;
    r->result->values += rows * n;
    return ERR_OK;
}

// --- Functions of one value

static void function_here(struct run *r, enum gpu_function f, const float *x, float *y, size_t n)
{
    float *ones = here(r, n * sizeof *ones);
    memcpy(y, x, n * sizeof *y);
    for (size_t i = 0; i < n; i++) {
        ones[i] = 1.0f;
        if (f == GPU_HALF_ROUND)
            y[i] = half_to_float(half_from_float(x[i]));
    }
    if (f == GPU_EXP)
        r->cpu->exp(x, n, y);
    else if (f == GPU_GELU)
        r->cpu->gelu(y, n);
    else if (f == GPU_SILU)
        r->cpu->silu_mul(y, ones, n);
}

static enum err check_function(struct run *r, enum gpu_function f, const char *name)
{
    enum { N = 4096 };
    float *x = made(r, N, true), *want = here(r, N * sizeof *want);
    struct gpu_map_args a = {.n = N, .function = f};
    for (size_t i = 0; i < N; i += 2)
        x[i] *= 20.0f;
    for (size_t i = 0; i < N; i++) // exp is asked for no more
        x[i] = f == GPU_EXP && x[i] > 88.0f ? 88.0f : x[i];
    begin(r, "%s", name);
    function_here(r, f, x, want, N);
    ERR_TRY(there(r, x, N * sizeof *x, &a.x));
    ERR_TRY(there(r, x, N * sizeof *x, &a.y));
    ERR_TRY(gpu_map(r->g, &a, r->d));
    return compare(r, want, a.y, 1, N, N);
}

static enum err check_functions(struct run *r)
{
    static const char *const NAMES[] = {"exp", "gelu", "silu", "rounding to f16"};
    enum err e = ERR_OK;
    for (unsigned f = GPU_EXP; f <= GPU_HALF_ROUND && e == ERR_OK; f++) {
        e = check_function(r, (enum gpu_function)f, NAMES[f]);
        let_go(r);
    }
    return e;
}

// --- Rows

enum { ROWS = 3 };

static enum err check_norm(struct run *r, uint32_t n, bool layer)
{
    uint32_t stride = (uint32_t)round_up(n, LANES);
    float *x = made(r, (size_t)ROWS * stride, false), *w = made(r, stride, false);
    float *b = made(r, stride, false), *want = here(r, (size_t)ROWS * stride * sizeof *want);
    struct gpu_norm_args a = {.n = n, .x_stride = stride, .out_stride = stride, .eps = 1e-5f};
    begin(r, "%s norm of %u", layer ? "layer" : "RMS", n);
    for (size_t row = 0; row < ROWS; row++) {
        const float *from = x + row * stride;
        float *to = want + row * stride;
        if (layer)
            r->cpu->layer_norm(from, w, b, n, a.eps, to);
        else
            r->cpu->rms_norm(from, w, n, a.eps, to);
    }
    ERR_TRY(there(r, x, (size_t)ROWS * stride * sizeof *x, &a.x));
    ERR_TRY(there(r, w, stride * sizeof *w, &a.weight));
    if (layer)
        ERR_TRY(there(r, b, stride * sizeof *b, &a.bias));
    ERR_TRY(there(r, x, (size_t)ROWS * stride * sizeof *x, &a.out));
    ERR_TRY(gpu_norm(r->g, &a, ROWS, r->d));
    return compare(r, want, a.out, ROWS, n, stride);
}

static enum err check_quantise(struct run *r)
{
    enum { N = 160, BLOCKS = N / ACT_BLOCK };
    float *x = made(r, (size_t)ROWS * N, true);
    struct act_block *want = here(r, ROWS * BLOCKS * sizeof *want);
    struct gpu_quantise_args a = {.n = N, .x_stride = N, .out_stride = BLOCKS};
    x[3] = __builtin_inff(); // this block's products must not be finite
    begin(r, "quantising");
    for (size_t row = 0; row < ROWS; row++)
        r->cpu->quantise(x + row * N, N, want + row * BLOCKS);
    ERR_TRY(there(r, x, (size_t)ROWS * N * sizeof *x, &a.x));
    ERR_TRY(there(r, want, ROWS * BLOCKS * sizeof *want, &a.out));
    ERR_TRY(gpu_fill(r->g, a.out, 0x55, ROWS * BLOCKS * sizeof *want, r->d));
    ERR_TRY(gpu_quantise(r->g, &a, ROWS, r->d));
    return compare(r, (const float *)(const void *)want, (const float *)(const void *)a.out, 1,
                   ROWS * BLOCKS * sizeof *want / 4, ROWS * BLOCKS * sizeof *want / 4);
}

static enum err check_rows(struct run *r)
{
    static const uint32_t SIZES[] = {16, 20, 64, 100, 1000};
    enum err e = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(SIZES) * 2 && e == ERR_OK; i++) {
        e = check_norm(r, SIZES[i / 2], i % 2);
        let_go(r);
    }
    if (e == ERR_OK)
        e = check_quantise(r);
    let_go(r);
    return e;
}

// --- Products

// Where a block of the file keeps scales as f16, and how many: these must be ordinary numbers.
static void tame_scales(enum panel_kind kind, uint8_t *file, size_t bytes, struct random *random)
{
    static const struct {
        size_t block, at, n;
    } SCALES[PANEL_KINDS] = {
        [PANEL_F16] = {2, 0, 1},    [PANEL_BF16] = {2, 0, 1},     [PANEL_Q8_0] = {34, 0, 1},
        [PANEL_Q4_0] = {18, 0, 1},  [PANEL_Q4_1] = {20, 0, 2},    [PANEL_Q4_K] = {144, 0, 2},
        [PANEL_Q5_K] = {176, 0, 2}, [PANEL_Q6_K] = {210, 208, 1},
    };
    for (size_t b = 0; SCALES[kind].block && b < bytes; b += SCALES[kind].block)
        for (size_t i = 0; i < SCALES[kind].n; i++) {
            uint16_t h = (uint16_t)((kind == PANEL_BF16 ? 0x3E00 : 0x2C00) |
                                    random_below(random, 1u << 10) | random_below(random, 2) << 15);
            memcpy(file + b + SCALES[kind].at + 2 * i, &h, 2);
        }
}

static struct panels made_panels(struct run *r, enum panel_kind kind, uint32_t rows, uint32_t cols)
{
    struct panels p;
    size_t bytes = panel_kind_row_bytes(kind, cols) * rows;
    enum err e = panels_layout(kind, rows, cols, &p);
    ASSERT(e == ERR_OK);
    uint8_t *file = here(r, bytes);
    if (kind == PANEL_F32)
        memcpy(file, made(r, bytes / 4, true), bytes);
    for (size_t i = 0; kind != PANEL_F32 && i < bytes; i++)
        file[i] = (uint8_t)random_below(&r->random, 256);
    tame_scales(kind, file, bytes, &r->random);
    p.data = here(r, panels_bytes(&p));
    panels_pack(&p, file, false, 0, p.n_panels);
    return p;
}

struct product {
    enum panel_kind kind;
    uint32_t outputs, cols, rows;
    enum gpu_after after;
};

static void product_here(struct run *r, const struct panels *w, const struct product *p,
                         const struct matmul_in *in, const float *bias, const float *add,
                         float *want, size_t stride)
{
    float *out[128];
    for (size_t i = 0; i < p->rows; i++)
        out[i] = want + i * stride;
    r->cpu->matmul(w, 0, w->n_panels, in, p->rows, out);
    for (size_t i = 0; i < p->rows; i++) {
        r->cpu->add(out[i], bias, p->outputs);
        if (p->after == GPU_AFTER_GELU)
            r->cpu->gelu(out[i], p->outputs);
        else if (p->after == GPU_AFTER_ADD)
            r->cpu->add(out[i], add + i * stride, p->outputs);
    }
}

static enum err check_product(struct run *r, const struct product *p)
{
    static const char *const NAMES[PANEL_KINDS] = {"F32",  "F16",  "BF16", "Q8_0", "Q4_0",
                                                   "Q4_1", "Q4_K", "Q5_K", "Q6_K"};
    size_t in_stride = round_up(p->cols, LANES), stride = round_up(p->outputs, LANES);
    size_t blocks = p->cols / ACT_BLOCK, out_bytes = p->rows * stride * sizeof(float);
    struct panels w = made_panels(r, p->kind, p->outputs, p->cols), device = w;
    float *x = made(r, p->rows * in_stride, p->kind == PANEL_F32), *want = here(r, out_bytes);
    float *bias = made(r, stride, false), *add = made(r, p->rows * stride, false);
    struct act_block *act = here(r, (p->rows * blocks + 1) * sizeof *act);
    const struct matmul_in in = {x, in_stride, act, blocks};
    struct gpu_product_args a = {.rows = p->rows,
                                 .in_stride = (uint32_t)in_stride,
                                 .act_stride = (uint32_t)blocks,
                                 .out_stride = (uint32_t)stride,
                                 .add_stride = (uint32_t)stride,
                                 .after = p->after};
    begin(r, "%s %u x %u, %u rows", NAMES[p->kind], p->outputs, p->cols, p->rows);
    for (size_t i = 0; panel_kind_quantised(p->kind) && i < p->rows; i++)
        r->cpu->quantise(x + i * in_stride, p->cols, act + i * blocks);
    product_here(r, &w, p, &in, bias, add, want, stride);
    ERR_TRY(there(r, w.data, panels_bytes(&w), &device.data));
    ERR_TRY(there(r, x, p->rows * in_stride * sizeof *x, &a.in));
    ERR_TRY(there(r, act, (p->rows * blocks + 1) * sizeof *act, &a.act));
    ERR_TRY(there(r, bias, stride * sizeof *bias, &a.bias));
    ERR_TRY(there(r, add, out_bytes, &a.add));
    ERR_TRY(there(r, add, out_bytes, &a.out));
    ERR_TRY(gpu_product(r->g, &device, &a, r->d));
    return compare(r, want, p->after == GPU_AFTER_ADD ? a.add : a.out, p->rows, p->outputs, stride);
}

static enum err check_products(struct run *r)
{
    static const uint32_t MANY[] = {1, 5, 8, 13, 70};
    enum err e = ERR_OK;
    for (unsigned kind = 0; kind < PANEL_KINDS; kind++)
        for (size_t i = 0; i < ARRAY_LEN(MANY) && e == ERR_OK; i++) {
            bool plain = !panel_kind_quantised((enum panel_kind)kind);
            e = check_product(r, &(struct product){.kind = (enum panel_kind)kind,
                                                   .outputs = i % 2 ? 150 : 35,
                                                   .cols = !plain  ? 512
                                                           : i % 2 ? 37
                                                                   : 300,
                                                   .rows = MANY[i],
                                                   .after = (enum gpu_after)(i % 3)});
            let_go(r);
        }
    return e;
}

// --- K, V and attention

enum { HEADS = 4, HEADS_KV = 2, SEEN = 150, CACHE_BLOCKS = 16 };

struct attending {
    uint32_t dim, window;
    bool f16, norms, near;
};

// What both sides work with: 150 rows, the whole of one sequence.
struct sequence {
    size_t stride, k_bytes, v_bytes, block_bytes, half;
    uint32_t table[CACHE_BLOCKS], positions[SEEN], table_at[SEEN];
    float *qkv, *norm, *cosines, *sines;
};

static void make_sequence(struct run *r, const struct attending *at, struct sequence *s)
{
    double frequencies[256];
    size_t size = at->f16 ? 2 : 4;
    *s = (struct sequence){.half = at->dim / 4}; // half of a head turns
    s->stride = round_up((size_t)at->dim * (HEADS + 2 * HEADS_KV), LANES);
    s->k_bytes = round_up(at->dim * KV_POSITIONS * size, 64);
    s->v_bytes = round_up(round_up(at->dim, LANES) * KV_POSITIONS * size, 64);
    s->block_bytes = HEADS_KV * (s->k_bytes + s->v_bytes);
    s->qkv = made(r, SEEN * s->stride, false);
    s->norm = made(r, round_up(at->dim, LANES), false);
    s->cosines = here(r, SEEN * s->half * sizeof *s->cosines);
    s->sines = here(r, SEEN * s->half * sizeof *s->sines);
    rope_frequencies(10000.0, (uint32_t)s->half * 2, frequencies);
    for (uint32_t i = 0; i < SEEN; i++) {
        s->positions[i] = i;
        rope_angles(frequencies, (uint32_t)s->half * 2, 1.0, i, s->cosines + i * s->half,
                    s->sines + i * s->half);
    }
    for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
        s->table[i] = (i * 7 + 3) % CACHE_BLOCKS;
}

static void store_here(struct run *r, const struct attending *at, struct sequence *s, uint8_t *pool,
                       float *qkv)
{
    for (size_t row = 0; row < SEEN; row++)
        for (size_t head = 0; head < HEADS + HEADS_KV; head++) {
            float *x = qkv + row * s->stride + head * at->dim, out[KV_POSITIONS * 32];
            if (at->norms) {
                r->cpu->rms_norm(x, s->norm, at->dim, 1e-5f, out);
                memcpy(x, out, at->dim * sizeof *x);
            }
            rope_turn(x, (uint32_t)s->half * 2, at->near ? ROPE_PAIRS_NEAR : ROPE_PAIRS_FAR,
                      s->cosines + row * s->half, s->sines + row * s->half);
            if (head < HEADS)
                continue;
            uint8_t *k = pool + s->table[row / KV_POSITIONS] * s->block_bytes +
                         (head - HEADS) * (s->k_bytes + s->v_bytes);
            r->cpu->kv_store(k, k + s->k_bytes, row % KV_POSITIONS, x,
                             x + (size_t)HEADS_KV * at->dim, at->dim, at->f16 ? KV_F16 : KV_F32);
        }
}

static void attend_here(struct run *r, const struct attending *at, const struct sequence *s,
                        const uint8_t *pool, const float *qkv, float *out)
{
    float *scores = here(r, (round_up(SEEN, LANES) + LANES) * sizeof *scores);
    for (uint32_t row = 0; row < SEEN; row++)
        for (size_t head = 0; head < HEADS; head++) {
            size_t kv = head / (HEADS / HEADS_KV) * (s->k_bytes + s->v_bytes);
            struct attention a = {.pool = pool,
                                  .blocks = s->table,
                                  .block_bytes = s->block_bytes,
                                  .k_offset = kv,
                                  .v_offset = kv + s->k_bytes,
                                  .head_dim = at->dim,
                                  .kv_type = at->f16 ? KV_F16 : KV_F32,
                                  .scale = 0.25f,
                                  .n = 1};
            a.q[0] = qkv + row * s->stride + head * at->dim;
            a.out[0] = out + row * s->stride + head * at->dim;
            a.last[0] = row;
            a.first[0] = at->window && row >= at->window ? row - at->window + 1 : 0;
            r->cpu->attention(&a, scores);
        }
}

static enum err cache_there(struct run *r, const struct attending *at, struct sequence *s,
                            struct gpu_cache *ret)
{
    enum { CHUNKS = 4, BLOCKS_A_CHUNK = CACHE_BLOCKS / CHUNKS };
    struct gpu_cache c = {.block_bytes = s->block_bytes,
                          .blocks_a_chunk = BLOCKS_A_CHUNK,
                          .k_bytes = s->k_bytes,
                          .v_bytes = s->v_bytes,
                          .head_dim = at->dim,
                          .heads = HEADS,
                          .heads_kv = HEADS_KV,
                          .f16 = at->f16};
    uint8_t *empty = here(r, BLOCKS_A_CHUNK * s->block_bytes), *chunks[CHUNKS];
    for (size_t i = 0; i < CHUNKS; i++)
        ERR_TRY(there(r, empty, BLOCKS_A_CHUNK * s->block_bytes, &chunks[i]));
    ERR_TRY(there(r, chunks, sizeof chunks, &c.chunks));
    ERR_TRY(there(r, s->table, sizeof s->table, &c.tables));
    ERR_TRY(there(r, s->table_at, sizeof s->table_at, &c.table_at));
    ERR_TRY(there(r, s->positions, sizeof s->positions, &c.positions));
    *ret = c;
    return ERR_OK;
}

static enum err attend_there(struct run *r, const struct attending *at, struct sequence *s,
                             float **ret_qkv, float **ret_out)
{
    size_t rows_bytes = SEEN * s->stride * sizeof(float), angles = SEEN * s->half * sizeof(float);
    struct gpu_store_args st = {.k = (uint64_t)HEADS * at->dim,
                                .v = (uint64_t)(HEADS + HEADS_KV) * at->dim,
                                .qkv_stride = (uint32_t)s->stride,
                                .rope_dims = (uint32_t)s->half * 2,
                                .pairs_near = at->near,
                                .eps = 1e-5f};
    struct gpu_attention_args a = {.scores_stride = SEEN,
                                   .q_stride = (uint32_t)s->stride,
                                   .out_stride = (uint32_t)s->stride,
                                   .window = at->window,
                                   .scale = 0.25f};
    float *scores = here(r, (size_t)SEEN * HEADS * SEEN * sizeof *scores);
    ERR_TRY(cache_there(r, at, s, &st.cache));
    ERR_TRY(there(r, s->qkv, rows_bytes, &st.qkv));
    ERR_TRY(there(r, s->cosines, angles, &st.cosines));
    ERR_TRY(there(r, s->sines, angles, &st.sines));
    if (at->norms) {
        ERR_TRY(there(r, s->norm, at->dim * sizeof(float), &st.q_norm));
        st.k_norm = st.q_norm;
    }
    ERR_TRY(gpu_store_kv(r->g, &st, SEEN, r->d));
    a.cache = st.cache;
    a.q = st.qkv;
    ERR_TRY(there(r, s->qkv, rows_bytes, &a.out));
    ERR_TRY(there(r, scores, (size_t)SEEN * HEADS * SEEN * sizeof *scores, &a.scores));
    ERR_TRY(gpu_attention(r->g, &a, SEEN, r->d));
    *ret_qkv = st.qkv;
    *ret_out = a.out;
    return ERR_OK;
}

static enum err check_attention(struct run *r, const struct attending *at)
{
    struct sequence s;
    float *qkv_there, *out_there;
    make_sequence(r, at, &s);
    size_t bytes = SEEN * s.stride * sizeof(float);
    float *qkv = here(r, bytes), *out = here(r, bytes);
    uint8_t *pool = here(r, CACHE_BLOCKS * s.block_bytes);
    memcpy(qkv, s.qkv, bytes);
    store_here(r, at, &s, pool, qkv);
    attend_here(r, at, &s, pool, qkv, out);
    ERR_TRY(attend_there(r, at, &s, &qkv_there, &out_there));
    begin(r, "head norms and rotation, heads of %u", at->dim);
    ERR_TRY(compare(r, qkv, qkv_there, SEEN, (size_t)at->dim * HEADS, s.stride));
    begin(r, "attention, heads of %u, %s, window %u", at->dim, at->f16 ? "f16" : "f32", at->window);
    return compare(r, out, out_there, SEEN, (size_t)at->dim * HEADS, s.stride);
}

static enum err check_attentions(struct run *r)
{
    static const struct attending ALL[] = {
        {.dim = 64},
        {.dim = 64, .f16 = true, .near = true},
        {.dim = 20, .norms = true, .window = 40},
        {.dim = 128, .f16 = true, .norms = true, .window = 17},
    };
    enum err e = ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(ALL) && e == ERR_OK; i++) {
        e = check_attention(r, &ALL[i]);
        let_go(r);
    }
    return e;
}

enum err gpu_check(struct gpu *g, struct gpu_check *ret, struct diag *d)
{
    struct run r = {.g = g, .cpu = kernel_find(NULL), .result = ret, .d = d};
    *ret = (struct gpu_check){0};
    random_seed(&r.random, 12);
    enum err e = check_functions(&r);
    if (e == ERR_OK)
        e = check_rows(&r);
    if (e == ERR_OK)
        e = check_products(&r);
    if (e == ERR_OK)
        e = check_attentions(&r);
    let_go(&r);
    return e;
}
