// How a pass is cut, and who works on what (model_impl.h).
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/arch/model_impl.h"

#include "base/banned.h"

// A member alone reads all weights for its slice, beside the others who do the same: so many rows a
// member must be in a slice for each of them that reading keeps up with computing (measured for
// two). With fewer, members share one slice and read each weight once.
#define ROWS_A_MEMBER 8
#define SLICES_MAX    (MODEL_ROWS_MAX / SLICE_ROWS)

// --- The work space

void slice_strides(struct slice *s, const struct model *m)
{
    const struct hparams *hp = m->hp;
    size_t heads = (size_t)hp->n_head * hp->head_dim;
    size_t widest = max_size(max_size(hp->n_embd, heads), hp->n_ff);
    s->embd_stride = round_up(hp->n_embd, LANES);
    s->qkv_stride = round_up(m->qkv.total, LANES);
    s->att_stride = round_up(heads, LANES);
    s->ff_stride = round_up(hp->n_ff, LANES);
    s->act_stride = (widest + ACT_BLOCK - 1) / ACT_BLOCK;
}

static void slice_init(struct slice *s, const struct model *m)
{
    size_t angles = (m->hp->rope_dims / 2 + 1) * sizeof(float);
    memset(s, 0, sizeof *s);
    slice_strides(s, m);
    s->x = mem_array(SLICE_ROOM, s->embd_stride * sizeof(float));
    s->h = mem_array(SLICE_ROOM, s->embd_stride * sizeof(float));
    s->y = mem_array(SLICE_ROOM, s->embd_stride * sizeof(float));
    s->qkv = mem_array(SLICE_ROOM, s->qkv_stride * sizeof(float));
    s->att = mem_array(SLICE_ROOM, s->att_stride * sizeof(float));
    s->up = mem_array(SLICE_ROOM, s->ff_stride * sizeof(float));
    s->gate = mem_array(SLICE_ROOM, s->ff_stride * sizeof(float));
    s->act = mem_aligned(64, SLICE_ROOM * s->act_stride * sizeof *s->act);
    s->cosines = mem_array(SLICE_ROOM, angles);
    s->sines = mem_array(SLICE_ROOM, angles);
}

static void slice_done(struct slice *s)
{
    void *owned[] = {s->x,  s->h,    s->y,   s->qkv,     s->att,
                     s->up, s->gate, s->act, s->cosines, s->sines};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        mem_free(owned[i]);
}

static void held_init(struct slice *s, const struct model *m, const struct slice *lender)
{
    size_t angles = (m->hp->rope_dims / 2 + 1) * sizeof(float);
    *s = *lender;
    s->x = mem_array(HELD_ROWS, s->embd_stride * sizeof(float));
    s->cosines = mem_array(HELD_ROWS, angles);
    s->sines = mem_array(HELD_ROWS, angles);
}

static void held_done(struct slice *s)
{
    mem_free(s->x);
    mem_free(s->cosines);
    mem_free(s->sines);
}

struct pass *pass_new(struct model *m)
{
    struct pass *p = mem_aligned(64, sizeof *p);
    size_t members = team_size(m->team), slices = SLICES_MAX + members;
    memset(p, 0, sizeof *p);
    p->m = m;
    p->stored = mem_aligned(64, slices * sizeof *p->stored);
    for (size_t i = 0; i < slices; i++)
        progress_init(&p->stored[i]);
    p->starts = mem_array(slices + 1, sizeof *p->starts);
    p->room = mem_array(members, sizeof *p->room);
    for (size_t i = 0; i < members; i++)
        slice_init(&p->room[i], m);
    held_init(&p->held, m, &p->room[0]);
    p->n_counters = (size_t)m->hp->n_layer * LAYER_STEPS_MAX + 4 + 2 * SLICES_MAX;
    p->counters = mem_aligned(64, p->n_counters * sizeof *p->counters);
    p->n_used = p->n_counters;
    p->logits = mem_array(MODEL_ROWS_MAX, sizeof *p->logits);
    p->logits_row = mem_array(MODEL_ROWS_MAX, sizeof *p->logits_row);
    p->logits_at = mem_array(MODEL_ROWS_MAX, sizeof *p->logits_at);
    p->bad = mem_array(MODEL_ROWS_MAX, sizeof *p->bad);
    p->scores_stride = ATTENTION_MAX * (round_up(m->hp->n_ctx, LANES) + LANES);
    p->scores = mem_array(members, p->scores_stride * sizeof(float));
    return p;
}

