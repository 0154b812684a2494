#include "machine.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLASSES_MAX = 64,
    LABELS_MAX = 4096,
    SYMBOLS_MAX = 64,
    NAME_MAX_BYTES = 64,
    WORDS_MAX = 4096
};

struct reg_class { // "%r" of 71, or a named one
    char prefix[24];
    uint32_t base, n;
    bool single;
};

struct label {
    char name[NAME_MAX_BYTES];
    uint32_t at;
};

struct symbol {
    char name[NAME_MAX_BYTES];
    uint64_t address;
};

struct parser {
    struct ptx_module *m;
    struct ptx_kernel *k; // NULL outside
    const char *at;
    uint32_t line;
    struct reg_class classes[CLASSES_MAX];
    size_t n_classes;
    struct label *labels;
    size_t n_labels;
    char (*targets)[NAME_MAX_BYTES]; // of each bra, by its number in `target`
    size_t n_targets, targets_cap;
    struct symbol symbols[SYMBOLS_MAX];
    size_t n_symbols;
    int depth;
    char *error;
    size_t error_size;
    bool failed;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (!p->failed)
        snprintf(p->error, p->error_size, "line %u: %s", p->line, what);
    p->failed = true;
    return false;
}

// --- Words of the language

static const char *const OPS[PTX_OPS] = {
    "mov", "ld",   "st",   "cvta", "add", "sub", "mul",  "mad", "fma",  "div", "rem",
    "rcp", "sqrt", "min",  "max",  "neg", "and", "or",   "xor", "not",  "shl", "shr",
    "bfe", "setp", "selp", "bra",  "bar", "ret", "shfl", "cvt", "dp4a", "mma"};

static const char *const COMPARES[PTX_COMPARES] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",
                                                   "equ", "neu", "ltu", "leu", "gtu", "geu"};

static const char *const SPECIALS[PTX_SPECIALS] = {"%tid.x", "%ctaid.x", "%ctaid.y", "%nctaid.x",
                                                   "%ntid.x"};

static int find_word(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return (int)i;
    return -1;
}

static bool type_of(const char *word, struct ptx_type *ret)
{
    static const char LETTERS[] = "?busf";
    const char *letter = strchr(LETTERS + 1, word[0]);
    if (strcmp(word, "pred") == 0) {
        *ret = (struct ptx_type){PTX_PRED, 1};
        return true;
    }
    int bits = atoi(word + 1);
    if (!letter || !word[0] || (bits != 8 && bits != 16 && bits != 32 && bits != 64) ||
        strlen(word) > 3)
        return false;
    *ret = (struct ptx_type){(uint8_t)(letter - LETTERS), (uint8_t)bits};
    return true;
}

static bool modifier(struct parser *p, struct ptx_insn *in, const char *word, int *vector)
{
    static const char *const FREE[] = {"to", "global", "shared", "param", "sync", "bfly", "uni"};
    struct ptx_type t;
    int compare = find_word(COMPARES, PTX_COMPARES, word);
    if (type_of(word, &t)) {
        *(in->type.kind == PTX_NONE ? &in->type : &in->type2) = t;
    } else if (in->op == PTX_SETP && compare >= 0) {
        in->compare = (uint8_t)compare;
    } else if (strcmp(word, "rn") == 0) {
        in->is_rounded = true;
    } else if (strcmp(word, "lo") == 0) {
        in->mode = PTX_LO;
    } else if (strcmp(word, "wide") == 0) {
        in->mode = PTX_WIDE;
    } else if (strcmp(word, "v2") == 0 || strcmp(word, "v4") == 0) {
        *vector = word[1] - '0';
    } else if (find_word(FREE, sizeof FREE / sizeof *FREE, word) < 0) {
        return fail(p, "the modifier .%s is not known here", word);
    }
    return true;
}

// What a GPU's compiler might contract, approximate or flush is refused: such code would not be
// exact.
static bool check_exact(struct parser *p, const struct ptx_insn *in, const char *words)
{
    bool must = in->type.kind == PTX_FLOAT &&
                (in->op == PTX_ADD || in->op == PTX_SUB || in->op == PTX_MUL || in->op == PTX_FMA ||
                 in->op == PTX_DIV || in->op == PTX_RCP || in->op == PTX_SQRT);
    if (must && !in->is_rounded)
        return fail(p, "%s does not say .rn: the GPU may choose how it rounds", words);
    return true;
}

