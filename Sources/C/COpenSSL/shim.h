#ifndef PGTEE_COPENSSL_H
#define PGTEE_COPENSSL_H

// OpenSSL's functions import as they are; these inline functions stand for its macros.
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

static inline long pgtee_SSL_CTX_set_min_proto_version(SSL_CTX *ctx, int version) {
    return SSL_CTX_set_min_proto_version(ctx, version);
}
static inline long pgtee_SSL_CTX_set_max_proto_version(SSL_CTX *ctx, int version) {
    return SSL_CTX_set_max_proto_version(ctx, version);
}
static inline long pgtee_SSL_CTX_set_mode(SSL_CTX *ctx, long mode) {
    return SSL_CTX_set_mode(ctx, mode);
}
static inline long pgtee_SSL_CTX_set_session_cache_mode(SSL_CTX *ctx, long mode) {
    return SSL_CTX_set_session_cache_mode(ctx, mode);
}
static inline long pgtee_SSL_set_tlsext_host_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name);
}
static inline void pgtee_SSL_CTX_set_servername_callback(
    SSL_CTX *ctx, int (*callback)(SSL *, int *, void *)) {
    SSL_CTX_set_tlsext_servername_callback(ctx, callback);
}
static inline void pgtee_SSL_CTX_set_servername_arg(SSL_CTX *ctx, void *arg) {
    SSL_CTX_set_tlsext_servername_arg(ctx, arg);
}
static inline unsigned long pgtee_SSL_OP_base(void) {
    return SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET
        | SSL_OP_IGNORE_UNEXPECTED_EOF;
}
static inline int pgtee_sk_X509_num(const STACK_OF(X509) *stack) { return sk_X509_num(stack); }
static inline X509 *pgtee_sk_X509_value(const STACK_OF(X509) *stack, int index) {
    return sk_X509_value(stack, index);
}
static inline void pgtee_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void pgtee_BIO_set_retry_write(BIO *bio) { BIO_set_retry_write(bio); }
static inline void pgtee_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline int pgtee_ERR_GET_REASON(unsigned long code) { return ERR_GET_REASON(code); }
static inline void pgtee_OPENSSL_free(void *pointer) { OPENSSL_free(pointer); }
static inline int pgtee_SSL_unexpected_eof(void) {
    return SSL_R_UNEXPECTED_EOF_WHILE_READING;
}
static inline int pgtee_GENERAL_NAMES_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}
/// The string of a dNSName (GEN_DNS) or iPAddress (GEN_IPADD); NULL for other kinds.
static inline const ASN1_STRING *pgtee_GENERAL_NAMES_value(
    const GENERAL_NAMES *names, int index, int *kind) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    *kind = name->type;
    if (name->type == GEN_DNS) return name->d.dNSName;
    if (name->type == GEN_IPADD) return name->d.iPAddress;
    return 0;
}
static inline void pgtee_GENERAL_NAMES_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

// The low-level functions are deprecated in favour of EVP, which allocates for every hash.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
/// SHA-256 of two pieces; 1 when it was computed.
static inline int pgtee_SHA256(
    const void *first, size_t first_count, const void *second, size_t second_count,
    unsigned char *hash) {
    SHA256_CTX context;
    return SHA256_Init(&context) && SHA256_Update(&context, first, first_count)
        && SHA256_Update(&context, second, second_count) && SHA256_Final(hash, &context);
}
#pragma clang diagnostic pop

#endif
