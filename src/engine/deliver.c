// What a step has computed, given to those who asked: tokens are drawn, events written, ends told.
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/logprobs.h"
#include "engine/scheduler.h"

#include "base/banned.h"

// --- Ends

static void note_end(struct scheduler *s, enum engine_finish finish)
{
    uint64_t now = clock_mono_ms();
    double before = atomic_load(&s->counters.ms_between_ends);
    // Across idle times the interval says nothing about speed.
    double since =
        s->last_end_ms && now - s->last_end_ms < 10000 ? (double)(now - s->last_end_ms) : before;
    atomic_store(&s->counters.ms_between_ends, before + (since - before) * 0.1);
    s->last_end_ms = now;
    s->counters.jobs_finished[finish]++;
}

static void measure(struct engine_job *j)
{
    const struct sequence *q = &j->seq;
    uint64_t now = clock_mono_us();
    uint64_t started = q->started_us ? q->started_us : now;
    uint64_t first = q->first_token_us ? q->first_token_us : now;
    j->end.queue_us = started - q->submitted_us;
    j->end.prefill_us = first - started;
    j->end.decode_us = now - first;
}

static void leave_scheduler(struct lane *l, struct engine_job *j)
{
    struct scheduler *s = l->scheduler;
    if (j->seq.is_running)
        lane_remove(l, j);
    else
        tenants_unqueue(&s->tenants, j);
    tenants_leave(j->seq.tenant);
    if (!j->seq.was_started)
        scheduler_give_up_place(l);
}

void lane_end(struct lane *l, struct engine_job *j, enum engine_finish finish)
{
    leave_scheduler(l, j);
    measure(j);
    j->end.finish = finish;
    j->end.completion_tokens = j->seq.n_tokens - j->seq.n_prompt;
    stops_flush(&j->seq.stops, &j->end.text);
    note_end(l->scheduler, finish);
    job_tell_end(j);
    job_ring(j);
    job_drop(j);
}

// --- Text

static const struct tokenizer *tokenizer_of(const struct engine_job *j)
{
    return j->model->tokenizer;
}

// SentencePiece writes a blank before the first word of a text: it belongs to the encoding.
bool lane_begins_text(const struct engine_job *j, uint32_t position)
{
    if (!tokenizer_strip_leading_space(tokenizer_of(j)))
        return false;
    for (uint32_t p = 0; p < position; p++)
        if (!tokenizer_is_control(tokenizer_of(j), j->seq.tokens[p]))
            return false;
    return true;
}

str lane_token_text(const struct engine_job *j, uint32_t position, int32_t token, str piece)
{
    if (tokenizer_is_control(tokenizer_of(j), token))
        return STR_NONE;
    if (piece.ptr && piece.len > 0 && piece.ptr[0] == ' ' && lane_begins_text(j, position))
        return str_slice(piece.ptr + 1, piece.len - 1);
    return piece;
}

static str text_of(const struct engine_job *j, uint32_t position, str piece)
{
    return lane_token_text(j, position, j->seq.tokens[position], piece);
}

// Ids were checked and buffers are bounded by the vocabulary's longest piece: this cannot fail.
static str piece_of(struct scheduler *s, const struct engine_job *j, int32_t token)
{
    buf_clear(&s->piece);
    enum err e = tokenizer_piece(tokenizer_of(j), token, true, &s->piece);
    ASSERT(e == ERR_OK);
    return buf_str(&s->piece);
}

// --- The prompt's log-probabilities

static void fill_logprobs(const struct outcome *o, struct engine_event *e)
{
    e->logprob = o->logprob;
    e->top = o->top;
    e->top_len = o->top_len;
}

static void tell_prompt_token(struct scheduler *s, struct engine_job *j, const struct outcome *o)
{
    struct sequence *q = &j->seq;
    uint32_t position = q->n_told++;
    struct engine_event e = {
        .type = ENGINE_PROMPT_TOKEN,
        .token = q->tokens[position],
        .logprob = NAN, // nothing stands before the first
        .piece = piece_of(s, j, q->tokens[position]),
    };
    if (o)
        fill_logprobs(o, &e);
    buf_clear(&s->text);
    stops_feed(&q->echo, text_of(j, position, e.piece), false, &s->text, &(str){0});
    if (q->n_told == q->n_prompt)
        stops_flush(&q->echo, &s->text);
    e.text = buf_str(&s->text);
    job_tell(j, &e);
}

// Each row that scores tells the token after it; before the first comes the one that none scores.
static void tell_prompt(struct scheduler *s, struct engine_job *j, const struct outcome *outcomes,
                        uint32_t n)
{
    struct sequence *q = &j->seq;
    if (q->n_told == 0)
        tell_prompt_token(s, j, NULL);
    for (uint32_t i = 0; i < n && q->n_told < q->n_prompt; i++)
        tell_prompt_token(s, j, &outcomes[i]);
}

