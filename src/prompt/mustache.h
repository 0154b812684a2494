// The mustache template language without logic: variables, sections, inverted sections, comments,
// partials, set delimiters, as the official specification's required parts say (version 1.4). Data
// is JSON. Owner of a compiled template: whoever made it; immutable, so any thread may render.
// Limits: 1 MiB of source, 64 open sections, 32 partials inside each other, `steps_max` tags and
// pieces of text a rendering; the output is as large as its buffer may be.
//
// False are: what is missing, null, false, an empty string, an empty list. A number is written as
// it stands, an object or a list as JSON.
#pragma once

#include "base/buf.h"
#include "base/json.h"

struct mustache;

// What {{name}} does to special characters. {{{name}}} and {{&name}} never change any.
enum mustache_escape { MUSTACHE_ESCAPE_NONE, MUSTACHE_ESCAPE_HTML, MUSTACHE_ESCAPE_JSON };

struct mustache_options {
    enum mustache_escape escape;
    const struct mustache *(*partial)(void *ctx, str name); // NULL: there are none
    void *ctx;
    uint64_t steps_max; // 0: ten million
};

// The source is copied. ERR_PARSE or ERR_LIMIT with line and column.
enum err mustache_new(str source, struct mustache **ret, struct diag *d) MUST_USE;
void mustache_free(struct mustache *t);
// ERR_LIMIT: too much output, too many steps, partials too deep. What was written stays in `out`.
enum err mustache_render(const struct mustache *t, yyjson_val *data,
                         const struct mustache_options *o, struct buf *out,
                         struct diag *d) MUST_USE;

// What a template names, in order: for checks before it is used.
enum mustache_mention_kind {
    MUSTACHE_VARIABLE,
    MUSTACHE_SECTION,
    MUSTACHE_INVERTED,
    MUSTACHE_END, // of the innermost section; no name
    MUSTACHE_PARTIAL
};
struct mustache_mention {
    enum mustache_mention_kind kind;
    str name;
    uint32_t line, col;
};
// Start with *cursor = 0; false at the end.
bool mustache_next(const struct mustache *t, size_t *cursor, struct mustache_mention *ret);
