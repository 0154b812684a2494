#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/pull.h"
#include "cli/term.h"
#include "http/client.h"

#include "base/banned.h"

enum { TRIES = 4, TRY_AGAIN_MS = 500 };

// One transfer into the ".part" file beside the target.
struct transfer {
    struct loop *loop;
    struct http_exchange *exchange; // NULL when it ended by itself
    int fd;
    uint64_t have, total, bytes_max; // total 0: unknown
    struct term_progress progress;
    bool over;
    enum err e;
    struct diag d;
    int status;
};

static void stop(struct transfer *t, enum err e)
{
    t->over = true;
    t->e = e;
}

static void refuse_size(struct transfer *t)
{
    char most[16];
    stop(t, diag_set(&t->d, ERR_LIMIT, "the file is over %s: allow more with --bytes-max",
                     term_bytes(t->bytes_max, most)));
}

// "bytes 100-199/200": where this piece begins, or UINT64_MAX.
static uint64_t range_start(str value)
{
    uint64_t from;
    if (!str_starts(value, STR("bytes ")))
        return UINT64_MAX;
    value = str_sub(value, 6, SIZE_MAX);
    size_t dash = str_find_char(value, '-');
    return str_to_u64(str_sub(value, 0, dash), &from) == ERR_OK ? from : UINT64_MAX;
}

static void begin_file(struct transfer *t, const struct h1_head *head)
{
    bool goes_on = head->status == 206;
    if (goes_on && range_start(http_header_find(head->headers, head->headers_len,
                                                STR("content-range"))) != t->have) {
        stop(t, diag_set(&t->d, ERR_UPSTREAM,
                         "the server answers with another part of the file than was asked for"));
        return;
    }
    if (!goes_on) {
        t->have = 0;
        if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0)
            stop(t, diag_sys(&t->d, ERR_IO, errno, "cannot start the file anew"));
    }
    t->total = head->has_length ? t->have + head->length : 0;
    if (t->total > t->bytes_max)
        refuse_size(t);
    term_progress_begin(&t->progress, "fetching", t->total, t->have, true);
}

static void on_head(void *ctx, const struct h1_head *head)
{
    struct transfer *t = ctx;
    t->status = head->status;
    if (head->status == 200 || head->status == 206)
        begin_file(t, head);
    else if (head->status == 416 && t->have) // what is here is no beginning of that file
        stop(t, ERR_AGAIN);
    else
        stop(t, diag_set(&t->d,
                         head->status == 404 || head->status == 410 ? ERR_NOT_FOUND : ERR_UPSTREAM,
                         "the server answers %d %s", head->status, http_status_text(head->status)));
}

static void on_body(void *ctx, str bytes)
{
    struct transfer *t = ctx;
    if (t->over)
        return;
    if (t->have + bytes.len > t->bytes_max) {
        refuse_size(t);
        return;
    }
    while (bytes.len) {
        ssize_t n = write(t->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            stop(t, diag_sys(&t->d, ERR_IO, errno, "cannot write the file"));
            return;
        }
        bytes = str_sub(bytes, (size_t)n, SIZE_MAX);
        t->have += (uint64_t)n;
    }
    term_progress_update(&t->progress, t->have);
}

static void on_end(void *ctx)
{
    struct transfer *t = ctx;
    t->exchange = NULL;
    if (!t->over)
        stop(t, ERR_OK);
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct transfer *t = ctx;
    t->exchange = NULL;
    if (t->over)
        return;
    t->d = *d;
    stop(t, e);
}

static const struct http_answer_handler handler = {on_head, on_body, on_end, on_error};

