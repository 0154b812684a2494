// export CHECKPOINT VOCAB OUT.gguf: writes GGUF version 3, matrices as Q8_0, everything else as
// F32.
//
// Format: ggml's docs/gguf.md. The file depends on nothing but its two inputs: no dates, no paths.
#include "checkpoint.h"
#include "model.h"
#include "vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 32, BLOCK = 32, BLOCK_BYTES = 34, TENSORS_MAX = 1024 };
enum { TYPE_F32 = 0, TYPE_Q8_0 = 8 }; // ggml's tensor types
enum {
    KV_U32 = 4,
    KV_I32 = 5,
    KV_F32 = 6,
    KV_BOOL = 7,
    KV_STRING = 8,
    KV_ARRAY = 9
}; // gguf's value types
enum { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3 };

static const char chat_template[] =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

struct tensor {
    char name[64];
    const float *value;
    size_t cols, rows; // rows 0: a vector
    uint32_t type;
    uint64_t offset;
};

struct writer {
    FILE *f;
    uint64_t at;
    struct tensor tensor[TENSORS_MAX];
    size_t tensors;
    uint64_t data_bytes;
};

static void put(struct writer *w, const void *p, size_t n)
{
    if (fwrite(p, 1, n, w->f) != n) {
        perror("write");
        exit(1);
    }
    w->at += n;
}

static void put_u32(struct writer *w, uint32_t v)
{
    put(w, &v, sizeof v);
}

static void put_u64(struct writer *w, uint64_t v)
{
    put(w, &v, sizeof v);
}

static void put_bytes(struct writer *w, const void *p, size_t n)
{
    put_u64(w, n);
    put(w, p, n);
}

static void put_text(struct writer *w, const char *s)
{
    put_bytes(w, s, strlen(s));
}

static void pad(struct writer *w)
{
    static const char zero[ALIGNMENT];
    put(w, zero, (ALIGNMENT - w->at % ALIGNMENT) % ALIGNMENT);
}

static void kv_text(struct writer *w, const char *key, const char *value)
{
    put_text(w, key);
    put_u32(w, KV_STRING);
    put_text(w, value);
}

static void kv_u32(struct writer *w, const char *key, size_t value)
{
    put_text(w, key);
    put_u32(w, KV_U32);
    put_u32(w, (uint32_t)value);
}

static void kv_f32(struct writer *w, const char *key, float value)
{
    put_text(w, key);
    put_u32(w, KV_F32);
    put(w, &value, sizeof value);
}

static void kv_bool(struct writer *w, const char *key, uint8_t value)
{
    put_text(w, key);
    put_u32(w, KV_BOOL);
    put(w, &value, 1);
}

static void kv_array(struct writer *w, const char *key, uint32_t type, size_t count)
{
    put_text(w, key);
    put_u32(w, KV_ARRAY);
    put_u32(w, type);
    put_u64(w, count);
}

