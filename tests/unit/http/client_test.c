// REQ: PROV-8 ROUTE-2 ROUTE-5 SEC-3
// The client against a scripted server: what is reused, retried, followed, timed out and refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "http/client.h"

// --- A server whose nth request (over all connections) meets the nth line of its script.

struct step {
    const char *say; // NULL: say nothing until the client goes
    bool then_close;
    bool slowly;       // a byte at a time
    bool close_unread; // close this connection before the next request is read
};

struct server {
    struct thread thread;
    int listener;
    uint16_t port;
    const struct step *script;
    size_t steps;
    _Atomic size_t at; // the test looks at it too
    size_t connections;
    char heard[8][1024];
};

static bool read_request(struct server *s, int fd, char *heard)
{
    size_t len = 0;
    (void)s;
    memset(heard, 0, 1024);
    while (!strstr(heard, "\r\n\r\n")) {
        ssize_t n = read(fd, heard + len, 1023 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
    return true;
}

static void say(int fd, const struct step *step)
{
    size_t len = strlen(step->say);
    for (size_t i = 0; i < len; i += step->slowly ? 1 : len)
        if (write(fd, step->say + i, step->slowly ? 1 : len) < 0)
            return;
}

static void until_gone(int fd)
{
    char byte;
    while (read(fd, &byte, 1) > 0)
        ;
}

static void serve_connection(struct server *s, int fd)
{
    while (s->at < s->steps) {
        char heard[1024];
        if (!read_request(s, fd, heard))
            return;
        const struct step *step = &s->script[s->at];
        memcpy(s->heard[s->at % 8], heard, sizeof heard);
        s->at++;
        if (!step->say) {
            until_gone(fd);
            return;
        }
        say(fd, step);
        if (step->then_close || step->close_unread)
            return;
    }
    until_gone(fd);
}

static void serve(void *arg)
{
    struct server *s = arg;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            return;
        s->connections++;
        serve_connection(s, fd);
        close(fd);
    }
}

struct run {
    struct server server;
    struct loop *loop;
    struct http_client *client;
    int status;
    char body[4096], url[128];
    size_t body_len;
    bool over;
    enum err e;
    struct diag d;
};

static void on_head(void *ctx, const struct h1_head *head)
{
    ((struct run *)ctx)->status = head->status;
}

static void on_body(void *ctx, str bytes)
{
    struct run *r = ctx;
    size_t n = min_size(bytes.len, sizeof r->body - 1 - r->body_len);
    memcpy(r->body + r->body_len, bytes.ptr, n);
    r->body_len += n;
    r->body[r->body_len] = '\0';
}

static void on_end(void *ctx)
{
    ((struct run *)ctx)->over = true;
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct run *r = ctx;
    r->over = true;
    r->e = e;
    r->d = *d;
}

static const struct http_answer_handler handler = {on_head, on_body, on_end, on_error};

static void begin(struct run *r, const struct step *script, size_t steps)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    memset(r, 0, sizeof *r);
    r->server.script = script;
    r->server.steps = steps;
    r->server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (r->server.listener < 0)
        abort(); // the machine has no socket to give
    assert_int_equal(bind(r->server.listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(r->server.listener, 8), 0);
    getsockname(r->server.listener, (struct sockaddr *)&a, &len);
    r->server.port = ntohs(a.sin_port);
    assert_int_equal(thread_start(&r->server.thread, "server", serve, &r->server, NULL), ERR_OK);
    assert_int_equal(loop_new(LOOP_BACKEND_DEFAULT, &r->loop, NULL), ERR_OK);
    struct http_client_options o = http_client_options_default;
    o.ignore_proxies = true;
    o.header_bytes_max = 4096;
    assert_int_equal(http_client_new(r->loop, &o, &r->client, NULL), ERR_OK);
}

static void finish(struct run *r)
{
    http_client_free(r->client);
    loop_run_once(r->loop, 0);
    loop_free(r->loop);
    shutdown(r->server.listener, SHUT_RDWR);
    thread_join(&r->server.thread);
    close(r->server.listener);
}

static struct http_exchange *ask(struct run *r, struct http_request q, const char *path)
{
    r->over = false;
    r->e = ERR_OK;
    r->status = 0;
    r->body_len = 0;
    r->body[0] = '\0';
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%u%s", r->server.port, path);
    q.url = str_of(r->url);
    if (!q.method.len)
        q.method = STR("GET");
    return http_client_send(r->client, &q, &handler, r);
}

static void wait_over(struct run *r)
{
    for (int i = 0; i < 1000 && !r->over; i++)
        loop_run_once(r->loop, 10);
    assert_true(r->over);
}

static void get(struct run *r, const char *path)
{
    ask(r, (struct http_request){0}, path);
    wait_over(r);
}

#define OK_FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void a_connection_is_used_again(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say = OK_FIVE},
        {.say = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         .slowly = true},
        {.say = OK_FIVE},
    };
    struct run r;
    begin(&r, script, 3);
    get(&r, "/one?x=y");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    assert_int_equal(http_client_idle_connections(r.client), 1);
    get(&r, "/two");
    assert_string_equal(r.body, "abcde");
    get(&r, "/three");
    assert_int_equal(r.server.connections, 1);
    assert_non_null(strstr(r.server.heard[0], "GET /one?x=y HTTP/1.1\r\nHost: 127.0.0.1:"));
    finish(&r);
}

