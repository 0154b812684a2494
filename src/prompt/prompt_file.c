// A prompt's file: YAML by option tables, but for what must not be touched by them (templates may
// hold "${"): message contents, partials and defaults are taken from the tree as they stand.
#include "base/mem.h"
#include "base/option.h"
#include "prompt/prompt.h"

#include "base/banned.h"

enum {
    ARENA_BYTES_MAX = 16 << 20,
    DEFAULT_BYTES_MAX = 1 << 20,
    PARTIALS_DEPTH_MAX = 8,
    NEST_MAX = 64
};

#define AT(type, f) offsetof(struct type, f)

static const char *const types[] = {"string", "number", "integer", "boolean",
                                    "list",   "object", NULL};
static const char *const escapes[] = {"none", "html", "json", NULL};
static const char *const roles[] = {"system", "developer", "user", "assistant", NULL};

struct parameters {
    double temperature, top_p, presence_penalty, frequency_penalty;
    int64_t max_tokens, seed;
    struct option_strings stop;
};

static const struct option parameters_table[] = {
    {.name = "temperature", .type = OPTION_FLOAT, .offset = AT(parameters, temperature), .max = 2},
    {.name = "top_p", .type = OPTION_FLOAT, .offset = AT(parameters, top_p), .max = 1},
    {.name = "presence_penalty",
     .type = OPTION_FLOAT,
     .offset = AT(parameters, presence_penalty),
     .min = -2,
     .max = 2},
    {.name = "frequency_penalty",
     .type = OPTION_FLOAT,
     .offset = AT(parameters, frequency_penalty),
     .min = -2,
     .max = 2},
    {.name = "max_tokens",
     .type = OPTION_INT,
     .offset = AT(parameters, max_tokens),
     .min = 0,
     .max = 1e9},
    {.name = "seed", .type = OPTION_INT, .offset = AT(parameters, seed)},
    {.name = "stop", .type = OPTION_STRINGS, .offset = AT(parameters, stop)},
    {0},
};

static const struct option variable_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = AT(prompt_variable, name)},
    {.name = "type",
     .type = OPTION_CHOICE,
     .offset = AT(prompt_variable, type),
     .value = "string",
     .choices = types},
    {.name = "description", .type = OPTION_STRING, .offset = AT(prompt_variable, description)},
    {0},
};

struct head {
    str description, model;
    int64_t escape;
    struct option_items variables;
    struct parameters parameters;
};

static const struct option head_table[] = {
    {.name = "description", .type = OPTION_STRING, .offset = AT(head, description)},
    {.name = "model", .type = OPTION_STRING, .offset = AT(head, model)},
    {.name = "escape",
     .type = OPTION_CHOICE,
     .offset = AT(head, escape),
     .value = "none",
     .choices = escapes},
    {.name = "variables",
     .type = OPTION_TABLES,
     .offset = AT(head, variables),
     .table = variable_table,
     .table_size = sizeof(struct prompt_variable)},
    {.name = "parameters",
     .type = OPTION_TABLE,
     .offset = AT(head, parameters),
     .table = parameters_table,
     .table_size = sizeof(struct parameters)},
    {0},
};

struct message_head {
    int64_t role;
};

static const struct option message_table[] = {
    {.name = "role", .type = OPTION_CHOICE, .offset = AT(message_head, role), .choices = roles},
    {0},
};

struct reading {
    struct prompt *p;
    str file;
    struct diag *diag;
};

// --- The tree

// The member `key` of a map, taken out of it.
static struct yaml_node *take(struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (struct yaml_node **at = &map->first; *at; at = &(*at)->next) {
        struct yaml_node *found = *at;
        if (!str_eq_z(found->key, key))
            continue;
        *at = found->next;
        found->next = NULL;
        return found;
    }
    return NULL;
}

static size_t count(const struct yaml_node *list)
{
    size_t n = 0;
    for (const struct yaml_node *i = list ? list->first : NULL; i; i = i->next)
        n++;
    return n;
}

static enum err wrong(struct reading *r, uint32_t line, uint32_t col, const char *what, str name)
{
    (void)diag_set(r->diag, ERR_INVALID, "%s%s" STR_FMT "%s", what, name.len ? " '" : "",
                   STR_ARG(str_sub(name, 0, 80)), name.len ? "'" : "");
    diag_place(r->diag, line, col);
    return ERR_INVALID;
}

