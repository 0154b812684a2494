// The syntax of regular expressions. An atom with a count is read again for each of its copies, so
// that nothing but the text and the machine is kept.
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/grammar/machine_impl.h"

#include "base/banned.h"

struct reading {
    str text;
    size_t at;
    uint32_t nesting;
    size_t read; // bytes of atoms, by copies
    struct machine *machine;
    struct diag *diag;
};

static enum err wrong(struct reading *r, enum err e, const char *what)
{
    return diag_set(r->diag, e, "the regular expression '" STR_FMT "' %s (at character %zu)",
                    STR_ARG(str_sub(r->text, 0, 120)), what, r->at + 1);
}

static bool is_over(const struct reading *r)
{
    return r->at >= r->text.len;
}

static char peek(const struct reading *r)
{
    return is_over(r) ? '\0' : r->text.ptr[r->at];
}

static bool next_is(const struct reading *r, const char *z)
{
    return str_starts(str_sub(r->text, r->at, SIZE_MAX), str_of(z));
}

static bool take(struct reading *r, const char *z)
{
    if (!next_is(r, z))
        return false;
    r->at += strlen(z);
    return true;
}

static enum err take_character(struct reading *r, uint32_t *ret)
{
    size_t n = utf8_decode(str_sub(r->text, r->at, SIZE_MAX), ret);
    if (!n)
        return wrong(r, ERR_PARSE, "is not valid UTF-8");
    r->at += n;
    return ERR_OK;
}

// --- Escapes

static enum err take_hex(struct reading *r, size_t digits, uint32_t *ret)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = peek(r);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return wrong(r, ERR_PARSE, "has an escape with too few hexadecimal digits");
        value = value * 16 + (uint32_t)digit;
        r->at++;
    }
    if (value >= 0xD800 && value <= 0xDFFF)
        return wrong(r, ERR_UNSUPPORTED, "has a surrogate, which is no character");
    *ret = value;
    return ERR_OK;
}

static void add_spaces(struct charset *s)
{
    charset_add(s, '\t', '\r');
    charset_add(s, ' ', ' ');
}

