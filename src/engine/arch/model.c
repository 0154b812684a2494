#include "engine/arch/model.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/arch/device.h"
#include "engine/arch/model_impl.h"

#include "base/banned.h"

// --- Opening

static enum err check_hparams(const struct hparams *hp, struct diag *d)
{
    if (hp->n_layer < 1 || hp->n_layer > 1024 || hp->n_embd < 1 || hp->n_ff < 1 ||
        hp->n_vocab < 1 || hp->n_ctx < 1)
        return diag_set(d, ERR_INVALID,
                        "a model of %u layers, %u wide, %u in the feed-forward, %u tokens, context "
                        "%u: none of these may be zero (layers: at most 1024)",
                        hp->n_layer, hp->n_embd, hp->n_ff, hp->n_vocab, hp->n_ctx);
    if (hp->n_head < 1 || hp->n_head_kv < 1 || hp->n_head % hp->n_head_kv != 0)
        return diag_set(d, ERR_INVALID, "%u query heads over %u key heads: not a whole multiple",
                        hp->n_head, hp->n_head_kv);
    if (hp->head_dim < 1 || hp->head_dim > KV_HEAD_MAX || hp->rope_dims > hp->head_dim ||
        hp->rope_dims % 2 != 0)
        return diag_set(d, ERR_INVALID,
                        "heads of %u values, %u of them rotated: up to %u, an even number of them, "
                        "can be",
                        hp->head_dim, hp->rope_dims, (unsigned)KV_HEAD_MAX);
    if (hp->arch == ARCH_GPT2 && hp->n_head * hp->head_dim != hp->n_embd)
        return diag_set(d, ERR_INVALID, "%u heads of %u do not make a width of %u", hp->n_head,
                        hp->head_dim, hp->n_embd);
    return ERR_OK;
}

static enum err choose_kernel(const char *isa, const struct kernel **ret, struct diag *d)
{
    char have[128] = "";
    const struct kernel *k = kernel_find(isa);
    if (k) {
        *ret = k;
        return ERR_OK;
    }
    for (size_t i = 0, at = 0; (k = kernel_at(i)) && at + strlen(k->name) + 3 < sizeof have; i++) {
        size_t len = strlen(k->name);
        memcpy(have + at, i ? ", " : "", i ? 2 : 0);
        at += i ? 2 : 0;
        memcpy(have + at, k->name, len + 1);
        at += len;
    }
    return diag_set(d, ERR_UNSUPPORTED, "instruction set \"%s\": this program has %s on this CPU",
                    isa, have);
}

static const char *const KV_NAMES[] = {[KV_F32] = "f32", [KV_F16] = "f16", [KV_Q8] = "q8_0"};

static enum kv_type usual_kv(const struct model_file *f)
{
    const struct tensor *down = model_file_tensor(f, "blk.0.ffn_down.weight");
    return down && down->type != TENSOR_F32 ? KV_F16 : KV_F32;
}

static enum err choose_kv(const struct model_file *f, const struct model_options *o,
                          enum kv_type *ret, struct diag *d)
{
    bool device = o->device && strcmp(o->device, "cpu") != 0;
    *ret = usual_kv(f);
    for (size_t i = 0; o->kv_type && i < ARRAY_LEN(KV_NAMES); i++) {
        if (strcmp(o->kv_type, KV_NAMES[i]) != 0)
            continue;
        *ret = (enum kv_type)i;
        if (*ret == KV_Q8 && device)
            return diag_set(d, ERR_UNSUPPORTED,
                            "keys and values in q8_0 on \"%s\": the GPU keeps them in f16 or f32",
                            o->device);
        return ERR_OK;
    }
    if (!o->kv_type)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "KV type \"%s\": \"f32\", \"f16\" and \"q8_0\" are known",
                    o->kv_type);
}

static void set_kv_sizes(struct model *m)
{
    m->kv_k_bytes = kv_k_bytes(m->kv_type, m->hp->head_dim);
    m->kv_v_bytes = round_up(kv_v_bytes(m->kv_type, m->hp->head_dim), 64);
}

const char *model_kv_type(const struct model *m)
{
    return KV_NAMES[m->kv_type];
}

bool model_kv_is_usual(const struct model *m)
{
    return m->kv_type == usual_kv(m->file);
}

enum err model_check(const struct model_file *f, struct diag *d)
{
    const struct hparams *hp = model_file_hparams(f);
    if (hp->arch != ARCH_GPT2 && hp->arch != ARCH_LLAMA)
        return diag_set(d, ERR_UNSUPPORTED, "architecture \"" STR_FMT "\" is not one of ours",
                        STR_ARG(hp->arch_name));
    if (model_file_tensor_count(f) == 0)
        return diag_set(d, ERR_UNSUPPORTED, "the file holds a vocabulary but no weights");
    return check_hparams(hp, d);
}

