// The parts of Anthropic's upstream dialect. Pure; any thread.
#pragma once

#include "dialect/upstream_reader.h"

// upstream_anthropic_write.c: "system" and "messages"; "tools" and "tool_choice".
bool upstream_anthropic_write_conversation(struct upstream_writing *w, struct json_writer *j);
void upstream_anthropic_write_tools(struct upstream_writing *w, struct json_writer *j);
