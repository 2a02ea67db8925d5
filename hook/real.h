/* SPDX-License-Identifier: MIT */
/* real.h - the calls that we stand in front of: dlsym(RTLD_NEXT), typed.
 *
 * Each entry starts as a stub that looks its own name up and goes on, so that
 * a hook works at any moment of start-up: before our constructor, in dlsym, in
 * an allocator's first call.  A test puts functions of its own here. */
#ifndef COHOOK_REAL_H
#define COHOOK_REAL_H

#include <aio.h>
#include <grp.h>
#include <link.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <semaphore.h>
#include <shadow.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

struct __res_state; /* <resolv.h> defines p_type and the like as macros */
struct rpcent;

struct co_real {
#define HOOK(ret, name, params, args) ret(*name) params;
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
};

extern struct co_real real;

/* Look all of them up: no dlsym(3), and no lock of its, later on. */
void co_real_init(void);

#define COHOOK_EXPORT __attribute__((visibility("default")))

/* Another name of a hook, in the file that defines it. */
#if defined(__GNUC__) && !defined(__clang__)
#define COHOOK_SAME_AS(name) copy(name) /* nothrow and its like; gcc asks */
#else
#define COHOOK_SAME_AS(name)
#endif
#define COHOOK_ALIAS(other, name)                                             \
	extern __typeof__(name) other                                         \
		__attribute__((visibility("default"), alias(#name),           \
			       COHOOK_SAME_AS(name)))

/* Declared by headers only where _FORTIFY_SOURCE is on. */
void __longjmp_chk(jmp_buf env, int val)
	__attribute__((noreturn));
int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __mq_open_2(const char *name, int flags);
void __syslog_chk(int prio, int flag, const char *format, ...);
void __vsyslog_chk(int prio, int flag, const char *format, va_list ap);
FILE *_IO_fopen(const char *path, const char *mode);
FILE *_IO_popen(const char *command, const char *mode);
int __open64_2(const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t at, size_t size);
int __sigpause(int sig, int is_sig);
int __sigsuspend(const sigset_t *set);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
		       struct sockaddr *addr, socklen_t *len);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask, size_t size);

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
