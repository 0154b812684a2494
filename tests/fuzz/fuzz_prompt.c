// Prompt files and templates: whatever is taken renders within its bounds, and the same each time.
// REQ: PROMPT-1
#include "prompt/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_BYTES_MAX = 65536, STEPS_MAX = 20000 };

static const struct mustache *itself(void *ctx, str name)
{
    return name.len % 2 ? ctx : NULL;
}

static void render_template(str source)
{
    struct mustache *t;
    struct json_doc doc;
    struct buf one, two;
    if (mustache_new(source, &t, NULL) != ERR_OK)
        return;
    struct mustache_options o = {
        .escape = MUSTACHE_ESCAPE_HTML, .partial = itself, .ctx = t, .steps_max = STEPS_MAX};
    enum err e = json_parse(&doc, STR("{\"a\":[1,{\"b\":\"<\"}],\"b\":true,\"c\":{\"d\":null}}"),
                            JSON_LIMITS_DEFAULT, NULL);
    ASSERT(e == ERR_OK);
    buf_init(&one, OUT_BYTES_MAX);
    buf_init(&two, OUT_BYTES_MAX);
    enum err first = mustache_render(t, doc.root, &o, &one, NULL);
    enum err second = mustache_render(t, doc.root, &o, &two, NULL);
    ASSERT(first == second && str_eq(buf_str(&one), buf_str(&two)));
    buf_done(&one);
    buf_done(&two);
    json_done(&doc);
    mustache_free(t);
}

static void render_prompt(str file)
{
    struct prompt *p;
    struct buf out;
    struct json_writer w;
    struct diag d = {0};
    if (prompt_parse(STR("n"), STR("1"), file, &p, &d) != ERR_OK)
        return;
    buf_init(&out, OUT_BYTES_MAX);
    jw_init(&w, &out);
    jw_array_begin(&w);
    (void)!prompt_render(p, NULL, OUT_BYTES_MAX / 8, &w, &d);
    buf_done(&out);
    prompt_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_slice((const char *)data, size);
    render_template(text);
    render_prompt(text);
    return 0;
}
