// The HTTP client of src/http/client.h, driven by tests: N requests, C at a time, to one URL, and a
// JSON line with what became of them.
//   http_client_probe METHOD URL N C [ca=FILE] [body=BYTES] [cancel_after=BYTES] [pause]
//                     [stall: the first reads its first bytes, and the rest when others are done]
//                     [redirects=N] [h2=auto|prior] [pool=N] [header=NAME:VALUE]
//                     [linger_ms=N: after all of it] [OPTION_ms=N, as in struct
//                     http_client_options]
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/client.h"

struct plan {
    struct http_request request;
    uint64_t total, at_once, cancel_after;
    bool pause, stall;
};

struct slot {
    struct http_exchange *exchange;
    struct loop_timer resume;
    uint64_t got;
};

static struct loop *loop;
static struct http_client *client;
static struct plan plan;
static struct slot *stalled;
static struct loop_timer linger;
static uint32_t linger_ms;
static struct {
    uint64_t sent, ended, failed, cancelled, reused, over_h2, bytes, hash;
    int last_status;
    enum err last_error;
    char last_text[400];
    char last_header[200];
} counts = {.hash = 0xcbf29ce484222325};

static void next(struct slot *s);

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(loop);
}

static void finished(struct slot *s)
{
    loop_timer_cancel(&s->resume);
    s->exchange = NULL;
    if (stalled && stalled != s && counts.ended + counts.failed + 1 == plan.total) {
        http_exchange_resume(stalled->exchange);
        stalled = NULL;
    }
    if (counts.ended + counts.failed + counts.cancelled == plan.total)
        loop_timer_set(loop, &linger, linger_ms);
    else if (counts.sent < plan.total)
        next(s);
}

static void on_head(void *ctx, const struct h1_head *head)
{
    (void)ctx;
    counts.last_status = head->status;
    str value = http_header_find(head->headers, head->headers_len, STR("x-test"));
    snprintf(counts.last_header, sizeof counts.last_header, STR_FMT, STR_ARG(value));
}

static void resume(void *ctx)
{
    struct slot *s = ctx;
    http_exchange_resume(s->exchange);
}

static void on_body(void *ctx, str bytes)
{
    struct slot *s = ctx;
    s->got += bytes.len;
    counts.bytes += bytes.len;
    for (size_t i = 0; i < bytes.len; i++)
        counts.hash = (counts.hash ^ (uint8_t)bytes.ptr[i]) * 0x100000001b3;
    if (plan.cancel_after && s->got >= plan.cancel_after) {
        http_exchange_cancel(s->exchange);
        counts.cancelled++;
        finished(s);
    } else if (plan.stall) {
        plan.stall = false;
        stalled = s;
        http_exchange_pause(s->exchange);
    } else if (plan.pause) {
        http_exchange_pause(s->exchange);
        loop_timer_set(loop, &s->resume, 1);
    }
}

static void on_end(void *ctx)
{
    struct slot *s = ctx;
    counts.ended++;
    counts.reused += http_exchange_reused(s->exchange);
    counts.over_h2 += http_exchange_is_h2(s->exchange);
    finished(s);
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    counts.failed++;
    counts.last_error = e;
    snprintf(counts.last_text, sizeof counts.last_text, "%s", d->text);
    finished(ctx);
}

static const struct http_answer_handler handler = {on_head, on_body, on_end, on_error};

static void next(struct slot *s)
{
    counts.sent++;
    s->got = 0;
    s->exchange = http_client_send(client, &plan.request, &handler, s);
}

