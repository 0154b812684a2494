// Logits of every architecture and weight type as digests (digests.h), by one way of computing
// them. Programs that use it link the room engine/arch.
#pragma once

#include "base/buf.h"
#include "engine/arch/model.h"

#define MADE_DIGESTS_FILE    "engine_digests.txt"    // of tests/data
#define MADE_KV_DIGESTS_FILE "engine_kv_digests.txt" // with another type of keys and values

// isa NULL: the best; o NULL: the processor. Aborts where a model cannot be had or computed.
void made_digests(const char *isa, const struct model_options *o, struct buf *lines);
// The same for some of them, with K and V in q8_0; on the processor.
void made_kv_digests(const char *isa, struct buf *lines);
