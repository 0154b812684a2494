// A file that is there whole or not at all: written beside its place, synced, and only then given
// its name. Where the system can, it has no name until then, so that a killed process leaves
// nothing; else it is PATH.RANDOM.tmp. One owner, one thread; blocks.
#pragma once

#include "base/buf.h"

struct new_file {
    int fd;
    struct buf path, temp; // temp is empty while the file has no name
};

enum err new_file_open(struct new_file *f, const char *path, struct diag *d) MUST_USE;
enum err new_file_write(struct new_file *f, const void *data, size_t len, struct diag *d) MUST_USE;
// Ends it either way. Without `replace` a file that stands there by now is ERR_DENIED and stays.
enum err new_file_commit(struct new_file *f, bool replace, struct diag *d) MUST_USE;
void new_file_abandon(struct new_file *f);
