// The certificates of the listener: read at the start, and again on a signal or when their files
// change. What is no good is refused in words, and what was there before stays. Connections that
// are open keep what they began with. Owner: the gateway, on its loop; the files are read on its
// workers.
#pragma once

#include "gateway/config.h"
#include "gateway/worker.h"
#include "telemetry/names.h"

struct listener_tls;
struct tls_context;

// The configuration outlives it.
enum err listener_tls_new(struct loop *l, struct worker *w, const struct gateway_tls *config,
                          struct metrics_shard *shard, struct listener_tls **ret,
                          struct diag *d) MUST_USE;
void listener_tls_stop(struct listener_tls *t); // no file is looked at any more
void listener_tls_free(struct listener_tls *t); // after all connections, and the pool
struct tls_context *listener_tls_context(const struct listener_tls *t);
// Read the files now, whether they look changed or not.
void listener_tls_reload(struct listener_tls *t);
// Bring the counts of handshakes up to date, for the page that is about to be written.
void listener_tls_measure(struct listener_tls *t);
// Server and client did not come together.
void listener_tls_no_contact(struct metrics_shard *shard);
