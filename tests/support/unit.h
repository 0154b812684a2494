// cmocka and the headers that it wants before it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// An assertion that fails does not come back. cmocka's macros do not say so to the analysers.
#if defined(__clang_analyzer__) || defined(__cppcheck__)
#include <stdlib.h>
#undef assert_true
#undef assert_non_null
#undef skip
#define skip()             abort()
#define assert_true(c)     ((c) ? (void)0 : abort())
#define assert_non_null(p) assert_true((p) != NULL)
#endif