// --- Places: a template knows its own lines, a person looks for those of the file.

static str file_line(str file, uint32_t line)
{
    str found = STR_NONE;
    while (line-- && str_split(&file, '\n', &found))
        ;
    return found;
}

// A text behind '|' begins on the next line, with the indentation of its lines cut off.
static void place_in_file(const struct reading *r, const struct yaml_node *node, uint32_t *line,
                          uint32_t *col)
{
    str begin = str_sub(file_line(r->file, node->line), node->col - 1, 1);
    if (str_eq(begin, STR("|")) || str_eq(begin, STR(">"))) {
        str text = file_line(r->file, node->line + *line);
        uint32_t indent = 0;
        while (indent < text.len && text.ptr[indent] == ' ' && indent < 64)
            indent++;
        str own = file_line(node->text, *line);
        uint32_t own_indent = 0;
        while (own_indent < own.len && own.ptr[own_indent] == ' ')
            own_indent++;
        *line += node->line;
        *col += indent - (own_indent < indent ? own_indent : indent);
        return;
    }
    *col += *line == 1 ? node->col - 1 + (node->quoted ? 1 : 0) : 0;
    *line += node->line - 1;
}

static enum err compile(struct reading *r, const struct yaml_node *node, const char *what,
                        struct mustache **ret)
{
    if (!node || node->kind != YAML_SCALAR)
        return wrong(r, node ? node->line : 0, node ? node->col : 0, what, STR_NONE);
    enum err e = mustache_new(node->text, ret, r->diag);
    if (e != ERR_OK && r->diag)
        place_in_file(r, node, &r->diag->line, &r->diag->col);
    return e;
}

// --- Names

struct naming {
    struct reading *r;
    const struct yaml_node *node;             // of the text that is looked at
    bool open[NEST_MAX * PARTIALS_DEPTH_MAX]; // by section: is it one whose members are unknown?
    size_t open_len;
    int partials;
};

static enum err wrong_name(struct naming *n, const struct mustache_mention *m, const char *what)
{
    uint32_t line = m->line, col = m->col;
    place_in_file(n->r, n->node, &line, &col);
    return wrong(n->r, line, col, what, m->name);
}

static bool within_open(const struct naming *n)
{
    return n->open_len && n->open[n->open_len - 1];
}

// Inside a list's or an object's section its members may be meant, which nobody declares.
static enum err check_name(struct naming *n, const struct mustache_mention *m, bool *ret_opens)
{
    str rest = m->name, first = m->name;
    *ret_opens = within_open(n);
    if (str_eq(m->name, STR(".")))
        return n->open_len ? ERR_OK
                           : wrong_name(n, m, "outside of sections there is nothing called");
    (void)str_split(&rest, '.', &first);
    const struct prompt_variable *v = prompt_variable(n->r->p, first);
    if (!v)
        return within_open(n) ? ERR_OK : wrong_name(n, m, "there is no variable");
    if (rest.len && v->type != PROMPT_OBJECT)
        return wrong_name(n, m, "only variables of type object have members, unlike");
    *ret_opens = *ret_opens || v->type == PROMPT_OBJECT || v->type == PROMPT_LIST;
    return ERR_OK;
}

static enum err check_template(struct naming *n, const struct mustache *t,
                               const struct yaml_node *partials);

static enum err check_partial(struct naming *n, const struct mustache_mention *m,
                              const struct yaml_node *partials)
{
    const struct prompt *p = n->r->p;
    const struct yaml_node *node = partials ? partials->first : NULL, *back = n->node;
    for (size_t i = 0; node && i < p->partials_len; i++, node = node->next) {
        if (!str_eq(p->partials[i].name, m->name))
            continue;
        if (n->partials == PARTIALS_DEPTH_MAX)
            return ERR_OK; // it has been looked at, in this or that place
        n->partials++;
        n->node = node;
        enum err e = check_template(n, p->partials[i].text, partials);
        n->node = back;
        n->partials--;
        return e;
    }
    return wrong_name(n, m, "there is no partial");
}

