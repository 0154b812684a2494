// How long the rows of prompts take by how many they are, as measured, and how many of them a step
// may compute. Not a line through zero: a pass reads all weights however few its rows are, and
// kernels differ by size. Pure: no clock, no thread; the scheduler's.
#pragma once

#include <stdbool.h>

#include "base/base.h"

enum { PACE_SIZES = 18 };

// What sizes of about so many rows took.
struct pace_point {
    double rows, us, weight; // weight: of what was measured lately; too little is forgotten
};

struct pace {
    struct pace_point points[PACE_SIZES];
};

// When one size has become slower or faster (positions lie deeper, the machine is shared), so have
// all: what is known of the others moves along.
void pace_note(struct pace *p, uint32_t rows, double us);
bool pace_is_known(const struct pace *p);
// The expected time; 0 when nothing was measured.
double pace_us(const struct pace *p, uint32_t rows);
// The most rows that are expected to take no longer, but no more than twice of what was tried.
uint32_t pace_rows(const struct pace *p, double us);

// A step about to be filled.
struct pace_step {
    const struct pace *alone;  // steps of prompts alone: their time
    const struct pace *beside; // steps with answers in them: what prompts added
    double usual_us;           // of this step without prompts; 0: nobody answers, or unknown
    uint32_t n_prompts;        // that are not done
};
// How many rows prompts may have. Beside answers: as many as keep a stream's gap within about twice
// its usual one if one prompt waits; the more wait, the more of the time is theirs, up to a tenth
// of a second. Without: what takes as long as one would want to wait for a cancelled request.
uint32_t pace_prompt_rows(const struct pace_step *s);
// How long the step may take in all where a prompt's rows are computed in stages, which end by the
// clock; 0: nobody answers.
uint64_t pace_step_us(const struct pace_step *s);
