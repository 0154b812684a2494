// Weights from the file into panels: shapes checked, then all matrices packed by the team together.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/mem.h"
#include "engine/arch/model_impl.h"

#include "base/banned.h"

#define HUGE_PAGE     ((size_t)2 << 20)
#define HUGE_FROM     ((size_t)32 << 20) // smaller models are not worth rounding up
#define PACK_PANELS   16                 // panels a unit of packing
#define LAYER_TENSORS 20                 // most tensors a layer has

struct pack_job {
    struct panels *panels;
    const struct tensor *tensor;
    size_t first_unit; // counted over all jobs
    size_t offset;     // of the panels in the region of all matrices
};

struct loader {
    struct model *m;
    struct diag *d;
    char name[64];
    struct pack_job *jobs;
    size_t n_jobs, jobs_max, units, bytes;
    atomic_size_t next;
};

static void *own(struct model *m, void *p)
{
    m->owned[m->n_owned++] = p;
    return p;
}

// All matrices in one region, on large pages where the model is large: reading weights is what
// decoding does, and its time is the memory's.
static uint8_t *alloc_region(struct model *m, size_t bytes)
{
    m->weight_bytes += bytes;
    m->region_bytes = bytes;
    if (bytes < HUGE_FROM)
        return m->region = own(m, mem_aligned(64, bytes));
    uint8_t *p = m->region = own(m, mem_aligned(HUGE_PAGE, round_up(bytes, HUGE_PAGE)));
#if defined(MADV_HUGEPAGE)
    madvise(p, round_up(bytes, HUGE_PAGE), MADV_HUGEPAGE);
#endif
    return p;
}

void model_forget_region(struct model *m)
{
    for (size_t i = 0; i < m->n_owned; i++)
        if (m->owned[i] == m->region)
            m->owned[i] = NULL;
    mem_free(m->region);
    m->region = NULL;
}

static bool kind_of(enum tensor_type t, enum panel_kind *ret)
{
    static const struct {
        enum tensor_type type;
        enum panel_kind kind;
    } MAP[] = {
        {TENSOR_F32, PANEL_F32},   {TENSOR_F16, PANEL_F16},   {TENSOR_BF16, PANEL_BF16},
        {TENSOR_Q8_0, PANEL_Q8_0}, {TENSOR_Q4_0, PANEL_Q4_0}, {TENSOR_Q4_1, PANEL_Q4_1},
        {TENSOR_Q4_K, PANEL_Q4_K}, {TENSOR_Q5_K, PANEL_Q5_K}, {TENSOR_Q6_K, PANEL_Q6_K},
    };
    for (size_t i = 0; i < ARRAY_LEN(MAP); i++)
        if (MAP[i].type == t) {
            *ret = MAP[i].kind;
            return true;
        }
    return false;
}

const char *loader_name(struct loader *l, uint32_t layer, const char *suffix)
{
    snprintf(l->name, sizeof l->name, "blk.%" PRIu32 ".%s", layer, suffix);
    return l->name;
}

double *loader_doubles(struct loader *l, size_t n)
{
    return own(l->m, mem_array(n, sizeof(double)));
}

enum err loader_refuse(struct loader *l, const char *why)
{
    return diag_set(l->d, ERR_INVALID, "%s", why);
}

static enum err find(struct loader *l, const char *name, bool required, const struct tensor **ret)
{
    *ret = model_file_tensor(l->m->file, name);
    if (!*ret && required)
        return diag_set(l->d, ERR_NOT_FOUND, "tensor %s is missing", name);
    return ERR_OK;
}

// dims[0] x dims[1] must be cols x rows as a matrix lies in memory.
static enum err check_shape(struct loader *l, const struct tensor *t, uint64_t cols, uint64_t rows)
{
    uint64_t d0 = t->transposed ? rows : cols, d1 = t->transposed ? cols : rows;
    if (t->dims[0] == d0 && t->dims[1] == d1 && t->dims[2] == 1 && t->dims[3] == 1)
        return ERR_OK;
    return diag_set(l->d, ERR_INVALID,
                    "tensor " STR_FMT " is %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                    "; the model's hyper-parameters ask for %" PRIu64 " x %" PRIu64,
                    STR_ARG(t->name), t->dims[0], t->dims[1], t->dims[2], t->dims[3], d0, d1);
}

enum err loader_rows(struct loader *l, const char *name, uint32_t rows, uint32_t cols,
                     const struct tensor **ret)
{
    ERR_TRY(find(l, name, true, ret));
    if ((*ret)->transposed)
        return diag_set(l->d, ERR_UNSUPPORTED, "tensor %s is stored transposed", name);
    return check_shape(l, *ret, cols, rows);
}

