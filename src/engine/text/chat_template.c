#include "engine/text/chat_template.h"

#include "engine/text/chat_render.h"

#include "base/banned.h"

enum { SHOWN_BYTES = 48 }; // of a template that is refused

static const struct family {
    enum chat_family family;
    const char *name;
    enum err (*render)(const struct chat_turns *c, struct buf *out, struct diag *d);
    const char *stops[4];
} families[] = {
    {CHAT_CHATML, "chatml", chat_render_chatml, {"<|im_end|>", "<|im_start|>"}},
    {CHAT_LLAMA2, "llama2", chat_render_bracketed, {"</s>", "[INST]"}},
    {CHAT_LLAMA3, "llama3", chat_render_llama3, {"<|eot_id|>", "<|start_header_id|>"}},
    {CHAT_MISTRAL, "mistral", chat_render_bracketed, {"</s>", "[INST]"}},
    {CHAT_ZEPHYR, "zephyr", chat_render_tagged, {"</s>", "<|endoftext|>", "<|user|>"}},
    {CHAT_PHI3, "phi3", chat_render_tagged, {"<|end|>", "<|user|>"}},
    {CHAT_GEMMA, "gemma", chat_render_gemma, {"<end_of_turn>", "<start_of_turn>"}},
    {CHAT_PLAIN, "plain", chat_render_plain, {"\nUser:", "\nSystem:"}},
    {CHAT_ROLETAG, "roletag", chat_render_tagged, {"<|end|>", "<|user|>"}},
};

static const char family_names[] =
    "chatml chatml-tools llama2 llama3 llama3-tools mistral mistral-tools zephyr phi3 gemma plain "
    "roletag";

static const struct family *find(enum chat_family f)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (families[i].family == f)
            return &families[i];
    return NULL;
}

const char *chat_family_name(enum chat_family f)
{
    const struct family *family = find(f);
    return family ? family->name : "none";
}

const char *const *chat_template_stops(const struct chat_template *t)
{
    static const char *const none[] = {NULL};
    const struct family *family = find(t->family);
    return family ? family->stops : none;
}

static bool has(str source, const char *text)
{
    return str_find(source, str_of(text)) != SIZE_MAX;
}

// How the template writes a line's end: as it is, or as the two characters of a Jinja string.
static size_t line_end(str s)
{
    return str_starts(s, STR("\n")) ? 1 : str_starts(s, STR("\\n")) ? 2 : 0;
}

// The literal text between "<|im_start|>system\n" and "<|im_end|>", if it stands there in one
// piece: what SmolLM2, Qwen and others say when no system message is given.
static str chatml_default_system(str source)
{
    static const char open[] = "<|im_start|>system";
    for (size_t at; (at = str_find(source, STR("<|im_start|>system"))) != SIZE_MAX;) {
        source = str_sub(source, at + sizeof open - 1, source.len);
        size_t skip = line_end(source);
        str rest = str_sub(source, skip, source.len);
        str text = str_sub(rest, 0, str_find(rest, STR("<|im_end|>")));
        bool literal = skip > 0 && text.len > 0 && text.len < rest.len;
        for (size_t i = 0; literal && i < text.len; i++)
            literal = !strchr("'\"{}\\+", text.ptr[i]);
        if (literal)
            return text;
    }
    return STR_NONE;
}

// Mistral's templates differ from version to version in their blanks alone.
static void read_brackets(str source, struct chat_template *t)
{
    if (source.len ==
        0) { // by name alone: its first version, and with tools that of the v3 tokenizer
        t->blanks = CHAT_BLANK_OPEN | CHAT_BLANK_ANSWER;
        t->blanks |= t->tools ? CHAT_BLANK_TOOLS | CHAT_BLANK_CALLS | CHAT_BLANK_RESULTS |
                                    CHAT_TRIM_ANSWER | CHAT_SYSTEM_LAST
                              : CHAT_BLANK_CLOSE;
        return;
    }
    bool answer = has(source, "' ' + message") || has(source, "\" \" + message");
    t->system_tag = has(source, "[SYSTEM_PROMPT]");
    // later tokenizers ([ARGS], [TOOL_CONTENT]) write them otherwise
    if (has(source, "[AVAILABLE_TOOLS]") && has(source, "[TOOL_CALLS]") &&
        has(source, "\"call_id\"") && !has(source, "[ARGS]"))
        t->tools = CHAT_TOOLS_MISTRAL;
    t->blanks = (has(source, "[INST] ") ? CHAT_BLANK_OPEN : 0u) |
                (has(source, " [/INST]") ? CHAT_BLANK_CLOSE : 0u) |
                (answer ? CHAT_BLANK_ANSWER : 0u) |
                (has(source, "|trim + eos_token") ? CHAT_TRIM_ANSWER : 0u) |
                (has(source, "loop.last and system_message") ? CHAT_SYSTEM_LAST : 0u) |
                (has(source, "[AVAILABLE_TOOLS] ") ? CHAT_BLANK_TOOLS : 0u) |
                (has(source, "[TOOL_CALLS] ") ? CHAT_BLANK_CALLS : 0u) |
                (has(source, "[TOOL_RESULTS] ") ? CHAT_BLANK_RESULTS : 0u) |
                (has(source, "[SYSTEM_PROMPT] ") ? CHAT_BLANK_SYSTEM : 0u);
}

