// The whole request path: bytes on a socket, the HTTP server, routes, JSON, dialect, phases,
// answers. Behind it a scripted provider answers at once. The first byte of the input says what the
// rest is:
//   R  a connection's bytes, as they are
//   X  the body of a chat whose client goes away before the answer
//   another letter of `routes_tried`: the body of a POST there
// Properties: a complete request has exactly one whole answer, 200 or an error document in the
// route's own shape; a stream ends as its protocol says, or with an error; a client that has gone
// leaves nothing running.
// REQ: API-5 API-6 API-10 API-11 SEC-3 SEC-4
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway_internal.h"
#include "support/scripted.h"

#define PATIENCE_MS     10000
#define QUIET_TURNS     4
#define ANSWER_BYTES    (8u << 20)
#define SOCKET_TEMPLATE "/tmp/weir-fuzz-XXXXXX"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {"Hel", "lo <EMAI", "L_1>", NULL};

// Of the route "g" rules look at everything: texts are found, changed and planted in whatever
// comes.
static str mails[] = {{"email", 5}}, terms[] = {{"a", 1}};
static struct guard_rule_text rules[] = {
    {.name = {"mail", 4}, .action = GUARD_MASK, .direction = GUARD_INPUT, .pii = {mails, 1}},
    {.name = {"prompt", 6}, .action = GUARD_BLOCK, .plant = true},
    {.name = {"attack", 6}, .action = GUARD_TAG, .injection = 0.5, .direction = GUARD_INPUT},
    {.name = {"topic", 5}, .action = GUARD_TAG, .topic = {terms, 1}, .threshold = 1},
    {.name = {"long", 4}, .action = GUARD_MASK, .direction = GUARD_OUTPUT, .characters_max = 1000},
};
static struct gateway_guard guard = {.name = {"g", 1}, .rules = {rules, ARRAY_LEN(rules)}};
static struct gateway_target target = {{"m", 1}, 1};
static str guards[] = {{"g", 1}};
static struct gateway_route route = {
    .name = {"g", 1},
    .targets = {&target, 1},
    .guards = {guards, 1},
    .policy = {.attempts_max = 2, .context_policy = CONTEXT_TRUNCATE_MIDDLE, .context_max = 40}};

static struct {
    struct arena arena;
    struct gateway_config config;
    struct gateway_shared shared;
    struct loop *loop;
    struct gateway *gateway;
    struct scripted provider;
    struct sockaddr_un address;
    char listen[128];
} f;

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "fuzz_request: not so: %s\n", #x);                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void remove_socket(void)
{
    unlink(f.address.sun_path);
}

static void listen_somewhere(void)
{
    char folder[] = SOCKET_TEMPLATE;
    MUST(mkdtemp(folder));
    rmdir(folder); // the name is ours; the socket takes its place
    f.address.sun_family = AF_UNIX;
    snprintf(f.address.sun_path, sizeof f.address.sun_path, "%s", folder);
    snprintf(f.listen, sizeof f.listen, "unix:%s", folder);
    f.config.listen = str_of(f.listen);
    atexit(remove_socket);
}

static void set_up(void)
{
    struct model_entry entry;
    struct diag d = {0};
    if (f.gateway)
        return;
    log_configure(LOG_ERROR, LOG_LOGFMT);
    arena_init(&f.arena, 1 << 20);
    MUST(option_defaults(gateway_config_table, &f.config, &f.arena, &d) == ERR_OK);
    listen_somewhere();
    f.config.limits.body_bytes_max = 1 << 20;
    MUST(loop_new(LOOP_BACKEND_DEFAULT, &f.loop, &d) == ERR_OK);
    f.config.store.path = STR("off");
    f.config.guards = (struct option_items){&guard, 1};
    f.config.routes = (struct option_items){&route, 1};
    MUST(guards_check(&f.config, &d) == ERR_OK);
    MUST(gateway_shared_open(&f.shared, &f.config, &d) == ERR_OK);
    MUST(gateway_new(f.loop, &f.config, &f.shared, names_registry("fuzz", 1000), &f.gateway, &d) ==
         ERR_OK);
    MUST(gateway_listen(f.gateway, NULL, &d) == ERR_OK);
    f.provider.texts = words;
    scripted_entry(&f.provider, "m", &entry);
    MUST(registry_add(&f.gateway->registry, &entry, false, &d) == ERR_OK);
}

