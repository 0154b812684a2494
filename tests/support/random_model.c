#include "support/random_model.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/random.h"
#include "support/made_vocab.h"

#include "base/banned.h"

enum { VOCAB_ARENA_BYTES = 1 << 20, TENSORS_A_LAYER = 18 };

static const char chatml[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";

// What one tensor is filled with: mean + std · (nearly normal).
struct fill {
    uint64_t seed, index;
    uint64_t n;
    float mean, std;
};

struct generator {
    const struct random_model *m;
    struct gguf_write *w;
    struct fill *fills;
    size_t n_fills, cap;
};

void random_model_tiny(const char *arch, struct random_model *ret)
{
    bool gpt2 = strcmp(arch, "gpt2") == 0;
    *ret = (struct random_model){
        .arch = arch,
        .name = "tiny",
        .n_layer = 2,
        .n_embd = 64,
        .n_head = 4,
        .n_head_kv = gpt2 ? 4 : 2,
        .n_ff = gpt2 ? 256 : 192,
        .n_ctx = 256,
        .rope_base = 10000.0f,
        .type = TENSOR_F32,
        .tied_head = true,
        .seed = 1,
        .logit_std = 3.0f,
        .vocab_kind = gpt2 ? VOCAB_BPE : VOCAB_SPM,
        .chat_template = chatml,
    };
}

// The sum of four 16-bit uniforms, scaled to unit variance: close to normal, exact arithmetic, no
// libm, so the same on every machine.
static float nearly_normal(uint64_t bits)
{
    int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) +
                  (int32_t)(bits >> 32 & 0xffff) + (int32_t)(bits >> 48) - 2 * 65535;
    return (float)sum * (1.7320508f / 65536.0f);
}

static void fill_row(void *ctx, uint64_t row, float *out)
{
    const struct fill *f = ctx;
    struct random r;
    random_seed(&r, random_counter(f->seed, f->index, row));
    for (uint64_t i = 0; i < f->n; i++)
        out[i] = f->mean + f->std * nearly_normal(random_next(&r));
}

static void add(struct generator *g, const char *name, enum tensor_type type, uint32_t n_dims,
                const uint64_t *dims, float mean, float std)
{
    ASSERT(g->n_fills < g->cap); // the writer keeps their addresses
    struct fill *f = &g->fills[g->n_fills++];
    *f = (struct fill){g->m->seed, g->n_fills, dims[0], mean, std};
    gguf_write_tensor(g->w, name, type, n_dims, dims, fill_row, f);
}

static const char *layer_name(char out[static 64], uint32_t layer, const char *suffix)
{
    snprintf(out, 64, "blk.%u.%s", layer, suffix);
    return out;
}

static void matrix(struct generator *g, uint32_t layer, const char *part, uint64_t in, uint64_t out,
                   float gain)
{
    char suffix[48], name[64];
    snprintf(suffix, sizeof suffix, "%s.weight", part);
    add(g, layer_name(name, layer, suffix), g->m->type, 2, (const uint64_t[]){in, out}, 0.0f,
        gain / sqrtf((float)in));
}

static void vector(struct generator *g, uint32_t layer, const char *suffix, uint64_t n, float mean)
{
    char name[64];
    add(g, layer_name(name, layer, suffix), TENSOR_F32, 1, &n, mean, 0.02f);
}

static void gpt2_layer(struct generator *g, uint32_t layer, float residual)
{
    uint64_t n = g->m->n_embd, ff = g->m->n_ff;
    vector(g, layer, "attn_norm.weight", n, 1.0f);
    vector(g, layer, "attn_norm.bias", n, 0.0f);
    matrix(g, layer, "attn_qkv", n, 3 * n, 1.2f);
    vector(g, layer, "attn_qkv.bias", 3 * n, 0.0f);
    matrix(g, layer, "attn_output", n, n, residual);
    vector(g, layer, "attn_output.bias", n, 0.0f);
    vector(g, layer, "ffn_norm.weight", n, 1.0f);
    vector(g, layer, "ffn_norm.bias", n, 0.0f);
    matrix(g, layer, "ffn_up", n, ff, 1.0f);
    vector(g, layer, "ffn_up.bias", ff, 0.0f);
    matrix(g, layer, "ffn_down", ff, n, residual);
    vector(g, layer, "ffn_down.bias", n, 0.0f);
}

