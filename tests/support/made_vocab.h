// A small vocabulary made on the spot: every byte, some English merges, <|endoftext|> <|im_start|>
// <|im_end|> (byte-level BPE), or <unk> <s> </s>, bytes, letters and words with scores (SPM).
#pragma once

#include "base/arena.h"
#include "engine/format/model_file.h"

// Fills *ret with tables in the arena (which needs about 64 KiB).
void made_vocab(enum vocab_kind kind, struct arena *a, struct vocab *ret);
// Writes a vocabulary, made or read, as GGUF metadata.
struct gguf_write;
void made_vocab_write(const struct vocab *v, struct gguf_write *w);
