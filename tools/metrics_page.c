// metrics_page: writes docs/metrics.md from the table of metrics. Run by scripts/docs.
#include <stdio.h>

#include "telemetry/exposition.h"
#include "telemetry/names.h"

#include "base/banned.h"

int main(void)
{
    struct buf page;
    buf_init(&page, 1 << 20);
    bool ok = exposition_markdown(names_table, &page) == ERR_OK &&
              fwrite(buf_ptr(&page), 1, page.len, stdout) == page.len;
    buf_done(&page);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
