#include "gateway/config.h"

#include "gateway/balance.h"
#include "gateway/context.h"
#include "gateway/guards.h"
#include "gateway/model_route.h"
#include "net/sock.h"
#include "store/place.h"

#include "base/banned.h"

#define AT(type, member) offsetof(struct type, member)

// Rows of a struct gateway_policy inside `type`.
#define POLICY_ROWS(holder)                                                                        \
    {.name = "attempts_max",                                                                       \
     .type = OPTION_INT,                                                                           \
     .offset = AT(holder, policy.attempts_max),                                                    \
     .value = "3",                                                                                 \
     .min = 1,                                                                                     \
     .max = 20,                                                                                    \
     .help = "Attempts at one request in all: retries, fallbacks and hedges share them."},         \
        {.name = "attempts_time",                                                                  \
         .type = OPTION_DURATION,                                                                  \
         .offset = AT(holder, policy.attempts_time_ms),                                            \
         .value = "60s",                                                                           \
         .min = 1,                                                                                 \
         .max = 86400e3,                                                                           \
         .help = "No new attempt begins that long after the first one."},                          \
        {.name = "attempts_cost",                                                                  \
         .type = OPTION_STRING,                                                                    \
         .offset = AT(holder, policy.attempts_cost),                                               \
         .help = "US dollars, such as \"0.05\": no new attempt begins when those before it have "  \
                 "cost that much, by the table of prices. Without it: no such bound."},            \
        {.name = "backoff",                                                                        \
         .type = OPTION_DURATION,                                                                  \
         .offset = AT(holder, policy.backoff_ms),                                                  \
         .value = "250ms",                                                                         \
         .max = 3600e3,                                                                            \
         .help = "Before a retry: anywhere between nothing and this, doubled each time. A "        \
                 "Retry-After is a floor."},                                                       \
        {.name = "backoff_max",                                                                    \
         .type = OPTION_DURATION,                                                                  \
         .offset = AT(holder, policy.backoff_max_ms),                                              \
         .value = "8s",                                                                            \
         .max = 3600e3,                                                                            \
         .help = "What the doubling ends at."},                                                    \
        {.name = "first_token_timeout",                                                            \
         .type = OPTION_DURATION,                                                                  \
         .offset = AT(holder, policy.first_token_timeout_ms),                                      \
         .value = "0s",                                                                            \
         .max = 86400e3,                                                                           \
         .help = "An attempt that has said nothing after that has failed. 0s: no such bound."},    \
        {.name = "idle_timeout",                                                                   \
         .type = OPTION_DURATION,                                                                  \
         .offset = AT(holder, policy.idle_timeout_ms),                                             \
         .value = "0s",                                                                            \
         .max = 86400e3,                                                                           \
         .help = "A stream that falls silent for that long has failed. 0s: no such bound."},       \
        {.name = "hedge_quantile",                                                                 \
         .type = OPTION_FLOAT,                                                                     \
         .offset = AT(holder, policy.hedge_quantile),                                              \
         .value = "0",                                                                             \
         .max = 0.999,                                                                             \
         .help = "Ask a second target as well once the first one has been silent for longer than " \
                 "this share of its last answers (0.95); the slower one is cancelled. 0: never."}, \
        {.name = "rescue",                                                                         \
         .type = OPTION_BOOL,                                                                      \
         .offset = AT(holder, policy.rescue),                                                      \
         .value = "true",                                                                          \
         .help =                                                                                   \
             "Go on with a stream that broke off on a target that can continue it. Without: it "   \
             "ends with a clear error."},                                                          \
        {.name = "context_policy",                                                                 \
         .type = OPTION_CHOICE,                                                                    \
         .offset = AT(holder, policy.context_policy),                                              \
         .value = "refuse",                                                                        \
         .choices = context_policy_names,                                                          \
         .help = "A conversation that is too long for its model: refuse it, or leave out its "     \
                 "oldest turns, or those in the middle. System messages and the last turn stay, "  \
                 "a call stays with its results, and x-weir-context tells."},                      \
        {.name = "context_max",                                                                    \
         .type = OPTION_INT,                                                                       \
         .offset = AT(holder, policy.context_max),                                                 \
         .value = "0",                                                                             \
         .max = 1e9,                                                                               \
         .help = "Tokens of prompt and answer together, where the model does not say or less is "  \
                 "wanted. Exact for models of this machine, else estimated. 0: the model's own."}

