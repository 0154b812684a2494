#include "cli/help.h"

#include <stdio.h>

#include "base/banned.h"

static void dashed(struct buf *out, const char *name)
{
    for (; *name; name++)
        (void)buf_append_char(out, *name == '_' ? '-' : *name);
}

static const char *metavariable(const struct option *o)
{
    static const char *const by_type[] = {
        [OPTION_BOOL] = "",       [OPTION_INT] = "N",          [OPTION_FLOAT] = "X",
        [OPTION_STRING] = "TEXT", [OPTION_SECRET] = "${NAME}", [OPTION_DURATION] = "TIME",
        [OPTION_BYTES] = "BYTES", [OPTION_CHOICE] = "",        [OPTION_STRINGS] = "TEXT",
        [OPTION_TABLE] = "",      [OPTION_TABLES] = "",
    };
    return o->arg ? o->arg : by_type[o->type];
}

static void choices(struct buf *out, const struct option *o)
{
    for (size_t i = 0; o->choices && o->choices[i]; i++)
        (void)buf_printf(out, "%s%s", i ? "|" : "", o->choices[i]);
}

// "-m, --model NAME|FILE"
static void option_synopsis(struct buf *out, const struct option *o)
{
    if (o->short_name)
        (void)buf_printf(out, "-%c, ", o->short_name);
    (void)buf_append(out, "--", 2);
    dashed(out, o->name);
    const char *meta = metavariable(o);
    if (o->type == OPTION_CHOICE) {
        (void)buf_append_char(out, ' ');
        choices(out, o);
    } else if (meta[0]) {
        (void)buf_printf(out, " %s", meta);
    }
}

// Words of `text` filled to `width` columns, every line but the first indented.
static void fill(struct buf *out, const char *text, size_t indent, size_t width)
{
    size_t column = indent;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (column > indent && column + 1 + n > width) {
            (void)buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            (void)buf_append_char(out, ' ');
            column++;
        }
        (void)buf_append(out, text, n);
        column += n;
        text += n;
        if (text[0] == '\n' && text[1] == '\n') {
            (void)buf_printf(out, "\n\n%*s", (int)indent, "");
            column = indent;
        }
        text += strspn(text, " \n");
    }
    (void)buf_append_char(out, '\n');
}

static void option_help(struct buf *out, const struct option *o)
{
    struct buf line;
    buf_init(&line, 4096);
    option_synopsis(&line, o);
    (void)buf_printf(out, "  %-28s", buf_cstr(&line));
    if (line.len > 27)
        (void)buf_printf(out, "\n%*s", 30, "");
    buf_clear(&line);
    (void)buf_append_str(&line, str_of(o->help));
    if (o->value && o->value[0] && o->type != OPTION_BOOL)
        (void)buf_printf(&line, " Default: %s.", o->value);
    fill(out, buf_cstr(&line), 30, 100);
    buf_done(&line);
}

static void example_lines(struct buf *out, const char *examples)
{
    str rest = str_of(examples);
    str line;
    while (str_split(&rest, '\n', &line))
        (void)buf_printf(out, "  " STR_FMT "\n", STR_ARG(line));
}

void help_command(const struct command *c, const char *path, struct buf *out)
{
    (void)buf_printf(out, "weir %s: %s\n\nUsage: weir %s%s%s%s\n", path, c->summary, path,
                     c->options ? " [options]" : "",
                     !c->subcommands ? ""
                     : c->run        ? " [VERB]"
                                     : " VERB",
                     c->args ? " " : "");
    if (c->args) {
        out->len--; // the line goes on with what the verb takes
        (void)buf_printf(out, "%s\n", c->args);
    }
    if (c->description) {
        (void)buf_append_char(out, '\n');
        fill(out, c->description, 0, 100);
    }
    if (c->subcommands) {
        (void)buf_append_str(out, STR("\nVerbs:\n"));
        for (const struct command *const *s = c->subcommands; *s; s++)
            (void)buf_printf(out, "  %-12s%s\n", (*s)->name, (*s)->summary);
        (void)buf_printf(out, "\n'weir help %s VERB' tells more.\n", path);
    }
    if (c->options) {
        (void)buf_append_str(out, STR("\nOptions:\n"));
        for (const struct option *o = c->options; o->name; o++)
            option_help(out, o);
    }
    if (c->examples) {
        (void)buf_append_str(out, STR("\nExamples:\n"));
        example_lines(out, c->examples);
    }
}

