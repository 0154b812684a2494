// From what a client asks for to an automaton. Any thread, each with its own automaton.
#pragma once

#include "engine/grammar/automaton.h"

enum grammar_kind {
    GRAMMAR_JSON,   // any JSON object; no text
    GRAMMAR_SCHEMA, // JSON that fits a JSON Schema: its text
    GRAMMAR_REGEX,  // all of the answer fits a regular expression
    GRAMMAR_GBNF,
    GRAMMAR_CHOICE, // one of several texts: a JSON array of strings
    GRAMMAR_KINDS
};

struct grammar_part {
    enum grammar_kind kind;
    str text;
    str before, after; // said as they are, around it
};

enum { GRAMMAR_PARTS_MAX = 128, GRAMMAR_TEXT_BYTES_MAX = 1 << 20 };

// What is said is by one of the parts. Errors name the place (d->where: a JSON pointer into the
// schema) and the remedy.
enum err grammar_compile(const struct grammar_part *parts, size_t n, const struct token_trie *trie,
                         struct automaton **ret, struct diag *d) MUST_USE;
