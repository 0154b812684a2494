// The single values of option tables: text to int64, double or str with checks and words, and back.
// For option*.c alone. Errors as option.h says.
#pragma once

#include "base/option.h"

// Where a value stands, for the sentence that refuses it.
struct option_place {
    char key[160];      // "server.limits.body_bytes_max", "models[2].file"
    uint32_t line, col; // 0 on the command line
    struct arena *arena;
    struct diag *diag;
};

// "'KEY' …" with the place set.
enum err option_refuse(const struct option_place *p, enum err code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
// Replace "${NAME}" by the variable's value and "$${" by "${".
enum err option_resolve(const struct option_place *p, str text, str *ret) MUST_USE;
// What a secret's reference stands for, from the text forms.
enum err option_resolve_secret(const struct option_place *p, str text, str *ret) MUST_USE;
enum err option_secret_from_env(const struct option_place *p, str name, str *ret) MUST_USE;
enum err option_secret_from_file(const struct option_place *p, str path, str *ret) MUST_USE;
// Parse resolved text into the field at `field`. Not for STRINGS, TABLE, TABLES.
enum err option_parse(const struct option_place *p, const struct option *row, str text,
                      void *field) MUST_USE;
// A number of the row's type as one would write it ("30s", "64KiB", "0.5"); returns out.
const char *option_number_text(enum option_type type, double value, char *out, size_t out_size);
