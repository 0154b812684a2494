// JSON Schema (drafts 4 to 2020-12, as far as clients use it), laid into a graph: what is said is
// always valid by the schema. Where the schema leaves more open than a model should be offered,
// less is said: members come in the order of their definition, no others where `properties` stands
// and `additionalProperties` does not, no exponents within bounds. docs/structured-output.md has
// the list; what cannot be held is refused by name, with its JSON pointer.
//
// Hostile input: SCHEMA_BYTES_MAX, SCHEMA_VIEWS_MAX different combinations of subschemas, and the
// graph's bounds. The document outlives the graph.
#pragma once

#include "base/json.h"
#include "engine/grammar/graph.h"

enum { SCHEMA_BYTES_MAX = 1 << 20, SCHEMA_VIEWS_MAX = 1 << 14 };

// A place at which no value fits, as a JSON pointer, or "": where nothing can be said of the whole
// (automaton_new finds that out), it is the likely reason.
struct schema_hint {
    char nothing_at[128];
};

// *ret_rule: a rule that says one value. ERR_UNSUPPORTED, ERR_INVALID, ERR_LIMIT; d->where is the
// JSON pointer ("#/properties/a").
enum err schema_lay(yyjson_val *schema, struct graph *g, uint32_t *ret_rule,
                    struct schema_hint *hint, struct diag *d) MUST_USE;