void pass_free(struct pass *p)
{
    if (!p)
        return;
    size_t members = team_size(p->m->team);
    for (size_t i = 0; i < members; i++)
        slice_done(&p->room[i]);
    held_done(&p->held);
    for (size_t i = 0; i < SLICES_MAX + members; i++)
        progress_done(&p->stored[i]);
    void *owned[] = {p->stored, p->starts,     p->room,      p->counters, p->last,
                     p->logits, p->logits_row, p->logits_at, p->bad,      p->scores};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        mem_free(owned[i]);
    mem_free(p);
}

// --- Cutting

// Consecutive rows of one sequence, as many as one attention unit takes.
static void group_rows(struct slice *s, const struct hparams *hp)
{
    size_t heads = min_size(hp->n_head / hp->n_head_kv, ATTENTION_MAX);
    size_t most = ATTENTION_MAX / heads;
    s->n_groups = 0;
    for (size_t r = 0; r < s->n; r++) {
        struct row_group *g = s->n_groups ? &s->groups[s->n_groups - 1] : NULL;
        if (g && g->n < most && s->rows[r].blocks == s->rows[r - 1].blocks &&
            s->rows[r].position == s->rows[r - 1].position + 1)
            g->n++;
        else
            s->groups[s->n_groups++] = (struct row_group){(uint32_t)r, 1};
    }
}

static void slice_set(struct slice *s, const struct pass *p, size_t i)
{
    s->index = i;
    s->first_row = p->starts[i];
    s->rows = p->rows + s->first_row;
    s->n = p->starts[i + 1] - s->first_row;
    group_rows(s, p->m->hp);
}

// Attention reads K by whole blocks: one that two slices write would be read half written. (The
// half that is being written counts for nothing there; but reading it is a race all the same.)
static size_t cut_at_or_before(const struct pass *p, size_t row)
{
    while (row > 0 && p->rows[row].blocks == p->rows[row - 1].blocks &&
           p->rows[row].position % KV_POSITIONS != 0)
        row--;
    return row;
}

static size_t slices_of(const struct pass *p, size_t n)
{
    return round_up((n + SLICE_ROWS - 1) / SLICE_ROWS, team_size(p->m->team));
}

static bool too_few_to_part(const struct pass *p, size_t n)
{
    size_t members = team_size(p->m->team), least = min_size(ROWS_A_MEMBER * members, SLICE_ROWS);
    return members > 1 && n < slices_of(p, n) * least;
}

// Slices of nearly equal length, as many for each member.
static void cut(struct pass *p)
{
    size_t n = slices_of(p, p->n);
    p->together = too_few_to_part(p, p->n);
    p->n_slices = 1;
    for (size_t i = 1; i < n && !p->together; i++) {
        size_t row = cut_at_or_before(p, p->n * i / n);
        if (row > p->starts[p->n_slices - 1])
            p->starts[p->n_slices++] = row;
    }
    p->starts[p->n_slices] = p->n;
    atomic_store_explicit(&p->next_slice, 0, memory_order_relaxed);
    for (size_t i = 0; i < p->n_slices; i++)
        progress_reset(&p->stored[i]);
}

static void choose_logits(struct pass *p)
{
    size_t stride = p->room[0].embd_stride;
    p->n_logits = 0;
    for (size_t r = 0; r < p->n; r++)
        if (p->rows[r].logits) {
            p->logits[p->n_logits] = p->rows[r].logits;
            p->logits_row[p->n_logits] = (uint32_t)r;
            p->logits_at[r] = (uint32_t)p->n_logits++;
        }
    if (p->n_logits <= p->last_rows)
        return;
    mem_free(p->last);
    p->last = mem_array(p->n_logits, stride * sizeof *p->last);
    p->last_rows = p->n_logits;
}

// --- Running

static void run_slice(struct member *me)
{
    const struct model *m = me->m;
    step_embed(me);
    for (size_t i = 0; i < m->hp->n_layer; i++) {
        m->arch->attention(me, &m->layers[i], i);
        m->arch->feed_forward(me, &m->layers[i]);
    }
    step_last_norm(me);
}

