#include "gateway/tape.h"

#include "base/mem.h"

#include "base/banned.h"

#define EVENTS_FIRST 16

struct span {
    size_t at, len;
};

struct note {
    enum exchange_event_type type;
    uint32_t choice, call_index;
    struct span text, signature, call_id, call_name, stop; // in `bytes`
    struct span embedding;                                 // in `floats`
    enum exchange_finish finish;
    bool seeded;
    uint64_t seed;
    struct exchange_usage usage;
};

struct tape {
    size_t holders;
    enum tape_state state;
    struct note *notes;
    size_t len, cap;
    struct buf bytes, floats;
    size_t bytes_max;
    struct tape_listener *listeners;
    void (*unheard)(void *ctx);
    void *maker;
};

struct tape *tape_new(size_t bytes_max)
{
    struct tape *t = mem_new(struct tape);
    t->holders = 1;
    t->bytes_max = bytes_max;
    buf_init(&t->bytes, bytes_max);
    buf_init(&t->floats, bytes_max);
    return t;
}

struct tape *tape_hold(struct tape *t)
{
    t->holders++;
    return t;
}

void tape_release(struct tape *t)
{
    if (!t || --t->holders)
        return;
    ASSERT(!t->listeners);
    buf_done(&t->bytes);
    buf_done(&t->floats);
    mem_free(t->notes);
    mem_free(t);
}

size_t tape_bytes(const struct tape *t)
{
    return sizeof *t + t->cap * sizeof *t->notes + t->bytes.cap + t->floats.cap;
}

enum tape_state tape_state(const struct tape *t)
{
    return t->state;
}

// --- Making

static struct span keep(struct buf *b, const void *data, size_t len)
{
    struct span s = {b->len, len};
    (void)buf_append(b, data, len);
    return s;
}

static struct span keep_str(struct tape *t, str s)
{
    return keep(&t->bytes, s.ptr, s.len);
}

static struct note *new_note(struct tape *t)
{
    if (t->len == t->cap) {
        t->cap = t->cap ? t->cap * 2 : EVENTS_FIRST;
        t->notes = mem_resize(t->notes, t->cap, sizeof *t->notes);
    }
    return &t->notes[t->len++];
}

// Two attempts may have begun side by side.
static bool is_repeated(const struct tape *t, const struct exchange_event *e)
{
    return e->type == EXCHANGE_EVENT_BEGIN && t->len;
}

enum err tape_add(struct tape *t, const struct exchange_event *e)
{
    if (t->state != TAPE_RUNS)
        return ERR_LIMIT;
    if (is_repeated(t, e) || e->type == EXCHANGE_EVENT_RAW)
        return ERR_OK;
    *new_note(t) = (struct note){
        .type = e->type,
        .choice = e->choice,
        .call_index = e->call_index,
        .text = keep_str(t, e->text),
        .signature = keep_str(t, e->signature),
        .call_id = keep_str(t, e->call.id),
        .call_name = keep_str(t, e->call.name),
        .stop = keep_str(t, e->stop_matched),
        .embedding = keep(&t->floats, e->embedding, e->embedding_len * sizeof *e->embedding),
        .finish = e->finish,
        .seeded = e->seeded,
        .seed = e->seed,
        .usage = e->usage,
    };
    if (t->bytes.failed || t->floats.failed || tape_bytes(t) > t->bytes_max) {
        t->state = TAPE_FAILED;
        return ERR_LIMIT;
    }
    if (e->type == EXCHANGE_EVENT_END)
        t->state = TAPE_ENDED;
    return ERR_OK;
}

bool tape_restart(struct tape *t)
{
    for (const struct tape_listener *l = t->listeners; l; l = l->next)
        if (l->at)
            return false;
    t->len = 0;
    buf_clear(&t->bytes);
    buf_clear(&t->floats);
    return true;
}

void tape_fail(struct tape *t)
{
    if (t->state == TAPE_RUNS)
        t->state = TAPE_FAILED;
}

// --- Hearing

static str text_of(const struct buf *b, struct span s)
{
    return s.len ? str_slice(buf_ptr(b) + s.at, s.len) : STR_NONE;
}

bool tape_next(const struct tape *t, struct tape_listener *l, struct exchange_event *ret)
{
    if (l->at == t->len)
        return false;
    const struct note *n = &t->notes[l->at++];
    const void *floats = text_of(&t->floats, n->embedding).ptr;
    *ret = (struct exchange_event){
        .type = n->type,
        .choice = n->choice,
        .call_index = n->call_index,
        .text = text_of(&t->bytes, n->text),
        .signature = text_of(&t->bytes, n->signature),
        .call = {.id = text_of(&t->bytes, n->call_id), .name = text_of(&t->bytes, n->call_name)},
        .stop_matched = text_of(&t->bytes, n->stop),
        .embedding = floats,
        .embedding_len = n->embedding.len / sizeof(float),
        .finish = n->finish,
        .seeded = n->seeded,
        .seed = n->seed,
        .usage = n->usage,
    };
    return true;
}

void tape_listen(struct tape *t, struct tape_listener *l)
{
    l->next = t->listeners;
    t->listeners = l;
}

void tape_leave(struct tape *t, struct tape_listener *l)
{
    struct tape_listener **at = &t->listeners;
    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
    if (!t->listeners && t->unheard)
        t->unheard(t->maker);
}

void tape_set_maker(struct tape *t, void (*unheard)(void *ctx), void *ctx)
{
    t->unheard = unheard;
    t->maker = ctx;
}

bool tape_has_listeners(const struct tape *t)
{
    return t->listeners;
}

void tape_tell(struct tape *t)
{
    struct tape_listener *next;
    tape_hold(t);
    for (struct tape_listener *l = t->listeners; l; l = next) {
        next = l->next;
        l->notify(l->ctx);
    }
    tape_release(t);
}
