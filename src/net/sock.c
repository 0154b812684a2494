#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

#if defined(__linux__) && !defined(WEIR_NET_PORTABLE)
#define HAVE_SOCK_FLAGS 1
#else
#define HAVE_SOCK_FLAGS 0
#endif

#include "base/banned.h"

enum { BACKLOG = 4096 };

// --- Addresses

static enum err parse_unix(const char *path, struct sock_address *ret, struct diag *d)
{
    size_t len = strlen(path);
    struct sock_address a = {.un = {.sun_family = AF_UNIX}};
    if (len == 0)
        return diag_set(d, ERR_PARSE, "'unix:' needs a path after it");
    if (len >= sizeof a.un.sun_path)
        return diag_set(d, ERR_LIMIT, "the socket path is longer than %zu bytes",
                        sizeof a.un.sun_path - 1);
    memcpy(a.un.sun_path, path, len + 1);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    *ret = a;
    return ERR_OK;
}

enum err sock_address_of(str host, uint16_t port, struct sock_address *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct sock_address a = {0};
    if (host.len >= sizeof text || host.len == 0 || str_find_char(host, '\0') != SIZE_MAX)
        return ERR_PARSE;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(port);
        a.len = sizeof a.in;
    } else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons(port);
        a.len = sizeof a.in6;
    } else {
        return ERR_PARSE;
    }
    *ret = a;
    return ERR_OK;
}

static enum err bad_address(struct diag *d, const char *text)
{
    return diag_set(d, ERR_PARSE,
                    "'%s' is not an address; write it as 127.0.0.1:8080, [::1]:8080 or unix:/path",
                    text);
}

enum err sock_address_parse(const char *text, struct sock_address *ret, struct diag *d)
{
    str all = str_of(text);
    if (str_starts(all, STR("unix:")))
        return parse_unix(text + 5, ret, d);
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon)
        return bad_address(d, text);
    str host = str_sub(all, 0, (size_t)(colon - text));
    if (str_to_u64(str_of(colon + 1), &port) != ERR_OK || port > 65535)
        return diag_set(d, ERR_PARSE, "'%s' needs a port between 0 and 65535 at its end", text);
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed)
        host = str_sub(host, 1, host.len - 2);
    else if (str_eq(host, STR("localhost")))
        host = STR("127.0.0.1");
    else if (str_eq(host, STR("*")))
        host = STR("0.0.0.0");
    if (bracketed != (str_find_char(host, ':') != SIZE_MAX))
        return bad_address(d, text); // IPv6 in brackets, and nothing else
    if (sock_address_of(host, (uint16_t)port, ret) != ERR_OK)
        return bad_address(d, text);
    return ERR_OK;
}

// "127.0.0.1:8080": asked for by every request, so without inet_ntop's printf.
static void format_ipv4(const struct sockaddr_in *in, char *out)
{
    struct text t = text_in(out, SOCK_ADDRESS_TEXT_MAX - 1);
    uint32_t host = ntohl(in->sin_addr.s_addr);
    for (int shift = 24; shift >= 0; shift -= 8) {
        text_u64(&t, host >> shift & 255);
        text_add(&t, shift ? STR(".") : STR(":"));
    }
    text_u64(&t, ntohs(in->sin_port));
    out[t.len] = '\0';
}

const char *sock_address_format(const struct sock_address *a,
                                char out[static SOCK_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    switch (a->any.sa_family) {
    case AF_INET:
        format_ipv4(&a->in, out);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
        snprintf(out, SOCK_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(a->in6.sin6_port));
        break;
    case AF_UNIX: {
        size_t head = offsetof(struct sockaddr_un, sun_path);
        int len = a->len > head ? (int)strnlen(a->un.sun_path, a->len - head) : 0;
        snprintf(out, SOCK_ADDRESS_TEXT_MAX, "unix:%.*s", len < 100 ? len : 100, a->un.sun_path);
        break;
    }
    default:
        snprintf(out, SOCK_ADDRESS_TEXT_MAX, "unknown");
    }
    return out;
}

bool sock_address_is_loopback(const struct sock_address *a)
{
    static const uint8_t mapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    switch (a->any.sa_family) {
    case AF_INET:
        return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) ||
               memcmp(&a->in6.sin6_addr, mapped, sizeof mapped) == 0;
    default:
        return a->any.sa_family == AF_UNIX;
    }
}

uint16_t sock_address_port(const struct sock_address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->any.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

// --- Sockets

bool sock_set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool turn_on(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) == 0;
}

