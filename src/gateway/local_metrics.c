// What the engine counts, for the registry: steps as they happen, on the engine's own thread; the
// rest whenever the page is asked for.
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/local_internal.h"
#include "telemetry/names.h"

#include "base/banned.h"

#define ENGINE_INDEX STR("0")

struct watched {
    const struct engine_model *model;
    struct watched *next;
};

// The engine's thread and scrapes read it to the last: it stays for the life of the process.
struct local_watch {
    struct local_watch *next;
    struct metrics *registry;
    struct metrics_shard *step_shard; // the engine thread's
    const struct engine_model *step_model;
    struct metrics_series *batch, *steps, *prefill, *decode, *mixed;
    _Atomic(struct watched *) models; // one loop adds, scrapes read
};

static void find_series(struct local_watch *w, const struct engine_model *m)
{
    str name = engine_model_info(m)->name;
    if (!w->step_shard)
        w->step_shard = metrics_shard(w->registry);
    struct metrics_shard *s = w->step_shard;
    w->step_model = m;
    w->batch = metrics_series(s, METRIC_ENGINE_BATCH_SIZE, &name);
    w->steps = metrics_series(s, METRIC_ENGINE_STEPS, &name);
    w->prefill =
        metrics_series(s, METRIC_ENGINE_STEP_DURATION, METRICS_VALUES(name, STR("prefill")));
    w->decode = metrics_series(s, METRIC_ENGINE_STEP_DURATION, METRICS_VALUES(name, STR("decode")));
    w->mixed = metrics_series(s, METRIC_ENGINE_STEP_DURATION, METRICS_VALUES(name, STR("mixed")));
}

static void on_step(void *ctx, const struct engine_model *m, uint32_t prefill_tokens,
                    uint32_t decode_rows, uint64_t duration_us)
{
    struct local_watch *w = ctx;
    if (w->step_model != m)
        find_series(w, m);
    metrics_add(w->steps, 1);
    metrics_observe(w->batch, decode_rows + (prefill_tokens ? 1 : 0));
    struct metrics_series *phase = !decode_rows     ? w->prefill
                                   : prefill_tokens ? w->mixed
                                                    : w->decode;
    metrics_observe(phase, (double)duration_us / 1e6);
}

static void set(struct metrics_shard *s, size_t metric, const str *values, double v)
{
    metrics_set(metrics_series(s, metric, values), v);
}

static void set_blocks(struct metrics_shard *s, str name, const struct engine_stats *e)
{
    double free_blocks = (double)(e->kv_blocks_total - e->kv_blocks_used - e->kv_blocks_cached);
    set(s, METRIC_ENGINE_KV_BLOCKS, METRICS_VALUES(name, STR("used")), (double)e->kv_blocks_used);
    set(s, METRIC_ENGINE_KV_BLOCKS, METRICS_VALUES(name, STR("cached")),
        (double)e->kv_blocks_cached);
    set(s, METRIC_ENGINE_KV_BLOCKS, METRICS_VALUES(name, STR("free")),
        free_blocks > 0 ? free_blocks : 0);
}

static void set_pair(struct metrics_shard *s, size_t ours, size_t vllm, str name, double v)
{
    set(s, ours, &name, v);
    set(s, vllm, METRICS_VALUES(name, ENGINE_INDEX), v);
}

static void set_speculation(struct metrics_shard *s, str name, const struct engine_stats *e)
{
    set_pair(s, METRIC_ENGINE_DRAFTED_TOKENS, METRIC_VLLM_DRAFTED_TOKENS, name,
             (double)e->drafted_tokens);
    set_pair(s, METRIC_ENGINE_ACCEPTED_TOKENS, METRIC_VLLM_ACCEPTED_TOKENS, name,
             (double)e->accepted_tokens);
}

static void set_weights(struct metrics_shard *s, str name, const struct engine_model *m)
{
    bool is_loaded = engine_model_is_loaded(m);
    const struct engine_model_info *i = engine_model_info(m);
    set(s, METRIC_ENGINE_WEIGHTS_BYTES, &name,
        (double)((is_loaded ? i->weight_bytes : 0) + i->draft_bytes));
    set(s, METRIC_ENGINE_MODEL_STATE, METRICS_VALUES(name, STR("ready")), is_loaded);
    set(s, METRIC_ENGINE_MODEL_STATE, METRICS_VALUES(name, STR("unloaded")), !is_loaded);
}

static void collect_model(struct metrics_shard *s, const struct engine_model *m)
{
    struct engine_stats e;
    str name = engine_model_info(m)->name;
    const str *both = METRICS_VALUES(name, ENGINE_INDEX);
    engine_model_stats(m, &e);
    double usage = e.kv_blocks_total ? (double)e.kv_blocks_used / (double)e.kv_blocks_total : 0;
    set(s, METRIC_ENGINE_RUNNING, both, e.running);
    set(s, METRIC_ENGINE_WAITING, both, e.waiting);
    set(s, METRIC_VLLM_RUNNING, both, e.running);
    set(s, METRIC_VLLM_WAITING, both, e.waiting);
    set(s, METRIC_QUEUE_DEPTH, &name, e.waiting);
    set(s, METRIC_VLLM_PROMPT_TOKENS, both, (double)e.prompt_tokens);
    set(s, METRIC_VLLM_GENERATION_TOKENS, both, (double)e.generated_tokens);
    set_pair(s, METRIC_ENGINE_KV_USAGE, METRIC_VLLM_KV_USAGE, name, usage);
    set_pair(s, METRIC_ENGINE_PREFIX_QUERY_TOKENS, METRIC_VLLM_PREFIX_QUERIES, name,
             (double)e.prefix_query_tokens);
    set_pair(s, METRIC_ENGINE_PREFIX_HIT_TOKENS, METRIC_VLLM_PREFIX_HITS, name,
             (double)e.prefix_hit_tokens);
    set_pair(s, METRIC_ENGINE_PREEMPTIONS, METRIC_VLLM_PREEMPTIONS, name, (double)e.preemptions);
    set_speculation(s, name, &e);
    set_blocks(s, name, &e);
    set(s, METRIC_ENGINE_LAST_STEP, &name,
        (double)(clock_wall_ms() - (clock_mono_ms() - e.last_step_ms)) / 1e3);
    set_weights(s, name, m);
}

static void collect(void *ctx, struct metrics_shard *s)
{
    struct local_watch *w = ctx;
    for (const struct watched *m = atomic_load(&w->models); m; m = m->next)
        collect_model(s, m->model);
}

static struct local_watch *_Atomic all_watches;

struct local_watch *local_watch_new(struct engine *e, struct metrics *registry)
{
    struct local_watch *w = mem_new(struct local_watch);
    struct engine_observer observer = {.step = on_step, .ctx = w};
    w->registry = registry;
    w->next = atomic_load(&all_watches);
    while (!atomic_compare_exchange_weak(&all_watches, &w->next, w))
        continue;
    engine_observe(e, &observer);
    metrics_collector(registry, collect, w);
    return w;
}

void local_watch_model(struct local_watch *w, const struct engine_model *m)
{
    struct watched *one = mem_new(struct watched);
    *one = (struct watched){.model = m, .next = atomic_load(&w->models)};
    atomic_store(&w->models, one);
}