static void pass_work(void *ctx, size_t index, size_t size)
{
    struct pass *p = ctx;
    struct member me = {.pass = p, .m = p->m, .index = index, .size = size, .slice = &p->room[0]};
    if (p->together) {
        run_slice(&me);
    } else {
        me.size = 1;
        me.slice = &p->room[index];
        for (size_t i; (i = atomic_fetch_add(&p->next_slice, 1)) < p->n_slices;) {
            slice_set(me.slice, p, i);
            run_slice(&me);
        }
        team_barrier(p->m->team);
        me.size = size;
        me.slice = &p->room[0];
        me.step = 0;
    }
    step_logits(&me);
    if (index == 0)
        p->n_used = me.step;
    ASSERT(me.step <= p->n_counters);
}

static void begin(struct pass *p, const struct model_row *rows, size_t n)
{
    p->rows = rows;
    p->n = n;
    choose_logits(p);
    for (size_t i = 0; i < p->n_used; i++)
        atomic_store_explicit(&p->counters[i].next, 0, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&p->bad[i], false, memory_order_relaxed);
}

static void run(struct pass *p, const struct model_row *rows, size_t n)
{
    begin(p, rows, n);
    cut(p);
    if (p->together)
        slice_set(&p->room[0], p, 0);
    team_run(p->m->team, pass_work, p);
}

static size_t first_bad(const struct pass *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (atomic_load_explicit(&p->bad[i], memory_order_relaxed))
            return i;
    return SIZE_MAX;
}

void pass_run(struct pass *p, uint8_t *pool, const struct model_row *rows, size_t n,
              size_t *ret_bad)
{
    p->pool = pool;
    size_t most = too_few_to_part(p, n) ? SLICE_ROWS : n;
    for (size_t at = 0; at < n; at += most) {
        run(p, rows + at, min_size(most, n - at));
        size_t bad = first_bad(p);
        if (bad != SIZE_MAX && *ret_bad == SIZE_MAX)
            *ret_bad = at + bad;
    }
}

// --- In stages

static uint32_t last_stage(const struct pass *p)
{
    return 2 * p->m->hp->n_layer;
}

static void run_stage(struct member *me, uint32_t stage)
{
    const struct model *m = me->m;
    size_t layer = stage / 2;
    if (stage == 0)
        step_embed(me);
    if (stage == last_stage(me->pass)) {
        step_last_norm(me);
        step_logits(me);
    } else if (stage % 2 == 0) {
        m->arch->attention(me, &m->layers[layer], layer);
    } else {
        m->arch->feed_forward(me, &m->layers[layer]);
    }
}

static uint64_t *time_of(struct pass *p, uint32_t stage)
{
    return &p->stage_us[stage == last_stage(p) ? 2 : stage % 2];
}

// One member looks at the clock, for all must agree. Without logits the last stage is next to
// nothing.
static void end_stage(struct pass *p, uint64_t *began_us)
{
    uint64_t now = clock_mono_us();
    *time_of(p, p->stage) = now - *began_us;
    *began_us = now;
    if (p->stage == last_stage(p)) {
        p->stage = MODEL_STAGE_DONE;
        p->pauses = true;
        return;
    }
    p->stage++;
    p->pauses =
        now + *time_of(p, p->stage) > p->until_us && (p->stage < last_stage(p) || p->n_logits > 0);
}

static void staged_work(void *ctx, size_t index, size_t size)
{
    struct pass *p = ctx;
    struct member me = {.pass = p, .m = p->m, .index = index, .size = size, .slice = &p->held};
    uint64_t began_us = clock_mono_us();
    do {
        run_stage(&me, p->stage);
        if (index == 0)
            end_stage(p, &began_us);
        team_barrier(p->m->team);
    } while (!p->pauses);
    if (index == 0)
        p->n_used = me.step;
    ASSERT(me.step <= p->n_counters);
}

void pass_run_until(struct pass *p, uint8_t *pool, const struct model_row *rows, size_t n,
                    uint64_t until_us, uint32_t *stage, size_t *ret_bad)
{
    p->pool = pool;
    begin(p, rows, n);
    p->together = true;
    p->starts[0] = 0;
    p->starts[1] = n;
    slice_set(&p->held, p, 0);
    p->stage = *stage;
    p->until_us = until_us;
    team_run(p->m->team, staged_work, p);
    *stage = p->stage;
    *ret_bad = first_bad(p);
}