static uint64_t number(const char *text)
{
    uint64_t value;
    if (str_to_u64(str_of(text), &value) != ERR_OK) {
        fprintf(stderr, "http_client_probe: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

static void make_body(uint64_t size)
{
    char *body = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 26);
    plan.request.body = str_slice(body, size);
}

static void add_header(const char *arg)
{
    static struct http_headers headers;
    str line = str_of(arg);
    size_t colon = str_find_char(line, ':');
    if (colon == SIZE_MAX || http_headers_add(&headers, str_sub(line, 0, colon),
                                              str_sub(line, colon + 1, SIZE_MAX)) != ERR_OK)
        exit(2);
    plan.request.headers = &headers;
}

static void take_time(const char *arg, struct http_client_options *o)
{
    const struct {
        const char *name;
        uint32_t *to;
    } times[] = {
        {"connect_ms=", &o->connect_timeout_ms},
        {"headers_ms=", &o->headers_timeout_ms},
        {"idle_ms=", &o->idle_timeout_ms},
        {"pool_idle_ms=", &o->pool_idle_ms},
        {"linger_ms=", &linger_ms},
        {"h2_settings_ms=", &o->h2_settings_timeout_ms},
        {"h2_ping_after_ms=", &o->h2_ping_after_ms},
        {"h2_ping_timeout_ms=", &o->h2_ping_timeout_ms},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (strncmp(arg, times[i].name, strlen(times[i].name)) == 0) {
            *times[i].to = (uint32_t)number(arg + strlen(times[i].name));
            return;
        }
    fprintf(stderr, "http_client_probe: '%s' is no option\n", arg);
    exit(2);
}

static void take_option(const char *arg, struct http_client_options *o)
{
    if (strncmp(arg, "ca=", 3) == 0)
        o->ca_file = arg + 3;
    else if (strncmp(arg, "body=", 5) == 0)
        make_body(number(arg + 5));
    else if (strncmp(arg, "cancel_after=", 13) == 0)
        plan.cancel_after = number(arg + 13);
    else if (strncmp(arg, "redirects=", 10) == 0)
        plan.request.redirects_max = (uint32_t)number(arg + 10);
    else if (strcmp(arg, "pause") == 0)
        plan.pause = true;
    else if (strcmp(arg, "stall") == 0)
        plan.stall = true;
    else if (strcmp(arg, "h2=auto") == 0)
        plan.request.http2 = HTTP2_AUTO;
    else if (strcmp(arg, "h2=prior") == 0)
        plan.request.http2 = HTTP2_PRIOR_KNOWLEDGE;
    else if (strncmp(arg, "pool=", 5) == 0)
        o->pool_per_origin_max = (uint32_t)number(arg + 5);
    else if (strncmp(arg, "header=", 7) == 0)
        add_header(arg + 7);
    else
        take_time(arg, o);
}

static void print_json_text(const char *text)
{
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if (*text >= ' ')
            putchar(*text);
}

int main(int argc, char **argv)
{
    struct http_client_options options = http_client_options_default;
    struct diag d = {0};
    if (argc < 5)
        return 2;
    signal(SIGPIPE, SIG_IGN); // as every verb does: OpenSSL writes without MSG_NOSIGNAL
    plan.request.method = str_of(argv[1]);
    plan.request.url = str_of(argv[2]);
    plan.total = number(argv[3]);
    plan.at_once = number(argv[4]);
    for (int i = 5; i < argc; i++)
        take_option(argv[i], &options);
    if (loop_new(LOOP_BACKEND_DEFAULT, &loop, &d) != ERR_OK ||
        http_client_new(loop, &options, &client, &d) != ERR_OK) {
        fprintf(stderr, "http_client_probe: %s\n", d.text);
        return 1;
    }
    loop_timer_init(&linger, stop, NULL);
    struct slot *slots = mem_array(plan.at_once, sizeof *slots);
    for (size_t i = 0; i < plan.at_once && i < plan.total; i++) {
        loop_timer_init(&slots[i].resume, resume, &slots[i]);
        next(&slots[i]);
    }
    loop_run(loop);
    printf("{\"ended\":%llu,\"failed\":%llu,\"cancelled\":%llu,\"reused\":%llu,\"h2\":%llu,"
           "\"bytes\":%llu,\"hash\":\"%016llx\",\"status\":%d,\"header\":\"",
           (unsigned long long)counts.ended, (unsigned long long)counts.failed,
           (unsigned long long)counts.cancelled, (unsigned long long)counts.reused,
           (unsigned long long)counts.over_h2, (unsigned long long)counts.bytes,
           (unsigned long long)counts.hash, counts.last_status);
    print_json_text(counts.last_header);
    printf("\",\"error\":\"%s\",\"text\":\"", counts.failed ? err_name(counts.last_error) : "");
    print_json_text(counts.last_text);
    printf("\"}\n");
    http_client_free(client);
    loop_run_once(loop, 0);
    loop_free(loop);
    mem_free(slots);
    mem_free((void *)(uintptr_t)plan.request.body.ptr);
    return 0;
}
