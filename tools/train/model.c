#include "model.h"
#include "matmul.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer_work {
    float *in, *norm1, *mean1, *rstd1, *qkv, *att, *mix, *mid, *norm2, *mean2, *rstd2, *up, *act;
};

struct work {
    const struct layout *layout;
    size_t tokens_max;
    struct layer_work *layer;
    float *out, *norm, *mean, *rstd, *logits;             // forward
    float *d_x, *d_wide, *d_qkv, *d_norm, *d_att, *d_mix; // backward
};

struct pass { // what every step of one forward and backward pass needs
    struct work *w;
    const struct layout *l;
    float *params; // only read; not const so that layout_at serves parameters and gradients alike
    float *grad;
    const struct pack *pack;
    size_t n, c;
};

void *alloc_or_die(size_t count, size_t size)
{
    size_t bytes = 0;
    void *p = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || posix_memalign(&p, 64, bytes ? bytes : 1)) {
        fprintf(stderr, "out of memory for %zu x %zu bytes\n", count, size);
        exit(1);
    }
    memset(p, 0, bytes);
    return p;
}

static float *floats(size_t n)
{
    return alloc_or_die(n, sizeof(float));
}

uint32_t rng_u32(uint64_t *rng) // xorshift64*, Vigna 2016
{
    uint64_t x = *rng;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *rng = x;
    return (uint32_t)((x * 2685821657736338717ULL) >> 32);
}

static float rng_normal(uint64_t *rng)
{
    double u = (rng_u32(rng) + 1.0) / 4294967297.0;
    double v = rng_u32(rng) / 4294967296.0;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

void layout_init(struct layout *l, struct shape s)
{
    size_t c = s.width, cl = s.width * s.layers, sq = c * cl;
    size_t length[PARTS] = {
        [PART_TOKEN] = s.vocab * c, [PART_POSITION] = s.ctx * c, [PART_NORM1_W] = cl,
        [PART_NORM1_B] = cl,        [PART_QKV_W] = 3 * sq,       [PART_QKV_B] = 3 * cl,
        [PART_OUT_W] = sq,          [PART_OUT_B] = cl,           [PART_NORM2_W] = cl,
        [PART_NORM2_B] = cl,        [PART_UP_W] = 4 * sq,        [PART_UP_B] = 4 * cl,
        [PART_DOWN_W] = 4 * sq,     [PART_DOWN_B] = cl,          [PART_NORM_W] = c,
        [PART_NORM_B] = c,
    };
    l->shape = s;
    l->total = 0;
    for (int i = 0; i < PARTS; i++) {
        l->offset[i] = l->total;
        l->length[i] = length[i];
        l->total += length[i];
    }
}

float *layout_at(const struct layout *l, float *params, enum part part, size_t layer)
{
    return params + l->offset[part] + layer * (l->length[part] / l->shape.layers);
}

static float spread(const struct layout *l, enum part part)
{
    switch (part) {
    case PART_TOKEN:
    case PART_QKV_W:
    case PART_UP_W:
        return 0.02f;
    case PART_POSITION:
        return 0.01f;
    case PART_OUT_W:
    case PART_DOWN_W: // GPT-2: residual branches start smaller by the root of their number
        return 0.02f / sqrtf(2.0f * (float)l->shape.layers);
    default:
        return 0;
    }
}

void model_random(const struct layout *l, float *params, uint64_t *rng)
{
    for (int part = 0; part < PARTS; part++) {
        float *p = params + l->offset[part];
        float sd = spread(l, (enum part)part);
        float flat = part == PART_NORM1_W || part == PART_NORM2_W || part == PART_NORM_W ? 1 : 0;
        for (size_t i = 0; i < l->length[part]; i++)
            p[i] = sd > 0 ? sd * rng_normal(rng) : flat;
    }
}

struct work *work_new(const struct layout *l, size_t n)
{
    struct work *w = alloc_or_die(1, sizeof *w);
    size_t c = l->shape.width, ctx = l->shape.ctx;
    w->layout = l;
    w->tokens_max = n;
    w->layer = alloc_or_die(l->shape.layers, sizeof *w->layer);
    for (size_t i = 0; i < l->shape.layers; i++)
        w->layer[i] = (struct layer_work){
            .in = floats(n * c),
            .norm1 = floats(n * c),
            .mean1 = floats(n),
            .rstd1 = floats(n),
            .qkv = floats(n * 3 * c),
            .att =
                floats(l->shape.heads * n * ctx), // a document's square is at most its tokens x ctx
            .mix = floats(n * c),
            .mid = floats(n * c),
            .norm2 = floats(n * c),
            .mean2 = floats(n),
            .rstd2 = floats(n),
            .up = floats(n * 4 * c),
            .act = floats(n * 4 * c),
        };
    w->out = floats(n * c);
    w->norm = floats(n * c);
    w->mean = floats(n);
    w->rstd = floats(n);
    w->logits = floats(n * l->shape.vocab);
    w->d_x = floats(n * c);
    w->d_wide = floats(n * 4 * c);
    w->d_qkv = floats(n * 3 * c);
    w->d_norm = floats(n * c);
    w->d_att = floats(ctx * ctx);
    w->d_mix = floats(n * c);
    return w;
}

void work_free(struct work *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->layout->shape.layers; i++) {
        struct layer_work *y = &w->layer[i];
        float *all[] = {y->in,  y->norm1, y->mean1, y->rstd1, y->qkv, y->att, y->mix,
                        y->mid, y->norm2, y->mean2, y->rstd2, y->up,  y->act};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            free(all[k]);
    }
    float *all[] = {w->out,    w->norm,  w->mean,   w->rstd,  w->logits, w->d_x,
                    w->d_wide, w->d_qkv, w->d_norm, w->d_att, w->d_mix};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        free(all[k]);
    free(w->layer);
    free(w);
}

