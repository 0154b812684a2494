// Recursive descent over the pattern's text, back to front: what follows is compiled first, so that
// every node knows its successor. A repetition compiles its piece of text as often as it must.
#include "guard/pattern.h"

#include "base/mem.h"
#include "guard/pattern_internal.h"

#include "base/banned.h"

enum {
    TEXT_BYTES_MAX = 4096,
    PATTERNS_MAX = 512,
    NODES_MAX = 65536,
    REPEAT_MAX = 1000,
    DEPTH_MAX = 32,
    TERMS_MAX = TEXT_BYTES_MAX,
};
#define NO_NODE UINT32_MAX

struct compiler {
    struct patterns *p;
    str text; // of the whole pattern
    bool nocase;
    uint32_t depth;
    struct diag *diag;
    enum err failed;
};

// A piece of a sequence: an atom and how often it comes.
struct term {
    str atom;
    uint32_t min, max; // max NO_NODE: without end
};

static uint32_t fail(struct compiler *c, str at, const char *what)
{
    if (c->failed == ERR_OK) {
        c->failed = diag_set(c->diag, ERR_PARSE, "the pattern is wrong: %s", what);
        diag_place(c->diag, 1, (uint32_t)(at.ptr - c->text.ptr) + 1);
    }
    return NO_NODE;
}

static uint32_t node_new(struct compiler *c, enum pattern_node_kind kind, uint32_t a, uint32_t b)
{
    struct patterns *p = c->p;
    if (p->len == NODES_MAX) {
        if (c->failed == ERR_OK)
            c->failed = diag_set(c->diag, ERR_LIMIT, "the patterns are too large");
        return NO_NODE;
    }
    if (p->len == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 256;
        p->nodes = mem_resize(p->nodes, p->cap, sizeof *p->nodes);
    }
    p->nodes[p->len] = (struct pattern_node){.kind = kind, .a = a, .b = b};
    return p->len++;
}

// --- Sets of bytes

static void set_add(uint8_t set[static 32], uint8_t byte)
{
    set[byte >> 3] = (uint8_t)(set[byte >> 3] | 1u << (byte & 7));
}

static void set_range(uint8_t set[static 32], unsigned from, unsigned to)
{
    for (unsigned b = from; b <= to; b++)
        set_add(set, (uint8_t)b);
}

static void set_fold(uint8_t set[static 32])
{
    for (unsigned b = 'a'; b <= 'z'; b++) {
        bool either = pattern_set_has(set, (uint8_t)b) || pattern_set_has(set, (uint8_t)(b - 32));
        if (either) {
            set_add(set, (uint8_t)b);
            set_add(set, (uint8_t)(b - 32));
        }
    }
}

static void set_named(uint8_t set[static 32], char name)
{
    if (name == 'd' || name == 'w')
        set_range(set, '0', '9');
    if (name == 'w') {
        set_range(set, 'a', 'z');
        set_range(set, 'A', 'Z');
        set_add(set, '_');
    }
    for (const char *s = " \t\n\r\f\v"; name == 's' && *s; s++)
        set_add(set, (uint8_t)*s);
}

static uint32_t byte_node(struct compiler *c, const uint8_t set[static 32], uint32_t next)
{
    uint32_t n = node_new(c, PATTERN_BYTE, next, 0);
    if (n == NO_NODE)
        return n;
    memcpy(c->p->nodes[n].set, set, 32);
    if (c->nocase)
        set_fold(c->p->nodes[n].set);
    return n;
}

static uint32_t range_node(struct compiler *c, unsigned from, unsigned to, uint32_t next)
{
    uint8_t set[32] = {0};
    set_range(set, from, to);
    return byte_node(c, set, next);
}

