#include "support/engine_client.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#include "base/banned.h"

static void die(const char *what)
{
    base_assert_failed(what, "engine_client", 0, "");
}

struct engine_options client_options(void)
{
    return (struct engine_options){
        .threads = 1,
        .kv_bytes_max = 64 << 20,
        .step_tokens_max = 64,
        .sequences_max = 8,
        .queue_max = 64,
        .prefix_cache = true,
    };
}

struct engine *client_engine(const struct engine_options *o, const char *path,
                             struct engine_model **ret)
{
    return client_engine_of(o, &(struct engine_model_options){.name = "m", .path = path}, ret);
}

struct engine *client_engine_of(const struct engine_options *o,
                                const struct engine_model_options *mo, struct engine_model **ret)
{
    struct engine *e = NULL;
    struct diag d = {0};
    if (engine_new(o, &e, &d) != ERR_OK || engine_model_load(e, mo, ret, &d) != ERR_OK)
        die(d.text);
    return e;
}

struct engine_request client_request(const int32_t *ids, size_t n, uint32_t tokens_max)
{
    struct engine_request r;
    engine_request_default(&r);
    r.prompt_ids = ids;
    r.prompt_len = n;
    r.tokens_max = tokens_max;
    r.temperature = 0;
    r.seed_given = true;
    r.seed = 1;
    return r;
}

static void on_bell(void *ctx)
{
    struct client_job *c = ctx;
    c->rings++;
    park_signal(&c->bell);
}

struct client_job *client_start(struct engine_model *m, struct engine_request r)
{
    struct client_job *c = mem_new(struct client_job);
    struct diag d = {0};
    park_init(&c->bell);
    buf_init(&c->text, SIZE_MAX);
    buf_init(&c->prompt_text, SIZE_MAX);
    r.wake = on_bell;
    r.wake_ctx = c;
    if (engine_submit(m, &r, &c->job, NULL, &d) != ERR_OK) {
        c->error = d;
        c->finish = ENGINE_FINISH_ERROR;
        c->is_ended = true;
    }
    return c;
}

static void keep(struct client_token **list, size_t *n, const struct engine_event *e)
{
    if ((*n & (*n - 1)) == 0)
        *list = mem_resize(*list, *n ? *n * 2 : 1, sizeof **list);
    struct client_token *t = &(*list)[(*n)++];
    *t = (struct client_token){e->token, e->logprob, e->top_len, {{0}}};
    if (e->top_len)
        memcpy(t->top, e->top, e->top_len * sizeof *t->top);
}

static void keep_text(struct buf *to, str text)
{
    if (!utf8_valid(text))
        die("a text delta is not whole characters");
    buf_append_str(to, text);
}

static void keep_end(struct client_job *c, const struct engine_event *e)
{
    keep_text(&c->text, e->text);
    c->is_ended = true;
    c->finish = e->finish;
    c->error = e->error;
    c->cached_tokens = e->cached_tokens;
    c->completion_tokens = e->completion_tokens;
    c->prediction_accepted = e->prediction_accepted;
    c->prediction_rejected = e->prediction_rejected;
    c->queue_us = e->queue_us;
    c->prefill_us = e->prefill_us;
    c->decode_us = e->decode_us;
    snprintf(c->stop_matched, sizeof c->stop_matched, "%.*s", STR_ARG(e->stop_matched));
}

static void keep_event(struct client_job *c, const struct engine_event *e)
{
    if (c->is_ended)
        die("an event after the end");
    if (!c->is_started && e->type != ENGINE_STARTED && e->type != ENGINE_ENDED)
        die("an event before the start");
    switch (e->type) {
    case ENGINE_STARTED:
        c->is_started = true;
        c->prompt_tokens = e->prompt_tokens;
        c->cached_tokens = e->cached_tokens;
        c->seed = e->seed;
        break;
    case ENGINE_PROMPT_TOKEN:
        keep(&c->prompt, &c->n_prompt, e);
        keep_text(&c->prompt_text, e->text);
        break;
    case ENGINE_TOKEN:
        keep(&c->answer, &c->n_answer, e);
        keep_text(&c->text, e->text);
        break;
    case ENGINE_EMBEDDING:
        c->embedding = mem_array(e->embedding_len, sizeof *c->embedding);
        memcpy(c->embedding, e->embedding, e->embedding_len * sizeof *c->embedding);
        c->embedding_len = e->embedding_len;
        break;
    case ENGINE_ENDED:
        keep_end(c, e);
        break;
    }
}

