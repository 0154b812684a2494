// What the two files of machines share: regex.c makes them, machine.c lays them.
#pragma once

#include "engine/grammar/machine.h"

enum move_kind { MOVE_NOTHING, MOVE_SET, MOVE_BEGIN, MOVE_END };

struct move {
    uint32_t from, to;
    uint32_t set; // MOVE_SET
    uint8_t kind;
};

struct machine {
    struct move *moves; // sorted by where they start once it is made
    size_t n_moves, moves_cap;
    uint32_t *first; // moves of state s: [first[s], first[s + 1])
    struct charset *sets;
    size_t n_sets, sets_cap;
    uint32_t n_states, start, end;
    bool full;
};

uint32_t machine_state(struct machine *m);
void machine_move(struct machine *m, enum move_kind kind, uint32_t from, uint32_t to);
// Takes the set, which is settled here.
void machine_move_set(struct machine *m, uint32_t from, uint32_t to, struct charset *set);
void machine_finish(struct machine *m);
