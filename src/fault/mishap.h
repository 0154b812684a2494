// The errors that providers answer with: what each is called and how each protocol tells it. A
// table; any thread.
#pragma once

#include "base/str.h"

struct mishap {
    const char *name; // as an order says it: "rate_limit"
    int status, anthropic_status;
    const char *openai_type, *openai_code; // code may be NULL
    const char *anthropic_type;
    const char *message;
};

// By name, or by a status from 300 to 599 ("503"): the one that has it, or a plain one. False for
// any other text.
bool mishap_find(str text, struct mishap *ret);
