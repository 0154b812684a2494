#include "net/loop_internal.h"

#include <sched.h>

#include "base/clock.h"
#include "base/mem.h"

#include "base/banned.h"

enum { POSTS_MAX = 4096, SLOW_US = 1000, RUNS_A_TURN_MAX = 1024, LATER_ROUNDS = 2 };

struct post {
    void (*run)(void *ctx);
    void *ctx;
};

static _Thread_local const struct loop *current;

// --- What runs, and for how long

void loop_note(struct loop *l, void (*function)(void))
{
    atomic_store_explicit(&l->running, function, memory_order_relaxed);
}

static void left(struct loop *l)
{
    uint64_t now = clock_mono_ns();
    uint64_t took_us = (now - l->mark_ns) / 1000;
    if (UNLIKELY(took_us >= SLOW_US))
        l->stats.callbacks_over_1ms++;
    if (UNLIKELY(took_us > l->stats.slowest_us)) {
        l->stats.slowest_us = took_us;
        l->stats.slowest = atomic_load_explicit(&l->running, memory_order_relaxed);
    }
    l->mark_ns = now;
    l->busy = true;
    atomic_store_explicit(&l->running_since_ns, now, memory_order_relaxed);
}

static void call(struct loop *l, void (*run)(void *ctx), void *ctx)
{
    LOOP_NOTE(l, run);
    run(ctx);
    left(l);
}

bool loop_running(const struct loop *l, void (**ret_function)(void), uint64_t *ret_us)
{
    uint64_t since = atomic_load_explicit(&l->running_since_ns, memory_order_relaxed);
    uint64_t now = clock_mono_ns();
    if (since == 0)
        return false;
    *ret_function = atomic_load_explicit(&l->running, memory_order_relaxed);
    *ret_us = now > since ? (now - since) / 1000 : 0;
    return true;
}

enum stir { STIR_NONE, STIR_WANTED, STIR_RUNS };

// The watcher says what it wants and then looks whether a turn runs; the loop says that a turn runs
// and then looks whether it is wanted (both sequentially consistent): one of them sees the other.
bool loop_stir_once(struct loop *l, void (*stir)(void *ctx), void *ctx)
{
    loop_stir_quiet(l);
    l->stir = stir;
    l->stir_ctx = ctx;
    atomic_store(&l->stir_state, STIR_WANTED);
    return atomic_load(&l->running_since_ns) == 0;
}

void loop_stir_quiet(struct loop *l)
{
    int wanted = STIR_WANTED;
    if (!atomic_compare_exchange_strong(&l->stir_state, &wanted, STIR_NONE))
        while (atomic_load(&l->stir_state) == STIR_RUNS)
            sched_yield(); // it takes a lock and signals, no more
}

static void stir_watcher(struct loop *l)
{
    int wanted = STIR_WANTED;
    if (LIKELY(atomic_load(&l->stir_state) != STIR_WANTED) ||
        !atomic_compare_exchange_strong(&l->stir_state, &wanted, STIR_RUNS))
        return;
    l->stir(l->stir_ctx);
    atomic_store(&l->stir_state, STIR_NONE);
}

const struct loop_stats *loop_stats(const struct loop *l)
{
    return &l->stats;
}

void loop_stats_reset(struct loop *l)
{
    histogram_init(&l->stats.lag_us);
    l->stats.turns = l->stats.callbacks_over_1ms = l->stats.slowest_us = 0;
    l->stats.slowest = NULL;
}

char *loop_scratch(struct loop *l)
{
    return l->scratch;
}

// --- Descriptors

static uint32_t slot_take(struct loop *l)
{
    if (l->free_slot == LOOP_SLOT_NONE) {
        if (l->slots_len == l->slots_cap) {
            l->slots_cap = l->slots_cap ? l->slots_cap * 2 : 64;
            l->slots = mem_resize(l->slots, l->slots_cap, sizeof *l->slots);
        }
        l->slots[l->slots_len] = (struct loop_slot){.next_free = LOOP_SLOT_NONE};
        return l->slots_len++;
    }
    uint32_t slot = l->free_slot;
    l->free_slot = l->slots[slot].next_free;
    return slot;
}

