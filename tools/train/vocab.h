// The byte-level BPE vocabulary of the bundled model: learning it, keeping it in a file, encoding
// text with it.
//
// At run time it is plain GPT-2 BPE. Ids: 256 bytes in GPT-2's order, then one id a merge, then the
// specials. The file holds one merge a line as two ids. Text is split by GPT-2's pattern; the
// corpus is ASCII, so bytes above 127 are taken for letters here. No merge contains a digit: every
// digit is a token of its own.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { VOCAB_BYTES = 256, VOCAB_SPECIALS = 3, VOCAB_MAX = 32768 };
enum special { SPECIAL_TEXT, SPECIAL_START, SPECIAL_END }; // <|endoftext|> <|im_start|> <|im_end|>
extern const char *const special_names[VOCAB_SPECIALS];

struct vocab {
    size_t merges;
    uint16_t (*merge)[2];
};

size_t vocab_size(const struct vocab *v);
uint16_t vocab_special(const struct vocab *v, enum special s);
uint16_t vocab_byte_id(uint8_t byte);
uint8_t vocab_id_byte(uint16_t id); // id < VOCAB_BYTES
// Length of the next piece of text by GPT-2's pattern; at least 1 when left > 0.
size_t vocab_piece(const char *text, size_t left);
// Writes the bytes that an id below the specials stands for; returns how many.
size_t vocab_bytes(const struct vocab *v, uint16_t id, uint8_t *ret_bytes, size_t max);

void vocab_save(const struct vocab *v, const char *path);
void vocab_load(struct vocab *v, const char *path); // exits with a message when the file is not one

// The next document of a corpus file ("kind<TAB>text", newlines and backslashes escaped), unescaped
// in place. Returns its length or -1 at the end. *line grows as getline does.
long corpus_next(FILE *f, char **line, size_t *capacity, char **ret_text);