static bool opcode(struct parser *p, struct ptx_insn *in, char *words)
{
    char copy[128], *rest = copy, *word;
    int vector = 1;
    snprintf(copy, sizeof copy, "%s", words);
    int op = find_word(OPS, PTX_OPS, strsep(&rest, "."));
    if (op < 0)
        return fail(p, "the instruction %s is not known here", words);
    in->op = (uint8_t)op;
    if (op == PTX_MMA) {
        p->k->needs_matrix_unit = true;
        return true;
    }
    while ((word = strsep(&rest, ".")))
        if (!modifier(p, in, word, &vector))
            return false;
    return check_exact(p, in, words);
}

// --- Operands

static bool register_of(struct parser *p, const char *name, uint16_t *ret)
{
    for (size_t i = p->n_classes; i-- > 0;) {
        const struct reg_class *c = &p->classes[i];
        size_t len = strlen(c->prefix);
        if (c->single ? strcmp(name, c->prefix) == 0
                      : strncmp(name, c->prefix, len) == 0 && isdigit((unsigned char)name[len])) {
            uint32_t n = c->single ? 0 : (uint32_t)strtoul(name + len, NULL, 10);
            if (n >= c->n)
                return fail(p, "there is no register %s", name);
            *ret = (uint16_t)(c->base + n);
            return true;
        }
    }
    return false;
}

static bool number_of(const char *word, uint64_t *ret)
{
    char *end;
    if (word[0] == '0' && (word[1] == 'f' || word[1] == 'd')) { // a float's bits
        *ret = strtoull(word + 2, &end, 16);
        return *end == 0;
    }
    *ret = word[0] == '-' ? (uint64_t)strtoll(word, &end, 0) : strtoull(word, &end, 0);
    return end != word && *end == 0;
}

static bool symbol_of(const struct parser *p, const char *name, uint64_t *ret)
{
    for (size_t i = p->n_symbols; i-- > 0;)
        if (strcmp(p->symbols[i].name, name) == 0) {
            *ret = p->symbols[i].address;
            return true;
        }
    return false;
}

static bool simple(struct parser *p, const char *word, struct ptx_operand *o)
{
    int special = find_word(SPECIALS, PTX_SPECIALS, word);
    if (special >= 0)
        *o = (struct ptx_operand){.kind = PTX_SPECIAL, .value = (uint64_t)special};
    else if (number_of(word, &o->value) || symbol_of(p, word, &o->value))
        o->kind = PTX_VALUE;
    else if (!register_of(p, word, &o->reg[0]))
        return fail(p, "the operand %s is not known here", word);
    return true;
}

// {a, b, …}
static bool vector(struct parser *p, char *word, struct ptx_operand *o)
{
    char *rest = word, *part;
    o->kind = PTX_VECTOR;
    while ((part = strsep(&rest, ","))) {
        struct ptx_operand one = {0};
        if (o->n == PTX_VECTOR_MAX || !simple(p, part, &one) || one.kind == PTX_SPECIAL)
            return fail(p, "a vector that is not known here");
        if (one.kind == PTX_VALUE)
            return fail(p, "a vector of numbers is not known here");
        o->reg[o->n++] = one.reg[0];
    }
    return true;
}

// [reg], [reg+n], [symbol+n]
static bool address(struct parser *p, char *word, struct ptx_operand *o)
{
    uint64_t plus = 0;
    char *sign = strchr(word, '+');
    if (sign) {
        *sign = 0;
        if (!number_of(sign + 1, &plus))
            return fail(p, "an address that is not known here");
    }
    if (!simple(p, word, o))
        return false;
    if (o->kind == PTX_VALUE)
        o->value += plus;
    else
        o->value = plus;
    return true;
}

static bool operand(struct parser *p, struct ptx_insn *in, char *word)
{
    if (in->n_operands == PTX_OPERANDS_MAX)
        return fail(p, "too many operands");
    struct ptx_operand *o = &in->o[in->n_operands++];
    size_t len = strlen(word);
    if (word[0] == '{' || word[0] == '[') {
        word[len - 1] = 0;
        return word[0] == '{' ? vector(p, word + 1, o) : address(p, word + 1, o);
    }
    return simple(p, word, o);
}

static bool operands(struct parser *p, struct ptx_insn *in, char *text)
{
    int depth = 0;
    char *from = text, *to = text; // blanks are dropped on the way
    for (char *c = text;; c++) {
        depth += *c == '{' || *c == '[';
        depth -= *c == '}' || *c == ']';
        if (*c == 0 || (*c == ',' && depth == 0)) {
            bool last = *c == 0;
            *to = 0;
            if (to > from && !operand(p, in, from))
                return false;
            if (last)
                return true;
            from = to = c + 1;
        } else if (!isspace((unsigned char)*c)) {
            *to++ = *c;
        }
    }
}

