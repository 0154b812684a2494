// REQ: ENG-10
// The model inside the program is the file that models/SHA256SUMS and its card name, byte for byte.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "models/models.h"

static char *source_file(const char *name) // caller frees
{
    const char *root = getenv("WEIR_SOURCE_DIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

static void image_is_a_gguf_file_aligned_for_mapping(void **state)
{
    (void)state;
    str image = models_bundled_gguf();
    assert_true(image.len > 1000000 && image.len <= 8U << 20);
    assert_memory_equal(image.ptr, "GGUF\x03\0\0\0", 8);
    assert_int_equal((uintptr_t)image.ptr % 64, 0);
}

static void image_is_the_file_that_the_checksum_list_names(void **state)
{
    (void)state;
    char hex[65], line[128], *sums = source_file("models/SHA256SUMS");
    sha256_of(models_bundled_gguf(), hex);
    snprintf(line, sizeof line, "%s  %s.gguf\n", hex, models_bundled_name());
    assert_string_equal(sums, line);
    free(sums);
}

static void card_names_the_same_checksum_and_size(void **state)
{
    (void)state;
    char hex[65], size[32], *card = source_file("models/weir-tiny.md");
    sha256_of(models_bundled_gguf(), hex);
    snprintf(size, sizeof size, "%zu bytes", models_bundled_gguf().len);
    assert_non_null(strstr(card, hex));
    assert_non_null(strstr(card, size));
    free(card);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_is_a_gguf_file_aligned_for_mapping),
        cmocka_unit_test(image_is_the_file_that_the_checksum_list_names),
        cmocka_unit_test(card_names_the_same_checksum_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
