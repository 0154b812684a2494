// The rows of keys, and of limits wherever there are some; what single rows cannot check.
#include "base/clock.h"
#include "gateway/admission.h"
#include "gateway/config.h"
#include "gateway/key.h"
#include "gateway/money.h"
#include "gateway/price.h"
#include "gateway/semantic.h"

#include "base/banned.h"

#define AT(member) offsetof(struct gateway_key, member)

const struct option gateway_key_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(name),
     .help = "Who holds the key: it stands in the log, the key itself never does."},
    {.name = "key",
     .type = OPTION_SECRET,
     .offset = AT(secret),
     .help = "What the client sends as 'Authorization: Bearer …', by reference only: {env: NAME}, "
             "{file: PATH} or ${NAME}."},
    {.name = "models",
     .type = OPTION_STRINGS,
     .offset = AT(models),
     .help = "Models it may use, by name; * stands for any characters. None: all."},
    {.name = "expires",
     .type = OPTION_STRING,
     .offset = AT(expires),
     .help = "From when on it is refused: \"2027-01-31\" or \"2027-01-31T12:00:00Z\"."},
    {.name = "tags",
     .type = OPTION_STRINGS,
     .offset = AT(tags),
     .help = "Words of your own about it: \"team=red\"."},
    {.name = "guards",
     .type = OPTION_STRINGS,
     .offset = AT(guards),
     .help = "Sets of 'guards' that look at its requests and answers, beside those for everyone."},
    {.name = "priority",
     .type = OPTION_CHOICE,
     .offset = AT(priority),
     .value = "normal",
     .choices = key_priority_names,
     .help = "Who goes first when requests wait for a place."},
    LIMIT_ROWS(struct gateway_key, rules),
    {.name = "budget",
     .type = OPTION_STRING,
     .offset = AT(budget),
     .arg = "USD",
     .help = "Money it may spend in each period, in US dollars: \"25\" or \"0.50\". None: any."},
    {.name = "budget_period",
     .type = OPTION_CHOICE,
     .offset = AT(budget_period),
     .value = "month",
     .choices = budget_period_names,
     .help = "When a new budget begins (UTC); total: never."},
    {0},
};

enum err gateway_key_terms(const struct gateway_key *k, struct gateway_key_terms *ret,
                           struct diag *d)
{
    uint64_t expires = 0;
    int64_t budget = -1;
    if (k->expires.len && clock_parse_iso8601(k->expires, &expires) != ERR_OK)
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT "' is no date: write \"2027-01-31\" or "
                        "\"2027-01-31T12:00:00Z\"",
                        STR_ARG(k->expires));
    if (k->budget.len)
        ERR_TRY(money_option(k->budget, &budget, d));
    *ret = (struct gateway_key_terms){(int64_t)expires, budget};
    return ERR_OK;
}

// --- Prices and rules

#define PRICE_AT(member) offsetof(struct gateway_price, member)
#define RULE_AT(member)  offsetof(struct gateway_rate_limit, member)

const struct option gateway_price_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = PRICE_AT(model),
     .help = "The model, by its own name or as clients call it; * stands for any characters."},
    {.name = "input",
     .type = OPTION_STRING,
     .offset = PRICE_AT(input),
     .arg = "USD",
     .help = "US dollars for a million tokens of prompts, such as \"2.50\"."},
    {.name = "cached_input",
     .type = OPTION_STRING,
     .offset = PRICE_AT(cached_input),
     .arg = "USD",
     .help = "Of those that the provider read from its cache. Default: as input."},
    {.name = "cache_write",
     .type = OPTION_STRING,
     .offset = PRICE_AT(cache_write),
     .arg = "USD",
     .help = "Of those that it wrote to its cache. Default: as input."},
    {.name = "output",
     .type = OPTION_STRING,
     .offset = PRICE_AT(output),
     .arg = "USD",
     .help = "Of answers, reasoning included."},
    {0},
};

