// Who waits for the engine, and whose turn it is. Jobs queue by tenant; the next to start belongs
// to the tenant that was served least (a virtual token counter: one a prompt token, two a generated
// one; Sheng et al., "Fairness in Serving Large Language Models", 2024). A tenant that comes back
// from idleness starts level with the least served of the active ones, so that rest saves up no
// credit. Owner: the scheduler thread.
#pragma once

#include <stdbool.h>

#include "base/map.h"

struct engine_job;
struct engine_model;

struct tenant {
    str name;
    uint64_t root;   // serial number of its empty prefix (kv.h)
    uint64_t served; // virtual tokens
    uint32_t n_jobs; // waiting and running
    struct engine_job *first, *last;
};

struct tenants {
    struct map by_name;
    struct tenant **all;
    size_t n, cap;
    size_t n_waiting; // jobs in all queues
};

void tenants_init(struct tenants *t);
void tenants_done(struct tenants *t); // queues are empty

// Finds or makes the tenant, and counts one job more. new_root: its root if it is new.
struct tenant *tenants_enter(struct tenants *t, str name, uint64_t new_root);
void tenants_leave(struct tenant *tenant);

void tenants_queue(struct tenants *t, struct engine_job *j);       // at the end of its tenant's
void tenants_queue_first(struct tenants *t, struct engine_job *j); // at the beginning
void tenants_unqueue(struct tenants *t, struct engine_job *j);
// The job of this model that should start next, still queued; NULL when none waits. One that was
// put back and has no room for events is not in the way: it waits for its reader.
struct engine_job *tenants_next(const struct tenants *t, const struct engine_model *m);
// How many jobs of this model are queued.
uint32_t tenants_waiting(const struct tenants *t, const struct engine_model *m);
