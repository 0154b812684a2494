#include "prompt/prompts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"

#include "base/banned.h"

enum { PROMPTS_MAX = 1024, PATH_BYTES_MAX = 4096 };

struct prompts {
    struct prompt *items[PROMPTS_MAX];
    size_t len;
};

void prompts_free(struct prompts *p)
{
    for (size_t i = 0; p && i < p->len; i++)
        prompt_free(p->items[i]);
    mem_free(p);
}

size_t prompts_len(const struct prompts *p)
{
    return p->len;
}

const struct prompt *prompts_at(const struct prompts *p, size_t i)
{
    ASSERT(i < p->len);
    return p->items[i];
}

// --- Order

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static str take_number(str *s)
{
    size_t zeros = 0, len = 0;
    while (zeros < s->len && s->ptr[zeros] == '0')
        zeros++;
    *s = str_sub(*s, zeros, SIZE_MAX);
    while (len < s->len && is_digit(s->ptr[len]))
        len++;
    str digits = str_sub(*s, 0, len);
    *s = str_sub(*s, len, SIZE_MAX);
    return digits;
}

int prompts_compare_versions(str a, str b)
{
    while (a.len && b.len) {
        if (is_digit(a.ptr[0]) && is_digit(b.ptr[0])) {
            str x = take_number(&a), y = take_number(&b);
            int order = x.len != y.len ? (x.len < y.len ? -1 : 1) : str_cmp(x, y);
            if (order)
                return order;
            continue;
        }
        if (a.ptr[0] != b.ptr[0])
            return (unsigned char)a.ptr[0] < (unsigned char)b.ptr[0] ? -1 : 1;
        a = str_sub(a, 1, SIZE_MAX);
        b = str_sub(b, 1, SIZE_MAX);
    }
    return a.len ? 1 : b.len ? -1 : 0;
}

static int by_name(const void *x, const void *y)
{
    const struct prompt *a = *(struct prompt *const *)x, *b = *(struct prompt *const *)y;
    int order = str_cmp(a->name, b->name);
    return order ? order : prompts_compare_versions(a->version, b->version);
}

bool prompts_is_latest(const struct prompts *p, size_t i)
{
    return i + 1 == p->len || !str_eq(p->items[i]->name, p->items[i + 1]->name);
}

const struct prompt *prompts_find(const struct prompts *p, str name, str version)
{
    for (size_t i = 0; i < p->len; i++) {
        const struct prompt *one = p->items[i];
        if (!str_eq(one->name, name))
            continue;
        if (version.len ? str_eq(one->version, version) : prompts_is_latest(p, i))
            return one;
    }
    return NULL;
}

// --- Reading

static bool word_ok(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]) && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'z') &&
            !(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') && !memchr("-._", s.ptr[i], 3))
            return false;
    return s.len > 0 && s.len <= 64;
}

static enum err split_file_name(str file, str *ret_name, str *ret_version, struct diag *d)
{
    str rest = str_sub(file, 0, file.len - strlen(".yaml"));
    size_t at = str_find_char(rest, '@');
    *ret_name = str_sub(rest, 0, at);
    *ret_version = at == SIZE_MAX ? STR_NONE : str_sub(rest, at + 1, SIZE_MAX);
    if (word_ok(*ret_name) && word_ok(*ret_version))
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "a prompt's file is called NAME@VERSION.yaml, of letters, digits, '-', '_', "
                    "'.'");
}

static enum err load_file(struct prompts *p, const char *path, str file, struct diag *d)
{
    struct buf text;
    str name, version;
    ERR_TRY(split_file_name(file, &name, &version, d));
    if (p->len == PROMPTS_MAX)
        return diag_set(d, ERR_LIMIT, "there are more than %d prompts", PROMPTS_MAX);
    ERR_TRY(fs_read(path, PROMPT_FILE_BYTES_MAX, &text, d));
    enum err e = prompt_parse(name, version, buf_str(&text), &p->items[p->len], d);
    buf_done(&text);
    if (e == ERR_OK)
        p->len++;
    return e;
}

static enum err load_entry(struct prompts *p, const char *folder, const char *file, struct diag *d)
{
    char path[PATH_BYTES_MAX];
    if (file[0] == '.' || !str_ends(str_of(file), STR(".yaml")))
        return ERR_OK;
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= PATH_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "the path is too long");
    enum err e = load_file(p, path, str_of(file), d);
    if (e != ERR_OK) {
        char where[sizeof d->where];
        snprintf(where, sizeof where, "%s", d ? d->where : "");
        diag_where(d, "%s%s%s", file, where[0] ? ": " : "", where);
    }
    return e;
}

enum err prompts_load(const char *folder, struct prompts **ret, struct diag *d)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return diag_sys(d, ERR_IO, errno, "the prompts' folder %s cannot be read", folder);
    struct prompts *p = mem_new(struct prompts);
    enum err e = ERR_OK;
    for (struct dirent *entry = readdir(dir); entry && e == ERR_OK; entry = readdir(dir))
        e = load_entry(p, folder, entry->d_name, d);
    closedir(dir);
    if (e != ERR_OK) {
        prompts_free(p);
        return e;
    }
    qsort(p->items, p->len, sizeof *p->items, by_name);
    *ret = p;
    return ERR_OK;
}

// --- Telling

static void write_variable(struct json_writer *w, const struct prompt_variable *v)
{
    jw_object_begin(w);
    jw_kv_str(w, "name", v->name);
    jw_kv_z(w, "type", prompt_type_name((enum prompt_type)v->type));
    jw_kv_bool(w, "required", !v->json.ptr);
    if (v->json.ptr) {
        jw_key(w, "default");
        jw_raw(w, v->json);
    }
    if (v->description.len)
        jw_kv_str(w, "description", v->description);
    jw_object_end(w);
}

static void write_prompt(struct json_writer *w, const struct prompt *p, bool latest)
{
    jw_object_begin(w);
    jw_kv_str(w, "name", p->name);
    jw_kv_str(w, "version", p->version);
    jw_kv_z(w, "object", "prompt");
    jw_kv_bool(w, "latest", latest);
    jw_kv_str(w, "description", p->description);
    if (p->model.len)
        jw_kv_str(w, "model", p->model);
    jw_key(w, "variables");
    jw_array_begin(w);
    for (size_t i = 0; i < p->variables_len; i++)
        write_variable(w, &p->variables[i]);
    jw_array_end(w);
    jw_kv_int(w, "messages", (int64_t)p->messages_len);
    if (p->parameters.root) {
        jw_key(w, "parameters");
        jw_value(w, p->parameters.root);
    }
    jw_object_end(w);
}

void prompts_write(const struct prompts *p, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "object", "list");
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < p->len; i++)
        write_prompt(&w, p->items[i], prompts_is_latest(p, i));
    jw_array_end(&w);
    jw_object_end(&w);
}
