#include "gateway/local_tools.h"

#include "base/banned.h"

struct local_tools_format {
    const char *open, *close; // close NULL: nothing closes a call
    bool untagged;            // a call may be the whole turn
    bool list;                // calls stand in an array
    const char *between;      // bytes that may stand between two calls
    const char *id_prefix;
    size_t id_characters;
    // How a call that must be made is begun, goes on behind its name, and ends behind its arguments
    const char *first, *arguments, *last;
};

static const struct local_tools_format formats[] = {
    [CHAT_TOOLS_HERMES] = {.open = "<tool_call>",
                           .close = "</tool_call>",
                           .between = "",
                           .id_prefix = "call_",
                           .id_characters = 24,
                           .first = "<tool_call>\n{\"name\": \"",
                           .arguments = "\", \"arguments\": ",
                           .last = "}\n</tool_call>"},
    [CHAT_TOOLS_LLAMA3] = {.open = "<|python_tag|>",
                           .untagged = true,
                           .between = ";",
                           .id_prefix = "call_",
                           .id_characters = 24,
                           .first = "{\"name\": \"",
                           .arguments = "\", \"parameters\": ",
                           .last = "}"},
    [CHAT_TOOLS_MISTRAL] = {.open = "[TOOL_CALLS]",
                            .untagged = true,
                            .list = true,
                            .between = ",",
                            .id_prefix = "",
                            .id_characters = 9, // more its template does not take
                            .first = "[TOOL_CALLS] [{\"name\": \"",
                            .arguments = "\", \"arguments\": ",
                            .last = "}]"},
};

str local_tools_opening(enum chat_tools format, str name, struct arena *arena)
{
    enum { NAME_BYTES_MAX = 128 };
    const struct local_tools_format *f = &formats[format];
    if (!name.len)
        return str_of(f->first);
    return arena_printf(arena, "%s%.*s%s", f->first, (int)min_size(name.len, NAME_BYTES_MAX),
                        name.ptr, f->arguments);
}

str local_tools_behind_name(enum chat_tools format)
{
    return str_of(formats[format].arguments);
}

str local_tools_closing(enum chat_tools format)
{
    return str_of(formats[format].last);
}

void local_tools_init(struct local_tools *t, enum chat_tools format,
                      const struct exchange_request *request, str begun)
{
    *t = (struct local_tools){.active = format != CHAT_TOOLS_NONE,
                              .format = &formats[format],
                              .parallel = !request || request->parallel_tool_calls};
    t->state = t->format->untagged ? LOCAL_TOOLS_START : LOCAL_TOOLS_TEXT;
    buf_init(&t->begun, SIZE_MAX / 2);
    buf_init(&t->pending, SIZE_MAX / 2);
    buf_init(&t->shown, SIZE_MAX / 2);
    arena_init(&t->arena, SIZE_MAX / 2);
    local_call_init(&t->call);
    t->call.request = request;
    if (t->active) {
        t->call.id_prefix = t->format->id_prefix;
        t->call.id_characters = t->format->id_characters;
        (void)buf_append_str(&t->begun, begun);
    }
}

void local_tools_done(struct local_tools *t)
{
    buf_done(&t->begun);
    buf_done(&t->pending);
    buf_done(&t->shown);
    arena_done(&t->arena);
    local_call_done(&t->call);
}

bool local_tools_is_tag(const struct local_tools *t, str piece)
{
    return t->active && str_eq_z(piece, t->format->open);
}

// --- Events

struct out {
    uint32_t choice;
    struct exchange_events *q;
};

static void show_now(struct local_tools *t, const struct out *o)
{
    if (t->shown.len)
        exchange_events_push(o->q, EXCHANGE_EVENT_TEXT, o->choice)->text =
            arena_str(&t->arena, buf_str(&t->shown));
    buf_clear(&t->shown);
}

static void hold(struct local_tools *t, char c)
{
    (void)buf_append_char(&t->pending, c);
}

// What was held back is text.
static void show_pending(struct local_tools *t)
{
    (void)buf_append_str(&t->shown, buf_str(&t->pending));
    buf_clear(&t->pending);
    t->matched = 0;
}

// --- States: each takes a byte, or (false) leaves it to the state that it set

static bool is_blank(char c)
{
    return c == ' ' || c == '\n';
}

static void begin_call(struct local_tools *t)
{
    t->call.index = t->calls;
    t->call.muted = t->calls > 0 && !t->parallel;
    t->call.checked = !t->tagged;
    local_call_begin(&t->call);
    t->state = LOCAL_TOOLS_CALL;
}

// Blanks before a call, and its tag, are not part of the answer.
static bool in_text(struct local_tools *t, char c)
{
    const char *tag = t->format->open;
    if (c == tag[t->matched]) {
        hold(t, c);
        if (!tag[++t->matched]) {
            t->state = LOCAL_TOOLS_OPENED;
            t->tagged = true;
            t->listed = false;
            t->matched = 0;
        }
        return true;
    }
    if (t->matched) { // no tag holds its own first byte once more
        show_pending(t);
        return false;
    }
    hold(t, c);
    if (!is_blank(c))
        show_pending(t);
    return true;
}

