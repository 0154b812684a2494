// Answers to requests of every kind as digests (digests.h): tokens, log-probabilities, embeddings
// and texts, sampled ones too, of models of several kinds. Programs that use it link the room
// engine.
#pragma once

#include "base/buf.h"

#define ENGINE_ANSWERS_FILE "answer_digests.txt" // of tests/data

// isa NULL: the best; device NULL: the processor. Aborts where an engine cannot be had or fails.
void engine_answers(const char *isa, const char *device, struct buf *lines);
