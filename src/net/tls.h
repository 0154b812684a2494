// TLS 1.2/1.3 as a transport under a stream (OpenSSL 3). A context belongs to one loop and is used
// on its thread only; the transports made from it must be gone before it. Idle connections give
// their buffers back (SSL_MODE_RELEASE_BUFFERS).
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "net/stream_io.h"

struct tls_context;

struct tls_client_options {
    const char *ca_file;              // trust only these (PEM); NULL: the system's store
    const char *cert_file, *key_file; // our own certificate (mutual TLS), or NULL
};
// For connections that we open: the peer is always verified, name and chain.
enum err tls_client_new(const struct tls_client_options *o, struct tls_context **ret,
                        struct diag *d) MUST_USE;

struct tls_server_options {
    const char *cert_file, *key_file; // PEM; the chain in cert_file
    const char *client_ca_file;       // ask clients for certificates of this authority, or NULL
};
enum err tls_server_new(const struct tls_server_options *o, struct tls_context **ret,
                        struct diag *d) MUST_USE;
void tls_context_free(struct tls_context *c);

// host: the name that the certificate must carry, and SNI (an IP literal is matched as an address).
// The handshake runs inside read and write. NULL when OpenSSL has no memory.
struct stream_io *tls_connect(struct tls_context *c, int fd, str host) MUST_USE;
struct stream_io *tls_accept(struct tls_context *c, int fd) MUST_USE;

// One step of the handshake, for whoever wants it over before the first byte: ERR_OK done,
// ERR_AGAIN wait for the socket (io->wants_write says for what), ERR_UPSTREAM failed:
// io->ops->why() tells.
enum err tls_handshake(struct stream_io *io) MUST_USE;
