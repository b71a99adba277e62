// A stand-in for a cluster that has to hold 9,000 sessions, which 9,000 backends would need some 25 GB
// for: it speaks just enough of the protocol to let a session in (SSLRequest, SCRAM-SHA-256 with any
// proof taken, a few parameters), answers one empty query (PgBouncer joins a client to a server
// connection at its first query only) and then never touches it again. Sessions are served one at a time.
// Only the memory of what stands in front of it is measured.
//
//   stub LISTEN-PORT SCRAM-VERIFIER [CERTIFICATE KEY]
#define _GNU_SOURCE
#include "../relay/sockets.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

enum { packet_max = 10000, text_max = 2048 };

struct connection {
    int fd;
    SSL *tls;
};

static SSL_CTX *context;
static char salt[128];
static int iterations;
static unsigned char server_key[64];

static bool take(struct connection *c, void *into, size_t count) {
    for (size_t got = 0; got < count;) {
        size_t left = count - got;
        ssize_t n = c->tls ? SSL_read(c->tls, (char *)into + got, (int)left)
                           : recv(c->fd, (char *)into + got, left, 0);
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

static bool give(struct connection *c, const void *bytes, size_t count) {
    ssize_t n = c->tls ? SSL_write(c->tls, bytes, (int)count)
                       : send(c->fd, bytes, count, MSG_NOSIGNAL);
    return n == (ssize_t)count;
}

// One packet's body, with a zero after it; false when the peer ended or asks for too much.
static bool take_body(struct connection *c, char body[packet_max + 1], size_t *length) {
    uint32_t size;
    if (!take(c, &size, 4)) return false;
    size = ntohl(size);
    if (size < 4 || size > packet_max) return false;
    *length = size - 4;
    body[*length] = 0;
    return take(c, body, *length);
}

static size_t put(char *at, char type, const void *body, size_t length) {
    uint32_t size = htonl((uint32_t)length + 4);
    *at = type;
    memcpy(at + 1, &size, 4);
    memcpy(at + 5, body, length);
    return length + 5;
}

static size_t put_authentication(char *at, uint32_t kind, const void *data, size_t length) {
    char body[text_max + 4];
    kind = htonl(kind);
    memcpy(body, &kind, 4);
    memcpy(body + 4, data, length);
    return put(at, 'R', body, length + 4);
}

static bool take_response(struct connection *c, char body[packet_max + 1], size_t *length) {
    char type;
    return take(c, &type, 1) && type == 'p' && take_body(c, body, length);
}

// RFC 5802 from the server's side, but for the check of the proof.
static bool scram(struct connection *c) {
    char packet[packet_max + 1], out[2 * text_max];
    size_t length;
    static const char mechanisms[] = "SCRAM-SHA-256\0";
    if (!give(c, out, put_authentication(out, 10, mechanisms, sizeof mechanisms))) return false;

    if (!take_response(c, packet, &length)) return false;
    size_t name = strlen(packet) + 1;
    if (name + 4 > length) return false;
    char *first = strchr(packet + name + 4, ',');
    first = first ? strchr(first + 1, ',') : NULL;
    char *nonce = first ? strstr(first, "r=") : NULL;
    if (!nonce || strlen(first) > 512) return false;
    unsigned char random[18];
    char own[32], challenge[text_max];
    RAND_bytes(random, sizeof random);
    EVP_EncodeBlock((unsigned char *)own, random, sizeof random);
    int said = snprintf(
        challenge, sizeof challenge, "%s%s,s=%s,i=%d", nonce, own, salt, iterations);
    char message[3 * text_max];
    int prefix = snprintf(message, sizeof message, "%s,%s,", first + 1, challenge);
    if (!give(c, out, put_authentication(out, 11, challenge, (size_t)said))) return false;

    if (!take_response(c, packet, &length)) return false;
    char *proof = strstr(packet, ",p=");
    if (!proof || length > text_max) return false;
    *proof = 0;
    strcpy(message + prefix, packet);
    unsigned char signature[EVP_MAX_MD_SIZE];
    unsigned int size;
    HMAC(EVP_sha256(), server_key, 32, (unsigned char *)message, strlen(message), signature, &size);
    char final[64] = "v=";
    EVP_EncodeBlock((unsigned char *)final + 2, signature, 32);
    return give(c, out, put_authentication(out, 12, final, strlen(final)));
}

static bool let_in(struct connection *c) {
    static const char *parameters[][2] = {
        {"server_version", "15.0"},     {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},    {"standard_conforming_strings", "on"},
        {"integer_datetimes", "on"},    {"DateStyle", "ISO, MDY"},
        {"TimeZone", "Etc/UTC"},        {"IntervalStyle", "postgres"},
        {"application_name", ""},       {"is_superuser", "off"},
        {"in_hot_standby", "off"},      {"default_transaction_read_only", "off"},
        {"session_authorization", "bench"},
    };
    char out[text_max];
    size_t used = put_authentication(out, 0, "", 0);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        char pair[128];
        size_t name = strlen(parameters[i][0]) + 1, value = strlen(parameters[i][1]) + 1;
        memcpy(pair, parameters[i][0], name);
        memcpy(pair + name, parameters[i][1], value);
        used += put(out + used, 'S', pair, name + value);
    }
    uint32_t key[2] = {htonl((uint32_t)c->fd), htonl(0x5eed)};
    used += put(out + used, 'K', key, sizeof key);
    used += put(out + used, 'Z', "I", 1);
    return give(c, out, used);
}

static bool serve(struct connection *c) {
    char packet[packet_max + 1];
    size_t length;
    uint32_t code;
    for (;;) {
        if (!take_body(c, packet, &length) || length < 4) return false;
        memcpy(&code, packet, 4);
        if (ntohl(code) >> 16 == 3) break;
        if (ntohl(code) != 80877103) return false;
        if (send(c->fd, context ? "S" : "N", 1, MSG_NOSIGNAL) != 1) return false;
        if (!context) continue;
        c->tls = SSL_new(context);
        SSL_set_fd(c->tls, c->fd);
        if (SSL_accept(c->tls) != 1) return false;
    }
    if (!scram(c) || !let_in(c)) return false;
    char type, out[16];
    if (!take(c, &type, 1) || type != 'Q' || !take_body(c, packet, &length)) return false;
    size_t used = put(out, 'I', "", 0);
    used += put(out + used, 'Z', "I", 1);
    return give(c, out, used);
}

// SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>
static void read_verifier(const char *text) {
    char stored[64], key[64];
    unsigned char decoded[64];
    if (sscanf(text, "SCRAM-SHA-256$%d:%127[^$]$%63[^:]:%63s", &iterations, salt, stored, key) != 4
        || strlen(key) != 44 || EVP_DecodeBlock(decoded, (unsigned char *)key, 44) != 33) {
        fprintf(stderr, "%s: not a verifier\n", text);
        exit(64);
    }
    memcpy(server_key, decoded, 32);
}

int main(int count, char **arguments) {
    if (count != 3 && count != 5) {
        fprintf(stderr, "usage: stub LISTEN-PORT SCRAM-VERIFIER [CERTIFICATE KEY]\n");
        return 64;
    }
    read_verifier(arguments[2]);
    if (count == 5) {
        context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        if (SSL_CTX_use_certificate_chain_file(context, arguments[3]) != 1
            || SSL_CTX_use_PrivateKey_file(context, arguments[4], SSL_FILETYPE_PEM) != 1) {
            ERR_print_errors_fp(stderr);
            return 64;
        }
    }
    raise_descriptor_limit();
    int listener = listen_on(atoi(arguments[1])), off = 0;
    ioctl(listener, FIONBIO, &off);
    for (;;) {
        struct connection c = {.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
        if (c.fd < 0) continue;
        no_delay(c.fd);
        struct timeval patience = {.tv_sec = 5};
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (serve(&c)) continue; // kept open, never read again
        SSL_free(c.tls);
        close(c.fd);
    }
}
