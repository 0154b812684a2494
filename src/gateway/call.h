// One call: a client's request from its first byte here to its record. `call_step` moves it through
// its phases; each phase is a file. The call does no I/O itself: it answers through a
// `struct call_output`, waits for its provider by `notify`, and sees time and randomness through
// its `struct world`, so that it runs the same under a test. Owner: the loop it began on. Lifetime:
// from call_new until it has answered, or the client has gone, and no work of it is elsewhere; it
// frees itself.
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "dialect/dialect.h"
#include "gateway/admission.h"
#include "gateway/answer_headers.h"
#include "gateway/auth.h"
#include "gateway/hedge.h"
#include "gateway/model_route.h"
#include "gateway/phase_cache.h"
#include "gateway/phase_context.h"
#include "gateway/provider.h"
#include "gateway/record.h"
#include "gateway/rescue.h"
#include "gateway/world.h"

struct call;
struct gateway;
struct guard_call;
struct key;
struct model_entry;

// Where the answer goes. After respond, end or abort the call never touches it again.
struct call_output {
    void (*respond)(void *ctx, int status, const char *type, const struct answer_headers *h,
                    str body);
    void (*begin)(void *ctx, int status, const char *type, const struct answer_headers *h);
    enum err (*write)(void *ctx, str bytes); // ERR_AGAIN: taken; wait for CALL_DRAINED
    void (*end)(void *ctx);
    void (*abort)(void *ctx);
    // The body's memory becomes the call's, so that another thread may read it when the client has
    // gone.
    void (*take_body)(void *ctx, struct buf *ret);
};

// What was asked. The strings live until the call has answered or was told CALL_GONE.
struct call_input {
    struct auth_headers auth;
    bool open; // no key is asked for
    enum cache_wish cache;
    bool strict; // what a provider cannot be told refuses the request
    bool totals; // a stream ends with a comment that has them
    str content_type, accept, request_id, peer, body;
    str conversation; // as the client calls it; may be empty
};

// A route that is a call: of a model, or work of its own that makes a JSON answer.
struct call_kind {
    const char *endpoint;          // label of metrics and log: "chat"
    const struct dialect *dialect; // reads the body, where it is set, and words the errors
    // No attempt: read c->request or c->doc, write c->out (any thread). False: c->error says why.
    // It may leave a request to the phases after all, by making it an EXCHANGE_COUNT.
    bool (*work)(struct call *c);
    bool without_body; // a GET: there is nothing to read, and no model to find
    bool elsewhere;    // `work` is always long
    bool quiet;        // no log line
};

enum call_phase {
    CALL_AUTH,     // who is it?
    CALL_READ,     // what does it say, and where may it go? (maybe elsewhere)
    CALL_CACHE,    // was it asked before?
    CALL_SEMANTIC, // … or something that means nearly the same?
    CALL_TARGET,   // which target is asked now?
    CALL_ADMIT,    // may it run now?
    CALL_PREPARE,  // what it is asked: its tokens, its body (maybe elsewhere)
    CALL_ATTEMPT,  // start it at its provider
    CALL_STREAM,   // hand on what comes
    CALL_BACKOFF,  // wait before the next attempt
    CALL_WRITE,    // one whole answer, when it is long (elsewhere)
    CALL_ANSWERED
};

enum call_event {
    CALL_BEGIN,
    CALL_WORKED,   // long work came back
    CALL_TIMER,    // a moment that was waited for
    CALL_ROOM,     // a place it waits for may be free
    CALL_PROVIDER, // the provider has events
    CALL_DRAINED,  // the client reads again
    CALL_GONE      // the client has gone
};

// What a phase says: go on, wait for an event, or the call is answered.
enum phase_result { PHASE_NEXT, PHASE_WAIT, PHASE_ANSWERED };

// How far the routing has come.
struct call_routing {
    uint32_t tried;                // targets of the route, as bits, since the last wait
    struct target_state *target;   // of the attempt that runs
    struct attempt_record *record; // its row in the ledger
    enum attempt_reason reason;    // of the next attempt
    uint64_t began_ms;             // the first attempt
    uint64_t waited_us;            // before the next attempt
    uint32_t context_max;          // models with no more than that are too small
    uint64_t key;                  // of affinity, when known
    bool spoke;                    // this attempt has said something
    bool shown;                    // the client has seen a part of an answer
    int8_t canary;                 // 1: drawn for the route's canary, -1: not, 0: not asked yet
};

// Moments of this call, in ms of its world; 0: none.
struct call_due {
    uint64_t backoff, admission, first_token, idle, total, ping, hedge, semantic;
};

struct call {
    _Alignas(16) struct gateway *gateway;
    const struct world *world;
    const struct call_kind *kind;
    struct call_input in;
    const struct call_output *output;
    void *output_ctx;
    struct call *next, *prev; // the gateway's list

