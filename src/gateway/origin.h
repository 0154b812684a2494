// Web pages and this server. A keyless server on loopback is within reach of every page that the
// user's browser opens: by a plain request (Origin) or by a name that resolves to 127.0.0.1 (Host).
// Such requests are foreign. Pure functions.
#pragma once

#include "gateway/config.h"

// The value of a Host header, with or without a port: localhost, 127.0.0.0/8, [::1].
bool origin_host_is_loopback(str host);
// "http://localhost:3000" is, "https://example.com" and "null" are not.
bool origin_is_loopback(str origin);
// What Access-Control-Allow-Origin shall say to `origin`: STR_NONE where it is not let in.
str origin_allowed(const struct gateway_config *c, str origin);
