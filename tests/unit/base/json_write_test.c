// REQ: API-1 API-10
// The JSON writer: what it writes reads back as what was given; broken UTF-8, deep values and full
// buffers do not break it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "support/unit.h"

static struct json_doc must_parse(const struct buf *text)
{
    struct json_doc doc = {0};
    struct diag d = {0};
    if (json_parse(&doc, buf_str(text), JSON_LIMITS_DEFAULT, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return doc;
}

static void commas_and_colons_are_its_business(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_kv_str(&w, "a", STR("x"));
    jw_kv_int(&w, "b", INT64_MIN);
    jw_kv_f64(&w, "c", 0.1);
    jw_kv_bool(&w, "d", false);
    jw_kv_null(&w, "e");
    jw_kv_z(&w, "f", "");
    jw_key_str(&w, STR("g\""));
    jw_array_begin(&w);
    jw_uint(&w, UINT64_MAX);
    jw_array_begin(&w);
    jw_array_end(&w);
    jw_object_begin(&w);
    jw_object_end(&w);
    jw_bool(&w, true);
    jw_raw(&w, STR("[1, 2]"));
    jw_z(&w, "z");
    jw_array_end(&w);
    jw_object_end(&w);
    assert_string_equal(buf_cstr(&out),
                        "{\"a\":\"x\",\"b\":-9223372036854775808,\"c\":0.1,\"d\":false,\"e\":null,"
                        "\"f\":\"\",\"g\\\"\":[18446744073709551615,[],{},true,[1, 2],\"z\"]}");
    buf_done(&out);
}

static void every_ascii_byte_reads_back(void **state)
{
    (void)state;
    char all[128];
    for (int i = 0; i < 128; i++)
        all[i] = (char)i;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    jw_init(&w, &out);
    jw_str(&w, str_slice(all, sizeof all));
    for (size_t i = 0; i < out.len; i++)
        assert_true((unsigned char)buf_ptr(&out)[i] >= 0x20);
    assert_true(str_find(buf_str(&out), STR("\\b\\t\\n\\u000b\\f\\r\\u000e")) != SIZE_MAX);
    struct json_doc doc = must_parse(&out);
    assert_true(str_eq(json_str(doc.root), str_slice(all, sizeof all)));
    json_done(&doc);
    buf_done(&out);
}

static void each_bad_byte_becomes_one_replacement(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    assert_int_equal(json_escape(&out, STR("a\xff"
                                           "b\xc3\xa9\xed\xa0\x80"
                                           "c\xe2\x82")),
                     ERR_OK);
    assert_string_equal(buf_cstr(&out), "a\xef\xbf\xbd"
                                        "b\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                        "c\xef\xbf\xbd\xef\xbf\xbd");
    buf_clear(&out);
    assert_int_equal(json_escape(&out, STR_NONE), ERR_OK);
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

// Any bytes give a text that parses, and valid UTF-8 comes back as it was.
static void random_bytes_always_parse(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 7);
    for (int i = 0; i < 3000; i++) {
        char bytes[64];
        size_t len = (size_t)random_below(&r, sizeof bytes + 1);
        uint64_t mask = random_below(&r, 2) ? 0x7f : 0xff;
        for (size_t k = 0; k < len; k++)
            bytes[k] = (char)(random_next(&r) & mask);
        struct buf out;
        struct json_writer w;
        buf_init(&out, 4096);
        jw_init(&w, &out);
        jw_str(&w, str_slice(bytes, len));
        struct json_doc doc = must_parse(&out);
        if (utf8_valid(str_slice(bytes, len)))
            assert_true(str_eq(json_str(doc.root), str_slice(bytes, len)));
        json_done(&doc);
        buf_done(&out);
    }
}

static void doubles_read_back_bit_for_bit(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 9);
    const double chosen[] = {0,
                             -0.0,
                             1,
                             -1,
                             0.1,
                             1.0 / 3,
                             1e21,
                             1e-7,
                             5e-324,
                             2.2250738585072014e-308,
                             1.7976931348623157e308,
                             9007199254740993.0,
                             -123456.789};
    for (size_t i = 0; i < 20000; i++) {
        double v;
        uint64_t bits = random_next(&r);
        memcpy(&v, &bits, sizeof v);
        if (i < ARRAY_LEN(chosen))
            v = chosen[i];
        if (!isfinite(v))
            continue;
        struct buf out;
        struct json_writer w;
        buf_init(&out, 64);
        jw_init(&w, &out);
        jw_f64(&w, v);
        assert_false(out.failed);
        double back = strtod(buf_cstr(&out), NULL);
        assert_memory_equal(&v, &back, sizeof v);
        struct json_doc doc = must_parse(&out);
        json_done(&doc);
        buf_done(&out);
    }
}

static void what_json_cannot_say_is_null(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 100);
    jw_init(&w, &out);
    jw_array_begin(&w);
    jw_f64(&w, NAN);
    jw_f64(&w, INFINITY);
    jw_value(&w, NULL);
    jw_array_end(&w);
    assert_string_equal(buf_cstr(&out), "[null,null,null]");
    buf_done(&out);
}

static void a_parsed_value_is_copied_with_its_digits(void **state)
{
    (void)state;
    const str text =
        STR("{\"a\":[1.50,1e5,-0,123456789012345678901234567890],\"b\":{\"c\":\"\\u00e9\","
            "\"d\":[true,false,null,{},[]]}}");
    struct json_doc doc;
    assert_int_equal(json_parse(&doc, text, JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    jw_init(&w, &out);
    jw_value(&w, doc.root);
    assert_string_equal(
        buf_cstr(&out),
        "{\"a\":[1.50,1e5,-0,123456789012345678901234567890],\"b\":{\"c\":\"\xc3\xa9\","
        "\"d\":[true,false,null,{},[]]}}");
    json_done(&doc);
    buf_done(&out);
}

static void the_deepest_value_a_parse_allows_can_be_embedded(void **state)
{
    (void)state;
    char text[128];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    struct json_doc doc;
    assert_int_equal(json_parse(&doc, str_slice(text, 128), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    jw_init(&w, &out);
    for (int i = 0; i < 60; i++)
        jw_array_begin(&w);
    jw_value(&w, doc.root);
    for (int i = 0; i < 60; i++)
        jw_array_end(&w);
    assert_false(out.failed);
    assert_int_equal(out.len, 128 + 120);
    json_done(&doc);
    buf_done(&out);
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 30; limit++) {
        struct buf out;
        struct json_writer w;
        buf_init(&out, limit);
        jw_init(&w, &out);
        jw_object_begin(&w);
        jw_kv_str(&w, "key", STR("some longer text \n here"));
        jw_object_end(&w);
        assert_true(out.failed);
        assert_true(out.len <= limit);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_colons_are_its_business),
        cmocka_unit_test(every_ascii_byte_reads_back),
        cmocka_unit_test(each_bad_byte_becomes_one_replacement),
        cmocka_unit_test(random_bytes_always_parse),
        cmocka_unit_test(doubles_read_back_bit_for_bit),
        cmocka_unit_test(what_json_cannot_say_is_null),
        cmocka_unit_test(a_parsed_value_is_copied_with_its_digits),
        cmocka_unit_test(the_deepest_value_a_parse_allows_can_be_embedded),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
