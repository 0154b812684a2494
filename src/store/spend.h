// What each key has spent, by period: "day 2026-11-22", "month 2026-11", "total" (UTC). It grows in
// the transaction that writes the record, so that money and records never disagree on disk.
#pragma once

#include "store/db.h"

#define SPEND_PERIODS         3
#define SPEND_PERIOD_TEXT_MAX 24

// The names of the periods that a moment belongs to.
void spend_periods(int64_t wall_ms, char out[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX]);

struct spend_statement {
    sqlite3_stmt *add;
};
enum err spend_prepare(struct db *b, struct spend_statement *ret, struct diag *d) MUST_USE;
void spend_done(struct spend_statement *s);
enum err spend_add(struct db *b, struct spend_statement *s, str key_id, int64_t wall_ms,
                   int64_t nano_usd, struct diag *d) MUST_USE;
// 0 when nothing was spent.
enum err spend_read(struct db *b, str key_id, const char *period, int64_t *ret_nano_usd,
                    struct diag *d) MUST_USE;
