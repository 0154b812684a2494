// The compute team: every member works, barriers and waits hold, an idle team sleeps, the caller's
// floating-point mode is its own again.
// REQ: ENG-6
#include <fenv.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "engine/kernel/progress.h"
#include "engine/kernel/team.h"
#include "support/unit.h"

#define PHASES 200

struct count {
    struct team *team;
    atomic_size_t arrived[PHASES];
    atomic_bool too_early;
    bool rounds_up[8];
};

// Asked of the arithmetic itself: fegetround tells of the other unit on x86.
static bool rounds_up(void)
{
    volatile float one = 1.0f, little = 0x1p-30f;
    return one + little > 1.0f;
}

static void count_phases(void *ctx, size_t member, size_t size)
{
    struct count *c = ctx;
    c->rounds_up[member] = rounds_up();
    for (int p = 0; p < PHASES; p++) {
        atomic_fetch_add(&c->arrived[p], 1);
        team_barrier(c->team);
        if (atomic_load(&c->arrived[p]) != size)
            atomic_store(&c->too_early, true);
    }
}

static void members_meet_at_barriers(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 5; size++) {
        struct count c = {0};
        struct diag d;
        assert_int_equal(team_new(size, &c.team, &d), ERR_OK);
        assert_int_equal(team_size(c.team), size);
        for (int run = 0; run < 20; run++) {
            for (int p = 0; p < PHASES; p++)
                atomic_store(&c.arrived[p], 0);
            team_run(c.team, count_phases, &c);
            assert_false(atomic_load(&c.too_early));
        }
        team_free(c.team);
    }
}

static void the_rounding_mode_is_set_and_put_back(void **state)
{
    (void)state;
    struct count c = {0};
    struct diag d;
    assert_int_equal(team_new(2, &c.team, &d), ERR_OK);
    fesetround(FE_UPWARD);
    team_run(c.team, count_phases, &c);
    assert_true(rounds_up());
    fesetround(FE_TONEAREST);
    assert_false(c.rounds_up[0]);
    assert_false(c.rounds_up[1]);
    team_free(c.team);
}

// Each member waits for the one before it, round by round.
struct relay {
    struct progress done[8];
    size_t order[8 * PHASES];
    atomic_size_t n;
};

static void run_relay(void *ctx, size_t member, size_t size)
{
    struct relay *r = ctx;
    for (unsigned round = 1; round <= PHASES; round++) {
        if (member > 0)
            progress_reach(&r->done[member - 1], round);
        else if (round > 1)
            progress_reach(&r->done[size - 1], round - 1);
        r->order[atomic_fetch_add(&r->n, 1)] = member;
        progress_advance(&r->done[member]);
    }
}

static void who_waits_sees_what_was_done_before(void **state)
{
    (void)state;
    for (size_t size = 2; size <= 5; size++) {
        struct relay r = {.n = 0};
        struct team *t;
        struct diag d;
        assert_int_equal(team_new(size, &t, &d), ERR_OK);
        for (size_t i = 0; i < size; i++)
            progress_init(&r.done[i]);
        for (int again = 0; again < 3; again++) {
            atomic_store(&r.n, 0);
            team_run(t, run_relay, &r);
            for (size_t i = 0; i < size * PHASES; i++)
                assert_int_equal(r.order[i], i % size);
            for (size_t i = 0; i < size; i++)
                progress_reset(&r.done[i]);
        }
        for (size_t i = 0; i < size; i++)
            progress_done(&r.done[i]);
        team_free(t);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void an_idle_team_sleeps(void **state)
{
    (void)state;
    struct count c = {0};
    struct diag d;
    assert_int_equal(team_new(4, &c.team, &d), ERR_OK);
    team_run(c.team, count_phases, &c);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    double before = cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true(cpu_seconds() - before < 0.02);
    team_run(c.team, count_phases, &c); // and wakes
    team_free(c.team);
}

static void absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct team *t;
    struct diag d = {0};
    assert_int_equal(team_new(0, &t, &d), ERR_INVALID);
    assert_int_equal(team_new(5000, &t, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "5000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_meet_at_barriers),
        cmocka_unit_test(who_waits_sees_what_was_done_before),
        cmocka_unit_test(the_rounding_mode_is_set_and_put_back),
        cmocka_unit_test(an_idle_team_sleeps),
        cmocka_unit_test(absurd_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
