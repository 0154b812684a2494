// Threads of a block run one after the other, each until it ends, waits at a barrier or at an
// exchange with its warp.
#include "machine.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARP = 32, NOBODY = 0xFFFF, MANY = 0xFFFE, STEPS_MAX = 200000000 };

enum state { RUNNING, AT_BARRIER, AT_EXCHANGE, ENDED };

struct thread {
    uint64_t *reg;
    uint32_t pc;
    enum state state;
};

struct run {
    struct ptx_module *m;
    const struct ptx_kernel *k;
    const struct ptx_grid *grid;
    ptx_may_fn *may;
    struct thread *threads;
    uint64_t *registers;
    uint32_t block_x, block_y;
    unsigned self; // the thread that runs
    uint64_t steps;
    char *error;
    size_t error_size;
    bool failed;
};

__attribute__((format(printf, 3, 4))) static bool fail(struct run *r, const struct ptx_insn *in,
                                                       const char *fmt, ...)
{
    char what[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (!r->failed)
        snprintf(r->error, r->error_size, "%s, line %u, block %u,%u, thread %u: %s", r->k->name,
                 in ? in->line : 0, r->block_x, r->block_y, r->self, what);
    r->failed = true;
    return false;
}

// --- Values

static uint64_t cut(uint64_t v, unsigned bits)
{
    return bits >= 64 ? v : v & ((1ull << bits) - 1);
}

static int64_t extended(uint64_t v, unsigned bits)
{
    return bits >= 64 ? (int64_t)v : (int64_t)(v << (64 - bits)) >> (64 - bits);
}

static float as_float(uint64_t v)
{
    uint32_t bits = (uint32_t)v;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint64_t from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static uint64_t special(const struct run *r, uint64_t which)
{
    switch ((enum ptx_special)which) {
    case PTX_TID_X:
        return r->self;
    case PTX_CTAID_X:
        return r->block_x;
    case PTX_CTAID_Y:
        return r->block_y;
    case PTX_NCTAID_X:
        return r->grid->x;
    default:
        return r->grid->threads;
    }
}

static uint64_t get(const struct run *r, const struct thread *t, const struct ptx_operand *o)
{
    if (o->kind == PTX_REGISTER)
        return t->reg[o->reg[0]];
    return o->kind == PTX_SPECIAL ? special(r, o->value) : o->value;
}

static void set(const struct thread *t, const struct ptx_operand *o, uint64_t v)
{
    t->reg[o->reg[0]] = v;
}

// --- Memory

static bool touch_shared(struct run *r, const struct ptx_insn *in, uint64_t offset, bool write)
{
    struct ptx_touch *w = &r->m->touches[offset / 4];
    bool written = w->write_epoch == r->m->epoch, read = w->read_epoch == r->m->epoch;
    if ((written && w->writer != r->self) || (write && read && w->reader != r->self))
        return fail(r, in, "shared byte %llu is touched by another thread since the last barrier",
                    (unsigned long long)offset);
    if (write) {
        w->write_epoch = r->m->epoch;
        w->writer = (uint16_t)r->self;
    } else {
        w->reader = read && w->reader != r->self ? MANY : (uint16_t)r->self;
        w->read_epoch = r->m->epoch;
    }
    return true;
}

static bool may_access(struct run *r, const struct ptx_insn *in, uint64_t at, size_t bytes,
                       bool write)
{
    uint64_t shared = (uintptr_t)r->m->shared, param = (uintptr_t)r->m->param;
    if (at & (bytes - 1)) // a power of two
        return fail(r, in, "an access of %zu bytes at %#llx is not aligned", bytes,
                    (unsigned long long)at);
    if (at >= param && at + bytes <= param + r->k->param_bytes)
        return !write || fail(r, in, "the parameter is written");
    if (at < shared || at + bytes > shared + PTX_SHARED_BYTES)
        return r->may(at, bytes) ||
               fail(r, in, "%zu bytes at %#llx are nobody's", bytes, (unsigned long long)at);
    if (at + bytes > shared + r->m->shared_used)
        return fail(r, in, "beyond the shared memory");
    for (uint64_t offset = at - shared; offset < at - shared + bytes; offset += 4)
        if (!touch_shared(r, in, offset, write))
            return false;
    return true;
}

static bool load(struct run *r, struct thread *t, const struct ptx_insn *in)
{
    const struct ptx_operand *to = &in->o[0], *from = &in->o[1];
    size_t size = in->type.bits / 8u, n = to->kind == PTX_VECTOR ? to->n : 1;
    uint64_t at = from->value + (from->kind == PTX_REGISTER ? t->reg[from->reg[0]] : 0);
    if (!may_access(r, in, at, n * size, false))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 0;
        memcpy(&v, (const void *)(uintptr_t)(at + i * size), size);
        t->reg[to->reg[i]] = in->type.kind == PTX_SIGNED ? (uint64_t)extended(v, in->type.bits) : v;
    }
    return true;
}

static bool store(struct run *r, struct thread *t, const struct ptx_insn *in)
{
    const struct ptx_operand *to = &in->o[0], *from = &in->o[1];
    size_t size = in->type.bits / 8u, n = from->kind == PTX_VECTOR ? from->n : 1;
    uint64_t at = to->value + (to->kind == PTX_REGISTER ? t->reg[to->reg[0]] : 0);
    if (!may_access(r, in, at, n * size, true))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = from->kind == PTX_VECTOR ? t->reg[from->reg[i]] : get(r, t, from);
        memcpy((void *)(uintptr_t)(at + i * size), &v, size);
    }
    return true;
}

