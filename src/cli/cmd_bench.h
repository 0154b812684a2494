// The verbs under `weir bench`.
#pragma once

#include "cli/command.h"

extern const struct command cmd_bench_machine;
