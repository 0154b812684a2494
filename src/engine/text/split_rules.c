// The patterns of the pre-tokenizers, written out by hand. Each function's comment is the regular
// expression it stands for, as the model's tokenizer.json has it.
#include "engine/text/split.h"

#include "base/banned.h"

// The end of the run of code points, from `at`, whose class is among `wanted`.
static uint32_t run(const struct split_text *t, uint32_t at, uint32_t end, unsigned wanted)
{
    while (at < end && t->cls[at] & wanted)
        at++;
    return at;
}

static uint32_t run_other_than(const struct split_text *t, uint32_t at, uint32_t end,
                               unsigned unwanted)
{
    while (at < end && !(t->cls[at] & unwanted))
        at++;
    return at;
}

static bool is_newline(uint32_t cp)
{
    return cp == '\r' || cp == '\n';
}

static uint32_t fold(uint32_t cp, bool any_case)
{
    if (any_case && cp >= 'A' && cp <= 'Z')
        return cp | 0x20;
    return any_case && cp == 0x17f ? 's' : cp; // long s folds to s
}

// 's|'t|'re|'ve|'m|'ll|'d
static uint32_t contraction(const struct split_text *t, uint32_t at, uint32_t end, bool any_case)
{
    if (t->cp[at] != '\'' || at + 1 >= end)
        return 0;
    uint32_t a = fold(t->cp[at + 1], any_case);
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    uint32_t b = at + 2 < end ? fold(t->cp[at + 2], any_case) : 0;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+
static uint32_t blanks(const struct split_text *t, uint32_t at, uint32_t end)
{
    uint32_t stop = run(t, at, end, SPLIT_SPACE);
    return stop < end && stop - at > 1 ? stop - at - 1 : stop - at;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
static uint32_t gpt2(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    uint32_t len = contraction(t, at, end, false);
    if (len)
        return len;
    uint32_t first = at + (t->cp[at] == ' ');
    if (first == end || t->cls[first] & SPLIT_SPACE)
        return blanks(t, at, end);
    if (t->cls[first] & SPLIT_LETTER)
        return run(t, first, end, SPLIT_LETTER) - at;
    if (t->cls[first] & SPLIT_NUMBER)
        return run(t, first, end, SPLIT_NUMBER) - at;
    return run_other_than(t, first, end, SPLIT_SPACE | SPLIT_LETTER | SPLIT_NUMBER) - at;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
static uint32_t blanks_by_line(const struct split_text *t, uint32_t at, uint32_t end)
{
    uint32_t stop = run(t, at, end, SPLIT_SPACE);
    for (uint32_t i = stop; i > at; i--)
        if (is_newline(t->cp[i - 1]))
            return i - at;
    return stop < end && stop - at > 1 ? stop - at - 1 : stop - at;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+
static uint32_t llama3_like(const struct split_text *t, uint32_t at, uint32_t end, uint32_t digits)
{
    uint32_t len = contraction(t, at, end, true);
    if (len)
        return len;
    if (t->cls[at] & SPLIT_LETTER)
        return run(t, at, end, SPLIT_LETTER) - at;
    if (t->cls[at] & SPLIT_NUMBER)
        return run(t, at, end - at > digits ? at + digits : end, SPLIT_NUMBER) - at;
    if (!is_newline(t->cp[at]) && at + 1 < end && t->cls[at + 1] & SPLIT_LETTER)
        return run(t, at + 1, end, SPLIT_LETTER) - at;
    uint32_t first = at + (t->cp[at] == ' ');
    uint32_t stop = run_other_than(t, first, end, SPLIT_SPACE | SPLIT_LETTER | SPLIT_NUMBER);
    if (stop == first)
        return blanks_by_line(t, at, end);
    while (stop < end && is_newline(t->cp[stop]))
        stop++;
    return stop - at;
}

static uint32_t llama3(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return llama3_like(t, at, end, 3);
}

static uint32_t qwen2(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return llama3_like(t, at, end, 1);
}

// \p{N}
static uint32_t digit(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)end;
    (void)skip;
    return t->cls[at] & SPLIT_NUMBER ? 1 : 0;
}

// \p{N}+
static uint32_t digits(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return run(t, at, end, SPLIT_NUMBER) - at;
}

static bool is_ascii_digit(uint32_t cp)
{
    return cp >= '0' && cp <= '9';
}

// [0-9][0-9][0-9]
static uint32_t three_digits(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return end - at >= 3 && is_ascii_digit(t->cp[at]) && is_ascii_digit(t->cp[at + 1]) &&
                   is_ascii_digit(t->cp[at + 2])
               ? 3
               : 0;
}

// [\p{P}\$\+<=>\^~\|`]+: Unicode's punctuation and all of ASCII's
static uint32_t punctuation(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    uint32_t i = at;
    while (i < end && (t->cls[i] & SPLIT_PUNCT || (t->cls[i] & SPLIT_SYMBOL && t->cp[i] < 128)))
        i++;
    return i - at;
}

// [\r\n]
static uint32_t newline(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)end;
    (void)skip;
    return is_newline(t->cp[at]) ? 1 : 0;
}

// \s?C+ for the code points C that `is` accepts
static uint32_t led_by_blank(const struct split_text *t, uint32_t at, uint32_t end,
                             bool (*is)(const struct split_text *t, uint32_t i))
{
    uint32_t first = at + (!is(t, at) && t->cls[at] & SPLIT_SPACE ? 1 : 0);
    uint32_t i = first;
    while (i < end && is(t, i))
        i++;
    return i > first ? i - at : 0;
}

static bool is_letter(const struct split_text *t, uint32_t i)
{
    return t->cls[i] & SPLIT_LETTER;
}

static bool is_punct(const struct split_text *t, uint32_t i)
{
    return t->cls[i] & SPLIT_PUNCT;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *r, size_t n, uint32_t cp)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cp > r[mid].last)
            low = mid + 1;
        else if (cp < r[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

// The letters that DeepSeek LLM's tokenizer lists by range: those of two cases, in an older
// Unicode.
static const struct range cased[] = {
    {0x0041, 0x005a},   {0x0061, 0x007a},   {0x00b5, 0x00b5},   {0x00c0, 0x00d6},
    {0x00d8, 0x00f6},   {0x00f8, 0x01ba},   {0x01bc, 0x01bf},   {0x01c4, 0x0293},
    {0x0295, 0x02af},   {0x0370, 0x0373},   {0x0376, 0x0376},   {0x0377, 0x0377},
    {0x037b, 0x037d},   {0x037f, 0x037f},   {0x0386, 0x0386},   {0x0388, 0x038a},
    {0x038c, 0x038c},   {0x038e, 0x03a1},   {0x03a3, 0x03f5},   {0x03f7, 0x0481},
    {0x048a, 0x052f},   {0x0531, 0x0556},   {0x10a0, 0x10c5},   {0x13a0, 0x13f5},
    {0x13f8, 0x13fd},   {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},
    {0x1d6b, 0x1d77},   {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},   {0x1f18, 0x1f1d},
    {0x1f20, 0x1f45},   {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},
    {0x1f5b, 0x1f5b},   {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},
    {0x1fb6, 0x1fbc},   {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},
    {0x1fd0, 0x1fd3},   {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},
    {0x1ff6, 0x1ffc},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},
    {0x2115, 0x2115},   {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},
    {0x213c, 0x213f},   {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2183},
    {0x2184, 0x2184},   {0x2c00, 0x2c7b},   {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},
    {0x2cf2, 0x2cf2},   {0x2cf3, 0x2cf3},   {0xa640, 0xa66d},   {0xa680, 0xa69b},
    {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},   {0xab70, 0xabbf},
    {0xfb00, 0xfb06},   {0xfb13, 0xfb17},   {0xff21, 0xff3a},   {0xff41, 0xff5a},
    {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb}, {0x10c80, 0x10cb2},
    {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943}};

static bool is_cased(const struct split_text *t, uint32_t i)
{
    return in_ranges(cased, ARRAY_LEN(cased), t->cp[i]);
}

// [!-/:-~！-／：-～‘-‟　-。]
static bool is_deepseek_sign(const struct split_text *t, uint32_t i)
{
    static const struct range signs[] = {{0x21, 0x2f},     {0x3a, 0x7e},     {0x2018, 0x201f},
                                         {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
    return in_ranges(signs, ARRAY_LEN(signs), t->cp[i]);
}

static uint32_t cased_word(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return led_by_blank(t, at, end, is_cased);
}

static uint32_t deepseek_signs(const struct split_text *t, uint32_t at, uint32_t end,
                               uint32_t *skip)
{
    (void)skip;
    return led_by_blank(t, at, end, is_deepseek_sign);
}

// \s?\p{L}+
static uint32_t word(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return led_by_blank(t, at, end, is_letter);
}

// \s?\p{P}+
static uint32_t signs(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    (void)skip;
    return led_by_blank(t, at, end, is_punct);
}

// \s+$
static uint32_t last_blanks(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    uint32_t stop = run(t, at, end, SPLIT_SPACE);
    if (stop == end)
        return stop - at;
    *skip = stop > at ? stop - at : 1;
    return 0;
}

// [一-龥ࠀ-一가-퟿]+
static uint32_t east_asian(const struct split_text *t, uint32_t at, uint32_t end, uint32_t *skip)
{
    static const struct range ranges[] = {{0x800, 0x9fa5}, {0xac00, 0xd7ff}};
    uint32_t i = at;
    (void)skip;
    while (i < end && in_ranges(ranges, ARRAY_LEN(ranges), t->cp[i]))
        i++;
    return i - at;
}

static const struct split_rules rules[] = {
    {"gpt-2", false, {gpt2}},
    {"", false, {gpt2}},
    {"phi-2", false, {gpt2}},
    {"roberta-bpe", false, {gpt2}},
    {"mpt", true, {gpt2}},
    {"olmo", true, {gpt2}},
    {"gpt-neox", true, {gpt2}},
    {"llama-bpe", false, {llama3}},
    {"llama3", false, {llama3}},
    {"llama-v3", false, {llama3}},
    {"dbrx", false, {llama3}},
    {"smaug-bpe", false, {llama3}},
    {"qwen2", true, {qwen2}},
    {"deepseek-r1-qwen", true, {qwen2}},
    {"stablelm2", false, {qwen2}},
    {"smollm", false, {digit, gpt2}},
    {"starcoder", false, {digit, gpt2}},
    {"refact", false, {digit, gpt2}},
    {"command-r", true, {digit, gpt2}},
    {"codeshell", false, {digit, gpt2}},
    {"falcon", false, {punctuation, gpt2, three_digits}},
    {"default", false, {punctuation, gpt2, digits, three_digits}},
    {"deepseek-llm", false, {newline, cased_word, deepseek_signs, last_blanks, east_asian, digits}},
    {"deepseek-coder", false, {newline, word, signs, east_asian, digit}},
};

const struct split_rules *split_rules_find(str name)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_eq_z(name, rules[i].name))
            return &rules[i];
    return NULL;
}
