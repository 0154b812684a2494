#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define BASE_HAS_BACKTRACE
#endif

#include "base/banned.h"

void base_assert_failed(const char *expr, const char *file, int line, const char *func)
{
    fprintf(stderr, "weir: assertion failed: %s (%s:%d, %s)\n", expr, file, line, func);
    fflush(stderr);
#ifdef BASE_HAS_BACKTRACE
    void *frames[48];
    int count = (int)backtrace(frames, (int)ARRAY_LEN(frames));
    backtrace_symbols_fd(frames, count, STDERR_FILENO); // allocates nothing
#endif
    abort();
}
