// Tool calls in a model's text, by the convention of Qwen and Hermes: <tool_call> and </tool_call>
// around {"name":…, "arguments":…}. Text that may be the beginning of a call is held back; what
// turns out to be none is shown as it came. The same events for any cutting of the text. Owner: one
// choice.
#pragma once

#include "base/arena.h"
#include "dialect/exchange_events.h"

struct local_tools {
    bool active;
    bool parallel; // false: only the first call counts
    bool in_call;
    uint32_t calls;     // made so far
    struct buf pending; // held back: blanks and a part of a tag, or a call's inside
    struct arena arena; // of the events made by the last feed
};

void local_tools_init(struct local_tools *t, bool active, bool parallel);
void local_tools_done(struct local_tools *t);
// Slices in the events are valid until the next feed.
void local_tools_feed(struct local_tools *t, str text, uint32_t choice, struct exchange_events *q);
void local_tools_end(struct local_tools *t, uint32_t choice, struct exchange_events *q);
