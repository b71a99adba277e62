// A bare TCP relay: what any proxy between a client and a PostgreSQL cluster has to pay at least.
//
// One thread, level-triggered epoll, one 64 KiB scratch buffer; one recv and one send per burst. Nothing
// is parsed. Bytes that the peer did not take are kept and reading from their source stops until they
// are gone; EPOLLOUT is watched only meanwhile. tools/bench/relay.py measures pgtee against it.
//
//   relay LISTEN-PORT HOST-ADDRESS PORT        TCP to TCP
//   relay LISTEN-PORT /SOCKET-DIRECTORY PORT   TCP to the cluster's unix socket
#define _GNU_SOURCE
#include "sockets.h"

enum { scratch_size = 64 * 1024, events_max = 64 };

struct leg {
    struct leg *peer;
    char *pending; // bytes for this leg's socket, taken from the peer
    size_t pending_start, pending_end;
    int fd;
    uint32_t watched;
    bool dead;
};

static char scratch[scratch_size];
static int poller;
static struct leg *graves[2 * events_max];
static int grave_count;

static void watch(struct leg *leg, uint32_t wanted) {
    if (leg->watched == wanted) return;
    struct epoll_event event = {.events = wanted, .data.ptr = leg};
    epoll_ctl(poller, EPOLL_CTL_MOD, leg->fd, &event);
    leg->watched = wanted;
}

// Both legs end together; the memory is freed after the round, since its events may still name it.
static void end_session(struct leg *leg) {
    if (leg->dead) return;
    leg->dead = leg->peer->dead = true;
    close(leg->fd);
    close(leg->peer->fd);
    graves[grave_count++] = leg;
}

static void readable(struct leg *source) {
    struct leg *sink = source->peer;
    ssize_t got = recv(source->fd, scratch, scratch_size, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        end_session(source);
        return;
    }
    ssize_t sent = send(sink->fd, scratch, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            end_session(source);
            return;
        }
        sent = 0;
    }
    if (sent == got) return;
    size_t rest = (size_t)(got - sent);
    sink->pending = malloc(rest);
    if (!sink->pending) fail("malloc");
    memcpy(sink->pending, scratch + sent, rest);
    sink->pending_start = 0;
    sink->pending_end = rest;
    watch(sink, sink->watched | EPOLLOUT);
    watch(source, source->watched & ~(uint32_t)EPOLLIN);
}

static void writable(struct leg *sink) {
    size_t rest = sink->pending_end - sink->pending_start;
    ssize_t sent = send(sink->fd, sink->pending + sink->pending_start, rest, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) end_session(sink);
        return;
    }
    sink->pending_start += (size_t)sent;
    if (sink->pending_start < sink->pending_end) return;
    free(sink->pending);
    sink->pending = NULL;
    watch(sink, sink->watched & ~(uint32_t)EPOLLOUT);
    watch(sink->peer, sink->peer->watched | EPOLLIN);
}

static void accept_one(int listener, const struct target *target) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    int server = connect_to(target);
    if (server < 0) {
        close(client);
        return;
    }
    no_delay(client);
    struct leg *legs = calloc(2, sizeof *legs);
    if (!legs) fail("calloc");
    for (int i = 0; i < 2; i++) {
        legs[i].fd = i ? server : client;
        legs[i].peer = &legs[1 - i];
        legs[i].watched = EPOLLIN;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &legs[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, legs[i].fd, &event);
    }
}

static void bury(void) {
    while (grave_count > 0) {
        struct leg *leg = graves[--grave_count];
        struct leg *first = leg < leg->peer ? leg : leg->peer;
        free(first[0].pending);
        free(first[1].pending);
        free(first);
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: relay LISTEN-PORT HOST-ADDRESS|/SOCKET-DIRECTORY PORT\n");
        return 64;
    }
    struct target target = target_from(arguments[2], arguments[3]);
    raise_descriptor_limit();
    int listener = listen_on(atoi(arguments[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[events_max];
        int ready = epoll_wait(poller, events, events_max, -1);
        for (int i = 0; i < ready; i++) {
            struct leg *leg = events[i].data.ptr;
            if (!leg) {
                accept_one(listener, &target);
                continue;
            }
            if (leg->dead) continue;
            if (events[i].events & EPOLLOUT && leg->pending) writable(leg);
            if (leg->dead) continue;
            if (events[i].events & EPOLLIN && leg->watched & EPOLLIN) readable(leg);
            else if (events[i].events & (EPOLLHUP | EPOLLERR)) end_session(leg);
        }
        bury();
    }
}
