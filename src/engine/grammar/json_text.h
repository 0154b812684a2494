// The parts of JSON text as rules of a graph: white space, strings, numbers, any value. Between
// values nothing, one blank, or a line's end and up to 20 blanks may stand; before ',' and ':'
// nothing. Characters are whole ones, so that any reader takes the text.
#pragma once

#include "engine/grammar/graph.h"

struct json_text {
    struct graph *graph;
    uint32_t space, character, string, key, number, integer, value, object, array; // rules + 1
};

void json_text_init(struct json_text *t, struct graph *g);
// Each makes its rule when it is first asked for.
uint32_t json_text_space(struct json_text *t);
uint32_t json_text_character(struct json_text *t); // of a string, escapes too
uint32_t json_text_string(struct json_text *t);    // with its quotes
uint32_t json_text_key(struct json_text *t);       // with its quotes, without escapes
uint32_t json_text_number(struct json_text *t);    // at most 15 digits on each side of the point
uint32_t json_text_integer(struct json_text *t);   // at most 15 digits
uint32_t json_text_value(struct json_text *t);
uint32_t json_text_object(struct json_text *t);
uint32_t json_text_array(struct json_text *t);
// What may stand in a key as it is: settled.
struct charset;
void json_text_plain(struct charset *ret);
