// A provider that answers by script, and a world with virtual time, for tests of the gateway's core
// and for its fuzz program. One thread. A scripted attempt makes: BEGIN; for each choice `texts`
// one by one and FINISH; END. How many events may be taken is set by scripted_release.
#pragma once

#include "gateway/gateway_internal.h"

struct scripted {
    // the script
    const char *const *texts; // NULL-ended
    enum api_error_code fail_prepare, fail_start;
    uint32_t retry_after_ms;        // of fail_start; 0: 1500
    size_t fail_starts;             // so many starts fail, then none; 0: all of them
    size_t error_after;             // an ERROR event after so many events; 0 = never
    enum api_error_code error_code; // … with this; API_OK: engine_error
    bool remote;                    // an entry for a provider over the network
    bool continues;                 // an entry that goes on with what the assistant said
    size_t repeats;                 // … but says so many bytes of it once more
    const char *root;               // of the entry; NULL: its name
    uint32_t context_max;           // of the entry; 0: 512
    bool free_running;              // events need no scripted_release
    // what happened
    size_t prepared, started, stopped, running;
    uint64_t deadline_ms;
    struct scripted_attempt *attempt; // the last one started, while it runs
    // the world
    uint64_t now_us;
    struct world_timer *timers[8];
    struct offload *offloaded; // waits for scripted_work
    bool offload_full;
};

// An entry for `name` served by s.
void scripted_entry(struct scripted *s, const char *name, struct model_entry *ret);
struct world scripted_world(struct scripted *s);
// A gateway without sockets: what calls need, over `len` scripted providers whose world is the
// first one's. `config` has been checked; nothing is stored.
void scripted_gateway_open(struct gateway *g, struct gateway_shared *shared,
                           struct gateway_config *config, struct scripted *s,
                           const char *const *names, size_t len);
void scripted_gateway_close(struct gateway *g); // no call may be left
// Let n more events be taken, and notify.
void scripted_release(struct scripted *s, size_t n);
// Let time pass, firing what comes due.
void scripted_wait(struct scripted *s, uint64_t ms);
// Run what was given away, and complete it.
void scripted_work(struct scripted *s);
