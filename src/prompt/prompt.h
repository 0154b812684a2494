// A prompt: a named, versioned template of a conversation, read from a file NAME@VERSION.yaml and
// checked as a whole before anything uses it: its keys, its templates, every name they mention.
// Immutable after prompt_parse; any thread may render. Owner: whoever parsed it.
#pragma once

#include "base/yaml.h"
#include "prompt/mustache.h"

#define PROMPT_FILE_BYTES_MAX (1u << 20)

enum prompt_type {
    PROMPT_STRING,
    PROMPT_NUMBER,
    PROMPT_INTEGER,
    PROMPT_BOOLEAN,
    PROMPT_LIST,
    PROMPT_OBJECT
};
const char *prompt_type_name(enum prompt_type type);

struct prompt_variable {
    str name, description;
    int64_t type; // enum prompt_type
    str text;     // its default as it was written
    str json;     // its default as JSON; absent: the caller must give it
};

struct prompt_message {
    str role;
    struct mustache *content;
};

struct prompt_partial {
    str name;
    struct mustache *text;
};

struct prompt {
    struct arena arena;
    str name, version, description, model;
    enum mustache_escape escape;
    struct prompt_variable *variables;
    size_t variables_len;
    struct prompt_partial *partials;
    size_t partials_len;
    struct prompt_message *messages;
    size_t messages_len;
    struct json_doc parameters; // an object: temperature, max_tokens…; root NULL: none
};

// `text` is the file. Errors have line and column.
enum err prompt_parse(str name, str version, str text, struct prompt **ret,
                      struct diag *d) MUST_USE;
void prompt_free(struct prompt *p);
const struct prompt_variable *prompt_variable(const struct prompt *p, str name); // or NULL

// The messages as elements of the array that `w` has open: {"role","content"}. `variables` is an
// object or NULL; what it lacks has its default. ERR_NOT_FOUND (a variable is missing) and
// ERR_INVALID (of the wrong type, or none of this prompt's) name it in d->where; ERR_LIMIT: the
// text is longer than bytes_max in all.
enum err prompt_render(const struct prompt *p, yyjson_val *variables, size_t bytes_max,
                       struct json_writer *w, struct diag *d) MUST_USE;
