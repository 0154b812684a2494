#include "fault/mishap.h"

#include "base/banned.h"

static const struct mishap table[] = {
    {"bad_request", 400, 400, "invalid_request_error", NULL, "invalid_request_error",
     "The request is malformed."},
    {"context", 400, 400, "invalid_request_error", "context_length_exceeded",
     "invalid_request_error",
     "prompt is too long: this model's maximum context length is 8192 tokens, however you "
     "requested "
     "9999 tokens."},
    {"filter", 400, 400, "invalid_request_error", "content_filter", "invalid_request_error",
     "Output blocked by content filtering policy."},
    {"auth", 401, 401, "invalid_request_error", "invalid_api_key", "authentication_error",
     "Incorrect API key provided."},
    {"permission", 403, 403, "permission_error", NULL, "permission_error",
     "Your key may not use this resource."},
    {"model", 404, 404, "invalid_request_error", "model_not_found", "not_found_error",
     "The model does not exist or you do not have access to it."},
    {"rate_limit", 429, 429, "requests", "rate_limit_exceeded", "rate_limit_error",
     "Rate limit reached for requests. Please try again later."},
    {"quota", 429, 400, "insufficient_quota", "insufficient_quota", "invalid_request_error",
     "You exceeded your current quota: your credit balance is too low."},
    {"server", 500, 500, "server_error", NULL, "api_error", "The server had an error."},
    {"unavailable", 502, 502, "server_error", NULL, "api_error", "Bad gateway."},
    {"overloaded", 503, 529, "server_error", "overloaded", "overloaded_error",
     "The model is overloaded. Please try again later."},
    {"timeout", 504, 504, "server_error", NULL, "timeout_error", "The model took too long."},
};

static struct mishap with_status(int status)
{
    static const struct {
        int status;
        const char *name;
    } alike[] = {{400, "bad_request"}, {401, "auth"},       {403, "permission"},
                 {404, "model"},       {429, "rate_limit"}, {502, "unavailable"},
                 {503, "overloaded"},  {504, "timeout"},    {529, "overloaded"}};
    struct mishap m = {.name = "status",
                       .openai_type = status < 500 ? "invalid_request_error" : "server_error",
                       .anthropic_type = status < 500 ? "invalid_request_error" : "api_error",
                       .message = "An error was ordered."};
    for (size_t i = 0; i < ARRAY_LEN(alike); i++)
        if (alike[i].status == status)
            (void)mishap_find(str_of(alike[i].name), &m);
    m.status = m.anthropic_status = status;
    return m;
}

bool mishap_find(str text, struct mishap *ret)
{
    int64_t status;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq_z(text, table[i].name)) {
            *ret = table[i];
            return true;
        }
    if (str_to_i64(text, &status) != ERR_OK || status < 300 || status > 599)
        return false;
    *ret = with_status((int)status);
    return true;
}
