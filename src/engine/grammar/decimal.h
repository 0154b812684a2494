// Decimal numbers between two bounds, digit by digit, laid into a graph: exact, as texts, never as
// floating point. Pure functions.
#pragma once

#include "engine/grammar/graph.h"

enum { DECIMAL_DIGITS_MAX = 40, DECIMAL_MULTIPLE_MAX = 128 };

struct decimal {
    bool negative;
    uint8_t whole[DECIMAL_DIGITS_MAX],
        part[DECIMAL_DIGITS_MAX]; // digits; no zeros at the outer ends
    uint32_t n_whole, n_part;
};

// JSON's syntax. False: too many digits.
bool decimal_parse(str text, struct decimal *ret);
int decimal_compare(const struct decimal *a, const struct decimal *b);

struct decimal_range {
    bool has_low, has_high, low_open, high_open;
    struct decimal low, high;
    bool whole;        // integers only
    uint32_t multiple; // of this; 1: any. More than 1 only with `whole`
};

// Nothing is laid when no number is within.
void decimal_lay(const struct decimal_range *r, struct graph *g, uint32_t from, uint32_t to);
