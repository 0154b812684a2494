#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/parse.h"
#include "cli/print.h"

#include "base/banned.h"

// The order of the help page: what one starts with comes first.
const struct command *const command_table[] = {
    &cmd_serve,   &cmd_chat,       &cmd_model,  &cmd_key,    &cmd_explain, &cmd_bench,
    &cmd_gpu,     &cmd_config,     &cmd_doctor, &cmd_prompt, &cmd_guard,   &cmd_fault,
    &cmd_version, &cmd_completion, &cmd_help,   NULL,
};

bool command_given(const struct command_call *call, const char *option)
{
    const struct option *o = option_find(call->command->options, str_of(option));
    ASSERT(o);
    return call->given[o - call->command->options];
}

const struct command *command_find(const struct command *const *table, str name)
{
    for (; *table; table++)
        if (str_eq_z(name, (*table)->name))
            return *table;
    return NULL;
}

int command_fail(const struct command_call *call, int status, const struct diag *d)
{
    char text[640];
    fprintf(stderr, "weir %s: %s\n", call->path, diag_format(d, text, sizeof text));
    return status;
}

int command_fail_text(const struct command_call *call, int status, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "weir %s: ", call->path);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

static int unknown_verb(const struct command *const *table, const char *parent, const char *word)
{
    size_t best = 3;
    const char *near = NULL;
    for (; *table; table++) {
        size_t distance = str_distance(str_of(word), str_of((*table)->name));
        if (distance < best) {
            best = distance;
            near = (*table)->name;
        }
    }
    fprintf(stderr, "weir%s: unknown verb '%s'", parent, word);
    if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fprintf(stderr, "; 'weir help%s' lists them\n", parent);
    return EXIT_STATUS_USAGE;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && !str_eq_z(str_of(argv[i]), "--"); i++)
        if (str_eq_z(str_of(argv[i]), "--help") || str_eq_z(str_of(argv[i]), "-h"))
            return true;
    return false;
}

static int show_help(const struct command *c, const char *path)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    help_command(c, path, &out);
    return print_and_done(&out);
}

static int run(const struct command *c, const char *path, int argc, char **argv)
{
    if (wants_help(argc, argv))
        return show_help(c, path);
    struct arena arena;
    arena_init(&arena, 64u << 20);
    struct command_call call;
    struct diag d = {0};
    int status;
    if (parse_command_line(c, path, argc, argv, &arena, &call, &d) == ERR_OK) {
        status = c->run(&call);
    } else {
        char text[640];
        fprintf(stderr, "weir %s: %s\n", path, diag_format(&d, text, sizeof text));
        status = EXIT_STATUS_USAGE;
    }
    arena_done(&arena);
    return status;
}

static int dispatch(const struct command *c, int argc, char **argv)
{
    bool alone = argc == 0 || argv[0][0] == '-';
    if (!c->subcommands || (c->run && alone))
        return run(c, c->name, argc, argv);
    if (alone) {
        show_help(c, c->name);
        return argc && wants_help(argc, argv) ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
    }
    char path[64];
    snprintf(path, sizeof path, " %s", c->name);
    const struct command *s = command_find(c->subcommands, str_of(argv[0]));
    if (!s)
        return unknown_verb(c->subcommands, path, argv[0]);
    snprintf(path, sizeof path, "%s %s", c->name, s->name);
    return run(s, path, argc - 1, argv + 1);
}

int cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of write(2), not the end of a server
    if (argc < 2) {
        struct buf out;
        buf_init(&out, 1u << 20);
        help_overview(&out);
        print_and_done(&out);
        return EXIT_STATUS_USAGE;
    }
    str word = str_of(argv[1]);
    if (str_eq_z(word, "--help") || str_eq_z(word, "-h"))
        word = STR("help");
    if (str_eq_z(word, "--version") || str_eq_z(word, "-V"))
        word = STR("version");
    const struct command *c = command_find(command_table, word);
    return c ? dispatch(c, argc - 2, argv + 2) : unknown_verb(command_table, "", argv[1]);
}
