// Every case is read whole, byte by byte and in random pieces: the events must be the same.
// REQ: SEC-3 SEC-4 PROV-8
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "http/h1.h"

static const struct h1_limits limits = {
    .header_bytes_max = 1000, .target_bytes_max = 100, .headers_max = 8};

static void note_head(struct buf *log, const struct h1_head *h)
{
    buf_printf(log, "HEAD %.*s %.*s %d [%.*s] 1.%d%s%s", STR_ARG(h->method), STR_ARG(h->target),
               h->status, STR_ARG(h->reason), h->minor, h->keep_alive ? " keep" : " close",
               h->chunked ? " chunked" : "");
    if (h->has_length)
        buf_printf(log, " length=%llu", (unsigned long long)h->length);
    for (size_t i = 0; i < h->headers_len; i++)
        buf_printf(log, "|%.*s=%.*s", STR_ARG(h->headers[i].name), STR_ARG(h->headers[i].value));
    buf_printf(log, "\n");
}

// Read all messages of `input`, cut as `r` says (NULL: not at all; seed 0: byte by byte).
struct reading {
    enum h1_kind kind;
    bool no_body, eof;
    struct h1 codec;
    struct arena arena;
    struct buf log;
    bool in_body, over;
};

static void begin_message(struct reading *t)
{
    arena_reset(&t->arena);
    h1_begin(&t->codec, &t->arena, t->no_body);
}

static void feed(struct reading *t, str piece)
{
    // A copy of its own size, so that the sanitizer sees a read beyond it.
    char *copy = mem_alloc(piece.len);
    memcpy(copy, piece.ptr, piece.len);
    str in = str_slice(copy, piece.len), body;
    while (!t->over) {
        enum h1_event e = h1_next(&t->codec, &in, &body);
        if (e == H1_MORE)
            break;
        if (e == H1_BODY) {
            if (!t->in_body)
                buf_printf(&t->log, "BODY ");
            t->in_body = true;
            buf_append_str(&t->log, body);
            continue;
        }
        if (t->in_body)
            buf_printf(&t->log, "\n");
        t->in_body = false;
        if (e == H1_HEAD) {
            note_head(&t->log, &t->codec.head);
        } else if (e == H1_END) {
            buf_printf(&t->log, "END\n");
            begin_message(t);
            if (in.len == 0)
                break;
        } else {
            buf_printf(&t->log, "ERROR %d %s\n", t->codec.error.status, t->codec.error.reason);
            t->over = true;
        }
    }
    mem_free(copy);
}

static void finish(struct reading *t)
{
    if (!t->eof || t->over)
        return;
    enum h1_event e = h1_eof(&t->codec);
    buf_printf(&t->log, "%sEOF %s\n", t->in_body ? "\n" : "", e == H1_END ? "END" : "ERROR");
}

static void read_in_pieces(struct reading *t, str input, const struct random *seed, size_t most)
{
    struct random r = seed ? *seed : (struct random){{1}};
    arena_init(&t->arena, 65536);
    buf_init(&t->log, SIZE_MAX);
    h1_init(&t->codec, t->kind, &limits);
    begin_message(t);
    t->in_body = t->over = false;
    while (input.len) {
        size_t len = most == 1 ? 1 : seed ? 1 + random_below(&r, most) : input.len;
        len = min_size(len, input.len);
        feed(t, str_sub(input, 0, len));
        input = str_sub(input, len, input.len);
    }
    finish(t);
    arena_done(&t->arena);
}

// All ways of cutting give what `want` says.
static void reads_as(struct reading t, str input, const char *want)
{
    struct random r;
    for (uint64_t seed = 0; seed < 24; seed++) {
        random_seed(&r, seed);
        read_in_pieces(&t, input, seed ? &r : NULL, seed == 1 ? 1 : 1 + 3 * (size_t)seed);
        if (!str_eq_z(buf_str(&t.log), want))
            fail_msg("seed %d: %.*s\nread as:\n%.*s\nwanted:\n%s", (int)seed, STR_ARG(input),
                     STR_ARG(buf_str(&t.log)), want);
        buf_done(&t.log);
    }
}

static void request(const char *input, const char *want)
{
    reads_as((struct reading){.kind = H1_REQUEST}, str_of(input), want);
}

static void response(const char *input, const char *want)
{
    reads_as((struct reading){.kind = H1_RESPONSE, .eof = true}, str_of(input), want);
}

