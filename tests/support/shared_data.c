#include "support/shared_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *shared_data_source_dir(void)
{
    const char *dir = getenv("WEIR_SOURCE_DIR");
    return dir && *dir ? dir : ".";
}

const char *shared_data_path(const char *relative)
{
    static char paths[8][1024];
    static size_t turn;
    char *path = paths[turn++ % 8];
    const char *root = getenv("WEIR_TEST_DATA");
    if (root && *root)
        snprintf(path, sizeof paths[0], "%s/%s", root, relative);
    else
        snprintf(path, sizeof paths[0], "%s/../shared/%s", shared_data_source_dir(), relative);
    return access(path, R_OK) == 0 ? path : NULL;
}