const struct option gateway_rate_limit_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = RULE_AT(name),
     .help = "What the rule is called, in refusals."},
    {.name = "model",
     .type = OPTION_STRING,
     .offset = RULE_AT(model),
     .help = "Models it is for; * stands for any characters. None: all. Those that fit share the "
             "limits."},
    {.name = "provider",
     .type = OPTION_STRING,
     .offset = RULE_AT(provider),
     .help = "Providers it is for, likewise."},
    LIMIT_ROWS(struct gateway_rate_limit, rules),
    {0},
};

const struct option gateway_admission_table[] = {
    {.name = "queue_max",
     .type = OPTION_INT,
     .offset = offsetof(struct gateway_admission, queue_max),
     .value = "256",
     .max = 1e6,
     .help = "Requests that may wait for a place (see 'concurrency'); more are answered 429."},
    {.name = "queue_timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct gateway_admission, queue_timeout_ms),
     .value = "10s",
     .max = 3600e3,
     .help = "How long one may wait. Who would have to wait longer is answered 429 at once."},
    {0},
};

#define SEMANTIC_AT(member) offsetof(struct gateway_semantic, member)

static const struct option semantic_table[] = {
    {.name = "mode",
     .type = OPTION_CHOICE,
     .offset = SEMANTIC_AT(mode),
     .value = "off",
     .choices = semantic_mode_names,
     .help = "on: answer a chat also from the cached answer to a question that means nearly the "
             "same, where all else of the two requests is equal. shadow: answer as ever, and count "
             "what such hits would have been worth (docs/cache.md)."},
    {.name = "model",
     .type = OPTION_STRING,
     .offset = SEMANTIC_AT(model),
     .help = "The model that makes the embeddings, by any name that clients could use. None: the "
             "first one of this machine."},
    {.name = "threshold",
     .type = OPTION_FLOAT,
     .offset = SEMANTIC_AT(threshold),
     .value = "0.97",
     .min = 0.5,
     .max = 1,
     .help = "From which cosine of two embeddings on a question counts as the same. It depends on "
             "the model: choose it from what shadow shows."},
    {.name = "entries_max",
     .type = OPTION_INT,
     .offset = SEMANTIC_AT(entries_max),
     .value = "1024",
     .min = 1,
     .max = 65536,
     .help = "Questions that are compared with; the oldest go first. Each takes four bytes a "
             "dimension of the model, and 300."},
    {.name = "text_bytes_max",
     .type = OPTION_BYTES,
     .offset = SEMANTIC_AT(text_bytes_max),
     .value = "2KiB",
     .min = 1,
     .max = 8192,
     .help = "Longer questions are not compared."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = SEMANTIC_AT(timeout_ms),
     .value = "250ms",
     .min = 1,
     .max = 60e3,
     .help = "How long a request waits for its embedding; after that it goes its way without."},
    {0},
};

#define CONVERSATION_AT(member) offsetof(struct gateway_conversations, member)

static const char *const conversation_names[] = {"header", "opening", NULL};

const struct option gateway_conversation_table[] = {
    {.name = "calls_max",
     .type = OPTION_INT,
     .offset = CONVERSATION_AT(calls_max),
     .value = "0",
     .max = 1e9,
     .help = "Calls of a model. 0: any number."},
    {.name = "tokens_max",
     .type = OPTION_INT,
     .offset = CONVERSATION_AT(tokens_max),
     .value = "0",
     .max = 1e15,
     .help = "Tokens of prompts and answers, of every attempt. 0: any number."},
    {.name = "cost_max",
     .type = OPTION_STRING,
     .offset = CONVERSATION_AT(cost_max),
     .help = "US dollars, such as \"0.50\", by the table of prices. Without it: any amount."},
    {.name = "by",
     .type = OPTION_CHOICE,
     .offset = CONVERSATION_AT(by),
     .value = "header",
     .choices = conversation_names,
     .help = "What makes calls one conversation: the header x-weir-conversation; or, for those "
             "without it, their opening as well: the same system messages and the same first "
             "question."},
    {.name = "idle",
     .type = OPTION_DURATION,
     .offset = CONVERSATION_AT(idle_ms),
     .value = "1h",
     .min = 1,
     .max = 30 * 86400e3,
     .help = "A conversation that has rested for longer begins anew."},
    {.name = "entries_max",
     .type = OPTION_INT,
     .offset = CONVERSATION_AT(entries_max),
     .value = "100000",
     .min = 1,
     .max = 1e8,
     .help = "Conversations that are remembered (about 150 bytes each); the one that has rested "
             "longest is forgotten first."},
    {0},
};