static void requests_are_read(void **state)
{
    (void)state;
    request("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
            "HEAD GET /a?b=c 0 [] 1.1 keep|Host=x\nEND\n");
    request("\r\n\r\nGET / HTTP/1.1\r\nA:\r\nB:  c d  \r\n\r\n",
            "HEAD GET / 0 [] 1.1 keep|A=|B=c d\nEND\n");
    request("GET / HTTP/1.0\r\n\r\n", "HEAD GET / 0 [] 1.0 close\nEND\n");
    request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HEAD GET / 0 [] 1.0 keep|Connection=keep-alive\nEND\n");
    request("GET / HTTP/1.1\r\nConnection: x, close\r\n\r\n",
            "HEAD GET / 0 [] 1.1 close|Connection=x, close\nEND\n");
    request("OPTIONS * HTTP/1.1\r\n\r\n", "HEAD OPTIONS * 0 [] 1.1 keep\nEND\n");
    request("GET http://h/p HTTP/1.1\r\n\r\n", "HEAD GET http://h/p 0 [] 1.1 keep\nEND\n");
    request("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "HEAD POST / 0 [] 1.1 keep length=5|Content-Length=5\nBODY hello\nEND\n");
    request("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "HEAD POST / 0 [] 1.1 keep length=0|Content-Length=0\nEND\n");
    request("POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nhi",
            "HEAD POST / 0 [] 1.1 keep length=2|Upgrade=h2c|Connection=upgrade|Content-Length=2\n"
            "BODY hi\nEND\n");
}

static void pipelined_requests_are_read_one_by_one(void **state)
{
    (void)state;
    request("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /3 "
            "HTTP/1.1\r\nX: y\r\n\r\n",
            "HEAD GET /1 0 [] 1.1 keep\nEND\n"
            "HEAD POST /2 0 [] 1.1 keep length=3|Content-Length=3\nBODY abc\nEND\n"
            "HEAD GET /3 0 [] 1.1 keep|X=y\nEND\n");
}

static void chunked_bodies_are_read(void **state)
{
    (void)state;
#define CHUNKED      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "HEAD POST / 0 [] 1.1 keep chunked|Transfer-Encoding=chunked\n"
    request(CHUNKED "5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD "BODY hello\nEND\n");
    request(CHUNKED "5;a=b;c=\"d e\"\r\nhello\r\n00a\r\n0123456789\r\n0;x\r\nT: u\r\n\r\n",
            CHUNKED_HEAD "BODY hello0123456789\nEND\n");
    request(CHUNKED "0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            CHUNKED_HEAD "END\nHEAD GET / 0 [] 1.1 keep\nEND\n");
}

#define BAD     "ERROR 400 bad_request\n"
#define CODING  "ERROR 501 not_implemented\n"
#define VERSION "ERROR 505 http_version_unsupported\n"

static const struct {
    const char *input, *want;
} smuggling[] = {
    // lines that are not CRLF, blanks where none belong
    {"GET / HTTP/1.1\nHost: a\n\n", BAD},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD},
    {"GET / HTTP/1.1\r\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\r\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\n X: a\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX : a\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX\t: a\r\n\r\n", BAD},
    {"GET / HTTP/1.1 \r\n\r\n", BAD},
    {"GET  / HTTP/1.1\r\n\r\n", BAD},
    {"GET /  HTTP/1.1\r\n\r\n", BAD},
    {"GET /a b HTTP/1.1\r\n\r\n", BAD},
    {" GET / HTTP/1.1\r\n\r\n", BAD},
    // bytes that may not stand there
    {"GET / HTTP/1.1\r\nX(y: a\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\n: a\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX\x80: a\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\x01\r\n\r\n", BAD},
    {"GET / HTTP/1.1\r\nX: a\x7f\r\n\r\n", BAD},
    {"GET /a\x01 HTTP/1.1\r\n\r\n", BAD},
    {"GET /a\x80 HTTP/1.1\r\n\r\n", BAD},
    {"GET /#a HTTP/1.1\r\n\r\n", BAD},
    {"GET a HTTP/1.1\r\n\r\n", BAD},
    {"get / HTTP/1.1\r\n\r\n", BAD},
    {"FOO / HTTP/1.1\r\n\r\n", BAD},
    {"\x16\x03\x01\x02", BAD},
    // versions and other protocols
    {"GET / HTTP/2.0\r\n\r\n", VERSION},
    {"GET / HTTP/1.2\r\n\r\n", VERSION},
    {"GET / HTTP/0.9\r\n\r\n", VERSION},
    {"GET / HTTP/9.9\r\n\r\n", VERSION},
    {"GET /\r\n\r\n", VERSION},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION},
    {"GET / RTSP/1.0\r\n\r\n", BAD},
    {"SOURCE / ICE/1.0\r\n\r\n", BAD},
    {"GET / http/1.1\r\n\r\n", BAD},
    // lengths
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5 5\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\x0b\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length:\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 18446744073709551621\r\n\r\nhello", BAD},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD},
    // transfer codings
    {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", CODING},
    {"POST / HTTP/1.1\r\nTransfer-Encoding:\x0b chunked\r\n\r\n0\r\n\r\n", BAD},
    // chunks
    {CHUNKED "5\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED " 5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "-5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "+5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "5;a=b\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "5;a=\"b\rc\"\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD BAD},
    {CHUNKED "5\r\nhello0\r\n\r\n", CHUNKED_HEAD "BODY hello\n" BAD},
    {CHUNKED "5\r\nhello\n0\r\n\r\n", CHUNKED_HEAD "BODY hello\n" BAD},
    {CHUNKED "5\r\nhello\r\n0\r\nT u\r\n\r\n", CHUNKED_HEAD "BODY hello\n" BAD},
    {CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n", CHUNKED_HEAD "BODY hello\n" BAD},
};

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(smuggling); i++)
        request(smuggling[i].input, smuggling[i].want);
    reads_as((struct reading){.kind = H1_REQUEST},
             str_slice("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 26), BAD);
    reads_as((struct reading){.kind = H1_REQUEST}, str_slice("GET /\0 HTTP/1.1\r\n\r\n", 19), BAD);
}

// --- limits

static const char *long_request(size_t target, size_t value, size_t headers)
{
    static char text[8192];
    size_t n = (size_t)snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\n", (int)target - 1, 0);
    for (size_t i = 0; i < headers; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "X: %0*d\r\n", (int)value, 0);
    snprintf(text + n, sizeof text - n, "\r\n");
    return text;
}

static void a_head_at_its_limits_passes(void **state)
{
    (void)state;
    struct reading t = {.kind = H1_REQUEST};
    const char *fitting[] = {long_request(100, 1, 8), NULL};
    read_in_pieces(&t, str_of(fitting[0]), NULL, 0);
    assert_true(str_ends(buf_str(&t.log), STR("END\n")));
    buf_done(&t.log);
    // 5 + 99 + 11 bytes of request line, 5 + v a header, 2 at the end: 1000 with one of 868
    const char *full = long_request(99, 1000 - 114 - 5 - 2 - 0, 1);
    assert_int_equal(strlen(full), 1000);
    read_in_pieces(&t, str_of(full), NULL, 0);
    assert_true(str_ends(buf_str(&t.log), STR("END\n")));
    buf_done(&t.log);
}

static void each_limit_has_its_own_refusal(void **state)
{
    (void)state;
    request(long_request(101, 1, 1), "ERROR 414 target_too_long\n");
    request(long_request(2000, 1, 1), "ERROR 414 target_too_long\n");
    request(long_request(10, 1, 9), "ERROR 431 header_too_large\n");
    request(long_request(10, 200, 8), "ERROR 431 header_too_large\n");
    request(long_request(99, 1000 - 114 - 5 - 2 + 1, 1), "ERROR 431 header_too_large\n");
}

static void framing_out_of_proportion_is_refused(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, CHUNKED "5;");
    for (int i = 0; i < 1200; i++)
        buf_append_char(&b, 'x');
    buf_printf(&b, "\r\nhello\r\n0\r\n\r\n");
    reads_as((struct reading){.kind = H1_REQUEST}, buf_str(&b), CHUNKED_HEAD BAD);
    buf_clear(&b);
    buf_printf(&b, CHUNKED "0\r\n");
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "T: uuuu\r\n");
    reads_as((struct reading){.kind = H1_REQUEST}, buf_str(&b), CHUNKED_HEAD BAD);
    buf_clear(&b);
    buf_printf(&b, CHUNKED "5\r\nhello\r\n0\r\n"); // five bytes are no excuse
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "T: uuuu\r\n");
    reads_as((struct reading){.kind = H1_REQUEST}, buf_str(&b), CHUNKED_HEAD "BODY hello\n" BAD);
    buf_clear(&b);
    buf_printf(&b, CHUNKED);
    struct buf want;
    buf_init(&want, SIZE_MAX);
    buf_printf(&want, CHUNKED_HEAD "BODY ");
    for (int i = 0; i < 2000; i++) { // a byte a chunk is no attack
        buf_printf(&b, "1\r\n%c\r\n", 'a' + i % 26);
        buf_append_char(&want, (char)('a' + i % 26));
    }
    buf_printf(&b, "0\r\n\r\n");
    buf_printf(&want, "\nEND\n");
    reads_as((struct reading){.kind = H1_REQUEST}, buf_str(&b), buf_cstr(&want));
    buf_done(&b);
    buf_done(&want);
}

// --- responses

static void responses_are_read(void **state)
{
    (void)state;
    response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
             "HEAD   200 [OK] 1.1 keep length=2|Content-Length=2\nBODY hi\nEND\nEOF ERROR\n");
    response("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
             "HEAD   200 [] 1.1 keep chunked|Transfer-Encoding=chunked\nBODY hi\nEND\nEOF ERROR\n");
    response(
        "\r\n\r\n\r\nHTTP/1.1 200 Blank\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "HEAD   200 [Blank] 1.1 keep chunked|Transfer-Encoding=chunked\nBODY x\nEND\n"
        "EOF ERROR\n");
    response("HTTP/1.1 200 Very Well\r\n\r\nto the end",
             "HEAD   200 [Very Well] 1.1 close\nBODY to the end\nEOF END\n");
    response("HTTP/1.0 200 OK\r\n\r\n", "HEAD   200 [OK] 1.0 close\nEOF END\n");
    response("HTTP/1.1 204 No Content\r\n\r\n",
             "HEAD   204 [No Content] 1.1 keep\nEND\nEOF ERROR\n");
    response("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
             "HEAD   304 [Not Modified] 1.1 keep length=9|Content-Length=9\nEND\nEOF ERROR\n");
    response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
             "HEAD   100 [Continue] 1.1 keep\nEND\n"
             "HEAD   200 [OK] 1.1 keep length=1|Content-Length=1\nBODY x\nEND\nEOF ERROR\n");
    response("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
             "HEAD   200 [OK] 1.1 close length=1|Connection=close|Content-Length=1\nBODY x\nEND\n"
             "EOF ERROR\n");
}

