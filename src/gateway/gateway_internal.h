// What the files of this room share of a gateway.
#pragma once

#include "gateway/account.h"
#include "gateway/auth.h"
#include "gateway/call.h"
#include "gateway/conversation.h"
#include "gateway/gateway.h"
#include "gateway/listener_tls.h"
#include "gateway/model_route.h"
#include "gateway/providers.h"
#include "gateway/registry.h"
#include "gateway/semantic.h"
#include "gateway/shared.h"
#include "gateway/worker.h"
#include "http/server.h"

struct gateway {
    struct loop *loop;
    const struct gateway_config *config;
    struct world world;
    struct worker *worker;
    struct http_server *http;
    struct listener_tls *tls; // NULL: plain
    uint64_t no_contact_ms;   // when clients that speak otherwise were last written of
    struct gateway_shared *shared;
    struct registry registry;
    struct model_routes routes;
    struct targets targets;
    struct retry_purse purse;
    struct provider_local *local;
    struct providers providers;
    struct account account;
    struct admission_queue admission;
    struct cache cache;
    struct conversations conversations;
    struct semantic semantic;
    struct scan_scratch guard_scratch; // of all answers that are looked at; made by the first one
    struct call *calls;
    size_t calls_len;
    struct call *spares; // blocks of ended ones
    size_t spares_len;
    struct shadow *shadows; // copies under way
    uint64_t started_wall_ms;
    bool draining;
    bool on_loopback; // while nobody needs a key, foreign Host and Origin are refused
};
