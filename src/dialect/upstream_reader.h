// What a provider answers, document by document, to exchange events. One reader an attempt; events
// are taken with exchange_events_pop from `events`, and their slices are valid until the reader is
// fed again. However the bytes were cut on their way, the same documents give the same events.
//
// END comes only after the answer has proved complete; whatever else ends it gives ERROR, with
// FAILURE_TRUNCATED when it broke off. Nothing comes after either.
#pragma once

#include "dialect/upstream.h"

#define UPSTREAM_FRAME_BYTES_MAX (16u << 20)

struct upstream_call {
    int64_t key;      // how the provider tells its calls apart
    uint64_t id_hash; // of its id, 0: none came
    bool has_arguments;
};

struct upstream_choice {
    struct upstream_call *calls;
    uint32_t calls_len, calls_cap;
    bool finished;
};

struct upstream_reader {
    const struct upstream_dialect *dialect;
    const struct exchange_request *request;
    str provider; // for people
    struct exchange_events events;
    // Frames are handed on for a client of the same dialect (exchange_event.raw). Cleared when the
    // answer turns out to be no stream although one was asked for.
    bool raw;
    bool begun, ended; // BEGIN was made; END or ERROR was
    bool at_eof;       // the bytes are over: what cannot be read was cut off
    // private from here
    struct json_doc doc;
    struct arena arena;  // of the document being told
    struct buf raw_text; // …as the client gets it
    str frame_raw;       // what replaces the frame's text for the client
    bool frame_dropped;  // the client gets nothing of it
    struct upstream_choice *choices;
    size_t choices_len;
    struct exchange_usage usage;
    bool usage_known;
    uint64_t text_bytes; // said so far, for estimates
    // What names the stream in its frames, for one of our own; owned.
    char *id, *model;
    int64_t created_s;
};

void upstream_reader_init(struct upstream_reader *r, const struct upstream_dialect *d,
                          const struct exchange_request *q, str provider, bool raw);
void upstream_reader_done(struct upstream_reader *r);
// One frame of a stream: an SSE event's name and data, or a line.
void upstream_reader_frame(struct upstream_reader *r, str event, str data);
// The stream is over.
void upstream_reader_eof(struct upstream_reader *r);
// A whole answer. Unless `raw`, it also serves where a stream was asked for and a document came.
void upstream_reader_whole(struct upstream_reader *r, str body);
// Nothing comes for a while: gives back what the last document needed, if all its events have been
// taken; what they pointed at is gone.
void upstream_reader_rest(struct upstream_reader *r);
// It ends here for another reason.
void upstream_reader_fail(struct upstream_reader *r, const struct api_error *e);

// --- For the dialects
void upstream_begin(struct upstream_reader *r); // once; later calls do nothing
void upstream_text(struct upstream_reader *r, int64_t choice, str text);
// … with the scores of its tokens; both may be empty.
void upstream_scored_text(struct upstream_reader *r, int64_t choice, str text,
                          const struct exchange_token *tokens, size_t tokens_len);
void upstream_thinking(struct upstream_reader *r, int64_t choice, str text, str signature);
// A piece of a call: it opens when `key` is new, or another `id` comes with a name.
void upstream_call(struct upstream_reader *r, int64_t choice, int64_t key, str id, str name);
void upstream_arguments(struct upstream_reader *r, int64_t choice, int64_t key, str text);
bool upstream_has_call(struct upstream_reader *r, int64_t choice, int64_t key);
// … or all of them, as an object.
void upstream_arguments_object(struct upstream_reader *r, int64_t choice, int64_t key,
                               yyjson_val *object);
// "{}" for a call that got none.
void upstream_call_end(struct upstream_reader *r, int64_t choice, int64_t key);
// A vector completes its choice; NULL is malformed.
void upstream_embedding(struct upstream_reader *r, int64_t choice, const float *values, size_t len);
void upstream_finish(struct upstream_reader *r, int64_t choice, enum exchange_finish f, str stop);
bool upstream_all_finished(const struct upstream_reader *r);
// The provider says that it is complete: END, unless a choice is not.
void upstream_complete(struct upstream_reader *r);
void upstream_end(struct upstream_reader *r);
void upstream_malformed(struct upstream_reader *r, const char *what);
// The finish of OpenAI's word for it.
enum exchange_finish upstream_finish_of(str reason);
// A count, 0 when absent or no count.
uint64_t upstream_count(yyjson_val *v);
