// The safetensors container: the error classes of the reference reader (safetensors 0.4,
// SafeTensorError), each refused by name; cut and flipped files.
// REQ: ENG-1 ENG-11 SEC-4
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine/format/safetensors.h"
#include "support/unit.h"

static void build(const char *header, size_t data_bytes, struct buf *out)
{
    size_t len = strlen(header);
    buf_init(out, 1 << 20);
    for (int i = 0; i < 8; i++)
        buf_append_char(out, (char)(len >> (8 * i)));
    buf_append_str(out, str_of(header));
    for (size_t i = 0; i < data_bytes; i++)
        buf_append_char(out, (char)i);
}

// In an allocation of its exact size, so that a sanitizer sees the first byte read beyond it.
static enum err parse(str image, struct arena *a, struct safetensors *ret, struct diag *d)
{
    char *copy = malloc(image.len ? image.len : 1);
    assert_non_null(copy);
    if (image.ptr && image.len)
        memcpy(copy, image.ptr, image.len);
    enum err e = safetensors_parse(str_slice(copy, image.len), a, ret, d);
    free(copy);
    return e;
}

static void check(const char *header, size_t data_bytes, enum err want, const char *names)
{
    struct buf file;
    struct arena a;
    struct safetensors s = {0};
    struct diag d = {0};
    build(header, data_bytes, &file);
    arena_init(&a, 1 << 20);
    enum err e = parse(buf_str(&file), &a, &s, &d);
    if (e != want || (e != ERR_OK && !strstr(d.text, names)))
        fail_msg("%s: %s: \"%s\" where %s with \"%s\" was due", header, err_name(e), d.text,
                 err_name(want), names);
    arena_done(&a);
    buf_done(&file);
}

#define T(dtype, shape, begin, end)                                                                \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void good_files_are_read(void **state)
{
    (void)state;
    struct buf file;
    struct arena a;
    struct safetensors s = {0};
    struct diag d;
    build("{\"b\":" T("F16", "[2,3]", "8", "20") ",\"__metadata__\":{\"format\":\"pt\"},\"a\":" T(
              "F32", "[2]", "0", "8") "}   ",
          20, &file);
    arena_init(&a, 1 << 20);
    assert_int_equal(safetensors_parse(buf_str(&file), &a, &s, &d), ERR_OK);
    assert_int_equal(s.n_entries, 2);
    assert_true(str_eq_z(s.entries[0].name, "a") && str_eq_z(s.entries[1].name, "b"));
    assert_int_equal(s.entries[1].rank, 2);
    assert_int_equal(s.entries[1].shape[1], 3);
    assert_int_equal(s.entries[1].dtype, SAFETENSORS_F16);
    assert_int_equal(s.data_offset, file.len - 20);
    arena_done(&a);
    buf_done(&file);
    check("{}", 0, ERR_OK, "");
    check("{\"scalar\":" T("F32", "[]", "0", "4") "}", 4, ERR_OK, "");
    check("{\"none\":" T("F32", "[0,7]", "0", "0") "}", 0, ERR_OK, "");
}

static void headers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum err want;
        const char *names;
    } cases[] = {
        {"", 0, ERR_PARSE, "not a safetensors"},
        {"\1\0\0\0\0\0\0", 7, ERR_PARSE, "not a safetensors"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, ERR_LIMIT, "too large"},
        {"\1\xe1\xf5\5\0\0\0\0{}", 10, ERR_LIMIT, "too large"},      // 100,000,001
        {"\0\xe1\xf5\5\0\0\0\0{}", 10, ERR_PARSE, "passes the end"}, // 100,000,000
        {"\3\0\0\0\0\0\0\0{}", 10, ERR_PARSE, "passes the end"},
        {"\0\0\0\0\0\0\0\0", 8, ERR_PARSE, "does not begin with {"},
        {"\2\0\0\0\0\0\0\0[]", 10, ERR_PARSE, "does not begin with {"},
        {"\3\0\0\0\0\0\0\0 {}", 11, ERR_PARSE, "does not begin with {"},
        {"\4\0\0\0\0\0\0\0{\"\xff\"", 12, ERR_PARSE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a;
        struct safetensors s;
        struct diag d = {0};
        arena_init(&a, 1 << 16);
        assert_int_equal(parse(str_slice(cases[i].bytes, cases[i].len), &a, &s, &d), cases[i].want);
        assert_non_null(strstr(d.text, cases[i].names));
        arena_done(&a);
    }
}

