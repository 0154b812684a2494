#include "vocab.h"
#include "model.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *const special_names[VOCAB_SPECIALS] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

size_t vocab_size(const struct vocab *v)
{
    return VOCAB_BYTES + v->merges + VOCAB_SPECIALS;
}

uint16_t vocab_special(const struct vocab *v, enum special s)
{
    return (uint16_t)(VOCAB_BYTES + v->merges + s);
}

static int printable(unsigned b) // the bytes that GPT-2 writes as themselves come first
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

uint8_t vocab_id_byte(uint16_t id)
{
    unsigned seen = 0;
    for (int pass = 1; pass >= 0; pass--)
        for (unsigned b = 0; b < 256; b++)
            if (printable(b) == pass && seen++ == id)
                return (uint8_t)b;
    return 0;
}

uint16_t vocab_byte_id(uint8_t byte)
{
    static uint16_t id_of[256];
    static int ready;
    if (!ready) {
        for (uint16_t id = 0; id < 256; id++)
            id_of[vocab_id_byte(id)] = id;
        ready = 1;
    }
    return id_of[byte];
}

size_t vocab_bytes(const struct vocab *v, uint16_t id, uint8_t *ret_bytes, size_t max)
{
    if (id < VOCAB_BYTES) {
        if (max)
            ret_bytes[0] = vocab_id_byte(id);
        return max ? 1 : 0;
    }
    const uint16_t *m = v->merge[id - VOCAB_BYTES];
    size_t n = vocab_bytes(v, m[0], ret_bytes, max);
    return n + vocab_bytes(v, m[1], ret_bytes + n, max - n);
}

static int letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 128;
}

static int blank(char c)
{
    return isspace((unsigned char)c);
}

static int digit(char c)
{
    return c >= '0' && c <= '9';
}

static int other(char c)
{
    return !letter(c) && !blank(c) && !digit(c);
}

static size_t contraction(const char *s, size_t left)
{
    static const char *const tails[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        size_t n = strlen(tails[i]);
        if (n <= left && !memcmp(s, tails[i], n))
            return n;
    }
    return 0;
}

static size_t blanks(const char *s, size_t left)
{
    size_t n = 0;
    while (n < left && blank(s[n]))
        n++;
    return n > 1 && n < left ? n - 1 : n; // the last blank belongs to what follows: \s+(?!\S)|\s+
}

size_t vocab_piece(const char *s, size_t left)
{
    size_t n = contraction(s, left);
    if (n)
        return n;
    size_t at = left > 1 && s[0] == ' ' && !blank(s[1]) ? 1 : 0;
    if (blank(s[at]))
        return blanks(s, left);
    int (*kind)(char) = letter(s[at]) ? letter : digit(s[at]) ? digit : other;
    for (n = at; n < left && kind(s[n]);)
        n++;
    return n;
}

void vocab_save(const struct vocab *v, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fprintf(f, "weir-bpe 1 %zu\n", v->merges);
    for (size_t i = 0; i < v->merges; i++)
        fprintf(f, "%u %u\n", v->merge[i][0], v->merge[i][1]);
    if (fclose(f)) {
        perror(path);
        exit(1);
    }
}

void vocab_load(struct vocab *v, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "weir-bpe 1 %zu", &v->merges) != 1 ||
        v->merges > VOCAB_MAX - VOCAB_BYTES - VOCAB_SPECIALS) {
        fprintf(stderr, "%s: not a vocabulary written by bpe\n", path);
        exit(1);
    }
    v->merge = alloc_or_die(v->merges, sizeof *v->merge);
    for (size_t i = 0; i < v->merges; i++)
        if (fscanf(f, "%hu %hu", &v->merge[i][0], &v->merge[i][1]) != 2 ||
            v->merge[i][0] >= VOCAB_BYTES + i || v->merge[i][1] >= VOCAB_BYTES + i) {
            fprintf(stderr, "%s: merge %zu is not two earlier ids\n", path, i);
            exit(1);
        }
    fclose(f);
}

long corpus_next(FILE *f, char **line, size_t *capacity, char **ret_text)
{
    ssize_t n = getline(line, capacity, f);
    if (n <= 0)
        return -1;
    char *end = *line + n, *in = memchr(*line, '\t', (size_t)n);
    in = in ? in + 1 : *line;
    char *out = in;
    *ret_text = in;
    while (in < end && *in != '\n') {
        if (*in == '\\' && in + 1 < end) {
            in++;
            *out++ = *in == 'n' ? '\n' : *in;
        } else {
            *out++ = *in;
        }
        in++;
    }
    return out - *ret_text;
}