// --- Statements

static struct ptx_insn *new_insn(struct ptx_kernel *k)
{
    if (k->n_code == k->code_cap) {
        k->code_cap = k->code_cap ? 2 * k->code_cap : 256;
        k->code = realloc(k->code, k->code_cap * sizeof *k->code);
        if (!k->code)
            abort();
    }
    k->code[k->n_code] = (struct ptx_insn){0};
    return &k->code[k->n_code++];
}

static bool branch(struct parser *p, struct ptx_insn *in, const char *label)
{
    if (p->n_targets == p->targets_cap) {
        p->targets_cap = p->targets_cap ? 2 * p->targets_cap : 256;
        p->targets = realloc(p->targets, p->targets_cap * sizeof *p->targets);
        if (!p->targets)
            abort();
    }
    while (isspace((unsigned char)*label))
        label++;
    snprintf(p->targets[p->n_targets], NAME_MAX_BYTES, "%s", label);
    in->target = (uint32_t)p->n_targets++;
    return true;
}

static bool instruction(struct parser *p, char *s)
{
    struct ptx_insn *in = new_insn(p->k);
    in->line = p->line;
    if (*s == '@') {
        in->guarded = true;
        in->guard_not = *++s == '!';
        s += in->guard_not;
        char *name = strsep(&s, " \t");
        if (!s || !register_of(p, name, &in->guard))
            return fail(p, "a condition that is not known here");
        while (isspace((unsigned char)*s))
            s++;
    }
    char *words = strsep(&s, " \t");
    if (!opcode(p, in, words))
        return false;
    if (in->op == PTX_MMA || !s)
        return true;
    return in->op == PTX_BRA ? branch(p, in, s) : operands(p, in, s);
}

static bool registers(struct parser *p, const char *s) // ".reg .b32 %r<71>" or ".reg .b16 tmp"
{
    char type[8], name[24];
    unsigned n = 1;
    if (p->n_classes == CLASSES_MAX || !p->k)
        return fail(p, "too many kinds of registers");
    bool many = sscanf(s, ".reg .%7s %23[^<;]<%u>", type, name, &n) == 3;
    if (!many && sscanf(s, ".reg .%7s %23s", type, name) != 2)
        return fail(p, "registers that are not known here");
    struct reg_class *c = &p->classes[p->n_classes++];
    *c = (struct reg_class){.base = (uint32_t)p->k->n_registers, .n = n, .single = !many};
    snprintf(c->prefix, sizeof c->prefix, "%s", name);
    p->k->n_registers += n;
    return true;
}

static bool name_address(struct parser *p, const char *name, uint64_t at)
{
    if (p->n_symbols == SYMBOLS_MAX)
        return fail(p, "too many names");
    struct symbol *s = &p->symbols[p->n_symbols++];
    snprintf(s->name, sizeof s->name, "%s", name);
    s->address = at;
    return true;
}

static bool shared(struct parser *p, const char *s) // ".shared .align 4 .b8 name[8192]"
{
    unsigned align, bytes;
    char name[NAME_MAX_BYTES];
    if (sscanf(s, ".shared .align %u .b8 %63[^[][%u]", &align, name, &bytes) != 3)
        return fail(p, "shared memory that is not known here");
    size_t at = (p->m->shared_used + align - 1) / align * align;
    if (at + bytes > PTX_SHARED_BYTES)
        return fail(p, "too much shared memory");
    p->m->shared_used = at + bytes;
    return name_address(p, name, (uintptr_t)p->m->shared + at);
}

// ".visible .entry name(" up to the brace; its one parameter is the struct.
static bool entry(struct parser *p)
{
    const char *open = strchr(p->at, '{');
    char name[NAME_MAX_BYTES], param[NAME_MAX_BYTES];
    unsigned align, bytes;
    if (!open || sscanf(p->at, ".visible .entry %63[^(]( .param .align %u .b8 %63[^[][%u]", name,
                        &align, param, &bytes) != 4)
        return fail(p, "an entry that does not take one struct");
    if (bytes > PTX_PARAM_BYTES)
        return fail(p, "too large a parameter");
    p->m->kernels = realloc(p->m->kernels, (p->m->n_kernels + 1) * sizeof *p->m->kernels);
    if (!p->m->kernels)
        abort();
    p->k = &p->m->kernels[p->m->n_kernels++];
    *p->k = (struct ptx_kernel){.param_bytes = bytes};
    snprintf(p->k->name, sizeof p->k->name, "%s", name);
    p->n_classes = p->n_labels = p->n_targets = 0;
    for (; p->at < open; p->at++)
        p->line += *p->at == '\n';
    p->at++;
    p->depth = 1;
    return name_address(p, param, (uintptr_t)p->m->param);
}