// --- The client

static int open_connection(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    MUST(connect(fd, (struct sockaddr *)&f.address, sizeof f.address) == 0);
    return fd;
}

// Take what has come; false when the server has closed.
static bool take(int fd, struct buf *answer)
{
    char block[65536];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0)
        MUST(buf_append(answer, block, (size_t)n) == ERR_OK);
    return n < 0;
}

// Send all, and read until the server closes; without `to_end`, until it has nothing more to say.
static void converse(str bytes, bool to_end, struct buf *answer)
{
    int fd = open_connection(), quiet = 0;
    uint64_t give_up_ms = clock_mono_ms() + PATIENCE_MS;
    while (to_end || quiet < QUIET_TURNS) {
        size_t had = answer->len;
        ssize_t n = bytes.len ? send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) : 0;
        if (n > 0)
            bytes = str_sub(bytes, (size_t)n, SIZE_MAX);
        loop_run_once(f.loop, gateway_calls(f.gateway) ? 1 : 0);
        if (!take(fd, answer))
            break;
        bool idle = n <= 0 && answer->len == had && !gateway_calls(f.gateway);
        quiet = idle ? quiet + 1 : 0;
        MUST(clock_mono_ms() < give_up_ms);
    }
    close(fd);
}

// --- What an answer must be

static size_t head_length(str s)
{
    size_t at = str_find(s, STR("\r\n\r\n"));
    MUST(at != SIZE_MAX);
    return at + 4;
}

static bool contains(str s, const char *needle)
{
    return str_find(s, str_of(needle)) != SIZE_MAX;
}

static bool is_text(yyjson_val *object, const char *name)
{
    return json_str(json_get(object, name)).len > 0;
}

static bool openai_error(yyjson_val *root)
{
    yyjson_val *error = json_get(root, "error");
    return is_text(error, "message") && is_text(error, "code") && is_text(error, "type");
}

static bool anthropic_error(yyjson_val *root)
{
    yyjson_val *error = json_get(root, "error");
    return str_eq_z(json_str(json_get(root, "type")), "error") && is_text(root, "request_id") &&
           is_text(error, "message") && is_text(error, "type") &&
           is_text(json_get(error, "details"), "error_code");
}

static bool ollama_error(yyjson_val *root)
{
    return is_text(root, "error");
}

struct shape {
    bool (*error)(yyjson_val *root);
    const char *ends[3]; // one of these is in every stream
};

static const struct shape openai = {openai_error, {"data: [DONE]\n\n", "data: {\"error\":"}};
static const struct shape responses = {
    openai_error,
    {"event: response.completed\n", "event: response.incomplete\n", "event: response.failed\n"}};
static const struct shape anthropic = {anthropic_error,
                                       {"event: message_stop\ndata: ", "event: error\ndata: "}};

static const struct shape ollama = {ollama_error, {"\"done\":true", "{\"error\":"}};

static const struct {
    char letter;
    const char *path;
    const struct shape *shape;
} routes_tried[] = {
    {'C', "/v1/chat/completions", &openai},
    {'T', "/v1/completions", &openai},
    {'E', "/v1/embeddings", &openai},
    {'K', "/tokenize", &openai},
    {'D', "/detokenize", &openai},
    {'P', "/v1/responses", &responses},
    {'M', "/v1/messages", &anthropic},
    {'N', "/v1/messages/count_tokens", &anthropic},
    {'O', "/api/chat", &ollama},
    {'G', "/api/generate", &ollama},
    {'B', "/api/embed", &ollama},
    {'V', "/api/embeddings", &ollama},
    {'S', "/api/show", &ollama},
};

