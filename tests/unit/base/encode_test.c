// REQ: API-4 SEC-2
// base64 (RFC 4648 section 10), strict the other way; hex; SHA-256 (FIPS 180-4 examples).
#include <string.h>

#include "base/encode.h"
#include "base/random.h"
#include "support/unit.h"

static void the_rfc_s_vectors_go_both_ways(void **state)
{
    (void)state;
    const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(encode_base64(&out, plain[i], strlen(plain[i])), ERR_OK);
        assert_string_equal(buf_cstr(&out), coded[i]);
        buf_clear(&out);
        assert_int_equal(decode_base64(&out, str_of(coded[i])), ERR_OK);
        assert_string_equal(buf_cstr(&out), plain[i]);
        buf_done(&out);
    }
}

static void what_is_not_canonical_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    const char *const bad[] = {"Z",    "Zg",       "Zg=",  "Zg===", "Zh==",
                               "Zm9=", "Z===",     "====", "Zm=v",  "Zm9v\n",
                               "Zm 9", "Zg==Zg==", "Zm-_", "=Zg=",  "\xc3\xa9=="};
    struct buf out;
    buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(decode_base64(&out, str_of(bad[i])), ERR_PARSE);
        assert_int_equal(out.len, 0);
    }
    buf_done(&out);
}

static void any_bytes_go_round_and_limits_hold(void **state)
{
    (void)state;
    uint8_t bytes[257];
    random_bytes(bytes, sizeof bytes);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct buf text, back;
        buf_init(&text, (len + 2) / 3 * 4);
        buf_init(&back, len);
        assert_int_equal(encode_base64(&text, bytes, len), ERR_OK);
        assert_int_equal(decode_base64(&back, buf_str(&text)), ERR_OK);
        assert_int_equal(back.len, len);
        if (len)
            assert_memory_equal(buf_ptr(&back), bytes, len);
        if (len) {
            struct buf small;
            buf_init(&small, len - 1);
            assert_int_equal(decode_base64(&small, buf_str(&text)), ERR_LIMIT);
            assert_int_equal(encode_base64(&small, bytes, len), ERR_LIMIT);
            buf_done(&small);
        }
        buf_done(&text);
        buf_done(&back);
    }
    struct buf out;
    buf_init(&out, SIZE_MAX);
    assert_int_equal(encode_base64(&out, bytes, SIZE_MAX), ERR_LIMIT);
    buf_done(&out);
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    char out[9];
    encode_hex(out, "\x00\xff\x1a\xA0", 4);
    assert_string_equal(out, "00ff1aa0");
    encode_hex(out, NULL, 0);
    assert_string_equal(out, "");
}

static void digests_are_sha256_s_in_one_piece_or_many(void **state)
{
    (void)state;
    char hex[65];
    sha256_of(STR(""), hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_of(STR("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    // FIPS 180-4's third example: a million times 'a', in pieces that fit no block.
    char piece[625];
    memset(piece, 'a', sizeof piece);
    struct sha256 *s = sha256_new();
    for (int i = 0; i < 1600; i++)
        sha256_update(s, piece, sizeof piece);
    uint8_t digest[32];
    sha256_finish(s, digest);
    encode_hex(hex, digest, sizeof digest);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hex_is_read_back_whole_or_not_at_all(void **state)
{
    (void)state;
    uint8_t bytes[3];
    assert_int_equal(decode_hex(bytes, 3, STR("00ffa5")), ERR_OK);
    assert_memory_equal(bytes, "\x00\xff\xa5", 3);
    assert_int_equal(decode_hex(bytes, 3, STR("00ffa")), ERR_PARSE);
    assert_int_equal(decode_hex(bytes, 3, STR("00FFA5")), ERR_PARSE);
    assert_int_equal(decode_hex(bytes, 3, STR("00ffag")), ERR_PARSE);
    assert_int_equal(decode_hex(bytes, 0, STR("")), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_s_vectors_go_both_ways),
        cmocka_unit_test(what_is_not_canonical_is_refused_and_leaves_nothing),
        cmocka_unit_test(any_bytes_go_round_and_limits_hold),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(hex_is_read_back_whole_or_not_at_all),
        cmocka_unit_test(digests_are_sha256_s_in_one_piece_or_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
