#include "guard/rules.h"

#include "base/mem.h"
#include "base/yaml.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 8 << 20 };

#define AT(f) offsetof(struct guard_rule_text, f)

static const char *const actions[] = {"allow", "block", "tag", "mask", NULL};
static const char *const directions[] = {"both", "input", "output", NULL};
static const char *const topics[] = {"denied", "allowed", NULL};

const struct option guard_rule_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = AT(name), .help = "Of the rule."},
    {.name = "action",
     .type = OPTION_CHOICE,
     .offset = AT(action),
     .value = "block",
     .choices = actions,
     .help =
         "allow: it passes, whatever the other rules say. block: nothing of it goes on, nor "
         "anything behind it. tag: it passes and is told and counted. mask: something else goes "
         "on in its place; a text that is too long is cut."},
    {.name = "direction",
     .type = OPTION_CHOICE,
     .offset = AT(direction),
     .value = "both",
     .choices = directions,
     .help = "What it looks at: requests, answers, or both."},
    {.name = "roles",
     .type = OPTION_STRINGS,
     .offset = AT(roles),
     .help = "Whose texts of a request: system, user, assistant, tool. None: all; of an injection "
             "score and a topic, user and tool."},
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
     .help = "What a mask puts in its place. Default: [NAME]; personal data of a request gets a "
             "placeholder that becomes the value again in the answer."},
    {.name = "plant",
     .type = OPTION_BOOL,
     .offset = AT(plant),
     .value = "false",
     .help =
         "Put the canary at the end of each request's system prompt. Without a 'canary', one is "
         "drawn when weir starts."},
    {.name = "injection",
     .type = OPTION_FLOAT,
     .offset = AT(injection),
     .value = "0",
     .max = 1,
     .help = "Fires on a text whose score of prompt injection is at least this; 0.5 is what was "
             "measured. 0: off."},
    {.name = "topic",
     .type = OPTION_STRINGS,
     .offset = AT(topic),
     .help = "Words and phrases, each with a weight after '=' if it is not 1 (\"loan=2\"). A text "
             "is about them from 'threshold' on; each counts once."},
    {.name = "threshold",
     .type = OPTION_FLOAT,
     .offset = AT(threshold),
     .value = "1",
     .min = 0.001,
     .max = 1e6,
     .help = "The sum of weights from which on a text is about the topic."},
    {.name = "topic_is",
     .type = OPTION_CHOICE,
     .offset = AT(topic_is),
     .value = "denied",
     .choices = topics,
     .help = "denied: fires where a text is about it. allowed: fires on a request none of whose "
             "texts is."},
    {.name = "characters_max",
     .type = OPTION_INT,
     .offset = AT(characters_max),
     .value = "0",
     .max = 1e12,
     .help = "Fires on a request whose texts have more characters, or an answer that has. 0: any."},
    {.name = "tokens_max",
     .type = OPTION_INT,
     .offset = AT(tokens_max),
     .value = "0",
     .max = 1e12,
     .help = "Fires on a request that has more tokens: counted where the model runs here, else "
             "estimated. 0: any."},
    {.name = "turns_max",
     .type = OPTION_INT,
     .offset = AT(turns_max),
     .value = "0",
     .max = 1e9,
     .help = "Fires on a request with more messages of the user. 0: any."},
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

static enum err read_roles(const struct option_strings *names, uint32_t *ret, struct diag *d)
{
    static const char *const all[] = {"system", "user", "assistant", "tool"};
    for (size_t i = 0; i < names->len; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(all) && !str_eq_z(names->items[i], all[k]))
            k++;
        if (k == ARRAY_LEN(all))
            return diag_set(d, ERR_INVALID,
                            "there is no role called '" STR_FMT
                            "'; there are system, user, assistant, tool",
                            STR_ARG(str_sub(names->items[i], 0, 64)));
        *ret |= 1u << k;
    }
    return ERR_OK;
}

static bool has_size(const struct guard_rule_text *t)
{
    return t->characters_max || t->tokens_max || t->turns_max;
}

// A rule looks into texts, or at them as a whole in one way: who it fired on must be plain.
static enum err check_kinds(const struct guard_rule_text *t, struct diag *d)
{
    bool inside = t->patterns.len || t->pii.len || t->canary.len;
    int kinds = inside + (t->injection > 0) + (t->topic.len > 0) + has_size(t);
    if (!kinds)
        return diag_set(d, ERR_INVALID,
                        "the rule looks for nothing: give patterns, pii, a canary, an injection "
                        "score, a topic or a length");
    if (kinds > 1)
        return diag_set(d, ERR_INVALID,
                        "the rule looks for more than one kind of thing; give patterns, pii and "
                        "canaries, an injection score, a topic and lengths a rule each");
    return ERR_OK;
}

static enum err check_fit(const struct guard_rule_text *t, struct diag *d)
{
    bool output = t->direction != GUARD_INPUT;
    bool whole = t->injection > 0 || t->topic.len || has_size(t);
    if (whole && t->action == GUARD_ALLOW)
        return diag_set(d, ERR_INVALID, "only patterns and pii can be allowed");
    if ((t->injection > 0 || t->topic.len) && t->action == GUARD_MASK)
        return diag_set(d, ERR_INVALID,
                        "an injection score or a topic is the whole text's: block or tag it");
    if (has_size(t) && t->action == GUARD_MASK && t->direction != GUARD_OUTPUT)
        return diag_set(d, ERR_INVALID,
                        "only an answer can be cut: say direction: output, or block (a route's "
                        "context_policy cuts requests)");
    if (output && t->direction == GUARD_OUTPUT && (t->tokens_max || t->turns_max))
        return diag_set(d, ERR_INVALID,
                        "of an answer only characters are counted: give characters_max");
    if (t->topic.len && t->topic_is && t->direction != GUARD_INPUT)
        return diag_set(d, ERR_INVALID,
                        "what an answer does not speak of is known at its end, when it has been "
                        "told: say direction: input");
    if (t->injection > 0 && t->direction == GUARD_OUTPUT)
        return diag_set(d, ERR_INVALID,
                        "an injection is what comes in: say direction: input (results of tools are "
                        "a part of requests)");
    return ERR_OK;
}

enum err guard_rule_read(const struct guard_rule_text *text, struct guard_rule *ret, struct diag *d)
{
    *ret = (struct guard_rule){
        .name = text->name,
        .action = (enum guard_action)text->action,
        .patterns = text->patterns.items,
        .patterns_len = text->patterns.len,
        .canary = text->canary,
        .replacement = text->replacement,
        .injection = text->injection,
        .topic = {text->topic.items, text->topic.len, text->threshold, text->topic_is == 1},
        .size = {(uint64_t)text->characters_max, (uint64_t)text->tokens_max,
                 (uint64_t)text->turns_max}};
    enum err e = read_pii(&text->pii, &ret->pii, d);
    if (e == ERR_OK)
        e = read_roles(&text->roles, &ret->roles, d);
    if (e == ERR_OK)
        e = check_kinds(text, d);
    if (e == ERR_OK)
        e = check_fit(text, d);
    // What the operator and the model itself say is no attack, and no topic of the user's.
    if (!ret->roles && (text->injection > 0 || text->topic.len))
        ret->roles = GUARD_ROLE_USER | GUARD_ROLE_TOOL;
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
        e = guard_rule_read(&texts[i], &made[i], d);
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