void help_overview(struct buf *out)
{
    (void)buf_append_str(out, STR("weir " WEIR_VERSION
                                  ": serve, route, watch and prove LLM inference\n\n"
                                  "Usage: weir VERB [options]\n\nVerbs:\n"));
    for (const struct command *const *c = command_table; *c; c++)
        (void)buf_printf(out, "  %-12s%s\n", (*c)->name, (*c)->summary);
    (void)buf_append_str(out,
                         STR("\nStart here:\n"
                             "  weir serve         # the bundled model at http://127.0.0.1:8080\n"
                             "  weir chat          # talk to it on this terminal\n"
                             "  weir help serve    # a verb's options, with examples\n"));
}

void help_exit_codes(struct buf *out)
{
    (void)buf_append_str(out,
                         STR("  0    all went well\n"
                             "  1    the work was tried and failed\n"
                             "  2    wrong command line or configuration; nothing was done\n"
                             "  3    a model, server or file that the work needs is not there\n"
                             "  130  interrupted (Ctrl-C)\n"));
}

// --- man page (groff man macros)

static void troff(struct buf *out, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            (void)buf_append_str(out, STR("\\&"));
        if (*text == '-')
            (void)buf_append_str(out, STR("\\-"));
        else if (*text == '\\')
            (void)buf_append_str(out, STR("\\e"));
        else
            (void)buf_append_char(out, *text);
        line_start = *text == '\n';
    }
}

static void man_examples(struct buf *out, const char *examples)
{
    (void)buf_append_str(out, STR(".PP\n.EX\n"));
    troff(out, examples);
    if (out->len && buf_ptr(out)[out->len - 1] != '\n')
        (void)buf_append_char(out, '\n');
    (void)buf_append_str(out, STR(".EE\n"));
}

static void man_command(struct buf *out, const struct command *c, const char *parent)
{
    (void)buf_printf(out, ".SS weir %s%s%s", parent, parent[0] ? " " : "", c->name);
    if (c->args)
        (void)buf_printf(out, " %s", c->args);
    (void)buf_append_char(out, '\n');
    troff(out, c->description ? c->description : c->summary);
    (void)buf_append_char(out, '\n');
    for (const struct option *o = c->options; o && o->name; o++) {
        struct buf line;
        buf_init(&line, 4096);
        option_synopsis(&line, o);
        (void)buf_append_str(out, STR(".TP\n.B "));
        troff(out, buf_cstr(&line));
        (void)buf_append_char(out, '\n');
        troff(out, o->help);
        (void)buf_append_char(out, '\n');
        buf_done(&line);
    }
    if (c->examples)
        man_examples(out, c->examples);
    for (const struct command *const *s = c->subcommands; s && *s; s++)
        man_command(out, *s, c->name);
}

void help_man(struct buf *out)
{
    (void)buf_append_str(out,
                         STR(".\\\" Generated by `weir help --man`; edit the tables in src/cli.\n"
                             ".TH WEIR 1 \"\" \"weir " WEIR_VERSION "\"\n.SH NAME\n"
                             "weir \\- serve, route, watch and prove LLM inference\n"
                             ".SH SYNOPSIS\n.B weir\n.I VERB\n[options]\n.SH VERBS\n"));
    for (const struct command *const *c = command_table; *c; c++)
        man_command(out, *c, "");
    (void)buf_append_str(out, STR(".SH EXIT STATUS\n.EX\n"));
    help_exit_codes(out);
    (void)buf_append_str(out, STR(".EE\n"));
}

// --- completion

static void names(struct buf *out, const struct command *const *table)
{
    for (const struct command *const *c = table; *c; c++)
        (void)buf_printf(out, "%s%s", c == table ? "" : " ", (*c)->name);
}

