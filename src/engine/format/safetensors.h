// The safetensors container: a JSON header that names byte ranges. Offsets must tile the data
// exactly (no hole, no overlap, to the end of the file), as the reference reader demands. Names are
// copied into the arena; the image is only read.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { SAFETENSORS_RANK_MAX = 8 };
#define SAFETENSORS_HEADER_BYTES_MAX 100000000u // the reference's limit

enum safetensors_dtype { // those that models use; the others have a size but no name here
    SAFETENSORS_F32,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_OTHER
};

struct safetensors_entry {
    str name, dtype_name;
    enum safetensors_dtype dtype;
    uint32_t rank;
    uint64_t shape[SAFETENSORS_RANK_MAX]; // outermost first
    uint64_t begin, end;                  // in the data
};

struct safetensors {
    struct safetensors_entry *entries; // by begin
    size_t n_entries;
    str header;           // the JSON text
    uint64_t data_offset; // of the data in the image
};

enum err safetensors_parse(str image, struct arena *a, struct safetensors *ret,
                           struct diag *d) MUST_USE;
