// bpe train SIZE corpus.txt vocab      learns a vocabulary of SIZE ids
// bpe encode vocab corpus.txt out.bin  turns a corpus into tokens for the trainer (format: data.h)
#include "data.h"
#include "model.h"
#include "vocab.h"

#include <stdlib.h>
#include <string.h>

struct word { // a distinct piece of text with its symbols so far
    uint16_t *symbol;
    size_t symbols;
    uint64_t count;
    uint32_t hash;
};

struct words { // open addressing by hash of the bytes; a word's own bytes are kept for encoding
    struct word *slot;
    char **text;
    size_t *text_bytes;
    size_t capacity, used;
};

static uint32_t hash_bytes(const char *s, size_t n) // FNV-1a
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 16777619U;
    return h;
}

static void words_init(struct words *w)
{
    w->capacity = 1 << 20;
    w->used = 0;
    w->slot = alloc_or_die(w->capacity, sizeof *w->slot);
    w->text = alloc_or_die(w->capacity, sizeof *w->text);
    w->text_bytes = alloc_or_die(w->capacity, sizeof *w->text_bytes);
}

static struct word *words_get(struct words *w, const char *s, size_t n)
{
    uint32_t h = hash_bytes(s, n);
    size_t i = h & (w->capacity - 1);
    while (w->text[i] && (w->text_bytes[i] != n || memcmp(w->text[i], s, n)))
        i = (i + 1) & (w->capacity - 1);
    if (!w->text[i]) {
        if (++w->used > w->capacity / 2) {
            fprintf(stderr, "more than %zu distinct words\n", w->capacity / 2);
            exit(1);
        }
        w->text[i] = alloc_or_die(n, 1);
        memcpy(w->text[i], s, n);
        w->text_bytes[i] = n;
        w->slot[i].symbol = alloc_or_die(n, sizeof(uint16_t));
        w->slot[i].symbols = n;
        for (size_t k = 0; k < n; k++)
            w->slot[i].symbol[k] = vocab_byte_id((uint8_t)s[k]);
    }
    return &w->slot[i];
}

// The special token that the text starts with here, or -1.
static int special_at(const char *s, size_t left)
{
    for (int i = 0; i < VOCAB_SPECIALS; i++) {
        size_t n = strlen(special_names[i]);
        if (left >= n && !memcmp(s, special_names[i], n))
            return i;
    }
    return -1;
}

// Bytes of ordinary text before the next special token.
static size_t plain_run(const char *s, size_t left)
{
    size_t n = 0;
    while (n < left && special_at(s + n, left - n) < 0)
        n++;
    return n;
}

static void count_text(struct words *w, const char *s, size_t left)
{
    while (left) {
        int special = special_at(s, left);
        size_t run = special >= 0 ? strlen(special_names[special]) : plain_run(s, left);
        for (size_t at = 0; special < 0 && at < run;) {
            size_t n = vocab_piece(s + at, run - at);
            words_get(w, s + at, n)->count++;
            at += n;
        }
        s += run;
        left -= run;
    }
}

struct pairs {
    size_t size;    // ids that may occur
    int64_t *count; // [left * size + right]
    uint32_t *list; // pairs ever seen
    uint8_t *listed;
    size_t listed_count, list_capacity;
};

static int is_digit_id(uint16_t id)
{
    return id < VOCAB_BYTES && vocab_id_byte(id) >= '0' && vocab_id_byte(id) <= '9';
}

static void pairs_add(struct pairs *p, uint16_t a, uint16_t b, int64_t n)
{
    size_t i = a * p->size + b;
    p->count[i] += n;
    if (p->listed[i] || is_digit_id(a) || is_digit_id(b))
        return;
    p->listed[i] = 1;
    if (p->listed_count == p->list_capacity) {
        p->list_capacity = p->list_capacity ? 2 * p->list_capacity : 1 << 16;
        p->list = realloc(p->list, p->list_capacity * sizeof *p->list);
        if (!p->list)
            exit(1);
    }
    p->list[p->listed_count++] = (uint32_t)i;
}

static void pairs_of_word(struct pairs *p, const struct word *w, int64_t sign)
{
    for (size_t k = 0; k + 1 < w->symbols; k++)
        pairs_add(p, w->symbol[k], w->symbol[k + 1], sign * (int64_t)w->count);
}

static int word_merge(struct word *w, uint16_t a, uint16_t b, uint16_t made)
{
    size_t out = 0;
    for (size_t k = 0; k < w->symbols; k++, out++) {
        int hit = k + 1 < w->symbols && w->symbol[k] == a && w->symbol[k + 1] == b;
        w->symbol[out] = hit ? made : w->symbol[k];
        k += (size_t)hit;
    }
    int changed = out != w->symbols;
    w->symbols = out;
    return changed;
}

static int word_has(const struct word *w, uint16_t a, uint16_t b)
{
    for (size_t k = 0; k + 1 < w->symbols; k++)
        if (w->symbol[k] == a && w->symbol[k + 1] == b)
            return 1;
    return 0;
}

static size_t best_pair(const struct pairs *p) // most frequent; among equals the lowest ids
{
    size_t best = p->list[0];
    for (size_t i = 1; i < p->listed_count; i++) {
        size_t at = p->list[i];
        if (p->count[at] > p->count[best] || (p->count[at] == p->count[best] && at < best))
            best = at;
    }
    return best;
}

