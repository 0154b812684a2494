// What the scheduler makes of a model: guesses on text that repeats itself and on plain text, the
// gaps of a stream while another client's prompt is read, one stream beside two. Through the
// engine, without sockets.
//   bench_schedule MODEL [--draft MODEL] [--threads N] [--tokens N] [--rounds N]
//                  [--only guesses|gaps|two]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "support/engine_client.h"

enum { GAPS_MAX = 4096, PROMPT_LONG = 1000, USUAL = 64 };

struct bench {
    const char *path, *draft, *only;
    uint32_t threads, tokens, rounds;
};

struct text {
    const char *name, *text;
};

static const struct text texts[] = {
    {"repeating",
     "Here is a list, twice.\n1. Alice has 3 red apples and 2 green pears.\n2. Bob has 5 "
     "yellow lemons and 1 orange.\n3. Carol has 7 blue plums and 4 white grapes.\n4. David "
     "has 9 brown figs and 6 black dates.\nHere is the same list again.\n1. Alice has 3 red "
     "apples and 2 green pears.\n2. Bob has 5 yellow lemons"},
    {"plain",
     "The history of the lighthouse begins long before there were maps of the coast. Sailors "
     "who came home late in the year"},
};

static struct engine *open_engine(const struct bench *b, enum engine_speculation speculation,
                                  struct engine_model **ret)
{
    struct engine_options o;
    engine_options_default(&o);
    o.threads = b->threads;
    const struct engine_model_options mo = {
        .name = "m", .path = b->path, .speculation = speculation, .draft_path = b->draft};
    return client_engine_of(&o, &mo, ret);
}

static struct engine_request text_request(const struct bench *b, const char *text, uint64_t seed)
{
    struct engine_request r = client_request(NULL, 0, b->tokens);
    r.prompt_text = str_of(text);
    r.add_bos = true;
    r.ignore_eos = true;
    r.seed = seed;
    return r;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *all, size_t n)
{
    qsort(all, n, sizeof *all, by_size);
    return all[n / 2];
}

// --- Guesses

enum way { WAY_OFF, WAY_LOOKUP, WAY_DRAFT, WAY_PREDICTION, WAYS };
static const char *const way_names[WAYS] = {"off", "prompt-lookup", "draft", "prediction"};

// What the answer is without guesses, but for one token in 25: a client's own edit of it.
struct foretold {
    int32_t *ids;
    size_t n;
};

static double decode_speed(struct engine_model *m, struct engine_request r, struct foretold *ret)
{
    struct client_job *c = client_run(m, r);
    double speed = (double)(c->n_answer - 1) * 1e6 / (double)c->decode_us;
    for (ret->n = 0; ret->n < c->n_answer; ret->n++)
        ret->ids[ret->n] = ret->n % 25 == 24 ? 0 : c->answer[ret->n].token;
    client_free(c);
    return speed;
}

static struct engine *open_way(const struct bench *b, enum way way, struct engine_model **ret)
{
    return open_engine(
        b, way < WAY_PREDICTION ? (enum engine_speculation)way : ENGINE_SPECULATION_OFF, ret);
}

static void tell_way(const struct text *t, float temperature, enum way way, const struct engine *e,
                     double speed, double base)
{
    struct engine_stats s;
    engine_stats(e, &s);
    printf("guesses %s %.0f %s %.1f tokens/s %.3f %llu of %llu right\n", t->name,
           (double)temperature, way_names[way], speed, speed / base,
           (unsigned long long)s.accepted_tokens, (unsigned long long)s.drafted_tokens);
}

static void bench_guesses(const struct bench *b, const struct text *t, float temperature)
{
    struct engine *engines[WAYS] = {0};
    struct engine_model *models[WAYS];
    double *speeds[WAYS], base = 0;
    struct foretold foretold = {.ids = mem_array(b->tokens, sizeof *foretold.ids)};
    for (enum way w = 0; w < WAYS; w++) {
        if (w == WAY_DRAFT && !b->draft)
            continue;
        engines[w] = open_way(b, w, &models[w]);
        speeds[w] = mem_array(b->rounds, sizeof *speeds[w]);
        decode_speed(models[w], text_request(b, t->text, 0), &foretold); // warm
    }
    for (uint32_t round = 0; round < b->rounds; round++)
        for (enum way w = 0; w < WAYS; w++) {
            struct engine_request r = text_request(b, t->text, round);
            r.temperature = temperature;
            r.prediction_ids = foretold.ids;
            r.prediction_len = w == WAY_PREDICTION ? foretold.n : 0;
            if (engines[w])
                speeds[w][round] = decode_speed(models[w], r, &foretold);
        }
    for (enum way w = 0; w < WAYS; w++) {
        if (!engines[w])
            continue;
        double speed = median(speeds[w], b->rounds);
        base = w == WAY_OFF ? speed : base;
        tell_way(t, temperature, w, engines[w], speed, base);
        mem_free(speeds[w]);
        engine_free(engines[w]);
    }
    mem_free(foretold.ids);
}

