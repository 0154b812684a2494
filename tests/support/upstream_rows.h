// A test of rows (upstream_log.h) and nothing else is this one line: UPSTREAM_ROWS_TEST(rows).
#pragma once

#include "support/unit.h"
#include "support/upstream_log.h"

static inline void upstream_rows_check(const struct upstream_row *rows, size_t len)
{
    struct buf said;
    buf_init(&said, 1 << 20);
    if (!upstream_rows_hold(rows, len, &said))
        fail_msg("%s", buf_cstr(&said));
    buf_done(&said);
}

#define UPSTREAM_ROWS_TEST(rows)                                                                   \
    static void answers_become_events_however_they_are_cut(void **state)                           \
    {                                                                                              \
        (void)state;                                                                               \
        upstream_rows_check(rows, ARRAY_LEN(rows));                                                \
    }                                                                                              \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {                                                        \
            cmocka_unit_test(answers_become_events_however_they_are_cut),                          \
        };                                                                                         \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }
