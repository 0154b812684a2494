// What tokens cost: a table of prices by model, as the configuration says. Integers throughout:
// billionths of a US dollar for a million tokens. Immutable once made: any thread.
#pragma once

#include "dialect/exchange.h"
#include "gateway/config.h"

struct price {
    str model; // pattern
    int64_t input, cached_input, cache_write, output;
};

struct prices {
    struct price *items;
    size_t len;
};

// A row of the configuration, read exactly; absent kinds of input cost what input does. ERR_INVALID
// names the field.
enum err price_read(const struct gateway_price *c, struct price *ret, struct diag *d) MUST_USE;
// The configuration outlives it and was checked.
void prices_init(struct prices *p, const struct gateway_config *config);
void prices_done(struct prices *p);
// The first row whose pattern is `root` or `name`; NULL: not known.
const struct price *prices_find(const struct prices *p, str root, str name);
// Rounded up, once. The sum is exact before (128 bits), and at most INT64_MAX.
int64_t price_cost(const struct price *p, const struct exchange_usage *u);
