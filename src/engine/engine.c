#include "engine/engine.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/cuda/gpu.h"
#include "engine/engine_model.h"
#include "engine/internal.h"
#include "engine/kernel/kernel.h"

#include "base/banned.h"

enum {
    STEP_TOKENS_DEFAULT = 256,
    SEQUENCES_DEFAULT = 64,
    QUEUE_DEFAULT = 256,
    COUNT_MAX = 1 << 20, // of anything: far above sense, below overflow
};

// --- Options

static uint64_t default_kv_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t most = (uint64_t)4 << 30;
    if (pages <= 0 || page <= 0)
        return most / 4;
    uint64_t quarter = (uint64_t)pages * (uint64_t)page / 4;
    return quarter < most ? quarter : most;
}

void engine_options_default(struct engine_options *o)
{
    *o = (struct engine_options){
        .threads = (uint32_t)thread_cpu_count(),
        .kv_bytes_max = default_kv_bytes(),
        .step_tokens_max = STEP_TOKENS_DEFAULT,
        .sequences_max = SEQUENCES_DEFAULT,
        .queue_max = QUEUE_DEFAULT,
        .prefix_cache = true,
    };
}

static enum err check_count(const char *name, uint32_t *value, uint32_t otherwise, struct diag *d)
{
    if (*value == 0)
        *value = otherwise;
    if (*value <= COUNT_MAX)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "%s is %u: at most %d", name, *value, COUNT_MAX);
}

static enum err complete_options(struct engine_options *o, struct diag *d)
{
    struct engine_options otherwise;
    engine_options_default(&otherwise);
    if (o->kv_bytes_max == 0)
        o->kv_bytes_max = otherwise.kv_bytes_max;
    ERR_TRY(check_count("threads", &o->threads, otherwise.threads, d));
    ERR_TRY(check_count("step_tokens_max", &o->step_tokens_max, otherwise.step_tokens_max, d));
    ERR_TRY(check_count("sequences_max", &o->sequences_max, otherwise.sequences_max, d));
    return check_count("queue_max", &o->queue_max, otherwise.queue_max, d);
}

// --- Life

// The sampler's kernels; the models choose theirs by the same name.
static enum err choose_kernel(const char *isa, const struct kernel **ret, struct diag *d)
{
    *ret = kernel_find(isa);
    if (*ret)
        return ERR_OK;
    return diag_set(d, ERR_UNSUPPORTED, "this processor has no '%s' kernels: the best are '%s'",
                    isa, kernel_find(NULL)->name);
}

// The GPU itself is opened with each model.
static enum err choose_device(const char *name, struct diag *d)
{
    int index;
    return name && strcmp(name, "cpu") != 0 ? gpu_parse_name(name, &index, d) : ERR_OK;
}

enum err engine_new(const struct engine_options *o, struct engine **ret, struct diag *d)
{
    struct engine_options options = *o;
    ERR_TRY(complete_options(&options, d));
    struct engine *e = mem_aligned(_Alignof(struct engine), sizeof *e);
    memset(e, 0, sizeof *e);
    pthread_mutex_init(&e->loading, NULL);
    e->isa = options.isa ? mem_strdup(options.isa) : NULL;
    e->device = options.device ? mem_strdup(options.device) : NULL;
    options.isa = e->isa;
    options.device = e->device;
    scheduler_init(&e->scheduler, &options);
    const struct kernel *kernel;
    enum err err = choose_kernel(e->isa, &kernel, d);
    if (err == ERR_OK)
        err = choose_device(e->device, d);
    if (err == ERR_OK)
        err = team_new(options.threads, &e->team, d);
    e->scheduler.residence = &e->residence;
    if (err == ERR_OK && options.weights_bytes_max && options.device &&
        strcmp(options.device, "cpu") != 0)
        err = diag_set(d, ERR_UNSUPPORTED,
                       "weights_bytes_max bounds this machine's memory, not "
                       "a GPU's: it cannot be had with device %s",
                       options.device);
    if (err == ERR_OK)
        err = scheduler_start(&e->scheduler, e->team, kernel, d);
    if (err == ERR_OK)
        err = prep_start(&e->prep, &e->scheduler, d);
    if (err == ERR_OK)
        err = residence_start(&e->residence, e, &options, d);
    if (err != ERR_OK) {
        engine_free(e);
        return err;
    }
    *ret = e;
    return ERR_OK;
}

const char *engine_isa(const struct engine *e)
{
    return kernel_find(e->isa)->name;
}

void engine_discard_model(struct engine *e, struct engine_model *m)
{
    scheduler_pause(&e->scheduler);
    if (m->lane.kv)
        lane_done(&m->lane);
    scheduler_resume(&e->scheduler);
    engine_model_free(m);
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    residence_stop(&e->residence);
    prep_stop(&e->prep);
    scheduler_stop(&e->scheduler);
    for (size_t i = 0; i < e->n_models; i++)
        engine_discard_model(e, e->models[i]);
    scheduler_done(&e->scheduler);
    team_free(e->team);
    pthread_mutex_destroy(&e->loading);
    mem_free(e->isa);
    mem_free(e->device);
    mem_free(e);
}

// --- Models

