// What Ollama's upstream dialects share. Pure; any thread.
#pragma once

#include "dialect/upstream_reader.h"

// "options", from sampling members and limits; what it has no word for is lost.
void upstream_ollama_write_options(struct upstream_writing *w, struct json_writer *j);
// "format" and "think".
void upstream_ollama_write_answer_shape(struct upstream_writing *w, struct json_writer *j);
// The limit of a spliced body, where the gateway changed it.
bool upstream_ollama_splice(struct upstream_writing *w, struct upstream_edits *edits);
// The line that ends an answer: usage, finish, END. `called`: it has made tool calls.
void upstream_ollama_end(struct upstream_reader *r, yyjson_val *root);