static bool to_text(struct local_tools *t)
{
    t->state = LOCAL_TOOLS_TEXT;
    return false;
}

// Nothing but blanks came. An array's bracket may be a tag's, too: the next byte says.
static bool at_start(struct local_tools *t, char c)
{
    bool bracket = t->format->list && !t->listed && c == '[';
    if (is_blank(c) || bracket) {
        hold(t, c);
        t->listed = t->listed || bracket;
        return true;
    }
    t->tagged = false;
    if (c == '{' && t->listed == t->format->list) {
        begin_call(t);
        return false;
    }
    t->matched = t->listed && str_ends(buf_str(&t->pending), STR("["));
    if (!t->matched)
        show_pending(t);
    t->listed = false;
    return to_text(t);
}

static bool opened(struct local_tools *t, char c)
{
    bool bracket = t->format->list && !t->listed && c == '[';
    if (is_blank(c) || bracket) {
        hold(t, c);
        t->listed = t->listed || bracket;
        return true;
    }
    if (c == '{' && t->listed == t->format->list) {
        begin_call(t);
        return false;
    }
    show_pending(t);
    return to_text(t);
}

static bool in_call(struct local_tools *t, char c, const struct out *o)
{
    bool before = t->call.told;
    switch (local_call_feed(&t->call, c, o->choice, &t->arena, o->q)) {
    case LOCAL_CALL_MORE:
        hold(t, c);
        break;
    case LOCAL_CALL_DONE:
        local_call_flush(&t->call, o->choice, &t->arena, o->q);
        t->calls += !before && !t->call.told && !t->call.muted;
        t->state = LOCAL_TOOLS_AFTER;
        buf_clear(&t->pending);
        return true;
    case LOCAL_CALL_NONE:
        local_call_flush(&t->call, o->choice, &t->arena, o->q);
        show_pending(t);
        return to_text(t);
    }
    if (t->call.told) {
        t->calls += !before && !t->call.muted;
        buf_clear(&t->pending); // it is a call, whatever comes
    }
    return true;
}

// What was held back after a call is read again as text.
static void reread(struct local_tools *t)
{
    struct buf held = t->pending;
    buf_init(&t->pending, SIZE_MAX / 2);
    t->matched = 0;
    t->state = LOCAL_TOOLS_TEXT;
    str s = buf_str(&held);
    for (size_t i = 0; s.ptr && i < s.len; i++)
        while (!in_text(t, s.ptr[i]))
            continue;
    buf_done(&held);
}

// Blanks, what closes a call, what stands between two.
static bool after(struct local_tools *t, char c)
{
    const struct local_tools_format *f = t->format;
    if (f->close && c == f->close[t->matched]) {
        hold(t, c);
        if (!f->close[++t->matched]) {
            buf_clear(&t->pending);
            t->matched = 0;
            t->state = LOCAL_TOOLS_TEXT;
        }
        return true;
    }
    if (!t->matched && (is_blank(c) || (c && strchr(f->between, c)))) {
        hold(t, c);
        return true;
    }
    if (!f->close && c == '{') {
        begin_call(t);
        return false;
    }
    if (f->list && c == ']') {
        buf_clear(&t->pending);
        t->state = LOCAL_TOOLS_TEXT;
        return true;
    }
    reread(t);
    return false;
}

static void take(struct local_tools *t, char c, const struct out *o)
{
    for (bool taken = false; !taken;) {
        switch (t->state) {
        case LOCAL_TOOLS_START:
            taken = at_start(t, c);
            break;
        case LOCAL_TOOLS_TEXT:
            taken = in_text(t, c);
            break;
        case LOCAL_TOOLS_OPENED:
            taken = opened(t, c);
            break;
        case LOCAL_TOOLS_CALL:
            if (t->shown.len)
                show_now(t, o);
            taken = in_call(t, c, o);
            break;
        case LOCAL_TOOLS_AFTER:
            taken = after(t, c);
            break;
        }
    }
}

static void take_all(struct local_tools *t, str text, const struct out *o)
{
    for (size_t i = 0; text.ptr && i < text.len; i++)
        take(t, text.ptr[i], o);
}

static void take_begun(struct local_tools *t, const struct out *o)
{
    take_all(t, buf_str(&t->begun), o);
    buf_clear(&t->begun);
}

void local_tools_feed(struct local_tools *t, str tag, str text, uint32_t choice,
                      struct exchange_events *q)
{
    const struct out o = {choice, q};
    arena_reset(&t->arena);
    take_begun(t, &o);
    take_all(t, tag, &o);
    take_all(t, text, &o);
    local_call_flush(&t->call, choice, &t->arena, q);
    show_now(t, &o);
}

void local_tools_end(struct local_tools *t, uint32_t choice, struct exchange_events *q)
{
    const struct out o = {choice, q};
    take_begun(t, &o);
    local_call_flush(&t->call, choice, &t->arena, q);
    bool blank = t->state == LOCAL_TOOLS_TEXT || t->state == LOCAL_TOOLS_START;
    bool lost =
        t->state == LOCAL_TOOLS_AFTER || (blank && t->calls && !str_trim(buf_str(&t->pending)).len);
    if (!lost)
        show_pending(t);
    buf_clear(&t->pending);
    show_now(t, &o);
}
