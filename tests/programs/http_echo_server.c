// A small server over http/server.h for tests and benches: each route shows one thing that the
// server must do. Prints "listening PORT" and serves until its standard input ends.
//   http_echo_server [poll] [half_close] [listen=ADDRESS] [cert=FILE key=FILE] [NAME=VALUE …]
// where NAME is a limit of struct http_limits.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/mem.h"
#include "http/server.h"
#include "net/sock.h"
#include "net/tls.h"

struct work {
    struct loop_timer timer;
    struct http_call *call;
    uint64_t left, gap_ms, size;
    bool paced;
};

static struct loop *loop;
static struct http_server *server;
static struct {
    uint64_t requests, cancels, finished, refused, drained, pending_max;
} counts;

static uint64_t number(str query, const char *name, uint64_t otherwise)
{
    str part;
    while (str_split(&query, '&', &part)) {
        size_t equals = str_find_char(part, '=');
        if (str_eq_z(str_sub(part, 0, equals), name)) {
            if (str_to_u64(str_sub(part, equals + 1, part.len), &otherwise) != ERR_OK)
                return 0;
        }
    }
    return otherwise;
}

static void respond(struct http_call *c, int status, const char *text)
{
    http_call_respond(c, status, STR("application/json"), NULL, str_of(text));
}

static void end_work(struct work *w)
{
    loop_timer_cancel(&w->timer);
    mem_free(w);
}

// Pieces at a pace (a token stream), or as fast as the client takes them (a blast).
static void produce(void *ctx)
{
    static char block[65536];
    struct work *w = ctx;
    enum err e = ERR_OK;
    while (w->left && e == ERR_OK) {
        memset(block, 'x', sizeof block);
        block[w->size - 2] = block[w->size - 1] = '\n';
        memcpy(block, "data: ", 6);
        e = http_call_write(w->call, str_slice(block, w->size));
        w->left--;
        if (http_call_pending_bytes(w->call) > counts.pending_max)
            counts.pending_max = http_call_pending_bytes(w->call);
        if (w->paced)
            break;
    }
    if (w->left == 0) {
        http_call_end(w->call);
        end_work(w);
    } else if (w->paced) {
        loop_timer_set(loop, &w->timer, w->gap_ms);
    }
}

static void begin_work(struct http_call *c, bool paced)
{
    struct work *w = mem_new(struct work);
    str query = http_call_query(c);
    w->call = c;
    w->left = number(query, "n", 10);
    w->gap_ms = number(query, "gap_ms", 20);
    w->size = number(query, "size", 64);
    w->paced = paced;
    if (w->size < 8 || w->size > 65536)
        w->size = 64;
    loop_timer_init(&w->timer, produce, w);
    http_call_set_data(c, w);
    http_call_begin(c, 200, STR("text/event-stream"), NULL);
    loop_timer_set(loop, &w->timer, paced ? w->gap_ms : 0);
}

static void wait_for_ever(struct http_call *c, bool begun)
{
    struct work *w = mem_new(struct work);
    w->call = c;
    loop_timer_init(&w->timer, produce, w);
    http_call_set_data(c, w);
    if (begun)
        http_call_begin(c, 200, STR("text/event-stream"), NULL);
}

static void tell_counts(struct http_call *c)
{
    char text[512];
    const struct loop_stats *stats = loop_stats(loop);
    snprintf(text, sizeof text,
             "{\"requests\":%llu,\"cancels\":%llu,\"finished\":%llu,\"refused\":%llu,"
             "\"drained\":%llu,\"pending_max\":%llu,\"connections\":%zu,\"calls\":%zu,"
             "\"lag_max_us\":%llu}",
             (unsigned long long)counts.requests, (unsigned long long)counts.cancels,
             (unsigned long long)counts.finished, (unsigned long long)counts.refused,
             (unsigned long long)counts.drained, (unsigned long long)counts.pending_max,
             http_server_connections(server), http_server_calls(server),
             (unsigned long long)stats->lag_us.max);
    respond(c, 200, text);
}

static void echo(struct http_call *c)
{
    struct http_headers extra = {.len = 0};
    http_headers_add(&extra, STR("x-method"), http_call_method(c));
    http_headers_add(&extra, STR("x-path"), http_call_path(c));
    http_headers_add(&extra, STR("x-query"), http_call_query(c));
    http_headers_add(&extra, STR("x-host"), http_call_header(c, "host"));
    http_call_respond(c, 200, http_call_header(c, "content-type"), &extra, http_call_body(c));
}

// What a careless owner does: a header's name and value from the client.
static void put_into_head(struct http_call *c)
{
    struct http_headers extra = {.len = 0};
    str body = http_call_body(c), name;
    if (str_split(&body, '=', &name))
        http_headers_add(&extra, name, body);
    http_call_respond(c, 200, http_call_header(c, "x-type"), &extra, STR("done"));
}

static void big(struct http_call *c)
{
    size_t size = number(http_call_query(c), "bytes", 1000000);
    char *body = mem_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 26);
    http_call_respond(c, 200, STR("text/plain"), NULL, str_slice(body, size));
    mem_free(body);
}

static void cut(struct http_call *c)
{
    http_call_begin(c, 200, STR("text/plain"), NULL);
    http_call_write(c, STR("half of it"));
    http_call_abort(c);
}

