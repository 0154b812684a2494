#include "engine/text/chat_render.h"

#include "base/banned.h"

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
void chat_put_content(struct buf *out, str s)
{
    (void)literal_put(out, s);
}

enum err chat_refuse_calls(const struct chat_turns *c, size_t i, struct diag *d)
{
    return diag_set(d, ERR_UNSUPPORTED,
                    "messages[%zu]: this model's chat template (%s) knows no tool calls", i,
                    chat_family_name(c->t->family));
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
    chat_put_content(out, content);
    chat_put(out, "<|im_end|>\n");
}

// The first turn: the system message given or the template's own, and the tools. *ret_next: the
// message to go on with.
static enum err chatml_system(const struct chat_turns *c, struct buf *out, size_t *ret_next,
                              struct diag *d)
{
    enum chat_role role = ROLE_USER;
    if (c->n)
        ERR_TRY(chat_role_of(c, 0, chat_roles(c), &role, d));
    bool given = role == ROLE_SYSTEM;
    str text = given ? c->messages[0].content : c->t->default_system;
    *ret_next = given;
    if (!given && text.len == 0 && c->tools_json.len == 0)
        return ERR_OK;
    chat_put(out, "<|im_start|>system\n");
    if (given)
        chat_put_content(out, text);
    else
        put_str(out, text);
    if (c->tools_json.len) {
        chat_put(out, text.len ? "\n\n" : "");
        ERR_TRY(chat_tools_block(c, out, d));
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
    chat_put_content(out, c->messages[i].content);
    chat_put(out, "\n</tool_response>");
    if (!is_tool(c, i + 1))
        chat_put(out, "<|im_end|>\n");
}

static enum err chatml_calls(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    if (!c->t->tools)
        return chat_refuse_calls(c, i, d);
    chat_put(out, "<|im_start|>assistant");
    if (c->messages[i].content.len) {
        chat_put(out, "\n");
        chat_put_content(out, c->messages[i].content);
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
        ERR_TRY(chat_role_of(c, i, chat_roles(c), &role, d));
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

// --- <|role|>: zephyr, phi-3, role tags

enum err chat_render_tagged(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    const char *line = c->t->family == CHAT_ROLETAG ? "" : "\n";
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, CHAT_TALK, &role, d));
        buf_printf(out, "<|%s|>%s", role_name(role), line);
        chat_put_content(out, c->messages[i].content);
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
        ERR_TRY(chat_role_of(c, i, CHAT_TALK, &role, d));
        if (!open)
            buf_printf(out, "<start_of_turn>%s\n", role == ROLE_ASSISTANT ? "model" : "user");
        else if (role == ROLE_ASSISTANT)
            return diag_set(d, ERR_INVALID,
                            "messages[%zu]: a user message must stand between the system message "
                            "and the assistant's (chat template gemma)",
                            i);
        chat_put_content(out, str_trim(c->messages[i].content));
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
        ERR_TRY(chat_role_of(c, i, CHAT_TALK, &role, d));
        chat_put(out, labels[role]);
        chat_put_content(out, c->messages[i].content);
        chat_put(out, "\n");
    }
    if (c->add_generation)
        chat_put(out, "Assistant:");
    return ERR_OK;
}
