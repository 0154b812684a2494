// What a text is about, by lists of words and phrases, so that anyone can see why. Text and terms
// are cut into words (runs of letters, marks and numbers; a character of a script without blanks is
// a word of its own), and words are compared without case, marks, width or invisible characters
// (Unicode's compatibility decomposition): "Ｃafé" is "cafe". No stems: "gun" is not "guns". A term
// counts once however often it stands there; the score is the sum of the weights of those that do.
// Linear time. Compiled once, immutable; any thread. Limits: 256 terms of 8 words, a word of 64
// bytes; a longer word of a text is none of the terms'.
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define TOPIC_TERMS_MAX      256
#define TOPIC_WORDS_MAX      8
#define TOPIC_WORD_BYTES_MAX 64

struct topic_rule {
    const str *terms; // "credit card", "loan=2": weight 1 where none is said
    size_t len;
    double threshold; // the score from which on a text is about it
    bool allowed;     // the rule fires where a text is NOT about it
};

struct topic;

// ERR_INVALID, ERR_LIMIT: the term is named.
enum err topic_new(const struct topic_rule *r, struct topic **ret, struct diag *d) MUST_USE;
void topic_free(struct topic *t); // NULL is fine

// A text that comes in pieces, cut anywhere; the score only grows.
struct topic_stream {
    const struct topic *topic;
    uint64_t found[TOPIC_TERMS_MAX / 64]; // terms, as bits
    double score;
    char bytes[4]; // the beginning of a character
    size_t bytes_len;
    char word[4 * TOPIC_WORD_BYTES_MAX]; // the one that is not over yet, as it came
    size_t word_len;                     // more than there is room for: too long
    char last[TOPIC_WORDS_MAX * (TOPIC_WORD_BYTES_MAX + 1)]; // words before it, each with a blank
    size_t last_len, words;
    bool dropped; // there were more
};
void topic_stream_init(struct topic_stream *s, const struct topic *t);
void topic_stream_feed(struct topic_stream *s, str bytes);
void topic_stream_end(struct topic_stream *s); // the last word is over
// Whether the rule fires, as far as the text has come; that something is missing only its end says.
bool topic_fires(const struct topic_stream *s, bool at_end);
bool topic_wants(const struct topic *t); // it fires where the text is not about it
