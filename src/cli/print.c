#include "cli/print.h"

#include <stdio.h>

#include "cli/command.h"

#include "base/banned.h"

int print_and_done(struct buf *out)
{
    bool good = !out->failed && fwrite(buf_ptr(out), 1, out->len, stdout) == out->len;
    good = fflush(stdout) == 0 && good;
    buf_done(out);
    return good ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}
