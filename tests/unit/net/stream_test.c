// REQ: API-11 SEC-3
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "backends.h"

#include "base/mem.h"
#include "net/sock.h"
#include "net/stream.h"

struct seen {
    struct loop *l;
    struct stream *s;
    struct buf in;
    int data_calls, ends, drains, errors, sents;
    enum err error;
    size_t pause_after;
    bool close_in_data, echo;
};

static void on_data(void *ctx, str bytes)
{
    struct seen *t = ctx;
    t->data_calls++;
    assert_int_equal(buf_append_str(&t->in, bytes), ERR_OK);
    if (t->echo)
        stream_write(t->s, bytes);
    if (t->pause_after && t->in.len >= t->pause_after)
        stream_pause(t->s);
    if (t->close_in_data)
        stream_close(t->s);
}

static void on_end(void *ctx)
{
    ((struct seen *)ctx)->ends++;
}

static void on_drained(void *ctx)
{
    ((struct seen *)ctx)->drains++;
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct seen *t = ctx;
    t->errors++;
    t->error = e;
    assert_true(strlen(d->text) > 5);
}

static void on_sent(void *ctx)
{
    ((struct seen *)ctx)->sents++;
}

static const struct stream_handler handler = {
    .data = on_data, .end = on_end, .drained = on_drained, .error = on_error, .sent = on_sent};

// A stream over one end of a TCP connection; the other end is a plain blocking-ish descriptor.
static int open_pair(struct seen *t)
{
    struct sock_address at, peer;
    int listener, far, near;
    *t = (struct seen){.l = new_loop()};
    buf_init(&t->in, SIZE_MAX);
    assert_int_equal(sock_address_parse("127.0.0.1:0", &at, NULL), ERR_OK);
    assert_int_equal(sock_listen(&at, false, &listener, NULL), ERR_OK);
    assert_int_equal(sock_local_address(listener, &at), ERR_OK);
    enum err e = sock_connect(&at, &far, NULL);
    assert_true(e == ERR_OK || e == ERR_AGAIN);
    while ((e = sock_accept(listener, &near, &peer)) == ERR_AGAIN)
        usleep(100);
    assert_int_equal(e, ERR_OK);
    close(listener);
    t->s = stream_new(t->l, near, NULL, &handler, t);
    assert_non_null(t->s);
    return far;
}

static void close_pair(struct seen *t, int far)
{
    stream_close(t->s);
    loop_run_once(t->l, 0);
    if (far >= 0)
        close(far);
    loop_free(t->l);
    buf_done(&t->in);
}

static void turns(struct seen *t, int n)
{
    for (int i = 0; i < n; i++)
        loop_run_once(t->l, 2);
}

static void far_send(int far, const char *text)
{
    assert_int_equal(sock_send(far, text, strlen(text)), strlen(text));
}

static void reset(int far)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(far, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(far);
}

static ssize_t far_read(int far, char *into, size_t len)
{
    ssize_t n = 0;
    for (int i = 0; i < 1000; i++) {
        n = recv(far, into, len, 0);
        if (n >= 0 || errno != EAGAIN)
            return n;
        usleep(100);
    }
    return n;
}

static void bytes_pass_both_ways(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char got[16] = {0};
    far_send(far, "hello");
    turns(&t, 3);
    assert_true(str_eq(buf_str(&t.in), STR("hello")));
    assert_int_equal(stream_write(t.s, STR("there")), ERR_OK);
    turns(&t, 1);
    assert_int_equal(stream_pending_bytes(t.s), 0);
    assert_int_equal(far_read(far, got, sizeof got), 5);
    assert_memory_equal(got, "there", 5);
    assert_true(str_starts(stream_peer(t.s), STR("127.0.0.1:")));
    close_pair(&t, far);
}

static void writes_of_one_turn_leave_in_one_send(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char got[16];
    for (int i = 0; i < 4; i++)
        assert_int_equal(stream_write(t.s, STR("ab")), ERR_OK);
    assert_int_equal(recv(far, got, sizeof got, 0), -1); // nothing before the turn ends
    turns(&t, 1);
    assert_int_equal(far_read(far, got, sizeof got), 8);
    close_pair(&t, far);
}