void client_read(struct client_job *c)
{
    struct engine_event e;
    while (c->job && engine_job_poll(c->job, &e))
        keep_event(c, &e);
}

static bool wait_for(struct client_job *c, size_t n_answer, uint32_t timeout_ms)
{
    uint64_t until = clock_mono_ms() + timeout_ms;
    for (;;) {
        client_read(c);
        if (c->is_ended || c->n_answer >= n_answer)
            return true;
        uint64_t now = clock_mono_ms();
        if (now >= until)
            return false;
        park_wait(&c->bell, (uint32_t)(until - now));
    }
}

bool client_wait(struct client_job *c, uint32_t timeout_ms)
{
    return wait_for(c, SIZE_MAX, timeout_ms);
}

bool client_wait_answer(struct client_job *c, size_t n, uint32_t timeout_ms)
{
    return wait_for(c, n, timeout_ms);
}

bool client_wait_all(struct client_job **c, size_t n, uint32_t timeout_ms)
{
    uint64_t until = clock_mono_ms() + timeout_ms;
    for (size_t ended = 0; ended < n;) {
        if (clock_mono_ms() > until)
            return false;
        ended = 0;
        for (size_t i = 0; i < n; i++) {
            client_read(c[i]);
            ended += c[i]->is_ended;
        }
        if (ended < n)
            park_wait(&c[ended]->bell, 1);
    }
    return true;
}

bool client_wait_blocks(const struct engine *e, uint64_t used)
{
    struct engine_stats s;
    uint64_t until = clock_mono_ms() + 5000;
    do
        engine_stats(e, &s);
    while (s.kv_blocks_used != used && clock_mono_ms() < until);
    return s.kv_blocks_used == used;
}

void client_free(struct client_job *c)
{
    if (!c)
        return;
    engine_job_release(c->job);
    mem_free(c->prompt);
    mem_free(c->answer);
    mem_free(c->embedding);
    buf_done(&c->text);
    buf_done(&c->prompt_text);
    mem_free(c);
}

struct client_job *client_run(struct engine_model *m, struct engine_request r)
{
    struct client_job *c = client_start(m, r);
    if (!client_wait(c, 30000))
        die("a job did not end within 30 s");
    return c;
}

static bool same_tokens(const struct client_token *a, const struct client_token *b, size_t n)
{
    return n == 0 || memcmp(a, b, n * sizeof *a) == 0; // bits: NaN equals itself
}

bool client_same(const struct client_job *a, const struct client_job *b)
{
    return a->n_prompt == b->n_prompt && a->n_answer == b->n_answer && a->finish == b->finish &&
           same_tokens(a->prompt, b->prompt, a->n_prompt) &&
           same_tokens(a->answer, b->answer, a->n_answer) && a->embedding_len == b->embedding_len &&
           (!a->embedding_len ||
            memcmp(a->embedding, b->embedding, a->embedding_len * sizeof(float)) == 0) &&
           str_eq(buf_str(&a->text), buf_str(&b->text)) &&
           str_eq(buf_str(&a->prompt_text), buf_str(&b->prompt_text)) &&
           strcmp(a->stop_matched, b->stop_matched) == 0;
}

static void add(struct buf *out, const void *bytes, size_t n)
{
    if (n > 0 && buf_append(out, bytes, n) != ERR_OK)
        die("no room for the bytes of an answer");
}

static void add_tokens(const struct client_token *tokens, size_t n, struct buf *out)
{
    add(out, &n, sizeof(uint32_t));
    for (size_t i = 0; i < n; i++) {
        add(out, &tokens[i].token, sizeof tokens[i].token);
        add(out, &tokens[i].logprob, sizeof tokens[i].logprob);
        add(out, tokens[i].top, tokens[i].top_len * sizeof *tokens[i].top);
    }
}

void client_bytes(const struct client_job *c, struct buf *out)
{
    add(out, &c->finish, sizeof c->finish);
    add_tokens(c->prompt, c->n_prompt, out);
    add_tokens(c->answer, c->n_answer, out);
    add(out, c->embedding, c->embedding_len * sizeof *c->embedding);
    add(out, buf_ptr(&c->text), c->text.len);
    add(out, buf_ptr(&c->prompt_text), c->prompt_text.len);
}
