#include "cli/print.h"

#include <stdio.h>

#include "cli/command.h"

#include "base/banned.h"

int print_and_done(struct buf *out)
{
    const char *bytes = buf_ptr(out); // NULL when nothing was written
    bool good = !out->failed && (!bytes || fwrite(bytes, 1, out->len, stdout) == out->len);
    good = fflush(stdout) == 0 && good;
    buf_done(out);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}
