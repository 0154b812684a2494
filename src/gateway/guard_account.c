// What the rules did, as it is told and counted: names and numbers, never a text.
#include <stdio.h>

#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"

#include "base/banned.h"

static size_t add(char *out, size_t size, size_t used, const struct guard *g,
                  const uint32_t *matches)
{
    for (size_t i = 0; g && i < guard_len(g); i++) {
        if (!matches[i])
            continue;
        int n = snprintf(out + used, size - used, "%s%s=%s", used ? ", " : "",
                         guard_rule_name(g, i), guard_action_name(guard_rule_action(g, i)));
        if (n < 0 || (size_t)n >= size - used)
            break; // as much as fits, whole
        used += (size_t)n;
    }
    return used;
}

str guard_verdicts(const struct call *c, char *out, size_t size)
{
    size_t used = 0;
    if (c->guard) {
        used = add(out, size, used, c->guard->set->input, c->guard->asked);
        used = add(out, size, used, c->guard->set->output, c->guard->answered);
    }
    return str_slice(out, used);
}

static void count_side(struct metrics_shard *s, const struct guard *g, const uint32_t *matches,
                       const char *direction)
{
    for (size_t i = 0; g && i < guard_len(g); i++)
        if (matches[i])
            metrics_add(
                metrics_series(s, METRIC_GUARD_MATCHES,
                               METRICS_VALUES(str_of(guard_rule_name(g, i)),
                                              str_of(guard_action_name(guard_rule_action(g, i))),
                                              str_of(direction))),
                matches[i]);
}

void guard_count(const struct call *c)
{
    struct metrics_shard *s = c->gateway->account.shard;
    count_side(s, c->guard->set->input, c->guard->asked, "input");
    count_side(s, c->guard->set->output, c->guard->answered, "output");
}
