// What a certificate says of itself, for people: the checks before a start, the metric of its end.
// Reads files: not on a loop thread. Any other thread.
#pragma once

#include "base/err.h"

struct tls_certificate {
    int64_t from_ms, until_ms; // wall clock
    bool self_signed;
    char names[256]; // "localhost, 127.0.0.1": whom it is for, cut to fit
    char key[32];    // "EC 256", "RSA 2048"
};

// The first certificate of a PEM file: the server's own.
enum err tls_certificate_read(const char *file, struct tls_certificate *ret,
                              struct diag *d) MUST_USE;
