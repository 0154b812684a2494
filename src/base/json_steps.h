// JSON read byte by byte: whether what has come so far can still become an object or an array, and
// where in it the next byte stands. UTF-8 inside strings is not looked at. A plain value; any
// thread.
#pragma once

#include "base/base.h"

#define JSON_STEPS_DEPTH_MAX 64

enum json_step { JSON_STEP_MORE, JSON_STEP_DONE, JSON_STEP_BAD };

enum json_place { // what may come next
    JSON_PLACE_BEGIN,
    JSON_PLACE_KEY_OR_END, // after '{'
    JSON_PLACE_KEY,        // after ',' in an object
    JSON_PLACE_IN_KEY,
    JSON_PLACE_COLON,
    JSON_PLACE_VALUE,
    JSON_PLACE_VALUE_OR_END, // after '['
    JSON_PLACE_IN_TEXT,
    JSON_PLACE_IN_WORD, // true, false, null
    JSON_PLACE_IN_NUMBER,
    JSON_PLACE_COMMA_OR_END, // a value is complete
    JSON_PLACE_END
};

struct json_steps { // zeroed: nothing came yet
    enum json_place place;
    unsigned depth;   // brackets open
    uint64_t objects; // bit d: the bracket at depth d + 1 is an object's
    unsigned escape;  // in a string: 1 after a backslash, 2 to 5 before the digits of \u
    unsigned number;  // which part of a number
    const char *word; // what is left of it
};

// Blanks before the value are taken. DONE with its last bracket; nothing may be fed after it, nor
// after BAD.
enum json_step json_steps_feed(struct json_steps *s, char c);
// Inside a string, its quotes excluded.
bool json_steps_in_string(const struct json_steps *s);