static void on_request(void *ctx, struct http_call *c)
{
    str path = http_call_path(c);
    (void)ctx;
    counts.requests++;
    if (str_eq(path, STR("/health")))
        respond(c, 200, "{\"status\":\"ok\"}");
    else if (str_eq(path, STR("/echo")))
        echo(c);
    else if (str_eq(path, STR("/head")))
        put_into_head(c);
    else if (str_eq(path, STR("/stream")))
        begin_work(c, true);
    else if (str_eq(path, STR("/blast")))
        begin_work(c, false);
    else if (str_eq(path, STR("/silent")))
        wait_for_ever(c, true);
    else if (str_eq(path, STR("/wait")))
        wait_for_ever(c, false);
    else if (str_eq(path, STR("/big")))
        big(c);
    else if (str_eq(path, STR("/cut")))
        cut(c);
    else if (str_eq(path, STR("/counts")))
        tell_counts(c);
    else if (str_eq(path, STR("/nothing")))
        respond(c, 204, "");
    else
        respond(c, 404, "{\"error\":\"not found\"}");
}

static void on_cancel(void *ctx, struct http_call *c)
{
    (void)ctx;
    counts.cancels++;
    end_work(http_call_data(c));
}

static void on_drained(void *ctx, struct http_call *c)
{
    struct work *w = http_call_data(c);
    (void)ctx;
    counts.drained++;
    if (w && !w->paced)
        produce(w);
}

static void on_refusal(void *ctx, const struct http_refusal *r, struct buf *out)
{
    (void)ctx;
    counts.refused++;
    buf_printf(out, "{\"error\":{\"message\":\"%s\",\"code\":\"%s\",\"status\":%d}}", r->text,
               r->reason, r->status);
}

static void on_finished(void *ctx, const struct http_call *c, int status, uint64_t body_bytes,
                        uint64_t duration_us)
{
    (void)ctx, (void)c, (void)status, (void)body_bytes, (void)duration_us;
    counts.finished++;
}

static const struct http_handler handler = {
    .request = on_request,
    .cancel = on_cancel,
    .drained = on_drained,
    .refusal = on_refusal,
    .finished = on_finished,
};

// --- The command line

static bool set_limit(struct http_limits *l, str name, uint64_t value)
{
    if (str_eq(name, STR("header_bytes_max")))
        l->header_bytes_max = value;
    else if (str_eq(name, STR("headers_max")))
        l->headers_max = (uint32_t)value;
    else if (str_eq(name, STR("target_bytes_max")))
        l->target_bytes_max = value;
    else if (str_eq(name, STR("body_bytes_max")))
        l->body_bytes_max = value;
    else if (str_eq(name, STR("header_timeout_ms")))
        l->header_timeout_ms = (uint32_t)value;
    else if (str_eq(name, STR("body_rate_min")))
        l->body_rate_min = (uint32_t)value;
    else if (str_eq(name, STR("body_window_ms")))
        l->body_window_ms = (uint32_t)value;
    else if (str_eq(name, STR("idle_timeout_ms")))
        l->idle_timeout_ms = (uint32_t)value;
    else if (str_eq(name, STR("write_timeout_ms")))
        l->write_timeout_ms = (uint32_t)value;
    else if (str_eq(name, STR("connections_max")))
        l->connections_max = (uint32_t)value;
    else if (str_eq(name, STR("connections_per_address_max")))
        l->connections_per_address_max = (uint32_t)value;
    else
        return false;
    return true;
}

struct settings {
    struct http_server_options server;
    enum loop_backend backend;
    const char *listen;
    struct tls_server_options tls;
};

static bool take_argument(str arg, struct settings *o)
{
    uint64_t value;
    size_t equals = str_find_char(arg, '=');
    if (str_eq(arg, STR("poll")))
        o->backend = LOOP_BACKEND_POLL;
    else if (str_eq(arg, STR("half_close")))
        o->server.half_close_cancels = false;
    else if (str_starts(arg, STR("listen=")))
        o->listen = arg.ptr + 7;
    else if (str_starts(arg, STR("cert=")))
        o->tls.cert_file = arg.ptr + 5;
    else if (str_starts(arg, STR("key=")))
        o->tls.key_file = arg.ptr + 4;
    else
        return equals != SIZE_MAX &&
               str_to_u64(str_sub(arg, equals + 1, arg.len), &value) == ERR_OK &&
               set_limit(&o->server.limits, str_sub(arg, 0, equals), value);
    return true;
}

static void input_ready(void *ctx, uint32_t events)
{
    char bytes[256];
    (void)events;
    if (read(STDIN_FILENO, bytes, sizeof bytes) == 0)
        loop_stop(ctx);
}

int main(int argc, char **argv)
{
    struct settings o = {.server = {.limits = http_limits_default, .half_close_cancels = true},
                         .listen = "127.0.0.1:0"};
    struct diag d = {0};
    uint16_t port;
    for (int i = 1; i < argc; i++) {
        if (!take_argument(str_of(argv[i]), &o)) {
            fprintf(stderr, "http_echo_server: what is '%s'?\n", argv[i]);
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    if ((o.tls.cert_file && tls_server_new(&o.tls, &o.server.tls, &d) != ERR_OK) ||
        loop_new(o.backend, &loop, &d) != ERR_OK ||
        http_server_new(loop, &o.server, &handler, NULL, &server, &d) != ERR_OK ||
        http_server_listen(server, o.listen, false, &port, &d) != ERR_OK) {
        fprintf(stderr, "http_echo_server: %s\n", d.text);
        return 1;
    }
    struct loop_fd input = {.fd = STDIN_FILENO, .ready = input_ready, .ctx = loop};
    sock_set_flags(STDIN_FILENO);
    if (loop_fd_add(loop, &input, LOOP_READ | LOOP_HANGUP) != ERR_OK)
        return 1;
    printf("listening %u\n", port);
    fflush(stdout);
    loop_run(loop);
    http_server_free(server);
    loop_fd_remove(loop, &input);
    loop_free(loop);
    tls_context_free(o.server.tls);
    return 0;
}
