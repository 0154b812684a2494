// REQ: SEC-4 API-10
// Any bytes through the JSON reader; what it takes is written again and must read back the same.
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(yyjson_val *v)
{
    int64_t i;
    double f;
    if (json_is_int(v, &i) && !json_is_num(v, &f))
        abort();
    if (!json_type_name(v) || (v && json_get(v, "a") == v))
        abort();
}

static void must_go_round(const struct json_doc *doc)
{
    struct buf text;
    struct json_writer w;
    struct json_doc again;
    buf_init(&text, 16 << 20);
    jw_init(&w, &text);
    jw_value(&w, doc->root);
    if (text.failed || json_parse(&again, buf_str(&text), JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        abort();
    if (!yyjson_equals(doc->root, again.root))
        abort();
    json_done(&again);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc doc;
    struct diag d = {0};
    enum err e = json_parse(&doc, str_slice((const char *)data, size), JSON_LIMITS_DEFAULT, &d);
    if (e != ERR_OK) {
        if (d.code != e || d.text[0] == '\0')
            abort();
        return 0;
    }
    touch(doc.root);
    touch(yyjson_arr_get_first(doc.root));
    must_go_round(&doc);
    json_done(&doc);
    return 0;
}