void engine_add_model(struct engine *e, struct engine_model *m)
{
    struct scheduler *s = &e->scheduler;
    scheduler_pause(s);
    s->lanes[s->n_lanes++] = &m->lane;
    scheduler_resume(s);
    size_t n = atomic_load(&e->n_models);
    e->models[n] = m;
    atomic_store_explicit(&e->n_models, n + 1, memory_order_release);
}

struct engine_model *engine_model_find(struct engine *e, str name)
{
    size_t n = atomic_load_explicit(&e->n_models, memory_order_acquire);
    for (size_t i = 0; i < n; i++)
        if (str_eq(e->models[i]->info.name, name))
            return e->models[i];
    return NULL;
}

// --- Jobs

static bool is_long(const struct engine_job *j)
{
    return j->prompt_text && j->request.prompt_text.len > PREP_SHORT_BYTES;
}

// Later, by the thread for that.
static bool is_for_prep(const struct engine_job *j)
{
    return is_long(j) || j->request.grammar_len > 0;
}

static enum err prepare(struct engine_job *j, struct diag *d)
{
    if (is_long(j))
        return ERR_OK;
    if (j->prompt_text)
        return prep_tokenize(j, d);
    return request_check_length(j->model, &j->request, j->seq.n_prompt, &j->seq.n_tokens_max, d);
}

enum err engine_submit(struct engine_model *m, const struct engine_request *r,
                       struct engine_job **ret, uint32_t *ret_retry_ms, struct diag *d)
{
    struct scheduler *s = &m->engine->scheduler;
    ERR_TRY(request_check(m, r, d));
    if (!scheduler_take_place(&m->lane)) {
        uint32_t retry_ms = scheduler_retry_ms(s);
        if (ret_retry_ms)
            *ret_retry_ms = retry_ms;
        return diag_set(d, ERR_BUSY, "%u requests are waiting already: try again in %u ms",
                        s->options.queue_max, retry_ms);
    }
    struct engine_job *j = job_new(m, r, s->door);
    j->seq.submitted_us = clock_mono_us();
    if (r->grammar_len && !constraint_at_hand(m, r, &j->seq.constraint))
        job_keep_grammar(j, r);
    enum err err = prepare(j, d);
    if (err != ERR_OK) {
        scheduler_give_up_place(&m->lane);
        job_drop(j);
        job_drop(j);
        return err;
    }
    *ret = j;
    if (is_for_prep(j))
        prep_submit(&m->engine->prep, j);
    else
        scheduler_submit(s, j);
    return ERR_OK;
}

// --- Watching

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// Preempted ones wait without a place; those on their way to the thread have one already.
static uint32_t waiting(const struct lane_counters *c)
{
    uint32_t queued = atomic_load(&c->n_queued);
    uint32_t seen = atomic_load_explicit(&c->waiting, memory_order_relaxed);
    return seen > queued ? seen : queued;
}

static void add_lane(struct engine_stats *s, const struct lane_counters *c)
{
    s->running += atomic_load_explicit(&c->running, memory_order_relaxed);
    s->waiting += waiting(c);
    s->kv_blocks_total += get(&c->kv_total);
    s->kv_blocks_used += get(&c->kv_used);
    s->kv_blocks_cached += get(&c->kv_cached);
    s->prompt_tokens += get(&c->prompt_tokens);
    s->generated_tokens += get(&c->generated_tokens);
    s->prefix_query_tokens += get(&c->prefix_query_tokens);
    s->prefix_hit_tokens += get(&c->prefix_hit_tokens);
    s->drafted_tokens += get(&c->drafted_tokens);
    s->accepted_tokens += get(&c->accepted_tokens);
    s->preemptions += get(&c->preemptions);
}

static void add_scheduler(struct engine_stats *ret, const struct scheduler *s)
{
    const struct counters *c = &s->counters;
    ret->steps = get(&c->steps);
    ret->last_step_ms = get(&c->last_step_ms);
    ret->idle = atomic_load(&c->idle);
    ret->decode_tokens_per_s = atomic_load(&c->decode_tokens_per_s);
    // A model is being packed, or there is nothing to do: no step can be due.
    if (atomic_load(&s->n_pausing) || atomic_load(&c->idle))
        ret->last_step_ms = clock_mono_ms();
    for (size_t i = 0; i < ARRAY_LEN(ret->jobs_finished); i++)
        ret->jobs_finished[i] = get(&c->jobs_finished[i]);
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
    *ret = (struct engine_stats){0};
    add_scheduler(ret, &e->scheduler);
    size_t n = atomic_load_explicit(&e->n_models, memory_order_acquire);
    for (size_t i = 0; i < n; i++)
        add_lane(ret, &e->models[i]->lane.counters);
}

void engine_model_stats(const struct engine_model *m, struct engine_stats *ret)
{
    *ret = (struct engine_stats){0};
    add_scheduler(ret, &m->engine->scheduler);
    add_lane(ret, &m->lane.counters);
}

void engine_observe(struct engine *e, const struct engine_observer *o)
{
    scheduler_pause(&e->scheduler);
    e->scheduler.observer = o ? *o : (struct engine_observer){0};
    scheduler_resume(&e->scheduler);
}
