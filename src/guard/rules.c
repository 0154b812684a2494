#include "guard/rules.h"

#include "base/mem.h"
#include "base/yaml.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 8 << 20 };

#define AT(f) offsetof(struct guard_rule_text, f)

static const char *const actions[] = {"block", "tag", "mask", NULL};

const struct option guard_rule_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = AT(name), .help = "Of the rule."},
    {.name = "action",
     .type = OPTION_CHOICE,
     .offset = AT(action),
     .value = "block",
     .choices = actions,
     .help = "block: nothing of it goes on, nor anything behind it. tag: it passes and is counted. "
             "mask: something else goes on in its place."},
    {.name = "patterns",
     .type = OPTION_STRINGS,
     .offset = AT(patterns),
     .help = "Patterns to look for; \\b, classes, groups, alternatives and repetitions, in linear "
             "time."},
    {.name = "pii",
     .type = OPTION_STRINGS,
     .offset = AT(pii),
     .help = "Kinds of personal data: email, card, iban, phone, ssn, ip, key."},
    {.name = "canary",
     .type = OPTION_SECRET,
     .offset = AT(canary),
     .help = "A text that stands in a system prompt and nowhere else, found in every disguise."},
    {.name = "replacement",
     .type = OPTION_STRING,
     .offset = AT(replacement),
     .help = "What a mask puts in its place. Default: [NAME]; personal data gets a placeholder."},
    {0},
};

static enum err read_pii(const struct option_strings *names, uint32_t *ret, struct diag *d)
{
    enum pii_kind kind;
    for (size_t i = 0; i < names->len; i++) {
        if (!pii_find(names->items[i], &kind))
            return diag_set(d, ERR_INVALID,
                            "there is no kind of personal data called '" STR_FMT
                            "'; there are email, card, iban, phone, ssn, ip, key",
                            STR_ARG(str_sub(names->items[i], 0, 64)));
        *ret |= 1u << kind;
    }
    return ERR_OK;
}

static enum err read_rule(const struct guard_rule_text *text, struct guard_rule *ret,
                          struct diag *d)
{
    *ret = (struct guard_rule){.name = text->name,
                               .action = (enum guard_action)text->action,
                               .patterns = text->patterns.items,
                               .patterns_len = text->patterns.len,
                               .canary = text->canary,
                               .replacement = text->replacement};
    enum err e = read_pii(&text->pii, &ret->pii, d);
    if (e == ERR_OK && !text->patterns.len && !text->pii.len && !text->canary.len)
        e = diag_set(d, ERR_INVALID, "the rule looks for nothing: give patterns, pii or a canary");
    if (e != ERR_OK)
        diag_where(d, "rule " STR_FMT, STR_ARG(str_sub(text->name, 0, 64)));
    return e;
}

enum err guard_from_rules(const struct option_items *rules, struct guard **ret, struct diag *d)
{
    const struct guard_rule_text *texts = rules->items;
    struct guard_rule *made = mem_array(rules->len + 1, sizeof *made);
    enum err e = ERR_OK;
    for (size_t i = 0; i < rules->len && e == ERR_OK; i++)
        e = read_rule(&texts[i], &made[i], d);
    if (e == ERR_OK)
        e = guard_new(made, rules->len, ret, d);
    mem_free(made);
    return e;
}

struct rules_file {
    struct option_items rules;
};

static const struct option file_table[] = {
    {.name = "rules",
     .type = OPTION_TABLES,
     .offset = offsetof(struct rules_file, rules),
     .table = guard_rule_table,
     .table_size = sizeof(struct guard_rule_text),
     .help = "What to look for."},
    {0},
};

enum err guard_parse_file(str text, struct guard **ret, struct diag *d)
{
    struct yaml_doc doc;
    struct arena arena;
    struct rules_file file = {0};
    ERR_TRY(yaml_parse(&doc, text, d));
    arena_init(&arena, ARENA_BYTES_MAX);
    enum err e = option_defaults(file_table, &file, &arena, d);
    if (e == ERR_OK)
        e = option_from_yaml(file_table, doc.root, &file, &arena, d);
    if (e == ERR_OK)
        e = guard_from_rules(&file.rules, ret, d);
    arena_done(&arena);
    yaml_done(&doc);
    return e;
}
