// The rows of keys, and of limits wherever there are some; what single rows cannot check.
#include "base/clock.h"
#include "gateway/config.h"
#include "gateway/key.h"
#include "gateway/money.h"

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
    if (k->budget.len && money_parse(k->budget, &budget) != ERR_OK)
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT "' is no amount of money: write US dollars, such as \"25\" or "
                        "\"0.50\"",
                        STR_ARG(k->budget));
    *ret = (struct gateway_key_terms){(int64_t)expires, budget};
    return ERR_OK;
}