// A character outside of ASCII: its lead byte says how many follow.
static uint32_t wide_node(struct compiler *c, uint32_t next)
{
    uint32_t two = range_node(c, 0x80, 0xbf, next), three = range_node(c, 0x80, 0xbf, two);
    uint32_t four = range_node(c, 0x80, 0xbf, three);
    uint32_t a = range_node(c, 0xc2, 0xdf, two), b = range_node(c, 0xe0, 0xef, three);
    uint32_t d = range_node(c, 0xf0, 0xf4, four);
    return node_new(c, PATTERN_FORK, a, node_new(c, PATTERN_FORK, b, d));
}

// Any character but those of ASCII in the set.
static uint32_t negated_node(struct compiler *c, uint8_t set[static 32], uint32_t next)
{
    uint8_t rest[32] = {0};
    if (c->nocase)
        set_fold(set);
    for (unsigned b = 0; b < 0x80; b++)
        if (!pattern_set_has(set, (uint8_t)b))
            set_add(rest, (uint8_t)b);
    uint32_t n = node_new(c, PATTERN_BYTE, next, 0);
    if (n == NO_NODE)
        return n;
    memcpy(c->p->nodes[n].set, rest, 32);
    return node_new(c, PATTERN_FORK, n, wide_node(c, next));
}

// --- Atoms

static int hex_digit(char ch)
{
    return ch >= '0' && ch <= '9'   ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : -1;
}

// The byte that "\n", "\x41", "\." or "a" stands for, and how long that is; 0: it is none.
static size_t literal_byte(str s, uint8_t *ret)
{
    if (s.len == 0)
        return 0;
    if (s.ptr[0] != '\\') {
        *ret = (uint8_t)s.ptr[0];
        return 1;
    }
    if (s.len < 2)
        return 0;
    char ch = s.ptr[1];
    if (ch == 'x') {
        int high = s.len > 3 ? hex_digit(s.ptr[2]) : -1, low = s.len > 3 ? hex_digit(s.ptr[3]) : -1;
        *ret = (uint8_t)(high * 16 + low);
        return high < 0 || low < 0 ? 0 : 4;
    }
    bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
    if (letter && ch != 'n' && ch != 'r' && ch != 't')
        return 0;
    *ret = (uint8_t)(ch == 'n' ? '\n' : ch == 'r' ? '\r' : ch == 't' ? '\t' : ch);
    return 2;
}

// One member of a class: a name, a byte, or a range of bytes.
static bool class_member(struct compiler *c, str *s, uint8_t set[static 32])
{
    uint8_t from = 0, to = 0;
    if (s->len > 1 && s->ptr[0] == '\\' && memchr("dws", s->ptr[1], 3)) {
        set_named(set, s->ptr[1]);
        *s = str_sub(*s, 2, SIZE_MAX);
        return true;
    }
    size_t len = literal_byte(*s, &from);
    str rest = str_sub(*s, len, SIZE_MAX);
    size_t more =
        rest.len > 1 && rest.ptr[0] == '-' ? literal_byte(str_sub(rest, 1, SIZE_MAX), &to) : 0;
    if (!more)
        to = from;
    if (!len || to < from || to >= 0x80)
        return fail(c, *s, "a class holds characters and ranges of ASCII") != NO_NODE;
    set_range(set, from, to);
    *s = str_sub(rest, more ? more + 1 : 0, SIZE_MAX);
    return true;
}

static uint32_t class_node(struct compiler *c, str atom, uint32_t next)
{
    uint8_t set[32] = {0};
    str inner = str_sub(atom, 1, atom.len - 2);
    bool negated = inner.len && inner.ptr[0] == '^';
    if (negated)
        inner = str_sub(inner, 1, SIZE_MAX);
    if (!inner.len)
        return fail(c, atom, "this class is empty");
    while (inner.len)
        if (!class_member(c, &inner, set))
            return NO_NODE;
    return negated ? negated_node(c, set, next) : byte_node(c, set, next);
}

