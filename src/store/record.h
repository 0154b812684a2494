// A record on its way to disk: one heap block, written once by whoever hands it over, and copied
// into its group as it is. `kind` is its field's number in a group's message.
#pragma once

#include "store/request.h"
#include "store/shadow.h"

enum record_kind { RECORD_REQUEST = 1, RECORD_SHADOW = 2 };

struct record {
    enum record_kind kind;
    uint32_t len;
    uint64_t seq;     // the store's thread gives it
    int64_t ended_ms; // wall clock
    // Of a request: the money that goes to a key's spend, on the day when the request began.
    int64_t spend_nano_usd, started_ms;
    str key_id; // in `bytes`' block
    uint8_t bytes[];
};

// mem_free.
struct record *record_of_request(const struct store_request *r);
struct record *record_of_shadow(const struct store_shadow *r, int64_t ended_ms);
// Texts point into the message, attempts lie in the arena. ERR_PARSE, ERR_LIMIT.
enum err record_read_request(str message, struct arena *a, struct store_request *ret,
                             struct diag *d) MUST_USE;
enum err record_read_shadow(str message, struct store_shadow *ret, struct diag *d) MUST_USE;