static void slot_give(struct loop *l, uint32_t slot)
{
    l->slots[slot].f = NULL;
    l->slots[slot].generation++;
    l->slots[slot].next_free = l->free_slot;
    l->free_slot = slot;
}

enum err loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events)
{
    f->slot = slot_take(l);
    f->events = events;
    f->missed = 0;
    l->slots[f->slot].f = f;
    enum err e = l->ops->add(l, f);
    if (e != ERR_OK) {
        slot_give(l, f->slot);
        f->slot = LOOP_SLOT_NONE;
    }
    return e;
}

void loop_fd_set(struct loop *l, struct loop_fd *f, uint32_t events)
{
    uint32_t newly = events & ~f->events;
    if (events == f->events)
        return;
    f->events = events;
    l->ops->set(l, f, newly);
}

void loop_fd_remove(struct loop *l, struct loop_fd *f)
{
    if (f->slot == LOOP_SLOT_NONE)
        return;
    l->ops->remove(l, f);
    slot_give(l, f->slot);
    f->slot = LOOP_SLOT_NONE;
}

void loop_dispatch(struct loop *l, struct loop_fd *f, uint32_t events, bool remember)
{
    events |= f->missed;
    uint32_t armed = events & (f->events | LOOP_ERROR);
    f->missed = remember ? events & ~armed : 0;
    if (!armed)
        return;
    LOOP_NOTE(l, f->ready);
    f->ready(f->ctx, armed);
    left(l);
}

// --- Timers and laters

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

void loop_timer_init(struct loop_timer *t, void (*fire)(void *ctx), void *ctx)
{
    *t = (struct loop_timer){.fire = fire, .ctx = ctx};
}

void loop_timer_cancel(struct loop_timer *t)
{
    if (loop_timer_armed(t))
        timer_wheel_remove(t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t delay_ms)
{
    loop_timer_cancel(t);
    uint64_t due;
    if (__builtin_add_overflow(l->now_ms, delay_ms, &due))
        due = UINT64_MAX;
    timer_wheel_add(&l->wheel, t, due);
}

static void fire_timer(void *ctx, struct loop_timer *t)
{
    call(ctx, t->fire, t->ctx);
}

void loop_later_init(struct loop_later *w, void (*run)(void *ctx), void *ctx)
{
    *w = (struct loop_later){.run = run, .ctx = ctx};
}

void loop_later_set(struct loop *l, struct loop_later *w)
{
    if (w->next)
        return;
    w->prev = l->laters.prev;
    w->next = &l->laters;
    l->laters.prev->next = w;
    l->laters.prev = w;
}

void loop_later_cancel(struct loop_later *w)
{
    if (!w->next)
        return;
    w->prev->next = w->next;
    w->next->prev = w->prev;
    w->next = w->prev = NULL;
}

static void run_laters_of_now(struct loop *l)
{
    struct loop_later now = {.next = l->laters.next, .prev = l->laters.prev};
    if (now.next == &l->laters)
        return;
    now.next->prev = now.prev->next = &now;
    l->laters.next = l->laters.prev = &l->laters;
    while (now.next != &now) {
        struct loop_later *w = now.next;
        loop_later_cancel(w);
        call(l, w->run, w->ctx);
    }
}

static void run_laters(struct loop *l)
{
    for (int round = 0; round < LATER_ROUNDS; round++)
        run_laters_of_now(l);
}

// --- The mailbox

static void ring_doorbell(struct loop *l)
{
    if (!atomic_exchange(&l->rung, true))
        doorbell_ring(&l->doorbell);
}

enum err loop_post(struct loop *l, void (*run)(void *ctx), void *ctx)
{
    struct post *p = mem_try_alloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    *p = (struct post){run, ctx};
    if (!ring_mpsc_push(&l->posts, p)) {
        mem_free(p);
        return ERR_BUSY;
    }
    ring_doorbell(l);
    return ERR_OK;
}

void loop_wake_init(struct loop *l, struct loop_wake *w, void (*run)(void *ctx), void *ctx)
{
    w->loop = l;
    w->run = run;
    w->ctx = ctx;
    atomic_init(&w->state, 0);
    atomic_init(&w->next, NULL);
}

void loop_wake_signal(struct loop_wake *w)
{
    struct loop *l = w->loop;
    if (atomic_exchange(&w->state, 1) != 0)
        return; // already on its way
    struct loop_wake *top = atomic_load_explicit(&l->wakes, memory_order_relaxed);
    do
        atomic_store_explicit(&w->next, top, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&l->wakes, &top, w));
    ring_doorbell(l);
}

