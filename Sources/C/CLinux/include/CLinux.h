#ifndef PGTEE_CLINUX_H
#define PGTEE_CLINUX_H

// What Glibc's Swift module leaves out because it needs _GNU_SOURCE, is variadic, or is a macro.
// _GNU_SOURCE is defined in shim.c only: with it here, glibc's own types would get a second
// definition beside those of Swift's Glibc module.
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/signalfd.h>

/// accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC; the address is not asked for.
int pgtee_accept(int descriptor);
/// prctl(PR_SET_NAME): at most 15 bytes are shown.
int pgtee_set_thread_name(const char *name);
/// prctl(PR_SET_DUMPABLE, 0): no core, no ptrace by others of the same user.
int pgtee_forbid_dumps(void);

#endif
