#include "engine/constraint.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/job.h"

#include "base/banned.h"

// One compiled grammar. References: those who hold a constraint by it, and the model's list.
struct shared_grammar {
    _Atomic uint32_t refs;
    pthread_mutex_t lock; // of the automaton
    struct automaton *automaton;
    char *key;
    size_t key_len;
    size_t bytes; // when it was last counted
};

struct grammars {
    pthread_mutex_t making; // held while one is compiled
    bool has_trie;          // of `making`, as the trees themselves
    struct token_trie trie;
    struct token_trie first; // of tokens that begin a text, where their blank is no part of it
    pthread_mutex_t lock;    // of the list, never for long
    struct shared_grammar *kept[GRAMMARS_KEPT]; // the latest first
    size_t n;
};

struct constraint {
    struct shared_grammar *grammar;
    bool stands; // where is known: state, of that epoch
    uint32_t state, epoch;
    struct buf said; // to lead it through again when the automaton has forgotten
};

// --- Compiled grammars

struct grammars *grammars_new(void)
{
    struct grammars *g = mem_new(struct grammars);
    pthread_mutex_init(&g->making, NULL);
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

static void drop(struct shared_grammar *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    automaton_free(s->automaton);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->key);
    mem_free(s);
}

void grammars_free(struct grammars *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++)
        drop(g->kept[i]);
    token_trie_done(&g->trie);
    token_trie_done(&g->first);
    pthread_mutex_destroy(&g->making);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

// Control tokens say nothing, so no grammar asks for them.
static void build_tries(struct grammars *g, const struct engine_model *m)
{
    uint32_t n = m->info.n_vocab, known = tokenizer_size(m->tokenizer);
    str *texts = mem_array((size_t)n + 1, sizeof *texts);
    size_t *ends = mem_array((size_t)n + 1, sizeof *ends);
    struct buf all;
    buf_init(&all, SIZE_MAX);
    for (uint32_t i = 0; i < n; i++) {
        if (i < known && !tokenizer_is_control(m->tokenizer, (int32_t)i)) {
            enum err e = tokenizer_piece(m->tokenizer, (int32_t)i, true, &all);
            ASSERT(e == ERR_OK);
        }
        ends[i] = all.len;
    }
    for (uint32_t i = 0; i < n; i++)
        texts[i] = str_sub(buf_str(&all), i ? ends[i - 1] : 0, ends[i] - (i ? ends[i - 1] : 0));
    token_trie_init(&g->trie, texts, n);
    if (tokenizer_strip_leading_space(m->tokenizer)) {
        for (uint32_t i = 0; i < n; i++)
            texts[i] = str_sub(texts[i], str_starts(texts[i], STR(" ")), SIZE_MAX);
        token_trie_init(&g->first, texts, n);
    }
    g->has_trie = true;
    buf_done(&all);
    mem_free(texts);
    mem_free(ends);
}

static void put_part(struct buf *key, str s)
{
    uint64_t len = s.len;
    (void)buf_append(key, &len, sizeof len);
    (void)buf_append_str(key, s);
}

static enum err key_of(const struct engine_request *r, struct buf *key, struct diag *d)
{
    enum { KEY_BYTES_MAX = 4 << 20 };
    buf_init(key, KEY_BYTES_MAX);
    for (size_t i = 0; i < r->grammar_len; i++) {
        const struct grammar_part *p = &r->grammar[i];
        uint64_t kind = p->kind;
        (void)buf_append(key, &kind, sizeof kind);
        put_part(key, p->text);
        put_part(key, p->before);
        put_part(key, p->after);
    }
    if (!key->failed)
        return ERR_OK;
    return diag_set(d, ERR_LIMIT, "the grammar has more than %d bytes in all", KEY_BYTES_MAX);
}

static void move_first(struct grammars *g, size_t at)
{
    struct shared_grammar *s = g->kept[at];
    for (; at > 0; at--)
        g->kept[at] = g->kept[at - 1];
    g->kept[0] = s;
}

// One reference more.
static struct shared_grammar *find(struct grammars *g, str key)
{
    struct shared_grammar *found = NULL;
    pthread_mutex_lock(&g->lock);
    for (size_t i = 0; i < g->n && !found; i++) {
        if (!str_eq(str_slice(g->kept[i]->key, g->kept[i]->key_len), key))
            continue;
        move_first(g, i);
        found = g->kept[0];
        atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&g->lock);
    return found;
}

