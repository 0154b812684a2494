#include "engine/format/model_plan.h"

#include "base/mem.h"
#include "engine/format/parts.h"

#include "base/banned.h"

static const enum tensor_type written[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                           TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                           TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};

bool model_save_type(str name, enum tensor_type *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(written); i++)
        if (str_eq_nocase(name, str_of(tensor_type_name(written[i])))) {
            *ret = written[i];
            return true;
        }
    return false;
}

static bool plain(enum tensor_type t)
{
    return t == TENSOR_F32 || t == TENSOR_F16 || t == TENSOR_BF16;
}

// Vectors, norms and learned positions take little room, and what is added to everything should be
// exact. Peers want them so, too.
static bool stays_whole(const struct tensor *t)
{
    return t->n_dims < 2 || str_starts(t->name, STR("position_embd.")) ||
           !str_ends(t->name, STR(".weight")) || str_find(t->name, STR("_norm.")) != SIZE_MAX;
}

static bool is_head(const struct model_file *f, const struct tensor *t)
{
    return str_eq_z(t->name, f->hparams.tied_head ? "token_embd.weight" : "output.weight");
}

static enum tensor_type of_width(enum tensor_type type, uint64_t columns)
{
    if (columns % tensor_type_block(type) == 0)
        return type;
    if (columns % 32)
        return TENSOR_F16;
    return type == TENSOR_Q4_K ? TENSOR_Q4_1 : TENSOR_Q8_0;
}

static enum tensor_type choose(const struct model_file *f, const struct tensor *t,
                               const struct model_save_options *o, uint64_t columns,
                               uint32_t *narrow)
{
    if (stays_whole(t))
        return plain(t->type) ? TENSOR_F32 : t->type;
    if (!o->retype)
        return t->type;
    enum tensor_type wanted = o->type;
    if (is_head(f, t) && !plain(wanted) && wanted != TENSOR_Q8_0)
        wanted = TENSOR_Q6_K;
    enum tensor_type type = of_width(wanted, columns);
    *narrow += type != wanted;
    return type;
}

static enum err add(const struct model_file *f, const struct tensor *t,
                    const struct model_save_options *o, struct plan_tensor *ret,
                    struct model_save_report *report, struct diag *d)
{
    struct plan_tensor p = {.from = t, .dims = {t->dims[0], t->dims[1], t->dims[2], t->dims[3]}};
    if (t->transposed) {
        p.dims[0] = t->dims[1];
        p.dims[1] = t->dims[0];
    }
    p.type = choose(f, t, o, p.dims[0], &report->n_narrow);
    if (p.type != t->type && p.type != TENSOR_F32 && !plain(t->type) && !o->requantise)
        return diag_set(d, ERR_UNSUPPORTED,
                        "tensor \"" STR_FMT "\" is %s already, and rounding it twice costs "
                        "quality: begin with an F32, F16 or BF16 file, or ask for it with "
                        "--requantize",
                        STR_ARG(t->name), tensor_type_name(t->type));
    uint64_t values = p.dims[0] * p.dims[1] * p.dims[2] * p.dims[3]; // checked when it was read
    p.bytes = values / tensor_type_block(p.type) * tensor_type_block_bytes(p.type);
    report->tensors[p.type]++;
    *ret = p;
    return ERR_OK;
}

// Llama 3's scaling is a table of divisors in a GGUF file.
static enum err add_divisors(const struct model_file *f, const struct model_save_options *o,
                             struct plan *p, struct model_save_report *report)
{
    const struct hparams *h = &f->hparams;
    if (f->gguf || h->rope_scaling != ROPE_SCALING_LLAMA3)
        return ERR_OK;
    ASSERT(o->rope_divisors);
    uint64_t n = h->rope_dims / 2;
    p->tensors[p->n++] = (struct plan_tensor){
        .values = o->rope_divisors, .type = TENSOR_F32, .dims = {n, 1, 1, 1}, .bytes = 4 * n};
    report->tensors[TENSOR_F32]++;
    return ERR_OK;
}

enum err plan_init(const struct model_file *f, const struct model_save_options *o, struct plan *ret,
                   struct model_save_report *report, struct diag *d)
{
    struct plan p = {.tensors = mem_array(f->n_tensors + 1, sizeof *p.tensors)};
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < f->n_tensors; i++)
        e = add(f, &f->tensors[i], o, &p.tensors[p.n++], report, d);
    if (e == ERR_OK)
        e = add_divisors(f, o, &p, report);
    if (e != ERR_OK) {
        plan_done(&p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

void plan_done(struct plan *p)
{
    mem_free(p->tensors);
    p->tensors = NULL;
}
