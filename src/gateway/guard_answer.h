// An answer on its way through the rules and back to the client's own values: a channel for each
// text that streams by (what a choice says, thinks, and calls with). Owner: the call; loop thread.
#pragma once

#include "guard/guard.h"
#include "guard/measure.h"

enum guard_kind { GUARD_TEXT, GUARD_THINKING, GUARD_ARGUMENTS };

struct guard_channel {
    struct guard_channel *next;
    uint32_t choice, call_index;
    enum guard_kind kind;
    struct guard_stream rules; // where there are some
    struct guard_restore back;
    struct measure measure;
    // A call waits until its arguments are complete.
    str id, name;
    bool called; // … and has been told
    struct buf arguments;
    bool masked; // what was said is not what is told
};

struct guard_choice {
    uint64_t characters;
    uint64_t fired; // rules about the text as a whole, as bits
    bool over;
};

struct guard_answer {
    struct guard_channel *channels;
    struct guard_choice *choices; // in the call's arena
    size_t choices_len, over;
    struct buf out, back; // of one piece: past the rules, with its values
};

void guard_answer_done(struct guard_answer *a); // a zeroed one is fine
