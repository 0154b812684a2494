// REQ: OBS-1 SEC-2
// One record is one line, in logfmt or JSON, and no value can forge a second line, write to the
// terminal or break the JSON.
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "support/unit.h"

static int saved_stderr = -1;
static FILE *caught;

static int catch_begin(void **state)
{
    (void)state;
    caught = tmpfile();
    saved_stderr = dup(STDERR_FILENO);
    if (!caught || saved_stderr < 0)
        return -1;
    fcntl(fileno(caught), F_SETFL, O_APPEND);
    return dup2(fileno(caught), STDERR_FILENO) < 0 ? -1 : 0;
}

static int catch_end(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    fclose(caught);
    log_configure(LOG_INFO, LOG_LOGFMT);
    return 0;
}

// What was written so far; the caller frees.
static char *said(void)
{
    off_t size = lseek(fileno(caught), 0, SEEK_END);
    assert_true(size >= 0);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(caught), text, (size_t)size, 0), size);
    return text;
}

static size_t lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void logfmt_is_for_people(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_LOGFMT);
    log_write(LOG_INFO, "listening", LOG_Z("address", "127.0.0.1:80"), LOG_I("port", -80),
              LOG_F("load", 0.25), LOG_B("ready", true), LOG_Z("note", "two words"),
              LOG_S("empty", STR("")));
    char *text = said();
    assert_non_null(strstr(text, " level=info msg=listening address=127.0.0.1:80 port=-80 "
                                 "load=0.25 ready=true note=\"two words\" empty=\"\"\n"));
    assert_int_equal(strncmp(text, "time=20", 7), 0);
    assert_int_equal(lines(text), 1);
    free(text);
}

static void json_reads_back_whatever_is_in_it(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_JSON);
    log_write(LOG_WARN, "odd \"message\"", LOG_S("bytes", STR("a\xff\x00z\n\x1b[31m")),
              LOG_F("nan", NAN), LOG_I("big", INT64_MIN));
    char *text = said();
    assert_int_equal(lines(text), 1);
    struct json_doc doc;
    str line = str_trim(str_of(text));
    assert_int_equal(json_parse(&doc, line, JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    assert_true(str_eq(json_str(json_get(doc.root, "msg")), STR("odd \"message\"")));
    assert_true(str_eq(json_str(json_get(doc.root, "level")), STR("warn")));
    assert_true(str_eq(json_str(json_get(doc.root, "bytes")), STR("a\xef\xbf\xbd\0z\n\x1b[31m")));
    int64_t big = 0;
    assert_true(json_is_int(json_get(doc.root, "big"), &big));
    assert_true(big == INT64_MIN);
    assert_true(yyjson_is_null(json_get(doc.root, "nan")));
    json_done(&doc);
    free(text);
}

static void no_value_forges_a_line_or_drives_the_terminal(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_LOGFMT);
    log_write(LOG_INFO, "x", LOG_Z("a", "one\ntime=2026 level=error"), LOG_Z("b", "\x1b]0;t\x07"),
              LOG_Z("c", "\xc2\x9b"
                         "31m"),
              LOG_Z("d", "\x7f"));
    char *text = said();
    assert_int_equal(lines(text), 1);
    for (const char *c = text; *c; c++)
        assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && *c != 0x7f));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_non_null(strstr(text, "c=\"\\u009b31m\""));
    free(text);
}

static void levels_below_the_least_are_counted_but_not_written(void **state)
{
    (void)state;
    log_configure(LOG_WARN, LOG_LOGFMT);
    uint64_t before = log_count(LOG_DEBUG);
    log_write(LOG_DEBUG, "quiet");
    log_write(LOG_ERROR, "loud");
    assert_int_equal(log_count(LOG_DEBUG), before + 1);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    char *text = said();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "loud"));
    free(text);
}

// A line that would be too long stays valid and says that it was cut.
static void a_huge_record_is_cut_and_still_json(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_JSON);
    char *huge = malloc(100001);
    assert_non_null(huge);
    memset(huge, '"', 100000); // the worst: each byte is escaped
    huge[100000] = '\0';
    log_write(LOG_INFO, "x", LOG_Z("a", huge), LOG_Z("b", huge), LOG_Z("c", huge), LOG_I("d", 1));
    free(huge);
    char *text = said();
    assert_true(strlen(text) <= 8192);
    assert_int_equal(lines(text), 1);
    struct json_doc doc;
    assert_int_equal(json_parse(&doc, str_trim(str_of(text)), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    assert_true(yyjson_is_true(json_get(doc.root, "cut")));
    assert_non_null(json_get(doc.root, "a"));
    json_done(&doc);
    free(text);
}

static void log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_write(LOG_INFO, "many", LOG_I("thread", (intptr_t)arg), LOG_I("turn", i));
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    log_configure(LOG_INFO, LOG_LOGFMT);
    struct thread threads[4];
    for (intptr_t i = 0; i < 4; i++)
        assert_int_equal(thread_start(&threads[i], "logger", log_many, (void *)i, NULL), ERR_OK);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    char *text = said();
    str rest = str_of(text), line;
    size_t count = 0;
    while (str_split(&rest, '\n', &line)) {
        assert_true(str_starts(line, STR("time=")));
        assert_true(str_find(line, STR(" msg=many thread=")) != SIZE_MAX);
        count++;
    }
    assert_int_equal(count, 800);
    free(text);
}

#define CAUGHT(test) cmocka_unit_test_setup_teardown(test, catch_begin, catch_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAUGHT(logfmt_is_for_people),
        CAUGHT(json_reads_back_whatever_is_in_it),
        CAUGHT(no_value_forges_a_line_or_drives_the_terminal),
        CAUGHT(levels_below_the_least_are_counted_but_not_written),
        CAUGHT(a_huge_record_is_cut_and_still_json),
        CAUGHT(threads_do_not_mix_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