// What a connection wants beyond its defaults: answers leave at once, and a peer that has gone is
// an error code and not a signal.
static void prepare(int fd, int family)
{
    if (family != AF_UNIX)
        turn_on(fd, IPPROTO_TCP, TCP_NODELAY);
#ifdef SO_NOSIGPIPE
    turn_on(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
}

static int open_socket(int family)
{
#if HAVE_SOCK_FLAGS
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0 && !sock_set_flags(fd)) {
        close(fd);
        return -1;
    }
    return fd;
#endif
}

// A socket file outlives its process. It may go when nobody answers on it.
static enum err replace_dead_unix(const struct sock_address *a, struct diag *d)
{
    int fd = open_socket(AF_UNIX);
    if (fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a socket");
    int answered = connect(fd, &a->any, a->len);
    int sys = errno;
    close(fd);
    if (answered == 0 || sys == EAGAIN)
        return diag_set(d, ERR_BUSY, "somebody already listens on %s", a->un.sun_path);
    if (sys == ECONNREFUSED && unlink(a->un.sun_path) != 0)
        return diag_sys(d, ERR_IO, errno, "cannot replace the old socket %s", a->un.sun_path);
    return ERR_OK;
}

static enum err cannot_listen(const struct sock_address *a, int sys, struct diag *d)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    enum err e = sys == EADDRINUSE ? ERR_BUSY : sys == EACCES ? ERR_DENIED : ERR_IO;
    return diag_sys(d, e, sys, "cannot listen on %s", sock_address_format(a, text));
}

enum err sock_listen(const struct sock_address *a, bool reuseport, int *ret_fd, struct diag *d)
{
    int family = a->any.sa_family;
    if (family == AF_UNIX)
        ERR_TRY(replace_dead_unix(a, d));
    int fd = open_socket(family);
    if (fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a socket");
    bool ok = true;
    if (family != AF_UNIX) {
        ok = turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
        if (reuseport)
            ok = ok && turn_on(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    prepare(fd, family); // Linux hands TCP_NODELAY on to what is accepted
    if (!ok || bind(fd, &a->any, a->len) != 0 || listen(fd, BACKLOG) != 0) {
        int sys = errno;
        close(fd);
        return cannot_listen(a, sys, d);
    }
    *ret_fd = fd;
    return ERR_OK;
}

static int accept_flagged(int listen_fd, struct sock_address *peer)
{
    peer->len = sizeof peer->un;
#if HAVE_SOCK_FLAGS
    return accept4(listen_fd, &peer->any, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listen_fd, &peer->any, &peer->len);
    if (fd >= 0 && !sock_set_flags(fd)) {
        close(fd);
        errno = ECONNABORTED;
        return -1;
    }
    if (fd >= 0)
        prepare(fd, peer->any.sa_family);
    return fd;
#endif
}

enum err sock_accept(int listen_fd, int *ret_fd, struct sock_address *ret_peer)
{
    struct sock_address peer = {0};
    int fd = accept_flagged(listen_fd, &peer);
    if (fd >= 0) {
        *ret_fd = fd;
        *ret_peer = peer;
        return ERR_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ERR_AGAIN;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        return ERR_BUSY;
    return ERR_IO; // aborted before we took it, or a passing network error: look at the next
}

enum err sock_connect(const struct sock_address *a, int *ret_fd, struct diag *d)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    int fd = open_socket(a->any.sa_family);
    if (fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a socket");
    prepare(fd, a->any.sa_family);
    int done = connect(fd, &a->any, a->len);
    if (done != 0 && errno != EINPROGRESS && errno != EINTR) {
        int sys = errno;
        close(fd);
        return diag_sys(d, ERR_IO, sys, "cannot connect to %s", sock_address_format(a, text));
    }
    *ret_fd = fd;
    return done == 0 ? ERR_OK : ERR_AGAIN;
}

int sock_take_error(int fd)
{
    int sys = 0;
    socklen_t len = sizeof sys;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) == 0 ? sys : errno;
}

enum err sock_local_address(int fd, struct sock_address *ret)
{
    struct sock_address a = {.len = sizeof a.un};
    if (getsockname(fd, &a.any, &a.len) != 0)
        return ERR_IO;
    *ret = a;
    return ERR_OK;
}

ssize_t sock_send(int fd, const void *data, size_t len)
{
#ifdef MSG_NOSIGNAL
    return send(fd, data, len, MSG_NOSIGNAL);
#else
    return send(fd, data, len, 0);
#endif
}
