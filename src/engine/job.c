#include "engine/job.h"

#include <sched.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/engine_model.h"

#include "base/banned.h"

// The bell: its state keeps release and a ringing scheduler apart.
enum { BELL_QUIET, BELL_RINGING, BELL_GONE };

struct door *door_new(void)
{
    struct door *d = mem_new(struct door);
    atomic_init(&d->refs, 1);
    park_init(&d->park);
    return d;
}

struct door *door_share(struct door *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void door_drop(struct door *d)
{
    if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
        mem_free(d);
}

// --- Life

static void *copy_array(struct arena *a, const void *from, size_t n, size_t size)
{
    if (n == 0)
        return NULL;
    void *to = arena_alloc(a, n * size);
    ASSERT(to);
    memcpy(to, from, n * size);
    return to;
}

static void copy_request(struct engine_job *j, const struct engine_request *r)
{
    struct arena *a = &j->arena;
    arena_init(a, SIZE_MAX); // the request's own bounds were checked
    j->request = *r;
    j->request.prompt_ids = j->request.prediction_ids = NULL;
    j->request.prompt_text = j->request.grammar_said = STR_NONE;
    j->request.grammar = NULL; // the sequence has its constraint, or job_keep_grammar comes
    j->request.grammar_len = 0;
    j->request.bias = copy_array(a, r->bias, r->bias_len, sizeof *r->bias);
    j->request.stop_ids = copy_array(a, r->stop_ids, r->stop_ids_len, sizeof *r->stop_ids);
    j->request.forced = r->forced.len ? arena_str(a, r->forced) : STR_NONE;
    j->request.tenant = r->tenant.len ? arena_str(a, r->tenant) : STR_NONE;
    str *stops = copy_array(a, r->stops, r->stops_len, sizeof *r->stops);
    for (size_t i = 0; i < r->stops_len; i++)
        stops[i] = arena_str(a, r->stops[i]);
    j->request.stops = stops;
    if (!r->seed_given)
        random_bytes(&j->request.seed, sizeof j->request.seed);
}

static void copy_prompt(struct engine_job *j, const struct engine_request *r)
{
    struct sequence *s = &j->seq;
    if (r->prompt_text.ptr) {
        j->prompt_text = mem_strndup(r->prompt_text.ptr, r->prompt_text.len);
        j->request.prompt_text = str_slice(j->prompt_text, r->prompt_text.len);
        return;
    }
    s->n_prompt = s->n_tokens = s->tokens_cap = (uint32_t)r->prompt_len;
    s->tokens = mem_array(r->prompt_len, sizeof *s->tokens);
    memcpy(s->tokens, r->prompt_ids, r->prompt_len * sizeof *s->tokens);
}

static void init_sampler(struct engine_job *j)
{
    const struct engine_request *r = &j->request;
    const struct sampler_options o = {
        .temperature = r->temperature,
        .top_k = r->top_k,
        .top_p = r->top_p,
        .min_p = r->min_p,
        .presence_penalty = r->presence_penalty,
        .frequency_penalty = r->frequency_penalty,
        .repetition_penalty = r->repetition_penalty,
        .bias = r->bias,
        .bias_len = r->bias_len,
        .seed = r->seed,
        .choice = r->choice,
    };
    sampler_init(&j->seq.sampler, &o);
}

void sequence_reserve(struct sequence *q, uint32_t n)
{
    if (n <= q->tokens_cap)
        return;
    uint32_t more = q->tokens_cap + q->tokens_cap / 2 + 16;
    q->tokens_cap = n > more ? n : more;
    q->tokens = mem_resize(q->tokens, q->tokens_cap, sizeof *q->tokens);
}

struct engine_job *job_new(struct engine_model *m, const struct engine_request *r,
                           struct door *door)
{
    struct engine_job *j = mem_aligned(_Alignof(struct engine_job), sizeof *j);
    memset(j, 0, sizeof *j);
    atomic_init(&j->refs, 2);
    atomic_init(&j->bell, BELL_QUIET);
    atomic_init(&j->is_cancelled, false);
    atomic_init(&j->is_resting, false);
    atomic_init(&j->is_ended, false);
    j->door = door_share(door);
    j->model = m;
    copy_request(j, r);
    copy_prompt(j, r);
    init_sampler(j);
    prediction_init(&j->seq.prediction, r->prediction_ids,
                    min_size(r->prediction_len, m->context_max));
    stops_init(&j->seq.stops, j->request.stops, j->request.stops_len, r->include_stop);
    stops_init(&j->seq.echo, NULL, 0, false);
    buf_init(&j->end.text, SIZE_MAX); // bounded by the longest stop string
    return j;
}

void job_keep_grammar(struct engine_job *j, const struct engine_request *r)
{
    struct arena *a = &j->arena;
    struct grammar_part *parts = copy_array(a, r->grammar, r->grammar_len, sizeof *parts);
    for (size_t i = 0; i < r->grammar_len; i++) {
        parts[i].text = arena_str(a, parts[i].text);
        parts[i].before = arena_str(a, parts[i].before);
        parts[i].after = arena_str(a, parts[i].after);
    }
    j->request.grammar = parts;
    j->request.grammar_len = r->grammar_len;
    j->request.grammar_said = arena_str(a, r->grammar_said);
}

static void job_free(struct engine_job *j)
{
    ASSERT(j->seq.n_blocks == 0 && j->seq.draft.n_blocks == 0);
    sampler_done(&j->seq.sampler);
    constraint_free(j->seq.constraint);
    prediction_done(&j->seq.prediction);
    stops_done(&j->seq.stops);
    stops_done(&j->seq.echo);
    mem_free(j->seq.tokens);
    mem_free(j->seq.blocks);
    mem_free(j->seq.draft.blocks);
    mem_free(j->seq.hidden_sum);
    mem_free(j->prompt_text);
    buf_done(&j->end.text);
    mem_free(j->end.error);
    event_ring_done(&j->events);
    arena_done(&j->arena);
    door_drop(j->door);
    mem_free(j);
}

void job_open_events(struct engine_job *j, size_t record_bytes_max)
{
    // So many records wait for a slow consumer before its sequence rests. A scored prompt brings
    // one for every row of a step.
    enum { RECORDS = 7, RECORDS_PROMPT = 64, BYTES_MIN = 512 };
    size_t records = j->request.prompt_logprobs ? RECORDS_PROMPT : RECORDS;
    event_ring_init(&j->events, max_size(records * record_bytes_max, BYTES_MIN));
}

struct diag *job_diag(struct engine_job *j)
{
    if (!j->end.error)
        j->end.error = mem_new(struct diag);
    return j->end.error;
}

void job_drop(struct engine_job *j)
{
    if (atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) == 1)
        job_free(j);
}