static uint32_t escape_node(struct compiler *c, str atom, uint32_t next)
{
    uint8_t set[32] = {0}, byte = 0;
    char ch = atom.len > 1 ? atom.ptr[1] : 0;
    if (ch == 'b' || ch == 'B')
        return node_new(c, ch == 'b' ? PATTERN_EDGE : PATTERN_INNER, next, 0);
    if (ch == 'd' || ch == 'w' || ch == 's') {
        set_named(set, ch);
        return byte_node(c, set, next);
    }
    if (ch == 'D' || ch == 'W' || ch == 'S') {
        set_named(set, (char)(ch + 32));
        return negated_node(c, set, next);
    }
    if (literal_byte(atom, &byte) != atom.len)
        return fail(c, atom, "there is no such escape");
    set_add(set, byte);
    return byte_node(c, set, next);
}

static uint32_t compile_choice(struct compiler *c, str text, uint32_t next);

static uint32_t group_node(struct compiler *c, str atom, uint32_t next)
{
    str inner = str_sub(atom, 1, atom.len - 2);
    if (str_starts(inner, STR("?:")))
        inner = str_sub(inner, 2, SIZE_MAX);
    else if (str_starts(inner, STR("?")))
        return fail(c, atom, "groups are ( ) or (?: )");
    if (c->depth == DEPTH_MAX)
        return fail(c, atom, "groups lie too deep inside each other");
    c->depth++;
    uint32_t n = compile_choice(c, inner, next);
    c->depth--;
    return n;
}

static uint32_t compile_atom(struct compiler *c, str atom, uint32_t next)
{
    uint8_t line_break[32] = {0};
    switch (atom.ptr[0]) {
    case '(':
        return group_node(c, atom, next);
    case '[':
        return class_node(c, atom, next);
    case '\\':
        return escape_node(c, atom, next);
    case '.':
        set_add(line_break, '\n');
        return negated_node(c, line_break, next);
    default:
        for (size_t i = atom.len; i > 0; i--) // a character of several bytes is one atom
            next = range_node(c, (uint8_t)atom.ptr[i - 1], (uint8_t)atom.ptr[i - 1], next);
        return next;
    }
}

// --- Terms

