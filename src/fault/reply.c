#include "fault/reply.h"

#include <math.h>

#include "base/random.h"

#include "base/banned.h"

// The streams of random numbers, apart by their second key.
enum { DRAW_LENGTH = UINT32_MAX, DRAW_REASONING = 1u << 30, DRAW_ID = 1u << 29 };
enum { TOKENS_LEAST = 12, TOKENS_SPREAD = 24, ARGUMENTS_BYTES_MAX = 64 * 1024 };
#define EPOCH_S 1767225600 // 2026-01-01: answers do not tell the time, so that they repeat

// Words of one to four bytes a character, so that a cut at any byte meets every case.
static const char *const words[] = {
    "the",   "river", "over",   "stone", "is",   "a",       "quiet",  "wall",
    "and",   "water", "finds",  "its",   "way",  "through", "gates",  "naïve",
    "über",  "señor", "straße", "日本",  "語",   "🙂",      "\"so\"", "it's",
    "1,000", "C\\D",  "then",   "falls", "down", "again",   "slowly", "morning"};

static str word(uint64_t seed, uint64_t hash, uint64_t i, struct arena *arena)
{
    uint64_t draw = random_counter(seed, hash, i);
    const char *w = words[draw % ARRAY_LEN(words)];
    const char *end = (draw >> 32) % 11 == 0 ? "." : (draw >> 32) % 97 == 0 ? "\n" : "";
    return arena_printf(arena, "%s%s%s", i ? " " : "", w, end);
}

static size_t planned(const struct order *o, uint64_t seed, uint64_t hash)
{
    if (o->tokens)
        return (size_t)o->tokens;
    return TOKENS_LEAST + random_counter(seed, hash, DRAW_LENGTH) % TOKENS_SPREAD;
}

// Texts that are given come in pieces of a word, its blank in front.
static bool split_text(struct reply *r, str text, struct arena *arena)
{
    r->tokens = arena_zalloc(arena, text.len + 1, sizeof *r->tokens);
    if (!r->tokens)
        return false;
    while (text.len) {
        size_t at = 1;
        while (at < text.len && text.ptr[at] != ' ')
            at++;
        r->tokens[r->tokens_len++] = str_sub(text, 0, at);
        text = str_sub(text, at, text.len);
    }
    return true;
}

static bool make_tokens(struct reply *r, const struct order *o, uint64_t seed, uint64_t hash,
                        struct arena *arena)
{
    if (o->text.len)
        return split_text(r, o->text, arena);
    size_t n = o->empty ? 0 : planned(o, seed, hash);
    r->tokens = arena_zalloc(arena, n + 1, sizeof *r->tokens); // one more for `huge`
    if (!r->tokens)
        return false;
    for (size_t i = 0; i < n; i++) {
        r->tokens[i] = word(seed, hash, i, arena);
        if (!r->tokens[i].ptr)
            return false;
    }
    r->tokens_len = n;
    return true;
}

// What is left of the answer behind a text that it begins with; all of it behind any other.
static void skip_said(struct reply *r, str said)
{
    size_t at = 0;
    for (size_t i = 0; i < r->tokens_len; i++) {
        str t = r->tokens[i];
        size_t common = min_size(t.len, said.len - at);
        if (memcmp(t.ptr, said.ptr + at, common) != 0)
            return;
        at += common;
        if (at < said.len)
            continue;
        r->tokens += common == t.len ? i + 1 : i;
        r->tokens_len -= common == t.len ? i + 1 : i;
        if (common < t.len)
            r->tokens[0] = str_sub(t, common, t.len);
        return;
    }
    if (at == said.len)
        r->tokens_len = 0;
}

static bool insert_huge(struct reply *r, size_t size, struct arena *arena)
{
    char *big = arena_alloc(arena, size);
    if (!big || r->tokens_len == 0)
        return big != NULL;
    memset(big, 'x', size);
    r->tokens[r->tokens_len > 1 ? 1 : 0] = str_slice(big, size);
    return true;
}

