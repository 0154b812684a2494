#include "engine/speculate.h"

#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/scheduler.h"

#include "base/banned.h"

// --- Looking up

uint32_t guess_match(const int32_t *text, uint32_t end, const int32_t *tokens, uint32_t n)
{
    uint32_t len = 0, most = end < n ? end : n;
    most = most < GUESS_MATCH_MAX ? most : GUESS_MATCH_MAX;
    while (len < most && text[end - 1 - len] == tokens[n - 1 - len])
        len++;
    return len;
}

bool guess_lookup(const int32_t *tokens, uint32_t n, uint32_t *ret_at, uint32_t *ret_match)
{
    uint32_t best = 0, at = 0;
    for (uint32_t end = n > 0 ? n - 1 : 0; end >= GUESS_MATCH_MIN && best < GUESS_MATCH_MAX;
         end--) {
        uint32_t len = guess_match(tokens, end, tokens, n);
        if (len > best) {
            best = len;
            at = end;
        }
    }
    if (best < GUESS_MATCH_MIN)
        return false;
    *ret_at = at;
    *ret_match = best;
    return true;
}

static uint32_t class_of(uint32_t match)
{
    return match >= 8 ? 3 : match >= 4 ? 2 : match == 3 ? 1 : 0;
}

// --- How good guesses are

// Before anything is known, and what much of it fades to: longer matches are right more often.
static const struct guess_record expected[GUESS_CLASSES] = {
    {2, 0.6f}, {2, 1.0f}, {2, 1.4f}, {2, 1.8f}};

double guess_chance(const struct guesser *g, uint32_t class)
{
    const struct guess_record *r = &g->records[class], *e = &expected[class];
    return (double)(r->hit + e->hit) / (double)(r->tried + e->tried);
}

static void fade(struct guess_record *r, float by)
{
    r->tried *= by;
    r->hit *= by;
}

// A guess ends with its first wrong token: what stood behind it was not tried.
void guess_note(struct guesser *g, uint32_t class, uint32_t tried, uint32_t hit)
{
    struct guess_record *r = &g->records[class];
    fade(r, 0.85f);
    r->tried += (float)(hit < tried ? hit + 1 : hit);
    r->hit += (float)hit;
}

// --- What rows cost

// A step that took far longer than the line says was disturbed: it counts as half as slow again.
static double undisturbed(const struct step_speed *s, uint32_t rows, double us)
{
    double base, per_row;
    if (s->weight < 4 || !speed_get(s, &base, &per_row))
        return us;
    double most = 1.5 * (base + rows * per_row);
    return us < most ? us : most;
}

void speed_note(struct step_speed *s, uint32_t rows, double measured_us)
{
    const double keep = 0.97, x = rows, us = undisturbed(s, rows, measured_us);
    s->weight = s->weight * keep + 1;
    s->rows = s->rows * keep + x;
    s->us = s->us * keep + us;
    s->rows_rows = s->rows_rows * keep + x * x;
    s->rows_us = s->rows_us * keep + x * us;
}

// Least squares, with a weak belief that a row costs a sixteenth of a step: it is what speaks when
// all steps have the same rows, so that guessing is tried again from time to time.
bool speed_get(const struct step_speed *s, double *ret_us, double *ret_us_per_row)
{
    if (s->weight <= 0)
        return false;
    const double belief = 0.05;
    double rows = s->rows / s->weight, us = s->us / s->weight;
    double spread = s->rows_rows / s->weight - rows * rows;
    double together = s->rows_us / s->weight - rows * us;
    double slope = (together + belief * us / 16) / (spread + belief);
    slope = slope > us / 256 ? slope : us / 256;
    *ret_us_per_row = slope;
    *ret_us = us - slope * rows > 0 ? us - slope * rows : 0;
    return true;
}

// --- A step's guesses

static bool may_guess(const struct engine_job *j)
{
    const struct sequence *q = &j->seq;
    return q->is_running && sequence_answers(q) && q->n_forced >= j->request.forced.len &&
           q->n_tokens + 1 < q->n_tokens_max;
}

