#include "store/spend.h"

#include <stdio.h>

#include "base/clock.h"

#include "base/banned.h"

void spend_periods(int64_t wall_ms, char out[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX])
{
    char now[25];
    clock_iso8601((uint64_t)wall_ms, now);
    snprintf(out[0], SPEND_PERIOD_TEXT_MAX, "day %.10s", now);
    snprintf(out[1], SPEND_PERIOD_TEXT_MAX, "month %.7s", now);
    snprintf(out[2], SPEND_PERIOD_TEXT_MAX, "total");
}

enum err spend_prepare(struct db *b, struct spend_statement *ret, struct diag *d)
{
    return db_prepare(b,
                      "INSERT INTO spend(key, period, nano_usd) VALUES(?,?,?) "
                      "ON CONFLICT(key, period) DO UPDATE SET nano_usd = nano_usd + "
                      "excluded.nano_usd",
                      &ret->add, d);
}

void spend_done(struct spend_statement *s)
{
    sqlite3_finalize(s->add);
    s->add = NULL;
}

enum err spend_add(struct db *b, struct spend_statement *s, str key_id, int64_t wall_ms,
                   int64_t nano_usd, struct diag *d)
{
    char periods[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX];
    spend_periods(wall_ms, periods);
    for (size_t i = 0; i < SPEND_PERIODS; i++) {
        db_bind_str(s->add, 1, key_id);
        db_bind_str(s->add, 2, str_of(periods[i]));
        db_bind_int(s->add, 3, nano_usd);
        ERR_TRY(db_run(b, s->add, d));
    }
    return ERR_OK;
}

enum err spend_read(struct db *b, str key_id, const char *period, int64_t *ret_nano_usd,
                    struct diag *d)
{
    sqlite3_stmt *s;
    bool row;
    ERR_TRY(db_prepare(b, "SELECT nano_usd FROM spend WHERE key = ? AND period = ?", &s, d));
    db_bind_str(s, 1, key_id);
    db_bind_str(s, 2, str_of(period));
    enum err e = db_step(b, s, &row, d);
    if (e == ERR_OK)
        *ret_nano_usd = row ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return e;
}
