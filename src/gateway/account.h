// What is counted and written down of each call: metrics and one log line. Never on its path: the
// client has its answer by then. Loop thread.
#pragma once

#include "base/str.h"
#include "gateway/record.h"
#include "gateway/registry.h"
#include "telemetry/names.h"

struct answer_headers;
struct call;

// The series that was counted last, by the static word that tells it from its siblings: mostly it
// is the same one again.
struct account_last {
    const char *word;
    struct metrics_series *series;
};

// Series of one model, found once.
struct account_model {
    struct metrics_series *inflight, *waiting, *duration, *first_token, *token_gap, *queue_wait;
    struct metrics_series *input, *output, *cached, *input_size, *output_size;
    struct metrics_series *vllm_first_token, *vllm_gap, *vllm_per_token, *vllm_latency, *vllm_queue;
    struct metrics_series *vllm_prefill, *vllm_decode, *vllm_inference, *vllm_prompt, *vllm_output;
    struct account_last outcome, finish, attempt[ATTEMPT_REASON_COUNT];
};

// Series of answers by endpoint and status, the common ones found without a look-up.
#define ACCOUNT_HTTP_KEPT 32

struct account_http {
    const char *endpoint;
    int status;
    struct metrics_series *series;
};

struct account {
    struct metrics *registry;
    struct metrics_shard *shard;
    struct account_http http[ACCOUNT_HTTP_KEPT];
    size_t http_len;
    struct metrics_series *overhead, *abort_client, *abort_upstream;
    struct account_model *models[REGISTRY_MODELS_MAX]; // by model_entry.index
};

void account_init(struct account *a, struct metrics *registry);
void account_done(struct account *a);
// Every answered HTTP request, whatever it was. `endpoint` is a static string.
void account_http(struct account *a, const char *endpoint, int status);
// What only the loop's own thread may read, for the page that is about to be written.
struct loop;
void account_loop(struct account *a, const struct loop *l);
// The call found its model; its first output and those after it.
void account_routed(struct call *c);
void account_output(struct call *c);
// One attempt has ended; `tripped`: its target's breaker opened by it.
void account_attempt(struct call *c, const struct attempt_record *r, bool tripped);
// It waits for a place (+1), or no more (-1).
void account_waiting(struct call *c, int change);

// --- account_headers.c, account_totals.c, account_store.c
// The stream is over: its totals as a comment, where the client asks for them.
void account_totals(struct call *c);
// x-weir-{provider,attempts,cost,overhead-us,request-id} and Server-Timing.
void account_headers(struct call *c, struct answer_headers *h);
// Hands the call's record to the store, where there is one.
void account_store(const struct call *c);
// What weir itself has added so far: the whole time less the providers'.
uint64_t account_overhead_us(const struct call *c, uint64_t now_us);
const char *account_outcome(const struct call *c); // "ok", "rate_limited"
int account_status(const struct call *c);          // 499: the client had gone before
// "a, b, c", with what may not stand in a header shown as '?'.
str account_list(const str *names, size_t len, char *out, size_t size);
