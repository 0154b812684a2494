#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/symbol.h"
#include "net/watchdog.h"

static void hog_the_loop(void *ctx)
{
    bool *done = ctx;
    usleep(120000);
    *done = true;
}

static void stay_short(void *ctx)
{
    *(bool *)ctx = true;
}

static void quiet_turns(struct loop *l)
{
    for (int i = 0; i < 3; i++)
        loop_run_once(l, 0);
    usleep(50000); // a watchdog of 30 ms has seen the loop wait by now, and sleeps
}

// Run `function` on a loop under a watchdog of 30 ms that sleeps meanwhile; the log goes to a file
// that is read back.
static uint64_t run_watched(void (*function)(void *), char *log, size_t log_size)
{
    struct loop *l = new_loop();
    struct watchdog *w = NULL;
    char path[] = "/tmp/weir-watchdog-XXXXXX";
    int file = mkstemp(path), kept = dup(STDERR_FILENO);
    bool done = false;
    if (file < 0 || kept < 0)
        abort(); // no file for the log, or no descriptor
    unlink(path);
    dup2(file, STDERR_FILENO);
    enum err started = watchdog_start(&l, 1, 30, &w, NULL);
    quiet_turns(l);
    enum err posted = loop_post(l, function, &done);
    turn_until(l, &done, 1000);
    usleep(60000); // a waiting loop is no stalled one
    uint64_t stalls = w ? watchdog_stalls(w) : 0;
    watchdog_stop(w);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t n = pread(file, log, log_size - 1, 0);
    log[n > 0 ? n : 0] = '\0';
    close(file);
    loop_free(l);
    assert_int_equal(started, ERR_OK);
    assert_int_equal(posted, ERR_OK);
    assert_true(done);
    return stalls;
}

static void a_callback_that_holds_the_loop_is_named_once(void **state)
{
    (void)state;
    char log[4096];
    assert_int_equal(run_watched(hog_the_loop, log, sizeof log), 1);
    assert_non_null(strstr(log, "loop stalled"));
    assert_non_null(strstr(log, "callback=hog_the_loop"));
    assert_non_null(strstr(log, "for_ms="));
}

static void a_short_callback_and_a_waiting_loop_are_not(void **state)
{
    (void)state;
    char log[4096];
    assert_int_equal(run_watched(stay_short, log, sizeof log), 0);
    assert_string_equal(log, "");
}

static void functions_have_names(void **state)
{
    (void)state;
    char name[64];
    assert_string_equal(symbol_name((void (*)(void))hog_the_loop, name, sizeof name),
                        "hog_the_loop");
    assert_string_equal(symbol_name((void (*)(void))loop_run, name, sizeof name), "loop_run");
    symbol_name((void (*)(void))16, name, sizeof name);
    assert_string_equal(name, "0x10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callback_that_holds_the_loop_is_named_once),
        cmocka_unit_test(a_short_callback_and_a_waiting_loop_are_not),
        cmocka_unit_test(functions_have_names),
    };
    log_configure(LOG_INFO, LOG_LOGFMT);
    return RUN_ON_BACKENDS(tests);
}
