#include "engine/logprobs.h"

#include <string.h>

#include "engine/kernel/kernel.h"

#include "base/banned.h"

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m-1)/(m+1)) by its series.
double logprobs_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double z = (m - 1.0) / (m + 1.0), zz = z * z, sum = 0.0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * zz + 1.0 / k;
    return 2.0 * z * sum + (double)e * 0.69314718055994530942;
}

struct logprobs logprobs_of(const struct kernel *k, const float *logits, uint32_t n_vocab)
{
    float max = k->max(logits, n_vocab);
    return (struct logprobs){max, logprobs_log(k->exp_sum(logits, n_vocab, max))};
}

float logprobs_get(const struct logprobs *l, float logit)
{
    return (float)((double)logit - (double)l->max - l->log_sum);
}

uint32_t logprobs_top(const struct logprobs *l, const float *logits, uint32_t n_vocab, uint32_t n,
                      struct engine_logprob *ret_top)
{
    uint32_t len = 0;
    for (uint32_t i = 0; n > 0 && i < n_vocab; i++) {
        if (len == n && !(logits[i] > ret_top[len - 1].logprob))
            continue;
        uint32_t at = len < n ? len++ : n - 1;
        for (; at > 0 && logits[i] > ret_top[at - 1].logprob; at--)
            ret_top[at] = ret_top[at - 1];
        ret_top[at] = (struct engine_logprob){(int32_t)i, logits[i]};
    }
    for (uint32_t i = 0; i < len; i++)
        ret_top[i].logprob = logprobs_get(l, ret_top[i].logprob);
    return len;
}
