// REQ: REL-3
// A new file is there whole or not at all: not before it is complete, not after its writer was
// killed, and never over another unless that is asked.
#include "base/new_file.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "support/unit.h"

static char folder[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-new-file-XXXXXX");
    bool good = mkdtemp(folder) != NULL;
    snprintf(path, sizeof path, "%s/file", folder);
    return good ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static size_t names(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void holds(const char *text)
{
    struct buf b;
    struct diag d = {0};
    assert_int_equal(fs_read(path, 100, &b, &d), ERR_OK);
    assert_true(str_eq_z(buf_str(&b), text));
    buf_done(&b);
}

static void write_text(struct new_file *f, const char *text)
{
    struct diag d = {0};
    assert_int_equal(new_file_open(f, path, &d), ERR_OK);
    assert_int_equal(new_file_write(f, text, strlen(text), &d), ERR_OK);
}

static void it_is_there_when_it_is_complete(void **state)
{
    (void)state;
    struct new_file f;
    struct diag d = {0};
    write_text(&f, "one");
    assert_false(fs_exists(path));
    assert_int_equal(new_file_commit(&f, false, &d), ERR_OK);
    holds("one");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
    assert_int_equal(names(), 1);
}

static void another_file_stays_unless_asked(void **state)
{
    (void)state;
    struct new_file f;
    struct diag d = {0};
    write_text(&f, "one");
    assert_int_equal(new_file_commit(&f, false, &d), ERR_OK);
    write_text(&f, "two");
    assert_int_equal(new_file_commit(&f, false, &d), ERR_DENIED);
    assert_non_null(strstr(d.text, path));
    holds("one");
    write_text(&f, "three");
    assert_int_equal(new_file_commit(&f, true, &d), ERR_OK);
    holds("three");
    write_text(&f, "four");
    new_file_abandon(&f);
    holds("three");
    assert_int_equal(names(), 1);
}

static void a_killed_writer_leaves_no_file(void **state)
{
    (void)state;
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
        struct new_file f;
        if (new_file_open(&f, path, NULL) == ERR_OK &&
            new_file_write(&f, "half", 4, NULL) == ERR_OK)
            (void)!write(told[1], "x", 1);
        pause();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(told[0]);
    close(told[1]);
    assert_false(fs_exists(path));
}

static void an_absent_folder_is_named(void **state)
{
    (void)state;
    struct new_file f;
    struct diag d = {0};
    assert_int_equal(new_file_open(&f, "/no/such/folder/file", &d), ERR_IO);
    assert_non_null(strstr(d.where, "/no/such/folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_there_when_it_is_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(another_file_stays_unless_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_writer_leaves_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(an_absent_folder_is_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
