// The exchange: one request to a model and its answer, in no provider's words. A dialect reads its
// own wire format into it and writes it back out; a provider fulfils it. Owner: the call. Strings
// and JSON values point into the call's document or arena and live as long as the call. Pure data:
// any thread, one at a time.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "dialect/api_error.h"

#define EXCHANGE_CHOICES_MAX      128 // n
#define EXCHANGE_PROMPTS_MAX      2048
#define EXCHANGE_STOPS_MAX        16
#define EXCHANGE_TOP_LOGPROBS_MAX 20
#define EXCHANGE_TOOLS_MAX        128
#define EXCHANGE_MESSAGES_MAX     16384
#define EXCHANGE_IGNORED_MAX      16
#define EXCHANGE_LOSSES_MAX       32

enum exchange_kind {
    EXCHANGE_CHAT,
    EXCHANGE_COMPLETION,
    EXCHANGE_EMBEDDING,
    EXCHANGE_COUNT, // a chat, of which only the number of its prompt's tokens is wanted
    EXCHANGE_KINDS
};

enum exchange_role {
    EXCHANGE_SYSTEM,
    EXCHANGE_DEVELOPER,
    EXCHANGE_USER,
    EXCHANGE_ASSISTANT,
    EXCHANGE_TOOL,
    EXCHANGE_ROLE_COUNT
};
const char *exchange_role_name(enum exchange_role role);

enum exchange_part_type {
    EXCHANGE_PART_TEXT,
    EXCHANGE_PART_REFUSAL,
    EXCHANGE_PART_IMAGE,
    EXCHANGE_PART_AUDIO,
    EXCHANGE_PART_FILE,
    EXCHANGE_PART_THINKING, // ASSISTANT: earlier reasoning, sent back as it came
    EXCHANGE_PART_OTHER     // only providers of the same dialect know it: `raw`
};

struct exchange_part {
    enum exchange_part_type type;
    str text;        // TEXT, REFUSAL, THINKING; FILE that is plain text
    str signature;   // THINKING: the provider's seal; text is empty and this set when redacted
    str url;         // IMAGE: "https://…" or "data:…"; never fetched by weir
    yyjson_val *raw; // the part as it came, for what only a provider understands
};

struct exchange_tool_call {
    str id, name;
    str arguments; // JSON text, as the model wrote it
};

struct exchange_message {
    enum exchange_role role;
    str name;         // may be absent
    str tool_call_id; // TOOL: which call this is the result of
    bool is_error;    // TOOL: the call failed
    struct exchange_part *parts;
    size_t parts_len;
    struct exchange_tool_call *calls; // ASSISTANT
    size_t calls_len;
};

struct exchange_tool {
    str name, description;
    yyjson_val *parameters; // JSON schema, or NULL
    bool strict;
    bool builtin; // a provider's own tool (its web search, …): no function of the client's
};

enum exchange_tool_choice {
    EXCHANGE_TOOLS_AUTO,
    EXCHANGE_TOOLS_NONE,
    EXCHANGE_TOOLS_REQUIRED,
    EXCHANGE_TOOLS_NAMED // tool_name
};

enum exchange_pooling { EXCHANGE_POOLING_AUTO, EXCHANGE_POOLING_MEAN, EXCHANGE_POOLING_LAST };

enum exchange_format {
    EXCHANGE_FORMAT_TEXT,
    EXCHANGE_FORMAT_JSON,
    EXCHANGE_FORMAT_SCHEMA,
    // Those of servers of open models; other providers do not know them (exchange_format_is_own).
    EXCHANGE_FORMAT_REGEX,   // format_text
    EXCHANGE_FORMAT_GRAMMAR, // format_text, in GBNF
    EXCHANGE_FORMAT_CHOICE   // format_choices
};
static inline bool exchange_format_is_own(enum exchange_format f)
{
    return f >= EXCHANGE_FORMAT_REGEX;
}

// What a completion or an embedding is asked about: text, or token ids.
struct exchange_prompt {
    str text;
    int32_t *ids;
    size_t ids_len;
    bool is_ids;
};

struct exchange_bias {
    int32_t token;
    float bias;
};

