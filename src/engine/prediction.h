// What a client says an answer may turn out to be (OpenAI's predicted outputs): the answer is
// followed in it token by token, and found again after it has said something else. A function of
// the tokens alone: guesses (speculate.h) come from it, and what usage tells of it does not depend
// on how many were made. Owner: the scheduler thread.
#pragma once

#include "base/base.h"

struct prediction {
    int32_t *ids; // NULL: there is none
    uint32_t len;
    uint32_t next;     // ids[next] follows if the answer goes on as foretold
    uint32_t agreed;   // tokens before it that agree; 0: the answer says something else
    uint32_t accepted; // tokens that the answer said where they were foretold
};

void prediction_init(struct prediction *p, const int32_t *ids, size_t n); // copied
void prediction_done(struct prediction *p);
// The last of the answer's n tokens is new.
void prediction_follow(struct prediction *p, const int32_t *answer, uint32_t n);
// Tokens of it from ids[next] on that may be guessed.
uint32_t prediction_left(const struct prediction *p);
// Tokens of it that the answer did not say where they were foretold.
uint32_t prediction_rejected(const struct prediction *p);
