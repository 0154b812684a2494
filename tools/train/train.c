// Trains the bundled model: AdamW, warm-up, a stable rate, and a cosine decay at the end of a run.
//
// A step is a fixed number of packs, each with its own gradient; threads take packs as they come
// free and the gradients are added in the order of the packs. So the result does not depend on the
// number of threads or on who was faster: same seed, same data, same options, same build, same
// bits.
#include "checkpoint.h"
#include "data.h"
#include "matmul.h"
#include "model.h"
#include "options.h"
#include "schedule.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLICES = 64 };

enum job { JOB_GRAD, JOB_LOSS, JOB_REDUCE, JOB_UPDATE, JOB_QUIT };

struct trainer {
    struct options opt;
    struct checkpoint state;
    uint64_t done; // steps of this run that its checkpoint already has
    struct schedule replay, record;
    struct data data, heldout;
    struct pack pack[PACKS_MAX];
    float *grad[PACKS_MAX];
    double loss[PACKS_MAX], square[SLICES];
    struct work *work[THREADS_MAX];
    float scale, clip, rate;
    pthread_barrier_t barrier;
    enum job job;
    atomic_size_t next;
};

struct member { // one thread of the team
    struct trainer *t;
    size_t id;
    pthread_t thread;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void take_pack(struct trainer *t, size_t member, size_t i)
{
    float *grad = t->job == JOB_GRAD ? t->grad[i] : NULL;
    t->loss[i] = model_loss(t->work[member], t->state.params, &t->pack[i], grad, t->scale);
}

static void reduce_slice(struct trainer *t, size_t slice)
{
    size_t n = t->state.layout.total, from = n * slice / SLICES, to = n * (slice + 1) / SLICES;
    float *sum = t->grad[0];
    double square = 0;
    for (size_t k = 1; k < t->opt.packs; k++)
        for (size_t i = from; i < to; i++)
            sum[i] += t->grad[k][i];
    for (size_t i = from; i < to; i++)
        square += (double)sum[i] * (double)sum[i];
    t->square[slice] = square;
}

static int decays(const struct layout *l,
                  size_t i) // matrices and the token embedding, as GPT-2's trainers do
{
    static const enum part matrices[] = {PART_TOKEN, PART_QKV_W, PART_OUT_W, PART_UP_W,
                                         PART_DOWN_W};
    for (size_t k = 0; k < sizeof matrices / sizeof matrices[0]; k++)
        if (i >= l->offset[matrices[k]] && i < l->offset[matrices[k]] + l->length[matrices[k]])
            return 1;
    return 0;
}

static void adam_run(struct trainer *t, size_t from, size_t to, float weight_decay)
{
    const float b1 = 0.9f, b2 = 0.98f, step = (float)t->state.step;
    const float c1 = 1 / (1 - powf(b1, step)), c2 = 1 / (1 - powf(b2, step));
    float *p = t->state.params, *m = t->state.moment1, *v = t->state.moment2;
    for (size_t i = from; i < to; i++) {
        float g = t->grad[0][i] * t->clip;
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        p[i] -= t->rate * (m[i] * c1 / (sqrtf(v[i] * c2) + 1e-8f) + weight_decay * p[i]);
    }
}

static void update_slice(struct trainer *t, size_t slice)
{
    const struct layout *l = &t->state.layout;
    size_t n = l->total, at = n * slice / SLICES, to = n * (slice + 1) / SLICES;
    for (size_t part = 0; part < PARTS && at < to; part++) {
        size_t end = l->offset[part] + l->length[part];
        end = end < to ? end : to;
        if (at >= end)
            continue;
        adam_run(t, at, end, decays(l, at) ? (float)t->opt.weight_decay : 0);
        at = end;
    }
}

static void take_jobs(struct trainer *t, size_t member)
{
    size_t count = t->job == JOB_GRAD || t->job == JOB_LOSS ? t->opt.packs : SLICES;
    for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < count;) {
        if (t->job == JOB_REDUCE)
            reduce_slice(t, i);
        else if (t->job == JOB_UPDATE)
            update_slice(t, i);
        else
            take_pack(t, member, i);
    }
}

static void *member_run(void *arg)
{
    struct member *m = arg;
    for (;;) {
        pthread_barrier_wait(&m->t->barrier);
        if (m->t->job == JOB_QUIT)
            return NULL;
        take_jobs(m->t, m->id);
        pthread_barrier_wait(&m->t->barrier);
    }
}

