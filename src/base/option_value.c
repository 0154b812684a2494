#include "base/option_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"

#include "base/banned.h"

enum { SECRET_BYTES_MAX = 64 * 1024 };

enum err option_refuse(const struct option_place *p, enum err code, const char *fmt, ...)
{
    char text[sizeof p->diag->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    diag_set(p->diag, code, "'%s' %s", p->key, text);
    diag_place(p->diag, p->line, p->col);
    return code;
}

static enum err no_memory(const struct option_place *p)
{
    return option_refuse(p, ERR_LIMIT, "does not fit into the memory set aside for options");
}

// ---- references ----

static bool is_env_name(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return s.len > 0;
}

static bool is_env_reference(str text, str *ret_name)
{
    if (!str_starts(text, STR("${")) || !str_ends(text, STR("}")))
        return false;
    *ret_name = str_sub(text, 2, text.len - 3);
    return is_env_name(*ret_name);
}

static enum err env_value(const struct option_place *p, str name, str *ret)
{
    if (!is_env_name(name))
        return option_refuse(p, ERR_INVALID,
                             "wants the name of an environment variable (letters, digits, _), "
                             "such as OPENAI_API_KEY");
    str name_z = arena_str(p->arena, name);
    if (!name_z.ptr)
        return no_memory(p);
    const char *value = getenv(name_z.ptr);
    if (!value)
        return option_refuse(p, ERR_INVALID,
                             "wants the environment variable %s, which is not set; set it or "
                             "remove the reference",
                             name_z.ptr);
    *ret = arena_str(p->arena, str_of(value));
    return ret->ptr ? ERR_OK : no_memory(p);
}

// "$${" to "${". A "${" without the second $ is refused: half a value from the environment is too
// easily half a value by accident.
static enum err unescape(const struct option_place *p, str text, str *ret)
{
    str copy = arena_str(p->arena, text);
    if (!copy.ptr)
        return no_memory(p);
    char *to = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < text.len; i++) {
        str rest = str_sub(text, i, text.len);
        if (str_starts(rest, STR("$${")))
            i++;
        else if (str_starts(rest, STR("${")))
            return option_refuse(p, ERR_INVALID,
                                 "has ${ inside a longer value; only a whole value may come from "
                                 "the environment: put all of it into one variable and write "
                                 "${NAME} alone, or write $${ for a literal ${");
        *to++ = text.ptr[i];
    }
    *to = '\0';
    *ret = str_slice(copy.ptr, (size_t)(to - copy.ptr));
    return ERR_OK;
}

enum err option_resolve(const struct option_place *p, str text, str *ret)
{
    str name;
    if (is_env_reference(text, &name))
        return env_value(p, name, ret);
    if (str_find(text, STR("${")) == SIZE_MAX) {
        *ret = text;
        return ERR_OK;
    }
    return unescape(p, text, ret);
}

enum err option_secret_from_env(const struct option_place *p, str name, str *ret)
{
    str value = STR_NONE;
    ERR_TRY(env_value(p, name, &value));
    if (value.len == 0)
        return option_refuse(p, ERR_INVALID, "wants the environment variable %.*s, which is empty",
                             (int)name.len, name.ptr);
    *ret = value;
    return ERR_OK;
}

enum err option_secret_from_file(const struct option_place *p, str path, str *ret)
{
    struct buf content;
    struct diag why;
    str path_z = arena_str(p->arena, path);
    if (!path_z.ptr)
        return no_memory(p);
    enum err e = fs_read(path_z.ptr, SECRET_BYTES_MAX, &content, &why);
    if (e != ERR_OK)
        return option_refuse(p, e, "cannot be read from %s: %s", path_z.ptr, why.text);
    str secret = str_trim(buf_str(&content)); // the newline that editors add is not meant
    str copy = arena_str(p->arena, secret);
    buf_done(&content);
    if (!copy.ptr)
        return no_memory(p);
    if (copy.len == 0)
        return option_refuse(p, ERR_INVALID, "is to be read from %s, which is empty", path_z.ptr);
    *ret = copy;
    return ERR_OK;
}

enum err option_resolve_secret(const struct option_place *p, str text, str *ret)
{
    str name;
    if (is_env_reference(text, &name))
        return option_secret_from_env(p, name, ret);
    if (str_starts(text, STR("env:")))
        return option_secret_from_env(p, str_trim(str_sub(text, 4, text.len)), ret);
    if (str_starts(text, STR("file:")))
        return option_secret_from_file(p, str_trim(str_sub(text, 5, text.len)), ret);
    return option_refuse(p, ERR_INVALID,
                         "is a secret and is not written out; refer to it: ${NAME} or {env: NAME} "
                         "for an environment variable, {file: PATH} for a file");
}

// ---- numbers with units ----

struct unit {
    const char *name;
    double factor;
};

static const struct unit duration_units[] = {{"d", 86400e3}, {"h", 3600e3}, {"m", 60e3},
                                             {"s", 1e3},     {"ms", 1},     {NULL, 0}};
static const struct unit bytes_units[] = {
    {"TiB", 0x1p40}, {"TB", 1e12},  {"GiB", 0x1p30}, {"GB", 1e9}, {"MiB", 0x1p20},
    {"MB", 1e6},     {"KiB", 1024}, {"kB", 1e3},     {"B", 1},    {NULL, 0}};

static const struct unit *units_of(enum option_type type)
{
    return type == OPTION_DURATION ? duration_units : bytes_units;
}

// The largest unit that divides the value evenly says it best.
const char *option_number_text(enum option_type type, double value, char *out, size_t out_size)
{
    bool has_unit = type == OPTION_DURATION || type == OPTION_BYTES;
    for (const struct unit *u = units_of(type); has_unit && u->name; u++)
        if (value >= u->factor && fmod(value, u->factor) == 0) {
            snprintf(out, out_size, "%.0f%s", value / u->factor, u->name);
            return out;
        }
    snprintf(out, out_size, type == OPTION_FLOAT ? "%.15g" : "%.0f", value);
    return out;
}

