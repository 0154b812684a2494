#include "store/batch.h"

#include "store/run.h"

#include "base/banned.h"

#define SUMS_MAX  32
#define DAY_MS    86400000
#define PARTS_MAX 8 // a group is at most that part of what is kept

enum err batch_prepare(struct batch_writer *w, struct db *b, int64_t run, int64_t records_max,
                       struct diag *d)
{
    *w = (struct batch_writer){.db = b, .records_max = records_max};
    ERR_TRY(group_prepare(&w->groups, b, run, d));
    ERR_TRY(spend_prepare(b, &w->spend, d));
    return run_note_prepare(b, &w->note, d);
}

void batch_done(struct batch_writer *w)
{
    group_done(&w->groups);
    sqlite3_finalize(w->note);
    spend_done(&w->spend);
}

size_t batch_max(const struct batch_writer *w)
{
    int64_t part = w->records_max / PARTS_MAX;
    return part < 1 ? 1 : part > BATCH_MAX ? BATCH_MAX : (size_t)part;
}

// What a batch adds to a key's spend on one day: its rows are written once a batch and not once a
// request. The sums that no longer fit are written early.
struct sums {
    struct sum {
        str key_id; // of a record of the batch
        int64_t day, wall_ms, nano_usd;
    } items[SUMS_MAX];
    size_t len;
};

static enum err write_sums(struct batch_writer *w, struct sums *s, struct diag *d)
{
    for (size_t i = 0; i < s->len; i++)
        ERR_TRY(spend_add(w->db, &w->spend, s->items[i].key_id, s->items[i].wall_ms,
                          s->items[i].nano_usd, d));
    s->len = 0;
    return ERR_OK;
}

static enum err add_spend(struct batch_writer *w, struct sums *s, const struct record *r,
                          struct diag *d)
{
    int64_t day = r->started_ms / DAY_MS;
    if (!r->spend_nano_usd || !r->key_id.len)
        return ERR_OK;
    for (size_t i = 0; i < s->len; i++) {
        struct sum *sum = &s->items[i];
        int64_t both;
        if (sum->day != day || !str_eq(sum->key_id, r->key_id) ||
            __builtin_add_overflow(sum->nano_usd, r->spend_nano_usd, &both))
            continue;
        sum->nano_usd = both;
        return ERR_OK;
    }
    if (s->len == SUMS_MAX)
        ERR_TRY(write_sums(w, s, d));
    s->items[s->len++] = (struct sum){r->key_id, day, r->started_ms, r->spend_nano_usd};
    return ERR_OK;
}

static enum err write_spend(struct batch_writer *w, struct record *const *records, size_t len,
                            struct diag *d)
{
    struct sums sums = {.len = 0};
    for (size_t i = 0; i < len; i++)
        ERR_TRY(add_spend(w, &sums, records[i], d));
    return write_sums(w, &sums, d);
}

static enum err write_all(struct batch_writer *w, struct record *const *records, size_t len,
                          uint64_t seen, uint64_t written, int64_t *ret_forgotten, struct diag *d)
{
    ERR_TRY(group_write(&w->groups, records, len, d));
    ERR_TRY(write_spend(w, records, len, d));
    ERR_TRY(group_prune(&w->groups, w->records_max, ret_forgotten, d));
    return run_note(w->db, w->note, w->groups.run, seen, written, d);
}

enum err batch_write(struct batch_writer *w, struct record *const *records, size_t len,
                     uint64_t seen, uint64_t written, struct diag *d)
{
    int64_t requests = w->groups.requests, forgotten = 0;
    ERR_TRY(db_begin(w->db, d));
    enum err e = write_all(w, records, len, seen, written, &forgotten, d);
    if (e == ERR_OK)
        e = db_commit(w->db, d);
    if (e == ERR_OK) {
        w->groups.requests -= forgotten;
        return ERR_OK;
    }
    db_rollback(w->db);
    w->groups.requests = requests;
    return e;
}