static const struct option target_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(gateway_target, name),
     .help = "A model: one of this machine, or PROVIDER/MODEL."},
    {.name = "weight",
     .type = OPTION_FLOAT,
     .offset = AT(gateway_target, weight),
     .value = "1",
     .max = 1e6,
     .help = "Its share, for the strategies that know shares; 0 is asked only when no other can "
             "be."},
    {0},
};

static const struct option shadow_table[] = {
    {.name = "target",
     .type = OPTION_STRING,
     .offset = AT(gateway_shadow, target),
     .help = "The model that gets the copies: one of this machine, or PROVIDER/MODEL."},
    {.name = "percent",
     .type = OPTION_FLOAT,
     .offset = AT(gateway_shadow, percent),
     .value = "10",
     .max = 100,
     .help = "The share of the requests, drawn by chance."},
    {.name = "in_flight_max",
     .type = OPTION_INT,
     .offset = AT(gateway_shadow, in_flight_max),
     .value = "8",
     .min = 1,
     .max = 1000,
     .help = "Copies under way at once; what would be more is dropped and counted."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_shadow, timeout_ms),
     .value = "60s",
     .min = 1,
     .max = 86400e3,
     .help = "A copy that is not answered after that is cancelled."},
    {.name = "body_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_shadow, body_bytes_max),
     .value = "256KiB",
     .max = 1 << 30,
     .help = "Larger requests are not copied, but dropped and counted."},
    {.name = "record_answers",
     .type = OPTION_BOOL,
     .offset = AT(gateway_shadow, record_answers),
     .value = "false",
     .help = "Keep the texts of both answers in the store (64 KiB of each). Without it: whether "
             "they are the same, and their lengths."},
    {0},
};

static const char *const canary_by[] = {"user", "request", NULL};

static const struct option canary_table[] = {
    {.name = "target",
     .type = OPTION_STRING,
     .offset = AT(gateway_canary, target),
     .help = "One of the route's targets: it is asked first by those who are drawn, and by nobody "
             "else as long as another can be asked."},
    {.name = "percent",
     .type = OPTION_FLOAT,
     .offset = AT(gateway_canary, percent),
     .value = "5",
     .max = 100,
     .help = "How many are drawn."},
    {.name = "by",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_canary, by),
     .value = "user",
     .choices = canary_by,
     .help = "user: the same users always (by the request's user, else by its key; where there is "
             "neither, each request for itself). request: each request for itself."},
    {0},
};

static const struct option route_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(gateway_route, name),
     .help = "The name that clients ask for."},
    {.name = "strategy",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_route, strategy),
     .value = "priority",
     .choices = balance_strategy_names,
     .help = "Which target is asked first: in their order, by weight, the least busy, the quickest "
             "lately, the cheapest, the same for the same beginning of a prompt, or the same for "
             "the same user."},
    {.name = "targets",
     .type = OPTION_TABLES,
     .offset = AT(gateway_route, targets),
     .table = target_table,
     .table_size = sizeof(struct gateway_target),
     .help = "The models that may answer."},
    {.name = "fallback_on",
     .type = OPTION_STRINGS,
     .offset = AT(gateway_route, fallback_on),
     .value = "error,timeout,rate_limit,context,content_policy",
     .help = "After which failures the next target is asked: error, timeout, rate_limit, context "
             "(too long for the model), content_policy."},
    {.name = "shadow",
     .type = OPTION_TABLE,
     .offset = AT(gateway_route, shadow),
     .table = shadow_table,
     .table_size = sizeof(struct gateway_shadow),
     .help = "Copies of some requests to another model, to compare its answers; clients do not "
             "notice."},
    {.name = "canary",
     .type = OPTION_TABLE,
     .offset = AT(gateway_route, canary),
     .table = canary_table,
     .table_size = sizeof(struct gateway_canary),
     .help = "Some of the users, or of the requests, to one of the targets first."},
    {.name = "guards",
     .type = OPTION_STRINGS,
     .offset = AT(gateway_route, guards),
     .help = "Sets of 'guards' that look at its requests and answers, beside those for everyone."},
    POLICY_ROWS(gateway_route),
    {0},
};