static enum err check_range(const struct option_place *p, const struct option *row, double value)
{
    char low[40], high[40], given[40];
    if ((row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max))
        return ERR_OK;
    option_number_text(row->type, row->min, low, sizeof low);
    option_number_text(row->type, row->max, high, sizeof high);
    option_number_text(row->type, value, given, sizeof given);
    if (isinf(row->max))
        return option_refuse(p, ERR_INVALID, "must be at least %s, not %s", low, given);
    return option_refuse(p, ERR_INVALID, "must be between %s and %s, not %s", low, high, given);
}

#define GIVEN(text) (int)min_size((text).len, 80), (text).ptr

static enum err parse_int(const struct option_place *p, const struct option *row, str text,
                          int64_t *ret)
{
    int64_t value;
    enum err e = str_to_i64(text, &value);
    if (e == ERR_LIMIT)
        return option_refuse(p, ERR_INVALID, "is too large a number: %.*s", GIVEN(text));
    if (e != ERR_OK)
        return option_refuse(p, ERR_INVALID, "must be a whole number, not '%.*s'", GIVEN(text));
    ERR_TRY(check_range(p, row, (double)value));
    *ret = value;
    return ERR_OK;
}

static enum err parse_float(const struct option_place *p, const struct option *row, str text,
                            double *ret)
{
    double value;
    if (str_to_f64(text, &value) != ERR_OK)
        return option_refuse(p, ERR_INVALID, "must be a number, not '%.*s'", GIVEN(text));
    ERR_TRY(check_range(p, row, value));
    *ret = value;
    return ERR_OK;
}

// "1.5s" to its number and unit; false when there is no number in front.
static bool split_unit(str text, double *ret_number, str *ret_unit)
{
    size_t digits = 0;
    while (digits < text.len &&
           ((text.ptr[digits] >= '0' && text.ptr[digits] <= '9') || text.ptr[digits] == '.'))
        digits++;
    *ret_unit = str_trim(str_sub(text, digits, text.len));
    return str_to_f64(str_sub(text, 0, digits), ret_number) == ERR_OK;
}

static double factor_of(enum option_type type, str unit, double number)
{
    for (const struct unit *u = units_of(type); u->name; u++)
        if (str_eq_z(unit, u->name))
            return u->factor;
    if (unit.len == 0 && (type == OPTION_BYTES || number == 0))
        return 1;
    return 0;
}

static enum err parse_with_unit(const struct option_place *p, const struct option *row, str text,
                                int64_t *ret)
{
    const char *remedy =
        row->type == OPTION_DURATION
            ? "must be a duration with its unit (ms, s, m, h, d), such as 500ms or 30s"
            : "must be a size: a number of bytes, or with a unit (kB, MB, GB; KiB, MiB, GiB), such "
              "as 64kB or 16MiB";
    double number;
    str unit;
    if (!split_unit(text, &number, &unit))
        return option_refuse(p, ERR_INVALID, "%s; not '%.*s'", remedy, GIVEN(text));
    double factor = factor_of(row->type, unit, number);
    double value = number * factor;
    if (factor == 0 || value > 0x1p53 || fabs(value - nearbyint(value)) > 1e-6)
        return option_refuse(p, ERR_INVALID, "%s; not '%.*s'", remedy, GIVEN(text));
    ERR_TRY(check_range(p, row, nearbyint(value)));
    *ret = (int64_t)nearbyint(value);
    return ERR_OK;
}

static enum err parse_bool(const struct option_place *p, str text, bool *ret)
{
    bool yes = str_eq(text, STR("true"));
    if (!yes && !str_eq(text, STR("false")))
        return option_refuse(p, ERR_INVALID, "must be true or false, not '%.*s'", GIVEN(text));
    *ret = yes;
    return ERR_OK;
}

static const char *nearest_choice(const struct option *row, str text)
{
    for (size_t i = 0; row->choices[i]; i++)
        if (str_distance(text, str_of(row->choices[i])) <= 1 + text.len / 4)
            return row->choices[i];
    return NULL;
}

static enum err parse_choice(const struct option_place *p, const struct option *row, str text,
                             int64_t *ret)
{
    char known[240];
    size_t len = 0;
    known[0] = '\0';
    for (size_t i = 0; row->choices[i]; i++) {
        if (str_eq_z(text, row->choices[i])) {
            *ret = (int64_t)i;
            return ERR_OK;
        }
        if (len < sizeof known)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "",
                                    row->choices[i]);
    }
    const char *near = nearest_choice(row, text);
    return option_refuse(p, ERR_INVALID, "must be one of %s; not '%.*s'%s%s%s", known, GIVEN(text),
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum err parse_string(const struct option_place *p, str text, str *ret)
{
    str copy = arena_str(p->arena, text);
    if (!copy.ptr)
        return no_memory(p);
    *ret = copy;
    return ERR_OK;
}

enum err option_parse(const struct option_place *p, const struct option *row, str text, void *field)
{
    switch (row->type) {
    case OPTION_BOOL:
        return parse_bool(p, text, field);
    case OPTION_INT:
        return parse_int(p, row, text, field);
    case OPTION_FLOAT:
        return parse_float(p, row, text, field);
    case OPTION_DURATION:
    case OPTION_BYTES:
        return parse_with_unit(p, row, text, field);
    case OPTION_CHOICE:
        return parse_choice(p, row, text, field);
    default:
        ASSERT(row->type == OPTION_STRING || row->type == OPTION_SECRET);
        return parse_string(p, text, field);
    }
}
