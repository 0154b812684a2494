#include "gateway/budget.h"

#include "base/banned.h"

#define DAY_MS 86400000ull

const char *const budget_period_names[] = {"day", "month", "total", NULL};

// Months since 0000-03 of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date
// Algorithms": civil_from_days).
static int64_t month_of(int64_t day)
{
    int64_t z = day + 719468;
    int64_t era = z / 146097, of_era = z % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    return (era * 400 + year) * 12 + (5 * of_year + 2) / 153;
}

static int64_t number_of(enum budget_period period, uint64_t wall_ms)
{
    int64_t day = (int64_t)(wall_ms / DAY_MS);
    return period == BUDGET_DAY ? day : period == BUDGET_MONTH ? month_of(day) : 0;
}

void budget_init(struct budget *b, int64_t limit_nano, enum budget_period period, int64_t spent,
                 uint64_t wall_ms)
{
    *b = (struct budget){.limit_nano = limit_nano,
                         .period = period,
                         .total = spent,
                         .period_number = number_of(period, wall_ms)};
}

// The first to come in a new period moves the mark. Who comes at the very same moment may still see
// the old one and be refused: never the other way round.
static void turn(struct budget *b, uint64_t wall_ms)
{
    int64_t now = number_of(b->period, wall_ms), was = atomic_load(&b->period_number);
    if (now > was && atomic_compare_exchange_strong(&b->period_number, &was, now))
        atomic_store(&b->before, atomic_load(&b->total));
}

int64_t budget_spent(struct budget *b, uint64_t wall_ms)
{
    turn(b, wall_ms);
    return atomic_load(&b->total) - atomic_load(&b->before);
}

bool budget_take(struct budget *b, uint64_t wall_ms, int64_t nano)
{
    turn(b, wall_ms);
    int64_t total = atomic_load(&b->total);
    do {
        int64_t spent = total - atomic_load(&b->before);
        if (b->limit_nano >= 0 && (spent >= b->limit_nano || nano > b->limit_nano - spent))
            return false;
    } while (!atomic_compare_exchange_weak(&b->total, &total, total + nano));
    return true;
}

void budget_settle(struct budget *b, uint64_t taken_ms, uint64_t wall_ms, int64_t reserved,
                   int64_t used)
{
    turn(b, wall_ms);
    atomic_fetch_add(&b->total, used - reserved);
    if (number_of(b->period, taken_ms) < atomic_load(&b->period_number))
        atomic_fetch_add(&b->before, used - reserved);
}

uint64_t budget_ends_ms(const struct budget *b, uint64_t wall_ms)
{
    uint64_t end = (wall_ms / DAY_MS + 1) * DAY_MS;
    if (b->period == BUDGET_TOTAL)
        return 0;
    while (b->period == BUDGET_MONTH &&
           month_of((int64_t)(end / DAY_MS)) == month_of((int64_t)(wall_ms / DAY_MS)))
        end += DAY_MS;
    return end;
}
