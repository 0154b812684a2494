#include "net/tls.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/sock.h"

#include "base/banned.h"

// So long a turn of the loop may be held by handshakes, before the last one that began.
#define HANDSHAKES_US 1000

struct tls_context {
    SSL_CTX *ctx;
    uint64_t turn, spent_us;       // of the loop; by handshakes in it
    struct tls_handshakes earlier; // of contexts that were given up
};

struct tls_io {
    struct stream_io io; // first: a tls_io is a stream_io
    SSL *ssl;
    struct tls_context *context; // of a server
    const struct loop *loop;
    int sys;              // errno of the failure, or 0
    unsigned long reason; // OpenSSL's of the failure
    char host[256];
};

// OpenSSL's own words for the last error of this thread; the queue is emptied.
static enum err openssl_failed(struct diag *d, enum err e, const char *what, const char *file)
{
    unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return diag_set(d, e, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
                    why ? why : "no reason given");
}

// --- Contexts

static enum err context_new(const SSL_METHOD *method, struct tls_context **ret, struct diag *d)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return openssl_failed(d, ERR_NOMEM, "cannot prepare TLS", NULL);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    *ret = mem_new(struct tls_context);
    (*ret)->ctx = ctx;
    return ERR_OK;
}

// Nobody sits at a terminal to type a password.
static int no_password(char *out UNUSED, int size UNUSED, int writing UNUSED, void *ctx UNUSED)
{
    return -1;
}

static enum err load_identity(SSL_CTX *ctx, const char *cert, const char *key, struct diag *d)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return openssl_failed(d, ERR_INVALID, "cannot read the certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return openssl_failed(d, ERR_INVALID, "cannot read the private key", key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return openssl_failed(d, ERR_INVALID, "the private key does not belong to the certificate",
                              cert);
    return ERR_OK;
}

static enum err client_trust(SSL_CTX *ctx, const struct tls_client_options *o, struct diag *d)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (o->ca_file && SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL) != 1)
        return openssl_failed(d, ERR_INVALID, "cannot read the authority's certificates",
                              o->ca_file);
    if (!o->ca_file && SSL_CTX_set_default_verify_paths(ctx) != 1)
        return openssl_failed(d, ERR_IO, "cannot read the system's certificates", NULL);
    return o->cert_file ? load_identity(ctx, o->cert_file, o->key_file, d) : ERR_OK;
}

enum err tls_client_new(const struct tls_client_options *o, struct tls_context **ret,
                        struct diag *d)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    struct tls_context *c;
    ERR_TRY(context_new(TLS_client_method(), &c, d));
    SSL_CTX_set_alpn_protos(c->ctx, alpn, sizeof alpn - 1);
    enum err e = client_trust(c->ctx, o, d);
    if (e == ERR_OK)
        *ret = c;
    else
        tls_context_free(c);
    return e;
}

static int choose_alpn(SSL *ssl UNUSED, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg UNUSED)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum err server_identity(SSL_CTX *ctx, const struct tls_server_options *o, struct diag *d)
{
    ERR_TRY(load_identity(ctx, o->cert_file, o->key_file, d));
    if (!o->client_ca_file)
        return ERR_OK;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->client_ca_file);
    if (!names || SSL_CTX_load_verify_locations(ctx, o->client_ca_file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return openssl_failed(d, ERR_INVALID, "cannot read the clients' authority",
                              o->client_ca_file);
    }
    SSL_CTX_set_client_CA_list(ctx, names); // takes them over
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ERR_OK;
}

enum err tls_server_new(const struct tls_server_options *o, struct tls_context **ret,
                        struct diag *d)
{
    struct tls_context *c;
    ERR_TRY(context_new(TLS_server_method(), &c, d));
    static const unsigned char id[] = "weir";
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF); // tickets instead
    SSL_CTX_set_num_tickets(c->ctx, 1);
    SSL_CTX_set_session_id_context(c->ctx, id, sizeof id - 1); // else clients with certificates
                                                               // could not resume
    // Of TLS 1.2 only what keeps its secrets when the key is lost later, and authenticates.
    SSL_CTX_set_cipher_list(c->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(c->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_alpn_select_cb(c->ctx, choose_alpn, NULL);
    enum err e = server_identity(c->ctx, o, d);
    if (e == ERR_OK)
        *ret = c;
    else
        tls_context_free(c);
    return e;
}

void tls_context_free(struct tls_context *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ctx);
    mem_free(c);
}

static struct tls_handshakes handshakes_of(SSL_CTX *ctx)
{
    uint64_t all = (uint64_t)SSL_CTX_sess_accept_good(ctx),
             resumed = (uint64_t)SSL_CTX_sess_hits(ctx);
    return (struct tls_handshakes){all > resumed ? all - resumed : 0, resumed};
}

struct tls_handshakes tls_server_handshakes(const struct tls_context *c)
{
    struct tls_handshakes now = handshakes_of(c->ctx);
    return (struct tls_handshakes){c->earlier.full + now.full, c->earlier.resumed + now.resumed};
}

void tls_server_adopt(struct tls_context *c, struct tls_context *fresh)
{
    c->earlier = tls_server_handshakes(c);
    SSL_CTX_free(c->ctx); // connections hold it for as long as they need it
    c->ctx = fresh->ctx;
    mem_free(fresh);
}

// --- The transport

