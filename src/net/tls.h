// TLS 1.2/1.3 as a transport under a stream (OpenSSL 3). A context belongs to one loop and is used
// on its thread only (it may be made on another); the transports made from it must be gone before
// it. Idle connections give their buffers back (SSL_MODE_RELEASE_BUFFERS). Of the handshakes that
// a server accepts, a turn of the loop takes about a millisecond's worth; the others have theirs in
// the next turns.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "net/stream_io.h"

struct loop;
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
    const char *client_ca_file;       // clients need a certificate of this authority, or NULL
};
// Offers HTTP/1.1 by ALPN. Sessions are resumed by tickets, under keys that the context draws.
enum err tls_server_new(const struct tls_server_options *o, struct tls_context **ret,
                        struct diag *d) MUST_USE;
void tls_context_free(struct tls_context *c);
// Connections to come are accepted as `fresh` would, whose life ends by this; those that are open
// keep what they have.
void tls_server_adopt(struct tls_context *c, struct tls_context *fresh);

// Handshakes that a server's context has brought to a good end, ever.
struct tls_handshakes {
    uint64_t full, resumed;
};
struct tls_handshakes tls_server_handshakes(const struct tls_context *c);

// host: the name that the certificate must carry, and SNI (an IP literal is matched as an address).
// The handshake runs inside read and write. NULL when OpenSSL has no memory. `l` may be NULL where
// nobody waits for other connections.
struct stream_io *tls_connect(struct tls_context *c, int fd, str host) MUST_USE;
// Before the handshake of tls_connect: HTTP/2 may be chosen, else HTTP/1.1 (ALPN, RFC 7301). After
// it: whether it was.
void tls_offer_h2(struct stream_io *io);
bool tls_chose_h2(const struct stream_io *io);
struct stream_io *tls_accept(struct tls_context *c, const struct loop *l, int fd) MUST_USE;

// One step of the handshake, for whoever wants it over before the first byte: ERR_OK done,
// ERR_AGAIN wait for the socket (io->wants_write says for what), ERR_UPSTREAM failed:
// io->ops->why() tells.
enum err tls_handshake(struct stream_io *io) MUST_USE;
