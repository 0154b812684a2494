#include "gateway/routes.h"

#include "gateway/metrics_page.h"
#include "gateway/ollama_routes.h"
#include "gateway/server.h"
#include "gateway/tokenize.h"

#include "base/banned.h"

static const struct call_kind chat = {.endpoint = "chat", .dialect = &dialect_openai_chat};
static const struct call_kind completions = {.endpoint = "completions",
                                             .dialect = &dialect_openai_completions};
static const struct call_kind embeddings = {.endpoint = "embeddings",
                                            .dialect = &dialect_openai_embeddings};
static const struct call_kind responses = {.endpoint = "responses",
                                           .dialect = &dialect_openai_responses};
static const struct call_kind messages = {.endpoint = "messages",
                                          .dialect = &dialect_anthropic_messages};
static const struct call_kind count_tokens = {
    .endpoint = "count_tokens", .dialect = &dialect_anthropic_count, .work = count_tokens_work};
static const struct call_kind ollama_chat = {.endpoint = "ollama_chat",
                                             .dialect = &dialect_ollama_chat};
static const struct call_kind ollama_generate = {.endpoint = "ollama_generate",
                                                 .dialect = &dialect_ollama_generate};
static const struct call_kind ollama_embed = {.endpoint = "ollama_embed",
                                              .dialect = &dialect_ollama_embed};
static const struct call_kind ollama_embeddings = {.endpoint = "ollama_embed",
                                                   .dialect = &dialect_ollama_embeddings};
static const struct call_kind ollama_show = {
    .endpoint = "ollama_show", .dialect = &dialect_ollama_show, .work = ollama_show_work};
static const struct call_kind tokenize = {.endpoint = "tokenize", .work = tokenize_work};
static const struct call_kind detokenize = {.endpoint = "detokenize", .work = detokenize_work};
static const struct call_kind metrics_text = {
    .endpoint = "metrics",
    .work = metrics_page_work,
    .without_body = true,
    .elsewhere = true,
    .quiet = true,
};

#define PATH(literal) {literal, sizeof(literal) - 1}

// clang-format off
const struct route routes[] = {
    {ROUTE_POST, PATH("/v1/chat/completions"), "chat", &chat, NULL, NULL, false},
    {ROUTE_POST, PATH("/v1/completions"), "completions", &completions, NULL, NULL, false},
    {ROUTE_POST, PATH("/v1/embeddings"), "embeddings", &embeddings, NULL, NULL, false},
    {ROUTE_POST, PATH("/v1/responses"), "responses", &responses, NULL, NULL, false},
    {ROUTE_POST, PATH("/v1/messages"), "messages", &messages, NULL, NULL, false},
    {ROUTE_POST, PATH("/v1/messages/count_tokens"), "count_tokens", &count_tokens, NULL, NULL, false},
    {ROUTE_GET, PATH("/v1/models"), "models", NULL, models_list, NULL, false},
    {ROUTE_GET, PATH("/v1/models/*"), "models", NULL, NULL, models_one, false},
    {ROUTE_POST, PATH("/api/chat"), "ollama_chat", &ollama_chat, NULL, NULL, false},
    {ROUTE_POST, PATH("/api/generate"), "ollama_generate", &ollama_generate, NULL, NULL, false},
    {ROUTE_POST, PATH("/api/embed"), "ollama_embed", &ollama_embed, NULL, NULL, false},
    {ROUTE_POST, PATH("/api/embeddings"), "ollama_embed", &ollama_embeddings, NULL, NULL, false},
    {ROUTE_POST, PATH("/api/show"), "ollama_show", &ollama_show, NULL, NULL, false},
    {ROUTE_GET, PATH("/api/tags"), "ollama_tags", NULL, ollama_tags, NULL, false},
    {ROUTE_GET, PATH("/api/ps"), "ollama_ps", NULL, ollama_ps, NULL, false},
    {ROUTE_GET, PATH("/api/version"), "ollama_version", NULL, ollama_version, NULL, true},
    {ROUTE_GET, PATH("/v1/prompts"), "prompts", NULL, prompts_page, NULL, false},
    {ROUTE_POST, PATH("/tokenize"), "tokenize", &tokenize, NULL, NULL, false},
    {ROUTE_POST, PATH("/detokenize"), "detokenize", &detokenize, NULL, NULL, false},
    {ROUTE_GET, PATH("/tokenizer_info"), "tokenizer_info", NULL, tokenizer_info, NULL, false},
    {ROUTE_GET, PATH("/health"), "health", NULL, health_live, NULL, true},
    {ROUTE_GET, PATH("/healthz"), "health", NULL, health_live, NULL, true},
    {ROUTE_GET, PATH("/livez"), "health", NULL, health_live, NULL, true},
    {ROUTE_GET, PATH("/readyz"), "readyz", NULL, health_ready, NULL, true},
    {ROUTE_GET, PATH("/version"), "version", NULL, health_version, NULL, true},
    {ROUTE_GET, PATH("/metrics"), "metrics", &metrics_text, NULL, NULL, false},
    {ROUTE_GET, PATH("/"), "index", NULL, server_index, NULL, true},
    {0},
};
// clang-format on

static bool path_matches(str p, str path, str *ret_item)
{
    if (p.len && p.ptr[p.len - 1] != '*')
        return p.len == path.len && memcmp(p.ptr, path.ptr, p.len) == 0;
    str folder = str_sub(p, 0, p.len - 1);
    if (!str_starts(path, folder) || path.len == folder.len)
        return false;
    *ret_item = str_sub(path, folder.len, SIZE_MAX);
    return true;
}

static bool method_matches(const struct route *r, str method)
{
    if (r->method == ROUTE_POST)
        return str_eq(method, STR("POST"));
    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
}

const struct route *route_find(str method, str path, str *ret_item, const char **ret_allow)
{
    // "OPTIONS *" (RFC 9110 section 9.3.7) asks about the server as a whole.
    *ret_allow = str_eq(path, STR("*")) ? "GET, HEAD, POST, OPTIONS" : "";
    for (const struct route *r = routes; r->path.len; r++) {
        if (!path_matches(r->path, path, ret_item))
            continue;
        if (method_matches(r, method))
            return r;
        *ret_allow = r->method == ROUTE_POST ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
    }
    return NULL;
}

const struct dialect *route_dialect(str path)
{
    static const struct {
        str prefix;
        const struct dialect *dialect;
    } families[] = {
        {PATH("/v1/messages"), &dialect_anthropic_messages},
        {PATH("/api/"), &dialect_ollama_chat},
    };
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_starts(path, families[i].prefix))
            return families[i].dialect;
    return &dialect_openai_chat;
}