// out[n][rows] = in[n][cols] * weight[rows][cols]^T, plus out if add
static void linear(size_t n, size_t rows, size_t cols, const float *in, const float *weight,
                   int add, float *out)
{
    matmul(n, rows, cols, (struct factor){in, cols, 1}, (struct factor){weight, cols, 1}, add, out,
           rows);
}

// d_in[n][cols] = d_out[n][rows] * weight[rows][cols]
static void linear_d_in(size_t n, size_t rows, size_t cols, const float *d_out, const float *weight,
                        float *d_in)
{
    matmul(n, cols, rows, (struct factor){d_out, rows, 1}, (struct factor){weight, 1, cols}, 0,
           d_in, cols);
}

// d_weight[rows][cols] = d_out[n][rows]^T * in[n][cols]
static void linear_d_weight(size_t n, size_t rows, size_t cols, const float *d_out, const float *in,
                            float *d_weight)
{
    matmul(rows, cols, n, (struct factor){d_out, 1, rows}, (struct factor){in, 1, cols}, 0,
           d_weight, cols);
}

static void bias_add(float *restrict out, const float *restrict bias, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++)
            out[i * c + j] += bias[j];
}

static void bias_grad(float *restrict grad, const float *restrict d_out, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++)
            grad[j] += d_out[i * c + j];
}

static void norm_forward(float *out, float *mean, float *rstd, const float *in, const float *gain,
                         const float *bias, size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++) {
        const float *x = in + i * c;
        float *y = out + i * c;
        float m = 0, v = 0;
        for (size_t j = 0; j < c; j++)
            m += x[j];
        m /= (float)c;
        for (size_t j = 0; j < c; j++)
            v += (x[j] - m) * (x[j] - m);
        float r = 1 / sqrtf(v / (float)c + 1e-5f);
        for (size_t j = 0; j < c; j++)
            y[j] = (x[j] - m) * r * gain[j] + bias[j];
        mean[i] = m;
        rstd[i] = r;
    }
}

static void norm_backward(float *d_in, float *d_gain, float *d_bias, const float *d_out,
                          const float *in, const float *mean, const float *rstd, const float *gain,
                          size_t n, size_t c)
{
    for (size_t i = 0; i < n; i++) {
        const float *x = in + i * c, *d = d_out + i * c;
        float *y = d_in + i * c;
        float sum = 0, dot = 0, m = mean[i], r = rstd[i];
        for (size_t j = 0; j < c; j++) {
            float h = (x[j] - m) * r, g = d[j] * gain[j];
            sum += g;
            dot += g * h;
            d_bias[j] += d[j];
            d_gain[j] += d[j] * h;
        }
        sum /= (float)c;
        dot /= (float)c;
        for (size_t j = 0; j < c; j++)
            y[j] += (d[j] * gain[j] - sum - (x[j] - m) * r * dot) * r;
    }
}

