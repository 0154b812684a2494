// REQ: PROV-8 SEC-1 ROUTE-5
// Connections as the client opens them: raced addresses, proxies, verified TLS, one deadline over
// all of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "net/connect.h"
#include "support/own_certificate.h"
#include <cmocka.h>

// --- A server of one connection on a thread of its own; what it heard is kept.

struct peer {
    struct thread thread;
    int listener;
    uint16_t port;
    const char *say;         // after the first blank line
    struct tls_context *tls; // then TLS, else plain
    bool silent;             // accept and say nothing
    char heard[2048];
};

static void read_head(struct peer *p, int fd)
{
    size_t len = 0;
    while (len + 1 < sizeof p->heard && !strstr(p->heard, "\r\n\r\n")) {
        ssize_t n = read(fd, p->heard + len, sizeof p->heard - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
}

static void speak_tls(struct peer *p, int fd)
{
    struct stream_io *io = tls_accept(p->tls, NULL, fd);
    char bytes[256];
    ssize_t n = 0;
    if (tls_handshake(io) == ERR_OK && (n = io->ops->read(io, bytes, sizeof bytes)) > 0)
        io->ops->write(io, bytes, (size_t)n); // an echo
    io->ops->shutdown(io);
    io->ops->free(io);
}

static void serve(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0)
        return;
    if (p->silent) {
        char byte;
        while (read(fd, &byte, 1) > 0)
            ;
    }
    if (p->say) {
        read_head(p, fd);
        ssize_t n = write(fd, p->say, strlen(p->say));
        (void)n;
    }
    if (p->tls)
        speak_tls(p, fd);
    close(fd);
}

static void peer_start(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    struct diag d;
    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (p->listener < 0)
        abort(); // the machine has no socket to give
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
    p->port = ntohs(a.sin_port);
    assert_int_equal(thread_start(&p->thread, "peer", serve, p, &d), ERR_OK);
}

static void peer_stop(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    thread_join(&p->thread);
    close(p->listener);
}

static struct tls_context *server_context(void)
{
    struct tls_context *c;
    struct diag d;
    assert_int_equal(
        tls_server_new(&(struct tls_server_options){cert_path, key_path, NULL}, &c, &d), ERR_OK);
    return c;
}

static struct tls_context *client_context(bool trusting)
{
    struct tls_context *c;
    struct diag d;
    struct tls_client_options o = {.ca_file = trusting ? cert_path : NULL};
    assert_int_equal(tls_client_new(&o, &c, &d), ERR_OK);
    return c;
}

// --- The client side

struct client {
    struct loop *loop;
    struct resolver *resolver;
    bool done;
    enum err e;
    struct stream *stream;
    bool absolute;
    struct diag d;
    char heard[256];
    bool over;
};

static void on_data(void *ctx, str bytes)
{
    struct client *c = ctx;
    snprintf(c->heard, sizeof c->heard, STR_FMT, STR_ARG(bytes));
}

static void on_end(void *ctx)
{
    ((struct client *)ctx)->over = true;
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    (void)e;
    (void)d;
    ((struct client *)ctx)->over = true;
}

static const struct stream_handler handler = {.data = on_data, .end = on_end, .error = on_error};

static void on_done(void *ctx, const struct connect_result *r)
{
    struct client *c = ctx;
    c->done = true;
    c->e = r->e;
    c->stream = r->stream;
    c->absolute = r->absolute_form;
    c->d = *r->d;
}

static void client_open(struct client *c)
{
    struct diag d;
    *c = (struct client){0};
    assert_int_equal(loop_new(LOOP_BACKEND_DEFAULT, &c->loop, &d), ERR_OK);
    c->resolver = resolver_new(c->loop);
}

static void client_connect(struct client *c, const struct connect_target *t)
{
    connect_begin(c->loop, c->resolver, t, &handler, c, on_done, c);
    for (int turns = 0; !c->done && turns < 2000; turns++)
        loop_run_once(c->loop, 10);
    assert_true(c->done);
}

static void client_close(struct client *c)
{
    stream_close(c->stream);
    loop_run_once(c->loop, 0);
    resolver_free(c->resolver);
    loop_free(c->loop);
}

static void echo_over(struct client *c)
{
    assert_int_equal(stream_write(c->stream, STR("hello")), ERR_OK);
    for (int turns = 0; !c->over && turns < 500; turns++)
        loop_run_once(c->loop, 10);
    assert_string_equal(c->heard, "hello");
}

// --- The tests

static void a_name_with_two_families_reaches_the_one_that_listens(void **state)
{
    (void)state;
    struct peer p = {.silent = true};
    struct client c;
    peer_start(&p); // on 127.0.0.1 alone, while localhost may be ::1 first
    client_open(&c);
    client_connect(
        &c, &(struct connect_target){.host = STR("localhost"), .port = p.port, .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_OK);
    assert_non_null(c.stream);
    client_close(&c);
    peer_stop(&p);
}

static void a_closed_port_is_told_with_its_address(void **state)
{
    (void)state;
    struct peer p = {.silent = true};
    struct client c;
    peer_start(&p);
    peer_stop(&p); // nobody listens there now
    client_open(&c);
    client_connect(
        &c, &(struct connect_target){.host = STR("127.0.0.1"), .port = p.port, .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_UPSTREAM);
    assert_non_null(strstr(c.d.text, "127.0.0.1"));
    client_close(&c);
}

static void a_name_that_does_not_exist_is_told(void **state)
{
    (void)state;
    struct client c;
    client_open(&c);
    client_connect(&c, &(struct connect_target){
                           .host = STR("no-such-host.invalid"), .port = 1, .timeout_ms = 20000});
    assert_int_not_equal(c.e, ERR_OK);
    assert_non_null(strstr(c.d.text, "no-such-host.invalid"));
    client_close(&c);
}

static void a_trusted_certificate_is_spoken_to(void **state)
{
    (void)state;
    struct peer p = {.tls = server_context()};
    struct client c;
    struct tls_context *tls = client_context(true);
    peer_start(&p);
    client_open(&c);
    client_connect(&c,
                   &(struct connect_target){
                       .host = STR("localhost"), .port = p.port, .tls = tls, .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_OK);
    echo_over(&c);
    client_close(&c);
    peer_stop(&p);
    tls_context_free(tls);
    tls_context_free(p.tls);
}

static void refused_by_certificate(bool trusting, const char *host, const char *word)
{
    struct peer p = {.tls = server_context()};
    struct client c;
    struct tls_context *tls = client_context(trusting);
    peer_start(&p);
    client_open(&c);
    client_connect(&c, &(struct connect_target){
                           .host = str_of(host), .port = p.port, .tls = tls, .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_UPSTREAM);
    assert_null(c.stream);
    assert_non_null(strstr(c.d.text, word));
    client_close(&c);
    peer_stop(&p);
    tls_context_free(tls);
    tls_context_free(p.tls);
}

static void an_unknown_authority_is_refused(void **state)
{
    (void)state;
    refused_by_certificate(false, "localhost", "self-signed");
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    (void)state;
    refused_by_certificate(true, "127.0.0.1", "mismatch");
}

static void a_silent_peer_meets_the_deadline(void **state)
{
    (void)state;
    struct peer p = {.silent = true};
    struct client c;
    struct tls_context *tls = client_context(true);
    peer_start(&p);
    client_open(&c);
    client_connect(&c,
                   &(struct connect_target){
                       .host = STR("localhost"), .port = p.port, .tls = tls, .timeout_ms = 150});
    assert_int_equal(c.e, ERR_TIMEOUT);
    assert_non_null(strstr(c.d.text, "TLS handshake"));
    client_close(&c);
    peer_stop(&p);
    tls_context_free(tls);
}

static void tls_goes_through_a_proxy(void **state)
{
    (void)state;
    struct peer p = {.say = "HTTP/1.1 200 Connection established\r\n\r\n", .tls = server_context()};
    struct client c;
    struct tls_context *tls = client_context(true);
    char proxy[64];
    peer_start(&p);
    snprintf(proxy, sizeof proxy, "http://user:pass@127.0.0.1:%u/", p.port);
    client_open(&c);
    client_connect(&c, &(struct connect_target){.host = STR("localhost"),
                                                .port = 443,
                                                .tls = tls,
                                                .proxy = str_of(proxy),
                                                .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_OK);
    assert_false(c.absolute);
    echo_over(&c);
    assert_non_null(strstr(p.heard, "CONNECT localhost:443 HTTP/1.1\r\n"));
    assert_non_null(strstr(p.heard, "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
    client_close(&c);
    peer_stop(&p);
    tls_context_free(tls);
    tls_context_free(p.tls);
}

static void a_proxy_that_refuses_is_told(void **state)
{
    (void)state;
    struct peer p = {.say = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"};
    struct client c;
    struct tls_context *tls = client_context(true);
    char proxy[64];
    peer_start(&p);
    snprintf(proxy, sizeof proxy, "127.0.0.1:%u", p.port);
    client_open(&c);
    client_connect(&c, &(struct connect_target){.host = STR("localhost"),
                                                .port = 443,
                                                .tls = tls,
                                                .proxy = str_of(proxy),
                                                .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_UPSTREAM);
    assert_non_null(strstr(c.d.text, "407"));
    client_close(&c);
    peer_stop(&p);
    tls_context_free(tls);
}

static void plain_http_through_a_proxy_names_the_whole_url(void **state)
{
    (void)state;
    struct peer p = {.silent = true};
    struct client c;
    char proxy[64];
    peer_start(&p);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", p.port);
    client_open(&c);
    client_connect(&c, &(struct connect_target){.host = STR("far.example"),
                                                .port = 80,
                                                .proxy = str_of(proxy),
                                                .timeout_ms = 5000});
    assert_int_equal(c.e, ERR_OK);
    assert_true(c.absolute);
    client_close(&c);
    peer_stop(&p);
}

static void a_cancelled_connection_says_nothing(void **state)
{
    (void)state;
    struct client c;
    client_open(&c);
    struct connect_target t = {.host = STR("localhost"), .port = 9, .timeout_ms = 5000};
    struct connecting *one = connect_begin(c.loop, c.resolver, &t, &handler, &c, on_done, &c);
    connect_cancel(one);
    struct connecting *two = connect_begin(c.loop, c.resolver, &t, &handler, &c, on_done, &c);
    loop_run_once(c.loop, 50);
    if (!c.done)
        connect_cancel(two);
    for (int i = 0; i < 5; i++)
        loop_run_once(c.loop, 10);
    client_close(&c);
}

static void no_proxy_is_read_as_curl_reads_it(void **state)
{
    (void)state;
    const struct connect_proxies p = {STR("http://a:1"), STR("http://b:2"),
                                      STR("localhost, .corp, other.example:8443,10.0.0.1")};
    assert_true(str_eq_z(connect_proxy_for(&p, false, STR("example.org"), 80), "http://a:1"));
    assert_true(str_eq_z(connect_proxy_for(&p, true, STR("example.org"), 443), "http://b:2"));
    assert_int_equal(connect_proxy_for(&p, true, STR("localhost"), 443).len, 0);
    assert_int_equal(connect_proxy_for(&p, true, STR("deep.CORP"), 443).len, 0);
    assert_int_not_equal(connect_proxy_for(&p, true, STR("notcorp"), 443).len, 0);
    assert_int_equal(connect_proxy_for(&p, true, STR("other.example"), 8443).len, 0);
    assert_int_not_equal(connect_proxy_for(&p, true, STR("other.example"), 443).len, 0);
    assert_int_equal(connect_proxy_for(&p, false, STR("10.0.0.1"), 80).len, 0);
    const struct connect_proxies all = {STR("http://a:1"), STR("http://b:2"), STR("*")};
    assert_int_equal(connect_proxy_for(&all, true, STR("example.org"), 443).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_with_two_families_reaches_the_one_that_listens),
        cmocka_unit_test(a_closed_port_is_told_with_its_address),
        cmocka_unit_test(a_name_that_does_not_exist_is_told),
        cmocka_unit_test(a_trusted_certificate_is_spoken_to),
        cmocka_unit_test(an_unknown_authority_is_refused),
        cmocka_unit_test(a_certificate_for_another_name_is_refused),
        cmocka_unit_test(a_silent_peer_meets_the_deadline),
        cmocka_unit_test(tls_goes_through_a_proxy),
        cmocka_unit_test(a_proxy_that_refuses_is_told),
        cmocka_unit_test(plain_http_through_a_proxy_names_the_whole_url),
        cmocka_unit_test(a_cancelled_connection_says_nothing),
        cmocka_unit_test(no_proxy_is_read_as_curl_reads_it),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
