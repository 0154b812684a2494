// REQ: LIMIT-2 LIMIT-3
// Limits and budgets under virtual time and under many threads: what is let in never passes the
// bound, and what is given back comes back exactly.
#include "base/random.h"
#include "base/thread.h"
#include "gateway/budget.h"
#include "gateway/limit.h"
#include "gateway/money.h"
#include "support/unit.h"

#define SECOND_NS 1000000000ull
#define MINUTE_NS (60 * SECOND_NS)
#define DAY_MS    86400000ull

static struct limit limit_of(int64_t requests, int64_t tokens, int64_t concurrency)
{
    struct limit l;
    struct limit_rules rules = {requests, tokens, concurrency};
    limit_init(&l, &rules);
    return l;
}

static void a_minute_holds_its_requests_and_no_more(void **state)
{
    (void)state;
    struct limit l = limit_of(6, 0, 0);
    struct limit_refusal why;
    uint64_t now = 5 * MINUTE_NS;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(limit_requests(&l, now).remaining, 6 - i);
        assert_true(limit_take_request(&l, now, &why));
    }
    assert_false(limit_take_request(&l, now, &why));
    assert_int_equal(why.kind, LIMIT_REQUESTS);
    assert_int_equal(why.wait_ns, 10 * SECOND_NS); // one of six a minute
    assert_int_equal(limit_requests(&l, now).remaining, 0);
    assert_int_equal(limit_requests(&l, now).reset_ns, MINUTE_NS);
    assert_false(limit_take_request(&l, now + 10 * SECOND_NS - 1, &why));
    assert_true(limit_take_request(&l, now + 10 * SECOND_NS, &why));
    assert_false(limit_take_request(&l, now + 10 * SECOND_NS, &why));
}

static void without_a_rule_everything_is_let_in(void **state)
{
    (void)state;
    struct limit l = limit_of(0, 0, 0);
    struct limit_refusal why;
    for (int i = 0; i < 1000; i++) {
        assert_true(limit_take_request(&l, 1, &why));
        assert_true(limit_take_tokens(&l, 1, UINT64_MAX, &why));
        assert_true(limit_take_slot(&l, &why));
    }
    assert_int_equal(limit_requests(&l, 1).limit, 0);
}

static void what_was_reserved_and_not_used_comes_back(void **state)
{
    (void)state;
    struct limit l = limit_of(0, 1000, 0);
    struct limit_refusal why;
    uint64_t now = MINUTE_NS;
    assert_true(limit_take_tokens(&l, now, 900, &why));
    assert_false(limit_take_tokens(&l, now, 101, &why));
    limit_settle_tokens(&l, 900, 100);
    assert_int_equal(limit_tokens(&l, now).remaining, 900);
    assert_true(limit_take_tokens(&l, now, 900, &why));
    limit_settle_tokens(&l, 900, 1500); // more than was reserved: a debt
    assert_int_equal(limit_tokens(&l, now).remaining, 0);
    assert_false(limit_take_tokens(&l, now + 36 * SECOND_NS, 1, &why));
    assert_true(limit_take_tokens(&l, now + 37 * SECOND_NS, 1, &why));
}

static void a_full_bucket_stays_full_however_much_is_given_back(void **state)
{
    (void)state;
    struct limit l = limit_of(0, 100, 0);
    struct limit_refusal why;
    assert_true(limit_take_tokens(&l, MINUTE_NS, 100, &why));
    limit_settle_tokens(&l, 100, 0); // long after it has filled by itself
    uint64_t later = 100 * MINUTE_NS;
    assert_int_equal(limit_tokens(&l, later).remaining, 100);
    assert_true(limit_take_tokens(&l, later, 100, &why));
    assert_false(limit_take_tokens(&l, later, 1, &why));
}

static void what_can_never_fit_is_said_to_be_so(void **state)
{
    (void)state;
    struct limit l = limit_of(0, 100, 0);
    struct limit_refusal why;
    assert_false(limit_take_tokens(&l, MINUTE_NS, 101, &why));
    assert_true(why.never);
    assert_int_equal(limit_tokens(&l, MINUTE_NS).remaining, 100); // nothing was taken
    assert_true(limit_take_tokens(&l, MINUTE_NS, 100, &why));
    assert_false(limit_take_tokens(&l, MINUTE_NS, 1, &why));
    assert_false(why.never);
}

// Any schedule of requests over ten minutes: no window of one minute ever sees more than the bucket
// and what flowed in meanwhile, which is twice the rate in any minute and the rate on the long run.
static void no_schedule_gets_more_than_the_rate(void **state)
{
    (void)state;
    struct random random;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_seed(&random, seed);
        int64_t rate = (int64_t)random_below(&random, 5000) + 1;
        struct limit l = limit_of(0, rate, 0);
        struct limit_refusal why;
        uint64_t begun = MINUTE_NS, now = begun, used = 0;
        while (now < begun + 10 * MINUTE_NS) {
            uint64_t wanted = random_below(&random, (uint64_t)rate) + 1;
            if (limit_take_tokens(&l, now, wanted, &why)) {
                uint64_t spent = random_below(&random, wanted + 1);
                limit_settle_tokens(&l, wanted, spent);
                used += spent;
            }
            now += random_below(&random, SECOND_NS);
            uint64_t most = (uint64_t)rate + (now - begun) / 1000 * (uint64_t)rate / 60000000 + 1;
            assert_true(used <= most);
        }
    }
}

// --- Threads