// --- Scheduler to consumer

size_t job_record_bytes(size_t text_max, size_t piece_max, size_t top_len, size_t embedding_len)
{
    return sizeof(struct event_record) + top_len * sizeof(struct engine_logprob) +
           embedding_len * sizeof(float) + text_max + piece_max;
}

size_t job_room(struct engine_job *j, size_t record_bytes, size_t need)
{
    size_t room = event_ring_room(&j->events, record_bytes);
    if (room >= need)
        return room;
    // Say it, then look again: either the consumer reads after this and sees the word, or it read
    // before and there is room.
    atomic_store(&j->is_resting, true);
    room = event_ring_room(&j->events, record_bytes);
    if (room >= need)
        atomic_store(&j->is_resting, false);
    return room;
}

static uint8_t *put(uint8_t *to, const void *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
    return to + bytes;
}

void job_tell(struct engine_job *j, const struct engine_event *e)
{
    size_t size = job_record_bytes(e->text.len, e->piece.len, e->top_len, e->embedding_len);
    struct event_record *r = event_ring_reserve(&j->events, size);
    ASSERT(r);
    *r = (struct event_record){
        .type = (uint32_t)e->type,
        .token = e->token,
        .logprob = e->logprob,
        .prompt_tokens = e->prompt_tokens,
        .cached_tokens = e->cached_tokens,
        .text_len = (uint32_t)e->text.len,
        .piece_len = (uint32_t)e->piece.len,
        .top_len = e->top_len,
        .embedding_len = e->embedding_len,
        .seed = e->seed,
    };
    uint8_t *at = (uint8_t *)(r + 1);
    at = put(at, e->top, e->top_len * sizeof *e->top);
    at = put(at, e->embedding, e->embedding_len * sizeof *e->embedding);
    at = put(at, e->text.ptr, e->text.len);
    put(at, e->piece.ptr, e->piece.len);
    event_ring_publish(&j->events);
    j->seq.has_news = true;
}

