#include "engine/grammar/gbnf.h"

#include "base/map.h"
#include "base/utf8.h"
#include "engine/grammar/charset.h"

#include "base/banned.h"

struct reading {
    str text;
    size_t at;
    uint32_t nesting;
    struct graph *graph;
    struct map rules;   // by name: the rule + 1
    struct map defined; // those that have been read
    struct diag *diag;
};

// --- Characters and places

static void place_of(const struct reading *r, size_t at, uint32_t *line, uint32_t *col)
{
    *line = *col = 1;
    for (size_t i = 0; i < at && i < r->text.len; i++) {
        *col = r->text.ptr[i] == '\n' ? 1 : *col + 1;
        *line += r->text.ptr[i] == '\n';
    }
}

static enum err wrong(struct reading *r, const char *what)
{
    uint32_t line, col;
    place_of(r, r->at, &line, &col);
    diag_set(r->diag, ERR_PARSE, "the grammar, line %u, column %u: %s", line, col, what);
    diag_place(r->diag, line, col);
    return ERR_PARSE;
}

static bool is_over(const struct reading *r)
{
    return r->at >= r->text.len;
}

static char peek(const struct reading *r)
{
    return is_over(r) ? '\0' : r->text.ptr[r->at];
}

static bool take(struct reading *r, const char *z)
{
    if (!str_starts(str_sub(r->text, r->at, SIZE_MAX), str_of(z)))
        return false;
    r->at += strlen(z);
    return true;
}

static void skip_blanks(struct reading *r, bool lines)
{
    for (;;) {
        char c = peek(r);
        if (is_over(r))
            return;
        if (c == '#')
            while (!is_over(r) && peek(r) != '\n')
                r->at++;
        else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r')))
            r->at++;
        else
            return;
    }
}

static str take_name(struct reading *r)
{
    size_t from = r->at;
    for (;; r->at++) {
        char c = peek(r);
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_';
        if (!fits)
            return str_sub(r->text, from, r->at - from);
    }
}

