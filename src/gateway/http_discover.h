// Asks a provider which models it has, where none are configured: at once and every minute, in the
// background. No request depends on the answer; a provider that does not say can be asked for any
// model all the same. Bounds: the list's bytes, and HTTP_DISCOVER_MODELS_MAX names of it. Loop
// thread.
#pragma once

#include "gateway/provider_http.h"

#define HTTP_DISCOVER_MODELS_MAX 100

struct http_discover;

// What was found, each time anew; context_max 0: it did not say. Strings live for the call.
typedef void http_discover_found(void *ctx, struct http_provider *p, str model,
                                 uint32_t context_max);

// Whether it answers, each time anew.
typedef void http_discover_heard(void *ctx, struct http_provider *p, bool up);

// The first question goes out in the loop's next turn.
struct http_discover *http_discover_new(struct http_provider *p, http_discover_found *found,
                                        http_discover_heard *heard, void *ctx);
void http_discover_free(struct http_discover *d); // before its provider
