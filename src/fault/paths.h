// Which paths the scripted provider has, and what each asks for, in which provider's words. Pure.
#pragma once

#include "fault/wire.h"

enum path_kind {
    PATH_UNKNOWN,
    PATH_ASK,    // a request with a conversation: `operation`
    PATH_MODELS, // lists
    PATH_MODEL,  // one: `model`
    PATH_TAGS,
    PATH_SHOW,
    PATH_PLAIN, // a fixed document: `document`
    PATH_ATTEMPTS,
    PATH_ORDERS
};

struct path {
    enum path_kind kind;
    enum ask_operation operation;
    const struct wire *wire; // never NULL
    str model;               // from the path, or absent
    const char *document;
};

// `anthropic`: the request has an anthropic-version header, which tells two lists of models apart.
struct path paths_find(str method, str path, bool anthropic);
