// A smaller model with the same vocabulary that guesses what a model will say (speculate.h). It has
// K and V of its own, on the same budget, and is loaded for that one model. It draws with the
// random numbers, penalties and bans of the sequence it guesses for, so that guesses come true at
// any temperature as often as the two models agree. What it gets wrong costs time and nothing else:
// an error of its own only ends the guessing of a step. Owner: the scheduler thread.
#pragma once

#include "base/err.h"
#include "engine/kv.h"
#include "engine/speculate.h"

struct drafter;
struct engine_model_options;
struct engine_job;
struct model_file;
struct model_options;
struct scheduler;
struct sequence;
struct team;

// Its share of a sequence.
struct draft_state {
    uint32_t *blocks;
    uint32_t n_blocks, blocks_cap;
    uint32_t n_done; // keys and values of positions below are in its blocks
};

// draft_path or draft_image.
enum err drafter_open_file(const struct engine_model_options *o, struct model_file **ret,
                           struct diag *d) MUST_USE;
// ERR_INVALID: its vocabulary is not that of `main`.
enum err drafter_check_file(const struct model_file *main, const struct model_file *f,
                            struct diag *d) MUST_USE;
// Opens its weights. ERR_INVALID: its vocabulary is not that of `main`.
enum err drafter_new(const struct engine_model_options *o, const struct model_file *main,
                     const struct model_options *mo, struct scheduler *s, struct drafter **ret,
                     struct diag *d) MUST_USE;
void drafter_free(struct drafter *dr); // nothing is drafted any more

uint64_t drafter_weight_bytes(const struct drafter *dr);
const struct step_speed *drafter_speed(const struct drafter *dr);
// Reads what the sequence said without it, within the rows a step has for that. True: one row more
// gives a guess.
bool drafter_catch_up(struct drafter *dr, const struct lane *l, struct sequence *q,
                      uint32_t *rows_left);
// Up to `rounds` tokens behind those of each sequence of the step that has found_len.
void drafter_guess(struct drafter *dr, const struct lane *l, struct step *s, uint32_t rounds);
// The sequence has drawn its tokens: what was computed from guesses beyond them is void. To be
// called before any further token.
void drafter_settle(struct sequence *q);
// Gives its blocks back; false when it had none.
bool drafter_forget(struct drafter *dr, struct sequence *q);