static bool awaits_prompt(struct engine_job *j)
{
    const struct sequence *q = &j->seq;
    return sequence_pending(q) > 0 && !sequence_answers(q) && !atomic_load(&j->is_resting);
}

// Sequences that generate; 0 where a prompt waits: its rows are worth more than guesses.
static uint32_t answering(const struct step *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        if (awaits_prompt(s->turn[i]))
            return 0;
        n += sequence_answers(&s->turn[i]->seq);
    }
    return n;
}

static uint32_t guess_length(const struct sequence *q, uint32_t most)
{
    uint32_t left = q->n_tokens_max - 1 - q->n_tokens;
    return most < left ? most : left;
}

// The longer match counts; of two the client's word.
static void look_up(const struct lane *l, struct sequence *q)
{
    struct guesser *g = &q->guesser;
    const struct prediction *p = &q->prediction;
    uint32_t match = 0, left = prediction_left(p);
    if (l->draft_tokens_max && guess_lookup(q->tokens, q->n_tokens, &g->found_at, &match))
        g->found_len = guess_length(q, l->draft_tokens_max);
    g->found_in_prediction = left > 0 && p->agreed >= match;
    if (g->found_in_prediction) {
        g->found_at = p->next;
        g->found_len = guess_length(q, left < DRAFT_TOKENS_MAX ? left : DRAFT_TOKENS_MAX);
        match = p->agreed;
    }
    g->found_class = class_of(match);
}

// The budget of rows that guesses of a step may take, and what they cost and gain so far.
struct purse {
    double tokens, us, us_per_row;
    uint32_t rows_left;
};

static bool pays(const struct purse *p, double chance)
{
    return p->rows_left > 0 && chance * p->us > 1.1 * p->tokens * p->us_per_row;
}

static void pay(struct purse *p, double chance)
{
    p->tokens += chance;
    p->us += p->us_per_row;
    p->rows_left--;
}

static bool open_purse(const struct lane *l, uint32_t n_answering, struct purse *ret)
{
    double us, us_per_row;
    if (!speed_get(&l->speed, &us, &us_per_row))
        return false;
    uint32_t rows_max = l->rows_max - CHUNK_MIN;
    rows_max = rows_max < DRAFT_ROWS_MAX ? rows_max : DRAFT_ROWS_MAX;
    *ret = (struct purse){
        .tokens = n_answering,
        .us = us + n_answering * us_per_row,
        .us_per_row = us_per_row,
        .rows_left = rows_max > n_answering ? rows_max - n_answering : 0,
    };
    return pays(ret, 0.95);
}

static double power(double x, uint32_t n)
{
    double all = 1;
    while (n-- > 0)
        all *= x;
    return all;
}

// The chance that the next row of this sequence's guess brings a token: all before it are right.
static double next_chance(const struct sequence *q)
{
    const struct guesser *g = &q->guesser;
    if (q->n_draft >= g->found_len)
        return 0;
    return power(guess_chance(&q->guesser, g->found_class), q->n_draft + 1);
}

static struct sequence *likeliest(const struct step *s, double *ret_chance)
{
    struct sequence *best = NULL;
    *ret_chance = 0;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        double chance = next_chance(&s->turn[i]->seq);
        if (chance > *ret_chance) {
            best = &s->turn[i]->seq;
            *ret_chance = chance;
        }
    }
    return best;
}

// Token by token: a guess that reaches beyond the end of the text repeats it.
static void put_guess(struct sequence *q)
{
    struct guesser *g = &q->guesser;
    if (q->n_draft > 0) {
        sequence_reserve(q, q->n_tokens + q->n_draft);
        const int32_t *text = g->found_in_prediction ? q->prediction.ids : q->tokens;
        for (uint32_t i = 0; i < q->n_draft; i++)
            q->tokens[q->n_tokens + i] = text[g->found_at + i];
    } else if (g->found_len > 0) {
        fade(&g->records[g->found_class], 0.98f); // it did not pay: forget slowly why
    }
}

