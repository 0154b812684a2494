// Tool calls in a model's text, as its template's format writes them (enum chat_tools):
//   Hermes   <tool_call>{"name":…, "arguments":…}</tool_call>, anywhere
//   llama-3  {"name":…, "parameters":…} as the whole turn, more of them after "; ", and after
//            <|python_tag|>
//   mistral  [TOOL_CALLS] [{"name":…, "arguments":…}, …], anywhere, or the array as the whole turn
// Text that may be the beginning of a call is held back; what turns out to be none is shown as it
// came. Where no tag says that a call begins, it must be of a tool that the request has. A call is
// told with its name first, then its arguments piece by piece; arguments that stop being JSON end
// there, and the rest is text. The same events for any cutting of the text, but for where pieces
// are cut. Owner: one choice.
#pragma once

#include "engine/engine.h"
#include "gateway/local_call.h"

struct local_tools_format;

struct local_tools {
    bool active;
    const struct local_tools_format *format;
    bool parallel;  // false: only the first call counts
    uint32_t calls; // made so far
    enum {
        LOCAL_TOOLS_START, // nothing but blanks came
        LOCAL_TOOLS_TEXT,
        LOCAL_TOOLS_OPENED, // a tag came; an object must follow
        LOCAL_TOOLS_CALL,
        LOCAL_TOOLS_AFTER // a call
    } state;
    bool tagged;        // the call began with a tag
    bool listed;        // … and the array's bracket came
    size_t matched;     // bytes of a tag
    struct buf begun;   // what the prompt begins of the answer
    struct buf pending; // held back: blanks and a part of a tag, or all since a call's beginning
    struct buf shown;   // text for the next event
    struct local_call call;
    struct arena arena; // of the events made by the last feed
};

// request: its tools, and whether calls may be several; NULL: any, and they may. begun: what the
// prompt already says of the answer.
void local_tools_init(struct local_tools *t, enum chat_tools format,
                      const struct exchange_request *request, str begun);
void local_tools_done(struct local_tools *t);
// A control token whose text opens calls; other control tokens say nothing.
bool local_tools_is_tag(const struct local_tools *t, str piece);
// tag: of such a token, which came before `text`; or empty. Slices in the events are valid until
// the next feed.
void local_tools_feed(struct local_tools *t, str tag, str text, uint32_t choice,
                      struct exchange_events *q);
// Events of the last feed stay valid.
void local_tools_end(struct local_tools *t, uint32_t choice, struct exchange_events *q);
// What the prompt begins of a call that must be made: of the tool `name`, or (empty) of any.
str local_tools_opening(enum chat_tools format, str name, struct arena *arena);
// What stands in it between the name and the arguments, and behind these.
str local_tools_behind_name(enum chat_tools format);
str local_tools_closing(enum chat_tools format);