    enum call_phase phase;
    const struct model_route *route;
    struct call_routing routing;
    struct call_rescue rescue;
    size_t unsaid;          // bytes to come that the client itself began the answer with
    struct call_side *side; // a second attempt, while none has said anything
    struct shadow *shadow;  // shadow.h: it has a copy, or is one; NULL: neither
    struct admission admission;
    struct call_cache cache;
    struct call_context context;
    uint64_t conversation;    // that it is counted in; 0: none
    struct guard_call *guard; // rules over what is asked and answered; NULL: none
    struct world_timer timer; // for the nearest of `due`
    struct call_due due;
    bool stepping;                     // call_step is on the stack
    bool offloaded, worked;            // long work is elsewhere; how it ended
    bool gone, begun, blocked;         // the client: has gone, got the head, does not read
    const struct model_entry *counted; // whose gauge of running requests it is in
    struct offload offload;
    bool (*work)(struct call *c);
    struct buf body;      // taken over when it goes to another thread
    str request_id, peer; // in the arena: the record outlives the client

    struct arena arena;
    struct json_doc doc;
    struct exchange_request request;
    struct exchange_losses losses; // of the provider's preparation
    struct exchange_head head;
    struct api_error *error; // made when something fails: most calls have none
    struct key *key;
    const struct model_entry *model;
    void *plan;
    struct attempt *attempt;
    struct exchange_answer answer;
    struct dialect_stream stream;
    struct buf out;
    const char *content_type; // of `out`, where it is not JSON
    struct call_record record;
};

// `in` is copied (its strings are not). It runs by call_step(c, CALL_BEGIN).
struct call *call_new(struct gateway *g, const struct call_kind *kind, const struct call_input *in,
                      const struct call_output *output, void *output_ctx);
void call_step(struct call *c, enum call_event event);
void call_spares_free(struct gateway *g); // no call may be left

// --- For the phases.
// Why it fails, or its last attempt failed: to be filled in. Any thread, one at a time.
struct api_error *call_error(struct call *c);
bool call_failed(const struct call *c);
void call_forgive(struct call *c); // nothing has failed
// Answer with c->error (as a status, or inside the stream when it has begun).
enum phase_result call_refuse(struct call *c);
enum phase_result call_respond_json(struct call *c, str body);
// Begin a streamed answer.
void call_begin_stream(struct call *c, const char *content_type);
uint64_t call_now_us(const struct call *c);
// A model by its name, or one that a provider may know; NULL. Any thread.
const struct model_entry *call_find_model(struct call *c, str name);
// After a change of `due`.
void call_arm(struct call *c);
// The client has heard nothing for a while: a sign of life.
void call_ping(struct call *c);
// Run work(c) on another thread; the step goes on with CALL_WORKED, c->worked what it returned.
// PHASE_WAIT, or the refusal when there is no room.
enum phase_result call_offload(struct call *c, bool (*work)(struct call *c));

enum phase_result phase_auth(struct call *c);
bool phase_receive(struct call *c); // any thread; false: c->error says why
// Its part that reads c->doc by the dialect, for a document that came to be another.
bool phase_read_document(struct call *c);
bool phase_route(struct call *c); // any thread
enum phase_result phase_cache(struct call *c);
enum phase_result phase_semantic(struct call *c);
// Its parts: hear an answer that is there or being made; make the answer that others may hear.
enum phase_result cache_follow(struct call *c, struct tape *t, enum cache_use use);
enum phase_result cache_lead(struct call *c);
// The call that it follows has failed: on its own now, or the refusal.
enum phase_result cache_abandoned(struct call *c);
enum phase_result phase_target(struct call *c);
enum phase_result phase_admit(struct call *c);
bool phase_prepare(struct call *c); // any thread
// The answer is held to a form, which a local model must compile: not on a loop.
bool call_form_is_held(const struct call *c);
enum phase_result phase_attempt(struct call *c);
// Its parts, for a second attempt at the side. False: c->error may say why.
bool target_choose(struct call *c);
// In nano-dollars, what a request like this one costs there: by its length, and its answer's limit.
int64_t target_likely_cost(const struct call *c, const struct model_entry *m);
bool attempt_begin(struct call *c);
// What holds the answer, whoever gives it.
bool attempt_prepare_answer(struct call *c);
// What the attempt has written and nobody has seen.
void attempt_discard(struct call *c);
// The attempt is over: closed in the ledger, in its target's breaker, and stopped.
void attempt_close(struct call *c, enum attempt_end end);
// The attempt, or its preparation, has failed with c->error: another, a wait, or the refusal.
enum phase_result phase_failed(struct call *c);
enum phase_result phase_stream(struct call *c);
enum phase_result phase_write(struct call *c); // the folded answer, and respond
void phase_account(struct call *c);
