#include "store/row.h"

#include "base/buf.h"

#include "base/banned.h"

#define SQL_BYTES_MAX 4096

static const void *field(const void *row, const struct row_column *c)
{
    return (const char *)row + c->offset;
}

void row_bind(sqlite3_stmt *s, const struct row_column *columns, const void *row)
{
    int from = 1;
    for (const struct row_column *c = columns; c->name; c++, from++) {
        const void *f = field(row, c);
        if (c->type == ROW_STR)
            db_bind_str(s, from, *(const str *)f);
        else if (c->type == ROW_BOOL)
            db_bind_int(s, from, *(const bool *)f);
        else if (c->type == ROW_MONEY && *(const int64_t *)f < 0)
            sqlite3_bind_null(s, from);
        else
            db_bind_int(s, from, *(const int64_t *)f);
    }
}

enum err row_read(sqlite3_stmt *s, const struct row_column *columns, void *row, struct arena *a)
{
    int from = 0;
    for (const struct row_column *c = columns; c->name; c++, from++) {
        void *f = (char *)row + c->offset;
        bool null = sqlite3_column_type(s, from) == SQLITE_NULL;
        if (c->type == ROW_BOOL)
            *(bool *)f = sqlite3_column_int(s, from);
        else if (c->type != ROW_STR)
            *(int64_t *)f = null && c->type == ROW_MONEY ? -1 : sqlite3_column_int64(s, from);
        else if (!(*(str *)f = db_column_str(s, from, a)).ptr && !null)
            return ERR_LIMIT;
    }
    return ERR_OK;
}

static str in_arena(struct arena *a, struct buf *sql)
{
    str made = sql->failed ? STR_NONE : arena_str(a, buf_str(sql));
    buf_done(sql);
    return made;
}

str row_insert_sql(struct arena *a, const char *table, const struct row_column *columns)
{
    struct buf sql;
    size_t values = 0;
    buf_init(&sql, SQL_BYTES_MAX);
    (void)buf_printf(&sql, "INSERT INTO %s(", table);
    for (const struct row_column *c = columns; c->name; c++, values++)
        (void)buf_printf(&sql, "%s%s", values ? ", " : "", c->name);
    (void)buf_append_str(&sql, STR(") VALUES("));
    for (size_t i = 0; i < values; i++)
        (void)buf_append_str(&sql, i ? STR(",?") : STR("?"));
    (void)buf_append_char(&sql, ')');
    return in_arena(a, &sql);
}

str row_select_sql(struct arena *a, const char *table, const struct row_column *columns,
                   const char *rest)
{
    struct buf sql;
    buf_init(&sql, SQL_BYTES_MAX);
    (void)buf_append_str(&sql, STR("SELECT "));
    for (const struct row_column *c = columns; c->name; c++)
        (void)buf_printf(&sql, "%s%s", c == columns ? "" : ", ", c->name);
    (void)buf_printf(&sql, " FROM %s %s", table, rest);
    return in_arena(a, &sql);
}