// tanh-GELU (Hendrycks and Gimpel 2016), as GPT-2 has it
static inline float gelu_tanh(float x)
{
    float z = 0.7978845608f * (x + 0.044715f * x * x * x);
    z = z < -9 ? -9 : z > 9 ? 9 : z;
    float e = expf(2 * z);
    return (e - 1) / (e + 1);
}

static void gelu_forward(float *restrict out, const float *restrict in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = 0.5f * in[i] * (1 + gelu_tanh(in[i]));
}

static void gelu_backward(float *restrict d, const float *restrict in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = in[i], t = gelu_tanh(x);
        d[i] *=
            0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.7978845608f * (1 + 3 * 0.044715f * x * x);
    }
}

// Rows of att become the softmax of scale * row over the columns up to the row's own.
static void softmax_causal(float *att, size_t t, float scale)
{
    for (size_t i = 0; i < t; i++) {
        float *p = att + i * t, top = p[0], sum = 0;
        for (size_t j = 1; j <= i; j++)
            top = p[j] > top ? p[j] : top;
        for (size_t j = 0; j <= i; j++) {
            p[j] = expf(scale * (p[j] - top));
            sum += p[j];
        }
        sum = 1 / sum;
        for (size_t j = 0; j <= i; j++)
            p[j] *= sum;
        for (size_t j = i + 1; j < t; j++)
            p[j] = 0;
    }
}

static void softmax_causal_backward(float *d, const float *att, size_t t, float scale)
{
    for (size_t i = 0; i < t; i++) {
        const float *p = att + i * t;
        float *e = d + i * t, dot = 0;
        for (size_t j = 0; j <= i; j++)
            dot += p[j] * e[j];
        for (size_t j = 0; j <= i; j++)
            e[j] = p[j] * (e[j] - dot) * scale;
        for (size_t j = i + 1; j < t; j++)
            e[j] = 0;
    }
}

// One head of one document, t tokens: where its columns start in the activations, and its square of
// weights.
struct head {
    size_t t, size, width;
    size_t column; // of the head's first token in an array of the model's width
    float scale;
};

static void head_forward(const struct head *h, const float *qkv, float *att, float *mix)
{
    size_t t = h->t, wide = 3 * h->width;
    const float *q = qkv + 3 * h->column - 2 * (h->column % h->width);
    const float *k = q + h->width, *v = k + h->width;
    matmul(t, t, h->size, (struct factor){q, wide, 1}, (struct factor){k, wide, 1}, 0, att, t);
    softmax_causal(att, t, h->scale);
    matmul(t, h->size, t, (struct factor){att, t, 1}, (struct factor){v, 1, wide}, 0,
           mix + h->column, h->width);
}

static void head_backward(const struct head *h, const float *qkv, const float *att,
                          const float *d_mix, float *d_att, float *d_qkv)
{
    size_t t = h->t, wide = 3 * h->width, at = 3 * h->column - 2 * (h->column % h->width);
    const float *q = qkv + at, *k = q + h->width, *v = k + h->width, *dy = d_mix + h->column;
    float *dq = d_qkv + at, *dk = dq + h->width, *dv = dk + h->width;
    matmul(t, h->size, t, (struct factor){att, 1, t}, (struct factor){dy, 1, h->width}, 0, dv,
           wide);
    matmul(t, t, h->size, (struct factor){dy, h->width, 1}, (struct factor){v, wide, 1}, 0, d_att,
           t);
    softmax_causal_backward(d_att, att, t, h->scale);
    matmul(t, h->size, t, (struct factor){d_att, t, 1}, (struct factor){k, 1, wide}, 0, dq, wide);
    matmul(t, h->size, t, (struct factor){d_att, 1, t}, (struct factor){q, 1, wide}, 0, dk, wide);
}

static void attention(const struct pass *p, struct layer_work *y, int back)
{
    size_t heads = p->l->shape.heads, size = p->c / heads, at = 0;
    float *att = y->att;
    for (size_t d = 0; d < p->pack->docs; d++) {
        struct head h = {p->pack->doc_tokens[d], size, p->c, 0, 1 / sqrtf((float)size)};
        for (size_t i = 0; i < heads; i++, att += h.t * h.t) {
            h.column = at * p->c + i * size;
            if (back)
                head_backward(&h, y->qkv, att, p->w->d_mix, p->w->d_att, p->w->d_qkv);
            else
                head_forward(&h, y->qkv, att, y->mix);
        }
        at += h.t;
    }
}