static void option_words(struct buf *out, const struct command *c)
{
    for (const struct option *o = c->options; o && o->name; o++) {
        (void)buf_append_str(out, o == c->options ? STR("--") : STR(" --"));
        dashed(out, o->name);
    }
}

static void bash_case(struct buf *out, const struct command *c, const char *pattern)
{
    (void)buf_printf(out, "        \"%s\") words=\"", pattern);
    if (c->subcommands)
        names(out, c->subcommands);
    if (c->subcommands && c->options)
        (void)buf_append_char(out, ' ');
    option_words(out, c);
    (void)buf_append_str(out, STR("\" ;;\n"));
    for (const struct command *const *s = c->subcommands; s && *s; s++) {
        char path[64];
        snprintf(path, sizeof path, "%s %s", c->name, (*s)->name);
        bash_case(out, *s, path);
    }
}

static void completion_bash(struct buf *out)
{
    (void)buf_append_str(out, STR("# bash completion for weir: weir completion bash > "
                                  "/etc/bash_completion.d/weir\n_weir() {\n"
                                  "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" words path=\"\"\n"
                                  "    local i\n"
                                  "    for ((i = 1; i < COMP_CWORD && i < 3; i++)); do\n"
                                  "        [[ \"${COMP_WORDS[i]}\" == -* ]] && break\n"
                                  "        path=\"${path:+$path }${COMP_WORDS[i]}\"\n"
                                  "    done\n    case \"$path\" in\n        \"\") words=\""));
    names(out, command_table);
    (void)buf_append_str(out, STR("\" ;;\n"));
    for (const struct command *const *c = command_table; *c; c++)
        bash_case(out, *c, (*c)->name);
    (void)buf_append_str(out,
                         STR("        *) words=\"\" ;;\n    esac\n"
                             "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -f -- \"$cur\")\n"
                             "}\ncomplete -F _weir weir\n"));
}

static void fish_line(struct buf *out, const char *condition, const char *args, const char *summary)
{
    (void)buf_printf(out, "complete -c weir -n '%s' %s -d '", condition, args);
    for (const char *p = summary; *p; p++)
        (void)buf_append_str(out, *p == '\'' ? STR("\\'") : str_slice(p, 1));
    (void)buf_append_str(out, STR("'\n"));
}

static void fish_command(struct buf *out, const struct command *c, const char *seen)
{
    char condition[160], args[96];
    for (const struct option *o = c->options; o && o->name; o++) {
        struct buf name;
        buf_init(&name, 64);
        dashed(&name, o->name);
        snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", seen);
        snprintf(args, sizeof args, "-l %s%s", buf_cstr(&name),
                 o->type == OPTION_BOOL ? "" : " -r");
        fish_line(out, condition, args, o->help);
        buf_done(&name);
    }
    for (const struct command *const *s = c->subcommands; s && *s; s++) {
        snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", seen);
        snprintf(args, sizeof args, "-a %s", (*s)->name);
        fish_line(out, condition, args, (*s)->summary);
    }
}

static void completion_fish(struct buf *out)
{
    (void)buf_append_str(out, STR("# fish completion for weir: weir completion fish > "
                                  "~/.config/fish/completions/weir.fish\n"));
    for (const struct command *const *c = command_table; *c; c++) {
        char args[96];
        snprintf(args, sizeof args, "-a %s", (*c)->name);
        fish_line(out, "__fish_use_subcommand", args, (*c)->summary);
        fish_command(out, *c, (*c)->name);
    }
}

enum err help_completion(str shell, struct buf *out)
{
    if (str_eq_z(shell, "bash")) {
        completion_bash(out);
    } else if (str_eq_z(shell, "zsh")) {
        (void)buf_append_str(out,
                             STR("#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n"));
        completion_bash(out);
    } else if (str_eq_z(shell, "fish")) {
        completion_fish(out);
    } else {
        return ERR_NOT_FOUND;
    }
    return ERR_OK;
}
