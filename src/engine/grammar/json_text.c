#include "engine/grammar/json_text.h"

#include "engine/grammar/charset.h"

#include "base/banned.h"

enum { INDENT_MAX = 20, DIGITS_MAX = 15 };

void json_text_init(struct json_text *t, struct graph *g)
{
    *t = (struct json_text){.graph = g};
}

// Makes the rule; false: it stood already (or the graph is full).
static bool begin(struct json_text *t, uint32_t *slot, struct graph_rule *ret)
{
    if (*slot)
        return false;
    uint32_t rule = graph_rule(t->graph);
    *slot = rule + 1;
    if (graph_is_full(t->graph))
        return false;
    *ret = t->graph->rules[rule];
    return true;
}

uint32_t json_text_space(struct json_text *t)
{
    struct graph_rule r;
    struct graph *g = t->graph;
    if (!begin(t, &t->space, &r))
        return t->space - 1;
    graph_nothing(g, r.start, r.end);
    graph_bytes(g, r.start, r.end, ' ', ' ');
    uint32_t at = graph_after(g, r.start, STR("\n"));
    for (int i = 0; i < INDENT_MAX; i++) {
        uint32_t next = graph_state(g);
        graph_nothing(g, at, r.end);
        graph_bytes(g, at, next, ' ', ' ');
        graph_bytes(g, at, next, '\t', '\t');
        at = next;
    }
    graph_nothing(g, at, r.end);
    return t->space - 1;
}

// --- Strings

void json_text_plain(struct charset *ret)
{
    charset_add(ret, 0x20, 0x21);
    charset_add(ret, 0x23, 0x5B);
    charset_add(ret, 0x5D, 0xD7FF);
    charset_add(ret, 0xE000, 0x10FFFF);
}

static void lay_hex(struct graph *g, uint32_t from, uint32_t to, size_t n)
{
    for (; n > 0; n--) {
        uint32_t next = n == 1 ? to : graph_state(g);
        graph_bytes(g, from, next, '0', '9');
        graph_bytes(g, from, next, 'a', 'f');
        graph_bytes(g, from, next, 'A', 'F');
        from = next;
    }
}

static void lay_any_of(struct graph *g, uint32_t from, uint32_t to, const char *bytes)
{
    for (; *bytes; bytes++)
        graph_bytes(g, from, to, (uint8_t)*bytes, (uint8_t)*bytes);
}

// \uXXXX: a character, or the two halves of one.
static void lay_unicode_escape(struct graph *g, uint32_t from, uint32_t to)
{
    uint32_t d = graph_state(g), low = graph_state(g), high = graph_state(g);
    uint32_t first = graph_state(g);
    lay_any_of(g, from, first, "012356789abcefABCEF4");
    lay_hex(g, first, to, 3);
    lay_any_of(g, from, d, "dD");
    uint32_t plain = graph_state(g);
    graph_bytes(g, d, plain, '0', '7');
    lay_hex(g, plain, to, 2);
    lay_any_of(g, d, high, "89abAB");
    uint32_t half = graph_state(g), second = graph_state(g);
    lay_hex(g, high, half, 2);
    graph_text(g, half, second, STR("\\u"));
    uint32_t again = graph_state(g);
    lay_any_of(g, second, again, "dD");
    lay_any_of(g, again, low, "cdefCDEF");
    lay_hex(g, low, to, 2);
}

static void lay_character(struct graph *g, uint32_t from, uint32_t to)
{
    struct charset plain = {0};
    json_text_plain(&plain);
    charset_lay(&plain, g, from, to);
    charset_done(&plain);
    uint32_t escaped = graph_after(g, from, STR("\\"));
    lay_any_of(g, escaped, to, "\"\\/bfnrt");
    lay_unicode_escape(g, graph_after(g, escaped, STR("u")), to);
}

uint32_t json_text_character(struct json_text *t)
{
    struct graph_rule r;
    if (begin(t, &t->character, &r))
        lay_character(t->graph, r.start, r.end);
    return t->character - 1;
}

uint32_t json_text_string(struct json_text *t)
{
    struct graph_rule r;
    if (!begin(t, &t->string, &r))
        return t->string - 1;
    uint32_t inside = graph_after(t->graph, r.start, STR("\""));
    lay_character(t->graph, inside, inside);
    graph_text(t->graph, inside, r.end, STR("\""));
    return t->string - 1;
}

uint32_t json_text_key(struct json_text *t)
{
    struct graph_rule r;
    if (!begin(t, &t->key, &r))
        return t->key - 1;
    struct charset plain = {0};
    uint32_t inside = graph_after(t->graph, r.start, STR("\""));
    json_text_plain(&plain);
    charset_lay(&plain, t->graph, inside, inside);
    charset_done(&plain);
    graph_text(t->graph, inside, r.end, STR("\""));
    return t->key - 1;
}

