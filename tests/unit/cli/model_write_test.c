// What a written model is called where nobody says.
// REQ: ENG-1
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/model_write.h"
#include "support/unit.h"

static void a_model_is_called_after_its_source(void **state)
{
    static const struct {
        const char *source, *type, *want;
    } rows[] = {
        {"models/Big-F16.gguf", "q8_0", "Big-F16-q8_0.gguf"},
        {"/models/Qwen/", NULL, "Qwen.gguf"},
        {"Qwen//", "Q4_K", "Qwen-q4_k.gguf"},
        {".", NULL, "Inner.gguf"},
        {"./", "f16", "Inner-f16.gguf"},
        {"..", NULL, "Outer.gguf"},
        {"../Inner/.", NULL, "Inner.gguf"},
        {"../Inner/../", NULL, "Outer.gguf"},
    };
    (void)state;
    char home[] = "/tmp/weir-write-XXXXXX", outer[64], inner[64];
    assert_non_null(mkdtemp(home));
    snprintf(outer, sizeof outer, "%s/Outer", home);
    snprintf(inner, sizeof inner, "%s/Outer/Inner", home);
    assert_int_equal(mkdir(outer, 0700), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(chdir(inner), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a;
        arena_init(&a, 1 << 16);
        str path = model_write_default_path(&a, str_of(rows[i].source), rows[i].type);
        if (!str_eq_z(path, rows[i].want))
            fail_msg("%s: " STR_FMT ", not %s", rows[i].source, STR_ARG(path), rows[i].want);
        arena_done(&a);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(inner) | rmdir(outer) | rmdir(home), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_is_called_after_its_source)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
