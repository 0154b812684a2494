// The texts of a request's document, whatever its protocol: what people, models and tools say in
// it, with whose words they are; and the document with other texts in their places, everything else
// as it was. What is not known to be a name, a kind, an id or a picture is a text, so that parts of
// a protocol that nobody here knows are looked at like all others. Pure; any thread. Strings point
// into the document.
#pragma once

#include "base/json.h"

struct guard_text {
    yyjson_val *value;
    uint32_t group; // texts of one message have the same
    uint32_t role;  // GUARD_ROLE_*
    bool is_json;   // the arguments of a call: JSON in a string
    bool is_prompt; // of a system prompt
    str text;       // what it says; other than the value's where `changed`
    bool changed;
};

struct guard_texts {
    struct guard_text *items; // as they come in the document
    size_t len, cap;
    uint32_t group;
};

void guard_texts_find(yyjson_val *root, struct guard_texts *ret);
// All strings of a value: arguments of a call.
void guard_texts_find_all(yyjson_val *value, uint32_t role, struct guard_texts *ret);
void guard_texts_done(struct guard_texts *t);
bool guard_texts_changed(const struct guard_texts *t);

// A text that comes into the document besides: as the first message, or as a member.
struct guard_addition {
    str text; // empty: nothing
    bool as_message;
    const char *member;
};
void guard_texts_write(yyjson_val *root, const struct guard_texts *t,
                       const struct guard_addition *add, struct buf *out);
