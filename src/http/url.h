// http and https addresses (RFC 3986, the part that a client needs). Strict: visible ASCII only, so
// that nothing in an address can end a request line. Slices point into the text. Pure functions.
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct url {
    bool tls;
    str host;      // without brackets; never empty
    uint16_t port; // 80 and 443 filled in
    str authority; // "host:port" as written, without user and password: for the Host header
    str userinfo;  // "user:password" as written, or empty
    str target; // path and query, "/" at least; the fragment is cut off. With a query and no path
                // it begins with '?'
};

enum err url_parse(str text, struct url *ret, struct diag *d) MUST_USE;
// A Location: absolute, "//host/path", "/path" or relative to `base` (a text that url_parse took).
// The result lives in the arena.
enum err url_resolve(str base, str reference, struct arena *a, str *ret, struct diag *d) MUST_USE;
// Scheme, host and port alike.
bool url_same_origin(const struct url *a, const struct url *b);

// --- For a server
// "host", "host:port", "[::1]:80": what may stand in a Host header.
bool url_authority_ok(str s);
// Percent-decode a path. ERR_PARSE: a bad escape, NUL, or a "." or ".." segment (also an encoded
// one); ERR_LIMIT: the arena is full. Without escapes the answer is `raw` itself.
enum err url_decode_path(str raw, struct arena *a, str *ret) MUST_USE;
