// The gateway's configuration: one table for the file, the defaults, the reference page and the
// command line's overrides. Read once; immutable while a gateway uses it. Strings live in the
// caller's arena.
#pragma once

#include "base/option.h"
#include "gateway/breaker.h"
#include "gateway/limit.h"

struct gateway_key {
    str name;   // for logs
    str secret; // what the client sends
    struct option_strings models, tags, guards;
    str expires, budget; // gateway_key_terms
    struct limit_rules rules;
    int64_t priority, budget_period; // enum key_priority, enum budget_period
};

struct gateway_key_terms {
    int64_t expires_ms;      // 0: never
    int64_t budget_nano_usd; // -1: none
};

// Three rows for a struct limit_rules.
#define LIMIT_ROWS(outer, member)                                                                  \
    {.name = "requests_per_minute",                                                                \
     .type = OPTION_INT,                                                                           \
     .offset = offsetof(outer, member) + offsetof(struct limit_rules, requests_per_minute),        \
     .max = 1e9,                                                                                   \
     .help = "Requests in any minute; more are answered 429. 0: any."},                            \
        {.name = "tokens_per_minute",                                                              \
         .type = OPTION_INT,                                                                       \
         .offset = offsetof(outer, member) + offsetof(struct limit_rules, tokens_per_minute),      \
         .max = 1e12,                                                                              \
         .help =                                                                                   \
             "Tokens of prompts and answers in any minute, reserved before a request runs and "    \
             "settled after it. 0: any."},                                                         \
        {.name = "concurrency",                                                                    \
         .type = OPTION_INT,                                                                       \
         .offset = offsetof(outer, member) + offsetof(struct limit_rules, concurrency),            \
         .max = 1e6,                                                                               \
         .help = "Requests running at once; more wait their turn. 0: any."}

struct gateway_model {
    str name;   // as clients call it
    str source; // NAME|FILE; empty: the bundled model
    struct option_strings aliases;
    str chat_family;
    int64_t context_max;
    int64_t kv_type;     // index into gateway_kv_types
    int64_t pooling;     // enum engine_pooling
    int64_t speculation; // enum engine_speculation
    str draft_model;     // the name of another model, or NAME|FILE
    int64_t draft_tokens_max;
};

// How often, how long and after what an answer is tried for.
struct gateway_policy {
    int64_t attempts_max, attempts_time_ms, backoff_ms, backoff_max_ms;
    str attempts_cost; // money, as the user writes it; empty: no bound
    int64_t first_token_timeout_ms, idle_timeout_ms;
    double hedge_quantile;
    bool rescue;
    int64_t context_policy, context_max; // enum context_policy
};

struct gateway_target {
    str name; // of a model
    double weight;
};

// A copy of some requests to another model, for comparison.
struct gateway_shadow {
    str target; // empty: none
    double percent;
    int64_t in_flight_max, timeout_ms, body_bytes_max;
    bool record_answers;
};

// Some of the requests, or of the users, to one of a route's targets first.
struct gateway_canary {
    str target; // empty: none
    double percent;
    int64_t by; // enum gateway_canary_by
};
enum gateway_canary_by { CANARY_BY_USER, CANARY_BY_REQUEST };

struct gateway_route {
    str name;
    int64_t strategy;            // enum balance_strategy
    struct option_items targets; // struct gateway_target
    struct option_strings fallback_on, guards;
    struct gateway_policy policy;
    struct gateway_shadow shadow;
    struct gateway_canary canary;
};

// A named set of rules.
struct gateway_guard {
    str name;
    bool everywhere;           // for every call
    struct option_items rules; // struct guard_rule_text
};

struct gateway_routing {
    double retry_share;
    struct gateway_policy policy; // of models that are named themselves
    struct breaker_options breaker;
};

enum gateway_provider_kind {
    GATEWAY_PROVIDER_OPENAI,
    GATEWAY_PROVIDER_AZURE,
    GATEWAY_PROVIDER_NIM,
    GATEWAY_PROVIDER_ANTHROPIC,
    GATEWAY_PROVIDER_OLLAMA,
    GATEWAY_PROVIDER_FAULT, // in this process: see provider_fault.h
    GATEWAY_PROVIDER_KINDS
};

enum gateway_http2 { GATEWAY_HTTP2_AUTO, GATEWAY_HTTP2_OFF, GATEWAY_HTTP2_PRIOR_KNOWLEDGE };

// What a provider is asked in between. Paths: empty is the kind's own, "off" is none.
struct gateway_health {
    str path, metrics;
    int64_t interval_ms, timeout_ms, failures;
};

// A provider over the network.
struct gateway_provider {
    str name;     // "openai": its models are called "openai/MODEL"
    int64_t kind; // enum gateway_provider_kind
    str base_url; // empty: the kind's
    str key, api_version, ca_file;
    struct option_strings headers; // "Name: value"
    struct option_strings models;
    int64_t connect_timeout_ms, first_token_timeout_ms, idle_timeout_ms, total_timeout_ms;
    int64_t tokens_max;
    int64_t http2; // enum gateway_http2
    bool discover, strict, continues;
    struct gateway_health health;
    int64_t speaks; // FAULT: another enum gateway_provider_kind
    str script, always;
};