// Append what was signalled since the last time to `waiting`, the first signalled first.
static void take_wakes(struct loop *l)
{
    struct loop_wake *top = atomic_exchange(&l->wakes, NULL), *in_order = NULL;
    while (top) {
        struct loop_wake *next = atomic_load_explicit(&top->next, memory_order_relaxed);
        atomic_store_explicit(&top->next, in_order, memory_order_relaxed);
        in_order = top;
        top = next;
    }
    if (!l->waiting) {
        l->waiting = in_order;
        return;
    }
    struct loop_wake *last = l->waiting;
    for (struct loop_wake *n; (n = atomic_load_explicit(&last->next, memory_order_relaxed));)
        last = n;
    atomic_store_explicit(&last->next, in_order, memory_order_relaxed);
}

void loop_wake_done(struct loop_wake *w)
{
    struct loop *l = w->loop;
    if (!l)
        return;
    w->loop = NULL;
    if (atomic_load(&w->state) == 0)
        return;
    take_wakes(l);
    struct loop_wake *before = NULL, *at = l->waiting;
    while (at && at != w) {
        before = at;
        at = atomic_load_explicit(&at->next, memory_order_relaxed);
    }
    if (!at)
        return;
    struct loop_wake *next = atomic_load_explicit(&w->next, memory_order_relaxed);
    if (before)
        atomic_store_explicit(&before->next, next, memory_order_relaxed);
    else
        l->waiting = next;
}

static void run_wakes(struct loop *l)
{
    take_wakes(l);
    while (l->waiting) {
        struct loop_wake *w = l->waiting;
        l->waiting = atomic_load_explicit(&w->next, memory_order_relaxed);
        atomic_store(&w->state, 0); // before the call: a signal from now on is a new one
        call(l, w->run, w->ctx);
    }
}

static void run_posts(struct loop *l)
{
    // Bounded, so that a thread which posts as fast as the loop runs starves nobody.
    for (int i = 0; i < RUNS_A_TURN_MAX; i++) {
        struct post *p = ring_mpsc_pop(&l->posts);
        if (!p)
            return;
        struct post copy = *p;
        mem_free(p);
        call(l, copy.run, copy.ctx);
    }
    ring_doorbell(l);
}

static void answer_doorbell(void *ctx, uint32_t events UNUSED)
{
    struct loop *l = ctx;
    doorbell_hush(&l->doorbell);
    // Before looking: whoever adds after the look rings again.
    atomic_store(&l->rung, false);
    run_wakes(l);
    run_posts(l);
}

// --- Running

void loop_turn_began(struct loop *l)
{
    l->turn_began_ns = l->mark_ns = clock_mono_ns();
    l->now_ms = l->turn_began_ns / 1000000;
    l->busy = false;
    loop_note(l, NULL);
    atomic_store(&l->running_since_ns, l->mark_ns);
    stir_watcher(l);
}

static int wait_ms(struct loop *l, uint32_t max_wait_ms)
{
    if (l->laters.next != &l->laters)
        return 0;
    uint64_t next = timer_wheel_next_ms(&l->wheel), now = l->mark_ns / 1000000;
    if (next == UINT64_MAX)
        return max_wait_ms > INT32_MAX ? -1 : (int)max_wait_ms;
    uint64_t wait = next > now ? next - now : 0;
    return (int)(wait < max_wait_ms ? wait : max_wait_ms) & INT32_MAX;
}