#define CACHE_AT(member) offsetof(struct gateway_cache, member)

const struct option gateway_cache_table[] = {
    {.name = "enabled",
     .type = OPTION_BOOL,
     .offset = CACHE_AT(enabled),
     .value = "false",
     .help = "Keep answers, and let requests for the same share one attempt."},
    {.name = "all",
     .type = OPTION_BOOL,
     .offset = CACHE_AT(all),
     .value = "false",
     .help =
         "Also requests whose answer may differ from time to time: those without temperature 0, "
         "top_k 1 or a seed. A client asks for it by the header 'x-weir-cache: on'."},
    {.name = "ttl",
     .type = OPTION_DURATION,
     .offset = CACHE_AT(ttl_ms),
     .value = "10m",
     .min = 1,
     .max = 30 * 86400e3,
     .help = "How long an answer is told again."},
    {.name = "bytes_max",
     .type = OPTION_BYTES,
     .offset = CACHE_AT(bytes_max),
     .value = "64MiB",
     .min = 1 << 16,
     .max = 1e12,
     .help = "Memory for all answers; the least recently used go first."},
    {.name = "entry_bytes_max",
     .type = OPTION_BYTES,
     .offset = CACHE_AT(entry_bytes_max),
     .value = "1MiB",
     .min = 1024,
     .max = 1e12,
     .help = "Memory for one answer; larger ones are not kept."},
    {.name = "semantic",
     .type = OPTION_TABLE,
     .offset = CACHE_AT(semantic),
     .table = semantic_table,
     .table_size = sizeof(struct gateway_semantic),
     .help = "Hits by meaning; the cache itself must be enabled."},
    {0},
};

static enum err check_key(const struct gateway_key *k, struct diag *d)
{
    struct gateway_key_terms terms;
    if (k->secret.len < 8)
        return diag_set(d, ERR_INVALID, "keys." STR_FMT ": a key needs 8 characters or more",
                        STR_ARG(k->name));
    enum err e = gateway_key_terms(k, &terms, d);
    if (e != ERR_OK)
        diag_where(d, "keys." STR_FMT, STR_ARG(k->name));
    return e;
}

static enum err check_price(const struct gateway_price *p, struct diag *d)
{
    struct price price;
    enum err e = price_read(p, &price, d);
    if (e != ERR_OK)
        diag_where(d, "prices." STR_FMT, STR_ARG(p->model));
    return e;
}

static enum err check_conversations(const struct gateway_conversations *o, struct diag *d)
{
    int64_t nano;
    enum err e = money_bound(o->cost_max, &nano, d);
    if (e != ERR_OK)
        diag_where(d, "conversations.cost_max");
    return e;
}

enum err gateway_keys_check(const struct gateway_config *c, struct diag *d)
{
    ERR_TRY(check_conversations(&c->conversations, d));
    const struct gateway_price *prices = c->prices.items;
    for (size_t i = 0; i < c->keys.len; i++)
        ERR_TRY(check_key(&gateway_config_keys(c)[i], d));
    for (size_t i = 0; i < c->prices.len; i++)
        ERR_TRY(check_price(&prices[i], d));
    if (c->cache.semantic.mode != SEMANTIC_OFF && !c->cache.enabled)
        return diag_set(d, ERR_INVALID,
                        "cache.semantic: it finds answers of the cache, which is not enabled: say "
                        "cache.enabled: true");
    if (c->rate_limits.len > ADMISSION_SCOPES_MAX - 1)
        return diag_set(d, ERR_LIMIT, "rate_limits: there may be %d rules at most",
                        ADMISSION_SCOPES_MAX - 1);
    return ERR_OK;
}
