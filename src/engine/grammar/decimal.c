#include "engine/grammar/decimal.h"

#include "base/mem.h"

#include "base/banned.h"

enum { WHOLE_DIGITS = 15, PART_DIGITS = 6, DOUBLE_DIGITS = 15 };

// --- Reading

static void trim(struct decimal *d)
{
    uint32_t zeros = 0;
    while (zeros < d->n_whole && d->whole[zeros] == 0)
        zeros++;
    memmove(d->whole, d->whole + zeros, d->n_whole - zeros);
    d->n_whole -= zeros;
    while (d->n_part && d->part[d->n_part - 1] == 0)
        d->n_part--;
    if (!d->n_whole && !d->n_part)
        d->negative = false;
}

// Digits with the point `point` places behind the first.
static bool place(const uint8_t *digits, int64_t n, int64_t point, struct decimal *ret)
{
    for (int64_t i = point < 0 ? point : 0; i < n || i < point; i++) {
        uint8_t digit = i >= 0 && i < n ? digits[i] : 0;
        if (i < point ? ret->n_whole == DECIMAL_DIGITS_MAX : ret->n_part == DECIMAL_DIGITS_MAX)
            return false;
        if (i < point)
            ret->whole[ret->n_whole++] = digit;
        else
            ret->part[ret->n_part++] = digit;
    }
    return true;
}

bool decimal_parse(str text, struct decimal *ret)
{
    uint8_t digits[2 * DECIMAL_DIGITS_MAX];
    int64_t n = 0, point = -1, exponent = 0;
    size_t at = 0;
    *ret = (struct decimal){.negative = text.len && text.ptr[0] == '-'};
    for (at = ret->negative; at < text.len && text.ptr[at] != 'e' && text.ptr[at] != 'E'; at++) {
        if (text.ptr[at] == '.') {
            point = n;
            continue;
        }
        if (n == 2 * DECIMAL_DIGITS_MAX)
            return false;
        digits[n++] = (uint8_t)(text.ptr[at] - '0');
    }
    if (at < text.len) {
        str power = str_sub(text, at + 1, SIZE_MAX);
        if (power.len && power.ptr[0] == '+')
            power = str_sub(power, 1, SIZE_MAX);
        if (str_to_i64(power, &exponent) != ERR_OK || exponent > 100 || exponent < -100)
            return false;
    }
    bool fits = place(digits, n, (point < 0 ? n : point) + exponent, ret);
    trim(ret);
    return fits;
}

// --- Comparing

static uint8_t part_digit(const struct decimal *d, uint32_t i)
{
    return i < d->n_part ? d->part[i] : 0;
}

static int compare_size(const struct decimal *a, const struct decimal *b)
{
    if (a->n_whole != b->n_whole)
        return a->n_whole < b->n_whole ? -1 : 1;
    int order = a->n_whole ? memcmp(a->whole, b->whole, a->n_whole) : 0;
    for (uint32_t i = 0; order == 0 && i < DECIMAL_DIGITS_MAX; i++)
        order = part_digit(a, i) - part_digit(b, i);
    return order;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? compare_size(b, a) : compare_size(a, b);
}

// --- Laying numbers without a sign

struct sizes {
    struct graph *graph;
    const struct decimal *low, *high; // high: NULL when there is no bound
    bool low_open, high_open;
    uint32_t multiple, whole_max, part_max;
    uint32_t to;
    uint32_t part[DECIMAL_DIGITS_MAX + 1][4]; // states behind so many digits of the fraction, + 1
};

// Whether what was said so far is still a beginning of the bound itself.
struct tight {
    bool low, high;
};

static bool is_zero_from(const struct decimal *d, uint32_t part)
{
    return part >= d->n_part;
}

static bool may_end(const struct sizes *s, struct tight t, uint32_t part)
{
    if (t.low && (s->low_open || !is_zero_from(s->low, part)))
        return false;
    return !t.high || !s->high_open || !is_zero_from(s->high, part);
}

// The digits that may come next, and how tight it is behind them.
static bool try_digit(uint8_t digit, uint8_t low, uint8_t high, struct tight t, struct tight *ret)
{
    if ((t.low && digit < low) || (t.high && digit > high))
        return false;
    *ret = (struct tight){t.low && digit == low, t.high && digit == high};
    return true;
}

static uint32_t lay_part(struct sizes *s, uint32_t at, struct tight t)
{
    uint32_t *known = &s->part[at][t.low * 2 + t.high];
    struct tight next;
    if (*known)
        return *known - 1;
    uint32_t state = graph_state(s->graph);
    *known = state + 1;
    if (at > 0 && may_end(s, t, at))
        graph_nothing(s->graph, state, s->to);
    for (uint8_t digit = 0; digit < 10 && at < s->part_max; digit++) {
        uint8_t low = t.low ? part_digit(s->low, at) : 0;
        uint8_t high = t.high ? part_digit(s->high, at) : 9;
        if (try_digit(digit, low, high, t, &next))
            graph_bytes(s->graph, state, lay_part(s, at + 1, next), (uint8_t)('0' + digit),
                        (uint8_t)('0' + digit));
    }
    return state;
}