static void embed(const struct pass *p, float *out)
{
    size_t at = 0;
    for (size_t d = 0; d < p->pack->docs; d++)
        for (size_t t = 0; t < p->pack->doc_tokens[d]; t++, at++) {
            const float *e = p->params + p->l->offset[PART_TOKEN] + p->pack->token[at] * p->c;
            const float *q = p->params + p->l->offset[PART_POSITION] + t * p->c;
            for (size_t j = 0; j < p->c; j++)
                out[at * p->c + j] = e[j] + q[j];
        }
}

static void embed_backward(const struct pass *p)
{
    size_t at = 0;
    for (size_t d = 0; d < p->pack->docs; d++)
        for (size_t t = 0; t < p->pack->doc_tokens[d]; t++, at++) {
            float *e = p->grad + p->l->offset[PART_TOKEN] + p->pack->token[at] * p->c;
            float *q = p->grad + p->l->offset[PART_POSITION] + t * p->c;
            const float *dx = p->w->d_x + at * p->c;
            for (size_t j = 0; j < p->c; j++) {
                e[j] += dx[j];
                q[j] += dx[j];
            }
        }
}

static void layer_forward(const struct pass *p, size_t i, float *out)
{
    struct layer_work *y = &p->w->layer[i];
    size_t n = p->n, c = p->c;
#define PARAM(part) layout_at(p->l, p->params, part, i)
#define GRAD(part)  layout_at(p->l, p->grad, part, i)
    norm_forward(y->norm1, y->mean1, y->rstd1, y->in, PARAM(PART_NORM1_W), PARAM(PART_NORM1_B), n,
                 c);
    linear(n, 3 * c, c, y->norm1, PARAM(PART_QKV_W), 0, y->qkv);
    bias_add(y->qkv, PARAM(PART_QKV_B), n, 3 * c);
    attention(p, y, 0);
    memcpy(y->mid, y->in, n * c * sizeof(float));
    linear(n, c, c, y->mix, PARAM(PART_OUT_W), 1, y->mid);
    bias_add(y->mid, PARAM(PART_OUT_B), n, c);
    norm_forward(y->norm2, y->mean2, y->rstd2, y->mid, PARAM(PART_NORM2_W), PARAM(PART_NORM2_B), n,
                 c);
    linear(n, 4 * c, c, y->norm2, PARAM(PART_UP_W), 0, y->up);
    bias_add(y->up, PARAM(PART_UP_B), n, 4 * c);
    gelu_forward(y->act, y->up, n * 4 * c);
    memcpy(out, y->mid, n * c * sizeof(float));
    linear(n, c, 4 * c, y->act, PARAM(PART_DOWN_W), 1, out);
    bias_add(out, PARAM(PART_DOWN_B), n, c);
}

static void layer_backward(const struct pass *p,
                           size_t i) // d_x: gradient of the output, then input
{
    struct work *w = p->w;
    struct layer_work *y = &w->layer[i];
    size_t n = p->n, c = p->c;
    bias_grad(GRAD(PART_DOWN_B), w->d_x, n, c);
    linear_d_in(n, c, 4 * c, w->d_x, PARAM(PART_DOWN_W), w->d_wide);
    linear_d_weight(n, c, 4 * c, w->d_x, y->act, GRAD(PART_DOWN_W));
    gelu_backward(w->d_wide, y->up, n * 4 * c);
    bias_grad(GRAD(PART_UP_B), w->d_wide, n, 4 * c);
    linear_d_in(n, 4 * c, c, w->d_wide, PARAM(PART_UP_W), w->d_norm);
    linear_d_weight(n, 4 * c, c, w->d_wide, y->norm2, GRAD(PART_UP_W));
    norm_backward(w->d_x, GRAD(PART_NORM2_W), GRAD(PART_NORM2_B), w->d_norm, y->mid, y->mean2,
                  y->rstd2, PARAM(PART_NORM2_W), n, c);
    bias_grad(GRAD(PART_OUT_B), w->d_x, n, c);
    linear_d_in(n, c, c, w->d_x, PARAM(PART_OUT_W), w->d_mix);
    linear_d_weight(n, c, c, w->d_x, y->mix, GRAD(PART_OUT_W));
    attention(p, y, 1);
    bias_grad(GRAD(PART_QKV_B), w->d_qkv, n, 3 * c);
    linear_d_in(n, 3 * c, c, w->d_qkv, PARAM(PART_QKV_W), w->d_norm);
    linear_d_weight(n, 3 * c, c, w->d_qkv, y->norm1, GRAD(PART_QKV_W));
    norm_backward(w->d_x, GRAD(PART_NORM1_W), GRAD(PART_NORM1_B), w->d_norm, y->in, y->mean1,
                  y->rstd1, PARAM(PART_NORM1_W), n, c);
}

