// The embedded engine, all that the rest of weir sees. One engine: one scheduler thread with its
// compute team, any number of models. Submit from any thread; events of a job are read by one
// consumer (usually a loop) and announced by its doorbell. Same request = same bits, whatever the
// schedule. Bounds: queue_max waiting jobs (then ERR_BUSY), KV memory, tokens a step.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/grammar/grammar.h"    // struct grammar_part
#include "engine/text/chat_template.h" // struct chat_message

struct engine;
struct engine_model;
struct engine_job;

struct engine_options {
    uint32_t threads;      // 0 = CPUs available
    uint64_t kv_bytes_max; // all models together; 0 = a quarter of the memory, at most 4 GiB; grown
                           // on demand, never at once
    uint32_t step_tokens_max;   // token budget of one step (chunked prefill): default 256
    uint32_t sequences_max;     // running at once: default 64
    uint32_t queue_max;         // waiting: default 256
    bool prefix_cache;          // default true
    uint64_t weights_bytes_max; // weights of all models (and of draft models, which stay) in
                                // memory: beyond, the least recently used
                                // is unloaded until it is asked for again; 0 = no bound. Not on a
                                // GPU
    uint32_t weights_stay_ms;   // a model that is never idle gives way after that: 0 = 2000
    const char *isa;            // NULL = best
    const char *device; // NULL or "cpu"; "cuda", "cuda:1": models compute on that GPU, to the
                        // same bits, or are refused
};
void engine_options_default(struct engine_options *o);

enum err engine_new(const struct engine_options *o, struct engine **ret, struct diag *d) MUST_USE;
void engine_free(struct engine *e); // ends running jobs with ERR_CANCELLED, joins threads
const char *engine_isa(const struct engine *e); // of this processor's kernels in use: "avx512"

enum engine_speculation { // where tokens are guessed from, so that one pass checks several
    ENGINE_SPECULATION_OFF,
    ENGINE_SPECULATION_LOOKUP, // the text so far
    ENGINE_SPECULATION_DRAFT,  // a smaller model with the same vocabulary
};

// Which of a text's last hidden states make its embedding.
enum engine_pooling {
    ENGINE_POOLING_AUTO, // as the model says; the mean where it says nothing
    ENGINE_POOLING_MEAN, // of all tokens
    ENGINE_POOLING_LAST  // the last token's
};

struct engine_model_options {
    const char *name;        // as clients call it
    const char *path;        // GGUF file or Hugging Face folder, or NULL with
    str image;               // a GGUF image in memory that outlives the engine
    uint32_t context_max;    // 0 = the model's own
    const char *chat_family; // NULL = by the template's text
    enum engine_pooling pooling;
    const char *kv_type;                 // "f32" "f16" "q8_0"; NULL = f32 for F32 models, else f16
    enum engine_speculation speculation; // changes no token and no bit, only the time
    uint32_t draft_tokens_max;           // guessed for one sequence in a step: 0 = 8; at most 16
    const char *draft_path;              // the smaller model, or NULL with
    str draft_image;
};
// Blocking (maps, checks, repacks): call it from a worker thread, never a loop.
enum err engine_model_load(struct engine *e, const struct engine_model_options *o,
                           struct engine_model **ret, struct diag *d) MUST_USE;

// Whether it would be loaded, as far as its description tells: no weights are read.
enum err engine_model_check(const struct engine_model_options *o, struct diag *d) MUST_USE;

struct engine_model_info {
    str name, arch, file_name;
    uint32_t n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, context_max;
    uint64_t parameters, weight_bytes, file_bytes;
    uint64_t draft_bytes;        // weights of its draft model, which stay in memory
    str weight_type;             // the commonest matrix type
    str kv_type;                 // how keys and values are kept
    uint32_t kv_token_bytes;     // that keys and values of one token take
    enum engine_pooling pooling; // MEAN or LAST
    str chat_family;
    bool chat_tools; // template supports tools
    enum chat_tools chat_tool_format;
    const char *const *chat_stops; // strings that end a turn though they may not be tokens;
                                   // NULL-ended: add them to a chat's stop strings
    str bos_text, eos_text;        // as stored; empty when there is none
    bool adds_bos;                 // before a prompt
    str isa;
    const char *fingerprint; // model hash, numerics version and backend, for system_fingerprint
};
const struct engine_model_info *engine_model_info(const struct engine_model *m); // immutable
// Has a chat template that weir knows.
bool engine_model_chats(const struct engine_model *m);
// Has its weights in memory; else the next request loads them (weights_bytes_max).
bool engine_model_is_loaded(const struct engine_model *m);
struct engine_model *engine_model_find(struct engine *e, str name); // NULL when not loaded

