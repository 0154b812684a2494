#include "engine/prep.h"

#include "base/mem.h"
#include "engine/constraint.h"
#include "engine/engine_model.h"

#include "base/banned.h"

static enum err encode(const struct engine_job *j, struct token_ids *ids, struct diag *d)
{
    const struct engine_model *m = j->model;
    const struct engine_request *r = &j->request;
    uint32_t flags = (r->prompt_special ? TOKENIZE_SPECIAL : 0u) | (r->add_bos ? TOKENIZE_BOS : 0u);
    // One more than fits is enough to say so.
    enum err e =
        tokenizer_encode(m->tokenizer, r->prompt_text, flags, (size_t)m->context_max + 1, ids);
    if (e == ERR_LIMIT)
        return diag_set(d, e,
                        "the prompt has more tokens than the context of %.*s (%u): shorten it",
                        STR_ARG(m->info.name), m->context_max);
    if (e != ERR_OK)
        return diag_set(d, e, "the prompt's text cannot be made tokens");
    int32_t bos = tokenizer_bos(m->tokenizer);
    if (ids->len == 0 && r->add_bos && bos >= 0) { // an empty text begins somewhere, too
        ids->ids = mem_resize(ids->ids, 1, sizeof *ids->ids);
        ids->ids[0] = bos;
        ids->len = ids->cap = 1;
    }
    return ERR_OK;
}

enum err prep_tokenize(struct engine_job *j, struct diag *d)
{
    struct sequence *q = &j->seq;
    struct token_ids ids = {0};
    enum err e = encode(j, &ids, d);
    if (e == ERR_OK)
        e = request_check_length(j->model, &j->request, ids.len, &q->n_tokens_max, d);
    q->tokens = ids.ids;
    q->n_prompt = q->n_tokens = (uint32_t)ids.len;
    q->tokens_cap = (uint32_t)ids.cap;
    mem_free(j->prompt_text);
    j->prompt_text = NULL;
    j->request.prompt_text = STR_NONE;
    return e;
}

// What the submitter has left to do.
static enum err prepare(struct engine_job *j, struct diag *d)
{
    struct engine_request *r = &j->request;
    if (r->grammar_len)
        ERR_TRY(constraint_new(j->model, r, &j->seq.constraint, d));
    return j->prompt_text ? prep_tokenize(j, d) : ERR_OK;
}

static void run(void *arg)
{
    struct prep *p = arg;
    for (;;) {
        // Read before the queue: what was queued before the stop is still found.
        bool stop = atomic_load(&p->stop);
        struct engine_job *j;
        while ((j = ring_mpsc_pop(&p->queue))) {
            if (stop)
                atomic_store(&j->is_cancelled, true);
            struct diag d;
            if (!atomic_load(&j->is_cancelled) && prepare(j, &d) != ERR_OK)
                *job_diag(j) = d;
            scheduler_submit(p->scheduler, j);
        }
        if (stop)
            return;
        park_wait(&p->park, PARK_FOREVER);
    }
}

enum err prep_start(struct prep *p, struct scheduler *s, struct diag *d)
{
    *p = (struct prep){.scheduler = s};
    ring_mpsc_init(&p->queue, s->inbox.mask + 1);
    park_init(&p->park);
    return thread_start(&p->thread, "weir-tokenize", run, p, d);
}

void prep_stop(struct prep *p)
{
    if (!p->scheduler)
        return;
    atomic_store(&p->stop, true);
    park_signal(&p->park);
    thread_join(&p->thread);
    ring_mpsc_done(&p->queue);
}

void prep_submit(struct prep *p, struct engine_job *j)
{
    bool pushed = ring_mpsc_push(&p->queue, j);
    ASSERT(pushed);
    park_signal(&p->park);
}
