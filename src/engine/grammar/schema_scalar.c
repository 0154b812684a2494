// Strings and numbers.
#include "engine/grammar/decimal.h"
#include "engine/grammar/machine.h"
#include "engine/grammar/schema_impl.h"

#include "base/banned.h"

// --- Formats

#define DATE                                                                                       \
    "[1-9]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1" \
    "-9]|1\\d|2[0-8]))"
#define TIME  "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9]{0,20}(-[A-Za-z0-9]{1,20})?)"
#define HOST  LABEL "(\\." LABEL "){0,3}\\.[A-Za-z]{2,8}"
#define BYTE  "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define CLOCK "(\\d{1,2}H(\\d{1,2}M(\\d{1,2}S)?)?|\\d{1,2}M(\\d{1,2}S)?|\\d{1,2}S)"
#define URI                                                                                        \
    "https?://" HOST "(:[1-9]\\d{0,3})?(/[A-Za-z0-9._~-]{0,40}){0,8}(\\?[A-Za-z0-9._~=&-]{0,80})?" \
    "(#[A-Za-z0-9._~-]{0,40})?"

struct format {
    const char *name, *expression; // NULL: says nothing that could be held
};

static const struct format formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"duration", "P(\\d{1,3}D(T" CLOCK ")?|T" CLOCK "|\\d{1,3}W)"},
    {"email", "[A-Za-z0-9_+-]{1,24}(\\.[A-Za-z0-9_+-]{1,24}){0,2}@" HOST},
    {"idn-email", "[A-Za-z0-9_+-]{1,24}(\\.[A-Za-z0-9_+-]{1,24}){0,2}@" HOST},
    {"hostname", HOST},
    {"idn-hostname", HOST},
    {"ipv4", BYTE "\\." BYTE "\\." BYTE "\\." BYTE},
    {"ipv6", "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"},
    {"uri", URI},
    {"iri", URI},
    {"url", URI},
    {"uri-reference", URI},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{"
             "12}"},
    {"json-pointer", "(/([^~/]|~[01]){0,40}){0,8}"},
    {"byte", "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
    {"base64", "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
    {"password", NULL},
    {"binary", NULL},
    {"text", NULL},
    {"markdown", NULL},
    {"path", NULL},
    {"file-path", NULL},
    {"directory-path", NULL},
    {"int32", NULL}, // of numbers, by OpenAPI
    {"int64", NULL},
    {"float", NULL},
    {"double", NULL},
};

static enum err format_of(struct schema_compiler *c, const struct item *item, str name,
                          const char **ret)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_eq_z(name, formats[i].name)) {
            *ret = formats[i].expression;
            return ERR_OK;
        }
    return schema_refuse(c, ERR_UNSUPPORTED, item, "format",
                         "is not one that weir can hold: date, time, date-time, duration, email, "
                         "hostname, ipv4, ipv6, uri, uuid, json-pointer and byte are; or use "
                         "'pattern'");
}

// --- Strings

struct machines {
    struct machine *all[MACHINES_MAX];
    size_t n;
};

static enum err add_machine(struct schema_compiler *c, struct machines *m, const struct item *item,
                            const char *member, str expression)
{
    struct diag d = {0};
    if (m->n == MACHINES_MAX)
        return schema_refuse(c, ERR_LIMIT, item, member,
                             "is the fifth pattern for one string: four at most");
    bool anywhere = str_eq_z(STR("pattern"), member);
    enum err e = machine_new(expression, anywhere, &m->all[m->n], &d);
    if (e != ERR_OK)
        return schema_refuse(c, e, item, member, d.text);
    m->n++;
    return ERR_OK;
}

static enum err collect_machines(struct schema_compiler *c, const struct view *v,
                                 struct machines *m)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        yyjson_val *pattern = json_get(item->schema, "pattern");
        yyjson_val *format = json_get(item->schema, "format");
        const char *expression = NULL;
        if (pattern && !yyjson_is_str(pattern))
            return schema_refuse(c, ERR_INVALID, item, "pattern", "must be a string");
        if (pattern)
            ERR_TRY(add_machine(c, m, item, "pattern", json_str(pattern)));
        if (yyjson_is_str(format))
            ERR_TRY(format_of(c, item, json_str(format), &expression));
        if (expression)
            ERR_TRY(add_machine(c, m, item, "format", str_of(expression)));
    }
    return ERR_OK;
}

static enum err collect_bounds(struct schema_compiler *c, const struct view *v,
                               struct machine_bounds *ret)
{
    *ret = (struct machine_bounds){0, UINT32_MAX};
    for (size_t i = 0; i < v->n; i++) {
        uint32_t least = 0, most = UINT32_MAX;
        ERR_TRY(schema_count(c, &v->items[i], "minLength", &least));
        ERR_TRY(schema_count(c, &v->items[i], "maxLength", &most));
        ret->least = least > ret->least ? least : ret->least;
        ret->most = most < ret->most ? most : ret->most;
    }
    return ERR_OK;
}

