#include <stdio.h>

#include "base/json.h"
#include "cli/cmd_model.h"
#include "cli/print.h"
#include "cli/term.h"
#include "models/library.h"
#include "models/models.h"

#include "base/banned.h"

struct row {
    str name, path;
    const char *kind; // bundled, pulled, available
    const char *title;
    uint64_t bytes;
};

static bool pulled(const struct model_library_item *items, const char *file_name)
{
    str file = str_of(file_name);
    for (; items; items = items->next)
        if (str_eq(items->name, str_sub(file, 0, file.len - 5)))
            return true;
    return false;
}

static void write_row(struct buf *out, struct json_writer *w, const struct row *r)
{
    if (w) {
        jw_object_begin(w);
        jw_kv_str(w, "name", r->name);
        jw_kv_z(w, "kind", r->kind);
        jw_kv_int(w, "bytes", (int64_t)r->bytes);
        jw_key(w, "path");
        if (r->path.ptr)
            jw_str(w, r->path);
        else
            jw_null(w);
        jw_object_end(w);
        return;
    }
    char size[16];
    (void)buf_printf(out, "%-24.*s %8s  %-10s %s\n", STR_ARG(r->name), term_bytes(r->bytes, size),
                     r->kind, r->title ? r->title : (r->path.ptr ? r->path.ptr : ""));
}

static void write_all(struct buf *out, struct json_writer *w,
                      const struct model_library_item *items)
{
    struct str image = models_bundled_gguf();
    write_row(out, w,
              &(struct row){.name = str_of(models_bundled_name()),
                            .kind = "bundled",
                            .title = "in the program itself",
                            .bytes = image.len});
    for (const struct model_library_item *i = items; i; i = i->next)
        write_row(
            out, w,
            &(struct row){.name = i->name, .path = i->path, .kind = "pulled", .bytes = i->bytes});
    for (const struct model_catalog_entry *e = model_catalog; e->name; e++)
        if (!pulled(items, e->file_name))
            write_row(out, w,
                      &(struct row){.name = str_of(e->name),
                                    .kind = "to pull",
                                    .title = e->title,
                                    .bytes = e->bytes});
}

static int run(struct command_call *call)
{
    const struct model_verb_options *o = call->options;
    struct model_library_item *items;
    struct diag d = {0};
    if (model_library_list(call->arena, &items, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    struct buf out;
    buf_init(&out, 1u << 20);
    if (o->json) {
        struct json_writer w;
        jw_init(&w, &out);
        jw_array_begin(&w);
        write_all(&out, &w, items);
        jw_array_end(&w);
        (void)buf_append_char(&out, '\n');
    } else {
        write_all(&out, NULL, items);
    }
    return print_and_done(&out);
}

const struct command cmd_model_list = {
    .name = "list",
    .summary = "show the models on this machine and those that can be pulled",
    .examples = "weir model list --json   # name, kind, bytes and path of each",
    .options = model_verb_option_table,
    .options_size = sizeof(struct model_verb_options),
    .run = run,
};
