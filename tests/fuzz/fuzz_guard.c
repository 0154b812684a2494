// The texts of a request's document: whatever it is, they are found, and written again with nothing
// changed it says the same; with every text changed it is still a document of the same texts.
// REQ: GUARD-1
#include "gateway/guard_texts.h"
#include "guard/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rewrite(yyjson_val *root)
{
    struct guard_texts texts, again;
    struct json_doc doc;
    struct buf out;
    buf_init(&out, 1u << 24);
    guard_texts_find(root, &texts);
    for (size_t i = 0; i < texts.len; i++)
        texts.items[i].text = STR("\"\\x\n");
    guard_texts_write(root, &texts, NULL, &out);
    enum err e = json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, NULL);
    ASSERT(e == ERR_OK);
    guard_texts_find(doc.root, &again);
    ASSERT(again.len == texts.len);
    for (size_t i = 0; i < again.len; i++)
        ASSERT(str_eq(again.items[i].text, STR("\"\\x\n")) &&
               again.items[i].role == texts.items[i].role);
    guard_texts_done(&again);
    json_done(&doc);
    guard_texts_done(&texts);
    buf_done(&out);
}

// The same score, whole or byte by byte.
static void weigh(str text)
{
    static const str terms[] = {{"a", 1}, {"b c", 3}};
    const struct topic_rule rule = {terms, ARRAY_LEN(terms), 1, false};
    struct topic *t;
    struct topic_stream whole, pieces;
    enum err e = topic_new(&rule, &t, NULL);
    ASSERT(e == ERR_OK);
    topic_stream_init(&whole, t);
    topic_stream_init(&pieces, t);
    topic_stream_feed(&whole, text);
    for (size_t i = 0; i < text.len; i++)
        topic_stream_feed(&pieces, str_sub(text, i, 1));
    topic_stream_end(&whole);
    topic_stream_end(&pieces);
    ASSERT(whole.score <= pieces.score && whole.score >= pieces.score);
    topic_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc doc;
    str text = str_slice((const char *)data, size);
    weigh(text);
    if (json_parse(&doc, text, JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return 0;
    if (yyjson_is_obj(doc.root))
        rewrite(doc.root);
    json_done(&doc);
    return 0;
}
