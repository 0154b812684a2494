// Tools of a request: what every dialect checks of them, whatever shape they come in. Pure; any
// thread.
#pragma once

#include "dialect/field.h"

// The array of the member `tools` into request->tools, each item by read_one into a struct
// exchange_tool; and that of `tool_calls` into the message, each into a struct exchange_tool_call.
bool tools_read(struct reader *r, yyjson_val *v, field_item *read_one);
bool tools_read_calls(struct reader *r, yyjson_val *v, field_item *read_one,
                      struct exchange_message *m);
bool tools_read_name(struct reader *r, const char *path, yyjson_val *v, str *ret);
bool tools_read_schema(struct reader *r, const char *path, yyjson_val *v, yyjson_val **ret);
// The arguments of a call as an object: what the model wrote, where it is one; nothing is {}; what
// is no object is wrapped, {"arguments":"…"}, so that it is not lost.
void tools_write_arguments(struct json_writer *w, str arguments);
// A call must be made, but there is nothing to call, or not what was named.
bool tools_check_choice(struct reader *r, const char *choice_path, const char *name_path);
