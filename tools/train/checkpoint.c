#include "checkpoint.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, HEAD_WORDS = 10 };

void checkpoint_save(const struct checkpoint *c, const char *path)
{
    char part[4096];
    struct shape s = c->layout.shape;
    uint64_t head[HEAD_WORDS] = {VERSION, s.vocab, s.ctx,         s.width,        s.layers,
                                 s.heads, c->step, c->place.seed, c->place.epoch, c->place.doc};
    size_t n = c->layout.total;
    snprintf(part, sizeof part, "%s.part", path);
    FILE *f = fopen(part, "wb");
    if (!f || fwrite("WEIR", 1, 4, f) != 4 || fwrite(head, 8, HEAD_WORDS, f) != HEAD_WORDS ||
        fwrite(c->params, 4, n, f) != n || fwrite(c->moment1, 4, n, f) != n ||
        fwrite(c->moment2, 4, n, f) != n || fclose(f) || rename(part, path)) {
        perror(path);
        exit(1);
    }
}

void checkpoint_load(struct checkpoint *c, const char *path)
{
    char magic[4];
    uint64_t head[HEAD_WORDS];
    FILE *f = fopen(path, "rb");
    if (!f || fread(magic, 1, 4, f) != 4 || memcmp(magic, "WEIR", 4) ||
        fread(head, 8, HEAD_WORDS, f) != HEAD_WORDS || head[0] != VERSION) {
        fprintf(stderr, "%s: not a checkpoint of this trainer\n", path);
        exit(1);
    }
    layout_init(&c->layout, (struct shape){head[1], head[2], head[3], head[4], head[5]});
    c->step = head[6];
    c->place = (struct data_place){head[7], head[8], head[9]};
    size_t n = c->layout.total;
    c->params = alloc_or_die(n, sizeof(float));
    c->moment1 = alloc_or_die(n, sizeof(float));
    c->moment2 = alloc_or_die(n, sizeof(float));
    if (fread(c->params, 4, n, f) != n || fread(c->moment1, 4, n, f) != n ||
        fread(c->moment2, 4, n, f) != n) {
        fprintf(stderr, "%s: cut short\n", path);
        exit(1);
    }
    fclose(f);
}
