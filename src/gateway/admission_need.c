// How many tokens may it use?
#include "gateway/admission_internal.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// What an answer is thought to need when nothing is known, and what it is given at least.
#define OUTPUT_UNKNOWN 1024
#define OUTPUT_LEAST   64
// An answer is given so many times its model's 95th percentile.
#define OUTPUT_ROOM 2
// A prompt's tokens, where nobody has counted them: bytes a token, and beside the text.
#define BYTES_PER_TOKEN    3
#define TOKENS_PER_MESSAGE 6
#define TOKENS_PER_IMAGE   1200
#define TOKENS_PER_TOOL    150

static uint64_t text_bytes(const struct exchange_request *r)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->messages_len; i++) {
        const struct exchange_message *m = &r->messages[i];
        for (size_t k = 0; k < m->parts_len; k++)
            bytes += m->parts[k].text.len;
        for (size_t k = 0; k < m->calls_len; k++)
            bytes += m->calls[k].name.len + m->calls[k].arguments.len;
    }
    for (size_t i = 0; i < r->prompts_len; i++)
        bytes +=
            r->prompts[i].is_ids ? r->prompts[i].ids_len * BYTES_PER_TOKEN : r->prompts[i].text.len;
    return bytes;
}

uint64_t admission_estimate(const struct exchange_request *r)
{
    uint64_t tokens = text_bytes(r) / BYTES_PER_TOKEN + 1 + r->messages_len * TOKENS_PER_MESSAGE +
                      r->tools_len * TOKENS_PER_TOOL;
    for (size_t i = 0; i < r->messages_len; i++)
        for (size_t k = 0; k < r->messages[i].parts_len; k++)
            if (r->messages[i].parts[k].type == EXCHANGE_PART_IMAGE)
                tokens += TOKENS_PER_IMAGE;
    return tokens;
}

static bool is_metered(const struct call *c)
{
    const struct admission *a = &c->admission;
    for (size_t i = 0; i < a->scopes_len; i++)
        if (a->scopes[i].limit->rules.tokens_per_minute)
            return true;
    return c->key && c->key->budget.limit_nano >= 0;
}

// Rather a shorter answer now than a longer one in a minute; but no shorter than answers are.
static uint64_t room_beside_prompt(const struct call *c, uint64_t wanted, uint64_t least)
{
    const struct admission *a = &c->admission;
    uint64_t choices = exchange_choices(&c->request);
    for (size_t i = 0; i < a->scopes_len; i++) {
        struct limit_view v = limit_tokens(a->scopes[i].limit, call_now_us(c) * 1000);
        uint64_t left = (uint64_t)v.remaining, whole = (uint64_t)v.limit;
        if (!v.limit || a->prompt_tokens + wanted * choices <= left)
            continue;
        wanted = left > a->prompt_tokens ? (left - a->prompt_tokens) / choices : 0;
        wanted = max_size(wanted, least);
        if (a->prompt_tokens + wanted * choices > whole) // not even a full bucket has it
            wanted = whole > a->prompt_tokens ? (whole - a->prompt_tokens) / choices : 0;
    }
    return max_size(wanted, 1);
}

static uint64_t output_of_one(const struct call *c)
{
    const struct exchange_request *r = &c->request;
    uint64_t p95 = learned_p95(&c->gateway->admission.learned[c->model->index]);
    uint64_t wanted = p95 ? max_size(p95 * OUTPUT_ROOM, OUTPUT_LEAST) : OUTPUT_UNKNOWN;
    if (r->given & EXCHANGE_HAS_TOKENS_MAX)
        return (uint64_t)r->tokens_max;
    if (c->model->context_max)
        wanted = min_size(wanted, c->model->context_max);
    return room_beside_prompt(c, wanted, max_size(p95, OUTPUT_LEAST));
}

void admission_need(struct call *c)
{
    struct admission *a = &c->admission;
    struct exchange_request *r = &c->request;
    uint64_t choices = exchange_choices(r);
    bool free_of_charge = r->kind == EXCHANGE_COUNT;
    a->prompt_tokens = free_of_charge ? 0 : admission_estimate(r);
    a->reserved_tokens = a->output_tokens = 0;
    if (free_of_charge || !is_metered(c))
        return;
    if (r->kind != EXCHANGE_EMBEDDING) {
        uint64_t one = output_of_one(c);
        r->given |= EXCHANGE_HAS_TOKENS_MAX; // the bound holds only when the provider has it
        r->tokens_max = (int64_t)one;
        a->output_tokens = one > UINT32_MAX ? UINT32_MAX : one * choices;
    }
    a->reserved_tokens = a->prompt_tokens + a->output_tokens;
}
