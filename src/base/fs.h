// Files: whole-file read with a limit, read-only maps, atomic replace. Any thread (they block: not
// on a loop thread).
#pragma once

#include "base/buf.h"

// On success *ret is a new buf of the caller's (buf_done), with that limit.
enum err fs_read(const char *path, size_t limit_bytes, struct buf *ret, struct diag *d) MUST_USE;
// Write to a temporary file beside, fsync, rename.
enum err fs_write_atomic(const char *path, str data, struct diag *d) MUST_USE;

struct fs_map {
    const uint8_t *data;
    size_t size;
    bool mapped; // false: borrowed memory, nothing to unmap
};
enum err fs_map_open(const char *path, struct fs_map *ret, struct diag *d) MUST_USE;
void fs_map_close(struct fs_map *m);
bool fs_exists(const char *path);
enum err fs_mkdirs(const char *path, struct diag *d) MUST_USE;
// $XDG_DATA_HOME/weir or ~/.local/share/weir, without a trailing slash; made by nobody yet. *ret is
// a new buf.
enum err fs_data_dir(struct buf *ret, struct diag *d) MUST_USE;
