// Guessing tokens ahead, so that one pass over the weights checks several (ENG-9). A guess changes
// no token and no bit: its rows compute the same logits as they would one by one, each token is
// drawn with the random number of its own position, and a guessed token stands only where the drawn
// one is the same. Rejected rows leave K and V behind that the next step overwrites; blocks are
// published when all their tokens are drawn.
//
// Guesses come from what the client says the answer may be (prediction.h), from a draft model
// (drafter.h), or are looked up: what followed the last tokens when they stood in the text before.
// How many are guessed is a matter of money: as long as the chance of a further row is worth more
// tokens than its time costs, by the acceptance of this sequence and the speed of this model as
// measured. A full batch therefore guesses nothing. Owner: the scheduler thread.
#pragma once

#include <stdbool.h>

#include "base/base.h"

struct lane;
struct step;

enum {
    DRAFT_TOKENS_DEFAULT = 8,
    DRAFT_TOKENS_MAX = 16, // of one sequence in a step
    DRAFT_ROWS_MAX = 32,   // of a step: what answers take, guesses included
    GUESS_CLASSES = 4,     // of matches, by their length
    GUESS_MATCH_MIN = 2,
    GUESS_MATCH_MAX = 16,
};

// How guesses fare in one sequence: recent ones count more.
struct guess_record {
    float tried, hit;
};

struct guesser {
    struct guess_record records[GUESS_CLASSES];
    uint32_t found_at, found_len, found_class; // of this step
    bool found_in_prediction;                  // and not in the text
};

// How many of the last of `n` tokens agree with those before text[end]: GUESS_MATCH_MAX at most.
uint32_t guess_match(const int32_t *text, uint32_t end, const int32_t *tokens, uint32_t n);
// What followed the last tokens where they stood before: the longest match, of the equally long the
// latest. False when they stood nowhere; else the guess is what stands from *ret_at on.
bool guess_lookup(const int32_t *tokens, uint32_t n, uint32_t *ret_at, uint32_t *ret_match);
// The chance that one more token of such a guess is right.
double guess_chance(const struct guesser *g, uint32_t class);
void guess_note(struct guesser *g, uint32_t class, uint32_t tried, uint32_t hit);

// How long a step takes by its rows: a line through recent steps.
struct step_speed {
    double weight, rows, us, rows_rows, rows_us; // decayed sums
};
void speed_note(struct step_speed *s, uint32_t rows, double measured_us);
// *ret_us of a step without rows, and of each row; false as long as nothing was measured.
bool speed_get(const struct step_speed *s, double *ret_us, double *ret_us_per_row);

// Puts guesses behind the tokens of the sequences of the step that generate (seq.n_draft).
void speculate(struct lane *l, struct step *s);
