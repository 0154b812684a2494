// The learning rates of a run as a file, so that a run that was bounded by the clock can be done
// again.
//
// One line a change: the step from which on, and the rate as a hexadecimal float. A last line with
// rate 0 ends the run.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SCHEDULE_MAX = 4096 };

struct schedule {
    size_t count;
    struct {
        uint64_t step;
        double rate;
    } entry[SCHEDULE_MAX];
};

void schedule_add(struct schedule *s, uint64_t step, double rate);
void schedule_save(const struct schedule *s, const char *path);
void schedule_load(struct schedule *s, const char *path);      // exits with a message on a bad file
double schedule_rate(const struct schedule *s, uint64_t step); // 0 from the end on
