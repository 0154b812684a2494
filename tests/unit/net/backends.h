// Run one list of tests on each backend of the loop that this system has.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/loop.h"

static enum loop_backend backend;

UNUSED static struct loop *new_loop(void)
{
    struct loop *l = NULL;
    assert_int_equal(loop_new(backend, &l, NULL), ERR_OK);
    return l;
}

// Turn until *done or `ms` are over; says whether it was done.
UNUSED static bool turn_until(struct loop *l, const volatile bool *done, uint32_t ms)
{
    for (uint32_t i = 0; i < ms && !*done; i++)
        loop_run_once(l, 1);
    return *done;
}

#define RUN_ON_BACKENDS(tests)                                                                     \
    ({                                                                                             \
        int failed_ = 0;                                                                           \
        struct loop *try_ = NULL;                                                                  \
        backend = LOOP_BACKEND_POLL;                                                               \
        failed_ += cmocka_run_group_tests_name(__FILE__ " (poll)", tests, NULL, NULL);             \
        backend = LOOP_BACKEND_EPOLL;                                                              \
        if (loop_new(backend, &try_, NULL) == ERR_OK) {                                            \
            loop_free(try_);                                                                       \
            failed_ += cmocka_run_group_tests_name(__FILE__ " (epoll)", tests, NULL, NULL);        \
        }                                                                                          \
        failed_;                                                                                   \
    })