static void run_job(struct trainer *t, enum job job)
{
    t->job = job;
    atomic_store(&t->next, 0);
    pthread_barrier_wait(&t->barrier);
    if (job == JOB_QUIT)
        return;
    take_jobs(t, 0);
    pthread_barrier_wait(&t->barrier);
}

static double pack_weight(const struct pack *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->tokens; i++)
        sum += (double)p->weight[i];
    return sum;
}

static double fill_packs(struct trainer *t) // returns the sum of the weights
{
    double weights = 0;
    for (size_t i = 0; i < t->opt.packs; i++) {
        data_next(&t->data, &t->state.place, &t->pack[i], t->opt.pack_tokens, t->opt.ctx,
                  (float)t->opt.user_weight);
        weights += pack_weight(&t->pack[i]);
    }
    return weights > 0 ? weights : 1;
}

static double total_loss(const struct trainer *t)
{
    double sum = 0;
    for (size_t i = 0; i < t->opt.packs; i++)
        sum += t->loss[i];
    return sum;
}

static double train_step(struct trainer *t, double rate, double *ret_norm, size_t *ret_tokens)
{
    double weights = fill_packs(t);
    double square = 0;
    t->scale = (float)(1 / weights);
    run_job(t, JOB_GRAD);
    run_job(t, JOB_REDUCE);
    for (size_t i = 0; i < SLICES; i++)
        square += t->square[i];
    *ret_norm = sqrt(square);
    t->clip = *ret_norm > 1 ? (float)(1 / *ret_norm) : 1;
    t->rate = (float)rate;
    t->state.step++;
    run_job(t, JOB_UPDATE);
    *ret_tokens = 0;
    for (size_t i = 0; i < t->opt.packs; i++)
        *ret_tokens += t->pack[i].tokens;
    return total_loss(t) / weights;
}

// Mean over the held-out documents, each once (the first of them, if there are very many).
static double heldout_loss(struct trainer *t, float user_weight)
{
    struct data_place place = {0};
    double sum = 0, weights = 0;
    while (place.doc < t->heldout.docs && weights < 200000) {
        for (size_t i = 0; i < t->opt.packs; i++) {
            t->pack[i].tokens = t->pack[i].docs = 0;
            if (place.doc < t->heldout.docs)
                data_next(&t->heldout, &place, &t->pack[i], t->opt.pack_tokens, t->opt.ctx,
                          user_weight);
            weights += pack_weight(&t->pack[i]);
        }
        run_job(t, JOB_LOSS);
        sum += total_loss(t);
    }
    return weights > 0 ? sum / weights : 0;
}

// done: steps of this run so far. elapsed_s counts against the wall budget, which may end the run
// earlier.
static double progress(const struct options *o, uint64_t done, double elapsed_s)
{
    double by_steps = (double)done / (double)o->steps;
    double by_wall = o->wall_s > 0 ? elapsed_s / o->wall_s : 0;
    return by_steps > by_wall ? by_steps : by_wall;
}

static double rate_at(const struct options *o, uint64_t step, double share)
{
    double decay_from = 1 - (double)o->decay / (double)o->steps;
    double rate = o->rate;
    if (step < o->warmup)
        rate *= (double)(step + 1) / (double)o->warmup;
    if (o->decay && share > decay_from) {
        double x = (share - decay_from) / (1 - decay_from);
        x = x > 1 ? 1 : x;
        rate = o->rate_end + (rate - o->rate_end) * 0.5 * (1 + cos(3.141592653589793 * x));
    }
    return rate;
}

// The rate of the next step, 0 when the run is over. A recorded run changes it with the reports
// only.
static double next_rate(struct trainer *t, uint64_t done, double elapsed_s)
{
    const struct options *o = &t->opt;
    uint64_t step = t->state.step;
    if (o->schedule)
        return schedule_rate(&t->replay, step);
    double share = progress(o, done, elapsed_s);
    if (share >= 1)
        return 0;
    if (!o->record)
        return rate_at(o, step, share);
    if (!t->record.count || done % o->report == 0)
        schedule_add(&t->record, step, rate_at(o, step, share));
    return schedule_rate(&t->record, step);
}

