// What the bare relays and the stub server share: sockets and failing loudly.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct target {
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un local;
    } address;
    socklen_t length;
};

static inline void fail(const char *what) {
    perror(what);
    exit(1);
}

static inline void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct target target_from(const char *host, const char *port) {
    struct target target = {0};
    if (host[0] == '/') {
        struct sockaddr_un *local = &target.address.local;
        local->sun_family = AF_UNIX;
        int length = snprintf(local->sun_path, sizeof local->sun_path, "%s/.s.PGSQL.%s", host, port);
        if (length < 0 || (size_t)length >= sizeof local->sun_path) {
            fprintf(stderr, "%s: the path of the socket is too long\n", host);
            exit(64);
        }
        target.length = sizeof *local;
        return target;
    }
    struct sockaddr_in *inet = &target.address.inet;
    inet->sin_family = AF_INET;
    inet->sin_port = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, host, &inet->sin_addr) != 1) {
        fprintf(stderr, "%s: not an IPv4 address\n", host);
        exit(64);
    }
    target.length = sizeof *inet;
    return target;
}

// Waits for the connection (a cluster on the same machine answers at once), then never blocks again.
static inline int connect_to(const struct target *target) {
    int fd = socket(target->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, &target->address.any, target->length) < 0) {
        close(fd);
        return -1;
    }
    int on = 1;
    if (ioctl(fd, FIONBIO, &on) < 0) fail("ioctl");
    if (target->address.any.sa_family == AF_INET) no_delay(fd);
    return fd;
}

static inline int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(fd, 4096) < 0) fail("listen");
    return fd;
}

static inline void raise_descriptor_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
