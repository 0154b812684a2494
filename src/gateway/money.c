#include "gateway/money.h"

#include "base/text.h"

#include "base/banned.h"

#define FRACTION_DIGITS 9

static enum err parse_fraction(str digits, int64_t *ret)
{
    uint64_t value = 0;
    if (!digits.len)
        return ERR_PARSE;
    if (digits.len > FRACTION_DIGITS)
        return ERR_LIMIT;
    ERR_TRY(str_to_u64(digits, &value));
    for (size_t i = digits.len; i < FRACTION_DIGITS; i++)
        value *= 10;
    *ret = (int64_t)value;
    return ERR_OK;
}

static bool all_digits(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

enum err money_parse(str text, int64_t *ret_nano)
{
    size_t point = str_find_char(text, '.');
    str whole = str_sub(text, 0, point), fraction = STR("0");
    int64_t dollars, nano, total;
    if (point != SIZE_MAX)
        fraction = str_sub(text, point + 1, SIZE_MAX);
    if (!all_digits(whole) || !all_digits(fraction))
        return ERR_PARSE;
    ERR_TRY(str_to_i64(whole, &dollars));
    ERR_TRY(parse_fraction(fraction, &nano));
    if (__builtin_mul_overflow(dollars, MONEY_USD, &total) ||
        __builtin_add_overflow(total, nano, &total))
        return ERR_LIMIT;
    *ret_nano = total;
    return ERR_OK;
}

enum err money_option(str text, int64_t *ret_nano, struct diag *d)
{
    if (money_parse(text, ret_nano) == ERR_OK)
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "'" STR_FMT "' is no amount of money: write US dollars, such as \"25\" or "
                    "\"0.50\"",
                    STR_ARG(text));
}

enum err money_bound(str text, int64_t *ret_nano, struct diag *d)
{
    int64_t nano = 0;
    if (text.len)
        ERR_TRY(money_option(text, &nano, d));
    if (text.len && !nano)
        return diag_set(d, ERR_INVALID, "'" STR_FMT "' would allow nothing: leave it out",
                        STR_ARG(text));
    *ret_nano = nano;
    return ERR_OK;
}

const char *money_text(int64_t nano, char out[static MONEY_TEXT_MAX])
{
    uint64_t size = nano < 0 ? -(uint64_t)nano : (uint64_t)nano;
    struct text t = text_in(out, MONEY_TEXT_MAX - 1);
    if (nano < 0)
        text_add(&t, STR("-"));
    text_u64(&t, size / (uint64_t)MONEY_USD);
    text_add(&t, STR("."));
    text_u64_wide(&t, size % (uint64_t)MONEY_USD, FRACTION_DIGITS);
    while (out[t.len - 1] == '0')
        t.len--;
    if (out[t.len - 1] == '.')
        t.len--;
    out[t.len] = 0;
    return out;
}