static bool make_reasoning(struct reply *r, size_t n, uint64_t seed, uint64_t hash,
                           struct arena *arena)
{
    r->reasoning = arena_zalloc(arena, n ? n : 1, sizeof *r->reasoning);
    if (!r->reasoning)
        return false;
    for (r->reasoning_len = 0; r->reasoning_len < n; r->reasoning_len++) {
        str w = word(seed, hash ^ DRAW_REASONING, r->reasoning_len, arena);
        if (!w.ptr)
            return false;
        r->reasoning[r->reasoning_len] = w;
    }
    return true;
}

// --- Tool calls

static yyjson_val *tool_function(yyjson_val *tool)
{
    yyjson_val *f = json_get(tool, "function"); // OpenAI, Ollama
    return f ? f : tool;                        // Anthropic
}

static yyjson_val *tool_schema(yyjson_val *f)
{
    yyjson_val *schema = json_get(f, "parameters");
    return schema ? schema : json_get(f, "input_schema");
}

static void write_argument(struct json_writer *w, yyjson_val *property, uint64_t draw)
{
    str type = json_str(json_get(property, "type"));
    yyjson_val *choices = json_get(property, "enum");
    if (yyjson_arr_size(choices))
        jw_value(w, yyjson_arr_get_first(choices));
    else if (str_eq_z(type, "integer") || str_eq_z(type, "number"))
        jw_int(w, (int64_t)(draw % 100));
    else if (str_eq_z(type, "boolean"))
        jw_bool(w, draw & 1);
    else if (str_eq_z(type, "array"))
        jw_raw(w, STR("[]"));
    else if (str_eq_z(type, "object"))
        jw_raw(w, STR("{}"));
    else
        jw_z(w, words[draw % ARRAY_LEN(words)]);
}

// Values for every property of the schema.
static str full_arguments(yyjson_val *schema, uint64_t seed, uint64_t hash, struct arena *arena)
{
    struct buf out;
    struct json_writer w;
    size_t i, max;
    yyjson_val *key, *property, *properties = json_get(schema, "properties");
    if (!yyjson_is_obj(properties))
        return STR("{}");
    buf_init(&out, ARGUMENTS_BYTES_MAX);
    jw_init(&w, &out);
    jw_object_begin(&w);
    yyjson_obj_foreach(properties, i, max, key, property)
    {
        jw_key_str(&w, json_str(key));
        write_argument(&w, property, random_counter(seed, hash, i));
    }
    jw_object_end(&w);
    str text = out.failed ? STR_NONE : arena_str(arena, buf_str(&out));
    buf_done(&out);
    return text;
}

static bool make_call(struct reply *r, yyjson_val *tool, const struct order *o, uint64_t seed,
                      uint64_t hash, struct arena *arena)
{
    yyjson_val *f = tool_function(tool);
    struct reply_call *c = &r->calls[r->calls_len];
    c->name = json_str(json_get(f, "name"));
    c->id = arena_printf(arena, "call_%08x%zu", (unsigned)(r->id >> 32), r->calls_len);
    c->arguments = full_arguments(tool_schema(f), seed, hash + r->calls_len, arena);
    if (!c->id.ptr || !c->arguments.ptr)
        return false;
    if (!c->name.ptr)
        return true; // a tool of some other kind
    if (o->arguments == ORDER_ARGUMENTS_EMPTY)
        c->arguments = STR("");
    else if (o->arguments == ORDER_ARGUMENTS_BROKEN)
        c->arguments = str_sub(c->arguments, 0, c->arguments.len / 2);
    r->calls_len++;
    return true;
}

static size_t calls_wanted(const struct ask *a, const struct order *o)
{
    if (!yyjson_arr_size(a->tools) || a->choice == ASK_TOOLS_NONE || a->after_tool)
        return 0;
    if (o->tools)
        return (size_t)o->tools;
    return a->choice == ASK_TOOLS_AUTO ? 0 : 1;
}

static yyjson_val *tool_named(yyjson_val *tools, str name)
{
    size_t i, max;
    yyjson_val *tool;
    yyjson_arr_foreach(tools, i, max, tool)
    {
        if (str_eq(json_str(json_get(tool_function(tool), "name")), name))
            return tool;
    }
    return NULL;
}

