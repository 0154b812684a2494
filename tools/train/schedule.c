#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>

void schedule_add(struct schedule *s, uint64_t step, double rate)
{
    if (s->count == SCHEDULE_MAX) {
        fprintf(stderr, "more than %d changes of the rate\n", SCHEDULE_MAX);
        exit(1);
    }
    s->entry[s->count].step = step;
    s->entry[s->count++].rate = rate;
}

void schedule_save(const struct schedule *s, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    for (size_t i = 0; i < s->count; i++)
        fprintf(f, "%llu %a\n", (unsigned long long)s->entry[i].step, s->entry[i].rate);
    if (fclose(f)) {
        perror(path);
        exit(1);
    }
}

void schedule_load(struct schedule *s, const char *path)
{
    unsigned long long step;
    double rate;
    FILE *f = fopen(path, "r");
    s->count = 0;
    while (f && fscanf(f, "%llu %la", &step, &rate) == 2)
        schedule_add(s, step, rate);
    if (!f || !feof(f) || !s->count || s->entry[s->count - 1].rate > 0) {
        fprintf(stderr, "%s: not a schedule with its end\n", path);
        exit(1);
    }
    fclose(f);
}

double schedule_rate(const struct schedule *s, uint64_t step)
{
    double rate = s->entry[0].rate;
    for (size_t i = 0; i < s->count && s->entry[i].step <= step; i++)
        rate = s->entry[i].rate;
    return rate;
}
