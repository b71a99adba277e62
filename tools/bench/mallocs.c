// Preloaded into the program under test: counts what its relaying threads allocate, and their bursts.
//
// A thread counts from its first recv on; so do only those that relay. The counters are in a mapping of
// the file that MALLOCS_FILE names (uint64 each, in the order of `struct counters`), which whoever
// measures reads at any time. Allocations that OpenSSL's libraries ask for are counted apart.
//
// MALLOCS_CANARY=1 plants what a gate must find: one malloc and free, and some 2,000 instructions, per
// recv.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

struct counters {
    atomic_uint_fast64_t bursts, mallocs, frees, openssl_mallocs, sends;
};

static struct counters unmapped, *counters = &unmapped;
static _Thread_local bool relays __attribute__((tls_model("initial-exec")));
static bool is_canary;
static struct { uintptr_t start, end; } openssl[2];
static volatile unsigned waste;

static int note_openssl(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    int slot = strstr(info->dlpi_name, "libcrypto.so") ? 0 : strstr(info->dlpi_name, "libssl.so") ? 1 : -1;
    for (int i = 0; slot >= 0 && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        openssl[slot].start = info->dlpi_addr + part->p_vaddr;
        openssl[slot].end = openssl[slot].start + part->p_memsz;
    }
    return 0;
}

__attribute__((constructor)) static void prepare(void) {
    is_canary = getenv("MALLOCS_CANARY") != NULL;
    dl_iterate_phdr(note_openssl, NULL);
    const char *path = getenv("MALLOCS_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED) counters = at;
}

static void count(atomic_uint_fast64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void count_malloc(uintptr_t caller) {
    if (!relays) return;
    for (int i = 0; i < 2; i++) {
        if (caller < openssl[i].start || caller >= openssl[i].end) continue;
        count(&counters->openssl_mallocs);
        return;
    }
    count(&counters->mallocs);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

void *malloc(size_t size) {
    count_malloc(CALLER);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count_malloc(CALLER);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count_malloc(CALLER);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count_malloc(CALLER);
    return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    count_malloc(CALLER);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    count_malloc(CALLER);
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : 12;
}

void free(void *block) {
    if (relays && block) count(&counters->frees);
    __libc_free(block);
}

static void burst(ssize_t got) {
    relays = true;
    if (got > 0) count(&counters->bursts);
    if (!is_canary || got <= 0) return;
    void *volatile planted = malloc(64);
    free(planted);
    for (unsigned i = 0; i < 500; i++) waste += i;
}

ssize_t recv(int fd, void *into, size_t room, int flags) {
    static ssize_t (*next)(int, void *, size_t, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "recv");
    ssize_t got = next(fd, into, room, flags);
    burst(got);
    return got;
}

ssize_t send(int fd, const void *from, size_t size, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "send");
    if (relays) count(&counters->sends);
    return next(fd, from, size, flags);
}
