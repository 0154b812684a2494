// What a provider's reader made of the bytes of an answer, as one line a test can compare: for unit
// tests and fuzz programs. One thread.
#pragma once

#include "gateway/http_frames.h"

// Read `request` (a body of the client's dialect `client`), feed `bytes` cut at every `step` bytes
// (0: not at all) and once at `at`, end, and append what came: "begin text(0:Hi) finish(0:stop)
// end(3+1)". Raw frames follow their event as "<…>". Aborts on what must never be: an event behind
// the end, no end, an end twice.
struct upstream_case {
    const struct upstream_dialect *dialect;
    const struct dialect *client;
    const char *request;
    bool broken; // the connection broke at the end
};
void upstream_log(const struct upstream_case *c, str bytes, size_t at, size_t step,
                  struct buf *out);

// A row of a test: an answer's bytes and the line that they become.
struct upstream_row {
    const char *what;
    const struct upstream_dialect *dialect;
    const struct dialect *client; // NULL: one of another dialect
    const char *request, *bytes, *expected;
    bool broken;
};
// Every row, whole, cut at every byte, and in pieces of 1 to 7 bytes. False: *ret_said tells of the
// first that differs.
bool upstream_rows_hold(const struct upstream_row *rows, size_t len, struct buf *ret_said);
