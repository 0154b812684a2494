// REQ: SEC-4 API-10
// Any bytes: the UTF-8 functions agree with each other, and escaping gives a JSON string.
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

// The offset of the first byte that does not decode, one code point at a time.
static size_t walk(str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint32_t cp;
        char again[4];
        size_t len = utf8_decode(str_slice(s.ptr + at, s.len - at), &cp);
        if (len == 0)
            break;
        check(utf8_encode(cp, again) == len && memcmp(again, s.ptr + at, len) == 0);
        at += len;
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str s = str_slice((const char *)data, size);
    size_t valid = utf8_valid_prefix(s);
    check(valid == walk(s));
    check(utf8_valid(s) == (valid == s.len));
    size_t tail = utf8_incomplete_tail(s);
    check(tail <= 3 && tail <= s.len && (tail == 0 || valid <= s.len - tail));
    struct buf text;
    struct json_doc doc;
    buf_init(&text, 16 << 20);
    check(buf_append_char(&text, '"') == ERR_OK);
    check(json_escape(&text, s) == ERR_OK);
    check(buf_append_char(&text, '"') == ERR_OK);
    check(json_parse(&doc, buf_str(&text), JSON_LIMITS_DEFAULT, NULL) == ERR_OK);
    check(!utf8_valid(s) || str_eq(json_str(doc.root), s));
    json_done(&doc);
    buf_done(&text);
    return 0;
}
