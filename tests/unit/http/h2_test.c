// REQ: PROV-8 SEC-3
// The codec of HTTP/2 without a network: frames made by hand in, frames read by hand out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/h2.h"

enum {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8
};
enum { WINDOW = 1000 };

static const struct h2_limits limits = {.header_bytes_max = 4096,
                                        .window_min = WINDOW,
                                        .window_max = 4 * WINDOW,
                                        .window_connection = 100 * WINDOW,
                                        .streams_max = 5};

struct answer {
    struct h2_stream stream;
    int status;
    size_t bytes;
    unsigned heads, ends, breaks;
    enum err e;
    char why[400];
};

static void on_head(void *ctx, const struct h1_head *head)
{
    struct answer *a = ctx;
    a->heads++;
    a->status = head->status;
}

static void on_body(void *ctx, str bytes)
{
    ((struct answer *)ctx)->bytes += bytes.len;
}

static void on_end(void *ctx)
{
    ((struct answer *)ctx)->ends++;
}

static void on_broken(void *ctx, enum err e, const struct diag *d)
{
    struct answer *a = ctx;
    a->breaks++;
    a->e = e;
    snprintf(a->why, sizeof a->why, "%s", d->text);
}

static const struct h2_handler handler = {on_head, on_body, on_end, on_broken};

// --- Frames

static void feed_at(struct h2 *h, uint64_t now_ms, uint8_t type, uint8_t flags, uint32_t id,
                    str payload)
{
    char frame[9 + 2048] = {(char)(payload.len >> 16),
                            (char)(payload.len >> 8),
                            (char)payload.len,
                            (char)type,
                            (char)flags,
                            (char)(id >> 24),
                            (char)(id >> 16),
                            (char)(id >> 8),
                            (char)id};
    assert_true(payload.len <= 2048);
    if (payload.len)
        memcpy(frame + 9, payload.ptr, payload.len);
    h2_feed(h, str_slice(frame, 9 + payload.len), now_ms);
}

static void feed(struct h2 *h, uint8_t type, uint8_t flags, uint32_t id, str payload)
{
    feed_at(h, 1, type, flags, id, payload);
}

static void feed_body(struct h2 *h, uint32_t id, size_t len)
{
    static const char zeros[2048];
    feed(h, DATA, 0, id, str_slice(zeros, len));
}

