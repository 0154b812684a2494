// REQ: ENG-11 REL-3
// Files are read and mapped within limits, replaced whole or not at all, and every failure names
// the file.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "support/unit.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char paths[4][256];
    static size_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-fs-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct buf back;
    struct diag d = {0};
    const char *path = in_folder("file");
    assert_false(fs_exists(path));
    assert_int_equal(fs_write_atomic(path, STR("one\0two"), &d), ERR_OK);
    assert_true(fs_exists(path));
    assert_int_equal(fs_read(path, 100, &back, &d), ERR_OK);
    assert_true(str_eq(buf_str(&back), STR("one\0two")));
    assert_int_equal(back.limit, 100);
    buf_done(&back);
}

static void the_limit_is_exact(void **state)
{
    (void)state;
    struct buf back;
    struct diag d = {0};
    const char *path = in_folder("limit");
    assert_int_equal(fs_write_atomic(path, STR("12345"), &d), ERR_OK);
    assert_int_equal(fs_read(path, 5, &back, &d), ERR_OK);
    buf_done(&back);
    assert_int_equal(fs_read(path, 4, &back, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "4 bytes"));
    assert_string_equal(d.where, path);
    assert_int_equal(fs_read("/dev/zero", 1000, &back, &d), ERR_LIMIT); // endless
    assert_int_equal(fs_write_atomic(path, STR(""), &d), ERR_OK);
    assert_int_equal(fs_read(path, 0, &back, &d), ERR_OK);
    assert_int_equal(back.len, 0);
    buf_done(&back);
}

static void a_large_file_comes_whole(void **state)
{
    (void)state;
    enum { SIZE = 300001 };
    char *big = malloc(SIZE);
    assert_non_null(big);
    for (size_t i = 0; i < SIZE; i++)
        big[i] = (char)(i * 7 >> 3);
    struct buf back;
    assert_int_equal(fs_write_atomic(in_folder("big"), str_slice(big, SIZE), NULL), ERR_OK);
    assert_int_equal(fs_read(in_folder("big"), SIZE, &back, NULL), ERR_OK);
    assert_int_equal(back.len, SIZE);
    assert_memory_equal(buf_ptr(&back), big, SIZE);
    buf_done(&back);
    free(big);
}

static void a_missing_file_is_not_found_and_named(void **state)
{
    (void)state;
    struct buf back;
    struct fs_map map;
    struct diag d = {0};
    assert_int_equal(fs_read(in_folder("none"), 10, &back, &d), ERR_NOT_FOUND);
    assert_int_equal(d.sys, ENOENT);
    assert_non_null(strstr(d.where, "none"));
    assert_int_equal(fs_map_open(in_folder("none"), &map, &d), ERR_NOT_FOUND);
    assert_int_equal(fs_read(folder, 10, &back, &d), ERR_IO); // a folder
    assert_int_equal(d.sys, EISDIR);
}

static size_t files_in_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    int count = -1;
    assert_int_equal(fscanf(p, "%d", &count), 1);
    pclose(p);
    return (size_t)count;
}

static void replacing_keeps_the_mode_and_leaves_nothing_behind(void **state)
{
    (void)state;
    const char *path = in_folder("mode");
    struct stat st;
    assert_int_equal(fs_write_atomic(path, STR("old"), NULL), ERR_OK);
    assert_int_equal(chmod(path, 0600), 0);
    size_t before = files_in_folder();
    assert_int_equal(fs_write_atomic(path, STR("new"), NULL), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(files_in_folder(), before);
}

static void a_failed_replacement_leaves_the_old_file_and_no_new_one(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(mkdir(in_folder("occupied"), 0700), 0);
    size_t before = files_in_folder();
    assert_int_equal(fs_write_atomic(in_folder("occupied"), STR("x"), &d), ERR_IO);
    assert_int_equal(files_in_folder(), before);
    assert_int_equal(fs_write_atomic(in_folder("no/such/folder"), STR("x"), &d), ERR_NOT_FOUND);
}

static void maps_show_the_file_and_refuse_what_is_none(void **state)
{
    (void)state;
    struct fs_map map;
    struct diag d = {0};
    assert_int_equal(fs_write_atomic(in_folder("map"), STR("mapped"), NULL), ERR_OK);
    assert_int_equal(fs_map_open(in_folder("map"), &map, &d), ERR_OK);
    assert_int_equal(map.size, 6);
    assert_memory_equal(map.data, "mapped", 6);
    fs_map_close(&map);
    fs_map_close(&map);
    assert_int_equal(fs_write_atomic(in_folder("empty"), STR(""), NULL), ERR_OK);
    assert_int_equal(fs_map_open(in_folder("empty"), &map, &d), ERR_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    fs_map_close(&map);
    assert_int_equal(fs_map_open(folder, &map, &d), ERR_INVALID);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(fs_map_open(in_folder("fifo"), &map, &d), ERR_INVALID); // and does not hang
}

static void folders_are_made_with_all_above_them(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(fs_mkdirs(in_folder("a/b//c/"), &d), ERR_OK);
    assert_int_equal(fs_mkdirs(in_folder("a/b/c"), &d), ERR_OK);
    assert_true(fs_exists(in_folder("a/b/c")));
    assert_int_equal(fs_write_atomic(in_folder("a/file"), STR("x"), NULL), ERR_OK);
    assert_int_equal(fs_mkdirs(in_folder("a/file/d"), &d), ERR_IO);
    assert_int_equal(d.sys, ENOTDIR);
    assert_int_equal(fs_mkdirs("", &d), ERR_NOT_FOUND);
}

static void data_lies_where_the_xdg_rules_say(void **state)
{
    (void)state;
    struct buf path;
    struct diag d = {0};
    setenv("HOME", "/home/someone", 1);
    setenv("XDG_DATA_HOME", "/elsewhere", 1);
    assert_int_equal(fs_data_dir(&path, &d), ERR_OK);
    assert_string_equal(buf_cstr(&path), "/elsewhere/weir");
    buf_done(&path);
    setenv("XDG_DATA_HOME", "relative", 1); // to be ignored
    assert_int_equal(fs_data_dir(&path, &d), ERR_OK);
    assert_string_equal(buf_cstr(&path), "/home/someone/.local/share/weir");
    buf_done(&path);
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_int_equal(fs_data_dir(&path, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "HOME"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(a_large_file_comes_whole),
        cmocka_unit_test(a_missing_file_is_not_found_and_named),
        cmocka_unit_test(replacing_keeps_the_mode_and_leaves_nothing_behind),
        cmocka_unit_test(a_failed_replacement_leaves_the_old_file_and_no_new_one),
        cmocka_unit_test(maps_show_the_file_and_refuse_what_is_none),
        cmocka_unit_test(folders_are_made_with_all_above_them),
        cmocka_unit_test(data_lies_where_the_xdg_rules_say),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
