// GGUF containers that lie: each is refused with a sentence that names what is wrong. The cases are
// those of llama.cpp's tests/test-gguf.cpp and of the CVEs that GGUF readers had (CVE-2024-21802
// and its kin, CVE-2025-53630, CVE-2026-27940, CVE-2026-33298, CVE-2026-7482).
// REQ: ENG-11 SEC-4
#include <stdlib.h>

#include "base/buf.h"
#include "engine/format/model_file.h"
#include "support/unit.h"

#define BIG UINT64_MAX

static struct buf file;

static void u8(uint8_t v)
{
    buf_append(&file, &v, 1);
}

static void u32(uint32_t v)
{
    for (int i = 0; i < 4; i++)
        u8((uint8_t)(v >> (8 * i)));
}

static void u64(uint64_t v)
{
    u32((uint32_t)v);
    u32((uint32_t)(v >> 32));
}

static void text(const char *s)
{
    u64(strlen(s));
    buf_append_str(&file, str_of(s));
}

static void begin(uint64_t tensors, uint64_t kvs)
{
    buf_clear(&file);
    buf_append_str(&file, STR("GGUF"));
    u32(3);
    u64(tensors);
    u64(kvs);
}

static void key(const char *name, uint32_t type)
{
    text(name);
    u32(type);
}

static void architecture(void)
{
    key("general.architecture", 8);
    text("klingon");
}

static void tensor(const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                   uint64_t offset)
{
    text(name);
    u32(n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        u64(dims[i]);
    u32(type);
    u64(offset);
}

static void pad(size_t alignment, size_t data_bytes)
{
    while (file.len % alignment)
        u8(0);
    for (size_t i = 0; i < data_bytes; i++)
        u8(0);
}

// In an allocation of its exact size, so that a sanitizer sees the first byte read beyond it.
static void refused(enum err want, const char *names)
{
    struct model_file *f = NULL;
    struct diag d = {0};
    char *copy = malloc(file.len ? file.len : 1);
    assert_non_null(copy);
    const char *bytes = buf_ptr(&file);
    if (bytes)
        memcpy(copy, bytes, file.len);
    enum err e = model_file_from_memory(str_slice(copy, file.len), &f, &d);
    if (e != want || !strstr(d.text, names))
        fail_msg("%s: \"%s\" where %s with \"%s\" was due", err_name(e), d.text, err_name(want),
                 names);
    assert_null(f);
    free(copy);
}

static void headers_that_are_none(void **state)
{
    (void)state;
    buf_clear(&file);
    refused(ERR_PARSE, "GGUF");
    buf_append_str(&file, STR("GGU"));
    refused(ERR_PARSE, "GGUF");
    buf_append_str(&file, STR("X plus enough bytes for a header"));
    refused(ERR_PARSE, "GGUF");
    for (uint32_t version = 0; version < 6; version++) {
        buf_clear(&file);
        buf_append_str(&file, STR("GGUF"));
        u32(version);
        u64(0);
        u64(0);
        if (version == 2 || version == 3)
            refused(ERR_INVALID, "general.architecture");
        else
            refused(ERR_UNSUPPORTED, "version");
    }
    buf_clear(&file);
    buf_append_str(&file, STR("GGUF"));
    u32(0x03000000);
    u64(0);
    u64(0);
    refused(ERR_UNSUPPORTED, "big-endian");
}

static void counts_beyond_the_file(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1000, 1u << 31, (uint64_t)1 << 32, BIG / 56, BIG - 1, BIG};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        begin(0, counts[i]);
        refused(ERR_PARSE, "metadata keys");
        begin(counts[i], 0);
        refused(ERR_PARSE, "tensors");
    }
    begin(0, 2);
    architecture();
    refused(ERR_PARSE, "key 2 of 2");
}

static void keys_with_bad_names(void **state)
{
    (void)state;
    static const char *const names[] = {"", "a b", "caf\xc3\xa9", "new\nline", "\x1b[2J"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        begin(0, 1);
        key(names[i], 4);
        u64(0);
        refused(ERR_PARSE, "key 1 of 1");
    }
    static const uint64_t lengths[] = {100, (uint64_t)1 << 32, BIG, BIG - 7};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        begin(0, 1);
        u64(lengths[i]);
        buf_append_str(&file, STR("aaaaaaaaaaaaaaaaaaaaaaaa"));
        refused(ERR_PARSE, "key 1 of 1");
    }
    begin(0, 1);
    u64(65536);
    for (size_t i = 0; i < 65536; i++)
        u8('k');
    u32(4);
    u32(0);
    refused(ERR_PARSE, "65535");
}

