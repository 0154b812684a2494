#include "store/schema.h"

#include <stdio.h>

#include "store/schema_groups.h"

#include "base/banned.h"

// Step i brings version i to i + 1. A step that was ever released is never changed. Times are
// milliseconds since 1970 (_ms) or microseconds since the request began (_us); money is billionths
// of a US dollar.
static const struct step {
    const char *sql;
    enum err (*run)(struct db *b, struct diag *d); // before sql; or NULL
} steps[SCHEMA_VERSION] = {
    {"CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER, started_ms INTEGER,"
     " ended_ms INTEGER, seen INTEGER NOT NULL DEFAULT 0, written INTEGER NOT NULL DEFAULT 0,"
     " counted INTEGER NOT NULL DEFAULT 0);"
     "CREATE TABLE request(run INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL,"
     " started_ms INTEGER, endpoint TEXT, status INTEGER, outcome TEXT, code TEXT, param TEXT,"
     " key TEXT, key_id TEXT, peer TEXT, model TEXT, provider TEXT, stream INTEGER, choices "
     "INTEGER,"
     " finish TEXT, cache TEXT, dropped TEXT, seed INTEGER, prompt_tokens INTEGER,"
     " cached_tokens INTEGER, cache_write_tokens INTEGER, completion_tokens INTEGER,"
     " reasoning_tokens INTEGER, usage_estimated INTEGER, reserved_tokens INTEGER,"
     " attempts INTEGER, cost_nano_usd INTEGER, read_us INTEGER, admitted_us INTEGER,"
     " first_us INTEGER, total_us INTEGER, overhead_us INTEGER, PRIMARY KEY(run, seq))"
     " WITHOUT ROWID;"
     "CREATE INDEX request_id ON request(id);"
     "CREATE TABLE attempt(run INTEGER NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL,"
     " target TEXT, provider TEXT, model TEXT, reason TEXT, breaker TEXT, result TEXT, failure "
     "TEXT,"
     " code TEXT, upstream_status INTEGER, upstream_request_id TEXT, waited_us INTEGER,"
     " started_us INTEGER, first_us INTEGER, ended_us INTEGER, queue_us INTEGER,"
     " prefill_us INTEGER, decode_us INTEGER, prompt_tokens INTEGER, cached_tokens INTEGER,"
     " cache_write_tokens INTEGER, completion_tokens INTEGER, reasoning_tokens INTEGER,"
     " usage_estimated INTEGER, cost_nano_usd INTEGER, PRIMARY KEY(run, seq, number))"
     " WITHOUT ROWID;"
     "CREATE TABLE key(id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,"
     " created_ms INTEGER NOT NULL, expires_ms INTEGER, revoked_ms INTEGER NOT NULL, models TEXT, "
     "tags TEXT,"
     " requests_per_minute INTEGER, tokens_per_minute INTEGER, concurrency INTEGER,"
     " budget_nano_usd INTEGER, budget_period TEXT, priority TEXT) WITHOUT ROWID;"
     "CREATE UNIQUE INDEX key_name ON key(name) WHERE revoked_ms = 0;"
     "CREATE TABLE spend(key TEXT NOT NULL, period TEXT NOT NULL, nano_usd INTEGER NOT NULL,"
     " PRIMARY KEY(key, period)) WITHOUT ROWID;",
     NULL},
    // An answer from the semantic cache: whose it was, and how near, in millionths.
    {"ALTER TABLE request ADD COLUMN cache_source TEXT;"
     "ALTER TABLE request ADD COLUMN cache_similarity_ppm INTEGER;",
     NULL},
    {"CREATE TABLE shadow(run INTEGER NOT NULL, seq INTEGER NOT NULL, request TEXT NOT NULL,"
     " route TEXT, target TEXT, provider TEXT, model TEXT, outcome TEXT, failure TEXT, code TEXT,"
     " upstream_status INTEGER, upstream_request_id TEXT, first_us INTEGER, total_us INTEGER,"
     " answer_first_us INTEGER, answer_total_us INTEGER, prompt_tokens INTEGER,"
     " cached_tokens INTEGER, completion_tokens INTEGER, usage_estimated INTEGER,"
     " cost_nano_usd INTEGER, answer_bytes INTEGER, shadow_bytes INTEGER, answer_text TEXT,"
     " shadow_text TEXT, PRIMARY KEY(run, seq)) WITHOUT ROWID;"
     "CREATE INDEX shadow_request ON shadow(request);",
     NULL},
    // What rules found in it, and what was left out of a prompt that was too long.
    {"ALTER TABLE request ADD COLUMN guard TEXT;"
     "ALTER TABLE request ADD COLUMN context TEXT;",
     NULL},
    // What was spoken with the provider.
    {"ALTER TABLE attempt ADD COLUMN protocol TEXT;", NULL},
    // Requests, attempts and shadows become records in groups.
    {"DROP TABLE attempt; DROP TABLE shadow; DROP TABLE request;", schema_group_records},
};

static enum err step_up(struct db *b, int64_t from, struct diag *d)
{
    char sql[48];
    snprintf(sql, sizeof sql, "PRAGMA user_version=%lld", (long long)from + 1);
    if (steps[from].run)
        ERR_TRY(steps[from].run(b, d));
    ERR_TRY(db_exec(b, steps[from].sql, d));
    return db_exec(b, sql, d);
}

static enum err upgrade_locked(struct db *b, int64_t wanted, struct diag *d)
{
    int64_t version;
    ERR_TRY(db_number(b, "PRAGMA user_version", &version, d));
    if (version < 0 || version > SCHEMA_VERSION)
        return diag_set(d, ERR_UNSUPPORTED,
                        "the store has version %lld and this weir knows %d: a newer weir wrote it",
                        (long long)version, SCHEMA_VERSION);
    for (; version < wanted; version++)
        ERR_TRY(step_up(b, version, d));
    return ERR_OK;
}

enum err schema_upgrade(struct db *b, struct diag *d)
{
    return schema_upgrade_to(b, SCHEMA_VERSION, d);
}

enum err schema_upgrade_to(struct db *b, int64_t wanted, struct diag *d)
{
    int64_t version;
    ERR_TRY(db_number(b, "PRAGMA user_version", &version, d));
    if (version == wanted)
        return ERR_OK;
    ERR_TRY(db_begin(b, d)); // two programs may come to it at once
    enum err e = upgrade_locked(b, wanted, d);
    if (e == ERR_OK)
        return db_commit(b, d);
    db_rollback(b);
    return e;
}
