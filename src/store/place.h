// Where the store lies.
#pragma once

#include "base/arena.h"
#include "base/err.h"

// `configured`: a path, empty for the usual place ($WEIR_STORE, else weir.db in the data folder),
// or "off". *ret is NUL-terminated; absent when the store is off.
enum err store_place(str configured, struct arena *a, str *ret, struct diag *d) MUST_USE;
// Whether keys were ever made in the store that lies there. False also when it cannot be read.
bool store_place_has_keys(str configured);
