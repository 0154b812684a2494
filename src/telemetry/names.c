#include "telemetry/names.h"

#include "base/log.h"
#include "telemetry/process.h"

#include "base/banned.h"

#if defined(__clang__)
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif
#ifndef WEIR_COMMIT
#define WEIR_COMMIT "unknown"
#endif

// ---- closed labels ----

static const char *const outcomes[] = {
    "ok",         "client_error",   "auth",    "rate_limited", "guardrail",
    "overloaded", "upstream_error", "timeout", "cancelled",    "internal",
    NULL};
static const char *const token_types[] = {"input", "output", "cached_input", "reasoning", NULL};
static const char *const attempt_reasons[] = {"first",  "retry", "fallback", "hedge",
                                              "rescue", "probe", "shadow",   NULL};
static const char *const attempt_outcomes[] = {"ok",
                                               "cancelled",
                                               "lost",
                                               "none",
                                               "client",
                                               "unsuited",
                                               "rate_limited",
                                               "transient",
                                               "connect_timeout",
                                               "first_token_timeout",
                                               "hard_down",
                                               "idle_timeout",
                                               "total_timeout",
                                               "context_too_long",
                                               "content_policy",
                                               "truncated",
                                               "malformed",
                                               NULL};
static const char *const abort_sides[] = {"client", "upstream", NULL};
static const char *const check_results[] = {"ok", "failed", NULL};
static const char *const request_states[] = {"running", "waiting", NULL};
static const char *const shadow_outcomes[] = {"same",      "different", "failed", "timeout",
                                              "cancelled", "dropped",   NULL};
static const char *const shadow_sides[] = {"original", "shadow", NULL};
static const char *const reload_results[] = {"taken", "refused", NULL};
static const char *const handshake_results[] = {"full", "resumed", "failed", NULL};
static const char *const cache_results[] = {"hit", "shared", "semantic", "miss", NULL};
static const char *const semantic_results[] = {"hit",  "shadow", "guarded", "miss",
                                               "late", "failed", NULL};
static const char *const similarities[] = {"0.50", "0.60", "0.70", "0.80",  "0.85",
                                           "0.90", "0.92", "0.94", "0.95",  "0.96",
                                           "0.97", "0.98", "0.99", "0.995", NULL};