static const struct option guard_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(gateway_guard, name),
     .help = "What routes and keys call it."},
    {.name = "everywhere",
     .type = OPTION_BOOL,
     .offset = AT(gateway_guard, everywhere),
     .value = "false",
     .help = "Look at every call, whatever its route and key."},
    {.name = "rules",
     .type = OPTION_TABLES,
     .offset = AT(gateway_guard, rules),
     .table = guard_rule_table,
     .table_size = sizeof(struct guard_rule_text),
     .help = "What to look for, and what becomes of it. In records and metrics a rule is called "
             "SET.RULE."},
    {0},
};

static const struct option breaker_table[] = {
    {.name = "window",
     .type = OPTION_DURATION,
     .offset = AT(breaker_options, window_ms),
     .value = "30s",
     .min = 100,
     .max = 3600e3,
     .help = "Results older than that are forgotten."},
    {.name = "results_min",
     .type = OPTION_INT,
     .offset = AT(breaker_options, results_min),
     .value = "5",
     .min = 1,
     .max = 1e6,
     .help = "Fewer results than that never open it."},
    {.name = "failures_rate",
     .type = OPTION_FLOAT,
     .offset = AT(breaker_options, failures_rate),
     .value = "0.5",
     .min = 0.01,
     .max = 1,
     .help = "The share of failures that opens it."},
    {.name = "open",
     .type = OPTION_DURATION,
     .offset = AT(breaker_options, open_ms),
     .value = "15s",
     .min = 1,
     .max = 86400e3,
     .help = "How long nothing is sent there before one request tries again; doubled each time "
             "that it fails."},
    {.name = "open_max",
     .type = OPTION_DURATION,
     .offset = AT(breaker_options, open_max_ms),
     .value = "2m",
     .min = 1,
     .max = 86400e3,
     .help = "What the doubling ends at."},
    {.name = "hard_down",
     .type = OPTION_DURATION,
     .offset = AT(breaker_options, hard_down_ms),
     .value = "10m",
     .min = 1,
     .max = 86400e3,
     .help = "How long a target is left alone that refuses our key or has no quota left."},
    {.name = "rate_limited",
     .type = OPTION_DURATION,
     .offset = AT(breaker_options, rate_limited_ms),
     .value = "1s",
     .min = 1,
     .max = 3600e3,
     .help = "How long after a 429 that does not say."},
    {0},
};

static const struct option routing_table[] = {
    POLICY_ROWS(gateway_routing),
    {.name = "retry_share",
     .type = OPTION_FLOAT,
     .offset = AT(gateway_routing, retry_share),
     .value = "0.2",
     .max = 10,
     .help = "Second attempts may be this share of the requests over time, so that a failing "
             "provider meets no storm."},
    {.name = "breaker",
     .type = OPTION_TABLE,
     .offset = AT(gateway_routing, breaker),
     .table = breaker_table,
     .table_size = sizeof(struct breaker_options),
     .help = "When a target is left alone because it fails."},
    {0},
};

