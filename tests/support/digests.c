#include "support/digests.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "support/shared_data.h"

void digests_add(struct buf *lines, const char *what, str bytes)
{
    unsigned long long hash = str_hash_stable(bytes);
    if (buf_printf(lines, "%s %016llx\n", what, hash) != ERR_OK)
        abort();
}

bool digests_are_recorded(const char *file, const char *computed_by, const struct buf *lines)
{
    char path[512];
    struct buf recorded;
    struct diag d = {0};
    snprintf(path, sizeof path, "%s/tests/data/%s", shared_data_source_dir(), file);
    if (fs_read(path, 64u << 10, &recorded, &d) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", path, d.text);
        return false;
    }
    bool same = str_eq(buf_str(lines), buf_str(&recorded));
    if (!same)
        fprintf(stderr, "%s computes other bits than tests/data/%s holds:\n" STR_FMT, computed_by,
                file, STR_ARG(buf_str(lines)));
    buf_done(&recorded);
    return same;
}
