// "NAME|FILE, or nothing for the bundled model", as every verb that needs a model understands it.
#pragma once

#include "base/arena.h"
#include "engine/engine.h"
#include "engine/format/model_file.h"
#include "gateway/config.h"

// The value of --device: ERR_INVALID unless it is empty, "cpu", "cuda" or "cuda:N". Asks no device.
enum err model_choice_check_device(str device, struct diag *d) MUST_USE;
// For reading metadata only. Empty name: the bundled model.
enum err model_choice_open_file(struct arena *a, str name_or_file, struct model_file **ret,
                                struct diag *d) MUST_USE;
// What engine_model_load wants. The name that clients use: the file's name without ".gguf", or the
// bundled model's.
enum err model_choice_options(struct arena *a, str name_or_file, struct engine_model_options *ret,
                              struct diag *d) MUST_USE;
// The same for a model of the configuration. What is wrong begins with its name.
enum err model_choice_configured(struct arena *a, const struct gateway_config *c,
                                 const struct gateway_model *m, struct engine_model_options *ret,
                                 struct diag *d) MUST_USE;
// An error is about this model: its place begins with the model's name, and has its source.
void model_choice_name_error(const struct gateway_model *m, const struct engine_model_options *o,
                             struct diag *d);