static const struct option limit_table[] = {
    {.name = "header_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, header_bytes_max),
     .value = "32KiB",
     .min = 1024,
     .max = 1 << 20,
     .help = "Size of a request's head; more is answered 431."},
    {.name = "headers_max",
     .type = OPTION_INT,
     .offset = AT(gateway_limits, headers_max),
     .value = "100",
     .min = 8,
     .max = 128,
     .help = "Header lines in a request; more is answered 431."},
    {.name = "target_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, target_bytes_max),
     .value = "8KiB",
     .min = 256,
     .max = 1 << 20,
     .help = "Length of a request's target; more is answered 414."},
    {.name = "body_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, body_bytes_max),
     .value = "16MiB",
     .min = 1024,
     .max = 1 << 30,
     .help = "Size of a request's body; more is answered 413."},
    {.name = "header_timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_limits, header_timeout_ms),
     .value = "10s",
     .min = 10,
     .max = 3600e3,
     .help = "From the first byte of a head to its end; longer is answered 408."},
    {.name = "body_rate_min",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, body_rate_min),
     .value = "1KiB",
     .max = 1 << 30,
     .help = "Bytes a second that a body must come in with; slower is answered 408. 0: any."},
    {.name = "idle_timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_limits, idle_timeout_ms),
     .value = "75s",
     .min = 10,
     .max = 86400e3,
     .help = "A connection without a request is closed after that."},
    {.name = "write_timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_limits, write_timeout_ms),
     .value = "60s",
     .min = 10,
     .max = 86400e3,
     .help = "A client that reads nothing of its answer for that long is cut off."},
    {.name = "connections_max",
     .type = OPTION_INT,
     .offset = AT(gateway_limits, connections_max),
     .value = "10000",
     .min = 1,
     .max = 1e6,
     .help = "Open connections in all; more are answered 503."},
    {.name = "connections_per_address_max",
     .type = OPTION_INT,
     .offset = AT(gateway_limits, connections_per_address_max),
     .value = "10000",
     .min = 1,
     .max = 1e6,
     .help = "Open connections from one address; more are answered 429."},
    {.name = "handshakes_max",
     .type = OPTION_INT,
     .offset = AT(gateway_limits, handshakes_max),
     .value = "1000",
     .min = 1,
     .max = 1e6,
     .help = "TLS connections that have not asked anything yet; when there are more, the oldest "
             "goes."},
    {.name = "json_depth_max",
     .type = OPTION_INT,
     .offset = AT(gateway_limits, json_depth_max),
     .value = "64",
     .min = 8,
     .max = 64,
     .help = "How deep a body's JSON may nest."},
    {.name = "call_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, call_bytes_max),
     .value = "64MiB",
     .min = 1 << 20,
     .max = 4e9,
     .help = "Memory that one call may use for its request."},
    {.name = "answer_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_limits, answer_bytes_max),
     .value = "64MiB",
     .min = 1 << 16,
     .max = 4e9,
     .help = "Size of one answer that is not streamed."},
    {.name = "request_timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_limits, request_timeout_ms),
     .value = "10m",
     .min = 10,
     .max = 86400e3,
     .help = "A request that is not complete after that is answered 504."},
    {0},
};

static const struct option cors_table[] = {
    {.name = "origins",
     .type = OPTION_STRINGS,
     .offset = AT(gateway_cors, origins),
     .help = "Web pages that may call this server from a browser (\"https://app.example\"), or "
             "\"*\" for any."},
    {0},
};

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"logfmt", "json", NULL};

static const struct option log_table[] = {
    {.name = "level",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_log, level),
     .value = "info",
     .choices = levels,
     .help = "The least important line that is still written."},
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_log, format),
     .value = "logfmt",
     .choices = formats,
     .help = "logfmt for people, json for machines."},
    {0},
};

static const struct option store_table[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .offset = AT(gateway_store, path),
     .arg = "FILE|off",
     .help = "The SQLite file with records of requests, keys and spend. Without it: $WEIR_STORE, "
             "else weir.db in the data folder ($XDG_DATA_HOME/weir). off: nothing is kept."},
    {.name = "records_max",
     .type = OPTION_INT,
     .offset = AT(gateway_store, records_max),
     .value = "200000",
     .min = 1,
     .max = 1e9,
     .help = "Requests on record; the oldest go when there are more (about 300 bytes each)."},
    {0},
};

static const struct option tls_table[] = {
    {.name = "certificate",
     .type = OPTION_STRING,
     .offset = AT(gateway_tls, certificate),
     .arg = "FILE",
     .help = "The certificate, and behind it the chain to its authority, in PEM. With it every "
             "connection speaks TLS 1.2 or 1.3. Files are read again when they change and on "
             "SIGHUP; no connection is dropped, and a bad file changes nothing."},
    {.name = "key",
     .type = OPTION_STRING,
     .offset = AT(gateway_tls, key),
     .arg = "FILE",
     .help = "Its private key, in PEM and without a password."},
    {.name = "client_ca",
     .type = OPTION_STRING,
     .offset = AT(gateway_tls, client_ca),
     .arg = "FILE",
     .help = "Authorities (PEM): who has no certificate of theirs is refused in the handshake, "
             "before any key is looked at."},
    {0},
};

