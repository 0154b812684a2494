// Every metric that weir has, by number. names.c holds the table: name, type, labels, buckets and
// meaning; docs/metrics.md is made from it. Names and buckets follow Prometheus' naming rules, and
// the vllm: family is what vLLM's own server exports (vllm/v1/metrics/loggers.py), so that
// dashboards and autoscalers made for it read weir too.
#pragma once

#include "telemetry/metrics.h"

enum {
    // The process.
    METRIC_BUILD_INFO,
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_RESIDENT,
    METRIC_PROCESS_VIRTUAL,
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_START_TIME,
    METRIC_LOG_MESSAGES,
    METRIC_LOOP_LAG,
    METRIC_SERIES,
    METRIC_SERIES_DROPPED,
    // The surface.
    METRIC_HTTP_REQUESTS,
    METRIC_REQUESTS,
    METRIC_REQUEST_DURATION,
    METRIC_TIME_TO_FIRST_TOKEN,
    METRIC_INTER_TOKEN_LATENCY,
    METRIC_GATEWAY_OVERHEAD,
    METRIC_QUEUE_WAIT,
    METRIC_REQUESTS_INFLIGHT,
    METRIC_QUEUE_DEPTH,
    METRIC_TOKENS,
    METRIC_REQUEST_TOKENS,
    METRIC_STREAM_ABORTS,
    METRIC_COST,
    METRIC_RECORDS,
    METRIC_RECORDS_WAITING,
    // The engine.
    METRIC_ENGINE_RUNNING,
    METRIC_ENGINE_WAITING,
    METRIC_ENGINE_KV_USAGE,
    METRIC_ENGINE_KV_BLOCKS,
    METRIC_ENGINE_BATCH_SIZE,
    METRIC_ENGINE_STEP_DURATION,
    METRIC_ENGINE_STEPS,
    METRIC_ENGINE_LAST_STEP,
    METRIC_ENGINE_PREFIX_QUERY_TOKENS,
    METRIC_ENGINE_PREFIX_HIT_TOKENS,
    METRIC_ENGINE_PREEMPTIONS,
    METRIC_ENGINE_LOAD_SECONDS,
    METRIC_ENGINE_WEIGHTS_BYTES,
    METRIC_ENGINE_MODEL_STATE,
    // vLLM's names.
    METRIC_VLLM_RUNNING,
    METRIC_VLLM_WAITING,
    METRIC_VLLM_KV_USAGE,
    METRIC_VLLM_CACHE_CONFIG,
    METRIC_VLLM_PREFIX_QUERIES,
    METRIC_VLLM_PREFIX_HITS,
    METRIC_VLLM_PREEMPTIONS,
    METRIC_VLLM_PROMPT_TOKENS,
    METRIC_VLLM_GENERATION_TOKENS,
    METRIC_VLLM_REQUEST_SUCCESS,
    METRIC_VLLM_TIME_TO_FIRST_TOKEN,
    METRIC_VLLM_INTER_TOKEN_LATENCY,
    METRIC_VLLM_TIME_PER_OUTPUT_TOKEN,
    METRIC_VLLM_REQUEST_LATENCY,
    METRIC_VLLM_QUEUE_TIME,
    METRIC_VLLM_PREFILL_TIME,
    METRIC_VLLM_DECODE_TIME,
    METRIC_VLLM_INFERENCE_TIME,
    METRIC_VLLM_REQUEST_PROMPT_TOKENS,
    METRIC_VLLM_REQUEST_GENERATION_TOKENS,
    METRIC_COUNT
};

extern const struct metric names_table[]; // METRIC_COUNT rows and the end

// A registry over the table, with a collector for the process's own rows (all but the loop's lag)
// and build info already set. `isa`: the kernels in use, such as "avx512".
struct metrics *names_registry(const char *isa, size_t series_max);
#define NAMES_SERIES_MAX_DEFAULT 10000
