// What weir makes of a conversation by a chat template, for comparison with transformers:
//   oracle_template TEMPLATE-FILE <REQUEST
// The request is JSON: {"messages": […], "tools": […]} in OpenAI's shape, contents as text. The
// prompt, without bos, goes to stdout.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/text/chat_template.h"
#include "engine/text/literal.h"

#define REQUEST_BYTES_MAX (1 << 20)

static void die(const struct diag *d)
{
    char text[1024];
    fprintf(stderr, "oracle_template: %s\n", diag_format(d, text, sizeof text));
    exit(1);
}

static str json_text(yyjson_val *v)
{
    struct buf *out = mem_new(struct buf);
    struct json_writer w;
    if (!v)
        return STR_NONE;
    buf_init(out, REQUEST_BYTES_MAX);
    jw_init(&w, out);
    jw_value(&w, v);
    return buf_str(out);
}

static void read_request(struct buf *text)
{
    char block[4096];
    buf_init(text, REQUEST_BYTES_MAX);
    for (ssize_t n; (n = read(STDIN_FILENO, block, sizeof block)) > 0;)
        if (buf_append(text, block, (size_t)n) != ERR_OK)
            exit(2);
}

static void show(const struct buf *out)
{
    struct literal_text plain;
    if (!literal_find(buf_str(out))) {
        fwrite(buf_ptr(out), 1, out->len, stdout);
        return;
    }
    if (literal_strip(buf_str(out), &plain) != ERR_OK)
        exit(2);
    fwrite(buf_ptr(&plain.text), 1, plain.text.len, stdout);
    literal_text_done(&plain);
}

int main(int argc, char **argv)
{
    struct buf source, text, out;
    struct json_doc doc;
    struct diag d = {0};
    struct chat_template t;
    size_t i, n;
    yyjson_val *m;
    if (argc != 2)
        return 2;
    read_request(&text);
    buf_init(&source, REQUEST_BYTES_MAX);
    buf_init(&out, REQUEST_BYTES_MAX);
    if (fs_read(argv[1], REQUEST_BYTES_MAX, &source, &d) != ERR_OK ||
        json_parse(&doc, buf_str(&text), JSON_LIMITS_DEFAULT, &d) != ERR_OK ||
        chat_template_detect(buf_str(&source), NULL, &t, &d) != ERR_OK)
        die(&d);
    yyjson_val *list = json_get(doc.root, "messages");
    struct chat_message *messages = mem_array(yyjson_arr_size(list) + 1, sizeof *messages);
    yyjson_arr_foreach(list, i, n, m)
    {
        messages[i] = (struct chat_message){.role = json_str(json_get(m, "role")),
                                            .content = json_str(json_get(m, "content")),
                                            .tool_calls_json = json_text(json_get(m, "tool_calls")),
                                            .tool_call_id = json_str(json_get(m, "tool_call_id"))};
    }
    str tools = json_text(json_get(doc.root, "tools"));
    if (chat_template_render(&t, messages, yyjson_arr_size(list), tools, true, &out, &d) != ERR_OK)
        die(&d);
    show(&out);
    return 0;
}