static void entries_that_lie_are_refused(void **state)
{
    (void)state;
    check("{\"a\":1}", 0, ERR_PARSE, "\"a\"");
    check("{\"a\":{}}", 0, ERR_PARSE, "dtype");
    check("{\"a\":" T("F33", "[1]", "0", "4") "}", 4, ERR_PARSE, "dtype");
    check("{\"a\":" T("F32", "7", "0", "4") "}", 4, ERR_PARSE, "shape");
    check("{\"a\":" T("F32", "[-1]", "0", "4") "}", 4, ERR_PARSE, "shape");
    check("{\"a\":" T("F32", "[1.5]", "0", "4") "}", 4, ERR_PARSE, "shape");
    check("{\"a\":" T("F32", "[1e3]", "0", "4000") "}", 4000, ERR_PARSE, "shape");
    check("{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, ERR_PARSE, "8 dimensions");
    check("{\"a\":" T("F32", "[4294967296,4294967296]", "0", "0") "}", 0, ERR_PARSE, "overflow");
    check("{\"a\":" T("F32", "[4611686018427387904]", "0", "0") "}", 0, ERR_PARSE, "overflow");
    check("{\"a\":" T("F32", "[18446744073709551616]", "0", "0") "}", 0, ERR_PARSE, "shape");
    check("{\"a\":" T("F32", "[2]", "0", "4") "}", 4, ERR_PARSE, "dtype and shape");
    check("{\"a\":" T("F32", "[1]", "4", "0") "}", 4, ERR_PARSE, "before they begin");
    check("{\"a\":" T("F32", "[1]", "0", "-4") "}", 4, ERR_PARSE, "two sizes");
    check("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, ERR_PARSE,
          "two sizes");
    check("{\"a\":" T("F32", "[1]", "0", "4") ",\"a\":" T("F32", "[1]", "4", "8") "}", 8,
          ERR_INVALID, "");
    check("{\"a\":" T("F32", "[1]", "0", "4") ",\"\\u0061\":" T("F32", "[1]", "4", "8") "}", 8,
          ERR_INVALID, "");
    check("{\"__metadata__\":{\"a\":1}}", 0, ERR_PARSE, "__metadata__");
    check("{\"__metadata__\":[]}", 0, ERR_PARSE, "__metadata__");
    check("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}", 0, ERR_LIMIT,
          "");
}

// What the file holds and what the header names must be the same bytes, once each.
static void data_that_is_not_tiled_is_refused(void **state)
{
    (void)state;
    check("{\"a\":" T("F32", "[1]", "0", "4") "}", 3, ERR_PARSE, "the file holds 3");
    check("{\"a\":" T("F32", "[1]", "0", "4") "}", 5, ERR_PARSE, "the file holds 5");
    check("{\"a\":" T("F32", "[1]", "4", "8") "}", 8, ERR_PARSE, "\"a\"");
    check("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", 12,
          ERR_PARSE, "\"b\"");
    check("{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[1]", "4", "8") "}", 8, ERR_PARSE,
          "\"b\"");
    check("{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "0", "4") "}", 4, ERR_PARSE,
          "does not begin where");
    check("{\"a\":" T("F32", "[1]", "18446744073709551612", "18446744073709551616") "}", 4,
          ERR_PARSE, "two sizes");
    check("{}", 1, ERR_PARSE, "the file holds 1");
}

static void damage_anywhere_is_survived(void **state)
{
    (void)state;
    struct buf file;
    build("{\"a\":" T("F32", "[2,2]", "0", "16") ",\"b\":" T("BF16", "[3]", "16", "22") "}", 22,
          &file);
    char *bytes = buf_ptr(&file);
    for (size_t i = 0; bytes && i < file.len * 9; i++) {
        struct arena a;
        struct safetensors s = {0};
        struct diag d = {0};
        size_t at = i / 9, bit = i % 9;
        size_t size = bit == 8 ? at : file.len; // cut there, or one bit changed
        if (bit < 8)
            bytes[at] ^= (char)(1 << bit);
        arena_init(&a, 1 << 16);
        enum err e = parse(str_slice(bytes, size), &a, &s, &d);
        assert_true(e == ERR_OK || (d.code == e && d.text[0]));
        assert_true(bit < 8 || e != ERR_OK);
        for (size_t j = 0; j < s.n_entries; j++)
            assert_true(s.entries[j].end <= size - s.data_offset);
        arena_done(&a);
        if (bit < 8)
            bytes[at] ^= (char)(1 << bit);
    }
    buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_are_read),
        cmocka_unit_test(headers_that_are_none),
        cmocka_unit_test(entries_that_lie_are_refused),
        cmocka_unit_test(data_that_is_not_tiled_is_refused),
        cmocka_unit_test(damage_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
