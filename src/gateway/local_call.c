#include "gateway/local_call.h"

#include "base/random.h"

#include "base/banned.h"

#define CALL_BYTES   (1u << 20)
#define ID_BYTES_MAX 24

void local_call_init(struct local_call *c)
{
    *c = (struct local_call){.id_characters = ID_BYTES_MAX, .id_prefix = "call_"};
    buf_init(&c->text, CALL_BYTES);
    buf_init(&c->pieces, SIZE_MAX / 2);
}

void local_call_done(struct local_call *c)
{
    buf_done(&c->text);
    buf_done(&c->pieces);
}

void local_call_begin(struct local_call *c)
{
    buf_clear(&c->text);
    buf_clear(&c->pieces);
    c->steps = (struct json_steps){0};
    c->member = LOCAL_CALL_OTHER;
    c->name_len = 0;
    c->told = c->in_arguments = false;
}

// --- Telling

static bool is_a_tool(const struct local_call *c, str name)
{
    if (!name.len)
        return false;
    for (size_t i = 0; c->checked && c->request && i < c->request->tools_len; i++)
        if (str_eq(c->request->tools[i].name, name))
            return true;
    return !c->checked || !c->request;
}

static void tell_name(struct local_call *c, str name, uint32_t choice, struct arena *arena,
                      struct exchange_events *q)
{
    char id[ID_BYTES_MAX + 1];
    if (c->muted)
        return;
    random_id(id, c->id_characters);
    struct exchange_event *e = exchange_events_push(q, EXCHANGE_EVENT_CALL, choice);
    e->call_index = c->index;
    e->call.id = arena_printf(arena, "%s%s", c->id_prefix, id);
    e->call.name = arena_str(arena, name);
}

void local_call_flush(struct local_call *c, uint32_t choice, struct arena *arena,
                      struct exchange_events *q)
{
    if (!c->muted && c->pieces.len) {
        struct exchange_event *e = exchange_events_push(q, EXCHANGE_EVENT_ARGUMENTS, choice);
        e->call_index = c->index;
        e->text = arena_str(arena, buf_str(&c->pieces));
    }
    buf_clear(&c->pieces);
}

static void put_arguments(struct local_call *c, yyjson_val *arguments)
{
    struct json_writer w;
    if (yyjson_is_str(arguments)) {
        (void)buf_append_str(&c->pieces, json_str(arguments));
        return;
    }
    jw_init(&w, &c->pieces);
    if (!arguments || yyjson_is_null(arguments)) {
        jw_object_begin(&w);
        jw_object_end(&w);
    } else {
        jw_value(&w, arguments);
    }
}

// The object is complete, and nothing of it was told.
static bool tell_all(struct local_call *c, uint32_t choice, struct arena *arena,
                     struct exchange_events *q)
{
    struct json_doc doc;
    if (json_parse(&doc, buf_str(&c->text), JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    str name = json_str(json_get(doc.root, "name"));
    yyjson_val *arguments = json_get(doc.root, "arguments");
    bool call = is_a_tool(c, name);
    if (call) {
        tell_name(c, name, choice, arena, q);
        put_arguments(c, arguments ? arguments : json_get(doc.root, "parameters"));
        local_call_flush(c, choice, arena, q);
    }
    json_done(&doc);
    return call;
}

// The name is a string as JSON writes it.
static bool tell_first(struct local_call *c, uint32_t choice, struct arena *arena,
                       struct exchange_events *q)
{
    struct json_doc doc;
    str quoted = str_sub(buf_str(&c->text), c->name_at, c->name_len);
    str array = arena_printf(arena, "[" STR_FMT "]", STR_ARG(quoted));
    if (json_parse(&doc, array, JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    str name = json_str(yyjson_arr_get_first(doc.root));
    bool call = is_a_tool(c, name);
    if (call)
        tell_name(c, name, choice, arena, q);
    json_done(&doc);
    return call;
}

// --- Reading

static bool starts_value(enum json_place p)
{
    return p == JSON_PLACE_VALUE;
}

// The members that calls have; an object without a tag that begins with another is none.
static bool take_key(struct local_call *c)
{
    static const struct {
        const char *name;
        enum local_call_member member;
    } members[] = {{"name", LOCAL_CALL_NAME},
                   {"arguments", LOCAL_CALL_ARGUMENTS},
                   {"parameters", LOCAL_CALL_ARGUMENTS},
                   {"type", LOCAL_CALL_OTHER},
                   {"id", LOCAL_CALL_OTHER}};
    str key = str_sub(buf_str(&c->text), c->key_at, c->text.len - 1 - c->key_at);
    c->member = LOCAL_CALL_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (str_eq_z(key, members[i].name)) {
            c->member = members[i].member;
            return true;
        }
    return !c->checked;
}

// What the byte just taken (the last of the text) means to the object's own members.
static bool follow(struct local_call *c, enum json_place before, char byte, uint32_t choice,
                   struct arena *arena, struct exchange_events *q)
{
    enum json_place now = c->steps.place;
    size_t at = c->text.len;
    if (before != JSON_PLACE_IN_KEY && now == JSON_PLACE_IN_KEY)
        c->key_at = at;
    if (before == JSON_PLACE_IN_KEY && now == JSON_PLACE_COLON)
        return take_key(c);
    if (starts_value(before) && now != before)
        c->value_at = at - 1;
    if (before == JSON_PLACE_IN_TEXT && now == JSON_PLACE_COMMA_OR_END &&
        c->member == LOCAL_CALL_NAME) {
        c->name_at = c->value_at;
        c->name_len = at - c->value_at;
    }
    if (starts_value(before) && byte == '{' && c->member == LOCAL_CALL_ARGUMENTS && c->name_len) {
        if (!tell_first(c, choice, arena, q))
            return false;
        c->told = c->in_arguments = true;
        buf_clear(&c->text);
    }
    return true;
}

static void take_piece(struct local_call *c, bool in_string, char byte)
{
    bool blank = byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
    if (in_string || !blank)
        (void)buf_append_char(&c->pieces, byte);
}

enum local_call_step local_call_feed(struct local_call *c, char byte, uint32_t choice,
                                     struct arena *arena, struct exchange_events *q)
{
    struct json_steps before = c->steps;
    enum json_step step = json_steps_feed(&c->steps, byte);
    if (step == JSON_STEP_BAD)
        return LOCAL_CALL_NONE;
    if (c->told) {
        if (c->in_arguments)
            take_piece(c, json_steps_in_string(&before), byte);
        c->in_arguments = c->in_arguments && c->steps.depth > 1;
        return step == JSON_STEP_DONE ? LOCAL_CALL_DONE : LOCAL_CALL_MORE;
    }
    if (buf_append_char(&c->text, byte) != ERR_OK)
        return LOCAL_CALL_NONE;
    // Its own members are at depth 1; a value that opens a bracket has just left it.
    if (before.depth == 1 && !follow(c, before.place, byte, choice, arena, q))
        return LOCAL_CALL_NONE;
    if (c->told)
        take_piece(c, false, byte);
    if (step != JSON_STEP_DONE)
        return LOCAL_CALL_MORE;
    return tell_all(c, choice, arena, q) ? LOCAL_CALL_DONE : LOCAL_CALL_NONE;
}