static const char *const shadow_verdicts[] = {"equal", "alike", "different", NULL};
static const char *const guard_actions[] = {"allow", "block", "tag", "mask", NULL};
static const char *const guard_directions[] = {"input", "output", NULL};
static const char *const record_states[] = {"written", "dropped", "missing", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const kv_states[] = {"used", "cached", "free", NULL};
static const char *const step_phases[] = {"prefill", "decode", "mixed", NULL};
static const char *const model_states[] = {"ready", "unloaded", NULL};
static const char *const finished_reasons[] = {"stop", "length", "abort", "error", NULL};

// ---- buckets ----

static const double whole_request_s[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                         2.5,   5,    10,    30,   60,  120,  300, 600};
static const double first_token_s[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                                       0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80};
static const double token_gap_s[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                     0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5};
static const double overhead_s[] = {50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025,
                                    0.005, 0.01,   0.025,  0.05,   0.1,   1};
static const double tokens_n[] = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536};
static const double batch_n[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
static const double step_s[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                0.1,    0.25,  0.5,    1,     2.5,  5};
static const double vllm_first_token_s[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                            0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                            20,    40,    80,   160,  640,  2560};
static const double vllm_token_gap_s[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                          0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
static const double vllm_request_s[] = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                        30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
static const double vllm_tokens_n[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                       500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

// ---- the table ----

#define ANY(label)            {.name = (label)}
#define ONE_OF(label, closed) {.name = (label), .values = (closed)}
#define MODEL                 ANY("model")
#define MODEL_PROVIDER        ANY("model"), ANY("provider")
#define VLLM                  ANY("model_name"), ANY("engine")

#define ROW(t, n, u, h, ...)  {.name = (n), .type = (t), .unit = (u), .help = (h), __VA_ARGS__}
#define COUNTER(n, u, h, ...) ROW(METRIC_COUNTER, n, u, h, .labels = {__VA_ARGS__})
#define GAUGE(n, u, h, ...)   ROW(METRIC_GAUGE, n, u, h, .labels = {__VA_ARGS__})
#define HISTOGRAM(n, u, h, list, ...)                                                              \
    ROW(METRIC_HISTOGRAM, n, u, h, .labels = {__VA_ARGS__}, .buckets = (list),                     \
        .buckets_len = ARRAY_LEN(list))

// clang-format off: one row, one look
const struct metric names_table[METRIC_COUNT + 1] = {
    [METRIC_BUILD_INFO] = GAUGE("weir_build_info", NULL,
        "Always 1; the labels say which build runs, and with which kernels.",
        ANY("version"), ANY("commit"), ANY("compiler"), ANY("isa")),
    [METRIC_PROCESS_CPU] = COUNTER("process_cpu_seconds_total", "seconds",
        "User and system CPU time spent."),
    [METRIC_PROCESS_RESIDENT] = GAUGE("process_resident_memory_bytes", "bytes",
        "Resident memory."),
    [METRIC_PROCESS_VIRTUAL] = GAUGE("process_virtual_memory_bytes", "bytes",
        "Virtual memory."),
    [METRIC_PROCESS_OPEN_FDS] = GAUGE("process_open_fds", NULL,
        "Open file descriptors."),
    [METRIC_PROCESS_MAX_FDS] = GAUGE("process_max_fds", NULL,
        "The most file descriptors that may be open."),
    [METRIC_PROCESS_START_TIME] = GAUGE("process_start_time_seconds", "seconds",
        "When the process started, in seconds since 1970."),
    [METRIC_LOG_MESSAGES] = COUNTER("weir_log_messages_total", NULL,
        "Log records made, whether or not their level was written.", ONE_OF("level", log_levels)),
    [METRIC_LOOP_LAG] = HISTOGRAM("weir_loop_lag_seconds", "seconds",
        "How long ready work waited for its event loop.", overhead_s),
    [METRIC_SERIES] = GAUGE("weir_metrics_series", NULL,
        "Series held for this page."),
    [METRIC_SERIES_DROPPED] = COUNTER("weir_metrics_series_dropped_total", NULL,
        "Look-ups of new series that were thrown away at the limit."),

    [METRIC_TLS_EXPIRY] = GAUGE("weir_tls_certificate_expiry_timestamp_seconds", "seconds",
        "When the listener's certificate ends, in seconds since 1970."),
    [METRIC_TLS_RELOADS] = COUNTER("weir_tls_certificate_reloads_total", NULL,
        "Certificates read again: taken, or refused while the one before stays.",
        ONE_OF("result", reload_results)),
    [METRIC_TLS_HANDSHAKES] = COUNTER("weir_tls_handshakes_total", NULL,
        "TLS handshakes of clients; failed are also those that were too slow or no TLS.",
        ONE_OF("result", handshake_results)),
    [METRIC_HTTP_REQUESTS] = COUNTER("weir_http_requests_total", NULL,
        "HTTP requests answered, by route and status code.", ANY("endpoint"), ANY("code")),
    [METRIC_REQUESTS] = COUNTER("weir_requests_total", NULL,
        "Model requests ended, by how they ended.", MODEL_PROVIDER, ONE_OF("outcome", outcomes)),
    [METRIC_REQUEST_DURATION] = HISTOGRAM("weir_request_duration_seconds", "seconds",
        "From the request's first byte to the answer's last.", whole_request_s, MODEL_PROVIDER),
    [METRIC_TIME_TO_FIRST_TOKEN] = HISTOGRAM("weir_time_to_first_token_seconds", "seconds",
        "From the request's first byte to the first token sent.", first_token_s, MODEL_PROVIDER),
    [METRIC_INTER_TOKEN_LATENCY] = HISTOGRAM("weir_inter_token_latency_seconds", "seconds",
        "Gaps between one token and the next.", token_gap_s, MODEL_PROVIDER),
    [METRIC_GATEWAY_OVERHEAD] = HISTOGRAM("weir_gateway_overhead_seconds", "seconds",
        "What weir itself adds: the whole request less the time its provider took.", overhead_s),
    [METRIC_QUEUE_WAIT] = HISTOGRAM("weir_queue_wait_seconds", "seconds",
        "Time that requests waited to be admitted.", whole_request_s, MODEL),
    [METRIC_REQUESTS_INFLIGHT] = GAUGE("weir_requests_inflight", NULL,
        "Model requests taken and not yet ended.", MODEL),
    [METRIC_QUEUE_DEPTH] = GAUGE("weir_queue_depth", NULL,
        "Model requests waiting to be admitted.", MODEL),
    [METRIC_TOKENS] = COUNTER("weir_tokens_total", NULL,
        "Tokens of ended requests; cached_input is part of input, reasoning part of output.",
        MODEL_PROVIDER, ONE_OF("type", token_types)),
    [METRIC_REQUEST_TOKENS] = HISTOGRAM("weir_request_tokens", NULL,
        "Tokens of one request.", tokens_n, MODEL, ONE_OF("type", token_types)),
    [METRIC_STREAM_ABORTS] = COUNTER("weir_stream_aborts_total", NULL,
        "Streams that broke before their end, by the side that left.", ONE_OF("side", abort_sides)),
    [METRIC_ATTEMPTS] = COUNTER("weir_attempts_total", NULL,
        "Attempts at requests, by why they were made and how they ended; a request may need several.",
        MODEL_PROVIDER, ONE_OF("reason", attempt_reasons), ONE_OF("outcome", attempt_outcomes)),
    [METRIC_BREAKER_OPEN] = GAUGE("weir_breaker_open", NULL,
        "1 while a target is left alone because it fails.", MODEL_PROVIDER),
    [METRIC_BREAKER_TRIPS] = COUNTER("weir_breaker_trips_total", NULL,
        "How often a target's breaker opened.", MODEL_PROVIDER),
    [METRIC_PROVIDER_UP] = GAUGE("weir_provider_up", NULL,
        "Whether a provider that is asked for its health is ready, or one that is asked for its "
        "models answered last time.",
        ANY("provider")),
    [METRIC_PROVIDER_CHECKS] = COUNTER("weir_provider_health_checks_total", NULL,
        "Questions to providers whether they are ready.", ANY("provider"), ONE_OF("result", check_results)),
    [METRIC_PROVIDER_REQUESTS] = GAUGE("weir_provider_requests", NULL,
        "Requests at a provider by its own metrics, whoever sent them.",
        ANY("provider"), ONE_OF("state", request_states)),
    [METRIC_SHADOWS] = COUNTER("weir_shadow_requests_total", NULL,
        "Copies of requests for comparison, by how they ended: with the same text as the client's "
        "answer or another, not, or never begun (dropped).",
        ANY("route"), ONE_OF("outcome", shadow_outcomes)),
    [METRIC_SHADOW_DURATION] = HISTOGRAM("weir_shadow_duration_seconds", "seconds",
        "Whole time of pairs that were both answered: of the client's request, and of its copy.",
        whole_request_s, ANY("route"), ONE_OF("side", shadow_sides)),
    [METRIC_SHADOW_COST] = COUNTER("weir_shadow_cost_usd_total", NULL,
        "What copies have cost, by the table of prices, in US dollars; it is in no key's budget.",
        ANY("route")),
    [METRIC_COST] = COUNTER("weir_cost_usd_total", NULL,
        "What requests have cost, by the table of prices, in US dollars.",
        MODEL_PROVIDER, ANY("key")),
    [METRIC_CACHE] = COUNTER("weir_cache_requests_total", NULL,
        "Requests that the cache was asked for: answered from it, shared with one that ran, answered as one that means nearly the same, or not.",
        MODEL, ONE_OF("result", cache_results)),
    [METRIC_CACHE_SEMANTIC] = COUNTER("weir_cache_semantic_total", NULL,
        "Searches of the semantic cache: answered; would have been (shadow); near enough, but with other numbers, names or negations (guarded); nothing near; no embedding in time (late), or none at all.",
        ONE_OF("result", semantic_results)),
    [METRIC_CACHE_SHADOW] = COUNTER("weir_cache_shadow_total", NULL,
        "Answers that a semantic hit was not told and were compared with it, by the similarity of the questions, from this step to the next.",
        ONE_OF("similarity", similarities), ONE_OF("verdict", shadow_verdicts)),
    [METRIC_CACHE_SHADOW_AGREEMENT] = COUNTER("weir_cache_shadow_agreement_total", NULL,
        "Shares of words that those answers had in common, added up: divided by their number it is the mean.",
        ONE_OF("similarity", similarities)),
    [METRIC_GUARD_MATCHES] = COUNTER("weir_guard_matches_total", NULL,
        "What rules of guards found: by the rule's name, what it does, and where it looked.",
        ANY("rule"), ONE_OF("action", guard_actions), ONE_OF("direction", guard_directions)),
    [METRIC_RECORDS] = COUNTER("weir_records_total", NULL,
        "Records of requests: on disk, dropped because the queue was full, missing after a crash.",
        ONE_OF("state", record_states)),
    [METRIC_RECORDS_WAITING] = GAUGE("weir_records_waiting", NULL,
        "Records on their way to the disk."),

    [METRIC_ENGINE_RUNNING] = GAUGE("weir_engine_requests_running", NULL,
        "Sequences in the running batch.", MODEL, ANY("engine")),
    [METRIC_ENGINE_WAITING] = GAUGE("weir_engine_requests_waiting", NULL,
        "Sequences waiting for the engine.", MODEL, ANY("engine")),
    [METRIC_ENGINE_KV_USAGE] = GAUGE("weir_engine_kv_cache_usage_ratio", "ratio",
        "Part of the KV cache that running sequences hold, 0 to 1.", MODEL),
    [METRIC_ENGINE_KV_BLOCKS] = GAUGE("weir_engine_kv_blocks", NULL,
        "Blocks of the KV cache: used by sequences, cached for prefixes, free.",
        MODEL, ONE_OF("state", kv_states)),
    [METRIC_ENGINE_BATCH_SIZE] = HISTOGRAM("weir_engine_batch_size", NULL,
        "Sequences in one step.", batch_n, MODEL),
    [METRIC_ENGINE_STEP_DURATION] = HISTOGRAM("weir_engine_step_duration_seconds", "seconds",
        "Time of one step, by what it did.", step_s, MODEL, ONE_OF("phase", step_phases)),
    [METRIC_ENGINE_STEPS] = COUNTER("weir_engine_steps_total", NULL,
        "Steps taken.", MODEL),
    [METRIC_ENGINE_LAST_STEP] = GAUGE("weir_engine_last_step_timestamp_seconds", "seconds",
        "When the engine last stepped, for any model, in seconds since 1970; the present while it has nothing to do.", MODEL),
    [METRIC_ENGINE_PREFIX_QUERY_TOKENS] = COUNTER(
        "weir_engine_prefix_cache_query_tokens_total", NULL,
        "Prompt tokens looked up in the prefix cache.", MODEL),
    [METRIC_ENGINE_PREFIX_HIT_TOKENS] = COUNTER("weir_engine_prefix_cache_hit_tokens_total", NULL,
        "Prompt tokens found in the prefix cache.", MODEL),
    [METRIC_ENGINE_PREEMPTIONS] = COUNTER("weir_engine_preemptions_total", NULL,
        "Sequences put back to make room in the KV cache.", MODEL),
    [METRIC_ENGINE_DRAFTED_TOKENS] = COUNTER("weir_engine_drafted_tokens_total", NULL,
        "Tokens that speculation guessed.", MODEL),
    [METRIC_ENGINE_ACCEPTED_TOKENS] = COUNTER("weir_engine_accepted_tokens_total", NULL,
        "Guessed tokens that were right.", MODEL),
    [METRIC_ENGINE_LOAD_SECONDS] = GAUGE("weir_engine_model_load_seconds", "seconds",
        "How long the model took to load.", MODEL),
    [METRIC_ENGINE_WEIGHTS_BYTES] = GAUGE("weir_engine_weights_bytes", "bytes",
        "Memory that the model's weights take now, and those of its draft model.", MODEL),
    [METRIC_ENGINE_MODEL_STATE] = GAUGE("weir_engine_model_state", NULL,
        "1 for the state that the model is in; an unloaded one is loaded again for its next request.", MODEL, ONE_OF("state", model_states)),

    [METRIC_VLLM_RUNNING] = GAUGE("vllm:num_requests_running", NULL,
        "Sequences in the running batch.", VLLM),
    [METRIC_VLLM_WAITING] = GAUGE("vllm:num_requests_waiting", NULL,
        "Sequences waiting for the engine.", VLLM),
    [METRIC_VLLM_KV_USAGE] = GAUGE("vllm:kv_cache_usage_perc", NULL,
        "Part of the KV cache in use, 0 to 1.", VLLM),
    [METRIC_VLLM_CACHE_CONFIG] = GAUGE("vllm:cache_config_info", NULL,
        "Always 1; the labels say how the KV cache is laid out.",
        ANY("block_size"), ANY("num_gpu_blocks"), ANY("enable_prefix_caching"), ANY("engine")),
    [METRIC_VLLM_PREFIX_QUERIES] = COUNTER("vllm:prefix_cache_queries_total", NULL,
        "Prompt tokens looked up in the prefix cache.", VLLM),
    [METRIC_VLLM_PREFIX_HITS] = COUNTER("vllm:prefix_cache_hits_total", NULL,
        "Prompt tokens found in the prefix cache.", VLLM),
    [METRIC_VLLM_PREEMPTIONS] = COUNTER("vllm:num_preemptions_total", NULL,
        "Sequences put back to make room in the KV cache.", VLLM),
    [METRIC_VLLM_DRAFTED_TOKENS] = COUNTER("vllm:spec_decode_num_draft_tokens_total", NULL,
        "Tokens that speculation guessed.", VLLM),
    [METRIC_VLLM_ACCEPTED_TOKENS] = COUNTER("vllm:spec_decode_num_accepted_tokens_total", NULL,
        "Guessed tokens that were right.", VLLM),
    [METRIC_VLLM_PROMPT_TOKENS] = COUNTER("vllm:prompt_tokens_total", NULL,
        "Prompt tokens processed.", VLLM),
    [METRIC_VLLM_GENERATION_TOKENS] = COUNTER("vllm:generation_tokens_total", NULL,
        "Tokens generated.", VLLM),
    [METRIC_VLLM_REQUEST_SUCCESS] = COUNTER("vllm:request_success_total", NULL,
        "Requests ended, by why they ended.", VLLM, ONE_OF("finished_reason", finished_reasons)),
    [METRIC_VLLM_TIME_TO_FIRST_TOKEN] = HISTOGRAM("vllm:time_to_first_token_seconds", "seconds",
        "From the request's arrival to its first token.", vllm_first_token_s, VLLM),
    [METRIC_VLLM_INTER_TOKEN_LATENCY] = HISTOGRAM("vllm:inter_token_latency_seconds", "seconds",
        "Gaps between one token and the next.", vllm_token_gap_s, VLLM),
    [METRIC_VLLM_TIME_PER_OUTPUT_TOKEN] = HISTOGRAM(
        "vllm:request_time_per_output_token_seconds", "seconds",
        "A request's mean time per token after the first.", vllm_token_gap_s, VLLM),
    [METRIC_VLLM_REQUEST_LATENCY] = HISTOGRAM("vllm:e2e_request_latency_seconds", "seconds",
        "From the request's arrival to its last token.", vllm_request_s, VLLM),
    [METRIC_VLLM_QUEUE_TIME] = HISTOGRAM("vllm:request_queue_time_seconds", "seconds",
        "Time that a request waited for the engine.", vllm_request_s, VLLM),
    [METRIC_VLLM_PREFILL_TIME] = HISTOGRAM("vllm:request_prefill_time_seconds", "seconds",
        "Time that a request spent in prefill.", vllm_request_s, VLLM),
    [METRIC_VLLM_DECODE_TIME] = HISTOGRAM("vllm:request_decode_time_seconds", "seconds",
        "Time that a request spent in decode.", vllm_request_s, VLLM),
    [METRIC_VLLM_INFERENCE_TIME] = HISTOGRAM("vllm:request_inference_time_seconds", "seconds",
        "Time that a request spent running: prefill and decode.", vllm_request_s, VLLM),
    [METRIC_VLLM_REQUEST_PROMPT_TOKENS] = HISTOGRAM("vllm:request_prompt_tokens", NULL,
        "Prompt tokens of one request.", vllm_tokens_n, VLLM),
    [METRIC_VLLM_REQUEST_GENERATION_TOKENS] = HISTOGRAM("vllm:request_generation_tokens", NULL,
        "Tokens generated for one request.", vllm_tokens_n, VLLM),
};
// clang-format on

// ---- the process's own rows ----

static void set_plain(struct metrics_shard *s, size_t metric, double value)
{
    metrics_set(metrics_series(s, metric, NULL), value);
}

static void collect_process(struct metrics_shard *s)
{
    struct process_stats p;
    process_stats(&p);
    set_plain(s, METRIC_PROCESS_CPU, p.cpu_seconds);
    set_plain(s, METRIC_PROCESS_RESIDENT, (double)p.resident_bytes);
    set_plain(s, METRIC_PROCESS_VIRTUAL, (double)p.virtual_bytes);
    set_plain(s, METRIC_PROCESS_OPEN_FDS, (double)p.open_fds);
    set_plain(s, METRIC_PROCESS_MAX_FDS, (double)p.max_fds);
    set_plain(s, METRIC_PROCESS_START_TIME, p.start_time_seconds);
}

static void collect_own(void *ctx, struct metrics_shard *s)
{
    const struct metrics *m = ctx;
    collect_process(s);
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++)
        metrics_set(
            metrics_series(s, METRIC_LOG_MESSAGES, METRICS_VALUES(str_of(log_levels[level]))),
            (double)log_count((enum log_level)level));
    set_plain(s, METRIC_SERIES, (double)metrics_series_count(m));
    set_plain(s, METRIC_SERIES_DROPPED, (double)metrics_series_dropped(m));
}

struct metrics *names_registry(const char *isa, size_t series_max)
{
    struct metrics *m = metrics_new(names_table, series_max);
    metrics_collector(m, collect_own, m);
    struct metrics_series *build = metrics_series(
        metrics_shard(m), METRIC_BUILD_INFO,
        METRICS_VALUES(STR(WEIR_VERSION), STR(WEIR_COMMIT), STR(COMPILER), str_of(isa)));
    metrics_set(build, 1);
    return m;
}
