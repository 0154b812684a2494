// How many rows of prompts a step takes: learned from measured times, which are not proportional to
// the rows, change with the machine, and are wrong once in a while. Time is made up here.
//
// REQ: ENG-3
#include "engine/pace.h"
#include "support/unit.h"

enum { STEPS = 200 };

// A machine: a pass takes `base` however few its rows are, rows beyond `free` cost.
struct machine {
    double base_us, row_us;
    uint32_t free_rows;
};

static double pass_us(const struct machine *m, uint32_t rows)
{
    return m->base_us + m->row_us * (rows > m->free_rows ? rows - m->free_rows : 0);
}

static uint32_t plan(const struct pace *alone, const struct pace *beside, double usual_us,
                     uint32_t n_prompts)
{
    struct pace_step s = {alone, beside, usual_us, n_prompts};
    uint32_t rows = pace_prompt_rows(&s);
    return rows < 4 ? 4 : rows > 512 ? 512 : rows;
}

// Steps of a stream's row and as many of a prompt as is thought bearable.
static uint32_t run_beside(struct pace *beside, const struct machine *m, uint32_t n_prompts,
                           double *ret_longest)
{
    const struct pace alone = {0};
    double usual = pass_us(m, 1), longest = 0;
    uint32_t rows = 0;
    for (int i = 0; i < STEPS; i++) {
        rows = plan(&alone, beside, usual, n_prompts);
        double us = pass_us(m, rows + 1);
        longest = us > longest ? us : longest;
        pace_note(beside, rows, us - usual);
    }
    *ret_longest = longest / usual;
    return rows;
}

static void test_a_lone_prompt_stretches_no_step_too_far(void **state)
{
    (void)state;
    const struct machine machines[] = {
        {7000, 350, 0}, {20000, 650, 16}, {4000, 100, 0}, {100000, 5000, 8}, {500, 500, 0}};
    for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
        struct pace beside = {0};
        const struct machine *m = &machines[i];
        double longest, bearable = 2 * pass_us(m, 1);
        uint32_t rows = run_beside(&beside, m, 1, &longest);
        if (m->row_us < m->base_us) // else even the fewest rows are too many
            assert_true(longest < 3);
        // And it takes what it may: one size more would be too much.
        assert_true(pass_us(m, rows + 1 + rows / 2) > bearable);
    }
}

static void test_many_prompts_may_take_more_of_the_time(void **state)
{
    (void)state;
    const struct machine m = {20000, 650, 16};
    struct pace one = {0}, many = {0};
    double longest_one, longest_many;
    uint32_t rows_one = run_beside(&one, &m, 1, &longest_one);
    uint32_t rows_many = run_beside(&many, &m, 8, &longest_many);
    assert_true(rows_many > 2 * rows_one);
    assert_true(longest_many * pass_us(&m, 1) < 20000 + 1.3 * 100000);
}

static void test_one_measurement_that_was_wrong_is_not_believed_for_ever(void **state)
{
    (void)state;
    const struct machine m = {7000, 100, 0};
    struct pace beside = {0};
    double longest;
    pace_note(&beside, 16, 400000);
    assert_int_equal(plan(&(struct pace){0}, &beside, 7000, 1), 4);
    assert_true(run_beside(&beside, &m, 1, &longest) > 48);
}

static void test_all_sizes_follow_when_the_machine_becomes_slower(void **state)
{
    (void)state;
    struct pace p = {0};
    for (int i = 0; i < 20; i++) {
        pace_note(&p, 16, 5000);
        pace_note(&p, 32, 9000);
    }
    assert_in_range((int)pace_us(&p, 24), 6500, 7500);
    for (int i = 0; i < 10; i++)
        pace_note(&p, 16, 10000);
    assert_true(pace_us(&p, 32) > 15000);
}

// Alone nobody waits for his next token: all weights are read as seldom as the time allows.
static void test_prompts_alone_are_cut_by_time_and_not_below_what_a_pass_takes_anyway(void **state)
{
    (void)state;
    const struct machine fast = {20000, 500, 16}, flat = {400000, 0, 0};
    const struct pace beside = {0};
    struct pace alone = {0};
    for (int i = 0; i < STEPS; i++) {
        uint32_t rows = plan(&alone, &beside, 0, 1);
        pace_note(&alone, rows, pass_us(&fast, rows));
    }
    assert_in_range((int)pass_us(&fast, plan(&alone, &beside, 0, 1)), 150000, 210000);
    alone = (struct pace){0};
    uint32_t large = 0;
    for (int i = 0; i < STEPS; i++) {
        uint32_t rows = plan(&alone, &beside, 0, 1);
        pace_note(&alone, rows, pass_us(&flat, rows));
        large += rows == 512;
    }
    assert_true(large > STEPS * 4 / 5); // but for now and then one that looks whether fewer help
}

// Where the clock ends a step, and not what was expected of it.
static void test_a_step_in_stages_has_its_time_from_those_who_answer_and_wait(void **state)
{
    (void)state;
    const struct pace none = {0};
    struct pace_step s = {&none, &none, 0, 1};
    assert_int_equal(pace_step_us(&s), 0); // nobody answers: it goes to its end
    s.usual_us = 5000;
    assert_in_range(pace_step_us(&s), 8000, 10000);
    s.n_prompts = 4;
    assert_int_equal(pace_step_us(&s), 25000);
    s.n_prompts = 400;
    assert_int_equal(pace_step_us(&s), 105000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lone_prompt_stretches_no_step_too_far),
        cmocka_unit_test(test_many_prompts_may_take_more_of_the_time),
        cmocka_unit_test(test_one_measurement_that_was_wrong_is_not_believed_for_ever),
        cmocka_unit_test(test_all_sizes_follow_when_the_machine_becomes_slower),
        cmocka_unit_test(test_a_step_in_stages_has_its_time_from_those_who_answer_and_wait),
        cmocka_unit_test(test_prompts_alone_are_cut_by_time_and_not_below_what_a_pass_takes_anyway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