// --- Text (any thread; not on a loop for long inputs)
struct engine_tokens {
    int32_t *ids;
    size_t len;
}; // free with engine_tokens_done
enum err engine_tokenize(const struct engine_model *m, str text, bool add_bos, bool parse_special,
                         struct engine_tokens *ret) MUST_USE;
enum err engine_detokenize(const struct engine_model *m, const int32_t *ids, size_t n,
                           struct buf *out) MUST_USE;
enum err engine_token_piece(const struct engine_model *m, int32_t id, struct buf *out) MUST_USE;
// A control token has a piece (its name) but stands for no text.
bool engine_token_is_control(const struct engine_model *m, int32_t id);
void engine_tokens_done(struct engine_tokens *t);

// ERR_UNSUPPORTED when the model has no template that weir knows.
enum err engine_chat_render(const struct engine_model *m, const struct chat_message *messages,
                            size_t n, str tools_json, bool add_generation, struct buf *out,
                            struct diag *d) MUST_USE;

// --- Generation
#define ENGINE_TOP_LOGPROBS_MAX 20
#define ENGINE_STOPS_MAX        16

struct engine_bias {
    int32_t token;
    float bias;
};

struct engine_request {
    // the prompt: ids, or text (tokenised on the engine's side, special tokens parsed if
    // prompt_special)
    const int32_t *prompt_ids;
    size_t prompt_len;
    str prompt_text;
    bool prompt_special, add_bos;
    uint32_t tokens_max; // 0 with echo: only score the prompt; UINT32_MAX = the rest of the context
    uint32_t tokens_min; // eog and stops are not taken before
    // sampling (ENG-7)
    float temperature;                                             // 0 = greedy
    uint32_t top_k;                                                // 0 = off
    float top_p;                                                   // 1 = off
    float min_p;                                                   // 0 = off
    float presence_penalty, frequency_penalty, repetition_penalty; // 0, 0, 1 = off
    const struct engine_bias *bias;
    size_t bias_len;
    bool ignore_eos;
    bool seed_given;
    uint64_t seed;   // drawn and reported when not given
    uint32_t choice; // index among n: part of the sampling key
    const str *stops;
    size_t stops_len;
    const int32_t *stop_ids;
    size_t stop_ids_len;
    bool include_stop;
    // The answer begins with these bytes: so long only tokens that agree with them may be drawn.
    str forced;
    // What the answer may turn out to be: guesses come from here whatever the model's speculation
    // is. Only its first so many tokens as the context has are read.
    const int32_t *prediction_ids;
    size_t prediction_len;
    // The answer is by one of these grammars (none: free). It ends where nothing may follow, or by
    // a token that ends a turn where the grammar is complete; grammar_said is what it has said
    // before (a continued answer, without `forced`).
    const struct grammar_part *grammar;
    size_t grammar_len;
    str grammar_said;
    // what to report
    bool logprobs;
    uint32_t top_logprobs;
    bool prompt_logprobs; // an ENGINE_PROMPT_TOKEN event for each prompt token (echo + logprobs)
    bool embedding;       // no generation: one ENGINE_EMBEDDING event, L2-normalised
    enum engine_pooling pooling;   // of an embedding
    uint32_t embedding_dimensions; // its first so many, normalised by themselves; 0 = all
    str tenant;                    // prefix cache namespace
    uint64_t deadline_ms;          // clock_mono_ms at which it ends with ERR_TIMEOUT; 0 = none
    // the consumer's doorbell: called from the engine's thread, must be wait-free
    // (loop_wake_signal)
    void (*wake)(void *ctx);
    void *wake_ctx;
};
void engine_request_default(struct engine_request *r);