static void lay_string(struct schema_compiler *c, const struct machines *m,
                       struct machine_bounds bounds, uint32_t from, uint32_t to)
{
    struct graph *g = c->graph;
    if (bounds.least > bounds.most)
        return;
    if (!m->n && !bounds.least && bounds.most == UINT32_MAX) {
        graph_call(g, from, to, json_text_string(&c->json));
        return;
    }
    uint32_t inside = graph_after(g, from, STR("\"")), end = graph_state(g);
    const struct machine *machines[MACHINES_MAX];
    for (size_t i = 0; i < m->n; i++)
        machines[i] = m->all[i];
    if (m->n)
        machine_lay(machines, m->n, bounds, true, g, inside, end);
    else
        graph_repeat(g, inside, end, json_text_character(&c->json), bounds.least, bounds.most);
    graph_text(g, end, to, STR("\""));
}

enum err schema_lay_string(struct schema_compiler *c, const struct view *v, uint32_t from,
                           uint32_t to)
{
    struct machines m = {.n = 0};
    struct machine_bounds bounds;
    enum err e = collect_machines(c, v, &m);
    if (e == ERR_OK)
        e = collect_bounds(c, v, &bounds);
    if (e == ERR_OK)
        lay_string(c, &m, bounds, from, to);
    for (size_t i = 0; i < m.n; i++)
        machine_free(m.all[i]);
    return e;
}

// --- Numbers

static enum err number_of(struct schema_compiler *c, const struct item *item, const char *member,
                          yyjson_val *v, struct decimal *ret)
{
    str text = json_num_text(v);
    if (!text.ptr)
        return schema_refuse(c, ERR_INVALID, item, member, "must be a number");
    if (!decimal_parse(text, ret))
        return schema_refuse(c, ERR_LIMIT, item, member, "has more than 40 digits");
    return ERR_OK;
}

static void raise_low(struct decimal_range *r, const struct decimal *d, bool open)
{
    int order = r->has_low ? decimal_compare(d, &r->low) : 1;
    if (order < 0)
        return;
    r->low_open = order > 0 ? open : r->low_open || open;
    r->low = *d;
    r->has_low = true;
}

static void lower_high(struct decimal_range *r, const struct decimal *d, bool open)
{
    int order = r->has_high ? decimal_compare(d, &r->high) : -1;
    if (order > 0)
        return;
    r->high_open = order < 0 ? open : r->high_open || open;
    r->high = *d;
    r->has_high = true;
}

// Draft 4 had a boolean beside `minimum`.
static enum err take_bound(struct schema_compiler *c, const struct item *item, bool low,
                           struct decimal_range *r)
{
    const char *closed = low ? "minimum" : "maximum";
    const char *open = low ? "exclusiveMinimum" : "exclusiveMaximum";
    yyjson_val *bound = json_get(item->schema, closed), *other = json_get(item->schema, open);
    struct decimal d;
    if (bound) {
        ERR_TRY(number_of(c, item, closed, bound, &d));
        (low ? raise_low : lower_high)(r, &d, yyjson_is_true(other));
    }
    if (other && !yyjson_is_bool(other)) {
        ERR_TRY(number_of(c, item, open, other, &d));
        (low ? raise_low : lower_high)(r, &d, true);
    }
    return ERR_OK;
}

static enum err take_multiple(struct schema_compiler *c, const struct item *item,
                              struct decimal_range *r)
{
    yyjson_val *v = json_get(item->schema, "multipleOf");
    int64_t n;
    if (!v)
        return ERR_OK;
    if (!json_is_int(v, &n) || n < 1 || n > DECIMAL_MULTIPLE_MAX)
        return schema_refuse(c, ERR_UNSUPPORTED, item, "multipleOf",
                             "is offered for integers from 1 to 128");
    if (r->multiple > 1 && n > 1 && (uint32_t)n != r->multiple)
        return schema_refuse(c, ERR_UNSUPPORTED, item, "multipleOf",
                             "stands beside another one: write one number for both");
    r->multiple = n > 1 ? (uint32_t)n : r->multiple;
    r->whole = true;
    return ERR_OK;
}

enum err schema_lay_number(struct schema_compiler *c, const struct view *v, bool whole,
                           uint32_t from, uint32_t to)
{
    struct decimal_range r = {.whole = whole, .multiple = 1};
    for (size_t i = 0; i < v->n; i++) {
        ERR_TRY(take_bound(c, &v->items[i], true, &r));
        ERR_TRY(take_bound(c, &v->items[i], false, &r));
        ERR_TRY(take_multiple(c, &v->items[i], &r));
    }
    int order = r.has_low && r.has_high ? decimal_compare(&r.low, &r.high) : -1;
    if (order > 0 || (order == 0 && (r.low_open || r.high_open)))
        return ERR_OK;
    if (!r.has_low && !r.has_high && r.multiple == 1)
        graph_call(c->graph, from, to,
                   r.whole ? json_text_integer(&c->json) : json_text_number(&c->json));
    else
        decimal_lay(&r, c->graph, from, to);
    return ERR_OK;
}