// --- Numbers

// From `least` to `most` digits.
static void lay_digits(struct graph *g, uint32_t from, uint32_t to, uint32_t least, uint32_t most)
{
    for (uint32_t i = 0; i < most; i++) {
        uint32_t next = graph_state(g);
        if (i >= least)
            graph_nothing(g, from, to);
        graph_bytes(g, from, next, '0', '9');
        from = next;
    }
    graph_nothing(g, from, to);
}

// A sign, and digits without zeros before them. Zero has no sign.
static void lay_whole(struct graph *g, uint32_t from, uint32_t to)
{
    uint32_t first = graph_state(g), rest = graph_state(g);
    graph_nothing(g, from, first);
    graph_text(g, from, first, STR("-"));
    graph_bytes(g, from, to, '0', '0');
    graph_bytes(g, first, rest, '1', '9');
    lay_digits(g, rest, to, 0, DIGITS_MAX - 1);
}

uint32_t json_text_integer(struct json_text *t)
{
    struct graph_rule r;
    if (begin(t, &t->integer, &r))
        lay_whole(t->graph, r.start, r.end);
    return t->integer - 1;
}

uint32_t json_text_number(struct json_text *t)
{
    struct graph_rule r;
    struct graph *g = t->graph;
    if (!begin(t, &t->number, &r))
        return t->number - 1;
    uint32_t whole = graph_state(g), exact = graph_state(g), sign = graph_state(g);
    lay_whole(g, r.start, whole);
    uint32_t zero = graph_after(g, r.start, STR("-0"));
    lay_digits(g, graph_after(g, zero, STR(".")), exact, 1, DIGITS_MAX);
    lay_digits(g, graph_after(g, whole, STR(".")), exact, 1, DIGITS_MAX);
    graph_nothing(g, whole, exact);
    graph_nothing(g, exact, r.end);
    uint32_t exponent = graph_state(g);
    lay_any_of(g, exact, exponent, "eE");
    graph_nothing(g, exponent, sign);
    lay_any_of(g, exponent, sign, "+-");
    lay_digits(g, sign, r.end, 1, 2);
    return t->number - 1;
}

// --- Values

uint32_t json_text_object(struct json_text *t)
{
    struct graph_rule r;
    struct graph *g = t->graph;
    if (!begin(t, &t->object, &r))
        return t->object - 1;
    uint32_t space = json_text_space(t), key = json_text_key(t), value = json_text_value(t);
    uint32_t open = graph_after(g, r.start, STR("{")), first = graph_state(g);
    uint32_t named = graph_state(g), close = graph_state(g), next = graph_state(g);
    uint32_t said = graph_state(g);
    graph_call(g, open, first, space);
    graph_text(g, first, r.end, STR("}"));
    graph_call(g, first, named, key);
    uint32_t colon = graph_after(g, named, STR(":")), what = graph_state(g);
    graph_call(g, colon, what, space);
    graph_call(g, what, said, value);
    graph_call(g, said, close, space);
    graph_text(g, close, r.end, STR("}"));
    graph_call(g, graph_after(g, said, STR(",")), next, space);
    graph_call(g, next, named, key);
    return t->object - 1;
}

uint32_t json_text_array(struct json_text *t)
{
    struct graph_rule r;
    struct graph *g = t->graph;
    if (!begin(t, &t->array, &r))
        return t->array - 1;
    uint32_t space = json_text_space(t), value = json_text_value(t);
    uint32_t open = graph_after(g, r.start, STR("[")), first = graph_state(g);
    uint32_t said = graph_state(g), close = graph_state(g), next = graph_state(g);
    graph_call(g, open, first, space);
    graph_text(g, first, r.end, STR("]"));
    graph_call(g, first, said, value);
    graph_call(g, said, close, space);
    graph_text(g, close, r.end, STR("]"));
    graph_call(g, graph_after(g, said, STR(",")), next, space);
    graph_call(g, next, said, value);
    return t->array - 1;
}

uint32_t json_text_value(struct json_text *t)
{
    struct graph_rule r;
    if (!begin(t, &t->value, &r))
        return t->value - 1;
    struct graph *g = t->graph;
    uint32_t rules[] = {json_text_object(t), json_text_array(t), json_text_string(t),
                        json_text_number(t)};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        graph_call(g, r.start, r.end, rules[i]);
    graph_text(g, r.start, r.end, STR("true"));
    graph_text(g, r.start, r.end, STR("false"));
    graph_text(g, r.start, r.end, STR("null"));
    return t->value - 1;
}