// One that is at work keeps its last count: whoever asks is a thread that must not wait.
static void count_bytes(struct shared_grammar *s)
{
    if (pthread_mutex_trylock(&s->lock) != 0)
        return;
    s->bytes = automaton_bytes(s->automaton);
    pthread_mutex_unlock(&s->lock);
}

// Takes out what is too much, but for the latest: how many of them lie in `out`.
static size_t make_room(struct grammars *g, struct shared_grammar *out[static GRAMMARS_KEPT])
{
    size_t bytes = 0, keep = 0, n_out = 0;
    for (; keep < g->n; keep++) {
        count_bytes(g->kept[keep]);
        bytes += g->kept[keep]->bytes;
        if (keep > 0 && bytes > GRAMMARS_KEPT_BYTES_MAX)
            break;
    }
    while (g->n > keep || g->n == GRAMMARS_KEPT)
        out[n_out++] = g->kept[--g->n];
    return n_out;
}

static void keep(struct grammars *g, struct shared_grammar *s)
{
    struct shared_grammar *out[GRAMMARS_KEPT];
    pthread_mutex_lock(&g->lock);
    size_t n_out = make_room(g, out);
    g->kept[g->n++] = s;
    move_first(g, g->n - 1);
    pthread_mutex_unlock(&g->lock);
    while (n_out > 0)
        drop(out[--n_out]); // megabytes: not under the lock
}

// Two references: the list's and the caller's.
static enum err compile(struct grammars *g, const struct engine_model *m,
                        const struct engine_request *r, str key, struct shared_grammar **ret,
                        struct diag *d)
{
    struct automaton *a;
    if (!g->has_trie)
        build_tries(g, m);
    ERR_TRY(grammar_compile(r->grammar, r->grammar_len, &g->trie, &a, d));
    struct shared_grammar *s = mem_new(struct shared_grammar);
    atomic_init(&s->refs, 2);
    pthread_mutex_init(&s->lock, NULL);
    s->automaton = a;
    s->key = mem_strndup(key.ptr, key.len);
    s->key_len = key.len;
    keep(g, s);
    *ret = s;
    return ERR_OK;
}

// Others who have something to compile wait for it: they often want the same.
static enum err find_or_compile(const struct engine_model *m, const struct engine_request *r,
                                str key, struct shared_grammar **ret, struct diag *d)
{
    struct grammars *g = m->grammars;
    enum err e = ERR_OK;
    *ret = find(g, key);
    if (*ret)
        return ERR_OK;
    pthread_mutex_lock(&g->making);
    *ret = find(g, key);
    if (!*ret)
        e = compile(g, m, r, key, ret, d);
    pthread_mutex_unlock(&g->making);
    return e;
}

static enum err grammar_for(const struct engine_model *m, const struct engine_request *r,
                            struct shared_grammar **ret, struct diag *d)
{
    struct buf key;
    enum err e = key_of(r, &key, d);
    if (e == ERR_OK)
        e = find_or_compile(m, r, buf_str(&key), ret, d);
    buf_done(&key);
    return e;
}

// --- One answer

static void restart(struct constraint *c)
{
    struct automaton *a = c->grammar->automaton;
    c->state = automaton_feed(a, automaton_start(a), buf_str(&c->said));
    c->epoch = automaton_epoch(a);
    c->stands = true;
}

// Under the lock: where the answer stands.
static uint32_t state_of(struct constraint *c)
{
    if (!c->stands || c->epoch != automaton_epoch(c->grammar->automaton))
        restart(c);
    return c->state;
}

// Nothing said fits any grammar, and then there is nothing to wait for: the scheduler may be at
// work on a mask of it.
static bool fits(struct constraint *c)
{
    if (!c->said.len)
        return true;
    pthread_mutex_lock(&c->grammar->lock);
    bool yes = state_of(c) != AUTOMATON_DEAD;
    pthread_mutex_unlock(&c->grammar->lock);
    return yes;
}

static struct constraint *constraint_on(struct shared_grammar *s, str said)
{
    struct constraint *c = mem_new(struct constraint);
    c->grammar = s;
    buf_init(&c->said, SIZE_MAX); // the answer's own length
    (void)buf_append_str(&c->said, said);
    return c;
}