static uint8_t whole_digit(const struct decimal *d, uint32_t i)
{
    return d->n_whole ? d->whole[i] : 0; // zero is written with one digit
}

static uint32_t length_of(const struct decimal *d)
{
    return d->n_whole ? d->n_whole : 1;
}

static void end_whole(struct sizes *s, uint32_t state, struct tight t, uint32_t rest)
{
    if (rest == 0 && may_end(s, t, 0))
        graph_nothing(s->graph, state, s->to);
    if (s->part_max)
        graph_text(s->graph, state, lay_part(s, 0, t), STR("."));
}

// Whole parts of just so many digits. States: by place, tightness and rest.
static void lay_length(struct sizes *s, uint32_t from, uint32_t length)
{
    struct tight next,
        first = {length == length_of(s->low), s->high && length == length_of(s->high)};
    size_t width = (size_t)4 * s->multiple;
    uint32_t *states = mem_array((length + 1) * width, sizeof *states);
    states[(size_t)(first.low * 2 + first.high) * s->multiple] = from + 1;
    for (uint32_t at = 0; at <= length; at++)
        for (uint32_t k = 0; k < width; k++) {
            uint32_t state = states[at * width + k], rest = k % s->multiple;
            struct tight t = {k / s->multiple / 2, s->high && k / s->multiple % 2};
            if (!state || graph_is_full(s->graph))
                continue;
            if (at == length) {
                end_whole(s, state - 1, t, rest);
                continue;
            }
            for (uint8_t digit = at == 0 && length > 1; digit < 10; digit++) {
                uint8_t low = t.low ? whole_digit(s->low, at) : 0;
                uint8_t high = t.high ? whole_digit(s->high, at) : 9;
                if (!try_digit(digit, low, high, t, &next))
                    continue;
                uint32_t after = (rest * 10 + digit) % s->multiple;
                uint32_t *to = &states[(at + 1) * width +
                                       (size_t)(next.low * 2 + next.high) * s->multiple + after];
                if (!*to)
                    *to = graph_state(s->graph) + 1;
                graph_bytes(s->graph, state - 1, *to - 1, (uint8_t)('0' + digit),
                            (uint8_t)('0' + digit));
            }
        }
    mem_free(states);
}

static void lay_sizes(struct sizes *s, uint32_t from)
{
    uint32_t longest = s->high ? length_of(s->high) : s->whole_max;
    for (uint32_t length = length_of(s->low); length <= longest; length++)
        lay_length(s, from, length);
}

// --- Both signs

// Fractions so short that a reader's doubles tell them from a bound that is open.
static uint32_t part_digits(const struct decimal_range *r)
{
    uint32_t whole = 0;
    if (r->whole)
        return 0;
    if (r->has_low && r->low_open)
        whole = r->low.n_whole;
    if (r->has_high && r->high_open && r->high.n_whole > whole)
        whole = r->high.n_whole;
    uint32_t most = PART_DIGITS;
    if (r->has_low && r->low.n_part > most)
        most = r->low.n_part;
    if (r->has_high && r->high.n_part > most)
        most = r->high.n_part;
    uint32_t left = whole < DOUBLE_DIGITS ? DOUBLE_DIGITS - whole : 0;
    return most < left ? most : left;
}

static const struct decimal zero;

static void lay_side(const struct decimal_range *r, bool negative, struct graph *g, uint32_t from,
                     uint32_t to)
{
    // On the negative side the bounds change places, and zero is left to the other.
    bool has_near = negative ? r->has_high && r->high.negative : r->has_low && !r->low.negative;
    bool has_far = negative ? r->has_low : r->has_high;
    const struct decimal *near = has_near ? (negative ? &r->high : &r->low) : &zero;
    struct sizes s = {
        .graph = g,
        .low = near,
        .high = has_far ? (negative ? &r->low : &r->high) : NULL,
        .low_open = has_near ? (negative ? r->high_open : r->low_open) : negative,
        .high_open = negative ? r->low_open : r->high_open,
        .multiple = r->multiple,
        .whole_max = near->n_whole >= WHOLE_DIGITS ? near->n_whole + 1 : WHOLE_DIGITS,
        .part_max = part_digits(r),
        .to = to,
    };
    if (negative)
        from = graph_after(g, from, STR("-"));
    lay_sizes(&s, from);
}

void decimal_lay(const struct decimal_range *r, struct graph *g, uint32_t from, uint32_t to)
{
    uint32_t start = graph_state(g);
    graph_nothing(g, from, start);
    if (!(r->has_low && !r->low.negative))
        lay_side(r, true, g, start, to);
    if (!(r->has_high && r->high.negative))
        lay_side(r, false, g, start, to);
}