// --- Operations

static bool compare_floats(enum ptx_compare c, float a, float b)
{
    bool unordered = isnan(a) || isnan(b);
    switch (c) {
    case PTX_EQ:
    case PTX_EQU:
        return c == PTX_EQU ? unordered || a == b : a == b;
    case PTX_NE:
        return !unordered && a != b;
    case PTX_NEU:
        return a != b;
    case PTX_LT:
        return a < b;
    case PTX_LE:
        return a <= b;
    case PTX_GT:
        return a > b;
    case PTX_GE:
        return a >= b;
    case PTX_LTU:
        return unordered || a < b;
    case PTX_LEU:
        return unordered || a <= b;
    case PTX_GTU:
        return unordered || a > b;
    default:
        return unordered || a >= b;
    }
}

static bool compare(const struct ptx_insn *in, uint64_t a, uint64_t b)
{
    if (in->type.kind == PTX_FLOAT)
        return compare_floats((enum ptx_compare)in->compare, as_float(a), as_float(b));
    unsigned bits = in->type.bits;
    bool is_signed = in->type.kind == PTX_SIGNED;
    bool less = is_signed ? extended(a, bits) < extended(b, bits) : cut(a, bits) < cut(b, bits);
    bool equal = cut(a, bits) == cut(b, bits);
    switch (in->compare) {
    case PTX_EQ:
        return equal;
    case PTX_NE:
        return !equal;
    case PTX_LT:
        return less;
    case PTX_LE:
        return less || equal;
    case PTX_GT:
        return !less && !equal;
    default:
        return !less;
    }
}

static uint64_t float_operation(const struct run *r, const struct ptx_insn *in, float a, float b,
                                float c)
{
    switch (in->op) {
    case PTX_ADD:
        return from_float(a + b);
    case PTX_SUB:
        return from_float(a - b);
    case PTX_MUL:
        return from_float(a * b);
    case PTX_FMA:
        return from_float(r->grid->unfused ? a * b + c : fmaf(a, b, c));
    case PTX_DIV:
        return from_float(a / b);
    case PTX_RCP:
        return from_float(1.0f / a);
    case PTX_SQRT:
        return from_float(sqrtf(a));
    default:
        return from_float(-a);
    }
}

