// A provider: where an exchange is fulfilled. A call prepares (any thread: renders, tokenises,
// checks), starts an attempt, polls its events until END or ERROR, and stops it. The embedded
// engine is one (provider_local.c); others speak a dialect over HTTP. Attempts live on the loop
// that started them; a provider outlives all its attempts.
#pragma once

#include "dialect/exchange.h"

struct provider;
struct model_entry;

// An attempt: one try of one request. Embedded first in the provider's own struct.
struct attempt {
    const struct provider_ops *ops;
    // Its events carry `raw`: what the client gets, in the client's own dialect. Then nothing else
    // of them is written out. Settled before the first event.
    bool raw;
};

struct attempt_options {
    void (*notify)(void *ctx); // events may be there to poll (loop thread)
    void *ctx;
    uint64_t deadline_ms; // clock_mono_ms; 0 = none
    str tenant;
    struct arena *arena; // of the call: outlives the attempt
};

// What an attempt says of itself for the record, at its end.
struct attempt_report {
    // The engine's: longest of its choices. Of others: to the first word, and from there to the
    // end.
    uint64_t queue_us, prefill_us, decode_us;
    // Of a provider over the network.
    uint64_t connect_us, first_byte_us; // from the start; 0: no new connection, no answer
    bool reused;                        // a kept connection
    const char *protocol;               // "http/1.1", "h2" (as ALPN calls them); NULL: no answer
    int status;                         // 0: none came
    str request_id;                     // as the provider calls the request; may be empty
};

// What is known of a model on this machine.
struct model_facts {
    str architecture, quantization;
    uint64_t parameters, bytes;
    bool tools;    // its template has a place for them
    bool unloaded; // its weights come into memory with the next request
};

// What a provider says of itself when it is asked in between. Its loop's.
struct provider_health {
    bool down;       // not ready: asked only when nobody else can be
    bool measured;   // the next is known
    double requests; // that run and wait there, of whomever
};

struct provider_ops {
    const char *name; // "local"
    // Any thread; no side effects. The plan lives in the arena. What this provider cannot be told
    // is added to `losses`.
    bool (*prepare)(const struct model_entry *m, const struct exchange_request *r,
                    struct arena *arena, struct exchange_losses *losses, void **ret_plan,
                    struct api_error *ret_error);
    // The prompt's tokens, counted by the preparation; NULL where it does not know.
    uint64_t (*prompt_tokens)(const void *plan);
    // Loop thread. NULL: refused, *ret_error says why.
    struct attempt *(*start)(const struct model_entry *m, const struct exchange_request *r,
                             void *plan, const struct attempt_options *o,
                             struct api_error *ret_error);
    // The next event; false when there is none now. Slices last until the next poll.
    bool (*poll)(struct attempt *a, struct exchange_event *ret);
    void (*report)(struct attempt *a, struct attempt_report *ret);
    // Ends it, whatever its state; no notify afterwards.
    void (*stop)(struct attempt *a);
    // Text to ids and back with the model's own tokenizer (any thread); NULL where there is none.
    bool (*tokenize)(const struct model_entry *m, str text, bool add_special, bool parse_special,
                     struct arena *arena, int32_t **ret_ids, size_t *ret_len,
                     struct api_error *ret_error);
    bool (*detokenize)(const struct model_entry *m, const int32_t *ids, size_t len, struct buf *out,
                       struct api_error *ret_error);
    // The texts of the tokens that begin and end a text (empty: none), and whether prompts get the
    // first one by themselves.
    void (*special_tokens)(const struct model_entry *m, str *ret_bos, str *ret_eos,
                           bool *ret_adds_bos);
    // The prompt text of a chat request, as `prepare` would make it (any thread).
    bool (*render)(const struct model_entry *m, const struct exchange_request *r,
                   bool add_generation, struct arena *arena, struct buf *out,
                   struct api_error *ret_error);
    // How many tokens the prompt of a chat request has, also of one that is too long (any thread);
    // NULL where nobody on this machine can tell.
    bool (*count)(const struct model_entry *m, const struct exchange_request *r,
                  struct arena *arena, uint64_t *ret_tokens, struct api_error *ret_error);
    bool counts; // takes EXCHANGE_COUNT: whoever has the model counts
    void (*facts)(const struct model_entry *m, struct model_facts *ret); // NULL: nothing is known
};