static bool resolve(struct parser *p)
{
    for (size_t i = 0; i < p->k->n_code; i++) {
        struct ptx_insn *in = &p->k->code[i];
        size_t l = 0;
        if (in->op != PTX_BRA)
            continue;
        while (l < p->n_labels && strcmp(p->labels[l].name, p->targets[in->target]) != 0)
            l++;
        if (l == p->n_labels)
            return fail(p, "there is no label %s", p->targets[in->target]);
        in->target = p->labels[l].at;
    }
    p->k = NULL;
    return true;
}

static bool statement(struct parser *p, char *s)
{
    if (strncmp(s, ".reg", 4) == 0)
        return registers(p, s);
    if (strncmp(s, ".shared", 7) == 0)
        return shared(p, s);
    if (s[0] == '.') // .pragma
        return true;
    if (!p->k)
        return fail(p, "an instruction outside of an entry");
    return instruction(p, s);
}

// A label that ends here, up to ':'.
static bool take_label(struct parser *p)
{
    size_t len = strcspn(p->at, " \t\n;:{");
    if (p->at[len] != ':' || len == 0 || len >= NAME_MAX_BYTES)
        return false;
    if (p->n_labels == LABELS_MAX)
        return !fail(p, "too many labels");
    struct label *l = &p->labels[p->n_labels++];
    snprintf(l->name, sizeof l->name, "%.*s", (int)len, p->at);
    l->at = (uint32_t)p->k->n_code;
    p->at += len + 1;
    return true;
}

static void skip_blanks(struct parser *p)
{
    for (;; p->at++) {
        if (p->at[0] == '/' && p->at[1] == '/')
            p->at += strcspn(p->at, "\n");
        p->line += *p->at == '\n';
        if (!isspace((unsigned char)*p->at))
            return;
    }
}

static bool take_statement(struct parser *p)
{
    char text[512];
    size_t n = 0;
    uint32_t line = p->line;
    for (; *p->at && *p->at != ';'; p->at++) {
        line += *p->at == '\n';
        if (n + 1 == sizeof text)
            return fail(p, "too long a statement");
        text[n++] = *p->at == '\n' ? ' ' : *p->at;
    }
    text[n] = 0;
    p->at += *p->at == ';';
    bool good = statement(p, text);
    p->line = line;
    return good;
}

static bool next(struct parser *p)
{
    if (strncmp(p->at, ".visible", 8) == 0)
        return entry(p);
    if (!p->k && strncmp(p->at, ".shared", 7) != 0) { // .version and the like end with the line
        p->at += strcspn(p->at, "\n");
        return true;
    }
    if (*p->at == '{' || *p->at == '}') {
        p->depth += *p->at++ == '{' ? 1 : -1;
        return p->depth || resolve(p);
    }
    if (p->k && take_label(p))
        return true;
    return !p->failed && take_statement(p);
}

struct ptx_module *ptx_parse(const char *text, char *error, size_t error_size)
{
    struct parser p = {.at = text, .line = 1, .error = error, .error_size = error_size};
    p.m = calloc(1, sizeof *p.m);
    p.labels = calloc(LABELS_MAX, sizeof *p.labels);
    if (!p.m || !p.labels)
        abort();
    p.m->shared = aligned_alloc(64, PTX_SHARED_BYTES);
    p.m->param = aligned_alloc(64, PTX_PARAM_BYTES);
    p.m->touches = calloc(PTX_SHARED_BYTES / 4, sizeof *p.m->touches);
    if (!p.m->shared || !p.m->param || !p.m->touches)
        abort();
    for (skip_blanks(&p); *p.at && next(&p); skip_blanks(&p))
        ;
    if (!p.failed && p.k)
        fail(&p, "the text ends within an entry");
    free(p.labels);
    free(p.targets);
    if (!p.failed)
        return p.m;
    ptx_module_free(p.m);
    return NULL;
}

void ptx_module_free(struct ptx_module *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_kernels; i++)
        free(m->kernels[i].code);
    free(m->kernels);
    free(m->shared);
    free(m->param);
    free(m->touches);
    free(m);
}

struct ptx_kernel *ptx_find(struct ptx_module *m, const char *name)
{
    for (size_t i = 0; i < m->n_kernels; i++)
        if (strcmp(m->kernels[i].name, name) == 0)
            return &m->kernels[i];
    return NULL;
}
