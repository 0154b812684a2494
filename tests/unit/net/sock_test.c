#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/sock.h"

static void addresses_read_back_as_written(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"[::1]:0", "[::1]:0"},
        {"[2001:db8::7]:65535", "[2001:db8::7]:65535"},
        {"localhost:80", "127.0.0.1:80"},
        {"*:9", "0.0.0.0:9"},
        {"unix:/tmp/a socket", "unix:/tmp/a socket"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_address a;
        char text[SOCK_ADDRESS_TEXT_MAX];
        assert_int_equal(sock_address_parse(cases[i][0], &a, NULL), ERR_OK);
        assert_string_equal(sock_address_format(&a, text), cases[i][1]);
    }
}

static void bad_addresses_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",       "127.0.0.1", "127.0.0.1:",     "127.0.0.1:65536", "127.0.0.1:-1",
        "::1:80", "[::1]",     "[127.0.0.1]:80", "300.0.0.1:80",    "example.com:80",
        "unix:",  ":80",       "1.2.3.4:8a",     "[]:80",           "127.1:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_address a;
        struct diag d = {0};
        assert_int_equal(sock_address_parse(cases[i], &a, &d), ERR_PARSE);
        assert_true(strlen(d.text) > 10);
    }
    char path[256];
    struct sock_address a;
    snprintf(path, sizeof path, "unix:/%0200d", 1);
    assert_int_equal(sock_address_parse(path, &a, NULL), ERR_LIMIT);
}

static void loopback_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {{"127.0.0.1:1", true},
                 {"127.9.9.9:1", true},
                 {"[::1]:1", true},
                 {"[::ffff:127.0.0.1]:1", true},
                 {"unix:/x", true},
                 {"0.0.0.0:1", false},
                 {"[::]:1", false},
                 {"10.0.0.1:1", false},
                 {"[::ffff:1.2.3.4]:1", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_address a;
        assert_int_equal(sock_address_parse(cases[i].text, &a, NULL), ERR_OK);
        assert_int_equal(sock_address_is_loopback(&a), cases[i].loopback);
    }
}

static int listen_on(const char *text, struct sock_address *ret_bound)
{
    struct sock_address a;
    struct diag d = {0};
    int fd = -1;
    assert_int_equal(sock_address_parse(text, &a, &d), ERR_OK);
    assert_int_equal(sock_listen(&a, false, &fd, &d), ERR_OK);
    assert_int_equal(sock_local_address(fd, ret_bound), ERR_OK);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    assert_int_equal(poll(&p, 1, 2000), 1);
}

// Non-blocking, not inherited by child processes, and nothing waits for a fuller packet.
static void must_be_ready(int fd)
{
    int nodelay = 0;
    socklen_t len = sizeof nodelay;
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_true(nodelay);
}

static void a_connection_is_made_and_accepted(void **state)
{
    (void)state;
    struct sock_address at, peer;
    int listener = listen_on("127.0.0.1:0", &at), client = -1, server = -1;
    assert_true(sock_address_port(&at) != 0);
    assert_int_equal(sock_accept(listener, &server, &peer), ERR_AGAIN);
    enum err e = sock_connect(&at, &client, NULL);
    assert_true(e == ERR_OK || e == ERR_AGAIN);
    wait_for(client, POLLOUT);
    assert_int_equal(sock_take_error(client), 0);
    wait_for(listener, POLLIN);
    assert_int_equal(sock_accept(listener, &server, &peer), ERR_OK);
    assert_true(sock_address_is_loopback(&peer));
    must_be_ready(client);
    must_be_ready(server);
    assert_int_equal(sock_send(client, "hi", 2), 2);
    close(server);
    usleep(1000);
    for (int i = 0; i < 3; i++)
        sock_send(client, "x", 1); // to a dead peer: an error, and no signal
    close(client);
    close(listener);
}

static void a_taken_port_is_busy_and_named(void **state)
{
    (void)state;
    struct sock_address at;
    struct diag d = {0};
    char text[SOCK_ADDRESS_TEXT_MAX];
    int listener = listen_on("127.0.0.1:0", &at), second = -1;
    assert_int_equal(sock_listen(&at, false, &second, &d), ERR_BUSY);
    assert_non_null(strstr(d.text, sock_address_format(&at, text)));
    close(listener);
}

static void two_sockets_share_a_port_when_told(void **state)
{
    (void)state;
    struct sock_address at;
    assert_int_equal(sock_address_parse("127.0.0.1:0", &at, NULL), ERR_OK);
    int one = -1, two = -1;
    assert_int_equal(sock_listen(&at, true, &one, NULL), ERR_OK);
    assert_int_equal(sock_local_address(one, &at), ERR_OK);
    assert_int_equal(sock_listen(&at, true, &two, NULL), ERR_OK);
    close(one);
    close(two);
}

static void a_dead_unix_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-sock-XXXXXX", path[64], text[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(text, sizeof text, "unix:%s", path);
    struct sock_address at, peer;
    int one = listen_on(text, &at), two = -1, client = -1, server = -1;
    assert_int_equal(sock_listen(&at, false, &two, NULL), ERR_BUSY);
    while (sock_accept(one, &server, &peer) == ERR_OK)
        close(server); // the probe
    close(one);
    two = listen_on(text, &at);
    assert_int_equal(sock_connect(&at, &client, NULL), ERR_OK);
    assert_int_equal(sock_accept(two, &server, &peer), ERR_OK);
    char out[SOCK_ADDRESS_TEXT_MAX];
    assert_string_equal(sock_address_format(&peer, out), "unix:");
    close(client), close(server), close(two);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_read_back_as_written),
        cmocka_unit_test(bad_addresses_are_refused_with_a_sentence),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(a_connection_is_made_and_accepted),
        cmocka_unit_test(a_taken_port_is_busy_and_named),
        cmocka_unit_test(two_sockets_share_a_port_when_told),
        cmocka_unit_test(a_dead_unix_socket_is_replaced_and_a_live_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