static void look_up_all(const struct lane *l, struct step *s, struct purse *purse)
{
    for (uint32_t i = 0; i < s->n_turn; i++)
        if (may_guess(s->turn[i]))
            look_up(l, &s->turn[i]->seq);
    double chance;
    for (struct sequence *q; (q = likeliest(s, &chance)) && pays(purse, chance);) {
        q->n_draft++;
        pay(purse, chance);
    }
    for (uint32_t i = 0; i < s->n_turn; i++)
        put_guess(&s->turn[i]->seq);
}

// --- Guesses of a draft model

enum { DRAFT_CLASS = 2, CATCH_UP_ROWS = 128 };

// The sequences it can guess for now; the others it reads on.
static uint32_t ready_for_drafts(struct lane *l, struct step *s)
{
    uint32_t n = 0, rows_left = CATCH_UP_ROWS;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct sequence *q = &s->turn[i]->seq;
        if (!may_guess(s->turn[i]) || !drafter_catch_up(l->drafter, l, q, &rows_left))
            continue;
        q->guesser.found_len = guess_length(q, l->draft_tokens_max);
        q->guesser.found_class = DRAFT_CLASS;
        n++;
    }
    return n;
}

// All that the next round of guesses brings, if each has been right so far.
static double chances_of_round(const struct step *s, uint32_t round)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        const struct guesser *g = &s->turn[i]->seq.guesser;
        if (round < g->found_len)
            sum += power(guess_chance(g, DRAFT_CLASS), round + 1);
    }
    return sum;
}

// The number of rounds that brings the most tokens for the time: rows of the model, and a pass of
// the draft model each.
static uint32_t best_rounds(const struct lane *l, const struct step *s, uint32_t n_ready,
                            const struct purse *purse)
{
    double us = 0, us_per_row = 0, tokens = purse->tokens, all_us = purse->us;
    speed_get(drafter_speed(l->drafter), &us, &us_per_row); // not measured yet: try
    double best = 1.05 * tokens / all_us;
    uint32_t rounds = 0;
    for (uint32_t k = 0; k < l->draft_tokens_max && (k + 1) * n_ready <= purse->rows_left; k++) {
        tokens += chances_of_round(s, k);
        all_us += us + n_ready * (us_per_row + purse->us_per_row);
        if (tokens / all_us > best) {
            best = tokens / all_us;
            rounds = k + 1;
        }
    }
    return rounds;
}

static void ask_drafter(struct lane *l, struct step *s, const struct purse *purse)
{
    uint32_t n_ready = ready_for_drafts(l, s);
    uint32_t rounds = n_ready > 0 ? best_rounds(l, s, n_ready, purse) : 0;
    drafter_guess(l->drafter, l, s, rounds);
    for (uint32_t i = 0; rounds == 0 && i < s->n_turn; i++)
        fade(&s->turn[i]->seq.guesser.records[DRAFT_CLASS], 0.98f);
}

// Clients that say what their answers may be want guesses, whatever the model's default is.
static bool any_foretold(const struct step *s)
{
    for (uint32_t i = 0; i < s->n_turn; i++)
        if (prediction_left(&s->turn[i]->seq.prediction) > 0 && may_guess(s->turn[i]))
            return true;
    return false;
}

void speculate(struct lane *l, struct step *s)
{
    struct purse purse;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        s->turn[i]->seq.n_draft = 0;
        s->turn[i]->seq.guesser.found_len = 0;
    }
    bool foretold = any_foretold(s);
    uint32_t n_answering = l->draft_tokens_max || foretold ? answering(s) : 0;
    if (n_answering == 0 || !open_purse(l, n_answering, &purse))
        return;
    if (l->drafter && !foretold)
        ask_drafter(l, s, &purse);
    else
        look_up_all(l, s, &purse);
}