static void a_body_and_headers_are_sent(void **state)
{
    (void)state;
    static const struct step script[] = {{.say = OK_FIVE}};
    struct run r;
    struct http_headers h = {0};
    begin(&r, script, 1);
    assert_int_equal(http_headers_add(&h, STR("X-Word"), STR("value")), ERR_OK);
    ask(&r, (struct http_request){.method = STR("POST"), .headers = &h, .body = STR("12345678")},
        "/");
    wait_over(&r);
    assert_non_null(strstr(r.server.heard[0], "X-Word: value\r\n"));
    assert_non_null(strstr(r.server.heard[0], "Content-Length: 8\r\n"));
    finish(&r);
}

static void a_kept_connection_that_died_is_replaced_once(void **state)
{
    (void)state;
    static const struct step script[] = {{.say = OK_FIVE, .close_unread = true}, {.say = OK_FIVE}};
    struct run r;
    begin(&r, script, 2);
    get(&r, "/");
    get(&r, "/");
    assert_int_equal(r.e, ERR_OK);
    assert_string_equal(r.body, "hello");
    assert_int_equal(r.server.connections, 2);
    finish(&r);
}

static void an_answer_cut_short_is_an_error(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", .then_close = true},
        {.say = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
         .then_close = true},
        {.say = "HTTP/1.0 200 OK\r\n\r\nuntil the end", .then_close = true},
    };
    struct run r;
    begin(&r, script, 3);
    get(&r, "/");
    assert_int_equal(r.e, ERR_CLOSED);
    assert_string_equal(r.body, "hello");
    get(&r, "/");
    assert_int_equal(r.e, ERR_CLOSED);
    get(&r, "/");
    assert_int_equal(r.e, ERR_OK);
    assert_string_equal(r.body, "until the end");
    finish(&r);
}

static void what_is_not_http_is_refused(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say = "SSH-2.0-OpenSSH\r\n", .then_close = true},
        {.say = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
         .then_close = true},
        {.say =
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         .then_close = true},
    };
    struct run r;
    begin(&r, script, 3);
    for (int i = 0; i < 3; i++) {
        get(&r, "/");
        assert_int_equal(r.e, ERR_UPSTREAM);
    }
    assert_int_equal(http_client_idle_connections(r.client), 0);
    finish(&r);
}

static void an_endless_head_is_refused(void **state)
{
    (void)state;
    static char big[16000];
    static const struct step script[] = {{.say = big, .then_close = true}};
    size_t len = (size_t)snprintf(big, sizeof big, "HTTP/1.1 200 OK\r\nX: ");
    memset(big + len, 'a', sizeof big - len - 1);
    struct run r;
    begin(&r, script, 1);
    get(&r, "/");
    assert_int_not_equal(r.e, ERR_OK);
    finish(&r);
}

