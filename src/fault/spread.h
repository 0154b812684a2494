// A spread of times: how long the scripted provider waits, drawn anew for each answer or token.
// Value type; drawing is a pure function of its keys, so the same seed waits the same. Any thread.
#pragma once

#include "base/err.h"
#include "base/str.h"

enum spread_kind { SPREAD_NONE, SPREAD_CONSTANT, SPREAD_UNIFORM, SPREAD_LOGNORMAL };

struct spread {
    enum spread_kind kind;
    double a_us, b_us; // CONSTANT: a; UNIFORM: from a to b; LOGNORMAL: a is the median
    double sigma;      // LOGNORMAL: of the logarithm
};

#define SPREAD_FORMS                                                                               \
    "a time (20ms), uniform:LOW:HIGH, or lognormal:MEDIAN:SIGMA (lognormal:80ms:0.5)"

// "20ms", "constant:20ms", "uniform:5ms:20ms", "lognormal:80ms:0.5". Times are a number with us, ms
// or s, an hour at most. ERR_PARSE with the forms that there are.
enum err spread_parse(str text, struct spread *ret, struct diag *d) MUST_USE;
// Microseconds; a lognormal draw is cut at an hour.
uint64_t spread_draw(const struct spread *s, uint64_t seed, uint64_t a, uint64_t b);
