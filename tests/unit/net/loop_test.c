// REQ: API-11
#include <unistd.h>

#include <sys/socket.h>

#include "backends.h"

#include "base/clock.h"
#include "base/thread.h"

static void set_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static void count_up(void *ctx)
{
    (*(int *)ctx)++;
}

// --- timers

static void a_timer_fires_once_and_not_early(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct loop_timer t;
    int fired = 0;
    uint64_t began = clock_mono_ms();
    loop_timer_init(&t, count_up, &fired);
    loop_timer_set(l, &t, 20);
    assert_true(loop_timer_armed(&t));
    for (int i = 0; i < 500 && !fired; i++)
        loop_run_once(l, 100);
    assert_int_equal(fired, 1);
    assert_true(clock_mono_ms() - began >= 19);
    assert_false(loop_timer_armed(&t));
    loop_run_once(l, 5);
    assert_int_equal(fired, 1);
    loop_free(l);
}

static void a_cancelled_timer_is_silent_and_setting_moves_it(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct loop_timer a, b;
    int fired = 0;
    loop_timer_init(&a, count_up, &fired);
    loop_timer_init(&b, count_up, &fired);
    loop_timer_set(l, &a, 1);
    loop_timer_set(l, &b, 1);
    loop_timer_set(l, &b, 100000);
    loop_timer_cancel(&a);
    loop_timer_cancel(&a);
    for (int i = 0; i < 10; i++)
        loop_run_once(l, 2);
    assert_int_equal(fired, 0);
    assert_true(loop_timer_armed(&b));
    loop_timer_cancel(&b);
    loop_free(l);
}

struct rearm {
    struct loop *l;
    struct loop_timer t;
    int times;
};

static void set_again(void *ctx)
{
    struct rearm *r = ctx;
    r->times++;
    loop_timer_set(r->l, &r->t, 0);
}

static void a_timer_that_sets_itself_to_zero_does_not_hold_the_loop(void **state)
{
    (void)state;
    struct rearm r = {.l = new_loop()};
    loop_timer_init(&r.t, set_again, &r);
    loop_timer_set(r.l, &r.t, 0);
    for (int i = 0; i < 20; i++)
        loop_run_once(r.l, 2);
    assert_in_range(r.times, 5, 40);
    loop_timer_cancel(&r.t);
    loop_free(r.l);
}

// --- laters

struct chain {
    struct loop *l;
    struct loop_later w;
    int runs, *order, id;
};

static void run_chain(void *ctx)
{
    struct chain *c = ctx;
    if (++c->runs < 4)
        loop_later_set(c->l, &c->w);
}

static void what_a_later_schedules_runs_in_this_turn_and_then_in_the_next(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct chain c = {.l = l};
    loop_later_init(&c.w, run_chain, &c);
    loop_later_set(l, &c.w);
    loop_later_set(l, &c.w);
    uint64_t began = clock_mono_ms();
    loop_run_once(l, 10000);
    assert_int_equal(c.runs, 2);
    loop_run_once(l, 10000);
    assert_int_equal(c.runs, 4);
    assert_true(clock_mono_ms() - began < 5000);
    loop_later_set(l, &c.w);
    loop_later_cancel(&c.w);
    loop_run_once(l, 1);
    assert_int_equal(c.runs, 4);
    loop_free(l);
}

// --- posts and wakes

struct poster {
    struct loop *l;
    struct loop_wake *wake;
    int *counter;
    int times;
};

static void post_many(void *ctx)
{
    struct poster *p = ctx;
    for (int i = 0; i < p->times; i++)
        while (loop_post(p->l, count_up, p->counter) == ERR_BUSY)
            usleep(100);
}

