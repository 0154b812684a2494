#include "engine/pace.h"

#include "base/banned.h"

enum {
    FIRST_ROWS = 16, // beside answers, before anything is known
    FIRST_ROWS_ALONE = 128,
    ALONE_US = 200000, // a step of prompts: the fewer cuts, the less often all weights are read
    MANY_US = 100000,  // what many prompts may add to a step of answers
    BLOCK_ROWS = 16,
};

static const double stretch = 2;          // mean; the longest of a hundred gaps is two fifths above
static const double staged_stretch = 1.9; // where the clock ends the step
static const double weight_known = 0.25, weight_most = 4, weight_keep = 0.95;

// Sizes grow by a third to a half: 4, 6, 8, 12, 16, 24 …
static size_t index_of(uint32_t rows)
{
    size_t i = 0;
    for (uint32_t most = 4; i + 1 < PACE_SIZES && rows > most; i++)
        most = i % 2 == 0 ? most + most / 2 : most / 3 * 4;
    return i;
}

static bool is_known(const struct pace_point *p)
{
    return p->weight > weight_known;
}

static double bounded(double x, double least, double most)
{
    return x < least ? least : x > most ? most : x;
}

static void forget_a_little(struct pace *p)
{
    for (size_t i = 0; i < PACE_SIZES; i++)
        p->points[i].weight *= weight_keep;
}

static void move_along(struct pace *p, const struct pace_point *from, double factor)
{
    for (size_t i = 0; i < PACE_SIZES; i++)
        if (&p->points[i] != from)
            p->points[i].us *= factor;
}

void pace_note(struct pace *p, uint32_t rows, double us)
{
    struct pace_point *at = &p->points[index_of(rows)];
    us = us > 1 ? us : 1;
    forget_a_little(p);
    if (!is_known(at)) {
        *at = (struct pace_point){rows, us, 1};
        return;
    }
    // A step that the machine held up tells little.
    double share = 1 / (at->weight + 1), before = at->us;
    share = share > 0.3 ? share : 0.3;
    double expected = before * rows / at->rows;
    at->us += (bounded(us, expected / 1.5, expected * 1.5) - at->us) * share;
    at->rows += (rows - at->rows) * share;
    at->weight = at->weight + 1 < weight_most ? at->weight + 1 : weight_most;
    move_along(p, at, bounded(us / expected, 1 / 1.5, 1.5) * share + 1 - share);
}

// --- What is expected

static const struct pace_point *known_from(const struct pace *p, size_t i)
{
    while (i < PACE_SIZES && !is_known(&p->points[i]))
        i++;
    return i < PACE_SIZES ? &p->points[i] : NULL;
}

static const struct pace_point *next_known(const struct pace *p, const struct pace_point *after)
{
    return known_from(p, (size_t)(after - p->points) + 1);
}

bool pace_is_known(const struct pace *p)
{
    return known_from(p, 0) != NULL;
}

// Through the two points; a larger size never takes less.
static double line_at(const struct pace_point *a, const struct pace_point *b, double rows)
{
    double slope = b->rows > a->rows ? (b->us - a->us) / (b->rows - a->rows) : 0;
    return a->us + (slope > 0 ? slope : 0) * (rows - a->rows);
}

// Fewer rows than were tried: as the line through the next two says, but no less than their part;
// that alone where there is but one, so that fewer are tried. More: the last stretch goes on, by no
// less than half of what a row takes on average.
double pace_us(const struct pace *p, uint32_t rows)
{
    const struct pace_point *a = known_from(p, 0), *b;
    if (!a)
        return 0;
    if (rows <= a->rows) {
        double part = a->us * rows / a->rows,
               line = (b = next_known(p, a)) ? line_at(a, b, rows) : 0;
        return line > part ? line : part;
    }
    for (; (b = next_known(p, a)) && rows > b->rows; a = b)
        if (!next_known(p, b)) {
            double line = line_at(a, b, rows), half = b->us * (1 + 0.5 * (rows / b->rows - 1));
            return line > half ? line : half;
        }
    return b ? line_at(a, b, rows) : a->us * rows / a->rows;
}

static uint32_t rows_tried(const struct pace *p)
{
    double most = 0;
    for (const struct pace_point *a = known_from(p, 0); a; a = next_known(p, a))
        most = a->rows;
    return (uint32_t)most;
}

uint32_t pace_rows(const struct pace *p, double us)
{
    uint32_t least = 0, most = 2 * rows_tried(p);
    while (least < most) {
        uint32_t middle = least + (most - least + 1) / 2;
        if (pace_us(p, middle) <= us)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

// --- What a step may take

// Where a pass takes long however few rows it has, cutting it smaller would only repeat that.
static uint32_t rows_alone(const struct pace_step *s)
{
    if (!pace_is_known(s->alone))
        return FIRST_ROWS_ALONE;
    double block_us = pace_us(s->alone, BLOCK_ROWS);
    return pace_rows(s->alone, 2 * block_us > ALONE_US ? 2 * block_us : ALONE_US);
}

static double bearable_us(const struct pace_step *s)
{
    double one = (stretch - 1) * s->usual_us, many = one * s->n_prompts;
    many = many < MANY_US ? many : MANY_US;
    return many > one ? many : one;
}

uint64_t pace_step_us(const struct pace_step *s)
{
    if (s->usual_us <= 0)
        return 0;
    double one = staged_stretch * s->usual_us, many = s->n_prompts > 1 ? bearable_us(s) : 0;
    return (uint64_t)(one > s->usual_us + many ? one : s->usual_us + many);
}

uint32_t pace_prompt_rows(const struct pace_step *s)
{
    if (s->usual_us <= 0)
        return rows_alone(s);
    if (pace_is_known(s->beside))
        return pace_rows(s->beside, bearable_us(s));
    uint32_t rows = pace_is_known(s->alone) ? pace_rows(s->alone, bearable_us(s)) : FIRST_ROWS;
    return rows < FIRST_ROWS ? rows : FIRST_ROWS;
}
