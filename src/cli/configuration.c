#include "cli/configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cli/command.h"

#include "base/banned.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

static enum err read_file(struct arena *a, str path, struct gateway_config *ret, struct diag *d)
{
    struct buf text;
    buf_init(&text, CONFIG_BYTES_MAX);
    struct yaml_doc doc = {0};
    enum err e = fs_read(path.ptr, CONFIG_BYTES_MAX, &text, d);
    if (e == ERR_OK)
        e = yaml_parse(&doc, buf_str(&text), d);
    if (e == ERR_OK)
        e = option_from_yaml(gateway_config_table, doc.root, ret, a, d);
    yaml_done(&doc);
    buf_done(&text);
    return e;
}

// "weir.yaml: models[0].name", or the file alone.
static void name_file(struct diag *d, str path)
{
    char where[sizeof d->where];
    snprintf(where, sizeof where, "%s", d->where);
    diag_where(d, STR_FMT "%s%s", STR_ARG(path), where[0] ? ": " : "", where);
}

enum err configuration_load(struct arena *a, str path, struct gateway_config *ret, str *ret_path,
                            struct diag *d)
{
    struct gateway_config c = {0};
    if (path.len == 0)
        path = str_of(getenv("WEIR_CONFIG"));
    ERR_TRY(option_defaults(gateway_config_table, &c, a, d));
    const char *look = getenv("WEIR_PROVIDERS_FROM_ENVIRONMENT");
    c.providers_from_environment = !path.len && !(look && strcmp(look, "false") == 0);
    if (path.len) {
        path = arena_str(a, path);
        enum err e =
            path.ptr ? read_file(a, path, &c, d) : diag_set(d, ERR_LIMIT, "the path is too long");
        if (e == ERR_OK)
            e = gateway_config_check(&c, d);
        if (e != ERR_OK) {
            if (!str_starts(str_of(d->where), path))
                name_file(d, path);
            return e;
        }
    }
    *ret = c;
    if (ret_path)
        *ret_path = path.len ? path : STR_NONE;
    return ERR_OK;
}

int configuration_exit_status(enum err e)
{
    return e == ERR_IO || e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_USAGE;
}