// --- Embeddings

static enum engine_pooling pooling_of(const struct engine_job *j)
{
    return j->request.pooling ? j->request.pooling : j->model->info.pooling;
}

// Sums in the order of positions, in double: chunks change nothing. From position 0 it begins anew
// (after a preemption). Of the last token alone each row takes the place of those before.
static void add_hidden(const struct lane *l, struct engine_job *j, const struct model_row *rows,
                       uint32_t n)
{
    if (!j->seq.hidden_sum)
        j->seq.hidden_sum = mem_array(l->n_embd, sizeof(double));
    bool last = pooling_of(j) == ENGINE_POOLING_LAST;
    if (rows[0].position == 0 || last)
        memset(j->seq.hidden_sum, 0, l->n_embd * sizeof(double));
    for (uint32_t i = last ? n - 1 : 0; i < n; i++)
        for (uint32_t k = 0; k < l->n_embd; k++)
            j->seq.hidden_sum[k] += (double)rows[i].hidden[k];
}

static void tell_embedding(const struct lane *l, struct engine_job *j)
{
    const double *sum = j->seq.hidden_sum;
    uint32_t wanted = j->request.embedding_dimensions;
    uint32_t n = wanted && wanted < l->n_embd ? wanted : l->n_embd;
    double squares = 0;
    for (uint32_t k = 0; k < n; k++)
        squares += sum[k] * sum[k];
    double norm = squares > 0 ? sqrt(squares) : 1; // the mean's factor cancels out
    float *unit = mem_array(n, sizeof *unit);
    for (uint32_t k = 0; k < n; k++)
        unit[k] = (float)(sum[k] / norm);
    job_tell(
        j, &(struct engine_event){.type = ENGINE_EMBEDDING, .embedding = unit, .embedding_len = n});
    mem_free(unit);
}

// --- The answer

static bool is_among(int32_t token, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == token)
            return true;
    return false;
}

static bool ends_by_token(const struct engine_job *j, int32_t token)
{
    const struct engine_request *r = &j->request;
    return (!r->ignore_eos && is_among(token, j->model->eog, j->model->n_eog)) ||
           is_among(token, r->stop_ids, r->stop_ids_len);
}

static void append_token(struct sequence *q, int32_t token)
{
    sequence_reserve(q, q->n_tokens + 1);
    q->tokens[q->n_tokens++] = token;
}

// Writes the token's event; true when a stop string is complete.
static bool tell_token(struct scheduler *s, struct engine_job *j, const struct outcome *o)
{
    struct sequence *q = &j->seq;
    int32_t token = q->tokens[q->n_tokens - 1];
    struct engine_event e = {.type = ENGINE_TOKEN, .token = token, .piece = piece_of(s, j, token)};
    if (j->request.logprobs)
        fill_logprobs(o, &e);
    buf_clear(&s->text);
    bool may_stop = q->n_tokens - q->n_prompt > j->request.tokens_min;
    str text = text_of(j, q->n_tokens - 1, e.piece);
    if (q->constraint && text.len)
        constraint_accept(q->constraint, text);
    q->n_forced += (uint32_t)min_size(text.len, j->request.forced.len - q->n_forced);
    bool stopped = stops_feed(&q->stops, text, may_stop, &s->text, &j->end.stop_matched);
    e.text = buf_str(&s->text);
    job_tell(j, &e);
    return stopped;
}

// False when the answer has ended: the job may be gone.
static bool continue_answer(struct lane *l, struct engine_job *j, const struct outcome *o)
{
    struct scheduler *s = l->scheduler;
    struct sequence *q = &j->seq;
    int32_t token = o->token;
    if (!q->first_token_us)
        q->first_token_us = clock_mono_us();
    l->counters.generated_tokens++;
    if (token < 0) {
        diag_set(job_diag(j), ERR_INVALID, "no token may be chosen: all are banned%s",
                 q->constraint ? ", or the grammar is too ambiguous to go on" : "");
        lane_end(l, j, ENGINE_FINISH_ERROR);
        return false;
    }
    bool ends = ends_by_token(j, token);
    if (ends && !j->request.include_stop) {
        lane_end(l, j, ENGINE_FINISH_STOP);
        return false;
    }
    append_token(q, token);
    sampler_accept(&q->sampler, token);
    prediction_follow(&q->prediction, q->tokens + q->n_prompt, q->n_tokens - q->n_prompt);
    bool stopped = tell_token(s, j, o);
    if (q->constraint && constraint_is_over(q->constraint))
        ends = true;
    bool is_full = q->n_tokens == q->n_tokens_max;
    if (!ends && !stopped && !is_full)
        return true;
    lane_end(l, j, ends || stopped ? ENGINE_FINISH_STOP : ENGINE_FINISH_LENGTH);
    return false;
}

