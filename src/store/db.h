// A SQLite database as this room uses it: write-ahead log, every commit on disk before it returns,
// errors in the house's words. One thread at a time a handle; several processes may share the file.
// Blocks: never on a loop thread.
#pragma once

#include <sqlite3.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct db {
    sqlite3 *handle;
};

enum db_open_mode {
    DB_CREATE, // made (readable by its owner alone) with its folder where it is not there
    DB_EXISTING
};

// ERR_NOT_FOUND: not there (DB_EXISTING). ERR_DENIED, ERR_IO, ERR_PARSE (no database of SQLite).
enum err db_open(const char *path, enum db_open_mode mode, struct db *ret, struct diag *d) MUST_USE;
void db_close(struct db *b); // a zeroed one is fine
// One or more statements without results.
enum err db_exec(struct db *b, const char *sql, struct diag *d) MUST_USE;
// All that was executed since is on disk or none of it. ERR_BUSY: another process holds the file
// for longer than DB_BUSY_MS.
enum err db_begin(struct db *b, struct diag *d) MUST_USE;
enum err db_commit(struct db *b, struct diag *d) MUST_USE;
void db_rollback(struct db *b);
#define DB_BUSY_MS 5000
// Tells processes that sleep on the file (sleep.h) that what was committed is there to be read: the
// writes themselves come before it is.
void db_tell(const struct db *b);

// --- Statements
enum err db_prepare(struct db *b, const char *sql, sqlite3_stmt **ret, struct diag *d) MUST_USE;
// Runs one step: ERR_OK with *ret_row saying whether there is a row. After the last the statement
// is reset.
enum err db_step(struct db *b, sqlite3_stmt *s, bool *ret_row, struct diag *d) MUST_USE;
// Run a statement that gives no rows, and reset it.
enum err db_run(struct db *b, sqlite3_stmt *s, struct diag *d) MUST_USE;
// One number out of one row; 0 without a row.
enum err db_number(struct db *b, const char *sql, int64_t *ret, struct diag *d) MUST_USE;
// What SQLite just said, as an error.
enum err db_fail(struct db *b, struct diag *d);

// Values are bound by place: they must last until the statement has run. An empty str is NULL.
void db_bind_str(sqlite3_stmt *s, int at, str v);
void db_bind_int(sqlite3_stmt *s, int at, int64_t v);
void db_bind_blob(sqlite3_stmt *s, int at, str v);
// Bytes of the current row: they last until its statement's next step.
str db_column_blob(sqlite3_stmt *s, int at);
// A text of the current row, in the arena; STR_NONE for NULL, and when the arena is full.
str db_column_str(sqlite3_stmt *s, int at, struct arena *a);
