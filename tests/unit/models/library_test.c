// REQ: ENG-2 ENG-10 ENG-11
// Names to model files: what is pulled is found, what is absent is refused with the remedy, no name
// escapes the folder.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/library.h"

static char folder[] = "/tmp/weir-library-XXXXXX";

static void put(const char *name, size_t bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++)
        fputc('x', f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    setenv("WEIR_MODELS", folder, 1);
    put("zebra.gguf", 7);
    put("apple.gguf", 3);
    put("notes.txt", 1);
    put(".gguf", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    const char *const names[] = {"zebra.gguf", "apple.gguf", "notes.txt", ".gguf"};
    char path[256];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void the_folder_is_listed_by_name(void **state)
{
    (void)state;
    struct arena a;
    struct model_library_item *items = NULL;
    struct diag d;
    arena_init(&a, 1u << 20);
    assert_int_equal(model_library_list(&a, &items, &d), ERR_OK);
    assert_true(items && str_eq_z(items->name, "apple"));
    assert_int_equal(items->bytes, 3);
    assert_true(items->next && str_eq_z(items->next->name, "zebra"));
    assert_null(items->next->next);
    arena_done(&a);
}

static void a_pulled_name_and_a_path_resolve(void **state)
{
    (void)state;
    struct arena a;
    struct diag d;
    str path, again;
    arena_init(&a, 1u << 20);
    assert_int_equal(model_library_resolve(&a, STR("apple"), &path, &d), ERR_OK);
    assert_true(str_ends(path, STR("/apple.gguf")));
    assert_int_equal(model_library_resolve(&a, path, &again, &d), ERR_OK);
    assert_true(str_eq(path, again));
    arena_done(&a);
}

static void an_absent_model_is_refused_with_the_remedy(void **state)
{
    (void)state;
    struct arena a;
    struct diag d = {0};
    str path;
    arena_init(&a, 1u << 20);
    assert_int_equal(model_library_resolve(&a, STR("smollm2"), &path, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "weir model pull smollm2"));
    assert_int_equal(model_library_resolve(&a, STR("/nowhere/at/all.gguf"), &path, &d),
                     ERR_NOT_FOUND);
    assert_int_equal(model_library_resolve(&a, STR("nobody"), &path, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "weir model list"));
    assert_int_equal(model_library_resolve(&a, (str){"a\0b", 3}, &path, &d), ERR_INVALID);
    arena_done(&a);
}

static void no_name_leaves_the_folder(void **state)
{
    (void)state;
    assert_true(model_library_name_ok(STR("SmolLM2-135M.Q4_1")));
    assert_false(model_library_name_ok(STR("../etc/passwd")));
    assert_false(model_library_name_ok(STR("..")));
    assert_false(model_library_name_ok(STR(".hidden")));
    assert_false(model_library_name_ok(STR("a/b")));
    assert_false(model_library_name_ok(STR("a b")));
    assert_false(model_library_name_ok(STR("")));
}

static void the_catalog_is_whole(void **state)
{
    (void)state;
    const struct model_catalog_entry *e = model_catalog_find(STR("smollm2"));
    assert_non_null(e);
    assert_int_equal(strlen(e->sha256), 64);
    assert_true(model_library_name_ok(str_of(e->file_name)));
    assert_null(model_catalog_find(STR("smollm")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder_is_listed_by_name),
        cmocka_unit_test(a_pulled_name_and_a_path_resolve),
        cmocka_unit_test(an_absent_model_is_refused_with_the_remedy),
        cmocka_unit_test(no_name_leaves_the_folder),
        cmocka_unit_test(the_catalog_is_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
