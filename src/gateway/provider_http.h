// A provider over the network: an address, a key, habits, and the dialects that it speaks.
// Immutable after http_provider_new (but for its health, which is the loop's), so any thread may
// prepare requests; attempts live on the loop.
// Redirects are never followed, and the key stands in no error and no log.
#pragma once

#include "gateway/config.h"
#include "gateway/http_kind.h"
#include "gateway/registry.h"
#include "http/address.h"

struct http_provider {
    const struct http_kind *kind;
    const struct gateway_provider *config;
    struct loop *loop;
    struct http_client *client;
    struct http_client *own_client; // with a ca_file of its own; else NULL
    str base;                       // without its trailing slash
    bool own_only;                  // upstream_target.own_only
    uint32_t index;                 // of models that are passed on, for metrics
    str label;                      // "openai/*"
    size_t answer_bytes_max;
    struct arena arena;
    struct http_address *addresses[EXCHANGE_KINDS]; // by exchange_kind; made when first used
    struct provider_health health;                  // http_health.h; the loop's
};

// `shared` is used unless the provider has certificates of its own.
enum err http_provider_new(struct loop *l, struct http_client *shared,
                           const struct gateway_provider *config, size_t answer_bytes_max,
                           struct http_provider **ret, struct diag *d) MUST_USE;
void http_provider_free(struct http_provider *p); // no attempt may be left
// An entry for one of its models: `name` as clients say it, `model` as it says itself.
void http_provider_describe(struct http_provider *p, str name, str model, struct model_entry *ret);

// --- Shared with http_attempt.c and http_discover.c
// What a request needs; made by prepare.
struct http_plan {
    const struct upstream_dialect *dialect;
    str body;
};
enum http2_use http_provider_http2(const struct http_provider *p);
// Its headers: key, kind, and those of the configuration. The strings live as long as `arena`.
bool http_provider_headers(const struct http_provider *p, struct arena *arena,
                           struct http_headers *ret);
str http_provider_url(const struct http_provider *p, str model, const char *path,
                      struct arena *arena);
// Where requests for `model` go by the provider's dialect of that kind; the caller drops it. On the
// loop. ERR_LIMIT, ERR_INVALID, ERR_PARSE: the configuration makes none.
enum err http_provider_address(struct http_provider *p, str model, enum exchange_kind kind,
                               struct http_address **ret, struct diag *d) MUST_USE;
struct attempt *http_attempt_start(const struct model_entry *m, const struct exchange_request *r,
                                   void *plan, const struct attempt_options *o,
                                   struct api_error *ret_error);
bool http_attempt_poll(struct attempt *base, struct exchange_event *ret);
void http_attempt_report(struct attempt *base, struct attempt_report *ret);
void http_attempt_stop(struct attempt *base);
