#include "fault/script.h"

#include "base/yaml.h"

#include "base/banned.h"

#define AT(type, f) offsetof(struct type, f)

static const struct option rule_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = AT(script_rule, name), .help = "For people."},
    {.name = "model",
     .type = OPTION_STRING,
     .offset = AT(script_rule, model),
     .help = "The models it is for; '*' stands for any run of characters. Default: all."},
    {.name = "path",
     .type = OPTION_STRING,
     .offset = AT(script_rule, path),
     .help = "The paths it is for, likewise. Default: all."},
    {.name = "do",
     .type = OPTION_TABLE,
     .offset = AT(script_rule, orders),
     .table = order_table,
     .table_size = sizeof(struct order),
     .help = "What to do with them."},
    {0},
};

const struct option script_table[] = {
    {.name = "seed",
     .type = OPTION_INT,
     .offset = AT(script, seed),
     .value = "0",
     .min = 0,
     .max = 9007199254740991.0,
     .help = "Everything that is drawn is drawn from it: the same seed and the same requests give "
             "the same answers, waits and faults."},
    {.name = "key",
     .type = OPTION_SECRET,
     .offset = AT(script, key),
     .help = "Requests without this key are answered 401. None: every request is served."},
    {.name = "models",
     .type = OPTION_STRINGS,
     .offset = AT(script, models),
     .value = "fault",
     .help = "The models that are listed. Any name is served."},
    {.name = "always",
     .type = OPTION_TABLE,
     .offset = AT(script, always),
     .table = order_table,
     .table_size = sizeof(struct order),
     .help = "What to do with every request; rules, models' names and the x-fault header add to "
             "it."},
    {.name = "rules",
     .type = OPTION_TABLES,
     .offset = AT(script, rules),
     .table = rule_table,
     .table_size = sizeof(struct script_rule),
     .help = "The first rule that matches a request and applies to it is followed."},
    {.name = "attempts_max",
     .type = OPTION_INT,
     .offset = AT(script, attempts_max),
     .value = "1000",
     .min = 1,
     .max = 100000,
     .help = "How many requests are remembered for GET /fault/attempts; older ones are forgotten "
             "and counted."},
    {.name = "record_bodies",
     .type = OPTION_BOOL,
     .offset = AT(script, record_bodies),
     .value = "false",
     .help = "Remember the first 64 KiB of requests' bodies, too."},
    {0},
};

static enum err check(const struct script *s, struct diag *d)
{
    struct order_plan plan;
    enum err e = order_understand(&s->always, &plan, d);
    if (e != ERR_OK) {
        diag_where(d, "always");
        return e;
    }
    for (size_t i = 0; i < s->rules.len; i++) {
        e = order_understand(&script_rules(s)[i].orders, &plan, d);
        if (e != ERR_OK) {
            diag_where(d, "rules[%zu]", i);
            return e;
        }
    }
    return ERR_OK;
}

enum err script_defaults(struct script *ret, struct arena *arena, struct diag *d)
{
    return option_defaults(script_table, ret, arena, d);
}

enum err script_parse(str text, struct arena *arena, struct script *ret, struct diag *d)
{
    struct yaml_doc doc;
    struct script s = {0};
    ERR_TRY(script_defaults(&s, arena, d));
    ERR_TRY(yaml_parse(&doc, text, d));
    enum err e = option_from_yaml(script_table, doc.root, &s, arena, d);
    yaml_done(&doc);
    ERR_TRY(e);
    ERR_TRY(check(&s, d));
    *ret = s;
    return ERR_OK;
}

bool script_matches(str pattern, str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && pattern.ptr[p] == text.ptr[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}