// Everything in r is copied. ERR_BUSY: queue full (ret_retry_ms: when to come back, from measured
// speed; may be NULL). ERR_LIMIT: more tokens than the context; ERR_INVALID: ids out of range, bad
// ranges. All refusals have their sentence in d. What takes long (long texts, a grammar that is not
// compiled yet) is done later by a thread of the engine; then the job ends with the error.
enum err engine_submit(struct engine_model *m, const struct engine_request *r,
                       struct engine_job **ret, uint32_t *ret_retry_ms, struct diag *d) MUST_USE;
void engine_job_cancel(struct engine_job *j);  // any thread; takes effect at the next step; frees
                                               // KV; an END(cancelled) event follows
void engine_job_release(struct engine_job *j); // the consumer is done with it (cancels if it runs);
                                               // no wake after this returns

// Whether the request's grammar can be held, and what is wrong with it; compiled, it is kept for
// the submit that follows. May take long: not on a loop.
enum err engine_grammar_check(const struct engine_model *m, const struct engine_request *r,
                              struct diag *d) MUST_USE;

enum engine_event_type {
    ENGINE_STARTED,
    ENGINE_PROMPT_TOKEN,
    ENGINE_TOKEN,
    ENGINE_EMBEDDING,
    ENGINE_ENDED
};
enum engine_finish {
    ENGINE_FINISH_STOP,
    ENGINE_FINISH_LENGTH,
    ENGINE_FINISH_CANCELLED,
    ENGINE_FINISH_ERROR
};

struct engine_logprob {
    int32_t token;
    float logprob;
};

struct engine_event {
    enum engine_event_type type;
    // STARTED: left the queue. prompt_tokens, cached_tokens (prefix hits)
    uint32_t prompt_tokens, cached_tokens;
    uint64_t seed;
    // TOKEN, PROMPT_TOKEN. `text`: bytes now safe to show (whole UTF-8 characters, stop strings
    // held back): may be empty, may hold text of earlier tokens. `piece`: this token's own bytes
    // (for logprobs).
    int32_t token;
    str text, piece;
    float logprob; // of the chosen token under the full softmax of the model's own logits
                   // (temperature 1); NaN for the first prompt token
    const struct engine_logprob *top;
    uint32_t top_len;
    // EMBEDDING
    const float *embedding;
    uint32_t embedding_len;
    // ENDED (text may carry what was held back; prompt_tokens, cached_tokens, seed as well).
    // completion_tokens counts the TOKEN events: a token that ends the answer (eog, stop_ids) is
    // none, unless include_stop.
    enum engine_finish finish;
    str stop_matched; // the stop string that ended it, or empty
    uint32_t completion_tokens;
    // Tokens of the prediction that the answer said where they were foretold, and the others: by
    // the tokens alone, however many were guessed.
    uint32_t prediction_accepted, prediction_rejected;
    uint64_t queue_us, prefill_us, decode_us; // of this job
    struct diag error;                        // FINISH_ERROR
};
// Next event; false when none now. Slices are valid until the next poll of this job. One consumer.
bool engine_job_poll(struct engine_job *j, struct engine_event *ret);

// --- Watching (any thread)
struct engine_stats {
    uint32_t running, waiting;
    uint64_t kv_blocks_total, kv_blocks_used, kv_blocks_cached;
    uint64_t prompt_tokens, generated_tokens, prefix_query_tokens, prefix_hit_tokens, preemptions;
    uint64_t drafted_tokens, accepted_tokens; // guesses, and how many of them were right
    uint64_t steps,
        last_step_ms; // heartbeat: clock_mono_ms of the last step; now while no step can be due
    bool idle; // sleeps until the next submit: what is made ready while nobody waits is ready
    uint64_t jobs_finished[4];  // by enum engine_finish
    double decode_tokens_per_s; // moving average
};
void engine_stats(const struct engine *e, struct engine_stats *ret);
// Of one model; what all models share (steps, heart, jobs_finished, speed) stays the engine's.
void engine_model_stats(const struct engine_model *m, struct engine_stats *ret);
// Observe step times and batch sizes (called on the engine thread, wait-free): for histograms. May
// be NULL.
struct engine_observer {
    void (*step)(void *ctx, const struct engine_model *m, uint32_t prefill_tokens,
                 uint32_t decode_rows, uint64_t duration_us);
    void *ctx;
};
void engine_observe(struct engine *e, const struct engine_observer *o); // before the first submit