static void llama_layer(struct generator *g, uint32_t layer, float residual)
{
    const struct random_model *m = g->m;
    uint64_t n = m->n_embd, head = m->head_dim ? m->head_dim : m->n_embd / m->n_head;
    uint64_t q = head * m->n_head, kv = head * m->n_head_kv;
    vector(g, layer, "attn_norm.weight", n, 1.0f);
    matrix(g, layer, "attn_q", n, q, 1.2f);
    matrix(g, layer, "attn_k", n, kv, 1.2f);
    matrix(g, layer, "attn_v", n, kv, 1.0f);
    if (strcmp(m->arch, "qwen2") == 0) {
        vector(g, layer, "attn_q.bias", q, 0.0f);
        vector(g, layer, "attn_k.bias", kv, 0.0f);
        vector(g, layer, "attn_v.bias", kv, 0.0f);
    }
    if (strcmp(m->arch, "qwen3") == 0) {
        vector(g, layer, "attn_q_norm.weight", head, 1.2f);
        vector(g, layer, "attn_k_norm.weight", head, 1.2f);
    }
    matrix(g, layer, "attn_output", q, n, residual);
    vector(g, layer, "ffn_norm.weight", n, 1.0f);
    matrix(g, layer, "ffn_gate", n, m->n_ff, 1.2f);
    matrix(g, layer, "ffn_up", n, m->n_ff, 1.2f);
    matrix(g, layer, "ffn_down", m->n_ff, n, residual);
}

// Embeddings of 0.02 as GPT-2's; the last norm's gain lifts the logits, whose size is
// gain · √n_embd · 0.02, to the wanted one.
static void add_tensors(struct generator *g, uint32_t n_vocab)
{
    const struct random_model *m = g->m;
    bool gpt2 = strcmp(m->arch, "gpt2") == 0;
    uint64_t n = m->n_embd;
    float residual = 0.3f / sqrtf(2.0f * (float)m->n_layer), embedding = 0.02f;
    float gain = m->logit_std / (sqrtf((float)n) * embedding);
    add(g, "token_embd.weight", m->type, 2, (const uint64_t[]){n, n_vocab}, 0.0f, embedding);
    if (gpt2)
        add(g, "position_embd.weight", TENSOR_F32, 2, (const uint64_t[]){n, m->n_ctx}, 0.0f, 0.01f);
    for (uint32_t i = 0; i < m->n_layer; i++)
        gpt2 ? gpt2_layer(g, i, residual) : llama_layer(g, i, residual);
    add(g, "output_norm.weight", TENSOR_F32, 1, &n, gain, 0.02f);
    if (gpt2)
        add(g, "output_norm.bias", TENSOR_F32, 1, &n, 0.0f, 0.02f);
    if (!m->tied_head)
        add(g, "output.weight", m->type, 2, (const uint64_t[]){n, n_vocab}, 0.0f, embedding);
}

static void put_u32(struct generator *g, const char *suffix, uint32_t v)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", g->m->arch, suffix);
    gguf_write_u32(g->w, key, v);
}

static void put_f32(struct generator *g, const char *suffix, float v)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", g->m->arch, suffix);
    gguf_write_f32(g->w, key, v);
}

static void add_metadata(struct generator *g)
{
    const struct random_model *m = g->m;
    bool gpt2 = strcmp(m->arch, "gpt2") == 0;
    gguf_write_str(g->w, "general.architecture", str_of(m->arch));
    gguf_write_str(g->w, "general.name", str_of(m->name));
    put_u32(g, "block_count", m->n_layer);
    put_u32(g, "context_length", m->n_ctx);
    put_u32(g, "embedding_length", m->n_embd);
    put_u32(g, "feed_forward_length", m->n_ff);
    put_u32(g, "attention.head_count", m->n_head);
    put_f32(g, gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
    if (gpt2)
        return;
    put_u32(g, "attention.head_count_kv", m->n_head_kv);
    put_f32(g, "rope.freq_base", m->rope_base);
    if (m->head_dim) {
        put_u32(g, "attention.key_length", m->head_dim);
        put_u32(g, "attention.value_length", m->head_dim);
    }
}

bool random_model_to(const struct random_model *m, gguf_write_sink_fn sink, void *ctx)
{
    struct generator g = {.m = m, .w = gguf_write_new()};
    struct arena a;
    struct vocab v = {.kind = VOCAB_NONE, .n_tokens = m->n_vocab};
    arena_init(&a, VOCAB_ARENA_BYTES);
    if (m->vocab)
        v = *m->vocab;
    else if (m->vocab_kind != VOCAB_NONE)
        made_vocab(m->vocab_kind, &a, &v);
    if (m->chat_template)
        v.chat_template = str_of(m->chat_template);
    g.cap = (size_t)m->n_layer * TENSORS_A_LAYER + 5;
    g.fills = mem_array(g.cap, sizeof *g.fills);
    add_metadata(&g);
    made_vocab_write(&v, g.w);
    add_tensors(&g, v.n_tokens);
    bool good = gguf_write_to(g.w, sink, ctx);
    gguf_write_free(g.w);
    mem_free(g.fills);
    arena_done(&a);
    return good;
}

static bool to_buf(void *ctx, const void *data, size_t len)
{
    return buf_append(ctx, data, len) == ERR_OK;
}

void random_model_image(const struct random_model *m, struct buf *out)
{
    bool good = random_model_to(m, to_buf, out);
    ASSERT(good);
}