static void an_end_is_told_after_the_bytes_before_it(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    far_send(far, "last words");
    shutdown(far, SHUT_WR);
    turns(&t, 5);
    assert_int_equal(t.in.len, 10);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.errors, 0);
    assert_true(stream_ended(t.s));
    char got[8];
    stream_write(t.s, STR("reply")); // our side is still open
    turns(&t, 2);
    assert_int_equal(far_read(far, got, sizeof got), 5);
    close_pair(&t, far);
}

static void a_reset_is_an_error_told_once(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    reset(far);
    turns(&t, 5);
    assert_int_equal(t.errors, 1);
    assert_int_equal(t.error, ERR_CLOSED);
    assert_int_equal(stream_write(t.s, STR("x")), ERR_CLOSED);
    close_pair(&t, -1);
}

static void while_paused_nothing_is_read_and_all_comes_after(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    t.pause_after = 1;
    far_send(far, "one");
    turns(&t, 3);
    far_send(far, "two");
    shutdown(far, SHUT_WR);
    turns(&t, 5);
    assert_int_equal(t.in.len, 3);
    assert_int_equal(t.ends, 0);
    assert_int_equal(t.errors, 0);
    t.pause_after = 0;
    stream_resume(t.s);
    turns(&t, 5);
    assert_int_equal(t.in.len, 6);
    assert_int_equal(t.ends, 1);
    close_pair(&t, far);
}

static void a_watched_hangup_is_told_while_paused(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    t.pause_after = 1;
    stream_watch_hangup(t.s, true);
    far_send(far, "unread will follow");
    turns(&t, 3);
    far_send(far, "unread");
    turns(&t, 3);
    assert_int_equal(t.errors, 0);
    shutdown(far, SHUT_WR);
    turns(&t, 5);
    assert_int_equal(t.errors, 1);
    assert_int_equal(t.error, ERR_CLOSED);
    close_pair(&t, far);
}

static void watching_a_hangup_that_came_before_tells_it(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    stream_pause(t.s);
    shutdown(far, SHUT_WR);
    turns(&t, 5);
    assert_int_equal(t.errors, 0);
    stream_watch_hangup(t.s, true);
    turns(&t, 2);
    assert_int_equal(t.errors, 1);
    close_pair(&t, far);
}

