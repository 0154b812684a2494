#include "engine/grammar/grammar.h"

#include "base/mem.h"
#include "engine/grammar/gbnf.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/machine.h"
#include "engine/grammar/schema.h"

#include "base/banned.h"

// What the graph points to while it is made.
struct making {
    struct graph graph;
    struct json_doc docs[GRAMMAR_PARTS_MAX];
    struct schema_hint hint;
};

static enum err lay_json(struct graph *g, uint32_t *ret_rule)
{
    struct json_text t;
    json_text_init(&t, g);
    *ret_rule = json_text_object(&t);
    return ERR_OK;
}

static enum err parse(str text, struct json_doc *doc, const char *what, struct diag *d)
{
    static const struct json_limits limits = {SCHEMA_BYTES_MAX, 128, 1u << 18};
    struct diag why = {0};
    enum err e = json_parse(doc, text, limits, &why);
    return e == ERR_OK ? e : diag_set(d, e, "the %s cannot be read: %s", what, why.text);
}

static enum err lay_schema(struct making *m, str text, struct json_doc *doc, uint32_t *ret_rule,
                           struct diag *d)
{
    ERR_TRY(parse(text, doc, "schema", d));
    return schema_lay(doc->root, &m->graph, ret_rule, &m->hint, d);
}

static enum err lay_regex(str text, struct graph *g, uint32_t *ret_rule, struct diag *d)
{
    static const struct machine_bounds any = {0, UINT32_MAX};
    struct machine *m;
    ERR_TRY(machine_new(text, false, &m, d));
    *ret_rule = graph_rule(g);
    if (!graph_is_full(g)) {
        const struct machine *machines[] = {m};
        struct graph_rule r = g->rules[*ret_rule];
        machine_lay(machines, 1, any, false, g, r.start, r.end);
    }
    machine_free(m);
    return ERR_OK;
}

static enum err lay_choice(str text, struct json_doc *doc, struct graph *g, uint32_t *ret_rule,
                           struct diag *d)
{
    size_t i, max, n = 0;
    yyjson_val *v;
    ERR_TRY(parse(text, doc, "list of choices", d));
    str *texts = mem_array(yyjson_arr_size(doc->root) + 1, sizeof *texts);
    yyjson_arr_foreach(doc->root, i, max, v) if (yyjson_is_str(v)) texts[n++] = json_str(v);
    bool fits = n > 0 && n == yyjson_arr_size(doc->root);
    *ret_rule = graph_rule(g);
    if (fits && !graph_is_full(g))
        graph_texts(g, g->rules[*ret_rule].start, g->rules[*ret_rule].end, texts, n);
    mem_free(texts);
    return fits ? ERR_OK
                : diag_set(d, ERR_INVALID, "the choices must be an array of at least one string");
}

static enum err lay_kind(struct making *m, const struct grammar_part *p, struct json_doc *doc,
                         uint32_t *ret_rule, struct diag *d)
{
    if (p->text.len > GRAMMAR_TEXT_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "it has %zu bytes: at most %d", p->text.len,
                        GRAMMAR_TEXT_BYTES_MAX);
    switch (p->kind) {
    case GRAMMAR_SCHEMA:
        return lay_schema(m, p->text, doc, ret_rule, d);
    case GRAMMAR_REGEX:
        return lay_regex(p->text, &m->graph, ret_rule, d);
    case GRAMMAR_GBNF:
        return gbnf_lay(p->text, &m->graph, ret_rule, d);
    case GRAMMAR_CHOICE:
        return lay_choice(p->text, doc, &m->graph, ret_rule, d);
    case GRAMMAR_JSON:
    case GRAMMAR_KINDS:
        break;
    }
    return lay_json(&m->graph, ret_rule);
}

// A schema of which nothing can be said: the place of a value that there cannot be.
static enum err add_hint(const struct schema_hint *hint, struct diag *d)
{
    struct diag said = *d;
    diag_set(d, said.code, "%s (no value fits %s)", said.text, hint->nothing_at);
    diag_where(d, "%s", hint->nothing_at);
    return said.code;
}

static enum err compile(struct making *m, const struct grammar_part *parts, size_t n,
                        const struct token_trie *trie, struct automaton **ret, struct diag *d)
{
    struct graph *g = &m->graph;
    uint32_t root = graph_rule(g);
    g->rules[root].name = STR("root");
    struct graph_rule ends = g->rules[root];
    for (size_t i = 0; i < n; i++) {
        uint32_t rule = 0;
        ERR_TRY(lay_kind(m, &parts[i], &m->docs[i], &rule, d));
        if (graph_is_full(g))
            break; // automaton_new says so
        uint32_t said = graph_state(g);
        graph_call(g, graph_after(g, ends.start, parts[i].before), said, rule);
        graph_text(g, said, ends.end, parts[i].after);
    }
    enum err e = automaton_new(g, root, trie, ret, d);
    return e == ERR_INVALID && m->hint.nothing_at[0] ? add_hint(&m->hint, d) : e;
}

enum err grammar_compile(const struct grammar_part *parts, size_t n, const struct token_trie *trie,
                         struct automaton **ret, struct diag *d)
{
    if (n == 0 || n > GRAMMAR_PARTS_MAX)
        return diag_set(d, ERR_LIMIT, "%zu alternatives: from 1 to %d are allowed", n,
                        GRAMMAR_PARTS_MAX);
    struct making *m = mem_new(struct making);
    graph_init(&m->graph);
    enum err e = compile(m, parts, n, trie, ret, d);
    for (size_t i = 0; i < n; i++)
        json_done(&m->docs[i]);
    graph_done(&m->graph);
    mem_free(m);
    return e;
}
