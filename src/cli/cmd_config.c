#include <stdio.h>

#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/print.h"

#include "base/banned.h"

struct schema_options {
    bool markdown;
};

static const struct option schema_table[] = {
    {.name = "markdown",
     .type = OPTION_BOOL,
     .offset = offsetof(struct schema_options, markdown),
     .help = "Print the reference page (docs/configuration.md) instead of the JSON Schema."},
    {0},
};

static str path_of(const struct command_call *call)
{
    return call->args_len ? str_of(call->args[0]) : STR_NONE;
}

static int refused(const struct command_call *call, enum err e, const struct diag *d)
{
    char text[640];
    fprintf(stderr, "weir config %s: %s\n", call->command->name, diag_format(d, text, sizeof text));
    return e == ERR_IO || e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_USAGE;
}

static int run_check(struct command_call *call)
{
    struct gateway_config c;
    struct diag d = {0};
    str path;
    enum err e = configuration_load(call->arena, path_of(call), &c, &path, &d);
    if (e != ERR_OK)
        return refused(call, e, &d);
    if (path.len)
        printf(STR_FMT " is good.\n", STR_ARG(path));
    else
        printf("No file was given; the defaults are good.\n");
    return EXIT_STATUS_OK;
}

static int run_show(struct command_call *call)
{
    struct gateway_config c;
    struct diag d = {0};
    enum err e = configuration_load(call->arena, path_of(call), &c, NULL, &d);
    if (e != ERR_OK)
        return refused(call, e, &d);
    struct buf out;
    buf_init(&out, 1u << 20);
    e = option_show(gateway_config_table, &c, &out);
    if (e != ERR_OK)
        out.failed = true;
    return print_and_done(&out);
}

static int run_schema(struct command_call *call)
{
    const struct schema_options *o = call->options;
    struct buf out;
    buf_init(&out, 1u << 20);
    enum err e = o->markdown ? option_markdown(gateway_config_table, "", &out)
                             : option_json_schema(gateway_config_table, &out);
    if (e != ERR_OK)
        out.failed = true;
    return print_and_done(&out);
}

static const struct command check = {
    .name = "check",
    .summary = "read a configuration and say what is wrong with it",
    .args = "[FILE]",
    .examples =
        "weir config check weir.yaml && systemctl reload weir   # only a good file is put to work",
    .args_max = 1,
    .run = run_check,
};

static const struct command show = {
    .name = "show",
    .summary = "print the configuration in force, defaults included, secrets hidden",
    .args = "[FILE]",
    .examples = "weir config show             # the defaults: a file to start from\n"
                "weir config show weir.yaml   # what this file comes to",
    .args_max = 1,
    .run = run_show,
};

static const struct command schema = {
    .name = "schema",
    .summary = "print the JSON Schema of the configuration file",
    .examples =
        "weir config schema > weir.schema.json   # for editors that complete and check YAML\n"
        "weir config schema --markdown           # the reference page",
    .options = schema_table,
    .options_size = sizeof(struct schema_options),
    .run = run_schema,
};

static const struct command *const verbs[] = {&check, &show, &schema, NULL};

const struct command cmd_config = {
    .name = "config",
    .summary = "check, show and describe the configuration",
    .description = "The configuration is one YAML file: --config FILE, else $WEIR_CONFIG; without "
                   "either, the defaults serve the "
                   "bundled model on loopback. Secrets stand in it by reference only.",
    .examples = "weir config show > weir.yaml   # the defaults, to edit\n"
                "weir config check weir.yaml    # unknown keys, wrong types and ranges, with line "
                "and column",
    .subcommands = verbs,
};