static void a_slow_reader_is_told_of_by_the_watermarks(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char *block = mem_zalloc(65536), *sink = mem_alloc(65536);
    stream_set_limits(t.s, 200000, 50000, 50000000);
    size_t written = 0;
    enum err e = ERR_OK;
    for (int i = 0; i < 1000 && e == ERR_OK; i++, turns(&t, 1)) {
        e = stream_write(t.s, str_slice(block, 65536));
        written += 65536;
    }
    assert_int_equal(e, ERR_AGAIN);
    assert_in_range(stream_pending_bytes(t.s), 200001, 400000);
    usleep(15000);
    turns(&t, 1);
    assert_true(stream_stalled_ms(t.s) >= 10);
    assert_int_equal(t.drains, 0);
    for (size_t got = 0; got < written; turns(&t, 1)) {
        ssize_t n = recv(far, sink, 65536, 0);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(t.drains, 1);
    assert_int_equal(stream_pending_bytes(t.s), 0);
    assert_int_equal(stream_stalled_ms(t.s), 0);
    mem_free(block);
    mem_free(sink);
    close_pair(&t, far);
}

static void more_than_the_limit_is_not_taken(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    stream_set_limits(t.s, 10, 5, 100);
    char block[101] = {0};
    assert_int_equal(stream_write(t.s, str_slice(block, 101)), ERR_LIMIT);
    assert_int_equal(stream_pending_bytes(t.s), 0);
    assert_int_equal(stream_write(t.s, str_slice(block, 100)), ERR_AGAIN);
    close_pair(&t, far);
}

static void closing_inside_a_callback_is_safe(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    t.close_in_data = true;
    far_send(far, "x");
    turns(&t, 5);
    assert_int_equal(t.data_calls, 1);
    char got[4];
    assert_int_equal(far_read(far, got, sizeof got), 0);
    close(far);
    loop_free(t.l);
    buf_done(&t.in);
}

static void close_after_flush_sends_all_and_swallows_what_still_comes(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char *block = mem_zalloc(3000000), *sink = mem_alloc(65536);
    stream_set_limits(t.s, 1, 0, 4000000);
    stream_write(t.s, str_slice(block, 3000000));
    stream_close_after_flush(t.s, 5000);
    far_send(far, "nobody reads this");
    size_t got = 0;
    ssize_t n = -1;
    while (n != 0) {
        loop_run_once(t.l, 1);
        n = recv(far, sink, 65536, 0);
        if (n < 0)
            assert_int_equal(errno, EAGAIN); // no reset
        else
            got += (size_t)n;
    }
    assert_int_equal(got, 3000000);
    close(far);
    for (int i = 0; i < 5; i++)
        loop_run_once(t.l, 1);
    assert_int_equal(t.data_calls, 0);
    loop_free(t.l); // the sanitizer tells when the stream was not freed
    buf_done(&t.in);
    mem_free(block);
    mem_free(sink);
}

static void a_stream_that_lingers_goes_with_its_loop(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char got[8];
    stream_write(t.s, STR("bye"));
    stream_close_after_flush(t.s, 60000);
    loop_run_once(t.l, 2);
    loop_free(t.l); // the sanitizer tells when the stream was not freed
    assert_int_equal(far_read(far, got, sizeof got), 3);
    assert_int_equal(far_read(far, got, sizeof got), 0);
    assert_int_equal(sock_send(far, "x", 1), 1); // closed on the other side: answered by a reset
    usleep(2000);
    assert_int_equal(sock_send(far, "x", 1), -1);
    close(far);
    buf_done(&t.in);
}

static void close_after_flush_gives_up_after_its_time(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    stream_write(t.s, STR("bye"));
    stream_close_after_flush(t.s, 20);
    char got[8];
    for (int i = 0; i < 60; i++)
        loop_run_once(t.l, 2);
    assert_int_equal(far_read(far, got, sizeof got), 3);
    assert_int_equal(far_read(far, got, sizeof got), 0);
    assert_int_equal(sock_send(far, "x", 1), 1); // closed on the other side: answered by a reset
    usleep(2000);
    assert_int_equal(sock_send(far, "x", 1), -1);
    close(far);
    loop_free(t.l);
    buf_done(&t.in);
}

static void shutdown_write_ends_our_side_after_the_queue(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    char got[8];
    stream_write(t.s, STR("fin"));
    stream_shutdown_write(t.s);
    assert_int_equal(stream_write(t.s, STR("late")), ERR_CLOSED);
    assert_int_equal(t.sents, 0);
    turns(&t, 3);
    assert_int_equal(t.sents, 1);
    assert_int_equal(far_read(far, got, sizeof got), 3);
    assert_int_equal(far_read(far, got, sizeof got), 0);
    far_send(far, "still heard");
    turns(&t, 3);
    assert_int_equal(t.in.len, 11);
    close_pair(&t, far);
}

static void a_megabyte_comes_back_from_an_echo(void **state)
{
    (void)state;
    struct seen t;
    int far = open_pair(&t);
    t.echo = true;
    size_t total = 1000000, sent = 0, got = 0;
    char *block = mem_alloc(total), *back = mem_alloc(total);
    for (size_t i = 0; i < total; i++)
        block[i] = (char)(i * 7 + i / 251);
    while (got < total) {
        ssize_t n = sock_send(far, block + sent, total - sent);
        sent += n > 0 ? (size_t)n : 0;
        loop_run_once(t.l, 0);
        n = recv(far, back + got, total - got, 0);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_memory_equal(block, back, total);
    mem_free(block);
    mem_free(back);
    close_pair(&t, far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(writes_of_one_turn_leave_in_one_send),
        cmocka_unit_test(an_end_is_told_after_the_bytes_before_it),
        cmocka_unit_test(a_reset_is_an_error_told_once),
        cmocka_unit_test(while_paused_nothing_is_read_and_all_comes_after),
        cmocka_unit_test(a_watched_hangup_is_told_while_paused),
        cmocka_unit_test(watching_a_hangup_that_came_before_tells_it),
        cmocka_unit_test(a_slow_reader_is_told_of_by_the_watermarks),
        cmocka_unit_test(more_than_the_limit_is_not_taken),
        cmocka_unit_test(closing_inside_a_callback_is_safe),
        cmocka_unit_test(close_after_flush_sends_all_and_swallows_what_still_comes),
        cmocka_unit_test(a_stream_that_lingers_goes_with_its_loop),
        cmocka_unit_test(close_after_flush_gives_up_after_its_time),
        cmocka_unit_test(shutdown_write_ends_our_side_after_the_queue),
        cmocka_unit_test(a_megabyte_comes_back_from_an_echo),
    };
    return RUN_ON_BACKENDS(tests);
}
