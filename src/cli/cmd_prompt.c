#include <stdio.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "prompt/prompts.h"

#include "base/banned.h"

enum { RENDERED_BYTES_MAX = 16 << 20 };

struct prompt_options {
    str folder, config, variables;
    struct option_strings set;
    bool json;
};

#define FIELD(f) offsetof(struct prompt_options, f)

#define FOLDER_OPTIONS                                                                             \
    {.name = "folder",                                                                             \
     .type = OPTION_STRING,                                                                        \
     .offset = FIELD(folder),                                                                      \
     .arg = "FOLDER",                                                                              \
     .short_name = 'f',                                                                            \
     .help = "Where the prompts are. Default: the configuration's, else ./prompts."},              \
        {.name = "config",                                                                         \
         .type = OPTION_STRING,                                                                    \
         .offset = FIELD(config),                                                                  \
         .arg = "FILE",                                                                            \
         .short_name = 'c',                                                                        \
         .help = "The configuration (YAML). Default: $WEIR_CONFIG, else none."}

static const struct option list_table[] = {
    FOLDER_OPTIONS,
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = FIELD(json),
     .help = "Print what GET /v1/prompts answers."},
    {0},
};

static const struct option check_table[] = {FOLDER_OPTIONS, {0}};

static const struct option render_table[] = {
    FOLDER_OPTIONS,
    {.name = "set",
     .type = OPTION_STRINGS,
     .offset = FIELD(set),
     .arg = "NAME=VALUE",
     .repeated = true,
     .short_name = 's',
     .help = "A variable; may be given several times. Values of other types than string are JSON."},
    {.name = "variables",
     .type = OPTION_STRING,
     .offset = FIELD(variables),
     .arg = "FILE",
     .help = "All variables as a JSON object."},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = FIELD(json),
     .help = "Print the messages as a JSON array."},
    {0},
};

// --- The folder

static enum err open_prompts(struct command_call *call, struct prompts **ret, struct diag *d)
{
    const struct prompt_options *o = call->options;
    struct gateway_config config;
    str folder = o->folder;
    if (!folder.len) {
        ERR_TRY(configuration_load(call->arena, o->config, &config, NULL, d));
        folder = config.prompts.len ? arena_str(call->arena, config.prompts) : STR("prompts");
    }
    return prompts_load(folder.ptr, ret, d);
}

static int fail_open(struct command_call *call, const struct diag *d)
{
    return command_fail(call, d->code == ERR_IO ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_USAGE, d);
}

static void list_text(const struct prompts *all, struct buf *out)
{
    char title[160];
    for (size_t i = 0; i < prompts_len(all); i++) {
        const struct prompt *p = prompts_at(all, i);
        snprintf(title, sizeof title, STR_FMT "@" STR_FMT "%s", STR_ARG(p->name),
                 STR_ARG(p->version), prompts_is_latest(all, i) ? " *" : "");
        (void)buf_printf(out, "%-32s " STR_FMT "\n", title, STR_ARG(p->description));
    }
}

static int run_list(struct command_call *call)
{
    const struct prompt_options *o = call->options;
    struct prompts *all;
    struct buf out;
    struct diag d = {0};
    if (open_prompts(call, &all, &d) != ERR_OK)
        return fail_open(call, &d);
    buf_init(&out, RENDERED_BYTES_MAX);
    if (o->json) {
        prompts_write(all, &out);
        (void)buf_append_char(&out, '\n');
    } else {
        list_text(all, &out);
    }
    prompts_free(all);
    return print_and_done(&out);
}

static int run_check(struct command_call *call)
{
    struct prompts *all;
    struct diag d = {0};
    if (open_prompts(call, &all, &d) != ERR_OK)
        return fail_open(call, &d);
    printf("%zu prompts are good.\n", prompts_len(all));
    prompts_free(all);
    return EXIT_STATUS_OK;
}

// --- Rendering

// NAME=VALUE: a string as it stands, other types as JSON.
static enum err write_set(const struct prompt *p, str text, struct json_writer *w, struct diag *d)
{
    struct json_doc doc;
    size_t equals = str_find_char(text, '=');
    str name = str_sub(text, 0, equals);
    if (equals == SIZE_MAX)
        return diag_set(d, ERR_INVALID, "--set wants NAME=VALUE, not '" STR_FMT "'", STR_ARG(text));
    str value = str_sub(text, equals + 1, SIZE_MAX);
    const struct prompt_variable *v = prompt_variable(p, name);
    jw_key_str(w, name);
    if (!v || v->type == PROMPT_STRING) {
        jw_str(w, value);
        return ERR_OK;
    }
    enum err e = json_parse(&doc, value, JSON_LIMITS_DEFAULT, d);
    if (e != ERR_OK) {
        diag_where(d, STR_FMT, STR_ARG(name));
        return e;
    }
    jw_value(w, doc.root);
    json_done(&doc);
    return ERR_OK;
}