const struct option gateway_config_table[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = AT(gateway_config, listen),
     .value = "127.0.0.1:8080",
     .arg = "HOST:PORT",
     .help = "Where to listen: HOST:PORT, [IPV6]:PORT, or unix:PATH. Port 0 takes a free one."},
    {.name = "listen_without_keys",
     .type = OPTION_BOOL,
     .offset = AT(gateway_config, listen_without_keys),
     .value = "false",
     .help = "Listen beyond loopback although no keys are configured: anyone who reaches the port "
             "may use the models."},
    {.name = "tls",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, tls),
     .table = tls_table,
     .table_size = sizeof(struct gateway_tls),
     .help = "TLS on the listener."},
    {.name = "drain_delay",
     .type = OPTION_DURATION,
     .offset = AT(gateway_config, drain_delay_ms),
     .value = "0s",
     .max = 3600e3,
     .help = "After SIGTERM: how long new requests are still taken while /readyz says 503, so that "
             "a load balancer can stop sending first."},
    {.name = "drain_timeout",
     .type = OPTION_DURATION,
     .offset = AT(gateway_config, drain_timeout_ms),
     .value = "30s",
     .max = 86400e3,
     .help = "After that: how long running answers may still take before they are cut."},
    {.name = "stream_ping",
     .type = OPTION_DURATION,
     .offset = AT(gateway_config, stream_ping_ms),
     .value = "15s",
     .min = 10,
     .max = 86400e3,
     .help = "A stream that has nothing to say for that long sends a comment, so that no proxy "
             "takes it for dead."},
    {.name = "half_close_cancels",
     .type = OPTION_BOOL,
     .offset = AT(gateway_config, half_close_cancels),
     .value = "true",
     .help =
         "A client that ends its sending side while its request runs has gone: the work stops."},
    {.name = "metrics_public",
     .type = OPTION_BOOL,
     .offset = AT(gateway_config, metrics_public),
     .value = "false",
     .help = "Answer /metrics without a key even where keys are configured."},
    {.name = "keys",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, keys),
     .table = gateway_key_table,
     .table_size = sizeof(struct gateway_key),
     .help = "API keys, beside those that 'weir key' makes. None of either: whoever reaches the "
             "listener may call it."},
    {.name = "models",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, models),
     .table = gateway_model_table,
     .table_size = sizeof(struct gateway_model),
     .help = "Models to serve; the first is also called \"default\". None: the bundled model."},
    {.name = "routes",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, routes),
     .table = route_table,
     .table_size = sizeof(struct gateway_route),
     .help = "Names that lead to several models: which one answers, and what happens when it "
             "fails."},
    {.name = "guards",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, guards),
     .table = guard_table,
     .table_size = sizeof(struct gateway_guard),
     .help =
         "Sets of rules over what is asked and what is answered (docs/guards.md): for everyone, "
         "or named by routes and keys."},
    {.name = "prompts",
     .type = OPTION_STRING,
     .offset = AT(gateway_config, prompts),
     .arg = "FOLDER",
     .help =
         "The folder of prompts, each a file NAME@VERSION.yaml (docs/prompts.md), that requests "
         "may call by name."},
    {.name = "routing",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, routing),
     .table = routing_table,
     .table_size = sizeof(struct gateway_routing),
     .help = "Retries and breakers; the policy here is that of models that are named themselves."},
    {.name = "providers",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, providers),
     .table = gateway_provider_table,
     .table_size = sizeof(struct gateway_provider),
     .help = "Providers over the network. Their models are called PROVIDER/MODEL, and by their own "
             "name where it is free."},
    {.name = "providers_from_environment",
     .type = OPTION_BOOL,
     .offset = AT(gateway_config, providers_from_environment),
     .value = "false",
     .help = "Also use the providers whose keys stand in the environment (OPENAI_API_KEY, "
             "ANTHROPIC_API_KEY, AZURE_OPENAI_ENDPOINT with AZURE_OPENAI_API_KEY, "
             "NVIDIA_API_KEY), and an Ollama that answers at OLLAMA_HOST or its usual port. True "
             "where there is no configuration file, unless WEIR_PROVIDERS_FROM_ENVIRONMENT says "
             "false."},
    {.name = "limits",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, limits),
     .table = limit_table,
     .table_size = sizeof(struct gateway_limits),
     .help = "Bounds on what a client may take, each with its own answer."},
    {.name = "cors",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, cors),
     .table = cors_table,
     .table_size = sizeof(struct gateway_cors),
     .help = "Web pages of other origins."},
    {.name = "engine",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, engine),
     .table = gateway_engine_table,
     .table_size = sizeof(struct gateway_engine),
     .help = "The embedded engine."},
    {.name = "log",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, log),
     .table = log_table,
     .table_size = sizeof(struct gateway_log),
     .help = "One line a request, to stderr."},
    {.name = "store",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, store),
     .table = store_table,
     .table_size = sizeof(struct gateway_store),
     .help = "What is kept on disk."},
    {.name = "prices",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, prices),
     .table = gateway_price_table,
     .table_size = sizeof(struct gateway_price),
     .help =
         "What tokens cost, by model; the first that fits is taken. Models without a price cost "
         "nothing."},
    {.name = "rate_limits",
     .type = OPTION_TABLES,
     .offset = AT(gateway_config, rate_limits),
     .table = gateway_rate_limit_table,
     .table_size = sizeof(struct gateway_rate_limit),
     .help = "Limits of models and providers, shared by all clients; a request keeps to each that "
             "fits it, beside those of its key."},
    {.name = "cache",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, cache),
     .table = gateway_cache_table,
     .table_size = sizeof(struct gateway_cache),
     .help = "Answers told again to whoever asks the very same with the same key."},
    {.name = "conversations",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, conversations),
     .table = gateway_conversation_table,
     .table_size = sizeof(struct gateway_conversations),
     .help =
         "What one conversation may do, an agent's loop of tool calls say, before it is refused "
         "with conversation_exhausted."},
    {.name = "admission",
     .type = OPTION_TABLE,
     .offset = AT(gateway_config, admission),
     .table = gateway_admission_table,
     .table_size = sizeof(struct gateway_admission),
     .help = "Where requests wait when as many run at once as may."},
    {0},
};

