// A key's money: so much a day, a month (UTC), or in all. Reserve and settle, as limit.h. All state
// is atomic: any thread, no lock.
#pragma once

#include <stdatomic.h>

#include "base/base.h"

enum budget_period { BUDGET_DAY, BUDGET_MONTH, BUDGET_TOTAL };
extern const char *const budget_period_names[]; // NULL-ended: "day", "month", "total"

struct budget {
    int64_t limit_nano; // below 0: none
    enum budget_period period;
    // All that was ever spent or is reserved, and how much of it earlier periods had.
    _Atomic int64_t total, before;
    _Atomic int64_t period_number;
};

void budget_init(struct budget *b, int64_t limit_nano, enum budget_period period, int64_t spent,
                 uint64_t wall_ms);
// What was spent and is reserved in this period.
int64_t budget_spent(struct budget *b, uint64_t wall_ms);
// False: what is left is less. The reservation is `nano`, to be settled once.
bool budget_take(struct budget *b, uint64_t wall_ms, int64_t nano) MUST_USE;
// `taken_ms`: when it was taken. It counts in the period in which it was taken.
void budget_settle(struct budget *b, uint64_t taken_ms, uint64_t wall_ms, int64_t reserved,
                   int64_t used);
// When the period ends (BUDGET_TOTAL: 0, never).
uint64_t budget_ends_ms(const struct budget *b, uint64_t wall_ms);
