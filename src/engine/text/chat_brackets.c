// [INST]: llama-2, and mistral with its tools: listed before the last user's text, called by an
// array of JSON objects, answered one by one; calls are known by ids of nine characters.
#include "engine/text/chat_render.h"

#include "base/banned.h"

#define ID_CHARACTERS 9

struct brackets {
    const char *open, *close; // around a user's text
    const char *answer, *end; // around an assistant's
    const char *system_open, *system_close;
    const char *bos;   // before each turn but the first
    bool trims;        // every text
    bool trims_answer; // an assistant's
    bool system_apart; // not inside the user's brackets
    bool system_last;  // inside the last user's brackets, else the first's
};

static struct brackets brackets_of(const struct chat_template *t)
{
    if (t->family == CHAT_LLAMA2)
        return (struct brackets){.open = "[INST] ",
                                 .close = " [/INST]",
                                 .answer = " ",
                                 .end = " </s>",
                                 .system_open = "<<SYS>>\n",
                                 .system_close = "\n<</SYS>>\n\n",
                                 .bos = "<s>",
                                 .trims = true,
                                 .trims_answer = true};
    return (struct brackets){
        .open = t->blanks & CHAT_BLANK_OPEN ? "[INST] " : "[INST]",
        .close = t->blanks & CHAT_BLANK_CLOSE ? " [/INST]" : "[/INST]",
        .answer = t->blanks & CHAT_BLANK_ANSWER ? " " : "",
        .end = "</s>",
        .system_open = !t->system_tag                  ? ""
                       : t->blanks & CHAT_BLANK_SYSTEM ? "[SYSTEM_PROMPT] "
                                                       : "[SYSTEM_PROMPT]",
        .system_close = t->system_tag ? "[/SYSTEM_PROMPT]" : "\n\n",
        .bos = "",
        .trims_answer = t->blanks & CHAT_TRIM_ANSWER,
        .system_apart = t->system_tag,
        .system_last = t->blanks & CHAT_SYSTEM_LAST && !t->system_tag,
    };
}

static void mark(struct buf *out)
{
    buf_append_char(out, LITERAL_MARK);
}

static void put_text(struct buf *out, str s, bool trims)
{
    chat_put_content(out, trims ? str_trim(s) : s);
}

// --- Tools

// The template writes a tool's members one by one, and text in them as it is.
static void put_tool(struct buf *out, yyjson_val *tool)
{
    size_t i, n;
    yyjson_val *key, *value;
    chat_put(out, "{\"type\": \"function\", \"function\": {");
    yyjson_obj_foreach(chat_function(tool), i, n, key, value)
    {
        chat_put(out, i ? ", \"" : "\"");
        chat_put_content(out, json_str(key));
        chat_put(out, yyjson_is_str(value) ? "\": \"" : "\": ");
        if (yyjson_is_str(value)) {
            chat_put_content(out, json_str(value));
            chat_put(out, "\"");
        } else {
            mark(out);
            chat_dump(out, value, 0);
            mark(out);
        }
    }
    chat_put(out, "}}");
}

static enum err put_tools(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t i, n;
    yyjson_val *tool;
    ERR_TRY(chat_parse_tools(c, &doc, d));
    chat_put(out, c->t->blanks & CHAT_BLANK_TOOLS ? "[AVAILABLE_TOOLS] [" : "[AVAILABLE_TOOLS][");
    yyjson_arr_foreach(doc.root, i, n, tool)
    {
        chat_put(out, i ? ", " : "");
        put_tool(out, tool);
    }
    chat_put(out, "][/AVAILABLE_TOOLS]");
    json_done(&doc);
    return ERR_OK;
}

// The last nine characters of an id, which must be letters and digits; zeros before a shorter one.
static void put_id(struct buf *out, str id)
{
    str last = str_sub(id, id.len > ID_CHARACTERS ? id.len - ID_CHARACTERS : 0, id.len);
    for (size_t i = last.len; i < ID_CHARACTERS; i++)
        buf_append_char(out, '0');
    for (size_t i = 0; i < last.len; i++) {
        char ch = last.ptr[i];
        bool good =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        buf_append_char(out, good ? ch : '0');
    }
}

