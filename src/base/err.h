// Error values. Every fallible function returns `enum err`; words for people are made once, at the
// boundary that answers them, and travel in a `struct diag` (caller-owned, any thread, no
// allocation).
#pragma once

#include "base/base.h"

enum err {
    ERR_OK = 0,
    ERR_LIMIT,   // a stated bound was passed (size, count, depth, ceiling of an arena or buf)
    ERR_PARSE,   // the bytes are not what the format allows
    ERR_INVALID, // well-formed but not acceptable (range, combination, unknown name)
    ERR_IO,      // the system refused; diag.sys holds errno
    ERR_TIMEOUT,
    ERR_CLOSED, // the other side has gone
    ERR_DENIED, // not allowed
    ERR_NOT_FOUND,
    ERR_UNSUPPORTED, // understood, but this build or model cannot
    ERR_BUSY,        // no room now; try again
    ERR_UPSTREAM,    // a provider answered with an error or nonsense
    ERR_CANCELLED,
    ERR_AGAIN, // more input is needed
    ERR_NOMEM,
    ERR_COUNT
};

// The stable lower-case name ("limit", "parse", …).
const char *err_name(enum err e);

// What a person needs: the place and the sentence, with the remedy in it.
struct diag {
    enum err code;
    int sys;            // errno, or 0
    uint32_t line, col; // 1-based, or 0 when there is no such place
    char where[128];    // file, key, tensor …, may be empty
    char text[384];     // one sentence
};

// Fill `d` (may be NULL) and return `code`, so that `return diag_set(d, ERR_PARSE, "…")` reads
// well.
enum err diag_set(struct diag *d, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// As diag_set, with the text of errno `sys` appended (": No such file or directory").
enum err diag_sys(struct diag *d, enum err code, int sys, const char *fmt, ...) PRINTF_LIKE(4, 5);
#ifdef WEIR_ANALYZER
// An analyser looks at one file at a time and does not see that the code comes back.
static inline enum err diag_code(enum err same UNUSED, enum err code)
{
    return code;
}
#define diag_set(d, code, ...)      diag_code((diag_set)(d, code, __VA_ARGS__), code)
#define diag_sys(d, code, sys, ...) diag_code((diag_sys)(d, code, sys, __VA_ARGS__), code)
#endif
// Name the place after the fact; cut to fit.
void diag_where(struct diag *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void diag_place(struct diag *d, uint32_t line, uint32_t col);
// "where:line:col: text" into out (always terminated), for a terminal: control characters are shown
// as "?"; returns out.
const char *diag_format(const struct diag *d, char *out, size_t out_size);

// Forward an error.
#define ERR_TRY(expr)                                                                              \
    do {                                                                                           \
        enum err err_try_ = (expr);                                                                \
        if (UNLIKELY(err_try_ != ERR_OK))                                                          \
            return err_try_;                                                                       \
    } while (0)