static void check_document(str body, bool (*check)(yyjson_val *root))
{
    struct json_doc doc;
    MUST(json_parse(&doc, body, JSON_LIMITS_DEFAULT, NULL) == ERR_OK);
    MUST(yyjson_is_obj(doc.root));
    MUST(!check || check(doc.root));
    json_done(&doc);
}

// Exactly one answer to one complete POST.
static void check_answer(str s, const struct shape *shape)
{
    MUST(str_starts(s, STR("HTTP/1.1 ")));
    str head = str_sub(s, 0, head_length(s)), body = str_sub(s, head.len, SIZE_MAX);
    MUST(contains(head, "x-request-id: "));
    if (!str_starts(s, STR("HTTP/1.1 200 "))) {
        check_document(body, shape->error);
    } else if (contains(head, "Transfer-Encoding: chunked")) {
        bool ended = false;
        for (size_t i = 0; i < ARRAY_LEN(shape->ends) && shape->ends[i]; i++)
            ended = ended || contains(body, shape->ends[i]);
        MUST(ended);
        MUST(str_ends(body, STR("0\r\n\r\n")));
    } else {
        check_document(body, NULL);
    }
}

static void check_idle(void)
{
    uint64_t give_up_ms = clock_mono_ms() + PATIENCE_MS;
    while (gateway_calls(f.gateway) || f.provider.running) {
        loop_run_once(f.loop, 1);
        MUST(clock_mono_ms() < give_up_ms);
    }
    MUST(f.provider.started == f.provider.stopped);
}

// --- The kinds of input

static void raw(str bytes)
{
    struct buf answer;
    buf_init(&answer, ANSWER_BYTES);
    converse(bytes, false, &answer);
    if (answer.len)
        MUST(str_starts(buf_str(&answer), STR("HTTP/1.1 ")));
    buf_done(&answer);
}

static void request_of(const char *path, str body, struct buf *out)
{
    buf_init(out, ANSWER_BYTES);
    (void)buf_printf(out,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     path, body.len);
    (void)buf_append_str(out, body);
}

static void posted(const char *path, const struct shape *shape, str body)
{
    struct buf request, answer;
    buf_init(&answer, ANSWER_BYTES);
    request_of(path, body, &request);
    converse(buf_str(&request), true, &answer);
    check_answer(buf_str(&answer), shape);
    buf_done(&request);
    buf_done(&answer);
}

static bool posted_by_letter(char letter, str body)
{
    for (size_t i = 0; i < ARRAY_LEN(routes_tried); i++) {
        if (routes_tried[i].letter != letter)
            continue;
        posted(routes_tried[i].path, routes_tried[i].shape, body);
        return true;
    }
    return false;
}

static void abandoned(str body)
{
    struct buf request, answer;
    request_of("/v1/chat/completions", body, &request);
    buf_init(&answer, ANSWER_BYTES);
    int fd = open_connection();
    if (send(fd, buf_ptr(&request), request.len, MSG_NOSIGNAL) > 0)
        for (int turn = 0; turn < 3; turn++)
            loop_run_once(f.loop, 0);
    if (f.provider.attempt)
        scripted_release(&f.provider, 2);
    close(fd);
    buf_done(&request);
    buf_done(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    if (size == 0 || size > 200000)
        return 0;
    str rest = str_slice((const char *)data + 1, size - 1);
    f.provider.free_running = data[0] != 'X';
    if (data[0] == 'R')
        raw(rest);
    else if (data[0] == 'X')
        abandoned(rest);
    else if (!posted_by_letter((char)data[0], rest))
        posted(routes_tried[0].path, &openai, str_slice((const char *)data, size));
    check_idle();
    return 0;
}