static bool take_number(struct reading *r, uint32_t *ret)
{
    size_t from = r->at;
    uint32_t value = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
        value = value > GRAPH_STATES_MAX ? value : value * 10 + (uint32_t)(peek(r) - '0');
    *ret = value;
    return r->at > from;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum err take_hex(struct reading *r, size_t digits, uint32_t *ret)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++, r->at++) {
        int digit = hex_value(peek(r));
        if (digit < 0)
            return wrong(r, "an escape has too few hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return wrong(r, "an escape stands for no character");
    *ret = value;
    return ERR_OK;
}

static enum err take_character(struct reading *r, uint32_t *ret)
{
    static const char named[] = "nrt\\\"[]-^", meant[] = "\n\r\t\\\"[]-^";
    if (!take(r, "\\")) {
        size_t n = utf8_decode(str_sub(r->text, r->at, SIZE_MAX), ret);
        if (!n)
            return wrong(r, is_over(r) ? "it ends too early" : "this is not valid UTF-8");
        r->at += n;
        return ERR_OK;
    }
    if (take(r, "x"))
        return take_hex(r, 2, ret);
    if (take(r, "u"))
        return take_hex(r, 4, ret);
    if (take(r, "U"))
        return take_hex(r, 8, ret);
    const char *at = peek(r) ? memchr(named, peek(r), sizeof named - 1) : NULL;
    if (!at)
        return wrong(r, "this escape is not known: \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH "
                        "\\uHHHH and \\UHHHHHHHH are");
    r->at++;
    *ret = (uint32_t)meant[at - named];
    return ERR_OK;
}

// --- Rules

static enum err rule_named(struct reading *r, str name, uint32_t *ret)
{
    uintptr_t known = (uintptr_t)map_get(&r->rules, name);
    if (!known) {
        known = (uintptr_t)graph_rule(r->graph) + 1;
        if (graph_is_full(r->graph))
            return diag_set(r->diag, ERR_LIMIT, "the grammar has more than %d rules",
                            GRAPH_RULES_MAX);
        r->graph->rules[known - 1].name = name;
        map_put(&r->rules, name, (void *)known);
    }
    *ret = (uint32_t)(known - 1);
    return ERR_OK;
}

// --- Items

static enum err lay_choice(struct reading *r, uint32_t from, uint32_t to);

static enum err lay_quoted(struct reading *r, uint32_t from, uint32_t to)
{
    while (!take(r, "\"")) {
        uint32_t c;
        char bytes[4];
        if (peek(r) == '\n')
            return wrong(r, "a text has no closing quote on its line");
        ERR_TRY(take_character(r, &c));
        from = graph_after(r->graph, from, str_slice(bytes, utf8_encode(c, bytes)));
    }
    graph_nothing(r->graph, from, to);
    return ERR_OK;
}

static enum err take_class(struct reading *r, struct charset *set)
{
    bool inverted = take(r, "^");
    while (!take(r, "]")) {
        uint32_t low, high;
        ERR_TRY(take_character(r, &low));
        high = low;
        if (peek(r) == '-' && r->at + 1 < r->text.len && r->text.ptr[r->at + 1] != ']') {
            r->at++;
            ERR_TRY(take_character(r, &high));
        }
        if (low > high)
            return wrong(r, "a range ends before its beginning");
        charset_add(set, low, high);
    }
    charset_settle(set);
    if (inverted)
        charset_invert(set);
    return set->len ? ERR_OK : wrong(r, "no character is in this class");
}

static enum err lay_class(struct reading *r, uint32_t from, uint32_t to)
{
    struct charset set = {0};
    enum err e = take_class(r, &set);
    if (e == ERR_OK)
        charset_lay(&set, r->graph, from, to);
    charset_done(&set);
    return e;
}

static enum err lay_group(struct reading *r, uint32_t from, uint32_t to)
{
    if (++r->nesting > GBNF_NESTING_MAX)
        return wrong(r, "more than 64 groups stand in each other");
    skip_blanks(r, true);
    ERR_TRY(lay_choice(r, from, to));
    r->nesting--;
    return take(r, ")") ? ERR_OK : wrong(r, "a closing bracket is missing");
}

static void lay_any(struct reading *r, uint32_t from, uint32_t to)
{
    struct charset set = {0};
    charset_add_everything(&set);
    charset_lay(&set, r->graph, from, to);
    charset_done(&set);
}

static enum err lay_item(struct reading *r, uint32_t from, uint32_t to)
{
    uint32_t rule;
    if (take(r, "\""))
        return lay_quoted(r, from, to);
    if (take(r, "["))
        return lay_class(r, from, to);
    if (take(r, "("))
        return lay_group(r, from, to);
    if (take(r, ".")) {
        lay_any(r, from, to);
        return ERR_OK;
    }
    str name = take_name(r);
    if (!name.len)
        return wrong(r, "a text in quotes, a class, a group or a rule's name should stand here");
    ERR_TRY(rule_named(r, name, &rule));
    graph_call(r->graph, from, to, rule);
    return ERR_OK;
}

// --- Counts: what is counted becomes a rule of its own

struct count {
    uint32_t least, most;
};

static enum err take_braces(struct reading *r, struct count *ret)
{
    skip_blanks(r, false);
    bool has_least = take_number(r, &ret->least);
    skip_blanks(r, false);
    ret->most = ret->least;
    bool comma = take(r, ",");
    skip_blanks(r, false);
    if (comma && !take_number(r, &ret->most))
        ret->most = UINT32_MAX;
    skip_blanks(r, false);
    if (!take(r, "}") || (!has_least && !comma) || ret->least > ret->most)
        return wrong(r, "a count is written {n}, {n,} or {n,m}");
    return ERR_OK;
}

static enum err take_count(struct reading *r, struct count *ret)
{
    *ret = (struct count){1, 1};
    if (take(r, "*"))
        *ret = (struct count){0, UINT32_MAX};
    else if (take(r, "+"))
        *ret = (struct count){1, UINT32_MAX};
    else if (take(r, "?"))
        *ret = (struct count){0, 1};
    else if (take(r, "{"))
        return take_braces(r, ret);
    return ERR_OK;
}

// Laid before its count is known, between two states of its own.
static enum err lay_counted(struct reading *r, uint32_t from, uint32_t to)
{
    struct graph *g = r->graph;
    uint32_t start = graph_state(g), end = graph_state(g);
    struct count c;
    ERR_TRY(lay_item(r, start, end));
    ERR_TRY(take_count(r, &c));
    if (c.most == 0) {
        graph_nothing(g, from, to);
        return ERR_OK;
    }
    bool simple = c.least <= 1 && (c.most == 1 || c.most == UINT32_MAX);
    if (!simple) {
        uint32_t rule = graph_rule(g);
        if (graph_is_full(g))
            return ERR_OK;
        graph_nothing(g, g->rules[rule].start, start);
        graph_nothing(g, end, g->rules[rule].end);
        graph_repeat(g, from, to, rule, c.least, c.most);
        return ERR_OK;
    }
    graph_nothing(g, from, start);
    graph_nothing(g, end, to);
    if (c.most == UINT32_MAX)
        graph_nothing(g, end, start);
    if (c.least == 0)
        graph_nothing(g, from, to);
    return ERR_OK;
}

static bool at_end_of_sequence(const struct reading *r)
{
    char c = peek(r);
    return is_over(r) || c == '|' || c == ')' || c == '\n' || c == '\r';
}

static enum err lay_sequence(struct reading *r, uint32_t from, uint32_t to)
{
    for (;;) {
        skip_blanks(r, r->nesting > 0);
        if (at_end_of_sequence(r))
            break;
        uint32_t next = graph_state(r->graph);
        ERR_TRY(lay_counted(r, from, next));
        if (graph_is_full(r->graph))
            return diag_set(r->diag, ERR_LIMIT,
                            "the grammar is too large: its counts make too many states");
        from = next;
    }
    graph_nothing(r->graph, from, to);
    return ERR_OK;
}

// The next alternative may stand on a line of its own.
static bool take_bar(struct reading *r)
{
    size_t at = r->at;
    skip_blanks(r, true);
    if (take(r, "|"))
        return true;
    r->at = at;
    return false;
}

static enum err lay_choice(struct reading *r, uint32_t from, uint32_t to)
{
    do {
        skip_blanks(r, true);
        ERR_TRY(lay_sequence(r, from, to));
    } while (take_bar(r));
    return ERR_OK;
}

// --- The grammar

static enum err lay_rule(struct reading *r)
{
    size_t at = r->at;
    uint32_t rule;
    str name = take_name(r);
    if (!name.len)
        return wrong(r, "a rule's name should stand here");
    skip_blanks(r, false);
    if (!take(r, "::="))
        return wrong(r, "'::=' should stand here, behind the rule's name");
    ERR_TRY(rule_named(r, name, &rule));
    if (map_put(&r->defined, name, r)) {
        r->at = at;
        return wrong(r, "this rule stands here for the second time");
    }
    struct graph *g = r->graph;
    struct graph_rule ends = g->rules[rule];
    uint32_t first = graph_state(g); // counts may lead back to it
    graph_nothing(g, ends.start, first);
    ERR_TRY(lay_choice(r, first, ends.end));
    if (!is_over(r) && peek(r) != '\n' && peek(r) != '\r')
        return wrong(r, "a closing bracket too many");
    skip_blanks(r, true);
    return ERR_OK;
}

static enum err check_defined(const struct reading *r)
{
    size_t cursor = 0;
    str name;
    void *rule;
    while (map_next(&r->rules, &cursor, &name, &rule))
        if (!map_get(&r->defined, name))
            return diag_set(r->diag, ERR_INVALID,
                            "the grammar has no rule '" STR_FMT "', which it refers to",
                            STR_ARG(str_sub(name, 0, 100)));
    return ERR_OK;
}

static enum err lay_all(struct reading *r, uint32_t *ret_root)
{
    skip_blanks(r, true);
    while (!is_over(r))
        ERR_TRY(lay_rule(r));
    uintptr_t root = (uintptr_t)map_get(&r->rules, STR("root"));
    if (!root)
        return diag_set(r->diag, ERR_INVALID, "the grammar has no rule 'root' to begin with");
    *ret_root = (uint32_t)(root - 1);
    return check_defined(r);
}

enum err gbnf_lay(str text, struct graph *g, uint32_t *ret_root, struct diag *d)
{
    struct reading r = {.text = text, .graph = g, .diag = d};
    if (text.len > GBNF_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "the grammar has %zu bytes: at most %d", text.len,
                        GBNF_BYTES_MAX);
    map_init(&r.rules);
    map_init(&r.defined);
    enum err e = lay_all(&r, ret_root);
    map_done(&r.rules);
    map_done(&r.defined);
    return e;
}
