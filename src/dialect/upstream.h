// How weir speaks a wire format to a provider: the body of a request, and what comes back as
// exchange events. The counterpart of dialect.h, which is a client's side. Pure functions over
// memory: any thread.
//
// A request that was read from the same dialect is not written anew: its body travels as it came,
// but for the members that change (`splice`), and so do the answer's frames (upstream_reader.raw).
#pragma once

#include "base/json_splice.h"
#include "dialect/dialect.h"
#include "dialect/exchange_events.h"

struct upstream_reader;

enum upstream_framing { UPSTREAM_SSE, UPSTREAM_NDJSON };

// Who is spoken to, and its habits.
struct upstream_target {
    str provider;               // as configured: for people
    str model;                  // as the provider calls it
    bool own_only;              // takes no members beyond OpenAI's own (api.openai.com, Azure)
    bool input_type;            // embeddings must say what they are for (NIM)
    int64_t tokens_max_default; // where the format demands a limit and the client gave none
};

// What writing works with. Failing calls upstream_refuse.
struct upstream_writing {
    const struct upstream_target *target;
    const struct exchange_request *request;
    struct arena *arena;
    struct exchange_losses *losses;
    struct api_error *error;
};

#define UPSTREAM_EDITS_MAX 8

struct upstream_edits {
    struct json_edit items[UPSTREAM_EDITS_MAX];
    size_t len;
};

struct upstream_dialect {
    const char *name; // "openai.chat"
    enum exchange_kind kind;
    enum upstream_framing framing;
    const struct dialect *same; // a client's dialect that is spliced; may be NULL
    const char *path;           // behind the provider's base
    // The request as a body. What cannot be carried is added to the losses; false: it cannot be
    // asked at all.
    bool (*write)(struct upstream_writing *w, struct json_writer *out);
    // The members of a spliced body that change, beside `model`; may be NULL.
    bool (*splice)(struct upstream_writing *w, struct upstream_edits *edits);
    // A whole answer, and one document of a stream (`event`: its name in SSE), to events by the
    // functions of upstream_reader.h.
    void (*whole)(struct upstream_reader *r, yyjson_val *root);
    void (*frame)(struct upstream_reader *r, str event, str data, yyjson_val *root);
    bool ends_with_done; // a stream's last frame is "[DONE]"
    // Spliced streams whose client asked for usage that never came: the frame that tells what was
    // estimated. NULL: the format always has it.
    void (*usage_frame)(struct upstream_reader *r, struct json_writer *out);
};

extern const struct upstream_dialect upstream_openai_chat;
extern const struct upstream_dialect upstream_openai_completions;
extern const struct upstream_dialect upstream_openai_embeddings;
extern const struct upstream_dialect upstream_anthropic_messages;
extern const struct upstream_dialect upstream_anthropic_count;
extern const struct upstream_dialect upstream_ollama_chat;
extern const struct upstream_dialect upstream_ollama_generate;
extern const struct upstream_dialect upstream_ollama_embed;

// Whether the request travels as it came.
bool upstream_is_spliced(const struct upstream_dialect *d, const struct exchange_request *r);
// The body to send, in the arena. False: *w->error says why.
bool upstream_body(const struct upstream_dialect *d, struct upstream_writing *w, str *ret);

// --- For `write` and `splice`
bool upstream_refuse(struct upstream_writing *w, enum api_error_code code, const char *param,
                     const char *fmt, ...) PRINTF_LIKE(4, 5);
// `value` must last as long as the arena.
void upstream_edit(struct upstream_edits *edits, str name, str value);
// A JSON text in the arena, written by `write`; STR_NONE when there is no memory.
str upstream_json(struct upstream_writing *w, void (*write)(struct json_writer *j, const void *ctx),
                  const void *ctx);
// Every optional member that the client gave and that is not `carried` (NULL-ended) is lost.
void upstream_lose_others(struct upstream_writing *w, const char *const *carried);
// For what answers one choice only.
bool upstream_one_choice(struct upstream_writing *w);
// The arguments of a call of messages[message] as the text of an object: "" is "{}", what is no
// object is refused.
bool upstream_arguments_of(struct upstream_writing *w, const struct exchange_tool_call *c,
                           size_t message, size_t call, str *ret);
// Note a loss by its place, such as "messages[2].content[0]".
void upstream_lose_at(struct upstream_writing *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void upstream_lose(struct upstream_writing *w, const char *name);
// "stop": […], where there are any.
void upstream_write_stops(struct json_writer *j, const struct exchange_request *r);
// "tools": […], each by `write`; a provider's own ones are lost.
void upstream_write_tools(struct upstream_writing *w, struct json_writer *j,
                          void (*write)(struct json_writer *j, const struct exchange_tool *t));

// --- Errors: what any provider says when it refuses, in all the shapes that are seen.
struct upstream_answer {
    int status;
    str retry_after, retry_after_ms, x_ms_retry_after_ms; // headers; absent: STR_NONE
    uint64_t wall_ms;                                     // now, for dates
};
// The whole of a refused answer.
void upstream_error_of_answer(const struct upstream_answer *a, str provider, str body,
                              struct api_error *ret);
// An error object inside a stream, or in an answer of status 200.
void upstream_error_of_object(yyjson_val *root, str provider, struct api_error *ret);
// Milliseconds to wait, from whichever header says so; 0: none does. A day at most.
uint32_t upstream_retry_after_ms(const struct upstream_answer *a);
