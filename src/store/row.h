// A row of a table and a struct: one list of columns serves inserting, reading and printing, so
// that none of them can forget one.
#pragma once

#include "store/db.h"

enum row_type {
    ROW_STR,  // str
    ROW_INT,  // int64_t
    ROW_BOOL, // bool
    ROW_MONEY // int64_t; below 0: not known (NULL in the table)
};

struct row_column {
    const char *name; // NULL ends the list
    enum row_type type;
    size_t offset;
};

// Bind all fields, from the first place on.
void row_bind(sqlite3_stmt *s, const struct row_column *columns, const void *row);
// The statement's columns are those of the list. ERR_LIMIT: the arena is full.
enum err row_read(sqlite3_stmt *s, const struct row_column *columns, void *row,
                  struct arena *a) MUST_USE;
// "INSERT INTO table(a, b) VALUES(?,?)" for binding, "SELECT a, b FROM table " for reading.
str row_insert_sql(struct arena *a, const char *table, const struct row_column *columns) MUST_USE;
str row_select_sql(struct arena *a, const char *table, const struct row_column *columns,
                   const char *rest) MUST_USE;
