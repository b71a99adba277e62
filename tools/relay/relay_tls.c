// A bare relay with TLS on both legs: what any proxy that ends TLS has to pay at least.
//
// One thread, level-triggered epoll; one recv and one send per burst, OpenSSL works over scratch buffers
// through a BIO of its own. Towards clients at most 8 KiB go into one record, as pgtee must do (libpq's
// asynchronous users hang on larger ones); towards the cluster records are full. Tickets and session
// caches are off. Nothing of PostgreSQL is parsed but SSLRequest and its answer. The server leg's
// connection and handshake block the loop, which doesn't matter for what is measured here: sessions that
// are established.
//
//   relay_tls LISTEN-PORT HOST-ADDRESS PORT CERTIFICATE KEY CA NAME
// With RELAY_RELEASE=1 in the environment, OpenSSL gives back its buffers whenever they are empty.
#define _GNU_SOURCE
#include "sockets.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    cipher_size = 64 * 1024,             // what one recv takes
    plain_size = cipher_size + 32 * 1024, // and what was left of a record before it
    out_size = 2 * plain_size,           // and what records add to it
    client_record = 8 * 1024,
    server_record = 16 * 1024,
    events_max = 64,
};

struct leg {
    struct leg *peer;
    SSL *tls;
    char *pending; // records for this leg's socket
    size_t pending_start, pending_end;
    int fd;
    uint32_t watched;
    bool is_client, asked, open, dead;
};

// The bytes that OpenSSL reads and writes during one call; no other call can come in between.
static char cipher_in[cipher_size], plain[plain_size], cipher_out[out_size];
static size_t in_start, in_end, out_end;

static int poller;
static struct leg *graves[2 * events_max];
static int grave_count;
static SSL_CTX *client_context, *server_context;
static BIO_METHOD *over_scratch;
static const char *server_name;
static const char ssl_request[8] = {0, 0, 0, 8, 4, (char)210, 22, 47};

static int scratch_read(BIO *bio, char *to, int room) {
    size_t got = in_end - in_start;
    BIO_clear_retry_flags(bio);
    if (got == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (got > (size_t)room) got = (size_t)room;
    memcpy(to, cipher_in + in_start, got);
    in_start += got;
    return (int)got;
}

static int scratch_write(BIO *bio, const char *from, int count) {
    BIO_clear_retry_flags(bio);
    if ((size_t)count > out_size - out_end) return -1; // can't be: out_size is for the largest burst
    memcpy(cipher_out + out_end, from, (size_t)count);
    out_end += (size_t)count;
    return count;
}

static long scratch_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void watch(struct leg *leg, uint32_t wanted) {
    if (leg->watched == wanted) return;
    struct epoll_event event = {.events = wanted, .data.ptr = leg};
    epoll_ctl(poller, EPOLL_CTL_MOD, leg->fd, &event);
    leg->watched = wanted;
}

static void end_session(struct leg *leg) {
    if (leg->dead) return;
    leg->dead = leg->peer->dead = true;
    close(leg->fd);
    close(leg->peer->fd);
    graves[grave_count++] = leg;
}

// Sends what OpenSSL left in cipher_out; what the peer does not take makes the other leg wait.
static void flush(struct leg *leg) {
    size_t count = out_end, sent = 0;
    out_end = 0;
    if (count == 0 || leg->dead) return;
    if (!leg->pending) {
        ssize_t result = send(leg->fd, cipher_out, count, MSG_NOSIGNAL);
        if (result < 0 && errno != EAGAIN && errno != EINTR) {
            end_session(leg);
            return;
        }
        sent = result < 0 ? 0 : (size_t)result;
        if (sent == count) return;
        leg->pending_start = leg->pending_end = 0;
    }
    char *grown = realloc(leg->pending, leg->pending_end + count - sent);
    if (!grown) fail("realloc");
    memcpy(grown + leg->pending_end, cipher_out + sent, count - sent);
    leg->pending = grown;
    leg->pending_end += count - sent;
    watch(leg, leg->watched | EPOLLOUT);
    watch(leg->peer, leg->peer->watched & ~(uint32_t)EPOLLIN);
}

static void writable(struct leg *leg) {
    size_t rest = leg->pending_end - leg->pending_start;
    ssize_t sent = send(leg->fd, leg->pending + leg->pending_start, rest, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) end_session(leg);
        return;
    }
    leg->pending_start += (size_t)sent;
    if (leg->pending_start < leg->pending_end) return;
    free(leg->pending);
    leg->pending = NULL;
    watch(leg, leg->watched & ~(uint32_t)EPOLLOUT);
    watch(leg->peer, leg->peer->watched | EPOLLIN);
}

// SSLRequest, its answer, then the handshake; true as soon as bytes of the session may follow.
static bool opened(struct leg *leg) {
    if (!leg->asked) {
        if (in_end != sizeof ssl_request || memcmp(cipher_in, ssl_request, sizeof ssl_request) != 0
            || send(leg->fd, "S", 1, MSG_NOSIGNAL) != 1) {
            end_session(leg);
            return false;
        }
        leg->asked = true;
        return false;
    }
    int result = SSL_do_handshake(leg->tls);
    int reason = SSL_get_error(leg->tls, result);
    flush(leg);
    if (result == 1) return leg->open = true;
    if (reason != SSL_ERROR_WANT_READ) end_session(leg);
    return false;
}

