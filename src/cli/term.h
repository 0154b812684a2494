// The terminal: is there one, how wide, colours, a progress line. Progress is drawn on stderr only
// when it is a terminal; in a pipe it stays quiet. Main thread.
#pragma once

#include <stdbool.h>

#include "base/buf.h"

bool term_is_tty(int fd);
bool term_colour(int fd);      // a terminal, NO_COLOR unset, TERM not "dumb"
uint32_t term_columns(int fd); // 80 when unknown

// Append what others wrote (a model, its file) for a terminal: control characters become U+FFFD, so
// that nothing but text reaches it. `lines` lets newlines and tabs through.
void term_text(struct buf *out, str text, bool lines);

struct term_progress {
    const char *label;
    uint64_t total; // 0 = unknown
    uint64_t started_ms, drawn_ms, start_at;
    bool shown, bytes;
};
void term_progress_begin(struct term_progress *p, const char *label, uint64_t total,
                         uint64_t start_at, bool bytes);
void term_progress_update(struct term_progress *p, uint64_t done);
void term_progress_end(struct term_progress *p); // clears the line
// "512", "12.3 K", "1.1 B"
const char *term_count(uint64_t n, char out[static 16]);
// "1.2 MB", "830 kB"
const char *term_bytes(uint64_t n, char out[static 16]);
