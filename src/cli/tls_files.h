// Whether the listener's certificate, key and authority are fit to serve with, for `weir doctor`
// and `weir config check`. Reads the files as `weir serve` will.
#pragma once

#include "gateway/config.h"

struct tls_files {
    char detail[512]; // what there is, in a sentence
    char note[256];   // what to mind, with the remedy; empty: nothing
};

// An error is what `weir serve` would refuse to start with. Nothing configured: both texts empty.
enum err tls_files_check(const struct gateway_tls *t, struct tls_files *ret,
                         struct diag *d) MUST_USE;
