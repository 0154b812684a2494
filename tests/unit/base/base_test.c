// REQ: REL-2
// A broken assertion names itself, shows a backtrace and aborts.
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "support/unit.h"

// Runs `act` in a child; its standard error comes back in `out`, its wait status is returned.
static int in_child(void (*act)(void), char *out, size_t out_size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        act();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (len + 1 < out_size && (got = read(ends[0], out + len, out_size - 1 - len)) > 0)
        len += (size_t)got;
    out[len] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static void break_one(void)
{
    ASSERT(2 + 2 == 5);
}

static void keep_one(void)
{
    ASSERT(2 + 2 == 4);
}

static void a_broken_assertion_names_itself_and_aborts(void **state)
{
    (void)state;
    char said[16384];
    int status = in_child(break_one, said, sizeof said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "2 + 2 == 5"));
    assert_non_null(strstr(said, "base_test.c"));
    assert_non_null(strstr(said, "break_one"));
    const char *first_line_end = strchr(said, '\n');
    assert_non_null(first_line_end);
    assert_true(strlen(first_line_end) > 1); // the backtrace
}

static void a_true_assertion_says_nothing(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(in_child(keep_one, said, sizeof said), 0);
    assert_string_equal(said, "");
}

static void the_member_s_struct_is_found(void **state)
{
    (void)state;
    struct pair {
        int first, second;
    } pair;
    assert_ptr_equal(CONTAINER_OF(&pair.second, struct pair, second), &pair);
    assert_int_equal(min_size(3, 5), 3);
    assert_int_equal(max_size(3, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_assertion_names_itself_and_aborts),
        cmocka_unit_test(a_true_assertion_says_nothing),
        cmocka_unit_test(the_member_s_struct_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