// What tells the members of a family apart, from the template's text.
static void read_variant(str source, struct chat_template *t)
{
    if (t->family == CHAT_CHATML) {
        t->default_system = chatml_default_system(source);
        if (has(source, "<tools>") && has(source, "<tool_call>"))
            t->tools = CHAT_TOOLS_HERMES;
    }
    if (t->family == CHAT_LLAMA3 && has(source, "Environment: ipython") &&
        has(source, "\"parameters\": "))
        t->tools = CHAT_TOOLS_LLAMA3;
    if (t->family == CHAT_MISTRAL)
        read_brackets(source, t);
    if (t->family == CHAT_ZEPHYR && has(source, "<|endoftext|>"))
        t->eos = STR("<|endoftext|>");
    if (t->family == CHAT_LLAMA3 && has(source, "Cutting Knowledge Date"))
        t->system_lead = STR("Cutting Knowledge Date: December 2023\n"
                             "Today Date: 26 Jul 2024\n\n"); // the template's own default date
}

static enum chat_family recognise(str source)
{
    if (has(source, "<|im_start|>"))
        return CHAT_CHATML;
    if (has(source, "<|start_header_id|>") && has(source, "<|end_header_id|>"))
        return CHAT_LLAMA3;
    if (has(source, "[INST]"))
        return has(source, "<<SYS>>") ? CHAT_LLAMA2 : CHAT_MISTRAL;
    if (has(source, "<start_of_turn>"))
        return CHAT_GEMMA;
    if (has(source, "<|assistant|>") && has(source, "<|end|>"))
        return has(source, "<|user|>") ? CHAT_PHI3 : CHAT_ROLETAG;
    if (has(source, "<|assistant|>") && has(source, "<|user|>") &&
        (has(source, "eos_token") || has(source, "<|endoftext|>")))
        return CHAT_ZEPHYR;
    return CHAT_NONE;
}

// A family's name, or the name of one with tools.
static enum err named(const char *name, struct chat_template *t, struct diag *d)
{
    static const struct {
        const char *name;
        enum chat_family family;
        enum chat_tools tools;
    } with_tools[] = {{"chatml-tools", CHAT_CHATML, CHAT_TOOLS_HERMES},
                      {"llama3-tools", CHAT_LLAMA3, CHAT_TOOLS_LLAMA3},
                      {"mistral-tools", CHAT_MISTRAL, CHAT_TOOLS_MISTRAL}};
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (strcmp(name, families[i].name) == 0)
            t->family = families[i].family;
    for (size_t i = 0; i < ARRAY_LEN(with_tools); i++)
        if (strcmp(name, with_tools[i].name) == 0) {
            t->family = with_tools[i].family;
            t->tools = with_tools[i].tools;
        }
    if (t->family == CHAT_NONE)
        return diag_set(d, ERR_INVALID, "chat template family \"%s\" is unknown; choose one of %s",
                        name, family_names);
    return ERR_OK;
}

enum err chat_template_detect(str source, const char *family_override, struct chat_template *ret,
                              struct diag *d)
{
    struct chat_template t = {.family = CHAT_NONE, .eos = STR("</s>")};
    if (family_override && *family_override)
        ERR_TRY(named(family_override, &t, d));
    else if (str_trim(source).len > 0) {
        t.family = recognise(source);
        if (t.family == CHAT_NONE)
            return diag_set(d, ERR_UNSUPPORTED,
                            "the model's chat template (\"%.*s…\") is of no known family; name "
                            "one in the configuration: %s",
                            (int)min_size(source.len, SHOWN_BYTES), source.ptr, family_names);
    }
    // a family named against the template's own text has none of its variants
    read_variant(recognise(source) == t.family ? source : STR_NONE, &t);
    *ret = t;
    return ERR_OK;
}

enum err chat_template_render(const struct chat_template *t, const struct chat_message *messages,
                              size_t n, str tools_json, bool add_generation, struct buf *out,
                              struct diag *d)
{
    const struct family *family = find(t->family);
    if (!family)
        return diag_set(d, ERR_UNSUPPORTED,
                        "this model has no chat template; name a family (%s; chat_family in the "
                        "configuration, --chat-family of weir chat) or use /v1/completions",
                        family_names);
    if (tools_json.len && !t->tools)
        return diag_set(d, ERR_UNSUPPORTED,
                        "this model's chat template (%s) knows no tools; leave them out",
                        family->name);
    struct chat_turns turns = {t, messages, n, tools_json, add_generation};
    ERR_TRY(family->render(&turns, out, d));
    return out->failed ? diag_set(d, ERR_LIMIT, "the messages make a prompt that is too long")
                       : ERR_OK;
}