static enum err put_calls(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t at, n;
    yyjson_val *call;
    if (!c->t->tools)
        return chat_refuse_calls(c, i, d);
    ERR_TRY(chat_parse_calls(c, i, &doc, d));
    chat_put(out, c->t->blanks & CHAT_BLANK_CALLS ? "[TOOL_CALLS] [" : "[TOOL_CALLS][");
    yyjson_arr_foreach(doc.root, at, n, call)
    {
        yyjson_val *function = chat_function(call);
        chat_put(out, at ? ", {\"name\": " : "{\"name\": ");
        mark(out);
        chat_dump_str(out, json_str(json_get(function, "name")));
        chat_put(out, ", \"arguments\": ");
        chat_dump_arguments(out, json_get(function, "arguments"));
        mark(out);
        chat_put(out, ", \"id\": \"");
        put_id(out, json_str(json_get(call, "id")));
        chat_put(out, "\"}");
    }
    json_done(&doc);
    chat_put(out, "]</s>");
    return ERR_OK;
}

static void put_result(const struct chat_turns *c, size_t i, struct buf *out)
{
    chat_put(out, c->t->blanks & CHAT_BLANK_RESULTS ? "[TOOL_RESULTS] {\"content\": "
                                                    : "[TOOL_RESULTS]{\"content\": ");
    chat_put_content(out, c->messages[i].content);
    chat_put(out, ", \"call_id\": \"");
    put_id(out, c->messages[i].tool_call_id);
    chat_put(out, "\"}[/TOOL_RESULTS]");
}

// --- Turns

struct talk {
    const struct chat_turns *c;
    struct brackets b;
    size_t last_user; // n: none
    str system;       // waits for the last user
    bool open;        // a user's bracket is
    bool answered;
};

static size_t last_user(const struct chat_turns *c)
{
    for (size_t i = c->n; i-- > 0;)
        if (str_eq_z(c->messages[i].role, "user"))
            return i;
    return c->n;
}

static enum err open_bracket(struct talk *t, size_t i, struct buf *out, struct diag *d)
{
    if (t->open)
        return ERR_OK;
    if (t->c->tools_json.len && i == t->last_user)
        ERR_TRY(put_tools(t->c, out, d));
    chat_put(out, t->answered ? t->b.bos : "");
    chat_put(out, t->b.open);
    t->open = true;
    return ERR_OK;
}

static void put_system(struct talk *t, str text, struct buf *out)
{
    chat_put(out, t->b.system_open);
    put_text(out, text, t->b.trims);
    chat_put(out, t->b.system_close);
}

// With tools the list of them goes before the bracket, so the system's text waits for its user.
static bool system_waits(const struct talk *t, size_t i)
{
    if (t->b.system_apart || t->open)
        return false;
    return t->b.system_last || (t->c->tools_json.len && i < t->last_user);
}

static enum err put_message(struct talk *t, size_t i, enum chat_role role, struct buf *out,
                            struct diag *d)
{
    const struct chat_message *m = &t->c->messages[i];
    if (role == ROLE_SYSTEM && system_waits(t, i) && t->last_user < t->c->n) {
        t->system = m->content;
        return ERR_OK;
    }
    if (role == ROLE_SYSTEM && !t->b.system_apart)
        ERR_TRY(open_bracket(t, i, out, d));
    if (role == ROLE_SYSTEM) {
        put_system(t, m->content, out);
        return ERR_OK;
    }
    if (role == ROLE_USER) {
        ERR_TRY(open_bracket(t, i, out, d));
        if (t->system.len && (!t->b.system_last || i == t->last_user)) {
            put_system(t, t->system, out);
            t->system = STR_NONE;
        }
        put_text(out, m->content, t->b.trims);
        chat_put(out, t->b.close);
        t->open = false;
        return ERR_OK;
    }
    if (t->open)
        return diag_set(d, ERR_INVALID,
                        "messages[%zu]: a user message must stand between the system message and "
                        "the assistant's (chat template %s)",
                        i, chat_family_name(t->c->t->family));
    if (role == ROLE_TOOL) {
        put_result(t->c, i, out);
        return ERR_OK;
    }
    if (m->tool_calls_json.len)
        return put_calls(t->c, i, out, d);
    chat_put(out, t->b.answer);
    put_text(out, m->content, t->b.trims_answer);
    chat_put(out, t->b.end);
    t->answered = true;
    return ERR_OK;
}

enum err chat_render_bracketed(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    struct talk t = {.c = c, .b = brackets_of(c->t), .last_user = last_user(c)};
    for (size_t i = 0; i < c->n; i++) {
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, chat_roles(c), &role, d));
        ERR_TRY(put_message(&t, i, role, out, d));
    }
    if (t.open)
        return diag_set(d, ERR_INVALID,
                        "the last message must be of the user or the assistant (chat template %s)",
                        chat_family_name(c->t->family));
    return ERR_OK;
}
