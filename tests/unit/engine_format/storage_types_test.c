// Blocks of every storage type mean what another implementation says, bit for bit: the table
// tests/data/storage_types.txt, which tests/oracle/storage_types.py wrote with the Python package
// gguf.
// REQ: ENG-5
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "engine/format/model_file.h"
#include "support/shared_data.h"
#include "support/unit.h"

enum { BLOCK_BYTES_MAX = 256, BLOCK_VALUES_MAX = 256, TYPES = 8 };

static uint32_t hex(str s, size_t at, size_t digits)
{
    char text[9] = {0};
    assert_true(at + digits <= s.len);
    memcpy(text, s.ptr + at, digits);
    return (uint32_t)strtoul(text, NULL, 16);
}

static enum tensor_type type_of(str name)
{
    for (int t = 0; t <= TENSOR_BF16; t++) {
        const char *known = tensor_type_name((enum tensor_type)t);
        if (known && str_eq_z(name, known))
            return (enum tensor_type)t;
    }
    fail_msg("no type " STR_FMT, STR_ARG(name));
    return TENSOR_F32;
}

static void check_line(str line)
{
    str name, bytes;
    uint8_t raw[BLOCK_BYTES_MAX];
    float values[BLOCK_VALUES_MAX];
    assert_true(str_split(&line, ' ', &name) && str_split(&line, ' ', &bytes));
    enum tensor_type type = type_of(name);
    uint32_t n = tensor_type_block(type);
    assert_int_equal(bytes.len, 2 * tensor_type_block_bytes(type));
    assert_int_equal(line.len, 8 * n);
    for (size_t i = 0; i < bytes.len / 2; i++)
        raw[i] = (uint8_t)hex(bytes, 2 * i, 2);
    struct tensor t = {.type = type, .n_dims = 1, .dims = {n, 1, 1, 1}, .data = raw};
    assert_int_equal(tensor_row_f32(&t, 0, values), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        if (bits != hex(line, 8 * i, 8) && values[i] != 0.0f) // zeros may have either sign
            fail_msg(STR_FMT ": value %zu is %a", STR_ARG(name), i, (double)values[i]);
    }
}

static void blocks_mean_what_another_implementation_says(void **state)
{
    (void)state;
    char path[4096];
    struct buf table;
    struct diag d = {0};
    str line;
    size_t lines = 0;
    snprintf(path, sizeof path, "%s/tests/data/storage_types.txt", shared_data_source_dir());
    assert_int_equal(fs_read(path, 1 << 20, &table, &d), ERR_OK);
    for (str rest = buf_str(&table); str_split(&rest, '\n', &line); lines++)
        check_line(line);
    assert_int_equal(lines, 2 * TYPES);
    buf_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_mean_what_another_implementation_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