static enum err listen_address(str text, struct sock_address *ret, struct diag *d)
{
    char address[256];
    if (text.len >= sizeof address)
        return diag_set(d, ERR_INVALID, "the address is too long");
    if (text.len)
        memcpy(address, text.ptr, text.len);
    address[text.len] = '\0';
    return sock_address_parse(address, ret, d);
}

bool gateway_address_is_loopback(str address)
{
    struct sock_address a;
    return listen_address(address, &a, NULL) == ERR_OK && sock_address_is_loopback(&a);
}

static enum err check_tls(const struct gateway_tls *t, struct diag *d)
{
    bool pair = t->certificate.len && t->key.len;
    if (!pair && (t->certificate.len || t->key.len || t->client_ca.len))
        return diag_set(d, ERR_INVALID, "tls: certificate and key are needed, both");
    return ERR_OK;
}

enum err gateway_config_check(const struct gateway_config *c, struct diag *d)
{
    ERR_TRY(check_tls(&c->tls, d));
    ERR_TRY(gateway_keys_check(c, d));
    ERR_TRY(gateway_models_check(c, d));
    ERR_TRY(model_routes_check(c, d));
    ERR_TRY(guards_check(c, d));
    for (size_t i = 0; i < c->providers.len; i++)
        ERR_TRY(gateway_provider_check(&gateway_config_providers(c)[i], d));
    struct sock_address a;
    enum err e = listen_address(c->listen, &a, d);
    if (e != ERR_OK) {
        diag_where(d, "listen");
        return e;
    }
    if (sock_address_is_loopback(&a) || c->keys.len || c->listen_without_keys ||
        store_place_has_keys(c->store.path))
        return ERR_OK;
    return diag_set(d, ERR_DENIED,
                    "listen: " STR_FMT " is reachable from other machines and no keys are "
                    "configured: add keys, listen on 127.0.0.1, or say listen_without_keys",
                    STR_ARG(c->listen));
}
