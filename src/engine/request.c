// What a request may ask for. Every refusal says what was wrong and what is allowed.
#include <math.h>

#include "engine/engine_model.h"

#include "base/banned.h"

enum { STOP_BYTES_MAX = 1024, LISTS_MAX = 4096 };

void engine_request_default(struct engine_request *r)
{
    *r = (struct engine_request){
        .add_bos = true,
        .tokens_max = UINT32_MAX,
        .temperature = 1,
        .top_p = 1,
        .repetition_penalty = 1,
    };
}

static enum err check_range(const char *name, float value, float low, float high, struct diag *d)
{
    if (value >= low && value <= high)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "%s is %g: from %g to %g is allowed", name, (double)value,
                    (double)low, (double)high);
}

static enum err check_sampling(const struct engine_request *r, struct diag *d)
{
    ERR_TRY(check_range("temperature", r->temperature, 0, 100, d));
    ERR_TRY(check_range("top_p", r->top_p, 0, 1, d));
    ERR_TRY(check_range("min_p", r->min_p, 0, 1, d));
    ERR_TRY(check_range("presence_penalty", r->presence_penalty, -100, 100, d));
    ERR_TRY(check_range("frequency_penalty", r->frequency_penalty, -100, 100, d));
    return check_range("repetition_penalty", r->repetition_penalty, 0.01f, 100, d);
}

static enum err check_id(const struct engine_model *m, const char *what, int32_t id, struct diag *d)
{
    if (id >= 0 && (uint32_t)id < m->info.n_vocab)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "%s %d is not a token of %.*s: ids go from 0 to %u", what,
                    (int)id, STR_ARG(m->info.name), m->info.n_vocab - 1);
}

static enum err check_ids(const struct engine_model *m, const char *what, const int32_t *ids,
                          size_t n, struct diag *d)
{
    for (size_t i = 0; i < n; i++)
        ERR_TRY(check_id(m, what, ids[i], d));
    return ERR_OK;
}

static enum err check_count(const char *what, size_t n, size_t max, struct diag *d)
{
    if (n <= max)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "%zu %s: at most %zu are allowed", n, what, max);
}

static enum err check_lists(const struct engine_model *m, const struct engine_request *r,
                            struct diag *d)
{
    ERR_TRY(check_count("logit biases", r->bias_len, LISTS_MAX, d));
    for (size_t i = 0; i < r->bias_len; i++) {
        ERR_TRY(check_id(m, "the biased token", r->bias[i].token, d));
        ERR_TRY(check_range("a logit bias", r->bias[i].bias, -1000, 1000, d));
    }
    ERR_TRY(check_count("stop tokens", r->stop_ids_len, LISTS_MAX, d));
    ERR_TRY(check_ids(m, "the stop token", r->stop_ids, r->stop_ids_len, d));
    ERR_TRY(check_count("stop strings", r->stops_len, ENGINE_STOPS_MAX, d));
    for (size_t i = 0; i < r->stops_len; i++) {
        if (r->stops[i].len == 0)
            return diag_set(d, ERR_INVALID, "a stop string is empty");
        ERR_TRY(check_count("bytes in a stop string", r->stops[i].len, STOP_BYTES_MAX, d));
    }
    return check_count("top_logprobs", r->top_logprobs, ENGINE_TOP_LOGPROBS_MAX, d);
}

enum err request_check(const struct engine_model *m, const struct engine_request *r, struct diag *d)
{
    ERR_TRY(check_sampling(r, d));
    ERR_TRY(check_lists(m, r, d));
    ERR_TRY(check_ids(m, "the prediction's token", r->prediction_ids, r->prediction_len, d));
    if (r->prompt_text.ptr)
        return ERR_OK;
    uint32_t ignored;
    ERR_TRY(request_check_length(m, r, r->prompt_len, &ignored, d));
    return check_ids(m, "the prompt's token", r->prompt_ids, r->prompt_len, d);
}

static bool generates(const struct engine_request *r)
{
    return r->tokens_max > 0 && !r->embedding;
}

enum err request_check_length(const struct engine_model *m, const struct engine_request *r,
                              size_t n_prompt, uint32_t *ret_tokens_max, struct diag *d)
{
    if (n_prompt == 0)
        return diag_set(d, ERR_INVALID, "the prompt is empty: at least one token is needed");
    bool to_the_end = generates(r) && r->tokens_max == UINT32_MAX;
    uint64_t answer = !generates(r) ? 0 : to_the_end ? 1 : r->tokens_max;
    if (n_prompt + answer > m->context_max)
        return diag_set(d, ERR_LIMIT,
                        "the prompt has %zu tokens and the answer may have %s%llu, but the "
                        "context of %.*s is %u tokens: shorten one of them",
                        n_prompt, to_the_end ? "at least " : "", (unsigned long long)answer,
                        STR_ARG(m->info.name), m->context_max);
    *ret_tokens_max = to_the_end ? m->context_max : (uint32_t)(n_prompt + answer);
    return ERR_OK;
}
