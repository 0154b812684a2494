// llama-3, and from 3.1 on its tools: listed before the first user's text, called by a JSON object
// that is the whole turn, answered by the role "ipython".
#include "engine/text/chat_render.h"

#include "base/banned.h"

#define INDENT 4

static void mark(struct buf *out)
{
    buf_append_char(out, LITERAL_MARK);
}

static void open_turn(struct buf *out, const char *role)
{
    buf_printf(out, "<|start_header_id|>%s<|end_header_id|>\n\n", role);
}

static void end_turn(struct buf *out)
{
    chat_put(out, "<|eot_id|>");
}

static void turn(struct buf *out, const char *role, str content)
{
    open_turn(out, role);
    chat_put_content(out, str_trim(content));
    end_turn(out);
}

// The first turn, where there is one: the dates, and the system message. *ret_next: the message to
// go on with.
static enum err system_turn(const struct chat_turns *c, struct buf *out, size_t *ret_next,
                            struct diag *d)
{
    enum chat_role role = ROLE_USER;
    if (c->n)
        ERR_TRY(chat_role_of(c, 0, chat_roles(c), &role, d));
    bool given = role == ROLE_SYSTEM;
    *ret_next = given;
    if (!given && !c->t->system_lead.len && !c->tools_json.len)
        return ERR_OK;
    open_turn(out, "system");
    chat_put(out, c->tools_json.len ? "Environment: ipython\n" : "");
    buf_append_str(out, c->t->system_lead);
    if (given)
        chat_put_content(out, str_trim(c->messages[0].content));
    end_turn(out);
    return ERR_OK;
}

// The first user's turn begins with the tools.
static enum err tools_turn(const struct chat_turns *c, struct buf *out, size_t *next,
                           struct diag *d)
{
    struct json_doc doc;
    size_t i, n;
    yyjson_val *tool;
    if (*next >= c->n || !str_eq_z(c->messages[*next].role, "user"))
        return diag_set(d, ERR_INVALID,
                        "messages[%zu]: with tools, a user message must come first after the "
                        "system message (chat template llama3)",
                        *next);
    ERR_TRY(chat_parse_tools(c, &doc, d));
    open_turn(out, "user");
    chat_put(out, "Given the following functions, please respond with a JSON for a function call "
                  "with its proper arguments that best answers the given prompt.\n\n"
                  "Respond in the format {\"name\": function name, \"parameters\": dictionary of "
                  "argument name and its value}.Do not use variables.\n\n");
    yyjson_arr_foreach(doc.root, i, n, tool)
    {
        mark(out);
        chat_dump(out, tool, INDENT);
        mark(out);
        chat_put(out, "\n\n");
    }
    json_done(&doc);
    chat_put_content(out, str_trim(c->messages[(*next)++].content));
    end_turn(out);
    return ERR_OK;
}

// The template takes one call a turn; several are written as the models write them.
static enum err calls_turn(const struct chat_turns *c, size_t i, struct buf *out, struct diag *d)
{
    struct json_doc doc;
    size_t at, n;
    yyjson_val *call;
    if (!c->t->tools)
        return chat_refuse_calls(c, i, d);
    ERR_TRY(chat_parse_calls(c, i, &doc, d));
    open_turn(out, "assistant");
    yyjson_arr_foreach(doc.root, at, n, call)
    {
        yyjson_val *function = chat_function(call);
        chat_put(out, at ? "; {\"name\": \"" : "{\"name\": \"");
        chat_put_content(out, json_str(json_get(function, "name")));
        chat_put(out, "\", \"parameters\": ");
        mark(out);
        chat_dump_arguments(out, json_get(function, "arguments"));
        mark(out);
        chat_put(out, "}");
    }
    json_done(&doc);
    end_turn(out);
    return ERR_OK;
}

// A result is written as JSON, so that text stands in quotes.
static void result_turn(struct buf *out, str content)
{
    open_turn(out, "ipython");
    mark(out);
    chat_dump_str(out, content);
    mark(out);
    end_turn(out);
}

enum err chat_render_llama3(const struct chat_turns *c, struct buf *out, struct diag *d)
{
    static const char *const NAMES[ROLE_COUNT] = {"system", "user", "assistant", "ipython"};
    size_t i;
    ERR_TRY(system_turn(c, out, &i, d));
    if (c->tools_json.len)
        ERR_TRY(tools_turn(c, out, &i, d));
    for (; i < c->n; i++) {
        const struct chat_message *m = &c->messages[i];
        enum chat_role role;
        ERR_TRY(chat_role_of(c, i, chat_roles(c), &role, d));
        if (role == ROLE_ASSISTANT && m->tool_calls_json.len)
            ERR_TRY(calls_turn(c, i, out, d));
        else if (role == ROLE_TOOL)
            result_turn(out, m->content);
        else
            turn(out, NAMES[role], m->content);
    }
    if (c->add_generation)
        open_turn(out, "assistant");
    return ERR_OK;
}