struct sent {
    size_t frames[16];  // by type
    uint32_t last_word; // the last four bytes of the last RST_STREAM or GOAWAY's code
    size_t window[8];   // increments, by stream
    size_t data_bytes;
};

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static struct sent sent(struct h2 *h)
{
    struct sent s = {0};
    struct buf all;
    str bytes;
    buf_init(&all, 1 << 20);
    while (h2_next(h, &bytes))
        assert_int_equal(buf_append_str(&all, bytes), ERR_OK);
    if (str_starts(buf_str(&all), STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
        buf_consume(&all, 24);
    while (all.len) {
        const uint8_t *at = (const uint8_t *)buf_ptr(&all);
        size_t len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        assert_true(all.len >= 9 + len);
        s.frames[at[3] & 15]++;
        if (at[3] == RST_STREAM)
            s.last_word = number(at + 9);
        if (at[3] == GOAWAY)
            s.last_word = number(at + 13);
        if (at[3] == WINDOW_UPDATE)
            s.window[number(at + 5) & 7] += number(at + 9);
        s.data_bytes += at[3] == DATA ? len : 0;
        buf_consume(&all, 9 + len);
    }
    buf_done(&all);
    return s;
}

static struct h2 *begin(void)
{
    struct h2 *h = h2_new(&limits, &handler);
    assert_non_null(h);
    sent(h);
    feed(h, SETTINGS, 0, 0, STR(""));
    feed(h, SETTINGS, 1, 0, STR(""));
    sent(h);
    return h;
}

static const struct h2_request get = {.method = STR("GET"),
                                      .scheme = STR("https"),
                                      .authority = STR("example.test"),
                                      .path = STR("/")};

static void ask(struct h2 *h, struct answer *a)
{
    *a = (struct answer){0};
    assert_int_equal(h2_request(h, &a->stream, &get, a), ERR_OK);
    sent(h);
}

#define OK_HEAD STR("\x88") // :status 200, from the static table

// --- A request's words

static void a_request_is_said_in_http2s_words(void **state)
{
    (void)state;
    static const struct http_header headers[] = {
        {STR("Connection"), STR("close, X-Hop")},
        {STR("x-hop"), STR("1")},
        {STR("Keep-Alive"), STR("timeout=5")},
        {STR("Transfer-Encoding"), STR("chunked")},
        {STR("TE"), STR("gzip")},
        {STR("Upgrade"), STR("h2c")},
        {STR("HOST"), STR("other.test")},
        {STR("Content-Length"), STR("99")},
        {STR("X-Mine"), STR("As It Is")},
        {STR("Te"), STR(" trailers ")},
    };
    static const char *const expected[][2] = {
        {":method", "POST"},     {":scheme", "https"},   {":authority", "other.test"},
        {":path", "/?q=1"},      {"x-mine", "As It Is"}, {"te", " trailers "},
        {"content-length", "3"},
    };
    struct h2_request r = get;
    struct arena a;
    struct http_header *fields;
    size_t len;
    r.method = STR("POST");
    r.path = STR("?q=1");
    r.headers = headers;
    r.headers_len = ARRAY_LEN(headers);
    r.body = STR("abc");
    arena_init(&a, 4096);
    assert_int_equal(h2_request_fields(&r, &a, &fields, &len), ERR_OK);
    assert_int_equal(len, ARRAY_LEN(expected));
    for (size_t i = 0; i < len; i++) {
        assert_true(str_eq_z(fields[i].name, expected[i][0]));
        assert_true(str_eq_z(fields[i].value, expected[i][1]));
    }
    arena_done(&a);
}

static void a_request_beyond_its_memory_is_refused(void **state)
{
    (void)state;
    struct arena a;
    struct http_header *fields;
    size_t len;
    arena_init(&a, 100);
    assert_int_equal(h2_request_fields(&get, &a, &fields, &len), ERR_LIMIT);
    arena_done(&a);
}

// --- Streams

static void one_request_leaves_before_the_settings_and_the_rest_keep_to_them(void **state)
{
    (void)state;
    struct answer a[6];
    struct h2 *h = h2_new(&limits, &handler);
    assert_int_equal(h2_room(h), 1);
    ask(h, &a[0]);
    assert_int_equal(h2_room(h), 0);
    assert_int_equal(h2_request(h, &a[1].stream, &get, &a[1]), ERR_AGAIN);
    assert_false(h2_settled(h));
    feed(h, SETTINGS, 0, 0, str_slice("\0\3\0\0\0\3", 6)); // MAX_CONCURRENT_STREAMS 3
    assert_int_equal(h2_room(h), 2);
    feed(h, SETTINGS, 1, 0, STR(""));
    assert_true(h2_settled(h));
    feed(h, SETTINGS, 0, 0, str_slice("\0\3\0\0\1\0", 6)); // 256: more than our own limit
    assert_int_equal(h2_streams_max(h), 5);
    assert_int_equal(h2_room(h), 4);
    h2_free(h);
}

static void an_answer_is_told_once_and_frees_its_place(void **state)
{
    (void)state;
    struct answer a;
    struct h2 *h = begin();
    ask(h, &a);
    assert_int_equal(h2_open(h), 1);
    feed(h, HEADERS, 4, 1, OK_HEAD);
    feed_body(h, 1, 100);
    feed(h, DATA, 1, 1, STR("end"));
    assert_int_equal(a.status, 200);
    assert_int_equal(a.bytes, 103);
    assert_int_equal(a.ends, 1);
    assert_int_equal(h2_open(h), 0);
    h2_break(h, ERR_CLOSED, NULL);
    assert_int_equal(a.ends + a.breaks, 1);
    h2_free(h);
}

static void a_cancelled_stream_is_reset_and_says_nothing_more(void **state)
{
    (void)state;
    struct answer a, b;
    struct h2 *h = begin();
    ask(h, &a);
    ask(h, &b);
    feed(h, HEADERS, 4, 1, OK_HEAD);
    h2_cancel(&a.stream);
    h2_cancel(&a.stream); // it is over already
    feed_body(h, 1, 100);
    struct sent s = sent(h);
    assert_int_equal(s.frames[RST_STREAM], 1);
    assert_int_equal(s.last_word, 8); // CANCEL
    feed_body(h, 1, 100);             // on its way when the reset left
    assert_int_equal(a.bytes + a.ends + a.breaks, 0);
    assert_int_equal(h2_open(h), 1);
    feed(h, HEADERS, 5, 3, OK_HEAD);
    assert_int_equal(b.ends, 1);
    h2_free(h);
}

static void what_a_server_surely_did_not_do_is_told_apart(void **state)
{
    (void)state;
    struct answer a, b, c, d;
    struct h2 *h = begin();
    ask(h, &a);
    ask(h, &b);
    ask(h, &c);
    feed(h, RST_STREAM, 0, 1, str_slice("\0\0\0\7", 4));     // REFUSED_STREAM
    feed(h, GOAWAY, 0, 0, str_slice("\0\0\0\3\0\0\0\0", 8)); // the last one is b's
    assert_int_equal(a.e, ERR_BUSY);
    assert_int_equal(b.breaks, 0);
    assert_int_equal(c.e, ERR_BUSY);
    assert_true(h2_going(h));
    assert_int_equal(h2_request(h, &d.stream, &get, &d), ERR_AGAIN);
    feed(h, RST_STREAM, 0, 3, str_slice("\0\0\0\2", 4)); // INTERNAL_ERROR
    assert_int_equal(b.e, ERR_CLOSED);
    sent(h);
    assert_true(h2_over(h));
    h2_free(h);
}

static void a_request_that_a_goodbye_overtook_was_not_sent(void **state)
{
    (void)state;
    struct answer a = {0};
    struct h2 *h = begin();
    assert_int_equal(h2_request(h, &a.stream, &get, &a), ERR_OK);
    feed(h, GOAWAY, 0, 0, str_slice("\0\0\0\0\0\0\0\0", 8));
    struct sent s = sent(h);
    assert_int_equal(s.frames[HEADERS], 0);
    assert_int_equal(a.e, ERR_BUSY);
    h2_free(h);
}

static void rules_broken_before_the_request_left_are_no_refusal(void **state)
{
    (void)state;
    struct answer a = {0};
    struct h2 *h = begin();
    assert_int_equal(h2_request(h, &a.stream, &get, &a), ERR_OK);
    feed(h, PING, 0, 0, STR("short"));
    struct sent s = sent(h);
    assert_int_equal(s.frames[HEADERS], 0);
    assert_int_equal(s.last_word, 6); // FRAME_SIZE_ERROR
    assert_int_equal(a.e, ERR_UPSTREAM);
    assert_true(h2_over(h));
    h2_free(h);
}

// --- Windows

static void a_streams_window_opens_only_as_its_bytes_are_used(void **state)
{
    (void)state;
    struct answer a;
    struct h2 *h = begin();
    ask(h, &a);
    feed(h, HEADERS, 4, 1, OK_HEAD);
    feed_body(h, 1, WINDOW);
    assert_int_equal(sent(h).window[1], 0);
    h2_consumed(&a.stream, WINDOW / 2);
    assert_int_equal(sent(h).window[1], WINDOW / 2);
    feed_body(h, 1, WINDOW);                // more than it may
    assert_int_equal(sent(h).last_word, 3); // FLOW_CONTROL_ERROR
    assert_int_equal(a.breaks, 1);
    assert_int_equal(a.e, ERR_UPSTREAM);
    h2_free(h);
}

static void a_reader_that_keeps_up_gets_a_wider_window_until_it_does_not(void **state)
{
    (void)state;
    struct answer a;
    struct h2 *h = begin();
    size_t granted = WINDOW, used = 0;
    ask(h, &a);
    feed(h, HEADERS, 4, 1, OK_HEAD);
    for (int i = 0; i < 40; i++) {
        feed_body(h, 1, WINDOW / 2);
        used += WINDOW / 2;
        h2_consumed(&a.stream, WINDOW / 2);
        granted += sent(h).window[1];
    }
    assert_true(granted - used > 2 * WINDOW && granted - used <= 4 * WINDOW);
    for (int i = 0; i < 8; i++) {
        h2_slow(&a.stream);
        feed_body(h, 1, WINDOW / 2);
        used += WINDOW / 2;
        h2_consumed(&a.stream, WINDOW / 2);
        granted += sent(h).window[1];
    }
    assert_true(granted - used <= WINDOW);
    h2_free(h);
}

static void the_connections_window_is_given_back_at_once(void **state)
{
    (void)state;
    struct answer a[5];
    struct h2 *h = begin();
    size_t given = 0;
    for (int round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < 5; i++) {
            ask(h, &a[i]);
            uint32_t id = (uint32_t)(round * 10) + i * 2 + 1;
            feed(h, HEADERS, 4, id, OK_HEAD);
            feed_body(h, id, WINDOW); // never used
        }
        for (int i = 0; i < 5; i++)
            h2_cancel(&a[i].stream);
        given += sent(h).window[0];
    }
    assert_true(given >= 50 * WINDOW);
    h2_free(h);
}

static void a_body_is_sent_as_far_as_the_servers_window_goes(void **state)
{
    (void)state;
    static char body[100000];
    struct answer a = {0};
    struct h2_request r = get;
    struct h2 *h = begin();
    r.method = STR("POST");
    r.body = str_slice(body, sizeof body);
    assert_int_equal(h2_request(h, &a.stream, &r, &a), ERR_OK);
    assert_int_equal(sent(h).data_bytes, 65535);
    feed(h, HEADERS, 5, 1, OK_HEAD); // it has heard enough
    assert_int_equal(a.ends, 1);
    struct sent s = sent(h);
    assert_int_equal(s.frames[RST_STREAM], 1);
    assert_int_equal(s.last_word, 0); // NO_ERROR
    h2_free(h);
}

// --- Floods

static void frames_that_carry_nothing_are_counted_against_time(void **state)
{
    (void)state;
    struct answer a;
    struct h2 *h = begin();
    uint64_t now_ms = 1000;
    ask(h, &a);
    for (int i = 0; i < 50000; i++) { // one each 2 ms: unpleasant, no flood
        feed_at(h, now_ms += 2, PING, 0, 0, STR("12345678"));
        assert_int_equal(sent(h).frames[PING], 1);
    }
    assert_false(h2_over(h));
    for (int i = 0; i < 20000 && !h2_over(h); i++) {
        feed_at(h, now_ms, PING, 0, 0, STR("12345678"));
        sent(h);
    }
    assert_true(h2_over(h));
    h2_break(h, ERR_CLOSED, NULL);
    assert_int_equal(a.e, ERR_UPSTREAM);
    assert_non_null(strstr(a.why, "floods"));
    h2_free(h);
}

static void what_the_peer_says_last_is_told_to_every_stream(void **state)
{
    (void)state;
    struct answer a, b;
    struct h2 *h = begin();
    ask(h, &a);
    ask(h, &b);
    feed(h, GOAWAY, 0, 0,
         STR("\0\0\0\3\0\0\0\x0b"
             "slow \x07"
             "down"));
    h2_break(h, ERR_CLOSED, NULL);
    assert_int_equal(a.e, ERR_CLOSED);
    assert_non_null(strstr(a.why, "ENHANCE_YOUR_CALM: slow ?down"));
    assert_string_equal(a.why, b.why);
    h2_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_said_in_http2s_words),
        cmocka_unit_test(a_request_beyond_its_memory_is_refused),
        cmocka_unit_test(one_request_leaves_before_the_settings_and_the_rest_keep_to_them),
        cmocka_unit_test(an_answer_is_told_once_and_frees_its_place),
        cmocka_unit_test(a_cancelled_stream_is_reset_and_says_nothing_more),
        cmocka_unit_test(what_a_server_surely_did_not_do_is_told_apart),
        cmocka_unit_test(a_request_that_a_goodbye_overtook_was_not_sent),
        cmocka_unit_test(rules_broken_before_the_request_left_are_no_refusal),
        cmocka_unit_test(a_streams_window_opens_only_as_its_bytes_are_used),
        cmocka_unit_test(a_reader_that_keeps_up_gets_a_wider_window_until_it_does_not),
        cmocka_unit_test(the_connections_window_is_given_back_at_once),
        cmocka_unit_test(a_body_is_sent_as_far_as_the_servers_window_goes),
        cmocka_unit_test(frames_that_carry_nothing_are_counted_against_time),
        cmocka_unit_test(what_the_peer_says_last_is_told_to_every_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