static bool make_calls(struct reply *r, const struct ask *a, const struct order *o, uint64_t seed,
                       uint64_t hash, struct arena *arena)
{
    size_t n = calls_wanted(a, o), tools = yyjson_arr_size(a->tools);
    yyjson_val *named = a->choice == ASK_TOOLS_NAMED ? tool_named(a->tools, a->tool) : NULL;
    r->calls = arena_zalloc(arena, n ? n : 1, sizeof *r->calls);
    if (!r->calls)
        return false;
    for (size_t i = 0; i < n; i++) {
        yyjson_val *tool = named ? named : yyjson_arr_get(a->tools, i % tools);
        if (!make_call(r, tool, o, seed, hash, arena))
            return false;
    }
    return true;
}

// --- The answer

static void limit(struct reply *r, const struct ask *a, const struct order_plan *p)
{
    r->finish = r->calls_len ? REPLY_TOOLS : REPLY_STOP;
    if (a->tokens_max > 0 && r->reasoning_len > (uint64_t)a->tokens_max)
        r->reasoning_len = (size_t)a->tokens_max;
    size_t left = a->tokens_max > 0 ? (size_t)a->tokens_max - r->reasoning_len : SIZE_MAX;
    if (r->tokens_len > left) {
        r->tokens_len = left;
        r->finish = REPLY_LENGTH;
    }
    if (p->filter.given) {
        r->tokens_len = min_size(r->tokens_len, p->filter.at);
        r->calls_len = 0;
        r->finish = REPLY_FILTER;
    }
}

bool reply_make(struct reply *r, const struct ask *a, const struct order *o,
                const struct order_plan *p, bool continues, uint64_t seed, uint64_t number,
                struct arena *arena)
{
    uint64_t hash = str_hash_stable(buf_str(&a->heard));
    if (!continues && a->has_trailing)
        hash ^= str_hash_stable(a->trailing) * 3;
    *r = (struct reply){.model = a->model,
                        .id = random_counter(seed, number, DRAW_ID),
                        .created_s = (int64_t)(EPOCH_S + number),
                        .prompt_tokens = reply_count(buf_str(&a->heard)) +
                                         (a->has_trailing ? reply_count(a->trailing) : 0)};
    if (!make_calls(r, a, o, seed, hash, arena))
        return false;
    if (!make_reasoning(r, (size_t)o->reasoning, seed, hash, arena))
        return false;
    if (r->calls_len == 0 && !make_tokens(r, o, seed, hash, arena))
        return false;
    if (continues && a->has_trailing)
        skip_said(r, a->trailing);
    if (o->huge && !insert_huge(r, (size_t)o->huge, arena))
        return false;
    limit(r, a, p);
    return true;
}

uint64_t reply_tokens(const struct reply *r)
{
    uint64_t n = r->tokens_len + r->reasoning_len;
    for (size_t i = 0; i < r->calls_len; i++)
        n += reply_count(r->calls[i].arguments);
    return n;
}

void reply_join(const str *tokens, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++)
        (void)buf_append_str(out, tokens[i]);
}

void reply_write_joined(struct json_writer *w, const char *key, const str *tokens, size_t len)
{
    struct buf text;
    buf_init(&text, REPLY_BYTES_MAX);
    reply_join(tokens, len, &text);
    jw_kv_str(w, key, buf_str(&text));
    buf_done(&text);
}

uint64_t reply_count(str text)
{
    return text.len / 4 + 1;
}

bool reply_embed(str text, size_t dimensions, uint64_t seed, struct arena *arena, float **ret)
{
    uint64_t hash = str_hash_stable(text);
    float *v = arena_zalloc(arena, dimensions, sizeof *v);
    double sum = 0;
    if (!v)
        return false;
    for (size_t i = 0; i < dimensions; i++) {
        v[i] = (float)((double)(random_counter(seed, hash, i) >> 11) * 0x1p-52 - 1);
        sum += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < dimensions; i++)
        v[i] = (float)((double)v[i] / sqrt(sum > 0 ? sum : 1));
    *ret = v;
    return true;
}
