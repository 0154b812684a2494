// REQ: SEC-1 SEC-3
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "backends.h"

#include "net/sock.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net/tls_certificate.h"
#include "support/own_certificate.h"

static struct tls_context *server_context(void)
{
    struct tls_context *c;
    struct diag d = {0};
    assert_int_equal(
        tls_server_new(&(struct tls_server_options){cert_path, key_path, NULL}, &c, &d), ERR_OK);
    return c;
}

static struct tls_context *client_context(void)
{
    struct tls_context *c;
    struct diag d = {0};
    assert_int_equal(tls_client_new(&(struct tls_client_options){.ca_file = cert_path}, &c, &d),
                     ERR_OK);
    return c;
}

static void on_data(void *ctx, str bytes)
{
    *(size_t *)ctx += bytes.len;
}

static void on_end(void *ctx)
{
    (void)ctx;
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    (void)ctx;
    fail_msg("%s: %s", err_name(e), d->text);
}

static const struct stream_handler handler = {.data = on_data, .end = on_end, .error = on_error};

// A client and the server's stream of one connection.
struct pair {
    struct stream_io *client;
    struct stream *server;
    int fd;
    size_t heard;
};

static void open_pair(struct pair *p, struct loop *l, struct tls_context *client,
                      struct tls_context *server)
{
    int fds[2];
    *p = (struct pair){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p->fd = fds[0];
    p->client = tls_connect(client, fds[0], STR("localhost"));
    assert_int_equal(tls_handshake(p->client), ERR_AGAIN); // the hello is on its way
    p->server = stream_new(l, fds[1], tls_accept(server, l, fds[1]), &handler, &p->heard);
    assert_non_null(p->server);
}

static void close_pair(struct pair *p)
{
    stream_close(p->server);
    p->client->ops->free(p->client);
    close(p->fd);
}

static bool answered(const struct pair *p)
{
    char byte;
    return recv(p->fd, &byte, 1, MSG_PEEK) == 1;
}

// As many turns as it takes; false when 2000 are not enough.
static bool finish(struct pair *p, struct loop *l)
{
    for (int i = 0; i < 2000; i++) {
        loop_run_once(l, 0);
        if (tls_handshake(p->client) == ERR_OK)
            return true;
    }
    return false;
}

static void a_burst_of_handshakes_is_spread_over_turns(void **state)
{
    enum { PAIRS = 300 };
    static struct pair pairs[PAIRS];
    struct loop *l = new_loop();
    struct tls_context *client = client_context(), *server = server_context();
    size_t first = 0;
    (void)state;
    for (size_t i = 0; i < PAIRS; i++)
        open_pair(&pairs[i], l, client, server);
    loop_run_once(l, 0);
    for (size_t i = 0; i < PAIRS; i++)
        first += answered(&pairs[i]);
    assert_in_range(first, 1, PAIRS - 1);
    for (size_t i = 0; i < PAIRS; i++)
        assert_true(finish(&pairs[i], l));
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(pairs[i].client->ops->write(pairs[i].client, "ping", 4), 4);
    for (int i = 0; i < 50; i++)
        loop_run_once(l, 0);
    for (size_t i = 0; i < PAIRS; i++) {
        assert_int_equal(pairs[i].heard, 4);
        close_pair(&pairs[i]);
    }
    assert_int_equal(tls_server_handshakes(server).full, PAIRS);
    loop_run_once(l, 0);
    tls_context_free(client);
    tls_context_free(server);
    loop_free(l);
}

static void open_connections_outlive_their_certificate(void **state)
{
    struct loop *l = new_loop();
    struct tls_context *client = client_context(), *server = server_context();
    struct pair before, after;
    (void)state;
    open_pair(&before, l, client, server);
    assert_true(finish(&before, l));
    for (int i = 0; i < 10; i++)
        loop_run_once(l, 0); // the server's end of the handshake
    tls_server_adopt(server, server_context());
    open_pair(&after, l, client, server);
    assert_true(finish(&after, l));
    struct pair *both[] = {&before, &after};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_int_equal(both[i]->client->ops->write(both[i]->client, "ping", 4), 4);
        for (int k = 0; k < 50 && !both[i]->heard; k++)
            loop_run_once(l, 0);
        assert_int_equal(both[i]->heard, 4);
        close_pair(both[i]);
    }
    assert_int_equal(tls_server_handshakes(server).full, 2); // of both
    loop_run_once(l, 0);
    tls_context_free(client);
    tls_context_free(server);
    loop_free(l);
}

static void a_certificate_tells_whom_it_is_for_and_how_long(void **state)
{
    struct tls_certificate c;
    struct diag d = {0};
    (void)state;
    assert_int_equal(tls_certificate_read(cert_path, &c, &d), ERR_OK);
    assert_string_equal(c.names, "localhost");
    assert_string_equal(c.key, "EC 256");
    assert_true(c.self_signed);
    assert_int_equal(c.until_ms - c.from_ms, 3660 * 1000);
    assert_int_equal(tls_certificate_read(key_path, &c, &d), ERR_PARSE);
    assert_int_equal(tls_certificate_read("/nowhere", &c, &d), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_of_handshakes_is_spread_over_turns),
        cmocka_unit_test(open_connections_outlive_their_certificate),
        cmocka_unit_test(a_certificate_tells_whom_it_is_for_and_how_long),
    };
    if (make_certificate(NULL) != 0)
        return 1;
    int failed = RUN_ON_BACKENDS(tests);
    remove_certificate(NULL);
    return failed;
}
