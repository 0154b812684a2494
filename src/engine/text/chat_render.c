#include "engine/text/chat_render.h"

#include "base/banned.h"

enum {
    TALK = 1u << ROLE_SYSTEM | 1u << ROLE_USER | 1u << ROLE_ASSISTANT,
    TALK_AND_TOOLS = TALK | 1u << ROLE_TOOL,
};

void chat_put(struct buf *out, const char *text)
{
    buf_append_str(out, str_of(text));
}

// What the template itself says …
static void put_str(struct buf *out, str s)
{
    buf_append_str(out, s);
}

// … and what a client said.
static void put_content(struct buf *out, str s)
{
    (void)literal_put(out, s);
}

enum err chat_role_of(const struct chat_turns *c, size_t i, unsigned allowed, enum chat_role *ret,
                      struct diag *d)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = {{"system", ROLE_SYSTEM},
                 {"developer", ROLE_SYSTEM},
                 {"user", ROLE_USER},
                 {"assistant", ROLE_ASSISTANT},
                 {"tool", ROLE_TOOL}};
    for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
        if (!str_eq_z(c->messages[i].role, roles[r].name))
            continue;
        if (!(allowed >> roles[r].role & 1))
            break;
        *ret = roles[r].role;
        return ERR_OK;
    }
    return diag_set(d, ERR_INVALID,
                    "messages[%zu]: this model's chat template (%s) knows no role \"" STR_FMT
                    "\"; use system, user or assistant%s",
                    i, chat_family_name(c->t->family), STR_ARG(c->messages[i].role),
                    allowed >> ROLE_TOOL & 1 ? " or tool" : "");
}

static const char *role_name(enum chat_role r)
{
    static const char *const names[ROLE_COUNT] = {"system", "user", "assistant", "tool"};
    return names[r];
}

// --- ChatML

static void chatml_turn(struct buf *out, const char *role, str content)
{
    buf_printf(out, "<|im_start|>%s\n", role);
    put_content(out, content);
    chat_put(out, "<|im_end|>\n");
}

// The first turn: the system message given or the template's own, and the tools. *ret_next: the
// message to go on with.
static enum err chatml_system(const struct chat_turns *c, struct buf *out, size_t *ret_next,
                              struct diag *d)
{
    enum chat_role role = ROLE_USER;
    if (c->n)
        ERR_TRY(chat_role_of(c, 0, c->t->tools ? TALK_AND_TOOLS : TALK, &role, d));
    bool given = role == ROLE_SYSTEM;
    str text = given ? c->messages[0].content : c->t->default_system;
    *ret_next = given;
    if (!given && text.len == 0 && c->tools_json.len == 0)
        return ERR_OK;
    chat_put(out, "<|im_start|>system\n");
    if (given)
        put_content(out, text);
    else
        put_str(out, text);
    if (c->tools_json.len) {
        chat_put(out, text.len ? "\n\n" : "");
        ERR_TRY(chat_tools_block(c->tools_json, out, d));
    }
    chat_put(out, "<|im_end|>\n");
    return ERR_OK;
}

static bool is_tool(const struct chat_turns *c, size_t i)
{
    return i < c->n && str_eq_z(c->messages[i].role, "tool");
}

// Results that follow one another stand in one turn of the user.
static void chatml_tool_result(const struct chat_turns *c, size_t i, struct buf *out)
{
    if (i == 0 || !is_tool(c, i - 1))
        chat_put(out, "<|im_start|>user");
    chat_put(out, "\n<tool_response>\n");
    put_content(out, c->messages[i].content);
    chat_put(out, "\n</tool_response>");
    if (!is_tool(c, i + 1))
        chat_put(out, "<|im_end|>\n");
}

static enum err chatml_calls(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    if (!c->t->tools)
        return diag_set(d, ERR_UNSUPPORTED,
                        "messages[%zu]: this model's chat template (chatml) knows no tool calls",
                        i);
    chat_put(out, "<|im_start|>assistant");
    if (c->messages[i].content.len) {
        chat_put(out, "\n");
        put_content(out, c->messages[i].content);
    }
    ERR_TRY(chat_tools_calls(c, i, out, d));
    chat_put(out, "<|im_end|>\n");
    return ERR_OK;
}

enum err chat_render_chatml(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    size_t i;
    ERR_TRY(chatml_system(c, out, &i, d));
    for (; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, c->t->tools ? TALK_AND_TOOLS : TALK, &role, d));
        if (role == ROLE_TOOL)
            chatml_tool_result(c, i, out);
        else if (role == ROLE_ASSISTANT && c->messages[i].tool_calls_json.len)
            ERR_TRY(chatml_calls(c, i, out, d));
        else
            chatml_turn(out, role_name(role), c->messages[i].content);
    }
    if (c->add_generation)
        chat_put(out, "<|im_start|>assistant\n");
    return ERR_OK;
}

// --- [INST]: llama-2 and mistral

struct brackets {
    const char *open, *close; // around a user's text
    const char *answer, *end; // around an assistant's
    const char *system_open, *system_close;
    bool trims;
    bool system_apart; // not inside the user's brackets
};