static void readable(struct leg *source) {
    struct leg *sink = source->peer;
    ssize_t got = recv(source->fd, cipher_in, cipher_size, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        end_session(source);
        return;
    }
    in_start = 0;
    in_end = (size_t)got;
    out_end = 0;
    ERR_clear_error();
    if (!source->open && !opened(source)) return;

    // Asked again only while it has something: calls that only say "want read" add up.
    size_t used = 0, count;
    bool ended = false;
    while (in_start < in_end || SSL_has_pending(source->tls)) {
        if (SSL_read_ex(source->tls, plain + used, plain_size - used, &count) != 1) {
            ended = SSL_get_error(source->tls, 0) != SSL_ERROR_WANT_READ;
            break;
        }
        used += count;
    }
    flush(source); // OpenSSL's own answers, such as to a KeyUpdate
    if (source->dead) return;

    size_t record = sink->is_client ? client_record : server_record;
    for (size_t at = 0; at < used; at += count) {
        size_t rest = used - at;
        if (SSL_write_ex(sink->tls, plain + at, rest < record ? rest : record, &count) != 1) {
            end_session(source);
            return;
        }
    }
    flush(sink);
    if (ended) end_session(source);
}

static SSL *new_session(SSL_CTX *context) {
    SSL *tls = SSL_new(context);
    BIO *bio = BIO_new(over_scratch);
    if (!tls || !bio) fail("SSL_new");
    BIO_set_init(bio, 1);
    SSL_set_bio(tls, bio, bio);
    return tls;
}

// The server leg, ready to carry a session; blocks until it is.
static SSL *secure_server(int fd) {
    char answer;
    int off = 0, on = 1;
    ioctl(fd, FIONBIO, &off);
    if (send(fd, ssl_request, sizeof ssl_request, MSG_NOSIGNAL) != sizeof ssl_request) return NULL;
    if (recv(fd, &answer, 1, 0) != 1 || answer != 'S') return NULL;
    SSL *tls = new_session(server_context);
    SSL_set1_host(tls, server_name);
    in_start = in_end = out_end = 0;
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(tls);
        int reason = SSL_get_error(tls, result);
        if (send(fd, cipher_out, out_end, MSG_NOSIGNAL) != (ssize_t)out_end) break;
        out_end = 0;
        if (result == 1) {
            ioctl(fd, FIONBIO, &on);
            return tls;
        }
        if (reason != SSL_ERROR_WANT_READ) break;
        ssize_t got = recv(fd, cipher_in, cipher_size, 0);
        if (got <= 0) break;
        in_start = 0;
        in_end = (size_t)got;
    }
    ERR_print_errors_fp(stderr);
    SSL_free(tls);
    return NULL;
}

static void accept_one(int listener, const struct target *target) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    int server = connect_to(target);
    SSL *server_tls = server < 0 ? NULL : secure_server(server);
    if (!server_tls) {
        close(client);
        if (server >= 0) close(server);
        return;
    }
    no_delay(client);
    struct leg *legs = calloc(2, sizeof *legs);
    if (!legs) fail("calloc");
    legs[0] = (struct leg){.fd = client, .tls = new_session(client_context), .is_client = true};
    legs[1] = (struct leg){.fd = server, .tls = server_tls, .asked = true, .open = true};
    SSL_set_accept_state(legs[0].tls);
    for (int i = 0; i < 2; i++) {
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
        for (int i = 0; i < 2; i++) {
            SSL_free(first[i].tls);
            free(first[i].pending);
        }
        free(first);
    }
}

static SSL_CTX *new_context(const SSL_METHOD *method) {
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context) fail("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_read_ahead(context, 1);
    if (getenv("RELAY_RELEASE")) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static void prepare_tls(const char *certificate, const char *key, const char *ca) {
    over_scratch = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "scratch");
    BIO_meth_set_read(over_scratch, scratch_read);
    BIO_meth_set_write(over_scratch, scratch_write);
    BIO_meth_set_ctrl(over_scratch, scratch_control);
    client_context = new_context(TLS_server_method());
    server_context = new_context(TLS_client_method());
    SSL_CTX_set_verify(server_context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_use_certificate_chain_file(client_context, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(client_context, key, SSL_FILETYPE_PEM) != 1
        || SSL_CTX_load_verify_locations(server_context, ca, NULL) != 1) {
        ERR_print_errors_fp(stderr);
        exit(64);
    }
}

int main(int count, char **arguments) {
    if (count != 8) {
        fprintf(stderr, "usage: relay_tls LISTEN-PORT HOST-ADDRESS PORT CERTIFICATE KEY CA NAME\n");
        return 64;
    }
    struct target target = target_from(arguments[2], arguments[3]);
    server_name = arguments[7];
    prepare_tls(arguments[4], arguments[5], arguments[6]);
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