static void turn(struct loop *l, uint32_t max_wait_ms)
{
    int wait = wait_ms(l, max_wait_ms);
    atomic_store_explicit(&l->running_since_ns, 0, memory_order_relaxed);
    l->ops->wait(l, wait);
    timer_wheel_advance(&l->wheel, l->now_ms, fire_timer, l);
    run_laters(l);
    l->stats.turns++;
    if (l->busy)
        histogram_add(&l->stats.lag_us, (l->mark_ns - l->turn_began_ns) / 1000);
}

void loop_run_once(struct loop *l, uint32_t max_wait_ms)
{
    const struct loop *outer = current;
    current = l;
    turn(l, max_wait_ms);
    atomic_store_explicit(&l->running_since_ns, 0, memory_order_relaxed);
    current = outer;
}

void loop_run(struct loop *l)
{
    const struct loop *outer = current;
    current = l;
    while (!atomic_exchange(&l->stopping, false))
        turn(l, UINT32_MAX);
    atomic_store_explicit(&l->running_since_ns, 0, memory_order_relaxed);
    current = outer;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stopping, true);
    ring_doorbell(l);
}

bool loop_is_current(const struct loop *l)
{
    return current == l;
}

// --- Life

static const struct loop_backend_ops *ops_of(enum loop_backend backend)
{
#if defined(__linux__) && !defined(WEIR_NET_PORTABLE)
    return backend == LOOP_BACKEND_POLL ? &loop_poll_ops : &loop_epoll_ops;
#else
    return backend == LOOP_BACKEND_EPOLL ? NULL : &loop_poll_ops;
#endif
}

static enum err open_doorbell(struct loop *l, struct diag *d)
{
    ERR_TRY(doorbell_init(&l->doorbell, l->ops == &loop_poll_ops, d));
    l->doorbell_fd = (struct loop_fd){
        .fd = l->doorbell.read_fd, .ready = answer_doorbell, .ctx = l, .slot = LOOP_SLOT_NONE};
    enum err e = loop_fd_add(l, &l->doorbell_fd, LOOP_READ);
    if (e != ERR_OK) {
        doorbell_done(&l->doorbell);
        return diag_set(d, e, "the event loop cannot watch its own doorbell");
    }
    return ERR_OK;
}

enum err loop_new(enum loop_backend backend, struct loop **ret, struct diag *d)
{
    const struct loop_backend_ops *ops = ops_of(backend);
    if (!ops)
        return diag_set(d, ERR_UNSUPPORTED, "this system has no epoll; use the poll backend");
    struct loop *l = mem_new(struct loop);
    l->ops = ops;
    l->free_slot = LOOP_SLOT_NONE;
    l->laters.next = l->laters.prev = &l->laters;
    l->mark_ns = clock_mono_ns();
    l->now_ms = l->mark_ns / 1000000;
    timer_wheel_init(&l->wheel, l->now_ms);
    loop_stats_reset(l);
    enum err e = ops->open(l, d);
    if (e == ERR_OK && (e = open_doorbell(l, d)) != ERR_OK)
        ops->close(l);
    if (e != ERR_OK) {
        mem_free(l->slots);
        mem_free(l);
        return e;
    }
    ring_mpsc_init(&l->posts, POSTS_MAX);
    l->scratch = mem_alloc(LOOP_SCRATCH_BYTES);
    *ret = l;
    return ERR_OK;
}

static void finish_laters(struct loop *l)
{
    while (l->laters.next != &l->laters)
        run_laters(l);
}

// Who has no owner left is told that there will be no more turns.
static void tell_end(struct loop *l)
{
    for (uint32_t i = 0; i < l->slots_len; i++) {
        struct loop_fd *f = l->slots[i].f;
        if (f && (f->events & LOOP_END))
            f->ready(f->ctx, LOOP_END);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    finish_laters(l);
    tell_end(l);
    finish_laters(l); // what was closed in the last turn, or just now, is freed here
    loop_fd_remove(l, &l->doorbell_fd);
    doorbell_done(&l->doorbell);
    l->ops->close(l);
    for (void *p; (p = ring_mpsc_pop(&l->posts));)
        mem_free(p);
    ring_mpsc_done(&l->posts);
    mem_free(l->slots);
    mem_free(l->scratch);
    mem_free(l);
}