// --- Gaps of a stream

static int32_t *long_prompt(const struct engine_model *m, uint32_t salt)
{
    int32_t *ids = mem_array(PROMPT_LONG, sizeof *ids);
    for (uint32_t i = 0; i < PROMPT_LONG; i++)
        ids[i] = (int32_t)((i * 31 + i / 7 + salt) % (engine_model_info(m)->n_vocab - 1));
    return ids;
}

// The times between n tokens of the stream, in ms; stops early when `until` has ended.
static size_t gaps(struct client_job *stream, size_t n, struct client_job *until, double *ret)
{
    uint64_t last = clock_mono_us();
    size_t count = 0;
    while (count < n && !stream->is_ended && !(until && until->is_ended)) {
        client_wait_answer(stream, stream->n_answer + 1, 10000);
        if (until)
            client_read(until);
        uint64_t now = clock_mono_us();
        ret[count++] = (double)(now - last) / 1e3;
        last = now;
    }
    return count;
}

static void bench_gaps(const struct bench *b)
{
    static double all[GAPS_MAX];
    struct engine_model *m;
    struct engine *e = open_engine(b, ENGINE_SPECULATION_OFF, &m);
    uint32_t room = engine_model_info(m)->context_max;
    if (room < PROMPT_LONG + 1) {
        printf("gaps: the context has %u tokens, and %d are needed\n", room, PROMPT_LONG + 1);
        engine_free(e);
        return;
    }
    for (uint32_t round = 0; round < b->rounds; round++) {
        int32_t *ids = long_prompt(m, round);
        struct engine_request r = text_request(b, texts[1].text, 1);
        r.tokens_max = UINT32_MAX;
        struct client_job *stream = client_start(m, r);
        client_wait_answer(stream, 8, 10000);
        gaps(stream, USUAL, NULL, all);
        double usual = median(all, USUAL);
        struct client_job *prompt = client_start(m, client_request(ids, PROMPT_LONG, 1));
        size_t n = gaps(stream, GAPS_MAX, prompt, all);
        double middle = median(all, n);
        printf(
            "gaps usual %.3f median %.3f longest %.3f ms, ratio %.3f of %zu, first token %.1f ms\n",
            usual, middle, all[n - 1], all[n - 1] / usual, n, (double)prompt->prefill_us / 1e3);
        client_free(stream);
        client_free(prompt);
        mem_free(ids);
    }
    engine_free(e);
}

// --- One stream and two

static double together(struct engine_model *m, const struct bench *b, size_t n)
{
    struct client_job *c[2];
    uint64_t from = clock_mono_us();
    for (size_t i = 0; i < n; i++)
        c[i] = client_start(m, text_request(b, texts[1].text, i));
    client_wait_all(c, n, 600000);
    double speed = (double)n * b->tokens * 1e6 / (double)(clock_mono_us() - from);
    for (size_t i = 0; i < n; i++)
        client_free(c[i]);
    return speed;
}

static void bench_two(const struct bench *b)
{
    struct engine_model *m;
    struct engine *e = open_engine(b, ENGINE_SPECULATION_OFF, &m);
    double *one = mem_array(b->rounds, sizeof *one), *two = mem_array(b->rounds, sizeof *two);
    together(m, b, 2); // warm
    for (uint32_t round = 0; round < b->rounds; round++) {
        one[round] = together(m, b, 1);
        two[round] = together(m, b, 2);
    }
    double alone = median(one, b->rounds), both = median(two, b->rounds);
    printf("two %.1f beside %.1f tokens/s, ratio %.3f\n", both, alone, both / alone);
    mem_free(one);
    mem_free(two);
    engine_free(e);
}

static bool is_wanted(const struct bench *b, const char *what)
{
    return !b->only || strcmp(b->only, what) == 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.threads = 2, .tokens = 128, .rounds = 5};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--draft") == 0)
            b.draft = next, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            b.threads = (uint32_t)strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--tokens") == 0)
            b.tokens = (uint32_t)strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--only") == 0)
            b.only = next, i++;
        else if (strcmp(argv[i], "--rounds") == 0)
            b.rounds = (uint32_t)strtoul(next, NULL, 10), i++;
        else
            b.path = argv[i];
    }
    if (!b.path || b.tokens < 2 || b.rounds == 0) {
        fprintf(stderr, "bench_schedule: a model file is needed, 2 tokens, 1 round\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(texts) && is_wanted(&b, "guesses"); i++)
        for (int temperature = 0; temperature < 2; temperature++)
            bench_guesses(&b, &texts[i], (float)temperature);
    if (is_wanted(&b, "gaps"))
        bench_gaps(&b);
    if (is_wanted(&b, "two"))
        bench_two(&b);
    return 0;
}