// Which of the optional fields the client gave (a translation may not invent the others).
enum {
    EXCHANGE_HAS_TEMPERATURE = 1u << 0,
    EXCHANGE_HAS_TOP_P = 1u << 1,
    EXCHANGE_HAS_TOP_K = 1u << 2,
    EXCHANGE_HAS_MIN_P = 1u << 3,
    EXCHANGE_HAS_PRESENCE = 1u << 4,
    EXCHANGE_HAS_FREQUENCY = 1u << 5,
    EXCHANGE_HAS_REPETITION = 1u << 6,
    EXCHANGE_HAS_SEED = 1u << 7,
    EXCHANGE_HAS_TOKENS_MAX = 1u << 8,
    EXCHANGE_HAS_DIMENSIONS = 1u << 9,
    EXCHANGE_HAS_ADD_SPECIAL = 1u << 10,
    EXCHANGE_HAS_PARALLEL = 1u << 11
};

struct dialect;

struct exchange_request {
    enum exchange_kind kind;
    uint32_t given;
    str model; // as the client named it; empty = the default

    // What it was read from. A provider of the same dialect gets the body as it came, but for the
    // members that change. NULL and absent for requests that weir made up itself.
    const struct dialect *spoken;
    yyjson_val *root;
    str body;

    struct exchange_message *messages; // CHAT
    size_t messages_len;
    struct exchange_prompt *prompts; // COMPLETION, EMBEDDING
    size_t prompts_len;

    struct exchange_tool *tools;
    size_t tools_len;
    yyjson_val *tools_raw; // the array as it came, where it is in OpenAI's chat shape
    enum exchange_tool_choice tool_choice;
    str tool_name;
    bool parallel_tool_calls; // default true
    enum exchange_format format;
    yyjson_val *schema; // FORMAT_SCHEMA: the JSON schema itself
    str schema_name;    // may be empty
    bool schema_strict;
    str format_text;
    yyjson_val *format_choices; // an array of strings
    const char *format_name;    // the member of the request that asked for the form; NULL: none

    double temperature, top_p, min_p;
    double presence_penalty, frequency_penalty, repetition_penalty;
    int64_t top_k, seed, tokens_max, tokens_min, dimensions;
    int64_t n, best_of;
    bool ignore_eos, include_stop, add_special;
    str *stops;
    size_t stops_len;
    int32_t *stop_ids;
    size_t stop_ids_len;
    struct exchange_bias *bias;
    size_t bias_len;

    bool continues; // the last message is the assistant's, and the answer goes on with it
    bool prefilled; // … and it is the client who began it so: asked of every target that can
    bool stream, include_usage;
    bool truncates; // rather less of the conversation than a refusal
    bool in_events; // its answer is looked at: wanted as events, never as frames passed on
    bool nothing;   // asks for no answer: its client only wants the model at hand
    bool echo, logprobs;
    int64_t top_logprobs;
    bool base64;                   // EMBEDDING: encoding_format
    enum exchange_pooling pooling; // EMBEDDING
    str user;
    str prediction;       // what the answer may turn out to be; empty: not said
    str reasoning_effort; // "none", "minimal", "low", "medium", "high", "xhigh"; empty: not said
    int64_t thinking_tokens_max; // a budget for reasoning in tokens; 0: not said

    str *ignored; // names of members nobody understood, EXCHANGE_IGNORED_MAX at most
    size_t ignored_len;
};
void exchange_request_init(struct exchange_request *r, enum exchange_kind kind);
// How many choices an answer to it has.
size_t exchange_choices(const struct exchange_request *r);
// "data:image/png;base64,AAAA" in its parts. False: it is no such URL (then it may be an address).
bool exchange_data_url(str url, str *ret_media_type, str *ret_base64);

// --- What a translation could not carry to the provider, by the client's name of the member
// ("seed", "messages[2].content[0]"). Told in x-weir-dropped-params and in the record.
struct exchange_losses {
    struct arena *arena; // where `names` are; the owner sets it
    str *names;          // made with the first; EXCHANGE_LOSSES_MAX at most
    size_t len;
};
void exchange_lose(struct exchange_losses *l, str name); // once each; the name must last

// --- The answer: a sequence of events, from any provider.
enum exchange_finish {
    EXCHANGE_FINISH_STOP,
    EXCHANGE_FINISH_LENGTH,
    EXCHANGE_FINISH_TOOL_CALLS,
    EXCHANGE_FINISH_FILTER
};
const char *exchange_finish_name(enum exchange_finish f);

