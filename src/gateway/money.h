// Money: billionths of a US dollar in 64 bits (nine thousand million dollars), read from decimal
// text exactly. Never a float. Pure functions.
#pragma once

#include "base/err.h"
#include "base/str.h"

#define MONEY_USD      1000000000ll // one dollar
#define MONEY_TEXT_MAX 32

// "2.50", "0.000000001", "10". ERR_PARSE: not that; ERR_LIMIT: too large, or more than nine digits
// behind the point (which could not be kept).
enum err money_parse(str text, int64_t *ret_nano) MUST_USE;
// The same of an option, with the sentence for whoever wrote it otherwise (ERR_INVALID).
enum err money_option(str text, int64_t *ret_nano, struct diag *d) MUST_USE;
// A bound: more than nothing; empty text is no bound, 0.
enum err money_bound(str text, int64_t *ret_nano, struct diag *d) MUST_USE;
// The shortest text that says it: "2.5", "0.00000004". Returns out.
const char *money_text(int64_t nano, char out[static MONEY_TEXT_MAX]);