static enum err check_template(struct naming *n, const struct mustache *t,
                               const struct yaml_node *partials)
{
    struct mustache_mention m;
    size_t cursor = 0;
    bool opens;
    while (mustache_next(t, &cursor, &m)) {
        if (m.kind == MUSTACHE_END) {
            n->open_len--;
            continue;
        }
        if (m.kind == MUSTACHE_PARTIAL) {
            ERR_TRY(check_partial(n, &m, partials));
            continue;
        }
        ERR_TRY(check_name(n, &m, &opens));
        if (m.kind == MUSTACHE_VARIABLE)
            continue;
        if (n->open_len == ARRAY_LEN(n->open))
            return wrong_name(n, &m, "too many sections inside each other at");
        bool inverted = m.kind == MUSTACHE_INVERTED;
        n->open[n->open_len] = inverted ? within_open(n) : opens;
        n->open_len++;
    }
    return ERR_OK;
}

// --- Parts

static enum err no_memory(struct reading *r)
{
    return diag_set(r->diag, ERR_LIMIT, "the prompt is too large");
}

static enum err read_partials(struct reading *r, const struct yaml_node *node)
{
    struct prompt *p = r->p;
    if (!node)
        return ERR_OK;
    if (node->kind != YAML_MAP)
        return wrong(r, node->line, node->col, "partials must be a map of names to texts",
                     STR_NONE);
    p->partials = arena_zalloc(&p->arena, count(node) + 1, sizeof *p->partials);
    if (!p->partials)
        return no_memory(r);
    for (const struct yaml_node *i = node->first; i; i = i->next) {
        struct prompt_partial *partial = &p->partials[p->partials_len];
        ERR_TRY(compile(r, i, "a partial must be a text", &partial->text));
        p->partials_len++;
        partial->name = arena_str(&p->arena, i->key);
        if (!partial->name.ptr)
            return no_memory(r);
    }
    return ERR_OK;
}

static enum err read_message(struct reading *r, struct yaml_node *node,
                             const struct yaml_node *partials)
{
    struct prompt *p = r->p;
    struct prompt_message *m = &p->messages[p->messages_len];
    struct message_head head = {0};
    if (node->kind != YAML_MAP || !yaml_get(node, "role"))
        return wrong(r, node->line, node->col, "a message is a map with a role and a content",
                     STR_NONE);
    const struct yaml_node *content = take(node, "content");
    ERR_TRY(option_from_yaml(message_table, node, &head, &p->arena, r->diag));
    m->role = str_of(roles[head.role]);
    if (!content)
        return wrong(r, node->line, node->col, "this message has no content", STR_NONE);
    ERR_TRY(compile(r, content, "a message's content must be a text", &m->content));
    p->messages_len++;
    struct naming n = {.r = r, .node = content};
    return check_template(&n, m->content, partials);
}

static enum err read_messages(struct reading *r, struct yaml_node *node,
                              const struct yaml_node *partials)
{
    struct prompt *p = r->p;
    size_t len = node && node->kind == YAML_LIST ? count(node) : 0;
    if (!len)
        return wrong(r, node ? node->line : 0, node ? node->col : 0,
                     "messages must be a list with at least one message", STR_NONE);
    p->messages = arena_zalloc(&p->arena, len, sizeof *p->messages);
    if (!p->messages)
        return no_memory(r);
    for (struct yaml_node *i = node->first; i; i = i->next)
        ERR_TRY(read_message(r, i, partials));
    return ERR_OK;
}

// --- Variables and parameters