struct exchange_alternative {
    str bytes;
    float logprob;
};

struct exchange_token {
    str bytes; // what this token stands for: may be a part of a character
    float logprob;
    bool scored;          // false: nothing precedes it (the first token of a prompt)
    uint32_t text_offset; // where it begins in the choice's text, in characters
    const struct exchange_alternative *top;
    size_t top_len;
};

struct exchange_usage {
    // Prompt tokens include those read from and written to a provider's cache; completion tokens
    // include those of reasoning.
    uint64_t prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens;
    // Of the request's prediction: what the answer said, and what it did not.
    uint64_t prediction_accepted, prediction_rejected;
    bool estimated; // counted by weir, because the provider did not say
};

enum exchange_event_type {
    EXCHANGE_EVENT_BEGIN,     // it runs: `usage.prompt_tokens` (0: not told yet) and perhaps `seed`
    EXCHANGE_EVENT_TEXT,      // text and the tokens it is made of (both may be empty)
    EXCHANGE_EVENT_THINKING,  // a piece of the model's reasoning: text, or its signature at the end
    EXCHANGE_EVENT_CALL,      // a tool call opens: call_index, call (name, id)
    EXCHANGE_EVENT_ARGUMENTS, // … and gets a piece of its arguments: call_index, text
    EXCHANGE_EVENT_EMBEDDING,
    EXCHANGE_EVENT_FINISH, // one choice is complete: finish, stop_matched
    EXCHANGE_EVENT_END,    // all are: `usage` is final
    EXCHANGE_EVENT_ERROR,
    EXCHANGE_EVENT_RAW // says nothing, but `raw` goes to a client of the same dialect
};

// Slices are valid until the next event is asked for.
struct exchange_event {
    enum exchange_event_type type;
    uint32_t choice;
    // Spliced streams: the frame as the client shall get it, on the last event of each frame. Then
    // nothing else of this stream is written out, and events without it write nothing.
    str raw;
    str text;
    str signature; // THINKING
    const struct exchange_token *tokens;
    size_t tokens_len;
    uint32_t call_index;
    struct exchange_tool_call call;
    const float *embedding;
    size_t embedding_len;
    enum exchange_finish finish;
    str stop_matched; // FINISH: the stop string that ended it, where the provider tells
    struct exchange_usage usage;
    uint64_t seed;  // BEGIN, when `seeded`
    bool seeded;    // the provider draws by this seed
    size_t repeats; // BEGIN of a continued answer: so many bytes before its end are said once more
    const struct api_error *error;
};

// How long an answer took: known when its END is written.
struct exchange_times {
    uint64_t total_us, queue_us, prefill_us, decode_us;
};

// What names an answer: constant through a stream, but for the times.
struct exchange_head {
    str id, model, fingerprint;
    int64_t created_s;
    struct exchange_times times;
};

// --- The whole answer: the events folded up. Owner: the call. Bounded by bytes_max in all.
struct exchange_call_text {
    str id, name;
    struct buf arguments;
};

struct exchange_choice {
    struct buf text, thinking;
    str signature; // of `thinking`
    str stop_matched;
    struct buf tokens; // of struct exchange_token, slices in the answer's arena
    struct exchange_call_text *calls;
    size_t calls_len, calls_cap;
    float *embedding;
    size_t embedding_len;
    enum exchange_finish finish;
    bool finished;
};

struct exchange_answer {
    struct arena arena;
    struct exchange_choice *choices;
    size_t choices_len;
    size_t bytes, bytes_max;
    struct exchange_usage usage;
};

void exchange_answer_init(struct exchange_answer *a, size_t choices, size_t bytes_max);
void exchange_answer_done(struct exchange_answer *a);
// ERR_LIMIT when it would hold more than bytes_max.
enum err exchange_answer_add(struct exchange_answer *a, const struct exchange_event *e) MUST_USE;
static inline const struct exchange_token *exchange_choice_tokens(const struct exchange_choice *c,
                                                                  size_t *ret_len)
{
    const void *tokens = buf_ptr(&c->tokens);
    *ret_len = tokens ? c->tokens.len / sizeof(struct exchange_token) : 0;
    return tokens;
}