enum err loader_vector(struct loader *l, const char *name, uint32_t n, bool required,
                       const float **ret)
{
    const struct tensor *t;
    ERR_TRY(find(l, name, required, &t));
    *ret = NULL;
    if (!t)
        return ERR_OK;
    ERR_TRY(check_shape(l, t, n, 1));
    size_t bytes = round_up(n, LANES) * sizeof(float);
    float *v = own(l->m, mem_aligned(64, bytes));
    l->m->weight_bytes += bytes;
    memset(v, 0, bytes);
    if (tensor_row_f32(t, 0, v) != ERR_OK)
        return diag_set(l->d, ERR_UNSUPPORTED, "tensor %s is %s: not a vector's type", name,
                        tensor_type_name(t->type));
    *ret = v;
    return ERR_OK;
}

static enum err check_matrix(struct loader *l, const struct tensor *t, uint32_t rows, uint32_t cols,
                             struct panels *ret)
{
    enum panel_kind kind;
    ERR_TRY(check_shape(l, t, cols, rows));
    if (!kind_of(t->type, &kind) || (t->transposed && panel_kind_quantised(kind)))
        return diag_set(l->d, ERR_UNSUPPORTED, "tensor " STR_FMT " is %s%s: no kernel takes it",
                        STR_ARG(t->name), tensor_type_name(t->type),
                        t->transposed ? ", transposed" : "");
    if (t->size_bytes / rows < panel_kind_row_bytes(kind, cols))
        return diag_set(l->d, ERR_INVALID, "tensor " STR_FMT " is shorter than its shape",
                        STR_ARG(t->name));
    enum err e = panels_layout(kind, rows, cols, ret);
    if (e != ERR_OK)
        return diag_set(l->d, e,
                        "tensor " STR_FMT ": %" PRIu32 " x %" PRIu32 " %s cannot be packed",
                        STR_ARG(t->name), cols, rows, tensor_type_name(t->type));
    return ERR_OK;
}

enum err loader_matrix(struct loader *l, const char *name, uint32_t rows, uint32_t cols,
                       struct matrix *ret)
{
    const struct tensor *t;
    ERR_TRY(find(l, name, true, &t));
    ERR_TRY(check_matrix(l, t, rows, cols, &ret->panels));
    ret->bias = NULL;
    ASSERT(l->n_jobs < l->jobs_max);
    l->jobs[l->n_jobs++] = (struct pack_job){&ret->panels, t, l->units, l->bytes};
    l->units += (ret->panels.n_panels + PACK_PANELS - 1) / PACK_PANELS;
    l->bytes += round_up(panels_bytes(&ret->panels), 64);
    return ERR_OK;
}

static void pack_work(void *ctx, size_t member, size_t size)
{
    struct loader *l = ctx;
    (void)member;
    (void)size;
    size_t job = 0; // units are handed out in ascending order
    for (size_t unit; (unit = atomic_fetch_add(&l->next, 1)) < l->units;) {
        while (job + 1 < l->n_jobs && l->jobs[job + 1].first_unit <= unit)
            job++;
        const struct pack_job *j = &l->jobs[job];
        size_t from = (unit - j->first_unit) * PACK_PANELS;
        size_t to = min_size(from + PACK_PANELS, j->panels->n_panels);
        if (j->tensor->halves)
            panels_pack_halves(j->panels, j->tensor->data, j->tensor->halves, from, to);
        else
            panels_pack(j->panels, j->tensor->data, j->tensor->transposed, from, to);
    }
}

static void pack(struct loader *l, struct team *packers)
{
    uint8_t *region = alloc_region(l->m, l->bytes);
    for (size_t i = 0; i < l->n_jobs; i++)
        l->jobs[i].panels->data = region + l->jobs[i].offset;
    team_run(packers, pack_work, l);
}

static enum err load_head(struct loader *l)
{
    struct model *m = l->m;
    const struct hparams *hp = m->hp;
    if (hp->tied_head)
        return loader_matrix(l, "token_embd.weight", hp->n_vocab, hp->n_embd, &m->head);
    ERR_TRY(loader_rows(l, "token_embd.weight", hp->n_vocab, hp->n_embd, &m->embedding));
    return loader_matrix(l, "output.weight", hp->n_vocab, hp->n_embd, &m->head);
}

enum err loader_load(struct model *m, struct team *packers, struct diag *d)
{
    size_t tensors = (size_t)m->hp->n_layer * LAYER_TENSORS + 16;
    struct loader l = {.m = m, .d = d, .jobs_max = tensors};
    l.jobs = mem_array(tensors, sizeof *l.jobs);
    m->owned = mem_array(tensors, sizeof *m->owned);
    m->layers = own(m, mem_array(m->hp->n_layer, sizeof *m->layers));
    enum err e = load_head(&l);
    if (e == ERR_OK)
        e = m->arch->load(&l, m);
    if (e == ERR_OK)
        pack(&l, packers);
    mem_free(l.jobs);
    return e;
}