static void train(struct trainer *t)
{
    const struct options *o = &t->opt;
    double from = now_s(), loss = 0, weight = 0, norm = 0;
    uint64_t tokens = 0;
    for (uint64_t done = t->done;;) {
        double elapsed = now_s() - from, rate = next_rate(t, done, elapsed);
        if (rate <= 0)
            break;
        size_t step_tokens = 0;
        double l = train_step(t, rate, &norm, &step_tokens);
        tokens += step_tokens;
        loss = 0.98 * loss + 0.02 * l;
        weight = 0.98 * weight + 0.02;
        done++;
        if (done % o->report == 0) {
            elapsed = now_s() - from;
            printf("step %llu loss %.4f norm %.2f rate %.6f tokens %llu epoch %llu %.0f tok/s "
                   "%.0f s\n",
                   (unsigned long long)t->state.step, loss / weight, norm, rate,
                   (unsigned long long)tokens, (unsigned long long)t->state.place.epoch,
                   (double)tokens / elapsed, elapsed);
            fflush(stdout);
        }
        if (done % o->save == 0) {
            checkpoint_save(&t->state, o->out);
            if (o->heldout)
                printf("step %llu heldout %.4f replies %.4f\n", (unsigned long long)t->state.step,
                       heldout_loss(t, 1), heldout_loss(t, 0));
            fflush(stdout);
        }
    }
    if (o->record) {
        schedule_add(&t->record, t->state.step, 0);
        schedule_save(&t->record, o->record);
    }
    checkpoint_save(&t->state, o->out);
    if (o->heldout)
        printf("end step %llu heldout %.4f replies %.4f\n", (unsigned long long)t->state.step,
               heldout_loss(t, 1), heldout_loss(t, 0));
    printf("end step %llu loss %.4f\n", (unsigned long long)t->state.step, loss / weight);
}

static void state_free(struct checkpoint *s)
{
    free(s->params);
    free(s->moment1);
    free(s->moment2);
}

static void state_new(struct checkpoint *s, const struct options *o, size_t vocab)
{
    uint64_t rng = (o->seed + 1) * 0x2545F4914F6CDD1DULL;
    layout_init(&s->layout, (struct shape){vocab, o->ctx, o->width, o->layers, o->heads});
    s->params = alloc_or_die(s->layout.total, sizeof(float));
    s->moment1 = alloc_or_die(s->layout.total, sizeof(float));
    s->moment2 = alloc_or_die(s->layout.total, sizeof(float));
    s->place.seed = o->seed;
    model_random(&s->layout, s->params, &rng);
}

static void state_init(struct trainer *t)
{
    struct checkpoint *s = &t->state;
    if (t->opt.from) {
        checkpoint_load(s, t->opt.from);
        if (s->place.seed != t->opt.seed) // another seed is another run: its data from their start
            s->place = (struct data_place){.seed = t->opt.seed};
    } else {
        state_new(s, &t->opt, t->data.vocab);
    }
    if (t->opt.resume && access(t->opt.out, R_OK) == 0) {
        uint64_t first = s->step;
        state_free(s);
        checkpoint_load(s, t->opt.out);
        t->done = s->step - first;
    }
}

static void trainer_init(struct trainer *t)
{
    struct options *o = &t->opt;
    struct checkpoint *s = &t->state;
    data_load(&t->data, o->data);
    if (o->heldout)
        data_load(&t->heldout, o->heldout);
    if (o->schedule)
        schedule_load(&t->replay, o->schedule);
    state_init(t);
    o->ctx = s->layout.shape.ctx;
    if (o->pack_tokens < o->ctx || s->layout.shape.vocab != t->data.vocab ||
        (o->heldout && t->heldout.vocab != t->data.vocab)) {
        fprintf(stderr, "packs must hold a whole context, and all files one vocabulary\n");
        exit(1);
    }
    for (size_t i = 0; i < o->packs; i++) {
        pack_init(&t->pack[i], o->pack_tokens);
        t->grad[i] = alloc_or_die(s->layout.total, sizeof(float));
    }
    for (size_t i = 0; i < o->threads; i++)
        t->work[i] = work_new(&s->layout, o->pack_tokens);
    pthread_barrier_init(&t->barrier, NULL, (unsigned)o->threads);
}

int main(int argc, char **argv)
{
    static struct trainer t;
    static struct member team[THREADS_MAX];
    if (!options_parse(&t.opt, argc, argv))
        return 2;
    matmul_init(t.opt.amx != 0);
    trainer_init(&t);
    printf("%zu parameters, %llu documents, %llu tokens, products by %s\n", t.state.layout.total,
           (unsigned long long)t.data.docs, (unsigned long long)t.data.tokens, matmul_name());
    for (size_t i = 1; i < t.opt.threads; i++) {
        team[i] = (struct member){.t = &t, .id = i};
        if (pthread_create(&team[i].thread, NULL, member_run, &team[i]))
            return 1;
    }
    train(&t);
    run_job(&t, JOB_QUIT);
    for (size_t i = 1; i < t.opt.threads; i++)
        pthread_join(team[i].thread, NULL);
    return 0;
}