static uint64_t multiply(const struct ptx_insn *in, uint64_t a, uint64_t b)
{
    unsigned bits = in->type.bits;
    if (in->mode == PTX_WIDE && in->type.kind == PTX_SIGNED)
        return (uint64_t)(extended(a, bits) * extended(b, bits));
    return cut(a, bits) * cut(b, bits);
}

static uint64_t shift_right(const struct ptx_insn *in, uint64_t a, uint64_t by)
{
    unsigned bits = in->type.bits;
    uint64_t most = by < bits ? by : bits;
    if (in->type.kind == PTX_SIGNED)
        return (uint64_t)(extended(a, bits) >> (most < bits ? most : bits - 1));
    return most < bits ? cut(a, bits) >> most : 0;
}

static int32_t dot4(uint32_t a, uint32_t b, int32_t sum)
{
    for (unsigned i = 0; i < 32; i += 8)
        sum += (int8_t)(a >> i) * (int8_t)(b >> i);
    return sum;
}

static uint64_t lesser(const struct ptx_insn *in, uint64_t a, uint64_t b, bool want_less)
{
    unsigned bits = in->type.bits;
    bool less = in->type.kind == PTX_SIGNED ? extended(a, bits) < extended(b, bits)
                                            : cut(a, bits) < cut(b, bits);
    return less == want_less ? a : b;
}

// Results are cut to the type's width by the caller, but for products that are wide.
static bool whole_operation(struct run *r, const struct ptx_insn *in, uint64_t a, uint64_t b,
                            uint64_t c, uint64_t *ret)
{
    unsigned bits = in->type.bits;
    switch (in->op) {
    case PTX_ADD:
        *ret = a + b;
        return true;
    case PTX_SUB:
        *ret = a - b;
        return true;
    case PTX_MUL:
        *ret = multiply(in, a, b);
        return true;
    case PTX_MAD:
        *ret = multiply(in, a, b) + c;
        return true;
    case PTX_DIV:
    case PTX_REM:
        if (in->type.kind != PTX_UNSIGNED || cut(b, bits) == 0)
            return fail(r, in, "a division by zero, or of a kind that is not known here");
        *ret = in->op == PTX_DIV ? cut(a, bits) / cut(b, bits) : cut(a, bits) % cut(b, bits);
        return true;
    case PTX_MIN:
    case PTX_MAX:
        *ret = lesser(in, a, b, in->op == PTX_MIN);
        return true;
    case PTX_NEG:
        *ret = 0 - a;
        return true;
    case PTX_AND:
        *ret = a & b;
        return true;
    case PTX_OR:
        *ret = a | b;
        return true;
    case PTX_XOR:
        *ret = a ^ b;
        return true;
    case PTX_NOT:
        *ret = ~a;
        return true;
    case PTX_SHL:
        *ret = cut(b, 32) < bits ? a << cut(b, 32) : 0;
        return true;
    case PTX_SHR:
        *ret = shift_right(in, a, cut(b, 32));
        return true;
    case PTX_BFE:
        *ret = cut(cut(a, bits) >> (b & 255), (unsigned)(c & 255));
        return in->type.kind == PTX_UNSIGNED || fail(r, in, "bfe of a kind that is not known here");
    default:
        return fail(r, in, "an operation that is not known here for this type");
    }
}

static bool arithmetic(struct run *r, struct thread *t, const struct ptx_insn *in)
{
    uint64_t v[3] = {0}, result = 0;
    for (size_t i = 1; i < in->n_operands && i <= 3; i++)
        v[i - 1] = get(r, t, &in->o[i]);
    if (in->type.kind == PTX_FLOAT) {
        if (in->type.bits != 32 || in->op == PTX_MIN || in->op == PTX_MAX)
            return fail(r, in, "an operation that is not known here for this type");
        set(t, &in->o[0], float_operation(r, in, as_float(v[0]), as_float(v[1]), as_float(v[2])));
        return true;
    }
    if (!whole_operation(r, in, v[0], v[1], v[2], &result))
        return false;
    set(t, &in->o[0], cut(result, in->type.bits * (in->mode == PTX_WIDE ? 2u : 1u)));
    return true;
}

