#include "fault/spread.h"

#include <math.h>

#include "base/random.h"

#include "base/banned.h"

#define HOUR_US 3600e6

static bool read_time(str text, double *ret_us)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        str unit = str_of(units[i].unit);
        double number;
        if (!str_ends(text, unit))
            continue;
        if (str_to_f64(str_sub(text, 0, text.len - unit.len), &number) != ERR_OK)
            continue;
        *ret_us = number * units[i].factor;
        return *ret_us >= 0 && *ret_us <= HOUR_US;
    }
    return false;
}

static bool read_form(str form, str a, str b, struct spread *s)
{
    if (str_eq(form, STR("constant"))) {
        s->kind = SPREAD_CONSTANT;
        return b.len == 0 && read_time(a, &s->a_us);
    }
    if (str_eq(form, STR("uniform"))) {
        s->kind = SPREAD_UNIFORM;
        return read_time(a, &s->a_us) && read_time(b, &s->b_us) && s->a_us <= s->b_us;
    }
    s->kind = SPREAD_LOGNORMAL;
    return str_eq(form, STR("lognormal")) && read_time(a, &s->a_us) &&
           str_to_f64(b, &s->sigma) == ERR_OK && s->sigma >= 0 && s->sigma <= 10;
}

enum err spread_parse(str text, struct spread *ret, struct diag *d)
{
    struct spread s = {.kind = SPREAD_CONSTANT};
    str rest = text, form, a = STR_NONE;
    bool ok = str_split(&rest, ':', &form);
    if (ok && form.len == text.len)
        ok = read_time(text, &s.a_us);
    else if (ok)
        ok = str_split(&rest, ':', &a) && read_form(form, a, rest, &s);
    if (!ok)
        return diag_set(d, ERR_PARSE, "'" STR_FMT "' is no spread of times; write " SPREAD_FORMS,
                        STR_ARG(str_sub(text, 0, 80)));
    *ret = s;
    return ERR_OK;
}

static double unit(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53; // in (0,1)
}

// Box and Muller 1958.
static double normal(uint64_t seed, uint64_t a, uint64_t b)
{
    double u = unit(random_counter(seed, a, b)), v = unit(random_counter(~seed, a, b));
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

uint64_t spread_draw(const struct spread *s, uint64_t seed, uint64_t a, uint64_t b)
{
    switch (s->kind) {
    case SPREAD_CONSTANT:
        return (uint64_t)s->a_us;
    case SPREAD_UNIFORM:
        return (uint64_t)(s->a_us + (s->b_us - s->a_us) * unit(random_counter(seed, a, b)));
    case SPREAD_LOGNORMAL:
        return (uint64_t)fmin(HOUR_US, s->a_us * exp(s->sigma * normal(seed, a, b)));
    case SPREAD_NONE:
        break;
    }
    return 0;
}