static struct brackets brackets_of(const struct chat_template *t)
{
    if (t->family == CHAT_LLAMA2)
        return (struct brackets){"[INST] ",   " [/INST]",       " ",  " </s>",
                                 "<<SYS>>\n", "\n<</SYS>>\n\n", true, false};
    return (struct brackets){
        .open = t->blanks & CHAT_BLANK_OPEN ? "[INST] " : "[INST]",
        .close = t->blanks & CHAT_BLANK_CLOSE ? " [/INST]" : "[/INST]",
        .answer = t->blanks & CHAT_BLANK_ANSWER ? " " : "",
        .end = "</s>",
        .system_open = !t->system_tag                  ? ""
                       : t->blanks & CHAT_BLANK_SYSTEM ? "[SYSTEM_PROMPT] "
                                                       : "[SYSTEM_PROMPT]",
        .system_close = t->system_tag ? "[/SYSTEM_PROMPT]" : "\n\n",
        .system_apart = t->system_tag,
    };
}

static void put_trimmed(struct buf *out, str s, bool trims)
{
    put_content(out, trims ? str_trim(s) : s);
}

enum err chat_render_bracketed(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    const struct brackets b = brackets_of(c->t);
    const char *bos = c->t->family == CHAT_LLAMA2 ? "<s>" : ""; // llama-2 begins each turn with it
    bool open = false, answered = false;
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        str content = c->messages[i].content;
        ERR_TRY(chat_role_of(c, i, TALK, &role, d));
        if (role != ROLE_ASSISTANT && !open && !(role == ROLE_SYSTEM && b.system_apart)) {
            chat_put(out, answered ? bos : "");
            chat_put(out, b.open);
            open = true;
        }
        if (role == ROLE_SYSTEM) {
            chat_put(out, b.system_open);
            put_trimmed(out, content, b.trims);
            chat_put(out, b.system_close);
        } else if (role == ROLE_USER) {
            put_trimmed(out, content, b.trims);
            chat_put(out, b.close);
            open = false;
        } else {
            if (open)
                return diag_set(d, ERR_INVALID,
                                "messages[%zu]: a user message must stand between the system "
                                "message and the assistant's (chat template %s)",
                                i, chat_family_name(c->t->family));
            chat_put(out, b.answer);
            put_trimmed(out, content, b.trims);
            chat_put(out, b.end);
            answered = true;
        }
    }
    if (open)
        return diag_set(d, ERR_INVALID,
                        "the last message must be of the user or the assistant (chat template %s)",
                        chat_family_name(c->t->family));
    return ERR_OK;
}

// --- llama-3

static void llama3_turn(struct buf *out, const char *role, str lead, str content)
{
    buf_printf(out, "<|start_header_id|>%s<|end_header_id|>\n\n", role);
    put_str(out, lead);
    put_content(out, str_trim(content));
    chat_put(out, "<|eot_id|>");
}

enum err chat_render_llama3(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, TALK, &role, d));
        if (i == 0 && role != ROLE_SYSTEM && c->t->system_lead.len)
            llama3_turn(out, "system", c->t->system_lead, STR_NONE);
        bool leads = i == 0 && role == ROLE_SYSTEM;
        llama3_turn(out, role_name(role), leads ? c->t->system_lead : STR_NONE,
                    c->messages[i].content);
    }
    if (c->add_generation)
        chat_put(out, "<|start_header_id|>assistant<|end_header_id|>\n\n");
    return ERR_OK;
}

// --- <|role|>: zephyr, phi-3, role tags

enum err chat_render_tagged(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    const char *line = c->t->family == CHAT_ROLETAG ? "" : "\n";
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, TALK, &role, d));
        buf_printf(out, "<|%s|>%s", role_name(role), line);
        put_content(out, c->messages[i].content);
        put_str(out, c->t->family == CHAT_ZEPHYR ? c->t->eos : STR("<|end|>"));
        chat_put(out, line);
    }
    if (c->add_generation)
        buf_printf(out, "<|assistant|>%s", line);
    return ERR_OK;
}

// --- gemma: no system role; its text goes before the next user's

enum err chat_render_gemma(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    bool open = false;
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, TALK, &role, d));
        if (!open)
            buf_printf(out, "<start_of_turn>%s\n", role == ROLE_ASSISTANT ? "model" : "user");
        else if (role == ROLE_ASSISTANT)
            return diag_set(d, ERR_INVALID,
                            "messages[%zu]: a user message must stand between the system message "
                            "and the assistant's (chat template gemma)",
                            i);
        put_content(out, str_trim(c->messages[i].content));
        open = role == ROLE_SYSTEM;
        chat_put(out, open ? "\n\n" : "<end_of_turn>\n");
    }
    if (open)
        return diag_set(d, ERR_INVALID,
                        "the last message must be of the user or the assistant (chat template "
                        "gemma)");
    if (c->add_generation)
        chat_put(out, "<start_of_turn>model\n");
    return ERR_OK;
}

// --- plain: for models that were never taught a template

enum err chat_render_plain(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    static const char *const labels[ROLE_COUNT] = {"System: ", "User: ", "Assistant: ", ""};
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, TALK, &role, d));
        chat_put(out, labels[role]);
        put_content(out, c->messages[i].content);
        chat_put(out, "\n");
    }
    if (c->add_generation)
        chat_put(out, "Assistant:");
    return ERR_OK;
}