static bool convert(struct run *r, struct thread *t, const struct ptx_insn *in)
{
    uint64_t v = get(r, t, &in->o[1]);
    struct ptx_type to = in->type, from = in->type2;
    _Float16 half;
    if (to.kind == PTX_FLOAT && from.kind == PTX_FLOAT && to.bits == 32 && from.bits == 16) {
        memcpy(&half, &v, 2);
        v = from_float((float)half);
    } else if (to.kind == PTX_FLOAT && from.kind == PTX_FLOAT && to.bits == 16 && from.bits == 32) {
        half = (_Float16)as_float(v);
        v = 0;
        memcpy(&v, &half, 2);
    } else if (to.kind == PTX_FLOAT && to.bits == 32 && from.kind == PTX_SIGNED) {
        v = from_float((float)extended(v, from.bits));
    } else if (to.kind == PTX_FLOAT && to.bits == 32 && from.kind == PTX_UNSIGNED) {
        v = from_float((float)cut(v, from.bits));
    } else if (to.kind != PTX_FLOAT && from.kind != PTX_FLOAT) {
        v = from.kind == PTX_SIGNED ? (uint64_t)extended(v, from.bits) : cut(v, from.bits);
        v = cut(v, to.bits);
    } else {
        return fail(r, in, "a conversion that is not known here");
    }
    set(t, &in->o[0], v);
    return true;
}

// Plain, or between a register and the parts of another.
static void move(struct run *r, struct thread *t, const struct ptx_insn *in)
{
    const struct ptx_operand *to = &in->o[0], *from = &in->o[1];
    if (to->kind == PTX_VECTOR) {
        unsigned part = in->type.bits / to->n;
        uint64_t v = get(r, t, from);
        for (unsigned i = 0; i < to->n; i++)
            t->reg[to->reg[i]] = cut(v >> (i * part), part);
    } else if (from->kind == PTX_VECTOR) {
        unsigned part = in->type.bits / from->n;
        uint64_t v = 0;
        for (unsigned i = 0; i < from->n; i++)
            v |= cut(t->reg[from->reg[i]], part) << (i * part);
        set(t, to, v);
    } else {
        set(t, to, cut(get(r, t, from), in->type.bits));
    }
}

// One instruction; false when the thread waits, has ended, or failed.
static bool step(struct run *r, struct thread *t)
{
    const struct ptx_insn *in = &r->k->code[t->pc++];
    if (in->guarded && (t->reg[in->guard] != 0) == in->guard_not)
        return true;
    switch (in->op) {
    case PTX_MOV:
    case PTX_CVTA:
        move(r, t, in);
        return true;
    case PTX_LD:
        return load(r, t, in);
    case PTX_ST:
        return store(r, t, in);
    case PTX_SETP:
        set(t, &in->o[0], compare(in, get(r, t, &in->o[1]), get(r, t, &in->o[2])));
        return true;
    case PTX_SELP:
        set(t, &in->o[0], get(r, t, &in->o[get(r, t, &in->o[3]) ? 1 : 2]));
        return true;
    case PTX_BRA:
        t->pc = in->target;
        return true;
    case PTX_BAR:
        t->state = AT_BARRIER;
        return false;
    case PTX_SHFL:
        t->state = AT_EXCHANGE;
        return false;
    case PTX_RET:
        t->state = ENDED;
        return false;
    case PTX_CVT:
        return convert(r, t, in);
    case PTX_DP4A:
        set(t, &in->o[0],
            (uint32_t)dot4((uint32_t)get(r, t, &in->o[1]), (uint32_t)get(r, t, &in->o[2]),
                           (int32_t)get(r, t, &in->o[3])));
        return true;
    default:
        return arithmetic(r, t, in);
    }
}

