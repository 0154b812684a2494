// Sockets and addresses: the system calls and their differences between systems, nothing more. All
// descriptors made here are non-blocking and close-on-exec. Any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "base/str.h"

struct sock_address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t len;
};

#define SOCK_ADDRESS_TEXT_MAX 112 // "unix:" and a path

// "127.0.0.1:8080", "[::1]:0", "localhost:8080" (127.0.0.1), "*:8080" (every IPv4 address),
// "unix:/path". Names are not looked up: that is the resolver's. ERR_PARSE says what is wrong.
enum err sock_address_parse(const char *text, struct sock_address *ret, struct diag *d) MUST_USE;
// An IP literal without brackets and a port.
enum err sock_address_of(str host, uint16_t port, struct sock_address *ret) MUST_USE;
// The text as parse takes it, always terminated; returns out. Unnamed unix peers are "unix:".
const char *sock_address_format(const struct sock_address *a,
                                char out[static SOCK_ADDRESS_TEXT_MAX]);
bool sock_address_is_loopback(const struct sock_address *a); // unix counts as loopback
uint16_t sock_address_port(const struct sock_address *a);    // 0 for unix

// Listening, with address reuse; `reuseport` lets several sockets share it. A unix path left behind
// by a dead process is replaced; one that somebody answers on is ERR_BUSY.
enum err sock_listen(const struct sock_address *a, bool reuseport, int *ret_fd,
                     struct diag *d) MUST_USE;
// ERR_AGAIN: nobody is waiting. ERR_BUSY: no descriptors are left. ERR_IO: that one is lost.
enum err sock_accept(int listen_fd, int *ret_fd, struct sock_address *ret_peer) MUST_USE;
// Begin to connect: ERR_OK done, ERR_AGAIN under way (*ret_fd is written in both cases).
enum err sock_connect(const struct sock_address *a, int *ret_fd, struct diag *d) MUST_USE;
int sock_take_error(int fd); // SO_ERROR as errno
enum err sock_local_address(int fd, struct sock_address *ret) MUST_USE;

bool sock_set_flags(int fd); // non-blocking, close-on-exec; false with errno
ssize_t sock_send(int fd, const void *data, size_t len); // never raises SIGPIPE