// GPT-2 writes each byte as a printable character: itself, or U+0100 upwards for the others. As
// UTF-8.
static size_t byte_text(uint8_t byte, char *out)
{
    uint16_t id = vocab_byte_id(byte);
    unsigned code = id < 188 ? byte : 256U + id - 188U; // 188 bytes are written as themselves
    if (code < 128) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

static size_t id_text(const struct vocab *v, uint16_t id, char *out, size_t max)
{
    uint8_t bytes[256];
    size_t n = vocab_bytes(v, id, bytes, sizeof bytes), length = 0;
    for (size_t i = 0; i < n && length + 2 <= max; i++)
        length += byte_text(bytes[i], out + length);
    return length;
}

static void put_tokens(struct writer *w, const struct vocab *v)
{
    char text[512], merge[1024];
    size_t plain = VOCAB_BYTES + v->merges, size = vocab_size(v);
    kv_array(w, "tokenizer.ggml.tokens", KV_STRING, size);
    for (size_t id = 0; id < plain; id++)
        put_bytes(w, text, id_text(v, (uint16_t)id, text, sizeof text));
    for (int s = 0; s < VOCAB_SPECIALS; s++)
        put_text(w, special_names[s]);
    kv_array(w, "tokenizer.ggml.token_type", KV_I32, size);
    for (size_t id = 0; id < size; id++)
        put_u32(w, id < plain ? TOKEN_NORMAL : TOKEN_CONTROL);
    kv_array(w, "tokenizer.ggml.merges", KV_STRING, v->merges);
    for (size_t i = 0; i < v->merges; i++) {
        size_t n = id_text(v, v->merge[i][0], merge, 500);
        merge[n++] = ' ';
        n += id_text(v, v->merge[i][1], merge + n, 500);
        put_bytes(w, merge, n);
    }
}

static size_t put_metadata(struct writer *w, const struct shape *s,
                           const struct vocab *v) // counts the keys
{
    kv_text(w, "general.architecture", "gpt2");
    kv_text(w, "general.name", "weir-tiny");
    kv_text(w, "general.license", "apache-2.0");
    kv_text(
        w, "general.description",
        "A very small chat model trained from scratch by the weir project: a demo and a fallback.");
    kv_u32(w, "general.alignment", ALIGNMENT);
    kv_u32(w, "general.file_type", 7); // mostly Q8_0
    kv_u32(w, "general.quantization_version", 2);
    kv_u32(w, "gpt2.context_length", s->ctx);
    kv_u32(w, "gpt2.embedding_length", s->width);
    kv_u32(w, "gpt2.block_count", s->layers);
    kv_u32(w, "gpt2.feed_forward_length", 4 * s->width);
    kv_u32(w, "gpt2.attention.head_count", s->heads);
    kv_f32(w, "gpt2.attention.layer_norm_epsilon", 1e-5f);
    kv_text(w, "tokenizer.ggml.model", "gpt2");
    kv_text(w, "tokenizer.ggml.pre", "gpt-2");
    put_tokens(w, v); // three keys
    kv_u32(w, "tokenizer.ggml.bos_token_id", vocab_special(v, SPECIAL_TEXT));
    kv_u32(w, "tokenizer.ggml.eos_token_id", vocab_special(v, SPECIAL_END));
    kv_bool(w, "tokenizer.ggml.add_bos_token", 0);
    kv_text(w, "tokenizer.chat_template", chat_template);
    return 22;
}

static size_t tensor_bytes(const struct tensor *t)
{
    size_t items = t->cols * (t->rows ? t->rows : 1);
    return t->type == TYPE_F32 ? items * sizeof(float) : items / BLOCK * BLOCK_BYTES;
}

static void tensor_add(struct writer *w, const char *name, const float *value, size_t cols,
                       size_t rows, uint32_t type)
{
    if (w->tensors == TENSORS_MAX)
        exit(1);
    struct tensor *t = &w->tensor[w->tensors++];
    *t = (struct tensor){.value = value, .cols = cols, .rows = rows, .type = type};
    snprintf(t->name, sizeof t->name, "%s", name);
    t->offset = w->data_bytes;
    w->data_bytes += (tensor_bytes(t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void layer_add(struct writer *w, struct checkpoint *c, size_t layer)
{
    size_t width = c->layout.shape.width;
    const struct row {
        const char *name;
        enum part part;
        size_t cols, rows;
    } rows[] = {
        {"attn_norm.weight", PART_NORM1_W, width, 0},
        {"attn_norm.bias", PART_NORM1_B, width, 0},
        {"attn_qkv.weight", PART_QKV_W, width, 3 * width},
        {"attn_qkv.bias", PART_QKV_B, 3 * width, 0},
        {"attn_output.weight", PART_OUT_W, width, width},
        {"attn_output.bias", PART_OUT_B, width, 0},
        {"ffn_norm.weight", PART_NORM2_W, width, 0},
        {"ffn_norm.bias", PART_NORM2_B, width, 0},
        {"ffn_up.weight", PART_UP_W, width, 4 * width},
        {"ffn_up.bias", PART_UP_B, 4 * width, 0},
        {"ffn_down.weight", PART_DOWN_W, 4 * width, width},
        {"ffn_down.bias", PART_DOWN_B, width, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%zu.%s", layer, rows[i].name);
        tensor_add(w, name, layout_at(&c->layout, c->params, rows[i].part, layer), rows[i].cols,
                   rows[i].rows, rows[i].rows ? TYPE_Q8_0 : TYPE_F32);
    }
}

static void tensors_add(struct writer *w, struct checkpoint *c)
{
    const struct layout *l = &c->layout;
    size_t width = l->shape.width;
    tensor_add(w, "token_embd.weight", c->params + l->offset[PART_TOKEN], width, l->shape.vocab,
               TYPE_Q8_0);
    tensor_add(w, "position_embd.weight", c->params + l->offset[PART_POSITION], width, l->shape.ctx,
               TYPE_F32);
    tensor_add(w, "output_norm.weight", c->params + l->offset[PART_NORM_W], width, 0, TYPE_F32);
    tensor_add(w, "output_norm.bias", c->params + l->offset[PART_NORM_B], width, 0, TYPE_F32);
    for (size_t i = 0; i < l->shape.layers; i++)
        layer_add(w, c, i);
}

static void put_tensor_heads(struct writer *w)
{
    for (size_t i = 0; i < w->tensors; i++) {
        const struct tensor *t = &w->tensor[i];
        put_text(w, t->name);
        put_u32(w, t->rows ? 2 : 1);
        put_u64(w, t->cols);
        if (t->rows)
            put_u64(w, t->rows);
        put_u32(w, t->type);
        put_u64(w, t->offset);
    }
}

static uint16_t half(float f) // round to nearest even; scales are small, finite and not negative
{
    _Float16 h = (_Float16)f;
    uint16_t bits;
    memcpy(&bits, &h, sizeof bits);
    return bits;
}

static void put_q8_0(struct writer *w, const float *x, size_t n)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        uint8_t block[BLOCK_BYTES];
        float top = 0;
        for (size_t i = 0; i < BLOCK; i++)
            top = fmaxf(top, fabsf(x[at + i]));
        float scale = top / 127, inverse = scale > 0 ? 1 / scale : 0;
        uint16_t bits = half(scale);
        memcpy(block, &bits, 2);
        for (size_t i = 0; i < BLOCK; i++)
            block[2 + i] = (uint8_t)(int8_t)roundf(x[at + i] * inverse);
        put(w, block, sizeof block);
    }
}

static void put_data(struct writer *w)
{
    for (size_t i = 0; i < w->tensors; i++) {
        const struct tensor *t = &w->tensor[i];
        size_t items = t->cols * (t->rows ? t->rows : 1);
        if (t->type == TYPE_F32)
            put(w, t->value, items * sizeof(float));
        else
            put_q8_0(w, t->value, items);
        pad(w);
    }
}

int main(int argc, char **argv)
{
    static struct writer w;
    static struct checkpoint c;
    struct vocab v;
    if (argc != 4) {
        fprintf(stderr, "usage: export CHECKPOINT VOCAB OUT.gguf\n");
        return 2;
    }
    checkpoint_load(&c, argv[1]);
    vocab_load(&v, argv[2]);
    if (vocab_size(&v) != c.layout.shape.vocab || c.layout.shape.width % BLOCK) {
        fprintf(stderr,
                "the vocabulary is not the checkpoint's, or the width is not whole blocks\n");
        return 1;
    }
    w.f = fopen(argv[3], "wb");
    if (!w.f) {
        perror(argv[3]);
        return 1;
    }
    tensors_add(&w, &c);
    put(&w, "GGUF", 4);
    put_u32(&w, 3);
    put_u64(&w, w.tensors);
    uint64_t keys_at = w.at;
    put_u64(&w, 0);
    size_t keys = put_metadata(&w, &c.layout.shape, &v);
    put_tensor_heads(&w);
    pad(&w);
    put_data(&w);
    uint64_t count = keys;
    if (fseek(w.f, (long)keys_at, SEEK_SET) || fwrite(&count, 8, 1, w.f) != 1 || fclose(w.f)) {
        perror(argv[3]);
        return 1;
    }
    printf("%s: %llu bytes, step %llu\n", argv[3], (unsigned long long)w.at,
           (unsigned long long)c.step);
    return 0;
}