#define THREADS 8
#define TRIES   20000

struct crowd {
    struct limit *limit;
    struct budget *budget;
    _Atomic int64_t in, most, tokens, money;
};

static void crowd_main(void *arg)
{
    struct crowd *c = arg;
    struct limit_refusal why;
    for (int i = 0; i < TRIES; i++) {
        if (!limit_take_slot(c->limit, &why))
            continue;
        int64_t in = atomic_fetch_add(&c->in, 1) + 1, most = atomic_load(&c->most);
        while (in > most && !atomic_compare_exchange_weak(&c->most, &most, in)) {
        }
        if (limit_take_tokens(c->limit, MINUTE_NS, 10, &why)) {
            limit_settle_tokens(c->limit, 10, 3);
            atomic_fetch_add(&c->tokens, 3);
        }
        if (budget_take(c->budget, DAY_MS, 10)) {
            budget_settle(c->budget, DAY_MS, DAY_MS, 10, 4);
            atomic_fetch_add(&c->money, 4);
        }
        atomic_fetch_sub(&c->in, 1);
        limit_return_slot(c->limit);
    }
}

static void many_threads_never_pass_a_bound(void **state)
{
    (void)state;
    struct limit l = limit_of(0, 30000, 3);
    struct budget b;
    struct thread threads[THREADS] = {0};
    budget_init(&b, 40000, BUDGET_TOTAL, 0, DAY_MS);
    struct crowd c = {.limit = &l, .budget = &b};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "crowd", crowd_main, &c, NULL), ERR_OK);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_in_range(c.most, 1, 3);
    assert_int_equal(atomic_load(&l.running), 0);
    assert_in_range(c.tokens, 30000 - 3 * 10 - 10, 30000);
    assert_int_equal(limit_tokens(&l, MINUTE_NS).remaining, 30000 - c.tokens);
    assert_in_range(c.money, 40000 - 3 * 10 - 10, 40000);
    assert_int_equal(budget_spent(&b, DAY_MS), c.money);
}

// --- Budgets

static void a_budget_begins_anew_with_its_period(void **state)
{
    (void)state;
    struct budget b;
    uint64_t day = 20779 * DAY_MS; // 2026-11-22
    budget_init(&b, 100, BUDGET_DAY, 60, day);
    assert_false(budget_take(&b, day, 41));
    assert_true(budget_take(&b, day, 40));
    assert_false(budget_take(&b, day + DAY_MS - 1, 1));
    assert_int_equal(budget_ends_ms(&b, day + 5), day + DAY_MS);
    assert_true(budget_take(&b, day + DAY_MS, 100));
    budget_settle(&b, day, day + DAY_MS, 40, 10); // of the day before: today's stays as it is
    assert_int_equal(budget_spent(&b, day + DAY_MS), 100);
    budget_settle(&b, day + DAY_MS, day + DAY_MS, 100, 30);
    assert_int_equal(budget_spent(&b, day + DAY_MS), 30);
}

static void months_are_those_of_the_calendar(void **state)
{
    (void)state;
    struct budget b;
    uint64_t february = 19754 * DAY_MS; // 2024-02-01, a leap year
    budget_init(&b, 100, BUDGET_MONTH, 0, february);
    assert_int_equal(budget_ends_ms(&b, february), february + 29 * DAY_MS);
    assert_true(budget_take(&b, february + 29 * DAY_MS - 1, 100));
    assert_false(budget_take(&b, february + 29 * DAY_MS - 1, 1));
    assert_true(budget_take(&b, february + 29 * DAY_MS, 100));
    budget_init(&b, 0, BUDGET_TOTAL, 0, february);
    assert_false(budget_take(&b, february, 0)); // nothing at all
    assert_int_equal(budget_ends_ms(&b, february), 0);
    budget_init(&b, -1, BUDGET_TOTAL, 0, february);
    assert_true(budget_take(&b, february, INT64_MAX / 2));
}

// --- Money

static void money_is_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t nano;
    } good[] = {{"0", 0},           {"2.5", 2500000000}, {"10", 10000000000},
                {"0.000000001", 1}, {"0.1", 100000000},  {"9223372036.854775807", INT64_MAX}};
    static const char *const bad[] = {
        "",    ".",   "1.",    ".5",           "-1", "1e3",
        "1,5", "0x1", "1.2.3", "0.0000000001", "1 ", "9223372036.854775808"};
    char text[MONEY_TEXT_MAX];
    int64_t nano;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(money_parse(str_of(good[i].text), &nano), ERR_OK);
        assert_int_equal(nano, good[i].nano);
        assert_string_equal(money_text(nano, text), good[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_not_equal(money_parse(str_of(bad[i]), &nano), ERR_OK);
    assert_string_equal(money_text(-1500000000, text), "-1.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_holds_its_requests_and_no_more),
        cmocka_unit_test(without_a_rule_everything_is_let_in),
        cmocka_unit_test(what_was_reserved_and_not_used_comes_back),
        cmocka_unit_test(a_full_bucket_stays_full_however_much_is_given_back),
        cmocka_unit_test(what_can_never_fit_is_said_to_be_so),
        cmocka_unit_test(no_schedule_gets_more_than_the_rate),
        cmocka_unit_test(many_threads_never_pass_a_bound),
        cmocka_unit_test(a_budget_begins_anew_with_its_period),
        cmocka_unit_test(months_are_those_of_the_calendar),
        cmocka_unit_test(money_is_read_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