// --- Threads together

static void run_thread(struct run *r, unsigned self)
{
    struct thread *t = &r->threads[self];
    r->self = self;
    while (!r->failed && t->state == RUNNING) {
        if (++r->steps > STEPS_MAX)
            fail(r, &r->k->code[t->pc], "does not come to an end");
        else
            step(r, t);
    }
}

// shfl.sync.bfly of a whole warp: all its threads must be at the same one.
static bool exchange(struct run *r, unsigned first, unsigned n)
{
    uint64_t given[WARP];
    const struct ptx_insn *in = &r->k->code[r->threads[first].pc - 1];
    for (unsigned i = 0; i < n; i++) {
        struct thread *t = &r->threads[first + i];
        if (t->state != AT_EXCHANGE || t->pc != r->threads[first].pc || n != WARP)
            return fail(r, in, "not all threads of a warp are at the exchange");
        given[i] = get(r, t, &in->o[1]);
    }
    for (unsigned i = 0; i < n; i++) {
        struct thread *t = &r->threads[first + i];
        set(t, &in->o[0], given[i ^ (unsigned)get(r, t, &in->o[2])]);
        t->state = RUNNING;
    }
    return true;
}

// Runs every thread as far as it goes; true while there was one.
static bool advance(struct run *r)
{
    unsigned n = r->grid->threads;
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        unsigned self = r->grid->backwards ? n - 1 - i : i;
        any = any || r->threads[self].state == RUNNING;
        run_thread(r, self);
    }
    for (unsigned first = 0; first < n && !r->failed; first += WARP)
        for (unsigned i = first; i < first + WARP && i < n; i++)
            if (r->threads[i].state == AT_EXCHANGE) {
                exchange(r, first, n - first < WARP ? n - first : WARP);
                break;
            }
    return any && !r->failed;
}

// All that have not ended must be at one barrier; false when all have ended.
static bool release(struct run *r)
{
    const struct thread *at = NULL;
    for (unsigned i = 0; i < r->grid->threads; i++) {
        const struct thread *t = &r->threads[i];
        if (t->state == ENDED)
            continue;
        if (at && t->pc != at->pc)
            return fail(r, &r->k->code[t->pc - 1], "threads are at different barriers");
        at = t;
    }
    for (unsigned i = 0; i < r->grid->threads; i++)
        if (r->threads[i].state == AT_BARRIER)
            r->threads[i].state = RUNNING;
    r->m->epoch++;
    return at;
}

static void run_block(struct run *r)
{
    memset(r->m->shared, 0xFF, r->m->shared_used); // not-a-number
    memset(r->registers, 0xFF, r->grid->threads * r->k->n_registers * sizeof *r->registers);
    for (unsigned i = 0; i < r->grid->threads; i++)
        r->threads[i] = (struct thread){r->registers + i * r->k->n_registers, 0, RUNNING};
    r->m->epoch++;
    r->steps = 0;
    do
        while (advance(r))
            ;
    while (!r->failed && release(r));
}

bool ptx_run(struct ptx_module *m, const struct ptx_kernel *k, const struct ptx_grid *grid,
             const void *param, ptx_may_fn *may, char *error, size_t error_size)
{
    struct run r = {
        .m = m, .k = k, .grid = grid, .may = may, .error = error, .error_size = error_size};
    r.threads = calloc(grid->threads, sizeof *r.threads);
    r.registers = calloc(grid->threads * (k->n_registers + 1), sizeof *r.registers);
    if (!r.threads || !r.registers)
        abort();
    memcpy(m->param, param, k->param_bytes);
    for (unsigned i = 0; i < grid->x * grid->y && !r.failed; i++) {
        unsigned block = grid->backwards ? grid->x * grid->y - 1 - i : i;
        r.block_x = block % grid->x;
        r.block_y = block / grid->x;
        run_block(&r);
    }
    free(r.threads);
    free(r.registers);
    return !r.failed;
}
