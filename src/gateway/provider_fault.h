// A provider of kind `fault`: the scripted, misbehaving server of src/fault in this process, on a
// loopback port of its own, and the configuration by which the gateway speaks to it over HTTP like
// to any other. Owner: struct providers; loop thread.
#pragma once

#include "gateway/config.h"
#include "net/loop.h"

struct provider_fault;

// *ret_config is what http_provider_new needs; it lives as long as the provider.
enum err provider_fault_new(struct loop *l, const struct gateway_provider *config,
                            struct provider_fault **ret, const struct gateway_provider **ret_config,
                            struct diag *d) MUST_USE;
void provider_fault_free(struct provider_fault *p); // after every attempt on it; NULL is fine
// What the file says, read and understood: for config check.
enum err provider_fault_check(const struct gateway_provider *config, struct diag *d) MUST_USE;
