#include "engine/tenant.h"

#include "base/mem.h"
#include "engine/job.h"

#include "base/banned.h"

// Idle tenants are remembered (their prefixes, their service) up to so many.
enum { TENANTS_KEPT = 1024 };

void tenants_init(struct tenants *t)
{
    *t = (struct tenants){0};
    map_init(&t->by_name);
}

static void tenant_free(struct tenant *x)
{
    ASSERT(!x->first);
    mem_free((void *)(uintptr_t)x->name.ptr);
    mem_free(x);
}

void tenants_done(struct tenants *t)
{
    for (size_t i = 0; i < t->n; i++)
        tenant_free(t->all[i]);
    mem_free(t->all);
    map_done(&t->by_name);
}

static uint64_t least_served(const struct tenants *t)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i]->n_jobs && t->all[i]->served < least)
            least = t->all[i]->served;
    return least == UINT64_MAX ? 0 : least;
}

// Its blocks in the prefix tree are not found again (a new tenant of that name gets a new root) and
// go when their room is needed.
static void forget_an_idle_one(struct tenants *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i]->n_jobs == 0) {
            map_remove(&t->by_name, t->all[i]->name);
            tenant_free(t->all[i]);
            t->all[i] = t->all[--t->n];
            return;
        }
}

static struct tenant *add(struct tenants *t, str name, uint64_t root)
{
    if (t->n >= TENANTS_KEPT)
        forget_an_idle_one(t);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 8;
        t->all = mem_resize(t->all, t->cap, sizeof(struct tenant *));
    }
    struct tenant *x = mem_new(struct tenant);
    x->name = str_slice(mem_strndup(name.ptr ? name.ptr : "", name.len), name.len);
    x->root = root;
    t->all[t->n++] = x;
    map_put(&t->by_name, name, x);
    return x;
}

struct tenant *tenants_enter(struct tenants *t, str name, uint64_t new_root)
{
    struct tenant *x = map_get(&t->by_name, name);
    if (!x)
        x = add(t, name, new_root);
    if (x->n_jobs == 0) {
        uint64_t least = least_served(t);
        x->served = x->served > least ? x->served : least;
    }
    x->n_jobs++;
    return x;
}

void tenants_leave(struct tenant *tenant)
{
    ASSERT(tenant->n_jobs > 0);
    tenant->n_jobs--;
}

void tenants_queue(struct tenants *t, struct engine_job *j)
{
    struct tenant *x = j->seq.tenant;
    j->seq.next = NULL;
    *(x->last ? &x->last->seq.next : &x->first) = j;
    x->last = j;
    t->n_waiting++;
}

void tenants_queue_first(struct tenants *t, struct engine_job *j)
{
    struct tenant *x = j->seq.tenant;
    j->seq.next = x->first;
    x->first = j;
    if (!x->last)
        x->last = j;
    t->n_waiting++;
}

void tenants_unqueue(struct tenants *t, struct engine_job *j)
{
    struct tenant *x = j->seq.tenant;
    struct engine_job *before = NULL;
    for (struct engine_job *at = x->first; at != j; at = at->seq.next)
        before = at;
    *(before ? &before->seq.next : &x->first) = j->seq.next;
    if (x->last == j)
        x->last = before;
    j->seq.next = NULL;
    t->n_waiting--;
}

static struct engine_job *first_of_model(const struct tenant *x, const struct engine_model *m)
{
    struct engine_job *j = x->first;
    while (j && (j->model != m || atomic_load(&j->is_resting)))
        j = j->seq.next;
    return j;
}

uint32_t tenants_waiting(const struct tenants *t, const struct engine_model *m)
{
    uint32_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        for (const struct engine_job *j = t->all[i]->first; j; j = j->seq.next)
            n += j->model == m;
    return n;
}

struct engine_job *tenants_next(const struct tenants *t, const struct engine_model *m)
{
    struct engine_job *next = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct tenant *x = t->all[i];
        if (next && x->served >= next->seq.tenant->served)
            continue;
        struct engine_job *j = first_of_model(x, m);
        if (j)
            next = j;
    }
    return next;
}
