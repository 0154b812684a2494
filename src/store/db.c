#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#include "base/banned.h"

static enum err code_of(int sqlite)
{
    switch (sqlite & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return ERR_INVALID;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return ERR_PARSE;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

enum err db_fail(struct db *b, struct diag *d)
{
    enum err e = code_of(sqlite3_errcode(b->handle));
    const char *path = sqlite3_db_filename(b->handle, "main");
    diag_set(d, e, "the store: %s", sqlite3_errmsg(b->handle));
    diag_where(d, "%s", path ? path : "");
    return e;
}

// The file is made here, so that nobody else can read it for a moment (SQLite's own files beside it
// get the same mode).
static enum err make_file(const char *path, struct diag *d)
{
    char folder[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof folder)
        return diag_set(d, ERR_LIMIT, "the store's path is too long");
    while (len > 0 && path[len - 1] != '/')
        len--;
    memcpy(folder, path, len);
    folder[len] = 0;
    if (len > 1)
        ERR_TRY(fs_mkdirs(folder, d));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return diag_sys(d, errno == EACCES || errno == EROFS ? ERR_DENIED : ERR_IO, errno,
                        "cannot open the store %s", path);
    close(fd);
    return ERR_OK;
}

// Nobody asks SQLite how much memory it uses; counting takes a lock for every piece of it.
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum err db_open(const char *path, enum db_open_mode mode, struct db *ret, struct diag *d)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct db b;
    pthread_once(&once, configure);
    if (mode == DB_CREATE)
        ERR_TRY(make_file(path, d));
    else if (!fs_exists(path))
        return diag_set(d, ERR_NOT_FOUND, "there is no store at %s", path);
    int code = sqlite3_open_v2(path, &b.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    enum err e = code == SQLITE_OK ? ERR_OK : db_fail(&b, d);
    if (e == ERR_OK) {
        sqlite3_busy_timeout(b.handle, DB_BUSY_MS);
        // The cache, in KiB, is small: what is written is hardly read again.
        e = db_exec(&b,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                    "PRAGMA trusted_schema=OFF; "
                    "PRAGMA cache_size=-256",
                    d);
    }
    if (e != ERR_OK) {
        db_close(&b);
        return e;
    }
    *ret = b;
    return ERR_OK;
}

void db_close(struct db *b)
{
    sqlite3_close_v2(b->handle);
    b->handle = NULL;
}

enum err db_exec(struct db *b, const char *sql, struct diag *d)
{
    return sqlite3_exec(b->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : db_fail(b, d);
}

enum err db_begin(struct db *b, struct diag *d)
{
    return db_exec(b, "BEGIN IMMEDIATE", d);
}

enum err db_commit(struct db *b, struct diag *d)
{
    enum err e = db_exec(b, "COMMIT", d);
    if (e != ERR_OK)
        db_rollback(b);
    return e;
}

void db_rollback(struct db *b)
{
    if (!sqlite3_get_autocommit(b->handle))
        sqlite3_exec(b->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum err db_prepare(struct db *b, const char *sql, sqlite3_stmt **ret, struct diag *d)
{
    int code = sqlite3_prepare_v3(b->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    return code == SQLITE_OK ? ERR_OK : db_fail(b, d);
}

enum err db_step(struct db *b, sqlite3_stmt *s, bool *ret_row, struct diag *d)
{
    int code = sqlite3_step(s);
    *ret_row = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        return ERR_OK;
    enum err e = code == SQLITE_DONE ? ERR_OK : db_fail(b, d);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}

enum err db_run(struct db *b, sqlite3_stmt *s, struct diag *d)
{
    bool row;
    ERR_TRY(db_step(b, s, &row, d));
    if (row) { // a RETURNING clause, say
        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
    }
    return ERR_OK;
}

enum err db_number(struct db *b, const char *sql, int64_t *ret, struct diag *d)
{
    sqlite3_stmt *s;
    bool row;
    ERR_TRY(db_prepare(b, sql, &s, d));
    enum err e = db_step(b, s, &row, d);
    if (e == ERR_OK)
        *ret = row ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return e;
}

void db_bind_str(sqlite3_stmt *s, int at, str v)
{
    if (v.len)
        sqlite3_bind_text64(s, at, v.ptr, v.len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(s, at);
}

void db_tell(const struct db *b)
{
    const char *path = sqlite3_db_filename(b->handle, "main");
    if (path && utimensat(AT_FDCWD, path, NULL, 0) != 0)
        return; // they look from time to time
}

void db_bind_int(sqlite3_stmt *s, int at, int64_t v)
{
    sqlite3_bind_int64(s, at, v);
}

str db_column_str(sqlite3_stmt *s, int at, struct arena *a)
{
    const void *text = sqlite3_column_text(s, at);
    if (!text)
        return STR_NONE;
    return arena_str(a, str_slice(text, (size_t)sqlite3_column_bytes(s, at)));
}

void db_bind_blob(sqlite3_stmt *s, int at, str v)
{
    sqlite3_bind_blob64(s, at, v.len ? v.ptr : "", v.len, SQLITE_STATIC);
}

str db_column_blob(sqlite3_stmt *s, int at)
{
    const void *bytes = sqlite3_column_blob(s, at);
    return bytes ? str_slice(bytes, (size_t)sqlite3_column_bytes(s, at)) : STR_NONE;
}