static void learn(struct vocab *v, struct words *words, size_t merges)
{
    struct pairs p = {.size = VOCAB_BYTES + merges};
    p.count = alloc_or_die(p.size * p.size, sizeof *p.count);
    p.listed = alloc_or_die(p.size * p.size, 1);
    for (size_t i = 0; i < words->capacity; i++)
        pairs_of_word(&p, &words->slot[i], 1);
    v->merge = alloc_or_die(merges, sizeof *v->merge);
    for (v->merges = 0; v->merges < merges; v->merges++) {
        size_t best = best_pair(&p);
        uint16_t a = (uint16_t)(best / p.size), b = (uint16_t)(best % p.size);
        if (p.count[best] < 2)
            break;
        v->merge[v->merges][0] = a;
        v->merge[v->merges][1] = b;
        for (size_t i = 0; i < words->capacity; i++) {
            struct word *w = &words->slot[i];
            if (!w->symbols || !word_has(w, a, b))
                continue;
            pairs_of_word(&p, w, -1);
            word_merge(w, a, b, (uint16_t)(VOCAB_BYTES + v->merges));
            pairs_of_word(&p, w, 1);
        }
    }
    free(p.count);
    free(p.list);
    free(p.listed);
}

static FILE *open_or_die(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

static int train(size_t size, const char *corpus, const char *out)
{
    struct words words;
    struct vocab v = {0};
    char *line = NULL, *text = NULL;
    size_t capacity = 0;
    FILE *f = open_or_die(corpus, "r");
    words_init(&words);
    for (long n; (n = corpus_next(f, &line, &capacity, &text)) >= 0;)
        count_text(&words, text, (size_t)n);
    fclose(f);
    learn(&v, &words, size - VOCAB_BYTES - VOCAB_SPECIALS);
    vocab_save(&v, out);
    printf("%zu distinct words, %zu merges, vocabulary %zu\n", words.used, v.merges,
           vocab_size(&v));
    return 0;
}

struct encoder {
    struct vocab vocab;
    uint16_t *rank; // [left * ids + right] -> made id, 0 = no merge
    size_t ids;
    struct words words;
};

static void encoder_init(struct encoder *e, const char *path)
{
    vocab_load(&e->vocab, path);
    e->ids = VOCAB_BYTES + e->vocab.merges;
    e->rank = alloc_or_die(e->ids * e->ids, sizeof *e->rank);
    for (size_t i = 0; i < e->vocab.merges; i++)
        e->rank[e->vocab.merge[i][0] * e->ids + e->vocab.merge[i][1]] = (uint16_t)(VOCAB_BYTES + i);
    words_init(&e->words);
}

static const struct word *encode_word(struct encoder *e, const char *s, size_t n)
{
    struct word *w = words_get(&e->words, s, n);
    if (w->count++)
        return w;
    for (;;) {
        uint16_t best = UINT16_MAX;
        for (size_t k = 0; k + 1 < w->symbols; k++) {
            uint16_t made = e->rank[w->symbol[k] * e->ids + w->symbol[k + 1]];
            best = made && made < best ? made : best;
        }
        if (best == UINT16_MAX)
            return w;
        const uint16_t *m = e->vocab.merge[best - VOCAB_BYTES];
        word_merge(w, m[0], m[1], best);
    }
}

// Everything counts in plain text; in a chat only what the assistant says and its end mark.
static void encode_text(struct encoder *e, struct data_writer *out, const char *s, size_t left)
{
    static const char reply[] = "<|im_start|>assistant\n";
    int chat = special_at(s, left) == SPECIAL_START, counts = !chat;
    const char *reply_from = NULL;
    while (left) {
        int special = special_at(s, left);
        if (special >= 0) {
            size_t n = strlen(special_names[special]);
            data_writer_token(out, vocab_special(&e->vocab, (enum special)special), counts);
            if (chat)
                counts = 0;
            if (left >= sizeof reply - 1 && !memcmp(s, reply, sizeof reply - 1))
                reply_from = s + sizeof reply - 1;
            s += n;
            left -= n;
            continue;
        }
        size_t run = plain_run(s, left);
        for (size_t at = 0; at < run;) {
            size_t n = vocab_piece(s + at, run - at);
            if (chat && reply_from)
                counts = s + at >= reply_from;
            const struct word *w = encode_word(e, s + at, n);
            for (size_t k = 0; k < w->symbols; k++)
                data_writer_token(out, w->symbol[k], counts);
            at += n;
        }
        reply_from = NULL;
        s += run;
        left -= run;
    }
}

static int encode(const char *vocab, const char *corpus, const char *path)
{
    struct encoder e = {0};
    struct data_writer out;
    char *line = NULL, *text = NULL;
    size_t capacity = 0, chars = 0;
    encoder_init(&e, vocab);
    data_writer_init(&out, path, vocab_size(&e.vocab));
    FILE *f = open_or_die(corpus, "r");
    for (long n; (n = corpus_next(f, &line, &capacity, &text)) >= 0;) {
        data_writer_doc(&out);
        encode_text(&e, &out, text, (size_t)n);
        chars += (size_t)n;
    }
    fclose(f);
    size_t tokens = data_writer_done(&out);
    printf("%s: %zu tokens, %.3f characters a token\n", path, tokens,
           (double)chars / (double)(tokens ? tokens : 1));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "train")) {
        long size = strtol(argv[2], NULL, 10);
        if (size > VOCAB_BYTES + VOCAB_SPECIALS && size < VOCAB_MAX)
            return train((size_t)size, argv[3], argv[4]);
    }
    if (argc == 5 && !strcmp(argv[1], "encode"))
        return encode(argv[2], argv[3], argv[4]);
    fprintf(stderr, "usage: bpe train SIZE corpus.txt vocab\n"
                    "       bpe encode vocab corpus.txt out.bin\n");
    return 2;
}
