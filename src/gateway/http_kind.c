#include "gateway/http_kind.h"

#include "gateway/provider_http.h"

#include "base/banned.h"

static bool prepare(const struct model_entry *m, const struct exchange_request *r,
                    struct arena *arena, struct exchange_losses *losses, void **ret_plan,
                    struct api_error *ret_error)
{
    const struct http_provider *p = m->provider_model;
    struct upstream_target target = {
        .provider = p->config->name,
        .model = m->root,
        .own_only = p->own_only,
        .input_type = p->config->kind == GATEWAY_PROVIDER_NIM,
        .tokens_max_default = p->config->tokens_max,
    };
    struct upstream_writing w = {
        .target = &target, .request = r, .arena = arena, .losses = losses, .error = ret_error};
    static const char *const what[] = {"chat", "text completion", "embeddings",
                                       "counting of tokens"};
    struct http_plan *plan = arena_zalloc(arena, 1, sizeof *plan);
    if (!plan)
        return upstream_refuse(&w, API_JSON_LIMIT, NULL, "The request needs too much memory.");
    *ret_plan = plan;
    plan->dialect = p->kind->dialects[r->kind];
    if (!plan->dialect)
        return upstream_refuse(&w, API_OPERATION_UNSUPPORTED, "model",
                               "The provider '" STR_FMT "' (%s) does not offer %s.",
                               STR_ARG(p->config->name), p->kind->ops.name, what[r->kind]);
    return upstream_body(plan->dialect, &w, &plan->body);
}

#define OPS(kind, counts_tokens)                                                                   \
    {.name = (kind),                                                                               \
     .counts = (counts_tokens),                                                                    \
     .prepare = prepare,                                                                           \
     .start = http_attempt_start,                                                                  \
     .poll = http_attempt_poll,                                                                    \
     .report = http_attempt_report,                                                                \
     .stop = http_attempt_stop}

#define OPENAI_DIALECTS                                                                            \
    {&upstream_openai_chat, &upstream_openai_completions, &upstream_openai_embeddings, NULL}

static const struct http_kind kinds[GATEWAY_PROVIDER_KINDS] = {
    [GATEWAY_PROVIDER_OPENAI] = {.ops = OPS("openai", false),
                                 .base_url = "https://api.openai.com/v1",
                                 .dialects = OPENAI_DIALECTS,
                                 .key_header = "Authorization",
                                 .key_prefix = "Bearer ",
                                 .models_path = "/models",
                                 .models_list = "data",
                                 .models_name = "id"},
    [GATEWAY_PROVIDER_AZURE] = {.ops = OPS("azure", false),
                                .dialects = OPENAI_DIALECTS,
                                .key_header = "api-key",
                                .key_prefix = ""},
    [GATEWAY_PROVIDER_NIM] = {.ops = OPS("nim", false),
                              .base_url = "https://integrate.api.nvidia.com/v1",
                              .dialects = OPENAI_DIALECTS,
                              .key_header = "Authorization",
                              .key_prefix = "Bearer ",
                              .models_path = "/models",
                              .models_list = "data",
                              .models_name = "id",
                              .health_path = "/health/ready",
                              .metrics_path = "/metrics"},
    [GATEWAY_PROVIDER_ANTHROPIC] = {.ops = OPS("anthropic", true),
                                    .base_url = "https://api.anthropic.com",
                                    .dialects = {&upstream_anthropic_messages, NULL, NULL,
                                                 &upstream_anthropic_count},
                                    .key_header = "x-api-key",
                                    .key_prefix = "",
                                    .header = "anthropic-version",
                                    .header_value = "2023-06-01",
                                    .models_path = "/v1/models?limit=100",
                                    .models_list = "data",
                                    .models_name = "id"},
    [GATEWAY_PROVIDER_OLLAMA] = {.ops = OPS("ollama", false),
                                 .base_url = "http://127.0.0.1:11434",
                                 .dialects = {&upstream_ollama_chat, &upstream_ollama_generate,
                                              &upstream_ollama_embed, NULL},
                                 .key_header = "Authorization",
                                 .key_prefix = "Bearer ",
                                 .models_path = "/api/tags",
                                 .models_list = "models",
                                 .models_name = "name",
                                 .health_path = "/api/version"},
};

const struct http_kind *http_kind_of(enum gateway_provider_kind kind)
{
    return &kinds[kind];
}
