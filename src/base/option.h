// Tables of options: one table a struct serves the configuration file (YAML), the command line, the
// defaults, the reference page, the shell completion and the man page. A row says name, type,
// range, default and help; the value lands at `offset` in the caller's struct.
//
// Any single value may be "${NAME}", the whole of it from the environment; "$${" stands for a
// literal "${". A secret is given only by reference: "${NAME}", {env: NAME} or "env:NAME",
// {file: PATH} or "file:PATH".
//
// Every refusal is ERR_INVALID (ERR_IO or ERR_NOT_FOUND for a secret's file) with the key's full
// path in the sentence, line and column when there is a file, the value unless it is secret, and
// the remedy; the caller adds the file's name (diag_where). No thread rules: pure but for reading
// the environment and secrets' files.
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
    OPTION_STRINGS,  // struct option_strings; as text: "a,b,c"
    OPTION_TABLE,    // a nested struct described by `table`
    // struct option_items: a list of structs described by `table`, or a map keyed by name when the
    // first row is the STRING "name". Names are needed and differ.
    OPTION_TABLES,
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
    double min, max;   // INT, FLOAT, DURATION (ms), BYTES; both 0 = unchecked; max may be INFINITY
    const char *const *choices; // NULL-ended
    const char *arg;            // metavariable for help: "HOST:PORT"
    const char *help;           // one or two plain sentences
    const struct option *table; // TABLE, TABLES
    size_t table_size;          // sizeof of the nested struct
    bool secret;                // STRINGS: may hold secrets, so they are printed as "***"
    bool repeated;              // command line: may be given more than once (STRINGS)
    char short_name;            // command line: 'c' or 0
};

// Fill `target` with the table's defaults: every field that a row names is written. Strings live in
// the arena or the table.
enum err option_defaults(const struct option *table, void *target, struct arena *arena,
                         struct diag *d) MUST_USE;
// Read a YAML mapping over the defaults. An unknown key is refused with the nearest known one. A
// key without a value (nothing, ~, null) keeps its default; lists replace the default as a whole.
// `map` may be NULL.
enum err option_from_yaml(const struct option *table, const struct yaml_node *map, void *target,
                          struct arena *arena, struct diag *d) MUST_USE;
// Set one option from text (a command-line value); same checks. `row` is a row of its table, and
// not a TABLE or TABLES. STRINGS: a `repeated` row takes the text as one more item, any other
// splits it at commas and replaces what was there.
enum err option_set(const struct option *row, str text, void *target, struct arena *arena,
                    struct diag *d) MUST_USE;
// Row by name, or NULL; nearest name for "did you mean", or NULL when nothing is near.
const struct option *option_find(const struct option *table, str name);
const char *option_nearest(const struct option *table, str name);
// Write the values as YAML (secrets as "***"; the rest reads back), the table as a Markdown
// reference (`path` names the level, "" at the top), or as a JSON Schema (2020-12). ERR_LIMIT when
// `out` is full.
enum err option_show(const struct option *table, const void *target, struct buf *out) MUST_USE;
enum err option_markdown(const struct option *table, const char *path, struct buf *out) MUST_USE;
enum err option_json_schema(const struct option *table, struct buf *out) MUST_USE;
