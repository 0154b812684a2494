#include "cli/parse.h"

#include "base/banned.h"

struct parser {
    const struct command *command;
    const char *path;
    struct arena *arena;
    void *target;
    bool *given;
    const char **args;
    size_t args_len;
    int argc, at;
    char **argv;
};

static size_t option_count(const struct option *table)
{
    size_t n = 0;
    while (table && table[n].name)
        n++;
    return n;
}

// "kv-bytes-max" → "kv_bytes_max"; cut to the buffer, which is longer than any name of ours.
static str table_name(str dashed, char out[static 64])
{
    size_t n = dashed.len < 63 ? dashed.len : 63;
    for (size_t i = 0; i < n; i++)
        out[i] = dashed.ptr[i] == '-' ? '_' : dashed.ptr[i];
    out[n] = '\0';
    return str_slice(out, n);
}

static enum err unknown_option(const struct parser *p, str word, struct diag *d)
{
    char name[64];
    const char *near =
        p->command->options ? option_nearest(p->command->options, table_name(word, name)) : NULL;
    char dashed[64] = "";
    for (size_t i = 0; near && near[i] && i < sizeof dashed - 1; i++)
        dashed[i] = near[i] == '_' ? '-' : near[i];
    if (near)
        return diag_set(d, ERR_INVALID, "unknown option --" STR_FMT "; did you mean --%s?",
                        STR_ARG(word), dashed);
    return diag_set(d, ERR_INVALID, "unknown option --" STR_FMT "; see 'weir help %s'",
                    STR_ARG(word), p->path);
}

static const struct option *find_short(const struct option *table, char c)
{
    for (const struct option *o = table; o && o->name; o++)
        if (o->short_name == c)
            return o;
    return NULL;
}

static enum err take_value(struct parser *p, const struct option *o, str word,
                           const str *inline_value, struct diag *d)
{
    str value;
    if (inline_value) {
        value = *inline_value;
    } else if (o->type == OPTION_BOOL) {
        value = STR("true");
    } else if (p->at < p->argc) {
        value = str_of(p->argv[p->at++]);
    } else {
        return diag_set(d, ERR_INVALID, "option " STR_FMT " needs a value: %s", STR_ARG(word),
                        o->arg ? o->arg : "VALUE");
    }
    p->given[o - p->command->options] = true;
    enum err e = option_set(o, value, p->target, p->arena, d);
    if (e != ERR_OK)
        diag_where(d, "option " STR_FMT, STR_ARG(word));
    return e;
}

static enum err long_option(struct parser *p, const char *word, struct diag *d)
{
    str name = str_of(word + 2);
    str value = STR_NONE;
    size_t eq = str_find_char(name, '=');
    bool has_value = eq != SIZE_MAX;
    if (has_value) {
        value = str_sub(name, eq + 1, SIZE_MAX);
        name.len = eq;
    }
    char buffer[64];
    const struct option *table = p->command->options;
    const struct option *o = table ? option_find(table, table_name(name, buffer)) : NULL;
    str no = STR("false");
    if (!o && table && str_starts(name, STR("no-")) && !has_value) {
        o = option_find(table, table_name(str_sub(name, 3, SIZE_MAX), buffer));
        if (o && o->type == OPTION_BOOL)
            return take_value(p, o, str_of(word), &no, d);
        o = NULL;
    }
    if (!o)
        return unknown_option(p, name, d);
    return take_value(p, o, str_slice(word, name.len + 2), has_value ? &value : NULL, d);
}

static enum err short_option(struct parser *p, const char *word, struct diag *d)
{
    const struct option *o = find_short(p->command->options, word[1]);
    if (!o)
        return diag_set(d, ERR_INVALID, "unknown option %.2s; see 'weir help %s'", word, p->path);
    str rest = str_of(word + 2);
    return take_value(p, o, str_slice(word, 2), rest.len ? &rest : NULL, d);
}

static enum err check_args(const struct parser *p, struct diag *d)
{
    const struct command *c = p->command;
    if (p->args_len < c->args_min)
        return diag_set(d, ERR_INVALID, "something is missing: weir %s %s", p->path,
                        c->args ? c->args : "");
    if (p->args_len > c->args_max)
        return diag_set(d, ERR_INVALID, "unexpected word '%s'; see 'weir help %s'",
                        p->args[c->args_max], p->path);
    return ERR_OK;
}

static enum err words(struct parser *p, struct diag *d)
{
    bool options_over = false;
    while (p->at < p->argc) {
        const char *word = p->argv[p->at++];
        if (options_over || word[0] != '-' || word[1] == '\0') {
            p->args[p->args_len++] = word;
        } else if (word[1] == '-' && word[2] == '\0') {
            options_over = true;
        } else if (word[1] == '-') {
            ERR_TRY(long_option(p, word, d));
        } else {
            ERR_TRY(short_option(p, word, d));
        }
    }
    return check_args(p, d);
}

enum err parse_command_line(const struct command *c, const char *path, int argc, char **argv,
                            struct arena *arena, struct command_call *ret, struct diag *d)
{
    struct parser p = {.command = c, .path = path, .arena = arena, .argc = argc, .argv = argv};
    p.target = arena_zalloc(arena, 1, c->options_size ? c->options_size : 1);
    p.given = arena_zalloc(arena, option_count(c->options) + 1, sizeof(bool));
    p.args = arena_zalloc(arena, (size_t)argc + 1, sizeof(char *));
    if (!p.target || !p.given || !p.args)
        return diag_set(d, ERR_LIMIT, "the command line is too long");
    if (c->options)
        ERR_TRY(option_defaults(c->options, p.target, arena, d));
    ERR_TRY(words(&p, d));
    *ret = (struct command_call){.command = c,
                                 .path = path,
                                 .options = p.target,
                                 .given = p.given,
                                 .args = p.args,
                                 .args_len = p.args_len,
                                 .arena = arena};
    return ERR_OK;
}
