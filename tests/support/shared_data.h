// Where the data lies that tests share and the repository does not carry: $WEIR_TEST_DATA, by
// default ../shared beside the repository. Tests skip by name what is not there.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// The path of a file or folder below the shared data, or NULL when it is absent. Valid until the
// eighth call from now; one thread.
const char *shared_data_path(const char *relative);
// The repository's own root ($WEIR_SOURCE_DIR, else the working directory).
const char *shared_data_source_dir(void);
