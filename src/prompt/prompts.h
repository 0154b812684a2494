// The prompts of a folder: every NAME@VERSION.yaml in it, read and checked at once. Immutable;
// any thread. Limits: 1024 files.
#pragma once

#include "prompt/prompt.h"

struct prompts;

// ERR_INVALID, ERR_PARSE… name the file with line and column; ERR_IO when there is no such folder.
enum err prompts_load(const char *folder, struct prompts **ret, struct diag *d) MUST_USE;
void prompts_free(struct prompts *p); // NULL is fine
size_t prompts_len(const struct prompts *p);
const struct prompt *prompts_at(const struct prompts *p, size_t i); // by name, then version
// `version` empty: the latest. NULL: there is none.
const struct prompt *prompts_find(const struct prompts *p, str name, str version);
bool prompts_is_latest(const struct prompts *p, size_t i);
// A version's parts are compared as numbers where both are: 2 < 10, 1.9 < 1.10, 1 < 1a.
int prompts_compare_versions(str a, str b);
// {"object":"list","data":[…]} of all, for GET /v1/prompts and `weir prompt list --json`.
void prompts_write(const struct prompts *p, struct buf *out);