// Files in PEM.
struct gateway_tls {
    str certificate, key, client_ca; // empty: none
};

struct gateway_limits {
    int64_t header_bytes_max, headers_max, target_bytes_max, body_bytes_max;
    int64_t header_timeout_ms, idle_timeout_ms, write_timeout_ms, body_rate_min;
    int64_t connections_max, connections_per_address_max, handshakes_max;
    int64_t json_depth_max, call_bytes_max, answer_bytes_max;
    int64_t request_timeout_ms;
};

struct gateway_engine {
    int64_t threads, weights_bytes_max, kv_bytes_max, step_tokens_max, sequences_max, queue_max;
    bool prefix_cache;
    str device;
};

struct gateway_cors {
    struct option_strings origins; // "https://app.example", or "*"
};

struct gateway_log {
    int64_t level, format; // enum log_level, enum log_format
};

// One price, in US dollars for a million tokens, as text (price_read).
struct gateway_price {
    str model, input, cached_input, cache_write, output;
};

struct gateway_rate_limit {
    str name, model, provider;
    struct limit_rules rules;
};

struct gateway_admission {
    int64_t queue_max, queue_timeout_ms;
};

struct gateway_semantic {
    int64_t mode; // enum semantic_mode
    str model;    // empty: the first one of this machine
    double threshold;
    int64_t entries_max, text_bytes_max, timeout_ms;
};

struct gateway_cache {
    bool enabled, all;
    int64_t ttl_ms, bytes_max, entry_bytes_max;
    struct gateway_semantic semantic;
};

struct gateway_store {
    str path; // empty: store_default_path; "off": none
    int64_t records_max;
};

enum gateway_conversation { GATEWAY_CONVERSATION_HEADER, GATEWAY_CONVERSATION_OPENING };

// What one conversation may do. 0 and empty: no such bound.
struct gateway_conversations {
    int64_t calls_max, tokens_max;
    str cost_max; // money
    int64_t by;   // enum gateway_conversation
    int64_t idle_ms, entries_max;
};

struct gateway_config {
    str listen;
    int64_t drain_delay_ms, drain_timeout_ms, stream_ping_ms;
    bool listen_without_keys, half_close_cancels, metrics_public;
    struct gateway_tls tls;
    struct option_items keys;   // struct gateway_key
    struct option_items models; // struct gateway_model
    struct option_items routes; // struct gateway_route
    struct option_items guards; // struct gateway_guard
    str prompts;                // folder; empty: none
    struct gateway_routing routing;
    struct option_items providers; // struct gateway_provider
    bool providers_from_environment;
    struct gateway_limits limits;
    struct gateway_cors cors;
    struct gateway_engine engine;
    struct gateway_log log;
    struct gateway_store store;
    struct option_items prices;      // struct gateway_price
    struct option_items rate_limits; // struct gateway_rate_limit
    struct gateway_admission admission;
    struct gateway_cache cache;
    struct gateway_conversations conversations;
};

extern const struct option gateway_config_table[], gateway_key_table[], gateway_price_table[];
extern const struct option gateway_rate_limit_table[], gateway_admission_table[];
extern const struct option gateway_cache_table[], gateway_conversation_table[];
extern const struct option gateway_model_table[], gateway_engine_table[];

static inline const struct gateway_key *gateway_config_keys(const struct gateway_config *c)
{
    return c->keys.items;
}
static inline const struct gateway_model *gateway_config_models(const struct gateway_config *c)
{
    return c->models.items;
}
static inline const struct gateway_provider *
gateway_config_providers(const struct gateway_config *c)
{
    return c->providers.items;
}
extern const char *const gateway_kv_types[]; // "auto", …; NULL-ended
// config_providers.c: its table, and what single rows cannot say.
extern const struct option gateway_provider_table[];
enum err gateway_provider_check(const struct gateway_provider *p, struct diag *d) MUST_USE;
// config_key.c: what single rows cannot say of keys, prices and rate limits.
enum err gateway_keys_check(const struct gateway_config *c, struct diag *d) MUST_USE;
// What a key's texts say.
enum err gateway_key_terms(const struct gateway_key *k, struct gateway_key_terms *ret,
                           struct diag *d) MUST_USE;
// config_engine.c: what single rows cannot say of local models.
enum err gateway_models_check(const struct gateway_config *c, struct diag *d) MUST_USE;
// What single rows cannot say: a listener beyond loopback needs keys or a plain word.
enum err gateway_config_check(const struct gateway_config *c, struct diag *d) MUST_USE;
// "127.0.0.1:8080", "[::1]:0", "localhost:1", "unix:/path" are; "0.0.0.0:80" is not, nor what is no
// address at all.
bool gateway_address_is_loopback(str address);