static void values_with_bad_types(void **state)
{
    (void)state;
    static const uint32_t types[] = {13, 14, 255, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        begin(0, 1);
        key("x.y", types[i]);
        u64(0);
        refused(ERR_PARSE, "\"x.y\"");
        begin(0, 1);
        key("x.y", 9);
        u32(types[i]);
        u64(0);
        refused(ERR_PARSE, "\"x.y\"");
    }
    begin(0, 1);
    key("x.y", 9); // an array of arrays, as deep as one likes
    for (int i = 0; i < 100; i++) {
        u32(9);
        u64(1);
    }
    refused(ERR_UNSUPPORTED, "array of arrays");
}

static void values_beyond_the_file(void **state)
{
    (void)state;
    static const uint64_t counts[] = {100, (uint64_t)1 << 30, (uint64_t)1 << 61, BIG / 8 + 1, BIG};
    static const uint32_t items[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        for (size_t j = 0; j < ARRAY_LEN(items); j++) {
            begin(0, 1);
            key("x.y", 9);
            u32(items[j]);
            u64(counts[i]);
            u64(0);
            refused(ERR_PARSE, "\"x.y\"");
        }
        begin(0, 1);
        key("x.y", 8);
        u64(counts[i]);
        u64(0);
        refused(ERR_PARSE, "\"x.y\"");
    }
    begin(0, 1);
    key("x.y", 9); // the second of two strings lies
    u32(8);
    u64(2);
    text("fine");
    u64(BIG);
    refused(ERR_PARSE, "\"x.y\"");
}

static void keys_that_stand_twice(void **state)
{
    (void)state;
    begin(0, 3);
    architecture();
    key("x.y", 4);
    u32(1);
    key("x.y", 8);
    text("again");
    refused(ERR_PARSE, "\"x.y\" stands twice");
}

static void alignments_that_are_none(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 4, 33, 8192, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        begin(0, 2);
        architecture();
        key("general.alignment", 4);
        u32(values[i]);
        refused(ERR_INVALID, "general.alignment");
    }
    begin(0, 2);
    architecture();
    key("general.alignment", 10);
    u64(32);
    refused(ERR_INVALID, "must be a u32");
}

static const uint64_t one[4] = {1, 1, 1, 1};

static void tensors_with_bad_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "", "a b", "t\n", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff12345"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        begin(1, 1);
        architecture();
        tensor(names[i], 1, one, 0, 0);
        pad(32, 32);
        refused(ERR_PARSE, "tensor 1 of 1");
    }
    begin(1, 1);
    architecture();
    u64(BIG);
    pad(32, 64);
    refused(ERR_PARSE, "tensor 1 of 1");
    begin(2, 1);
    architecture();
    tensor("t", 1, one, 0, 0);
    tensor("t", 1, one, 0, 32);
    pad(32, 64);
    refused(ERR_PARSE, "\"t\" stands twice");
}

