// One call as models write it: a JSON object with "name" and "arguments" (or "parameters"), read
// byte by byte. The call is told as soon as its name and the beginning of its arguments are known,
// and the arguments as they come, without blanks between their parts. What is written in another
// order, or as a string, is told when the object is complete. Owner: one choice.
#pragma once

#include "base/arena.h"
#include "base/json_steps.h"
#include "dialect/exchange_events.h"

enum local_call_step {
    LOCAL_CALL_MORE,
    LOCAL_CALL_DONE, // complete
    LOCAL_CALL_NONE  // no call, and nothing of it was told; the byte is not taken
};

enum local_call_member { LOCAL_CALL_OTHER, LOCAL_CALL_NAME, LOCAL_CALL_ARGUMENTS };

struct local_call {
    // What is to be told, and how.
    uint32_t index;
    size_t id_characters;
    const char *id_prefix;
    bool muted;                             // read, but not told
    bool checked;                           // a call of no tool of `request` is none
    const struct exchange_request *request; // NULL: any name is one
    // What was read.
    struct json_steps steps;
    struct buf text; // of the object; forgotten once the call is told
    size_t key_at, value_at;
    enum local_call_member member;
    size_t name_at, name_len; // in the text, with quotes; 0 until known
    bool told;                // the name, and arguments follow
    bool in_arguments;
    struct buf pieces; // of the arguments, not yet in an event
};

void local_call_init(struct local_call *c);
void local_call_done(struct local_call *c);
// A new object; what is to be told was set.
void local_call_begin(struct local_call *c);
// Events' slices live in the arena.
enum local_call_step local_call_feed(struct local_call *c, char byte, uint32_t choice,
                                     struct arena *arena, struct exchange_events *q);
// The arguments read so far, as an event.
void local_call_flush(struct local_call *c, uint32_t choice, struct arena *arena,
                      struct exchange_events *q);