// All that some dialect takes for a space.
static void add_all_spaces(struct charset *s)
{
    static const struct char_range ranges[] = {{'\t', '\r'},     {0x1C, 0x20},     {0x85, 0x85},
                                               {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
                                               {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                               {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        charset_add(s, ranges[i].low, ranges[i].high);
}

static void add_word(struct charset *s)
{
    charset_add(s, '0', '9');
    charset_add(s, 'A', 'Z');
    charset_add(s, '_', '_');
    charset_add(s, 'a', 'z');
}

// \d \w \s and their opposites; false: another escape. Beyond ASCII dialects differ on what is a
// digit or a letter, so the opposites of these stay within it.
static bool add_shorthand(char c, struct charset *s)
{
    struct charset not = {0};
    switch (c) {
    case 'd':
        charset_add(s, '0', '9');
        return true;
    case 'w':
        add_word(s);
        return true;
    case 's':
        add_spaces(s);
        return true;
    case 'D':
        charset_add(&not, '0', '9');
        charset_add(&not, 0x80, 0x10FFFF);
        break;
    case 'W':
        add_word(&not);
        charset_add(&not, 0x80, 0x10FFFF);
        break;
    case 'S':
        add_all_spaces(&not);
        break;
    default:
        return false;
    }
    charset_settle(&not);
    charset_invert(&not);
    charset_add_all(s, &not);
    charset_done(&not);
    return true;
}

// Behind the backslash: one character.
static enum err take_escape(struct reading *r, uint32_t *ret)
{
    static const char named[] = "tnrfv0", meant[] = "\t\n\r\f\v";
    char c = peek(r);
    const char *at = c ? memchr(named, c, sizeof named - 1) : NULL;
    if (is_over(r))
        return wrong(r, ERR_PARSE, "ends in a backslash");
    if (at) {
        r->at++;
        *ret = (uint32_t)meant[at - named];
        return ERR_OK;
    }
    if (take(r, "x"))
        return take_hex(r, 2, ret);
    if (take(r, "u"))
        return take_hex(r, 4, ret);
    if ((c >= '1' && c <= '9') || c == 'k')
        return wrong(r, ERR_UNSUPPORTED, "has a back reference: write what it refers to");
    if (c == 'b' || c == 'B')
        return wrong(r, ERR_UNSUPPORTED, "has \\b or \\B: name the characters on both sides");
    if (c == 'p' || c == 'P')
        return wrong(r, ERR_UNSUPPORTED, "has \\p: write the ranges, as in [\\u00C0-\\u024F]");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return wrong(r, ERR_UNSUPPORTED, "has an escape that weir does not know");
    return take_character(r, ret);
}

// --- Classes

static enum err take_class_character(struct reading *r, uint32_t *ret)
{
    if (take(r, "\\b")) {
        *ret = '\b';
        return ERR_OK;
    }
    return take(r, "\\") ? take_escape(r, ret) : take_character(r, ret);
}

static enum err take_class_item(struct reading *r, struct charset *set)
{
    uint32_t low = 0, high;
    if (peek(r) == '\\' && r->at + 1 < r->text.len && add_shorthand(r->text.ptr[r->at + 1], set)) {
        r->at += 2;
        return ERR_OK;
    }
    if (next_is(r, "[:"))
        return wrong(r, ERR_UNSUPPORTED, "has a POSIX class: write the ranges, as in [A-Za-z]");
    ERR_TRY(take_class_character(r, &low));
    high = low;
    bool range = peek(r) == '-' && r->at + 1 < r->text.len && r->text.ptr[r->at + 1] != ']';
    if (range) {
        r->at++;
        if (peek(r) == '\\' && r->at + 1 < r->text.len && strchr("dwsDWS", r->text.ptr[r->at + 1]))
            return wrong(r, ERR_PARSE, "has a range that ends in a class");
        ERR_TRY(take_class_character(r, &high));
    }
    if (low > high)
        return wrong(r, ERR_PARSE, "has a range whose end is before its beginning");
    charset_add(set, low, high);
    return ERR_OK;
}

static enum err take_class(struct reading *r, struct charset *set)
{
    bool inverted = take(r, "^");
    if (peek(r) == ']')
        return wrong(r, ERR_PARSE, "has an empty class: a bracket in it is written \\]");
    while (!take(r, "]")) {
        if (is_over(r))
            return wrong(r, ERR_PARSE, "has a class without its closing bracket");
        ERR_TRY(take_class_item(r, set));
    }
    charset_settle(set);
    if (inverted)
        charset_invert(set);
    return ERR_OK;
}

static enum err lay_class(struct reading *r, uint32_t from, uint32_t to)
{
    struct charset set = {0};
    enum err e = take_class(r, &set);
    if (e == ERR_OK && !set.len)
        e = wrong(r, ERR_INVALID, "has a class that no character is in");
    if (e == ERR_OK)
        machine_move_set(r->machine, from, to, &set);
    charset_done(&set);
    return e;
}

// --- Atoms

static enum err lay_choice(struct reading *r, uint32_t from, uint32_t to);

static enum err skip_group_name(struct reading *r)
{
    while (!is_over(r) && peek(r) != '>')
        r->at++;
    return take(r, ">") ? ERR_OK : wrong(r, ERR_PARSE, "has a group whose name has no end");
}

static enum err lay_group(struct reading *r, uint32_t from, uint32_t to)
{
    if (take(r, "?") && !take(r, ":")) {
        if (next_is(r, "=") || next_is(r, "!") || next_is(r, "<=") || next_is(r, "<!"))
            return wrong(r, ERR_UNSUPPORTED,
                         "has a look-around: say what is meant without one, or check it after");
        if (!take(r, "<") && !take(r, "P<"))
            return wrong(r, ERR_UNSUPPORTED, "has a flag or a kind of group that is not known");
        ERR_TRY(skip_group_name(r));
    }
    if (++r->nesting > MACHINE_NESTING_MAX)
        return wrong(r, ERR_LIMIT, "has more than 64 groups in each other");
    ERR_TRY(lay_choice(r, from, to));
    r->nesting--;
    return take(r, ")") ? ERR_OK : wrong(r, ERR_PARSE, "has a group without its closing bracket");
}

static void lay_dot(struct machine *m, uint32_t from, uint32_t to)
{
    struct charset set = {0};
    charset_add(&set, '\n', '\n');
    charset_add(&set, '\r', '\r');
    charset_add(&set, 0x2028, 0x2029);
    charset_settle(&set);
    charset_invert(&set);
    machine_move_set(m, from, to, &set);
    charset_done(&set);
}

static enum err lay_character(struct reading *r, uint32_t from, uint32_t to)
{
    struct charset set = {0};
    uint32_t c = 0;
    if (peek(r) == '\\' && r->at + 1 < r->text.len && add_shorthand(r->text.ptr[r->at + 1], &set)) {
        r->at += 2;
    } else {
        ERR_TRY(take(r, "\\") ? take_escape(r, &c) : take_character(r, &c));
        charset_add(&set, c, c);
    }
    machine_move_set(r->machine, from, to, &set);
    charset_done(&set);
    return ERR_OK;
}

static enum err lay_atom(struct reading *r, uint32_t from, uint32_t to)
{
    if (take(r, "("))
        return lay_group(r, from, to);
    if (take(r, "["))
        return lay_class(r, from, to);
    if (take(r, ".")) {
        lay_dot(r->machine, from, to);
        return ERR_OK;
    }
    bool begin = take(r, "^") || take(r, "\\A");
    if (begin || take(r, "$") || take(r, "\\Z") || take(r, "\\z")) {
        machine_move(r->machine, begin ? MOVE_BEGIN : MOVE_END, from, to);
        return ERR_OK;
    }
    if (strchr("*+?", peek(r)))
        return wrong(r, ERR_PARSE, "has a count with nothing before it");
    return lay_character(r, from, to);
}

static size_t hex_digits_after(const struct reading *r, size_t at)
{
    char kind = at < r->text.len ? r->text.ptr[at] : '\0';
    return kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
}

// Goes past one atom without looking into it.
static void skip_atom(struct reading *r)
{
    size_t open = 0;
    bool in_class = false;
    do {
        char c = peek(r);
        if (c == '\\')
            r->at += 1 + hex_digits_after(r, r->at + 1);
        else if (in_class)
            in_class = c != ']';
        else if (c == '[')
            in_class = true;
        else if (c == '(')
            open++;
        else if (c == ')')
            open--;
        r->at++;
        while (!is_over(r) && ((unsigned char)peek(r) & 0xC0) == 0x80)
            r->at++;
    } while (!is_over(r) && (open || in_class));
    r->at = min_size(r->at, r->text.len);
}

// --- Counts

struct count {
    uint32_t least, most;
};

static bool take_number(struct reading *r, uint32_t *ret)
{
    uint32_t value = 0;
    size_t from = r->at;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
        value = value > MACHINE_STATES_MAX ? value : value * 10 + (uint32_t)(peek(r) - '0');
    *ret = value;
    return r->at > from;
}

// {n}, {n,}, {n,m} and {,m}; anything else in braces is text.
static bool take_braces(struct reading *r, struct count *ret)
{
    size_t from = r->at;
    struct count c = {0, 0};
    if (!take(r, "{"))
        return false;
    bool has_least = take_number(r, &c.least);
    bool has_most = false;
    c.most = c.least;
    if (take(r, ",")) {
        has_most = take_number(r, &c.most);
        if (!has_most)
            c.most = UINT32_MAX;
    }
    if ((has_least || has_most) && take(r, "}")) {
        *ret = c;
        return true;
    }
    r->at = from;
    return false;
}

static struct count take_count(struct reading *r)
{
    struct count c = {1, 1};
    if (take(r, "*"))
        c = (struct count){0, UINT32_MAX};
    else if (take(r, "+"))
        c = (struct count){1, UINT32_MAX};
    else if (take(r, "?"))
        c = (struct count){0, 1};
    else if (!take_braces(r, &c))
        return c;
    (void)(take(r, "?") || take(r, "+")); // lazy, possessive
    return c;
}

static enum err lay_copy(struct reading *r, size_t atom, uint32_t from, uint32_t to)
{
    if (r->machine->full)
        return wrong(r, ERR_LIMIT, "is too large: its counts make more than 65536 states");
    if (r->read > MACHINE_READ_MAX)
        return wrong(r, ERR_LIMIT, "is too large: its counts repeat more than 2 MiB of text");
    r->at = atom;
    enum err e = lay_atom(r, from, to);
    r->read += r->at - atom;
    return e;
}

static enum err lay_loop(struct reading *r, size_t atom, uint32_t from, uint32_t to, bool once)
{
    struct machine *m = r->machine;
    uint32_t start = machine_state(m), end = machine_state(m);
    machine_move(m, MOVE_NOTHING, from, start);
    ERR_TRY(lay_copy(r, atom, start, end));
    machine_move(m, MOVE_NOTHING, end, start);
    machine_move(m, MOVE_NOTHING, once ? end : start, to);
    return ERR_OK;
}

static enum err lay_copies(struct reading *r, size_t atom, struct count c, uint32_t from,
                           uint32_t to)
{
    struct machine *m = r->machine;
    bool endless = c.most == UINT32_MAX;
    uint32_t least = c.least - (endless && c.least ? 1 : 0);
    for (uint32_t i = 0; i < (endless ? least : c.most); i++) {
        uint32_t next = machine_state(m);
        if (i >= least)
            machine_move(m, MOVE_NOTHING, from, to);
        ERR_TRY(lay_copy(r, atom, from, next));
        from = next;
    }
    if (endless)
        return lay_loop(r, atom, from, to, c.least > 0);
    machine_move(m, MOVE_NOTHING, from, to);
    return ERR_OK;
}

static enum err lay_piece(struct reading *r, uint32_t from, uint32_t to)
{
    size_t atom = r->at;
    skip_atom(r);
    size_t atom_end = r->at;
    struct count c = take_count(r);
    size_t after = r->at;
    if (c.least > c.most)
        return wrong(r, ERR_PARSE, "has a count whose end is below its beginning");
    if (c.least == 1 && c.most == 1)
        ERR_TRY(lay_copy(r, atom, from, to));
    else
        ERR_TRY(lay_copies(r, atom, c, from, to));
    if (c.most > 0 && r->at != atom_end)
        return wrong(r, ERR_PARSE, "cannot be read");
    r->at = after;
    return ERR_OK;
}

// --- Sequences and choices

static enum err lay_sequence(struct reading *r, uint32_t from, uint32_t to)
{
    while (!is_over(r) && peek(r) != '|' && peek(r) != ')') {
        uint32_t next = machine_state(r->machine);
        ERR_TRY(lay_piece(r, from, next));
        from = next;
    }
    machine_move(r->machine, MOVE_NOTHING, from, to);
    return ERR_OK;
}

static enum err lay_choice(struct reading *r, uint32_t from, uint32_t to)
{
    do {
        uint32_t start = machine_state(r->machine); // counts may lead back to it
        machine_move(r->machine, MOVE_NOTHING, from, start);
        ERR_TRY(lay_sequence(r, start, to));
    } while (take(r, "|"));
    return ERR_OK;
}

static void lay_anything(struct machine *m, uint32_t state)
{
    struct charset all = {0};
    charset_add_everything(&all);
    machine_move_set(m, state, state, &all);
    charset_done(&all);
}

static enum err lay_all(struct reading *r, bool anywhere)
{
    struct machine *m = r->machine;
    m->start = machine_state(m);
    m->end = machine_state(m);
    if (!anywhere) {
        ERR_TRY(lay_choice(r, m->start, m->end));
    } else {
        uint32_t before = machine_state(m), after = machine_state(m);
        machine_move(m, MOVE_NOTHING, m->start, before);
        lay_anything(m, before);
        ERR_TRY(lay_choice(r, before, after));
        lay_anything(m, after);
        machine_move(m, MOVE_NOTHING, after, m->end);
    }
    if (!is_over(r))
        return wrong(r, ERR_PARSE, "has a closing bracket too many");
    return m->full ? wrong(r, ERR_LIMIT, "is too large: more than 65536 states") : ERR_OK;
}

enum err machine_new(str expression, bool anywhere, struct machine **ret, struct diag *d)
{
    struct machine *m = mem_new(struct machine);
    struct reading r = {.text = expression, .machine = m, .diag = d};
    enum err e = lay_all(&r, anywhere);
    if (e != ERR_OK) {
        machine_free(m);
        return e;
    }
    machine_finish(m);
    *ret = m;
    return ERR_OK;
}
