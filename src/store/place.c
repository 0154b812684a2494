#include "store/place.h"

#include <stdlib.h>

#include "base/fs.h"
#include "store/db.h"

#include "base/banned.h"

enum err store_place(str configured, struct arena *a, str *ret, struct diag *d)
{
    struct buf folder;
    str path = configured.len ? configured : str_of(getenv("WEIR_STORE"));
    if (str_eq(path, STR("off"))) {
        *ret = STR_NONE;
        return ERR_OK;
    }
    if (path.len) {
        path = arena_str(a, path);
    } else {
        ERR_TRY(fs_data_dir(&folder, d));
        path = arena_printf(a, "%s/weir.db", buf_cstr(&folder));
        buf_done(&folder);
    }
    if (!path.ptr)
        return diag_set(d, ERR_LIMIT, "the store's path is too long");
    *ret = path;
    return ERR_OK;
}

static bool has_keys(const char *path)
{
    struct db b;
    int64_t count = 0;
    if (db_open(path, DB_EXISTING, &b, NULL) != ERR_OK)
        return false;
    enum err e = db_number(&b, "SELECT count(*) FROM key", &count, NULL);
    db_close(&b);
    return e == ERR_OK && count > 0;
}

bool store_place_has_keys(str configured)
{
    struct arena a;
    str path;
    arena_init(&a, 65536);
    bool has = store_place(configured, &a, &path, NULL) == ERR_OK && path.ptr && has_keys(path.ptr);
    arena_done(&a);
    return has;
}
