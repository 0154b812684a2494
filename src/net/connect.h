// Opening connections: name to addresses, several addresses raced (happy eyeballs, RFC 8305),
// through a proxy where the environment asks for one, TLS handshake included, all under one
// deadline. Owned by one loop; callbacks on its thread.
#pragma once

#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls.h"

// Proxies from the environment: http_proxy, https_proxy, all_proxy, no_proxy (also in capitals, but
// for HTTP_PROXY, which a CGI client could set). Strings point into the environment or the
// settings' owner.
struct connect_proxies {
    str http, https, none; // "http://user:password@host:port"; no_proxy's list
};
void connect_proxies_from_environment(struct connect_proxies *ret);
// The proxy for this target, or STR_NONE. no_proxy: "*", host suffixes (".corp", "corp"),
// addresses, host:port.
str connect_proxy_for(const struct connect_proxies *p, bool tls, str host, uint16_t port);

struct connect_target {
    str host; // without brackets
    uint16_t port;
    struct tls_context *tls; // NULL: plain
    str proxy;               // STR_NONE: direct
    uint32_t timeout_ms;     // until the stream can be used
    // Offer HTTP/2 in TLS's handshake, before HTTP/1.1. Without TLS: it will be spoken anyhow, so a
    // proxy is asked for a tunnel.
    bool h2;
};

struct connect_result {
    enum err e; // ERR_OK: `stream` is ready to be written to
    struct stream *stream;
    bool absolute_form;      // plain HTTP through a proxy: requests name the whole URL
    str proxy_authorization; // then also "Basic …", or STR_NONE; valid until the callback returns
    bool h2;                 // TLS's handshake chose HTTP/2
    const struct diag *d;    // what failed, and where
};

struct connecting;

// done is called once, in a later turn. Everything in `t` is copied.
struct connecting *connect_begin(struct loop *l, struct resolver *r, const struct connect_target *t,
                                 const struct stream_handler *handler, void *handler_ctx,
                                 void (*done)(void *ctx, const struct connect_result *result),
                                 void *ctx);
void connect_cancel(struct connecting *c); // before done; no call after it