// A handshake costs a signature. Whether those of this turn have taken their time; else when this
// step of one begins.
static bool postpone(struct tls_io *t, uint64_t *ret_began_us)
{
    struct tls_context *c = t->context;
    *ret_began_us = 0;
    t->io.postponed = false;
    if (!t->loop || SSL_is_init_finished(t->ssl))
        return false;
    uint64_t turn = loop_stats(t->loop)->turns;
    if (turn != c->turn) {
        c->turn = turn;
        c->spent_us = 0;
    }
    t->io.postponed = c->spent_us >= HANDSHAKES_US;
    *ret_began_us = clock_mono_us();
    return t->io.postponed;
}

static void note_step(struct tls_io *t, uint64_t began_us)
{
    if (began_us)
        t->context->spent_us += clock_mono_us() - began_us;
}

// What an SSL_* call that did not succeed means for the stream.
static ssize_t outcome(struct tls_io *t, int result)
{
    int sys = errno;
    t->io.wants_write = false;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return STREAM_IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        t->io.wants_write = true;
        return STREAM_IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        t->sys = sys;
        break;
    default:
        t->reason = ERR_peek_error();
        break;
    }
    ERR_clear_error();
    return STREAM_IO_FAILED;
}

static ssize_t io_read(struct stream_io *io, char *into, size_t len)
{
    struct tls_io *t = (struct tls_io *)io;
    size_t got = 0;
    uint64_t began_us;
    if (postpone(t, &began_us))
        return STREAM_IO_AGAIN;
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(t->ssl, into, len, &got);
    note_step(t, began_us);
    return result == 1 ? (ssize_t)got : outcome(t, result);
}

static ssize_t io_write(struct stream_io *io, const char *from, size_t len)
{
    struct tls_io *t = (struct tls_io *)io;
    size_t sent = 0;
    uint64_t began_us;
    if (postpone(t, &began_us))
        return STREAM_IO_AGAIN;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(t->ssl, from, len, &sent);
    note_step(t, began_us);
    if (result == 1)
        return (ssize_t)sent;
    ssize_t n = outcome(t, result);
    return n == 0 ? STREAM_IO_FAILED : n; // the peer said goodbye: nothing can be sent
}

static void io_shutdown(struct stream_io *io)
{
    struct tls_io *t = (struct tls_io *)io;
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static enum err io_why(const struct stream_io *io, struct diag *d)
{
    const struct tls_io *t = (const struct tls_io *)io;
    long verdict = SSL_get_verify_result(t->ssl);
    if (verdict != X509_V_OK && t->host[0])
        return diag_set(d, ERR_UPSTREAM,
                        "the certificate of %s cannot be trusted: %s; if it is your own "
                        "authority's, name it with ca_file",
                        t->host, X509_verify_cert_error_string(verdict));
    if (t->sys)
        return diag_sys(d, ERR_CLOSED, t->sys, "the TLS connection broke");
    if (ERR_GET_REASON(t->reason) == SSL_R_HTTP_REQUEST)
        return diag_set(d, ERR_PARSE, "the other side speaks plain HTTP here, where TLS is spoken");
    if (t->reason && ERR_GET_REASON(t->reason) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        const char *why = ERR_reason_error_string(t->reason);
        return diag_set(d, ERR_UPSTREAM, "TLS failed: %s", why ? why : "no reason given");
    }
    return diag_set(d, ERR_CLOSED, "the other side closed the TLS connection");
}

static void io_free(struct stream_io *io)
{
    struct tls_io *t = (struct tls_io *)io;
    SSL_free(t->ssl);
    mem_free(t);
}

static const struct stream_io_ops ops = {io_read, io_write, io_shutdown, io_why, io_free};

static struct tls_io *transport_new(struct tls_context *c, int fd)
{
    SSL *ssl = SSL_new(c->ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    struct tls_io *t = mem_new(struct tls_io);
    t->io.ops = &ops;
    t->ssl = ssl;
    return t;
}

static bool expect_host(struct tls_io *t)
{
    struct sock_address literal;
    if (sock_address_of(str_of(t->host), 0, &literal) == ERR_OK)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), t->host) == 1;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(t->ssl, t->host) == 1 && SSL_set_tlsext_host_name(t->ssl, t->host) == 1;
}

struct stream_io *tls_connect(struct tls_context *c, int fd, str host)
{
    struct tls_io *t = transport_new(c, fd);
    if (!t)
        return NULL;
    snprintf(t->host, sizeof t->host, STR_FMT, STR_ARG(host));
    if (!expect_host(t)) {
        io_free(&t->io);
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    return &t->io;
}

void tls_offer_h2(struct stream_io *io)
{
    static const unsigned char alpn[] = "\x02h2\x08http/1.1";
    SSL_set_alpn_protos(((struct tls_io *)io)->ssl, alpn, sizeof alpn - 1);
}

bool tls_chose_h2(const struct stream_io *io)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(((const struct tls_io *)io)->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

struct stream_io *tls_accept(struct tls_context *c, const struct loop *l, int fd)
{
    struct tls_io *t = transport_new(c, fd);
    if (!t)
        return NULL;
    t->context = c;
    t->loop = l;
    SSL_set_accept_state(t->ssl);
    return &t->io;
}

enum err tls_handshake(struct stream_io *io)
{
    struct tls_io *t = (struct tls_io *)io;
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        return ERR_OK;
    return outcome(t, result) == STREAM_IO_AGAIN ? ERR_AGAIN : ERR_UPSTREAM;
}
