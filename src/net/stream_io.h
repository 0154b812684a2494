// A transport under a stream: what stands between its bytes and the socket (TLS). Non-blocking,
// owned by one stream, called on its loop's thread only.
#pragma once

#include <sys/types.h>

#include "base/err.h"

enum { STREAM_IO_AGAIN = -1, STREAM_IO_FAILED = -2 };

struct stream_io;

struct stream_io_ops {
    // > 0: bytes; 0: the peer ended cleanly; STREAM_IO_AGAIN: not now; STREAM_IO_FAILED: dead.
    // Handshakes happen inside.
    ssize_t (*read)(struct stream_io *io, char *into, size_t len);
    ssize_t (*write)(struct stream_io *io, const char *from, size_t len);
    void (*shutdown)(struct stream_io *io); // say goodbye, best effort
    // After STREAM_IO_FAILED. ERR_PARSE: the peer speaks plain HTTP; the socket is as it was.
    enum err (*why)(const struct stream_io *io, struct diag *d);
    void (*free)(struct stream_io *io); // not the descriptor
};

struct stream_io {
    const struct stream_io_ops *ops;
    bool wants_write; // the last AGAIN waits for the socket to become writable
    bool postponed;   // the last AGAIN waits for nothing but the loop's next turn
};