enum err model_open(const struct model_file *f, const struct model_options *o, struct team *team,
                    struct model **ret, struct diag *d)
{
    static const struct model_options NONE;
    const struct hparams *hp = model_file_hparams(f);
    o = o ? o : &NONE;
    ERR_TRY(model_check(f, d));
    struct model *m = mem_new(struct model);
    *m = (struct model){.file = f, .hp = hp, .team = team};
    m->arch = hp->arch == ARCH_GPT2 ? &arch_gpt2 : &arch_llama;
    m->attention_scale = 1.0f / __builtin_sqrtf((float)hp->head_dim);
    enum err e = choose_kernel(o->isa, &m->kernel, d);
    if (e == ERR_OK)
        e = choose_kv(f, o, &m->kv_type, d);
    if (e == ERR_OK)
        e = loader_load(m, o->packers ? o->packers : team, d);
    if (e != ERR_OK) {
        model_free(m);
        return e;
    }
    set_kv_sizes(m);
    if (o->device && strcmp(o->device, "cpu") != 0) {
        e = device_open(m, o->device, o->device_check, d);
        if (e != ERR_OK) {
            model_free(m);
            return e;
        }
    } else {
        m->pass = pass_new(m);
    }
    *ret = m;
    return ERR_OK;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    pass_free(m->pass);
    device_free(m->device);
    for (size_t i = 0; i < m->n_owned; i++)
        mem_free(m->owned[i]);
    mem_free(m->owned);
    mem_free(m);
}

// --- What it is

bool model_borrows_file(const struct model *m)
{
    (void)m;
    return true; // hyper-parameters always; embedding rows where they are not the head's
}

const struct hparams *model_hparams(const struct model *m)
{
    return m->hp;
}

const char *model_isa(const struct model *m)
{
    return m->device ? "cuda" : m->kernel->name;
}

bool model_is_on_device(const struct model *m)
{
    return m->device;
}

size_t model_weight_bytes(const struct model *m)
{
    return m->weight_bytes;
}

size_t model_kv_block_bytes(const struct model *m)
{
    return (size_t)m->hp->n_layer * m->hp->n_head_kv * (m->kv_k_bytes + m->kv_v_bytes);
}

uint64_t model_kv_room(const struct model *m)
{
    return m->device ? device_kv_room(m->device) : UINT64_MAX;
}

size_t model_rows_max(const struct model *m)
{
    (void)m;
    return MODEL_ROWS_MAX;
}

// --- The forward pass

static bool row_in_range(const struct hparams *hp, const struct model_row *r)
{
    return r->token >= 0 && (uint32_t)r->token < hp->n_vocab && r->position < hp->n_ctx;
}

// A device's failure is all rows'; what it said goes to the log.
static enum err device_pass(struct model *m, const struct model_row *rows, size_t n_rows,
                            size_t *ret_bad_row)
{
    struct diag d = {0};
    size_t bad = SIZE_MAX;
    enum err e = device_forward(m, rows, n_rows, &bad, &d);
    if (e != ERR_OK)
        log_write(LOG_ERROR, "the GPU failed", LOG_Z("why", d.text));
    if (e != ERR_OK || bad == SIZE_MAX)
        return e;
    if (ret_bad_row)
        *ret_bad_row = bad;
    return ERR_INVALID;
}

static enum err told_bad(size_t bad, size_t *ret_bad_row)
{
    if (bad == SIZE_MAX)
        return ERR_OK;
    if (ret_bad_row)
        *ret_bad_row = bad;
    return ERR_INVALID;
}

static enum err check_rows(const struct model *m, const struct model_row *rows, size_t n,
                           size_t most, size_t *ret_bad_row)
{
    if (n > most)
        return ERR_LIMIT;
    for (size_t r = 0; r < n; r++)
        if (!row_in_range(m->hp, &rows[r]))
            return told_bad(r, ret_bad_row);
    return ERR_OK;
}

enum err model_forward(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                       size_t n_rows, size_t *ret_bad_row)
{
    size_t bad = SIZE_MAX;
    ERR_TRY(check_rows(m, rows, n_rows, MODEL_ROWS_MAX, ret_bad_row));
    if (m->device)
        return device_pass(m, rows, n_rows, ret_bad_row);
    pass_run(m->pass, kv_pool, rows, n_rows, &bad);
    return told_bad(bad, ret_bad_row);
}

size_t model_held_rows_max(const struct model *m)
{
    return m->device ? 0 : HELD_ROWS;
}

enum err model_forward_until(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                             size_t n_rows, uint64_t until_us, uint32_t *stage, size_t *ret_bad_row)
{
    size_t bad = SIZE_MAX;
    ERR_TRY(check_rows(m, rows, n_rows, model_held_rows_max(m), ret_bad_row));
    pass_run_until(m->pass, kv_pool, rows, n_rows, until_us, stage, &bad);
    return told_bad(bad, ret_bad_row);
}
