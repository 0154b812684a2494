// What `weir doctor` looks at, and how a finding is told. Findings of the engine and the
// configuration live in files of their own.
#pragma once

#include "base/arena.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WRONG };

struct doctor;

// One finding: what was looked at, what was seen, and what to do about it (NULL when nothing).
void doctor_say(struct doctor *doc, enum doctor_verdict v, const char *what, const char *detail,
                const char *remedy);

// The bundled model answers on every instruction set of this machine, and they agree.
void doctor_check_engine(struct doctor *doc, struct arena *arena);
// The configuration file reads, and its address can be listened on. Empty path: the defaults.
void doctor_check_config(struct doctor *doc, struct arena *arena, str path);