static void conclude_prompt(struct lane *l, struct engine_job *j)
{
    if (j->request.embedding) {
        tell_embedding(l, j);
        lane_end(l, j, ENGINE_FINISH_STOP);
    } else {
        lane_end(l, j, ENGINE_FINISH_LENGTH);
    }
}

// --- One sequence's share of the step

// Full blocks become findable for others; where another had the same already, its block is used.
static void publish_blocks(struct lane *l, struct sequence *q)
{
    if (!l->scheduler->options.prefix_cache)
        return;
    for (; q->n_published < q->n_done / KV_BLOCK_TOKENS; q->n_published++) {
        uint32_t *block = &q->blocks[q->n_published];
        *block = kv_publish(l->kv, *block, q->serial,
                            q->tokens + (size_t)q->n_published * KV_BLOCK_TOKENS, &q->serial);
    }
}

static void account(struct lane *l, struct sequence *q, uint32_t rows)
{
    q->tenant->served += rows;
    l->counters.prompt_tokens += rows;
}

// Rows that give the answer's next tokens: each after the first goes on from a guess, and counts
// only if the token drawn before it is the guessed one.
static void deliver_answer(struct lane *l, struct step *s, const struct plan *p, uint32_t n_rows)
{
    struct engine_job *j = p->job;
    struct sequence *q = &j->seq;
    uint32_t n_draft = p->n_rows - 1, n_right = 0;
    l->counters.drafted_tokens += n_draft;
    for (uint32_t i = 0; i < n_rows; i++) {
        const struct outcome *o = &s->outcomes[p->first_task + i];
        bool is_right = i < n_draft && o->token == q->tokens[q->n_tokens];
        q->tenant->served += 2;
        q->n_done++;
        publish_blocks(l, q);
        s->answer_tokens++;
        n_right += is_right;
        l->counters.accepted_tokens += is_right;
        if (!continue_answer(l, j, o))
            return;
        if (!is_right)
            break;
    }
    drafter_settle(q);
    if (n_draft > 0)
        guess_note(&q->guesser, q->guesser.found_class, n_draft, n_right);
    job_ring(j);
}

static void deliver_one(struct lane *l, struct step *s, const struct plan *p)
{
    struct engine_job *j = p->job;
    struct sequence *q = &j->seq;
    const struct model_row *rows = &s->rows[p->first_row];
    if (p->answers) {
        deliver_answer(l, s, p, p->n_rows);
        return;
    }
    account(l, q, p->n_rows);
    q->n_done += p->n_rows;
    publish_blocks(l, q);
    if (j->request.prompt_logprobs)
        tell_prompt(l->scheduler, j, &s->outcomes[p->first_task], p->n_tasks);
    if (j->request.embedding)
        add_hidden(l, j, rows, p->n_rows);
    if (q->n_done < q->n_tokens) {
        job_ring(j);
        return;
    }
    if (j->request.embedding || q->n_tokens == q->n_tokens_max)
        conclude_prompt(l, j);
    else if (continue_answer(l, j, &s->outcomes[p->first_task + p->n_tasks - 1]))
        job_ring(j);
}

// --- Failures

static bool is_finite(const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

// How many of its rows are good, before the first that is not.
static uint32_t good_rows(const struct lane *l, const struct step *s, const struct plan *p,
                          size_t bad_row)
{
    uint32_t n = 0;
    for (; n < p->n_rows && p->first_row + n != bad_row; n++) {
        const struct model_row *r = &s->rows[p->first_row + n];
        if ((r->logits && !is_finite(r->logits, l->n_vocab)) ||
            (r->hidden && !is_finite(r->hidden, l->n_embd)))
            break;
    }
    return n;
}

static void fail(struct lane *l, struct engine_job *j, enum err e)
{
    if (e == ERR_INVALID)
        diag_set(job_diag(j), e,
                 "the model computed a number that is not finite: its file is damaged, or it "
                 "does not stand this prompt");
    else
        diag_set(job_diag(j), e, "the model failed to compute (%s)", err_name(e));
    lane_end(l, j, ENGINE_FINISH_ERROR);
}

void lane_deliver(struct lane *l, struct step *s, enum err failed, size_t bad_row)
{
    for (uint32_t i = 0; i < s->n_plans; i++) {
        const struct plan *p = &s->plans[i];
        uint32_t good = failed == ERR_OK        ? p->n_rows
                        : failed == ERR_INVALID ? good_rows(l, s, p, bad_row)
                                                : 0;
        if (good == p->n_rows)
            deliver_one(l, s, p);
        else if (p->answers && good > 0) // what is bad goes on from a guess: it may be a wrong one
            deliver_answer(l, s, p, good);
        else
            fail(l, p->job, failed);
    }
}
