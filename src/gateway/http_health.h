// Active health: asks a provider in between whether it is ready, and how busy it is where its
// metrics tell. A provider that is not ready, or does not answer, `failures` times in a row is
// down: its models are asked only when no others are left (phase_target.c), until it answers well
// once. Providers that nobody asks are never down. Loop thread.
#pragma once

#include "gateway/provider_http.h"
#include "telemetry/names.h"

struct http_health;

// Whether there is something to ask: a path that is configured, or the kind's own.
bool http_health_is_asked(const struct http_provider *p);
// The first question goes out in the loop's next turn.
struct http_health *http_health_new(struct http_provider *p, struct metrics_shard *shard);
void http_health_free(struct http_health *h); // before its provider
