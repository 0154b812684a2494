#include "base/yaml.h"

#include <yaml.h>

#include "base/map.h"

#include "base/banned.h"

enum { DEPTH_MAX = 32, MEMORY_BYTES_MAX = 64 << 20 };

// An open list or map.
struct level {
    struct yaml_node *node;
    struct yaml_node **tail; // where the next child is hung
    str key;                 // of a map: the key whose value comes next
    yaml_mark_t key_mark;
    bool has_key;
    struct map keys; // of a map: those seen
};

struct build {
    struct yaml_doc *doc;
    struct diag *diag;
    struct level levels[DEPTH_MAX];
    size_t depth;
};

static enum err refuse(struct build *b, yaml_mark_t at, enum err code, const char *what)
{
    diag_set(b->diag, code, "%s", what);
    diag_place(b->diag, (uint32_t)at.line + 1, (uint32_t)at.column + 1);
    return code;
}

static enum err no_memory(struct build *b, yaml_mark_t at)
{
    return refuse(b, at, ERR_LIMIT, "the YAML text holds too many values");
}

static enum err take_key(struct build *b, const yaml_event_t *e)
{
    struct level *l = &b->levels[b->depth - 1];
    if (e->type != YAML_SCALAR_EVENT)
        return refuse(b, e->start_mark, ERR_PARSE, "a key must be plain text, not a list or map");
    str key = str_slice((const char *)e->data.scalar.value, e->data.scalar.length);
    if (map_put(&l->keys, key, l->node)) {
        diag_set(b->diag, ERR_INVALID, "the key '%.*s' is given twice", (int)min_size(key.len, 64),
                 key.ptr);
        diag_place(b->diag, (uint32_t)e->start_mark.line + 1, (uint32_t)e->start_mark.column + 1);
        return ERR_INVALID;
    }
    l->key = arena_str(&b->doc->arena, key);
    l->key_mark = e->start_mark;
    l->has_key = true;
    return l->key.ptr ? ERR_OK : no_memory(b, e->start_mark);
}

static void hang(struct build *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        b->doc->root = node;
        return;
    }
    struct level *l = &b->levels[b->depth - 1];
    if (l->node->kind == YAML_MAP) {
        node->key = l->key;
        node->key_line = (uint32_t)l->key_mark.line + 1;
        node->key_col = (uint32_t)l->key_mark.column + 1;
        l->has_key = false;
    }
    *l->tail = node;
    l->tail = &node->next;
}

static enum err take_value(struct build *b, const yaml_event_t *e, enum yaml_kind kind)
{
    struct yaml_node *node = arena_zalloc(&b->doc->arena, 1, sizeof *node);
    if (!node)
        return no_memory(b, e->start_mark);
    node->kind = kind;
    node->line = (uint32_t)e->start_mark.line + 1;
    node->col = (uint32_t)e->start_mark.column + 1;
    if (kind == YAML_SCALAR) {
        node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = arena_str(
            &b->doc->arena, str_slice((const char *)e->data.scalar.value, e->data.scalar.length));
        if (!node->text.ptr)
            return no_memory(b, e->start_mark);
    }
    hang(b, node);
    if (kind == YAML_SCALAR)
        return ERR_OK;
    if (b->depth == DEPTH_MAX)
        return refuse(b, e->start_mark, ERR_LIMIT, "lists and maps are nested more than 32 deep");
    b->levels[b->depth++] = (struct level){.node = node, .tail = &node->first};
    return ERR_OK;
}

static bool has_anchor(const yaml_event_t *e)
{
    return (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) ||
           (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor) ||
           (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor);
}

static bool has_tag(const yaml_event_t *e)
{
    return (e->type == YAML_SCALAR_EVENT && e->data.scalar.tag) ||
           (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.tag) ||
           (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag);
}

static enum err take_node(struct build *b, const yaml_event_t *e)
{
    if (has_anchor(e))
        return refuse(b, e->start_mark, ERR_PARSE,
                      "anchors (&name) are not taken here; write the value out");
    if (has_tag(e))
        return refuse(b, e->start_mark, ERR_PARSE, "tags (!name) are not taken here; leave it out");
    struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;
    if (l && l->node->kind == YAML_MAP && !l->has_key)
        return take_key(b, e);
    return take_value(b, e,
                      e->type == YAML_SCALAR_EVENT           ? YAML_SCALAR
                      : e->type == YAML_SEQUENCE_START_EVENT ? YAML_LIST
                                                             : YAML_MAP);
}

static enum err take_document(struct build *b, const yaml_event_t *e)
{
    if (b->doc->root)
        return refuse(b, e->start_mark, ERR_PARSE, "a second document (---) is not taken here");
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse(b, e->start_mark, ERR_PARSE, "%TAG directives are not taken here");
    return ERR_OK;
}

static enum err take(struct build *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return take_document(b, e);
    case YAML_ALIAS_EVENT:
        return refuse(b, e->start_mark, ERR_PARSE,
                      "aliases (*name) are not taken here; write the value out");
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return take_node(b, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        map_done(&b->levels[--b->depth].keys);
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

static enum err refuse_syntax(const yaml_parser_t *p, struct diag *diag)
{
    if (p->error == YAML_MEMORY_ERROR)
        return diag_set(diag, ERR_NOMEM, "no memory to parse the YAML text");
    if (p->error == YAML_READER_ERROR) // has an offset, but no mark
        return diag_set(diag, ERR_PARSE, "not valid YAML: %s (at byte %zu)", p->problem,
                        p->problem_offset);
    diag_set(diag, ERR_PARSE, "not valid YAML: %s%s%s", p->context ? p->context : "",
             p->context ? ", " : "", p->problem ? p->problem : "syntax error");
    diag_place(diag, (uint32_t)p->problem_mark.line + 1, (uint32_t)p->problem_mark.column + 1);
    return ERR_PARSE;
}

static enum err run(struct build *b, yaml_parser_t *p)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e))
            return refuse_syntax(p, b->diag);
        bool last = e.type == YAML_STREAM_END_EVENT;
        enum err err = take(b, &e);
        yaml_event_delete(&e);
        if (err != ERR_OK || last)
            return err;
    }
}

enum err yaml_parse(struct yaml_doc *d, str text, struct diag *diag)
{
    if (text.len > YAML_BYTES_MAX)
        return diag_set(diag, ERR_LIMIT, "the YAML text is longer than the %u bytes allowed",
                        YAML_BYTES_MAX);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return diag_set(diag, ERR_NOMEM, "no memory to parse the YAML text");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    struct yaml_doc doc = {0};
    arena_init(&doc.arena, MEMORY_BYTES_MAX);
    struct build b = {.doc = &doc, .diag = diag};
    enum err e = run(&b, &parser);
    yaml_parser_delete(&parser);
    while (b.depth > 0)
        map_done(&b.levels[--b.depth].keys);
    if (e != ERR_OK)
        arena_done(&doc.arena);
    else
        *d = doc;
    return e;
}

void yaml_done(struct yaml_doc *d)
{
    arena_done(&d->arena);
    d->root = NULL;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (struct yaml_node *n = map->first; n; n = n->next)
        if (str_eq_z(n->key, key))
            return n;
    return NULL;
}
