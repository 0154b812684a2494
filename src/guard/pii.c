#include "guard/pii.h"

#include "base/banned.h"

static const struct {
    const char *name, *lower, *pattern;
} kinds[PII_KINDS] = {
    [PII_EMAIL] = {"EMAIL", "email",
                   "\\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\\.){1,4}[A-Za-z]{2,24}\\b"},
    [PII_CARD] = {"CARD", "card", "\\b\\d(?:[ -]?\\d){12,18}\\b"},
    [PII_IBAN] = {"IBAN", "iban", "\\b[A-Z]{2}\\d{2}(?: ?[A-Z0-9]){11,30}\\b"},
    [PII_PHONE] = {"PHONE", "phone", "\\+[1-9]\\d{0,2}(?:[ .-]?\\(?\\d{1,4}\\)?){2,6}\\b"},
    [PII_SSN] = {"SSN", "ssn", "\\b\\d{3}-\\d{2}-\\d{4}\\b"},
    [PII_IP] = {"IP", "ip", "\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b"},
    [PII_KEY] = {"KEY", "key",
                 "\\b(?:sk-[A-Za-z0-9_-]{20,200}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,200}|"
                 "xox[abpr]-[A-Za-z0-9-]{10,200}|AIza[A-Za-z0-9_-]{35}|nvapi-[A-Za-z0-9_-]{20,200})"
                 "\\b"},
};

const char *pii_name(enum pii_kind kind)
{
    return kinds[kind].name;
}

bool pii_find(str name, enum pii_kind *ret)
{
    for (int i = 0; i < PII_KINDS; i++)
        if (str_eq_z(name, kinds[i].lower)) {
            *ret = (enum pii_kind)i;
            return true;
        }
    return false;
}

enum err pii_add(struct patterns *p, enum pii_kind kind, uint32_t id, struct diag *d)
{
    return patterns_add(p, str_of(kinds[kind].pattern), id, d);
}

// --- Checks

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += is_digit(text.ptr[i]);
    return n;
}

// ISO/IEC 7812-1, annex B.
static bool passes_luhn(str text)
{
    unsigned sum = 0, place = 0;
    for (size_t i = text.len; i > 0; i--) {
        if (!is_digit(text.ptr[i - 1]))
            continue;
        unsigned digit = (unsigned)(text.ptr[i - 1] - '0');
        if (place++ % 2)
            digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
    }
    return sum % 10 == 0;
}

static bool all_alike(str text)
{
    char first = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            continue;
        if (first && text.ptr[i] != first)
            return false;
        first = text.ptr[i];
    }
    return true;
}

// ISO 13616: the first four characters moved to the end, letters as 10 to 35, modulo 97 is 1.
static bool passes_iban(str text)
{
    char plain[40];
    size_t len = 0;
    unsigned rest = 0;
    for (size_t i = 0; i < text.len && len < sizeof plain; i++)
        if (text.ptr[i] != ' ')
            plain[len++] = text.ptr[i];
    if (len < 15 || len > 34)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = plain[(i + 4) % len];
        rest = is_digit(c) ? (rest * 10 + (unsigned)(c - '0')) % 97
                           : (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
    }
    return rest == 1;
}

static bool is_ip(str text)
{
    str part;
    uint64_t v;
    while (str_split(&text, '.', &part))
        if (str_to_u64(part, &v) != ERR_OK || v > 255)
            return false;
    return true;
}

// What was never given out: 000, 666 and 9xx in front, zeros anywhere.
static bool is_ssn(str text)
{
    str area = str_sub(text, 0, 3);
    return !str_eq(area, STR("000")) && !str_eq(area, STR("666")) && area.ptr[0] != '9' &&
           !str_eq(str_sub(text, 4, 2), STR("00")) && !str_eq(str_sub(text, 7, 4), STR("0000"));
}

bool pii_is(enum pii_kind kind, str text)
{
    switch (kind) {
    case PII_CARD:
        return passes_luhn(text) && !all_alike(text);
    case PII_IBAN:
        return passes_iban(text);
    case PII_PHONE:
        return count_digits(text) >= 8 && count_digits(text) <= 15;
    case PII_SSN:
        return is_ssn(text);
    case PII_IP:
        return is_ip(text);
    default:
        return true;
    }
}