static void the_answer_to_head_has_no_body(void **state)
{
    (void)state;
    struct reading t = {.kind = H1_RESPONSE, .no_body = true};
    reads_as(t, STR("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
             "HEAD   200 [OK] 1.1 keep length=500|Content-Length=500\nEND\n");
    reads_as(t, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
             "HEAD   200 [OK] 1.1 keep chunked|Transfer-Encoding=chunked\nEND\n");
}

static void a_response_cut_short_is_an_error(void **state)
{
    (void)state;
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
             "HEAD   200 [OK] 1.1 keep length=5|Content-Length=5\nBODY hi\nEOF ERROR\n");
    response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
             "HEAD   200 [OK] 1.1 keep chunked|Transfer-Encoding=chunked\nBODY hi\nEOF ERROR\n");
    response("HTTP/1.1 200 O", "EOF ERROR\n");
}

static void bad_responses_are_refused(void **state)
{
    (void)state;
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BAD);
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", BAD);
    response("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", CODING);
    response("HTTP/1.1 20 OK\r\n\r\n", BAD);
    response("HTTP/2.0 200 OK\r\n\r\n", VERSION);
    response("SSH-2.0-OpenSSH\r\n", BAD);
    response("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", BAD);
}

static void an_arena_too_small_for_the_head_is_a_refusal(void **state)
{
    (void)state;
    struct h1 p;
    struct arena arena;
    arena_init(&arena, 64);
    h1_init(&p, H1_REQUEST, &limits);
    h1_begin(&p, &arena, false);
    str in = str_of(long_request(10, 50, 5)), body;
    assert_int_equal(h1_next(&p, &in, &body), H1_ERROR);
    assert_int_equal(p.error.status, 431);
    arena_done(&arena);
}

static void chunk_heads_are_written_in_hex(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *text;
    } cases[] = {{1, "1\r\n"},         {15, "f\r\n"},        {16, "10\r\n"},
                 {0x1234, "1234\r\n"}, {65536, "10000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[H1_CHUNK_HEAD_MAX];
        size_t n = h1_chunk_head(out, cases[i].len);
        assert_true(str_eq_z(str_slice(out, n), cases[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(pipelined_requests_are_read_one_by_one),
        cmocka_unit_test(chunked_bodies_are_read),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_at_its_limits_passes),
        cmocka_unit_test(each_limit_has_its_own_refusal),
        cmocka_unit_test(framing_out_of_proportion_is_refused),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(the_answer_to_head_has_no_body),
        cmocka_unit_test(a_response_cut_short_is_an_error),
        cmocka_unit_test(bad_responses_are_refused),
        cmocka_unit_test(an_arena_too_small_for_the_head_is_a_refusal),
        cmocka_unit_test(chunk_heads_are_written_in_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