void job_tell_end(struct engine_job *j)
{
    atomic_store_explicit(&j->is_ended, true, memory_order_release);
    j->seq.has_news = true;
}

void job_ring(struct engine_job *j)
{
    if (!j->seq.has_news)
        return;
    j->seq.has_news = false;
    int quiet = BELL_QUIET;
    if (!j->request.wake || !atomic_compare_exchange_strong(&j->bell, &quiet, BELL_RINGING))
        return;
    j->request.wake(j->request.wake_ctx);
    atomic_store_explicit(&j->bell, BELL_QUIET, memory_order_release);
}

// --- The consumer

static void knock(struct engine_job *j)
{
    park_signal(&j->door->park);
}

void engine_job_cancel(struct engine_job *j)
{
    atomic_store(&j->is_cancelled, true);
    knock(j);
}

void engine_job_release(struct engine_job *j)
{
    if (!j)
        return;
    // A wake in progress is a few instructions long: let it finish, and let no other begin.
    int quiet = BELL_QUIET;
    while (!atomic_compare_exchange_weak(&j->bell, &quiet, BELL_GONE)) {
        quiet = BELL_QUIET;
        sched_yield();
    }
    if (!atomic_load_explicit(&j->is_ended, memory_order_acquire))
        engine_job_cancel(j);
    job_drop(j);
}

static void event_of_record(const struct event_record *r, struct engine_event *ret)
{
    const uint8_t *at = (const uint8_t *)(r + 1);
    *ret = (struct engine_event){
        .type = (enum engine_event_type)r->type,
        .token = r->token,
        .logprob = r->logprob,
        .prompt_tokens = r->prompt_tokens,
        .cached_tokens = r->cached_tokens,
        .seed = r->seed,
        .top_len = r->top_len,
        .embedding_len = r->embedding_len,
    };
    ret->top = (const void *)at;
    at += r->top_len * sizeof *ret->top;
    ret->embedding = (const void *)at;
    at += r->embedding_len * sizeof *ret->embedding;
    ret->text = str_slice((const char *)at, r->text_len);
    ret->piece = str_slice((const char *)at + r->text_len, r->piece_len);
}

static void event_of_end(const struct engine_job *j, struct engine_event *ret)
{
    const struct job_end *end = &j->end;
    *ret = (struct engine_event){
        .type = ENGINE_ENDED,
        .prompt_tokens = j->seq.n_prompt,
        .cached_tokens = j->seq.n_cached,
        .seed = j->request.seed,
        .text = buf_str(&end->text),
        .finish = end->finish,
        .stop_matched = end->stop_matched,
        .completion_tokens = end->completion_tokens,
        .prediction_accepted = j->seq.prediction.accepted,
        .prediction_rejected = prediction_rejected(&j->seq.prediction),
        .queue_us = end->queue_us,
        .prefill_us = end->prefill_us,
        .decode_us = end->decode_us,
        .error = end->error ? *end->error : (struct diag){0},
    };
}

static void drop_peeked(struct engine_job *j)
{
    if (!j->has_peeked)
        return;
    j->has_peeked = false;
    event_ring_drop(&j->events);
    if (atomic_load(&j->is_resting) && atomic_exchange(&j->is_resting, false))
        knock(j);
}

bool engine_job_poll(struct engine_job *j, struct engine_event *ret)
{
    drop_peeked(j);
    // Read before the ring: once it is true, the ring holds all there will ever be.
    bool ended = atomic_load_explicit(&j->is_ended, memory_order_acquire);
    const struct event_record *r = event_ring_peek(&j->events);
    if (r) {
        j->has_peeked = true;
        event_of_record(r, ret);
        return true;
    }
    if (!ended || j->end_was_read)
        return false;
    j->end_was_read = true;
    event_of_end(j, ret);
    return true;
}
