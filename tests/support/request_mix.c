#include "support/request_mix.h"

#include "support/engine_client.h"

struct engine_request request_mix(uint32_t i, uint32_t n_vocab,
                                  int32_t ids[static REQUEST_MIX_PROMPT_MAX])
{
    size_t n = 20 + i * 13 % (REQUEST_MIX_PROMPT_MAX - 20);
    for (size_t k = 0; k < n; k++)
        ids[k] = (int32_t)((k < 40 && i % 2 ? k * 7 : (k + 1) * (i + 3) * 11) % n_vocab);
    struct engine_request r = client_request(ids, n, REQUEST_MIX_ANSWER);
    r.temperature = i % 3 ? 0.9f : 0;
    r.top_p = i % 4 ? 1 : 0.9f;
    r.seed = i;
    r.ignore_eos = true;
    r.logprobs = true;
    r.top_logprobs = 20;
    r.prompt_logprobs = i % 5 == 0;
    r.embedding = i % 11 == 7;
    return r;
}