static void silence_meets_the_deadlines(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say = NULL},
        {.say = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
        {.say = NULL},
    };
    struct run r;
    begin(&r, script, 3);
    ask(&r, (struct http_request){.headers_timeout_ms = 60}, "/");
    wait_over(&r);
    assert_int_equal(r.e, ERR_TIMEOUT);
    assert_non_null(strstr(r.d.text, "did not begin to answer"));
    ask(&r, (struct http_request){.idle_timeout_ms = 60}, "/");
    wait_over(&r);
    assert_int_equal(r.e, ERR_TIMEOUT);
    assert_non_null(strstr(r.d.text, "sent nothing"));
    ask(&r, (struct http_request){.total_timeout_ms = 60}, "/");
    wait_over(&r);
    assert_int_equal(r.e, ERR_TIMEOUT);
    assert_non_null(strstr(r.d.text, "was not over"));
    finish(&r);
}

static void redirects_are_followed_where_asked(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 4\r\n\r\ngone"},
        {.say = OK_FIVE},
        {.say = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 4\r\n\r\ngone"},
        {.say = "HTTP/1.1 301 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"},
        {.say = "HTTP/1.1 301 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"},
    };
    struct run r;
    begin(&r, script, 5);
    ask(&r, (struct http_request){.redirects_max = 3}, "/here");
    wait_over(&r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    assert_non_null(strstr(r.server.heard[1], "GET /there "));
    get(&r, "/here"); // not asked to follow
    assert_int_equal(r.status, 302);
    ask(&r, (struct http_request){.redirects_max = 1}, "/loop");
    wait_over(&r);
    assert_int_equal(r.status, 301); // the bound is reached: the caller sees it
    finish(&r);
}

static void interim_answers_are_passed_over(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.say =
             "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_FIVE}};
    struct run r;
    begin(&r, script, 1);
    get(&r, "/");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    finish(&r);
}

static void a_cancelled_exchange_closes_its_connection_at_once(void **state)
{
    (void)state;
    static const struct step script[] = {{.say = NULL}, {.say = OK_FIVE}};
    struct run r;
    begin(&r, script, 2);
    struct http_exchange *x = ask(&r, (struct http_request){0}, "/");
    for (int i = 0; i < 500 && r.server.at == 0; i++)
        loop_run_once(r.loop, 10);
    http_exchange_cancel(x);
    loop_run_once(r.loop, 10);
    assert_false(r.over);
    get(&r, "/"); // the server's only thread is free again: it saw the end of the first
    assert_int_equal(r.status, 200);
    finish(&r);
}

static void nothing_can_be_smuggled_into_a_request(void **state)
{
    (void)state;
    struct run r;
    struct http_headers h = {0};
    begin(&r, NULL, 0);
    assert_int_equal(http_headers_add(&h, STR("X-A"), STR("a\r\nX-B: b")), ERR_OK);
    ask(&r, (struct http_request){.headers = &h}, "/");
    wait_over(&r);
    assert_int_equal(r.e, ERR_INVALID);
    ask(&r, (struct http_request){.method = STR("GET / HTTP/1.1\r\nX:")}, "/");
    wait_over(&r);
    assert_int_equal(r.e, ERR_INVALID);
    ask(&r, (struct http_request){0}, "/a b");
    wait_over(&r);
    assert_int_not_equal(r.e, ERR_OK);
    assert_int_equal(r.server.connections, 0);
    finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(a_body_and_headers_are_sent),
        cmocka_unit_test(a_kept_connection_that_died_is_replaced_once),
        cmocka_unit_test(an_answer_cut_short_is_an_error),
        cmocka_unit_test(what_is_not_http_is_refused),
        cmocka_unit_test(an_endless_head_is_refused),
        cmocka_unit_test(silence_meets_the_deadlines),
        cmocka_unit_test(redirects_are_followed_where_asked),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(a_cancelled_exchange_closes_its_connection_at_once),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