// Turns logits into probabilities and, for the backward pass, those into gradients.
static double cross_entropy(const struct pass *p, float scale)
{
    size_t vocab = p->l->shape.vocab;
    double loss = 0;
    for (size_t i = 0; i < p->n; i++) {
        float *z = p->w->logits + i * vocab, top = z[0], sum = 0;
        for (size_t j = 1; j < vocab; j++)
            top = z[j] > top ? z[j] : top;
        float right = z[p->pack->target[i]] - top, weight = p->pack->weight[i];
        for (size_t j = 0; j < vocab; j++) {
            z[j] = expf(z[j] - top);
            sum += z[j];
        }
        loss -= (double)(weight * (right - logf(sum)));
        float each = (p->grad ? scale * weight : 1.0f) / sum;
        for (size_t j = 0; j < vocab; j++)
            z[j] *= each;
        if (p->grad)
            z[p->pack->target[i]] -= scale * weight;
    }
    return loss;
}

// Matrices are written whole by the products; what is summed up token by token must start from
// nothing.
static void clear_summed(const struct pass *p)
{
    static const enum part matrices[] = {PART_TOKEN, PART_QKV_W, PART_OUT_W, PART_UP_W,
                                         PART_DOWN_W};
    for (int part = 0; part < PARTS; part++) {
        int whole = 0;
        for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
            whole |= matrices[i] == (enum part)part;
        if (!whole)
            memset(p->grad + p->l->offset[part], 0, p->l->length[part] * sizeof(float));
    }
}

static void backward(const struct pass *p)
{
    struct work *w = p->w;
    size_t n = p->n, c = p->c, vocab = p->l->shape.vocab;
    clear_summed(p);
    memset(w->d_x, 0, n * c * sizeof(float));
    linear_d_in(n, vocab, c, w->logits, p->params + p->l->offset[PART_TOKEN], w->d_norm);
    linear_d_weight(n, vocab, c, w->logits, w->norm, p->grad + p->l->offset[PART_TOKEN]);
    norm_backward(w->d_x, p->grad + p->l->offset[PART_NORM_W], p->grad + p->l->offset[PART_NORM_B],
                  w->d_norm, w->out, w->mean, w->rstd, p->params + p->l->offset[PART_NORM_W], n, c);
    for (size_t i = p->l->shape.layers; i-- > 0;)
        layer_backward(p, i);
    embed_backward(p);
}

double model_loss(struct work *w, const float *params, const struct pack *pack, float *grad,
                  float scale)
{
    struct pass p = {
        .w = w,
        .l = w->layout,
        .params = (float *)(uintptr_t)params,
        .grad = grad,
        .pack = pack,
        .n = pack->tokens,
        .c = w->layout->shape.width,
    };
    size_t layers = p.l->shape.layers;
    embed(&p, w->layer[0].in);
    for (size_t i = 0; i < layers; i++)
        layer_forward(&p, i, i + 1 < layers ? w->layer[i + 1].in : w->out);
    norm_forward(w->norm, w->mean, w->rstd, w->out, p.params + p.l->offset[PART_NORM_W],
                 p.params + p.l->offset[PART_NORM_B], p.n, p.c);
    linear(p.n, p.l->shape.vocab, p.c, w->norm, p.params + p.l->offset[PART_TOKEN], 0, w->logits);
    double loss = cross_entropy(&p, scale);
    if (grad)
        backward(&p);
    return loss;
}

const float *model_probs(const struct work *w, size_t i)
{
    return w->logits + i * w->layout->shape.vocab;
}