static enum err try_once(struct transfer *t, struct http_client *client, str url)
{
    struct http_headers headers = {0};
    char range[48];
    ERR_TRY(http_headers_add(&headers, STR("User-Agent"), STR("weir/" WEIR_VERSION)));
    ERR_TRY(http_headers_add(&headers, STR("Accept"), STR("*/*")));
    if (t->have) {
        snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)t->have);
        ERR_TRY(http_headers_add(&headers, STR("Range"), str_of(range)));
    }
    const struct http_request r = {.method = STR("GET"),
                                   .url = url,
                                   .headers = &headers,
                                   .redirects_max = 10,
                                   .headers_timeout_ms = 60 * 1000,
                                   .idle_timeout_ms = 60 * 1000};
    t->over = false;
    t->e = ERR_OK;
    t->exchange = http_client_send(client, &r, &handler, t);
    while (!t->over)
        loop_run_once(t->loop, 1000);
    http_exchange_cancel(t->exchange); // when it was us who stopped
    t->exchange = NULL;
    term_progress_end(&t->progress);
    return t->e;
}

// A cut transfer is worth another try at once; a refusal is not.
static bool worth_trying(const struct transfer *t, enum err e)
{
    bool broke = e == ERR_CLOSED || e == ERR_TIMEOUT || e == ERR_AGAIN;
    return broke && (t->status == 0 || t->status == 200 || t->status == 206 || t->status == 416);
}

static enum err fetch(struct transfer *t, struct http_client *client, str url, struct diag *d)
{
    enum err e = ERR_OK;
    for (int i = 0; i < TRIES; i++) {
        if (i)
            usleep(TRY_AGAIN_MS * 1000 * (useconds_t)i);
        e = try_once(t, client, url);
        if (e == ERR_AGAIN && ftruncate(t->fd, 0) == 0)
            t->have = 0;
        if (e == ERR_OK || !worth_trying(t, e))
            break;
    }
    if (e == ERR_OK)
        return ERR_OK;
    *d = t->d;
    if (worth_trying(t, e))
        return diag_set(d, ERR_UPSTREAM,
                        "%s; run the same command again: it goes on from %llu bytes", t->d.text,
                        (unsigned long long)t->have);
    return e;
}

static enum err transfer_all(struct transfer *t, str url, struct diag *d)
{
    struct http_client *client;
    ERR_TRY(loop_new(LOOP_BACKEND_DEFAULT, &t->loop, d));
    enum err e = http_client_new(t->loop, &http_client_options_default, &client, d);
    if (e == ERR_OK) {
        e = fetch(t, client, url, d);
        http_client_free(client);
    }
    loop_run_once(t->loop, 0);
    loop_free(t->loop);
    return e;
}

static enum err check_sum(const char *path, str expected, struct diag *d)
{
    char hex[65];
    if (!expected.len)
        return ERR_OK;
    ERR_TRY(pull_sha256_file(path, hex, d));
    if (str_eq_nocase(str_of(hex), expected))
        return ERR_OK;
    unlink(path);
    return diag_set(d, ERR_UPSTREAM,
                    "the file is not the one expected: its SHA-256 is %s; nothing was kept", hex);
}

enum err pull_url(struct arena *a, str url, str target, str sha256_hex, uint64_t bytes_max,
                  struct diag *d)
{
    str part = arena_printf(a, STR_FMT ".part", STR_ARG(target));
    if (!part.ptr)
        return diag_set(d, ERR_LIMIT, "the path is too long");
    struct transfer t = {.bytes_max = bytes_max};
    t.fd = open(part.ptr, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (t.fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot write %s", part.ptr);
    off_t end = lseek(t.fd, 0, SEEK_END);
    t.have = end > 0 ? (uint64_t)end : 0;
    enum err e = transfer_all(&t, url, d);
    if (e == ERR_OK && fsync(t.fd) != 0)
        e = diag_sys(d, ERR_IO, errno, "cannot write %s", part.ptr);
    close(t.fd);
    if (e == ERR_OK)
        e = check_sum(part.ptr, sha256_hex, d);
    if (e == ERR_LIMIT)
        unlink(part.ptr);
    if (e == ERR_OK && rename(part.ptr, target.ptr) != 0)
        e = diag_sys(d, ERR_IO, errno, "cannot move the file to %s", target.ptr);
    return e;
}