static void every_post_of_every_thread_runs_once(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int counter = 0;
    struct poster p = {.l = l, .counter = &counter, .times = 5000};
    struct thread threads[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(thread_start(&threads[i], "poster", post_many, &p, NULL), ERR_OK);
    for (int i = 0; i < 100000 && counter < 15000; i++)
        loop_run_once(l, 10);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        thread_join(&threads[i]);
    loop_run_once(l, 1);
    assert_int_equal(counter, 15000);
    loop_free(l);
}

static void a_full_mailbox_says_busy(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int counter = 0, posted = 0;
    while (posted < 1000000 && loop_post(l, count_up, &counter) == ERR_OK)
        posted++;
    assert_in_range(posted, 1000, 100000);
    for (int i = 0; i < 1000 && counter < posted; i++)
        loop_run_once(l, 0);
    assert_int_equal(counter, posted);
    assert_int_equal(loop_post(l, count_up, &counter), ERR_OK);
    loop_free(l); // a post that never ran is freed, not run
    assert_int_equal(counter, posted);
}

static void signal_many(void *ctx)
{
    struct poster *p = ctx;
    for (int i = 0; i < p->times; i++)
        loop_wake_signal(p->wake);
}

static void many_signals_become_few_calls_and_the_last_is_never_lost(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct loop_wake w;
    int calls = 0;
    loop_wake_init(l, &w, count_up, &calls);
    for (int i = 0; i < 100; i++)
        loop_wake_signal(&w);
    loop_run_once(l, 100);
    assert_int_equal(calls, 1);
    struct poster p = {.l = l, .wake = &w, .times = 20000};
    struct thread t = {0};
    assert_int_equal(thread_start(&t, "signaller", signal_many, &p, NULL), ERR_OK);
    while (calls < 2)
        loop_run_once(l, 100);
    thread_join(&t);
    loop_run_once(l, 1); // what was still under way
    int before = calls;
    loop_wake_signal(&w);
    loop_run_once(l, 1000);
    assert_int_equal(calls, before + 1);
    loop_wake_done(&w);
    loop_free(l);
}

struct wakes {
    struct loop_wake a, b, c;
    int order[3], len;
};

static void wake_a(void *ctx)
{
    struct wakes *w = ctx;
    w->order[w->len++] = 1;
    loop_wake_done(&w->b);
}

static void wake_b(void *ctx)
{
    struct wakes *w = ctx;
    w->order[w->len++] = 2;
}

static void wake_c(void *ctx)
{
    struct wakes *w = ctx;
    w->order[w->len++] = 3;
}

static void a_done_wake_is_silent_even_when_already_signalled(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct wakes w = {.len = 0};
    loop_wake_init(l, &w.a, wake_a, &w);
    loop_wake_init(l, &w.b, wake_b, &w);
    loop_wake_init(l, &w.c, wake_c, &w);
    loop_wake_signal(&w.a);
    loop_wake_signal(&w.b);
    loop_wake_signal(&w.c);
    loop_run_once(l, 100);
    assert_int_equal(w.len, 2);
    assert_int_equal(w.order[0], 1);
    assert_int_equal(w.order[1], 3);
    loop_wake_done(&w.a);
    loop_wake_done(&w.c);
    loop_free(l);
}

static void stop_now(void *ctx)
{
    loop_stop(ctx);
}

static void run_ends_by_stop_and_knows_its_thread(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    struct loop_timer t;
    loop_timer_init(&t, stop_now, l);
    loop_timer_set(l, &t, 5);
    assert_false(loop_is_current(l));
    loop_run(l);
    loop_stop(l);
    loop_run(l); // the stop given before ends it at once
    loop_free(l);
}

// --- descriptors

struct watcher {
    struct loop *l;
    struct loop_fd fd, *victim;
    uint32_t got;
    int calls;
    bool drain;
};

static void watch(void *ctx, uint32_t events)
{
    struct watcher *w = ctx;
    char bytes[64];
    w->got |= events;
    w->calls++;
    while (w->drain && read(w->fd.fd, bytes, sizeof bytes) > 0) {
    }
    if (w->victim)
        loop_fd_remove(w->l, w->victim);
}

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void watch_fd(struct watcher *w, struct loop *l, int fd, uint32_t events)
{
    w->l = l;
    w->fd = (struct loop_fd){.fd = fd, .ready = watch, .ctx = w};
    assert_int_equal(loop_fd_add(l, &w->fd, events), ERR_OK);
}

static void an_event_that_came_unarmed_is_told_when_armed(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int fds[2];
    pair(fds);
    struct watcher w = {.drain = true};
    watch_fd(&w, l, fds[0], 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 5; i++)
        loop_run_once(l, 1);
    assert_int_equal(w.calls, 0);
    loop_fd_set(l, &w.fd, LOOP_READ);
    for (int i = 0; i < 5; i++)
        loop_run_once(l, 1);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.got, LOOP_READ);
    loop_fd_remove(l, &w.fd);
    close(fds[0]);
    close(fds[1]);
    loop_free(l);
}

