// The store, as verbs open it that work on it themselves (`weir key`, `weir explain`).
#pragma once

#include "cli/command.h"
#include "store/db.h"

// First in such a verb's options.
struct store_verb_options {
    str config, store;
    bool json;
};

// Their rows, to begin or end a verb's table with.
#define STORE_VERB_ROWS                                                                            \
    {.name = "config",                                                                             \
     .type = OPTION_STRING,                                                                        \
     .offset = offsetof(struct store_verb_options, config),                                        \
     .arg = "FILE",                                                                                \
     .short_name = 'c',                                                                            \
     .help = "The configuration that says where the store is. Default: $WEIR_CONFIG, else none."}, \
        {.name = "store",                                                                          \
         .type = OPTION_STRING,                                                                    \
         .offset = offsetof(struct store_verb_options, store),                                     \
         .arg = "FILE",                                                                            \
         .help = "The store itself, instead of the configuration's."},                             \
        {.name = "json",                                                                           \
         .type = OPTION_BOOL,                                                                      \
         .offset = offsetof(struct store_verb_options, json),                                      \
         .help = "Print JSON that a program can read."}

extern const struct option store_verb_option_table[]; // those rows alone

// Opens the store that the options mean, brought up to this version. False: it was said why, and
// *ret_status is what the verb ends with.
bool open_store(struct command_call *call, enum db_open_mode mode, struct db *ret, int *ret_status);
