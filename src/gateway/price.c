#include "gateway/price.h"

#include "base/mem.h"
#include "gateway/money.h"

#include "base/banned.h"

#define PER_TOKENS 1000000u

static enum err read_one(str text, int64_t otherwise, const char *field, int64_t *ret,
                         struct diag *d)
{
    *ret = otherwise;
    if (!text.len || money_parse(text, ret) == ERR_OK)
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "%s: '" STR_FMT "' is no price: write US dollars for a million tokens, such as "
                    "\"2.50\"",
                    field, STR_ARG(text));
}

enum err price_read(const struct gateway_price *c, struct price *ret, struct diag *d)
{
    struct price p = {.model = c->model};
    ERR_TRY(read_one(c->input, 0, "input", &p.input, d));
    ERR_TRY(read_one(c->cached_input, p.input, "cached_input", &p.cached_input, d));
    ERR_TRY(read_one(c->cache_write, p.input, "cache_write", &p.cache_write, d));
    ERR_TRY(read_one(c->output, 0, "output", &p.output, d));
    *ret = p;
    return ERR_OK;
}

void prices_init(struct prices *p, const struct gateway_config *config)
{
    const struct gateway_price *rows = config->prices.items;
    p->len = config->prices.len;
    p->items = mem_array(p->len + 1, sizeof *p->items);
    for (size_t i = 0; i < p->len; i++)
        ASSERT(price_read(&rows[i], &p->items[i], NULL) == ERR_OK);
}

void prices_done(struct prices *p)
{
    mem_free(p->items);
    *p = (struct prices){0};
}

const struct price *prices_find(const struct prices *p, str root, str name)
{
    for (size_t i = 0; i < p->len; i++)
        if (str_matches(name, p->items[i].model) || str_matches(root, p->items[i].model))
            return &p->items[i];
    return NULL;
}

static unsigned __int128 part(uint64_t tokens, int64_t price)
{
    return (unsigned __int128)tokens * (uint64_t)price;
}

// A provider's word is not trusted to add up.
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

int64_t price_cost(const struct price *p, const struct exchange_usage *u)
{
    uint64_t plain = less(u->prompt_tokens, u->cached_tokens);
    plain = less(plain, u->cache_write_tokens);
    unsigned __int128 sum = part(plain, p->input) + part(u->cached_tokens, p->cached_input) +
                            part(u->cache_write_tokens, p->cache_write) +
                            part(u->completion_tokens, p->output);
    unsigned __int128 nano = (sum + PER_TOKENS - 1) / PER_TOKENS;
    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}