static bool default_json(const struct prompt_variable *v, struct buf *out)
{
    struct json_doc doc;
    struct json_writer w;
    int64_t i;
    jw_init(&w, out);
    if (v->type == PROMPT_STRING) {
        jw_str(&w, v->text);
        return true;
    }
    if (json_parse(&doc, v->text, JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    bool ok = v->type == PROMPT_NUMBER    ? json_num_text(doc.root).ptr != NULL
              : v->type == PROMPT_INTEGER ? json_is_int(doc.root, &i)
              : v->type == PROMPT_BOOLEAN ? yyjson_is_bool(doc.root)
              : v->type == PROMPT_LIST    ? yyjson_is_arr(doc.root)
                                          : yyjson_is_obj(doc.root);
    jw_value(&w, doc.root);
    json_done(&doc);
    return ok;
}

static enum err read_default(struct reading *r, struct prompt_variable *v,
                             const struct yaml_node *node)
{
    struct buf json;
    if (node->kind != YAML_SCALAR)
        return wrong(r, node->line, node->col,
                     "write the default of a list or an object as JSON in quotes for", v->name);
    buf_init(&json, DEFAULT_BYTES_MAX);
    v->text = arena_str(&r->p->arena, node->text);
    bool ok = v->text.ptr && default_json(v, &json);
    v->json = ok ? arena_str(&r->p->arena, buf_str(&json)) : STR_NONE;
    buf_done(&json);
    if (!ok)
        return wrong(r, node->line, node->col, "the default does not fit the type of", v->name);
    return v->json.ptr ? ERR_OK : no_memory(r);
}

// Defaults leave the tree before the table reads the rest, in the order of the variables.
static void take_defaults(struct yaml_node *variables, struct yaml_node **out)
{
    for (struct yaml_node *i = variables ? variables->first : NULL; i; i = i->next)
        *out++ = take(i, "default");
}

static void write_parameter(struct json_writer *w, const struct option *row, const void *at)
{
    const struct option_strings *list = at;
    jw_key(w, row->name);
    if (row->type == OPTION_FLOAT) {
        jw_f64(w, *(const double *)at);
    } else if (row->type == OPTION_INT) {
        jw_int(w, *(const int64_t *)at);
    } else {
        jw_array_begin(w);
        for (size_t i = 0; i < list->len; i++)
            jw_str(w, list->items[i]);
        jw_array_end(w);
    }
}

static enum err keep_parameters(struct reading *r, const struct yaml_node *given,
                                const struct parameters *values)
{
    struct buf text;
    struct json_writer w;
    if (!count(given))
        return ERR_OK;
    buf_init(&text, PROMPT_FILE_BYTES_MAX);
    jw_init(&w, &text);
    jw_object_begin(&w);
    for (const struct option *row = parameters_table; row->name; row++)
        if (yaml_get(given, row->name))
            write_parameter(&w, row, (const char *)values + row->offset);
    jw_object_end(&w);
    enum err e = json_parse(&r->p->parameters, buf_str(&text), JSON_LIMITS_DEFAULT, r->diag);
    buf_done(&text);
    return e;
}

static enum err read_head(struct reading *r, struct yaml_node *root)
{
    struct prompt *p = r->p;
    struct head head = {0};
    struct yaml_node *variables = yaml_get(root, "variables");
    size_t len = count(variables);
    struct yaml_node **defaults = arena_zalloc(&p->arena, len + 1, sizeof(struct yaml_node *));
    if (!defaults)
        return no_memory(r);
    take_defaults(variables, defaults);
    ERR_TRY(option_defaults(head_table, &head, &p->arena, r->diag));
    ERR_TRY(option_from_yaml(head_table, root, &head, &p->arena, r->diag));
    p->description = head.description;
    p->model = head.model;
    p->escape = (enum mustache_escape)head.escape;
    p->variables = head.variables.items;
    p->variables_len = head.variables.len;
    for (size_t i = 0; i < p->variables_len && i < len; i++)
        if (defaults[i])
            ERR_TRY(read_default(r, &p->variables[i], defaults[i]));
    return keep_parameters(r, yaml_get(root, "parameters"), &head.parameters);
}

static enum err read_prompt(struct reading *r, struct yaml_node *root)
{
    if (!root || root->kind != YAML_MAP)
        return wrong(r, 1, 1, "a prompt is a map with messages", STR_NONE);
    struct yaml_node *messages = take(root, "messages"), *partials = take(root, "partials");
    ERR_TRY(read_head(r, root));
    ERR_TRY(read_partials(r, partials));
    return read_messages(r, messages, partials);
}

enum err prompt_parse(str name, str version, str text, struct prompt **ret, struct diag *d)
{
    struct yaml_doc doc;
    struct prompt *p = mem_new(struct prompt);
    struct reading r = {.p = p, .file = text, .diag = d};
    arena_init(&p->arena, ARENA_BYTES_MAX);
    p->name = arena_str(&p->arena, name);
    p->version = arena_str(&p->arena, version);
    enum err e = p->name.ptr && p->version.ptr ? yaml_parse(&doc, text, d) : no_memory(&r);
    if (e == ERR_OK) {
        e = read_prompt(&r, doc.root);
        yaml_done(&doc);
    }
    if (e != ERR_OK) {
        prompt_free(p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}
