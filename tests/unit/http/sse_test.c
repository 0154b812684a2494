// REQ: API-1 SEC-4
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "http/sse.h"

enum { LIMIT = 200 };

static void note(struct buf *log, const struct sse_event *e)
{
    buf_printf(log, "[%.*s|%.*s|%.*s]", STR_ARG(e->event), STR_ARG(e->data), STR_ARG(e->id));
}

static bool feed(struct sse_reader *r, str piece, struct buf *log)
{
    char *copy = mem_alloc(piece.len); // of its own size: the sanitizer sees a read beyond it
    memcpy(copy, piece.ptr, piece.len);
    str in = str_slice(copy, piece.len);
    struct sse_event e;
    enum err got;
    while ((got = sse_next(r, &in, &e)) == ERR_OK)
        note(log, &e);
    if (got == ERR_LIMIT)
        buf_printf(log, "LIMIT");
    mem_free(copy);
    return got != ERR_LIMIT;
}

static void events(str input, const char *want)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct random rng;
        struct sse_reader r;
        struct sse_event e;
        struct buf log;
        str rest = input;
        random_seed(&rng, seed);
        sse_reader_init(&r, LIMIT);
        buf_init(&log, SIZE_MAX);
        bool ok = true;
        while (rest.len && ok) {
            size_t len = seed == 0   ? rest.len
                         : seed == 1 ? 1
                                     : min_size(rest.len, 1 + random_below(&rng, 4 * seed));
            ok = feed(&r, str_sub(rest, 0, len), &log);
            rest = str_sub(rest, len, rest.len);
        }
        if (ok && sse_eof(&r, &e) == ERR_OK) {
            buf_printf(&log, "eof");
            note(&log, &e);
        }
        if (!str_eq_z(buf_str(&log), want))
            fail_msg("seed %d: read %.*s, wanted %s", (int)seed, STR_ARG(buf_str(&log)), want);
        buf_done(&log);
        sse_reader_done(&r);
    }
}

// The examples of the standard and the oddities that it allows.
static void events_are_read(void **state)
{
    (void)state;
    events(STR("data: a\n\ndata: b\n\n"), "[message|a|][message|b|]");
    events(STR("data: a\r\n\r\ndata: b\r\rdata: c\r\n\n"), "[message|a|][message|b|][message|c|]");
    events(STR("data: a\ndata: b\ndata:\n\n"), "[message|a\nb\n|]");
    events(STR("event: x\ndata: 1\n\ndata: 2\n\n"), "[x|1|][message|2|]");
    events(STR("id: 7\ndata\n\ndata:y\nid\n\n"), "[message||7][message|y|]");
    events(STR(": comment\n\ndata:  two blanks\n\n"), "[message| two blanks|]");
    events(STR("event: lost\n\ndata: a\n\n"), "[message|a|]");
    events(STR("\xef\xbb\xbf"
               "data: a\n\ndata: \xef\xbb\xbf\n\n"),
           "[message|a|][message|\xef\xbb\xbf|]");
    events(STR("\xef\xbb\xbf\n\ndata: a\n\n"), "[message|a|]");
    events(STR("nonsense\nData: x\ndata: a\nretry: 10\n\n"), "[message|a|]");
    events(STR("\n\n\n\r\r\n"), "");
    events(STR("id: a\0b\ndata: x\n\n"), "[message|x|]");
}

static void an_event_without_its_blank_line_is_given_at_the_end(void **state)
{
    (void)state;
    events(STR("data: a\n\ndata: [DONE]"), "[message|a|]eof[message|[DONE]|]");
    events(STR("data: a\n\ndata: [DONE]\n"), "[message|a|]eof[message|[DONE]|]");
    events(STR("data: a\n\nevent: x\n"), "[message|a|]");
}

static void an_event_too_large_ends_the_stream(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "data: a\n\ndata: %0300d\n\n", 0);
    events(buf_str(&b), "[message|a|]LIMIT");
    buf_clear(&b);
    for (int i = 0; i < 40; i++)
        buf_printf(&b, "data: 0123456789\n");
    events(buf_str(&b), "LIMIT");
    buf_done(&b);
}

static void retry_is_kept(void **state)
{
    (void)state;
    struct sse_reader r;
    struct sse_event e;
    str in = STR("retry: 1500\nretry: x\n\n");
    sse_reader_init(&r, LIMIT);
    assert_int_equal(sse_next(&r, &in, &e), ERR_AGAIN);
    assert_int_equal(r.retry_ms, 1500);
    sse_reader_done(&r);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, SIZE_MAX);
    assert_int_equal(sse_write(&out, STR(""), STR("{\"a\":1}")), ERR_OK);
    assert_true(str_eq(buf_str(&out), STR("data: {\"a\":1}\n\n")));
    assert_int_equal(sse_write_comment(&out, STR("still here")), ERR_OK);
    assert_int_equal(sse_write(&out, STR("x"), STR("a\nb\r\nc\rd")), ERR_OK);
    assert_int_equal(sse_write(&out, STR(""), STR("")), ERR_OK);
    events(buf_str(&out), "[message|{\"a\":1}|][x|a\nb\nc\nd|][message||]");
    assert_int_equal(sse_write(&out, STR("a\nb"), STR("")), ERR_INVALID);
    assert_int_equal(sse_write_comment(&out, STR("a\rb")), ERR_INVALID);
    buf_done(&out);
    buf_init(&out, 10);
    assert_int_equal(sse_write(&out, STR(""), STR("longer than ten")), ERR_LIMIT);
    buf_done(&out);
}

static void lines(str input, const char *want)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random rng;
        struct ndjson_reader r;
        struct buf log;
        str rest = input, line;
        enum err e = ERR_AGAIN;
        random_seed(&rng, seed);
        ndjson_reader_init(&r, LIMIT);
        buf_init(&log, SIZE_MAX);
        while (rest.len && e != ERR_LIMIT) {
            size_t len = seed ? min_size(rest.len, 1 + random_below(&rng, 2 * seed)) : rest.len;
            str in = str_sub(rest, 0, len);
            while ((e = ndjson_next(&r, &in, &line)) == ERR_OK)
                buf_printf(&log, "[%.*s]", STR_ARG(line));
            rest = str_sub(rest, len, rest.len);
        }
        if (e == ERR_LIMIT)
            buf_printf(&log, "LIMIT");
        else if (ndjson_eof(&r, &line) == ERR_OK)
            buf_printf(&log, "eof[%.*s]", STR_ARG(line));
        assert_true(str_eq_z(buf_str(&log), want));
        buf_done(&log);
        ndjson_reader_done(&r);
    }
}

static void lines_of_json_are_read(void **state)
{
    (void)state;
    lines(STR("{\"a\":1}\n{\"b\":2}\r\n\n \n{\"c\":3}"), "[{\"a\":1}][{\"b\":2}]eof[{\"c\":3}]");
    lines(STR(""), "");
    lines(STR("\n\n"), "");
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "1\n%0300d\n", 0);
    lines(buf_str(&b), "[1]LIMIT");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_read),
        cmocka_unit_test(an_event_without_its_blank_line_is_given_at_the_end),
        cmocka_unit_test(an_event_too_large_ends_the_stream),
        cmocka_unit_test(retry_is_kept),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(lines_of_json_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