static void a_descriptor_removed_in_the_same_turn_hears_nothing(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int one[2], two[2];
    pair(one);
    pair(two);
    struct watcher a = {.drain = true}, b = {.drain = true};
    watch_fd(&a, l, one[0], LOOP_READ);
    watch_fd(&b, l, two[0], LOOP_READ);
    a.victim = &b.fd;
    b.victim = &a.fd;
    assert_int_equal(write(one[1], "x", 1), 1);
    assert_int_equal(write(two[1], "x", 1), 1);
    loop_run_once(l, 100);
    loop_run_once(l, 1);
    assert_int_equal(a.calls + b.calls, 1);
    loop_fd_remove(l, &a.fd);
    loop_fd_remove(l, &b.fd);
    close(one[0]), close(one[1]), close(two[0]), close(two[1]);
    loop_free(l);
}

static void a_hangup_is_told_without_reading_and_does_not_spin(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int fds[2];
    pair(fds);
    struct watcher w = {0};
    watch_fd(&w, l, fds[0], LOOP_HANGUP);
    assert_int_equal(write(fds[1], "unread", 6), 6);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < 20; i++)
        loop_run_once(l, 1);
    assert_true(w.got & LOOP_HANGUP);
    assert_in_range(w.calls, 1, 2);
    close(fds[1]);
    for (int i = 0; i < 20; i++)
        loop_run_once(l, 1);
    assert_in_range(w.calls, 1, 3);
    loop_fd_remove(l, &w.fd);
    close(fds[0]);
    loop_free(l);
}

static void slots_are_used_again(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    int fds[2];
    pair(fds);
    struct watcher w = {.drain = true};
    for (int i = 0; i < 1000; i++) {
        watch_fd(&w, l, fds[0], LOOP_READ);
        loop_fd_remove(l, &w.fd);
    }
    struct watcher last = {.drain = true};
    watch_fd(&last, l, fds[0], LOOP_READ);
    assert_true(last.fd.slot < 4);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_run_once(l, 100);
    assert_int_equal(last.calls, 1);
    loop_fd_remove(l, &last.fd);
    close(fds[0]), close(fds[1]);
    loop_free(l);
}

// --- health

static void be_slow(void *ctx)
{
    uint64_t began = clock_mono_ms();
    while (clock_mono_ms() - began < 6) {
    }
    *(bool *)ctx = true;
}

static void a_slow_callback_is_counted_and_named(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    bool done = false;
    struct loop_timer t;
    loop_timer_init(&t, be_slow, &done);
    loop_timer_set(l, &t, 1);
    assert_true(turn_until(l, &done, 1000));
    const struct loop_stats *s = loop_stats(l);
    assert_true(s->callbacks_over_1ms >= 1);
    assert_true(s->slowest_us >= 5000);
    assert_ptr_equal(s->slowest, be_slow);
    assert_true(histogram_quantile(&s->lag_us, 1.0) >= 5000);
    loop_stats_reset(l);
    assert_int_equal(loop_stats(l)->slowest_us, 0);
    loop_free(l);
}

static void a_waiting_loop_runs_nothing(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    void (*function)(void);
    uint64_t us;
    loop_run_once(l, 1);
    assert_false(loop_running(l, &function, &us));
    loop_free(l);
}

static void it_takes_posts_from_its_own_thread(void **state)
{
    (void)state;
    struct loop *l = new_loop();
    bool done = false;
    assert_int_equal(loop_post(l, set_flag, &done), ERR_OK);
    assert_false(done);
    loop_run_once(l, 100);
    assert_true(done);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_once_and_not_early),
        cmocka_unit_test(a_cancelled_timer_is_silent_and_setting_moves_it),
        cmocka_unit_test(a_timer_that_sets_itself_to_zero_does_not_hold_the_loop),
        cmocka_unit_test(what_a_later_schedules_runs_in_this_turn_and_then_in_the_next),
        cmocka_unit_test(every_post_of_every_thread_runs_once),
        cmocka_unit_test(a_full_mailbox_says_busy),
        cmocka_unit_test(many_signals_become_few_calls_and_the_last_is_never_lost),
        cmocka_unit_test(a_done_wake_is_silent_even_when_already_signalled),
        cmocka_unit_test(run_ends_by_stop_and_knows_its_thread),
        cmocka_unit_test(an_event_that_came_unarmed_is_told_when_armed),
        cmocka_unit_test(a_descriptor_removed_in_the_same_turn_hears_nothing),
        cmocka_unit_test(a_hangup_is_told_without_reading_and_does_not_spin),
        cmocka_unit_test(slots_are_used_again),
        cmocka_unit_test(a_slow_callback_is_counted_and_named),
        cmocka_unit_test(a_waiting_loop_runs_nothing),
        cmocka_unit_test(it_takes_posts_from_its_own_thread),
    };
    return RUN_ON_BACKENDS(tests);
}
