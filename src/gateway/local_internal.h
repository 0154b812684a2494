// What the files of the local provider share: its model, the plan of a request, an attempt and its
// choices. Owner: as provider.h says.
#pragma once

#include "engine/engine.h"
#include "gateway/local_tools.h"
#include "gateway/provider_local.h"

// So many jobs of one call are in the engine at once; a long batch of prompts goes in bit by bit.
#define LOCAL_JOBS_AT_ONCE 64

struct local_model {
    struct provider_local *provider;
    struct engine_model *model;
    const struct engine_model_info *info;
    struct local_model *next;
};

struct local_prompt {
    const int32_t *ids;
    size_t len;
    str echo; // its text, when it is to be echoed
};

struct local_plan {
    struct local_prompt *prompts;
    size_t len;
    uint64_t prompt_tokens;
    str *stops; // the request's and those of the chat family
    size_t stops_len;
    enum chat_tools tools; // how the answer's text may hold calls
    str call_open;         // what the prompt begins of a call that must be made
    str forced;            // a continued answer: what it says once more of the text before it
    struct grammar_part *grammar; // what the answer must be by; its end is the grammar's
    size_t grammar_len;
    str grammar_said; // a continued answer: what was said of it before
    int32_t *prediction_ids;
    size_t prediction_len;
};

bool local_prepare(const struct model_entry *m, const struct exchange_request *r,
                   struct arena *arena, struct exchange_losses *losses, void **ret_plan,
                   struct api_error *ret_error);
bool local_render(const struct model_entry *m, const struct exchange_request *r,
                  bool add_generation, struct arena *arena, struct buf *out,
                  struct api_error *ret_error);
bool local_count(const struct model_entry *m, const struct exchange_request *r, struct arena *arena,
                 uint64_t *ret_tokens, struct api_error *ret_error);
bool local_tokenize(const struct model_entry *m, str text, bool add_special, bool parse_special,
                    struct arena *arena, int32_t **ret_ids, size_t *ret_len,
                    struct api_error *ret_error);
bool local_detokenize(const struct model_entry *m, const int32_t *ids, size_t len, struct buf *out,
                      struct api_error *ret_error);
// local_grammar.c: the forms of the answer, after the tools were planned; and, with the prompt
// planned, too, whether they can be held. Compiling may take long: not on a loop.
bool local_plan_grammar(const struct exchange_request *r, struct arena *arena,
                        struct local_plan *plan, struct api_error *e);
bool local_check_grammar(const struct local_model *lm, const struct exchange_request *r,
                         struct local_plan *plan, struct api_error *ret_error);
// What the engine said, as a refusal.
bool local_refuse(struct api_error *e, enum err code, const struct diag *d, const char *param);

// --- One choice: a job's events to exchange events.
struct local_choice {
    struct engine_job *job; // NULL before it is submitted and after it was released
    uint32_t index;
    const struct exchange_request *request;
    const struct local_prompt *prompt;
    // Scored tokens whose text is not shown yet.
    struct buf held; // of struct local_token
    struct arena held_arena;
    struct buf shown_tokens; // of struct exchange_token: those of the event being made
    uint64_t piece_bytes, shown_bytes;
    uint32_t characters;  // of the choice's text up to the next token
    size_t echo_at;       // bytes of the echo that prompt tokens have covered
    size_t prompt_tokens; // seen so far
    struct local_tools tools;
};

void local_choice_init(struct local_choice *c, uint32_t index, const struct exchange_request *r,
                       const struct local_plan *plan);
void local_choice_done(struct local_choice *c);
// Slices in the events made are valid until the next call for this choice.
void local_choice_feed(struct local_choice *c, const struct engine_model *m,
                       const struct engine_event *e, struct exchange_events *q);

// --- The engine's metrics (local_metrics.c). Lives as long as the registry: scrapes read it.
struct metrics;
struct local_watch;
struct local_watch *local_watch_new(struct engine *e, struct metrics *registry);
void local_watch_model(struct local_watch *w, const struct engine_model *m);
