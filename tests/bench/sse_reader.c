// Reads many event streams at once and says how long the gaps between events were.
//   bench_sse_reader PORT PATH STREAMS SECONDS [BODY [KEY]]
// (with a body, JSON, it posts) prints {"events", "median_us", "p99_us", "max_us", "cut"} over the
// gaps of all streams together.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/mem.h"
#include "net/sock.h"
#include "net/stream.h"

struct reader {
    struct stream *stream;
    uint64_t last_us;
    size_t matched; // of "data: ", across reads
    bool cut;
};

static struct loop *loop;
static struct histogram gaps;
static uint64_t events, begin_us;

// An event counts when its "data: " has come.
static size_t count_events(struct reader *r, str bytes)
{
    static const char mark[] = "data: ";
    size_t found = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c != mark[r->matched])
            r->matched = 0;
        if (c == mark[r->matched])
            r->matched++;
        if (r->matched == sizeof mark - 1) {
            r->matched = 0;
            found++;
        }
    }
    return found;
}

static void on_data(void *ctx, str bytes)
{
    struct reader *r = ctx;
    uint64_t now = clock_mono_us();
    for (size_t n = count_events(r, bytes); n; n--) {
        if (now >= begin_us && r->last_us)
            histogram_add(&gaps, now - r->last_us);
        r->last_us = now;
        events++;
    }
}

static void on_end(void *ctx)
{
    ((struct reader *)ctx)->cut = true;
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    (void)e, (void)d;
    ((struct reader *)ctx)->cut = true;
}

static const struct stream_handler handler = {.data = on_data, .end = on_end, .error = on_error};

static bool open_reader(struct reader *r, const struct sock_address *at, str request)
{
    int fd;
    enum err e = sock_connect(at, &fd, NULL);
    if (e != ERR_OK && e != ERR_AGAIN)
        return false;
    r->stream = stream_new(loop, fd, NULL, &handler, r);
    return r->stream && stream_write(r->stream, request) == ERR_OK;
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void write_request(char *out, size_t size, const char *path, const char *address,
                          const char *body, const char *key)
{
    if (body)
        snprintf(out, size,
                 "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                 "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                 path, address, key, strlen(body), body);
    else
        snprintf(out, size, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address);
}

int main(int argc, char **argv)
{
    char address[64], request[4096];
    struct sock_address at;
    struct loop_timer end;
    uint64_t streams, seconds;
    if (argc < 5 || argc > 7 || str_to_u64(str_of(argv[3]), &streams) != ERR_OK ||
        str_to_u64(str_of(argv[4]), &seconds) != ERR_OK)
        return 2;
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    write_request(request, sizeof request, argv[2], address, argc > 5 ? argv[5] : NULL,
                  argc > 6 ? argv[6] : "none");
    if (sock_address_parse(address, &at, NULL) != ERR_OK ||
        loop_new(LOOP_BACKEND_DEFAULT, &loop, NULL) != ERR_OK)
        return 1;
    histogram_init(&gaps);
    struct reader *readers = mem_array(streams, sizeof *readers);
    for (size_t i = 0; i < streams; i++) {
        if (!open_reader(&readers[i], &at, str_of(request)))
            return 1;
        loop_run_once(loop, 0);
    }
    begin_us = clock_mono_us() + 1000000; // after the storm of connections
    loop_timer_init(&end, stop, loop);
    loop_timer_set(loop, &end, (seconds + 1) * 1000);
    loop_run(loop);
    size_t cut = 0;
    for (size_t i = 0; i < streams; i++) {
        cut += readers[i].cut;
        stream_close(readers[i].stream);
    }
    printf("{\"events\":%llu,\"median_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,\"cut\":%zu}\n",
           (unsigned long long)events, (unsigned long long)histogram_quantile(&gaps, 0.5),
           (unsigned long long)histogram_quantile(&gaps, 0.99), (unsigned long long)gaps.max, cut);
    loop_free(loop);
    mem_free(readers);
    return 0;
}