static enum err read_variables(const struct prompt_options *o, const struct prompt *p,
                               struct json_doc *ret, struct diag *d)
{
    struct buf text;
    struct json_writer w;
    enum err e = ERR_OK;
    if (o->variables.len) {
        ERR_TRY(fs_read(o->variables.ptr, RENDERED_BYTES_MAX, &text, d));
    } else {
        buf_init(&text, RENDERED_BYTES_MAX);
        jw_init(&w, &text);
        jw_object_begin(&w);
        for (size_t i = 0; i < o->set.len && e == ERR_OK; i++)
            e = write_set(p, o->set.items[i], &w, d);
        jw_object_end(&w);
    }
    if (e == ERR_OK)
        e = json_parse(ret, buf_str(&text), JSON_LIMITS_DEFAULT, d);
    buf_done(&text);
    return e;
}

static void print_conversation(str json, struct buf *out)
{
    struct json_doc doc;
    size_t i, max;
    yyjson_val *m;
    if (json_parse(&doc, json, JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return;
    yyjson_arr_foreach(doc.root, i, max, m)
    {
        str role = json_str(json_get(m, "role"));
        (void)buf_printf(out, "%s[" STR_FMT "]\n", i ? "\n" : "", STR_ARG(role));
        (void)buf_append_str(out, json_str(json_get(m, "content")));
        (void)buf_append_char(out, '\n');
    }
    json_done(&doc);
}

static enum err render(const struct prompt_options *o, const struct prompt *p, struct buf *out,
                       struct diag *d)
{
    struct json_doc variables;
    struct json_writer w;
    ERR_TRY(read_variables(o, p, &variables, d));
    jw_init(&w, out);
    jw_array_begin(&w);
    enum err e = prompt_render(p, variables.root, RENDERED_BYTES_MAX, &w, d);
    if (e == ERR_OK)
        jw_array_end(&w);
    json_done(&variables);
    return e;
}

static int run_render(struct command_call *call)
{
    const struct prompt_options *o = call->options;
    struct prompts *all;
    struct diag d = {0};
    struct buf json, out;
    str name = str_of(call->args[0]), version;
    size_t at = str_find_char(name, '@');
    version = at == SIZE_MAX ? STR_NONE : str_sub(name, at + 1, SIZE_MAX);
    if (open_prompts(call, &all, &d) != ERR_OK)
        return fail_open(call, &d);
    const struct prompt *p = prompts_find(all, str_sub(name, 0, at), version);
    buf_init(&json, 2 * RENDERED_BYTES_MAX);
    buf_init(&out, 2 * RENDERED_BYTES_MAX);
    int status = EXIT_STATUS_OK;
    if (!p)
        status = command_fail_text(call, EXIT_STATUS_UNREACHABLE, "there is no prompt '%s'",
                                   call->args[0]);
    else if (render(o, p, &json, &d) != ERR_OK)
        status = command_fail(call, EXIT_STATUS_USAGE, &d);
    else if (o->json)
        (void)buf_printf(&out, "%s\n", buf_cstr(&json));
    else
        print_conversation(buf_str(&json), &out);
    buf_done(&json);
    prompts_free(all);
    int printed = print_and_done(&out);
    return status ? status : printed;
}

static const struct command prompt_list = {
    .name = "list",
    .summary = "list the prompts, with the latest version of each marked",
    .description = "Names, versions and descriptions of the prompts in the folder.",
    .examples = "weir prompt list --folder prompts   # names, versions, descriptions",
    .options = list_table,
    .options_size = sizeof(struct prompt_options),
    .run = run_list,
};

static const struct command prompt_check = {
    .name = "check",
    .summary = "read every prompt and say what is wrong",
    .description = "Reads every file as the server does at its start: unknown keys, unbalanced "
                   "sections, names of variables that are not declared, with line and column.",
    .examples = "weir prompt check -f prompts   # ends with status 2 at the first mistake",
    .options = check_table,
    .options_size = sizeof(struct prompt_options),
    .run = run_check,
};

static const struct command prompt_render_command = {
    .name = "render",
    .summary = "print the messages that a prompt makes",
    .args = "NAME[@VERSION]",
    .description = "Renders a prompt with the variables given. Without a version: the latest.",
    .examples =
        "weir prompt render greet@2 -s customer=Ada -s tries=3   # the conversation as text",
    .options = render_table,
    .options_size = sizeof(struct prompt_options),
    .args_min = 1,
    .args_max = 1,
    .run = run_render,
};

static const struct command *const subcommands[] = {&prompt_list, &prompt_check,
                                                    &prompt_render_command, NULL};

const struct command cmd_prompt = {
    .name = "prompt",
    .summary = "list, check and render prompt templates",
    .description =
        "A prompt is a file NAME@VERSION.yaml: messages as mustache templates, the variables that "
        "they need, and parameters of the model. Requests call it by name: \"prompt\": {\"name\": "
        "\"greet\", \"variables\": {\"customer\": \"Ada\"}}. docs/prompts.md has the format.",
    .examples = "weir prompt check                            # is every prompt well-formed?\n"
                "weir prompt render greet -s customer=Ada     # what would be sent",
    .subcommands = subcommands,
};
