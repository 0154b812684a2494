// Tables of options: one table a struct serves the configuration file (YAML), the command line, the
// defaults, the reference page, the shell completion and the man page. A row says name, type,
// range, default and help; the value lands at `offset` in the caller's struct. Secrets are given
// only by reference: {env: NAME} or {file: PATH}, or "${NAME}" as a whole value.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/yaml.h"

enum option_type {
    OPTION_BOOL,     // bool
    OPTION_INT,      // int64_t, [min,max]
    OPTION_FLOAT,    // double, [min,max]
    OPTION_STRING,   // str
    OPTION_SECRET,   // str, resolved; printed as "***"
    OPTION_DURATION, // int64_t milliseconds: "500ms" "30s" "5m" "1h"
    OPTION_BYTES,    // int64_t bytes: "64kB" "16MiB"; a plain number is bytes
    OPTION_CHOICE,   // int64_t index into choices
    OPTION_STRINGS,  // struct option_strings
    OPTION_TABLE,    // a nested struct described by `table`
    OPTION_TABLES, // struct option_items: a list of structs described by `table`, or a map keyed by
                   // name (first field `str name`)
};

struct option_strings {
    str *items;
    size_t len;
};

struct option_items {
    void *items;
    size_t len;
};

struct option {
    const char *name; // "body_bytes_max"; NULL ends the table
    enum option_type type;
    size_t offset;
    const char *value; // default as text, as one would write it in the file; NULL = zero/empty
    double min, max;   // INT, FLOAT, DURATION (ms), BYTES; both 0 = unchecked
    const char *const *choices; // NULL-ended
    const char *arg;            // metavariable for help: "HOST:PORT"
    const char *help;           // one or two plain sentences
    const struct option *table; // TABLE, TABLES
    size_t table_size;          // sizeof of the nested struct
    bool repeated;              // command line: may be given more than once (STRINGS)
    char short_name;            // command line: 'c' or 0
};

// Fill `target` with the table's defaults (strings point into the table or the arena).
enum err option_defaults(const struct option *table, void *target, struct arena *arena,
                         struct diag *d) MUST_USE;
// Read a YAML mapping over the defaults. Unknown key: ERR_INVALID with line, column and the nearest
// known key. `map` may be NULL.
enum err option_from_yaml(const struct option *table, const struct yaml_node *map, void *target,
                          struct arena *arena, struct diag *d) MUST_USE;
// Set one option from text (a command-line value); same checks. `row` is a row of its table.
enum err option_set(const struct option *row, str text, void *target, struct arena *arena,
                    struct diag *d) MUST_USE;
// Row by name, or NULL; nearest name for "did you mean", or NULL when nothing is near.
const struct option *option_find(const struct option *table, str name);
const char *option_nearest(const struct option *table, str name);
// Write the values as YAML (secrets hidden), the table as a Markdown reference, or as a JSON
// Schema.
enum err option_show(const struct option *table, const void *target, struct buf *out) MUST_USE;
enum err option_markdown(const struct option *table, const char *path, struct buf *out) MUST_USE;
enum err option_json_schema(const struct option *table, struct buf *out) MUST_USE;