static void tensors_with_bad_shapes(void **state)
{
    (void)state;
    static const struct {
        uint32_t n_dims;
        uint64_t dims[4];
        uint32_t type;
        enum err want;
        const char *names;
    } cases[] = {
        {0, {1, 1, 1, 1}, 0, ERR_PARSE, "0 dimensions"},
        {5, {1, 1, 1, 1}, 0, ERR_PARSE, "5 dimensions"},
        {UINT32_MAX, {1, 1, 1, 1}, 0, ERR_PARSE, "dimensions"},
        {1, {0}, 0, ERR_INVALID, "dimension 0 is 0"},
        {3, {1, 2, 0}, 0, ERR_INVALID, "dimension 2 is 0"},
        {2, {(uint64_t)1 << 32, (uint64_t)1 << 32}, 0, ERR_LIMIT, "overflow"},
        {4,
         {(uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16, (uint64_t)1 << 16},
         0,
         ERR_LIMIT,
         "overflow"},
        {2, {BIG, 2}, 0, ERR_LIMIT, "overflow"},
        {1, {BIG}, 0, ERR_LIMIT, "overflow"},
        {1, {(uint64_t)1 << 62}, 0, ERR_LIMIT, "overflow"}, // values fit, bytes do not
        {2, {32, ((uint64_t)1 << 58) - 1}, 8, ERR_LIMIT, "overflow"},
        {1, {(uint64_t)1 << 60}, 0, ERR_PARSE, "passes the end"}, // an exabyte in 4 kB
        {1, {33}, 8, ERR_INVALID, "Q8_0 blocks of 32"},
        {1, {32}, 12, ERR_INVALID, "Q4_K blocks of 256"},
        {1, {32}, 4, ERR_UNSUPPORTED, "type 4"},
        {1, {256}, 16, ERR_UNSUPPORTED, "type 16"},
        {1, {1}, 99, ERR_UNSUPPORTED, "type 99"},
        {1, {1}, UINT32_MAX, ERR_UNSUPPORTED, "type"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(1, 1);
        architecture();
        text("t");
        u32(cases[i].n_dims);
        for (uint32_t j = 0; j < cases[i].n_dims && j < 4; j++)
            u64(cases[i].dims[j]);
        u32(cases[i].type);
        u64(0);
        pad(32, 4096);
        refused(cases[i].want, cases[i].names);
    }
}

static void tensors_outside_the_file(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {32, 64, (uint64_t)1 << 40, BIG - 31, BIG - 63};
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++) {
        begin(1, 1);
        architecture();
        tensor("t", 1, (const uint64_t[]){8}, 0, offsets[i]);
        pad(32, 32);
        refused(ERR_PARSE, "passes the end");
    }
    begin(1, 1);
    architecture();
    tensor("t", 1, (const uint64_t[]){8}, 0, 4);
    pad(32, 64);
    refused(ERR_PARSE, "alignment 32");
    begin(1, 1); // no data at all, not even the padding before it
    architecture();
    tensor("t", 1, one, 0, 0);
    refused(ERR_PARSE, "passes the end");
    begin(1, 1); // declared larger than what lies there (CVE-2026-7482)
    architecture();
    tensor("t", 2, (const uint64_t[]){8, 5}, 0, 0);
    pad(32, 8 * 5 * 4 - 1);
    refused(ERR_PARSE, "passes the end");
}

static void tensors_that_overlap(void **state)
{
    (void)state;
    begin(2, 1);
    architecture();
    tensor("a", 1, (const uint64_t[]){9}, 0, 0); // 36 bytes
    tensor("b", 1, (const uint64_t[]){8}, 0, 32);
    pad(32, 96);
    refused(ERR_PARSE, "\"a\" and \"b\" overlap");
    begin(2, 1);
    architecture();
    tensor("a", 1, (const uint64_t[]){8}, 0, 32);
    tensor("b", 1, (const uint64_t[]){8}, 0, 32);
    pad(32, 96);
    refused(ERR_PARSE, "overlap");
}

// A good container of another alignment goes on to the next question: who runs a klingon model?
static void a_custom_alignment_is_honoured(void **state)
{
    (void)state;
    static const uint32_t values[] = {8, 32, 64, 4096};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        begin(2, 2);
        architecture();
        key("general.alignment", 4);
        u32(values[i]);
        tensor("a", 1, one, 0, 0);
        tensor("b", 1, one, 0, values[i]);
        pad(values[i], values[i] + 4);
        refused(ERR_UNSUPPORTED, "klingon");
        file.len--;
        refused(ERR_PARSE, "\"b\"");
    }
}

static void parts_of_a_split_model(void **state)
{
    (void)state;
    begin(0, 2);
    architecture();
    key("split.count", 2);
    u8(3);
    u8(0);
    refused(ERR_UNSUPPORTED, "3 files");
}

static int set_up(void **state)
{
    (void)state;
    buf_init(&file, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_are_none),
        cmocka_unit_test(counts_beyond_the_file),
        cmocka_unit_test(keys_with_bad_names),
        cmocka_unit_test(values_with_bad_types),
        cmocka_unit_test(values_beyond_the_file),
        cmocka_unit_test(keys_that_stand_twice),
        cmocka_unit_test(alignments_that_are_none),
        cmocka_unit_test(tensors_with_bad_names),
        cmocka_unit_test(tensors_with_bad_shapes),
        cmocka_unit_test(tensors_outside_the_file),
        cmocka_unit_test(tensors_that_overlap),
        cmocka_unit_test(a_custom_alignment_is_honoured),
        cmocka_unit_test(parts_of_a_split_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