// How long the atom at the front of s is; 0 when it is not closed.
static size_t atom_len(str s)
{
    size_t i = 1, depth = 0;
    bool in_class = s.ptr[0] == '[';
    if (s.ptr[0] == '\\') {
        uint8_t byte;
        size_t len = literal_byte(s, &byte);
        return len ? len : s.len > 1 ? 2 : 0;
    }
    if (s.ptr[0] != '[' && s.ptr[0] != '(') {
        while (i < s.len && ((uint8_t)s.ptr[0] & 0x80) && ((uint8_t)s.ptr[i] & 0xc0) == 0x80)
            i++;
        return i;
    }
    depth = in_class ? 0 : 1;
    for (; i < s.len; i++) {
        char ch = s.ptr[i];
        if (ch == '\\')
            i++;
        else if (in_class && ch == ']' && depth == 0)
            return i + 1;
        else if (in_class)
            in_class = ch != ']';
        else if (ch == '[')
            in_class = true;
        else if (ch == '(')
            depth++;
        else if (ch == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

static bool repeat_number(str *s, uint32_t *ret)
{
    uint64_t v;
    size_t len = 0;
    while (len < s->len && s->ptr[len] >= '0' && s->ptr[len] <= '9')
        len++;
    if (str_to_u64(str_sub(*s, 0, len), &v) != ERR_OK || v > REPEAT_MAX)
        return false;
    *ret = (uint32_t)v;
    *s = str_sub(*s, len, SIZE_MAX);
    return true;
}

// "{2}", "{2,}", "{2,5}" at the front of *s.
static bool take_braces(str *s, struct term *t)
{
    str rest = str_sub(*s, 1, SIZE_MAX);
    if (!repeat_number(&rest, &t->min))
        return false;
    t->max = t->min;
    if (str_starts(rest, STR(","))) {
        rest = str_sub(rest, 1, SIZE_MAX);
        t->max = NO_NODE;
        if (!str_starts(rest, STR("}")) && (!repeat_number(&rest, &t->max) || t->max < t->min))
            return false;
    }
    if (!str_starts(rest, STR("}")))
        return false;
    *s = str_sub(rest, 1, SIZE_MAX);
    return true;
}

static bool take_term(struct compiler *c, str *s, struct term *ret)
{
    str at = *s;
    size_t len = memchr("*+?{)]", s->ptr[0], 6) && s->ptr[0] ? 0 : atom_len(*s);
    if (!len)
        return fail(c, at, "something is not closed, or repeats nothing") != NO_NODE;
    *ret = (struct term){.atom = str_sub(*s, 0, len), .min = 1, .max = 1};
    *s = str_sub(*s, len, SIZE_MAX);
    char sign = s->len ? s->ptr[0] : 0;
    if (sign == '{')
        return take_braces(s, ret) || fail(c, *s, "repetitions are {m}, {m,} or {m,n}") != NO_NODE;
    if (sign != '*' && sign != '+' && sign != '?')
        return true;
    ret->min = sign == '+';
    ret->max = sign == '?' ? 1 : NO_NODE;
    *s = str_sub(*s, 1, SIZE_MAX);
    return true;
}

static uint32_t compile_term(struct compiler *c, const struct term *t, uint32_t next)
{
    uint32_t after = next;
    if (t->max == NO_NODE) {
        uint32_t loop = node_new(c, PATTERN_FORK, NO_NODE, next);
        uint32_t body = loop == NO_NODE ? NO_NODE : compile_atom(c, t->atom, loop);
        if (body == NO_NODE)
            return NO_NODE;
        c->p->nodes[loop].a = body;
        after = loop;
    }
    for (uint32_t i = t->min; t->max != NO_NODE && i < t->max && after != NO_NODE; i++) {
        uint32_t body = compile_atom(c, t->atom, after);
        after = body == NO_NODE ? NO_NODE : node_new(c, PATTERN_FORK, body, next);
    }
    for (uint32_t i = 0; i < t->min && after != NO_NODE; i++)
        after = compile_atom(c, t->atom, after);
    return after;
}

static uint32_t compile_sequence(struct compiler *c, str text, uint32_t next)
{
    struct term *terms = mem_array(text.len + 1, sizeof *terms);
    size_t len = 0;
    while (text.len && c->failed == ERR_OK)
        if (take_term(c, &text, &terms[len]))
            len++;
    while (len > 0 && next != NO_NODE && c->failed == ERR_OK)
        next = compile_term(c, &terms[--len], next);
    mem_free(terms);
    return c->failed == ERR_OK ? next : NO_NODE;
}

// The part up to the next '|' that stands outside of groups and classes.
static size_t branch_len(struct compiler *c, str text)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != '|') {
        size_t len = atom_len(str_sub(text, i, SIZE_MAX));
        if (!len) {
            fail(c, str_sub(text, i, 1), "something is not closed");
            return text.len;
        }
        i += len;
    }
    return i;
}

static uint32_t compile_choice(struct compiler *c, str text, uint32_t next)
{
    size_t len = branch_len(c, text);
    uint32_t n = compile_sequence(c, str_sub(text, 0, len), next);
    while (len < text.len && n != NO_NODE) {
        text = str_sub(text, len + 1, SIZE_MAX);
        len = branch_len(c, text);
        uint32_t other = compile_sequence(c, str_sub(text, 0, len), next);
        n = other == NO_NODE ? NO_NODE : node_new(c, PATTERN_FORK, n, other);
    }
    return n;
}

// --- The set

// The bytes that can be consumed first; false when the empty text is accepted.
static bool find_first(const struct patterns *p, uint32_t node, uint8_t set[static 32])
{
    bool *seen = mem_array(p->len, sizeof *seen);
    uint32_t *stack = mem_array(p->len + 1, sizeof *stack);
    size_t len = 0;
    bool consumes = true;
    stack[len++] = node;
    seen[node] = true;
    while (len) {
        const struct pattern_node *n = &p->nodes[stack[--len]];
        uint32_t next[2] = {n->a, n->kind == PATTERN_FORK ? n->b : n->a};
        consumes = consumes && n->kind != PATTERN_ACCEPT;
        for (size_t i = 0; i < 32 && n->kind == PATTERN_BYTE; i++)
            set[i] |= n->set[i];
        for (size_t i = 0; i < 2 && n->kind != PATTERN_BYTE && n->kind != PATTERN_ACCEPT; i++)
            if (!seen[next[i]]) {
                seen[next[i]] = true;
                stack[len++] = next[i];
            }
    }
    mem_free(seen);
    mem_free(stack);
    return consumes;
}

static enum err add_entry(struct patterns *p, uint32_t id, uint32_t node, struct diag *d)
{
    struct pattern_entry e = {.id = id, .node = node};
    if (!find_first(p, node, e.first))
        return diag_set(d, ERR_PARSE, "the pattern matches the empty text");
    if (p->entries_len == p->entries_cap) {
        p->entries_cap = p->entries_cap ? 2 * p->entries_cap : 16;
        p->entries = mem_resize(p->entries, p->entries_cap, sizeof *p->entries);
    }
    p->entries[p->entries_len++] = e;
    return ERR_OK;
}

static enum err begin(const struct patterns *p, str text, struct diag *d)
{
    if (text.len == 0 || text.len > TEXT_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "a pattern has 1 to %d bytes", TEXT_BYTES_MAX);
    if (p->entries_len == PATTERNS_MAX)
        return diag_set(d, ERR_LIMIT, "more than %d patterns", PATTERNS_MAX);
    return ERR_OK;
}

enum err patterns_add(struct patterns *p, str pattern, uint32_t id, struct diag *d)
{
    struct compiler c = {.p = p, .text = pattern, .diag = d};
    uint32_t kept = p->len;
    str text = pattern;
    ERR_TRY(begin(p, pattern, d));
    if (str_starts(text, STR("(?i)"))) {
        c.nocase = true;
        text = str_sub(text, 4, SIZE_MAX);
    }
    uint32_t accept = node_new(&c, PATTERN_ACCEPT, p->entries_len, 0);
    uint32_t node = accept == NO_NODE ? NO_NODE : compile_choice(&c, text, accept);
    enum err e = c.failed != ERR_OK || node == NO_NODE ? c.failed : add_entry(p, id, node, d);
    if (e != ERR_OK)
        p->len = kept;
    return e;
}

enum err patterns_add_literal(struct patterns *p, str text, bool nocase, uint32_t id,
                              struct diag *d)
{
    struct compiler c = {.p = p, .text = text, .nocase = nocase, .diag = d};
    uint32_t kept = p->len;
    ERR_TRY(begin(p, text, d));
    uint32_t node = node_new(&c, PATTERN_ACCEPT, p->entries_len, 0);
    for (size_t i = text.len; i > 0 && node != NO_NODE; i--)
        node = range_node(&c, (uint8_t)text.ptr[i - 1], (uint8_t)text.ptr[i - 1], node);
    enum err e = node == NO_NODE ? c.failed : add_entry(p, id, node, d);
    if (e != ERR_OK)
        p->len = kept;
    return e;
}

struct patterns *patterns_new(void)
{
    return mem_new(struct patterns);
}

uint32_t patterns_nodes(const struct patterns *p)
{
    return p->len;
}

void patterns_free(struct patterns *p)
{
    if (!p)
        return;
    mem_free(p->nodes);
    mem_free(p->entries);
    mem_free(p);
}
