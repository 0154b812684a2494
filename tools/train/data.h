// Tokenised documents on disk and the order in which the trainer sees them.
//
// File: "WTOK", u32 vocabulary, u64 documents, u64 tokens, u64 start[documents + 1], u16
// token[tokens]. The top bit of a token says that it does not count when the user's turns are
// masked. Little endian.
#pragma once
#include "model.h"
#include <stdio.h>

enum { DATA_UNCOUNTED = 0x8000 };

struct data_writer {
    const char *path;
    uint32_t vocab;
    uint16_t *token;
    uint64_t *start;
    size_t tokens, token_capacity, docs, doc_capacity;
};

void data_writer_init(struct data_writer *w, const char *path, size_t vocab);
void data_writer_doc(struct data_writer *w); // the following tokens are a new document
void data_writer_token(struct data_writer *w, uint16_t id, int counts);
size_t data_writer_done(struct data_writer *w); // writes the file, returns the number of tokens

struct data {
    uint32_t vocab;
    uint64_t docs, tokens;
    uint64_t *start;
    uint16_t *token;
    uint32_t *order;        // a permutation of the documents, redrawn each epoch
    uint64_t ordered_epoch; // 1 + the epoch that order was drawn for
};

struct data_place { // where in the endless stream of shuffled epochs the trainer stands
    uint64_t seed, epoch, doc;
};

void data_load(struct data *d, const char *path); // exits with a message on a bad file
// Fills the pack with the next whole documents of one epoch, at most tokens_max tokens and ctx a
// document.
void data_next(struct data *d, struct data_place *place, struct pack *pack, size_t tokens_max,
               size_t ctx, float uncounted_weight);
void pack_init(struct pack *p, size_t tokens_max);