// What was said before is led through the grammar, on which the scheduler may be at work.
bool constraint_at_hand(const struct engine_model *m, const struct engine_request *r,
                        struct constraint **ret)
{
    enum { TEXTS_BYTES_MAX = 64 << 10 };
    size_t bytes = 0;
    for (size_t i = 0; i < r->grammar_len; i++)
        bytes += r->grammar[i].text.len;
    struct buf key;
    if (r->grammar_said.len || bytes > TEXTS_BYTES_MAX)
        return false;
    struct shared_grammar *s = NULL;
    if (key_of(r, &key, NULL) == ERR_OK)
        s = find(m->grammars, buf_str(&key));
    buf_done(&key);
    if (s)
        *ret = constraint_on(s, STR_NONE);
    return s != NULL;
}

enum err constraint_new(const struct engine_model *m, const struct engine_request *r,
                        struct constraint **ret, struct diag *d)
{
    struct shared_grammar *s;
    ERR_TRY(grammar_for(m, r, &s, d));
    struct constraint *c = constraint_on(s, r->grammar_said);
    if (fits(c)) {
        *ret = c;
        return ERR_OK;
    }
    constraint_free(c);
    return diag_set(d, ERR_INVALID,
                    "what the answer begins with does not fit the form that is asked for");
}

void constraint_free(struct constraint *c)
{
    if (!c)
        return;
    drop(c->grammar);
    buf_done(&c->said);
    mem_free(c);
}

static uint32_t feed_token(struct automaton *a, const struct engine_job *j, uint32_t state,
                           uint32_t position, int32_t token)
{
    struct buf piece;
    buf_init(&piece, SIZE_MAX);
    str text = STR_NONE;
    if (engine_token_piece(j->model, token, &piece) == ERR_OK)
        text = lane_token_text(j, position, token, buf_str(&piece));
    state = text.len ? automaton_feed(a, state, text) : AUTOMATON_DEAD;
    buf_done(&piece);
    return state;
}

static void set(uint64_t *mask, int32_t token, bool on)
{
    uint64_t bit = (uint64_t)1 << ((uint32_t)token % 64);
    uint64_t *word = &mask[(uint32_t)token / 64];
    *word = on ? *word | bit : *word & ~bit;
}

static void fill_mask(struct constraint *c, const struct engine_job *j, uint32_t state,
                      uint32_t position, uint64_t *mask)
{
    struct automaton *a = c->grammar->automaton;
    const struct engine_model *m = j->model;
    bool accepts = automaton_accepts(a, state);
    if (lane_begins_text(j, position))
        automaton_mask_of(a, &m->grammars->first, &state, mask);
    else
        memcpy(mask, automaton_mask(a, &state), token_mask_words(m->info.n_vocab) * sizeof *mask);
    for (size_t i = 0; i < m->n_eog && !j->request.ignore_eos; i++)
        set(mask, m->eog[i], accepts);
}

bool constraint_mask(struct constraint *c, const struct engine_job *j, const int32_t *ahead,
                     size_t n, uint64_t *mask)
{
    struct automaton *a = c->grammar->automaton;
    uint32_t position = j->seq.n_tokens;
    pthread_mutex_lock(&c->grammar->lock);
    uint32_t state = state_of(c);
    for (size_t i = 0; i < n && state != AUTOMATON_DEAD; i++)
        state = feed_token(a, j, state, position++, ahead[i]);
    bool fits = state != AUTOMATON_DEAD;
    if (fits)
        fill_mask(c, j, state, position, mask);
    pthread_mutex_unlock(&c->grammar->lock);
    return fits;
}

void constraint_accept(struct constraint *c, str text)
{
    pthread_mutex_lock(&c->grammar->lock);
    uint32_t state = automaton_feed(c->grammar->automaton, state_of(c), text);
    (void)buf_append_str(&c->said, text);
    c->state = state;
    c->epoch = automaton_epoch(c->grammar->automaton);
    pthread_mutex_unlock(&c->grammar->lock);
}

bool constraint_is_over(struct constraint *c)
{
    struct automaton *a = c->grammar->automaton;
    pthread_mutex_lock(&c->grammar->lock);
    uint32_t state = state_of(c);
    bool over =
        state != AUTOMATON_DEAD && automaton_accepts(a, state) && !automaton_goes_on(a, state);
    pthread_mutex_unlock(&c->grammar->lock);
    return over;
}

enum err engine_grammar_check(const struct engine_model *m, const struct engine_request *r,
                              struct diag *d)
{
    struct constraint *c;
    ERR_TRY(constraint_new(m, r, &c, d));
    constraint_free(c);
    return ERR_OK;
}
