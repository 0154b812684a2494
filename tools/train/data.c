#include "data.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *p, size_t *capacity, size_t size)
{
    *capacity = *capacity ? 2 * *capacity : 1 << 16;
    p = realloc(p, *capacity * size);
    if (!p) {
        fprintf(stderr, "out of memory for %zu items\n", *capacity);
        exit(1);
    }
    return p;
}

void data_writer_init(struct data_writer *w, const char *path, size_t vocab)
{
    *w = (struct data_writer){.path = path, .vocab = (uint32_t)vocab};
}

void data_writer_doc(struct data_writer *w)
{
    if (w->docs + 1 >= w->doc_capacity)
        w->start = grow(w->start, &w->doc_capacity, sizeof *w->start);
    w->start[w->docs++] = w->tokens;
}

void data_writer_token(struct data_writer *w, uint16_t id, int counts)
{
    if (w->tokens == w->token_capacity)
        w->token = grow(w->token, &w->token_capacity, sizeof *w->token);
    w->token[w->tokens++] = (uint16_t)(id | (counts ? 0 : DATA_UNCOUNTED));
}

size_t data_writer_done(struct data_writer *w)
{
    uint64_t head[2] = {w->docs, w->tokens};
    if (!w->docs) {
        fprintf(stderr, "%s: no documents\n", w->path);
        exit(1);
    }
    w->start[w->docs] = w->tokens;
    FILE *f = fopen(w->path, "wb");
    if (!f || fwrite("WTOK", 1, 4, f) != 4 || fwrite(&w->vocab, 4, 1, f) != 1 ||
        fwrite(head, 8, 2, f) != 2 || fwrite(w->start, 8, w->docs + 1, f) != w->docs + 1 ||
        fwrite(w->token, 2, w->tokens, f) != w->tokens || fclose(f)) {
        perror(w->path);
        exit(1);
    }
    free(w->start);
    free(w->token);
    return w->tokens;
}

void data_load(struct data *d, const char *path)
{
    char magic[4];
    uint64_t head[2];
    FILE *f = fopen(path, "rb");
    if (!f || fread(magic, 1, 4, f) != 4 || memcmp(magic, "WTOK", 4) ||
        fread(&d->vocab, 4, 1, f) != 1 || fread(head, 8, 2, f) != 2) {
        fprintf(stderr, "%s: not a token file written by bpe\n", path);
        exit(1);
    }
    d->docs = head[0];
    d->tokens = head[1];
    d->start = alloc_or_die(d->docs + 1, sizeof *d->start);
    d->token = alloc_or_die(d->tokens, sizeof *d->token);
    d->order = alloc_or_die(d->docs, sizeof *d->order);
    if (fread(d->start, 8, d->docs + 1, f) != d->docs + 1 ||
        fread(d->token, 2, d->tokens, f) != d->tokens || d->start[d->docs] != d->tokens) {
        fprintf(stderr, "%s: cut short\n", path);
        exit(1);
    }
    fclose(f);
}

static void shuffle(struct data *d, const struct data_place *place)
{
    uint64_t rng = (place->seed + 1) * 0x9E3779B97F4A7C15ULL ^ (place->epoch + 1) << 32;
    d->ordered_epoch = place->epoch + 1;
    for (uint32_t i = 0; i < d->docs; i++)
        d->order[i] = i;
    for (uint32_t i = (uint32_t)d->docs; i > 1; i--) {
        uint32_t k = (uint32_t)(((uint64_t)rng_u32(&rng) * i) >> 32), t = d->order[i - 1];
        d->order[i - 1] = d->order[k];
        d->order[k] = t;
    }
}

void pack_init(struct pack *p, size_t n)
{
    *p = (struct pack){
        .doc_tokens = alloc_or_die(n, sizeof *p->doc_tokens),
        .token = alloc_or_die(n, sizeof *p->token),
        .target = alloc_or_die(n, sizeof *p->target),
        .weight = alloc_or_die(n, sizeof *p->weight),
    };
}

static void pack_add(struct pack *p, const uint16_t *token, size_t n, float uncounted_weight)
{
    p->doc_tokens[p->docs++] = n;
    for (size_t i = 0; i < n; i++, p->tokens++) {
        p->token[p->tokens] = token[i] & (DATA_UNCOUNTED - 1);
        p->target[p->tokens] = token[i + 1] & (DATA_UNCOUNTED - 1);
        p->weight[p->tokens] = token[i + 1] & DATA_UNCOUNTED ? uncounted_weight : 1;
    }
}

void data_next(struct data *d, struct data_place *place, struct pack *pack, size_t tokens_max,
               size_t ctx, float uncounted_weight)
{
    pack->tokens = pack->docs = 0;
    if (place->doc >= d->docs) {
        place->doc = 0;
        place->epoch++;
    }
    if (d->ordered_epoch != place->epoch + 1)
        shuffle(d, place);
    while (place->doc < d->docs) {
        uint32_t at = d->order[place->doc];
        size_t n = d->start[at + 1] - d->start[at];
        n = n > 1 ? n - 1 : 0; // the last token is only a target
        n = n > ctx ? ctx : n;
        if (pack->tokens + n > tokens_max)
            return;
        if (n)
            pack_add(pack, d->token + d->start[at], n, uncounted_weight);
        place->doc++;
    }
}
