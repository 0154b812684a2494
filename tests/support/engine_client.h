// A consumer of engine jobs for tests: starts requests, reads their events when the bell rings,
// keeps all that came, and checks on the way that events come in the right order and that texts are
// whole characters. One thread.
#pragma once

#include "engine/engine.h"
#include "engine/park.h"

struct client_token {
    int32_t token;
    float logprob;
    uint32_t top_len;
    struct engine_logprob top[ENGINE_TOP_LOGPROBS_MAX];
};

struct client_job {
    struct engine_job *job;
    struct park bell;
    _Atomic uint32_t rings;
    bool is_started, is_ended;
    struct client_token *prompt, *answer;
    size_t n_prompt, n_answer;
    struct buf text, prompt_text;
    float *embedding;
    uint32_t embedding_len;
    uint32_t prompt_tokens, cached_tokens, completion_tokens;
    uint32_t prediction_accepted, prediction_rejected;
    enum engine_finish finish;
    char stop_matched[64];
    uint64_t seed, queue_us, prefill_us, decode_us;
    struct diag error;
};

// An engine of one thread with small bounds, and a model under the name "m".
struct engine *client_engine(const struct engine_options *o, const char *path,
                             struct engine_model **ret);
struct engine *client_engine_of(const struct engine_options *o,
                                const struct engine_model_options *mo, struct engine_model **ret);
struct engine_options client_options(void);

// A greedy request for n tokens, answer of tokens_max, ids and seed 1.
struct engine_request client_request(const int32_t *ids, size_t n, uint32_t tokens_max);

struct client_job *client_start(struct engine_model *m, struct engine_request r);
void client_read(struct client_job *c);                                       // what is there now
bool client_wait(struct client_job *c, uint32_t timeout_ms);                  // for the end
bool client_wait_answer(struct client_job *c, size_t n, uint32_t timeout_ms); // for n tokens
bool client_wait_all(struct client_job **c, size_t n, uint32_t timeout_ms);   // reads all meanwhile
bool client_wait_blocks(const struct engine *e, uint64_t used); // until so many are in use: 5 s
void client_free(struct client_job *c);                         // releases the job
// Start, wait (30 s at most, else it aborts), result.
struct client_job *client_run(struct engine_model *m, struct engine_request r);
// The same tokens, log-probabilities, text and end, bit for bit.
bool client_same(const struct client_job *a, const struct client_job *b);
// All of that as bytes: the same on every machine where it is the same.
void client_bytes(const struct client_job *c, struct buf *out);
