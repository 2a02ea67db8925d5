/* SPDX-License-Identifier: MIT */
/* faults.c - faults at random, in the fault-injecting build: see faults.h.
 *
 * It stands in two seams.  The table of real calls is rewritten just after it
 * was filled in; the runtime's own system calls come here by ctx/sys.h.  The
 * memory it asks libc for is the linker's affair (--wrap).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "hook/wait.h"
#include "sched/log.h"
#include "tests/faults/faults.h"

/* Beyond any errno. */
enum { AGAIN = 4096, SHORT, LATE };

/* --- the table: what, how often, and how often it was --- */

enum class { hidden, retry, visible, deadly, late, CLASSES };
static const char *const class_names[] = { "hidden", "retry", "visible",
					   "deadly", "late" };

/* Every real call has a number, and so have the runtime's own. */
enum call {
#define HOOK(ret, name, params, args) C_##name,
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
	C_sys_before, /* any system call of the runtime's own */
	C_sys_after,
	C_sys_lock,
	C_sys_unlock,
	C_sys_epoll_ctl,
	C_sys_epoll_wait,
	C_sys_futex_wait,
	C_sys_poll,
	C_sys_preadv2,
	C_sys_pwritev2,
	C_sys_mmap,
	C_sys_malloc,
	CALLS,
};

static struct fault {
	const char *call, *name;
	enum call number;
	int what;
	enum class class;
	_Atomic unsigned rate; /* of a thousand */
	_Atomic uint64_t count;
} faults[] = {
#define FAULT(call, what, class) { #call, #what, C_##call, what, class, 0, 0 },
#define SYS(call, what, class) { #call, #what, C_##call, what, class, 0, 0 },
#include "tests/faults/faults.def"
};

enum { FAULTS = sizeof(faults) / sizeof(*faults) };

static struct co_real sound; /* the real calls, really */
static _Atomic uint64_t seed, drawn;
static _Atomic int on, on_late;

static uint32_t
draw(void)
{
	uint64_t z = atomic_load(&seed) +
		     atomic_fetch_add(&drawn, 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

static uint32_t
below(uint32_t n)
{
	return (uint32_t)((uint64_t)draw() * n >> 32);
}

/* Which of them, if any: can() says whether it is possible here. */
static int
befalls(enum call number, bool (*can)(int what, void *arg), void *arg)
{
	struct fault *f;

	if (!atomic_load_explicit(&on, memory_order_relaxed) || !co_active ||
	    co_tls.vforked)
		return 0;
	for (f = faults; f < faults + FAULTS; f++)
		if (f->number == number && f->rate > 0 &&
		    below(1000) < f->rate &&
		    (can == NULL || can(f->what, arg))) {
			atomic_fetch_add(&f->count, 1);
			return f->what;
		}
	return 0;
}

/* What a rule's name means.  call.WHAT may be told from a class or a call. */
static bool
fits(const struct fault *f, const char *name, size_t n)
{
	const char *dot = memchr(name, '.', n);
	size_t call = dot != NULL ? (size_t)(dot - name) : n;

	if (dot == NULL && strlen(class_names[f->class]) == n &&
	    strncmp(class_names[f->class], name, n) == 0)
		return true;
	if (strlen(f->call) != call || strncmp(f->call, name, call) != 0)
		return false;
	return dot == NULL || (strlen(f->name) == n - call - 1 &&
			       strncmp(f->name, dot + 1, n - call - 1) == 0);
}

static void stirrer_start(void);

COHOOK_EXPORT int
cohook_faults(uint64_t with, const char *rules)
{
	const char *eq, *end;
	struct timespec ts;
	struct fault *f;
	bool any = false;
	long rate;
	int known;

	atomic_store(&on, 0);
	atomic_store(&on_late, 0);
	for (f = faults; f < faults + FAULTS; f++)
		f->rate = 0;
	while (*rules != '\0') {
		eq = strchr(rules, '=');
		if (eq == NULL)
			return -1;
		rate = strtol(eq + 1, (char **)&end, 10);
		if (end == eq + 1 || (*end != '\0' && *end != ',') ||
		    rate < 0 || rate > 1000)
			return -1;
		for (f = faults, known = 0; f < faults + FAULTS; f++)
			if (fits(f, rules, (size_t)(eq - rules))) {
				f->rate = (unsigned)rate;
				known = 1;
				if (f->class == late && rate > 0)
					atomic_store(&on_late, 1);
			}
		if (!known)
			return -1;
		any = any || rate > 0;
		rules = *end == ',' ? end + 1 : end;
	}
	if (with == 0) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		with = ((uint64_t)ts.tv_nsec << 20 ^ (uint64_t)ts.tv_sec ^
			(uint64_t)sys0(SYS_getpid) << 8) |
		       1;
	}
	atomic_store(&seed, with);
	atomic_store(&drawn, 0);
	if (any)
		stirrer_start();
	atomic_store(&on, any);
	return 0;
}

COHOOK_EXPORT uint64_t
cohook_faults_seed(void)
{
	return seed;
}

COHOOK_EXPORT uint64_t
cohook_faults_count(const char *name)
{
	struct fault *f;
	uint64_t n = 0;

	for (f = faults; f < faults + FAULTS; f++)
		if (name == NULL || fits(f, name, strlen(name)))
			n += f->count;
	return n;
}

COHOOK_EXPORT void
cohook_faults_report(int fd)
{
	char line[120];
	struct fault *f;
	int n;

	for (f = faults; f < faults + FAULTS; f++) {
		if (f->count == 0)
			continue;
		n = snprintf(line, sizeof(line), "%-16s %-14s %8llu\n", f->call,
			     f->name, (unsigned long long)f->count);
		sys3(SYS_write, fd, line, n);
	}
}

/* --- what was there is announced again --- */

/* Half of them at once, so that the call tries again without a wait; half a
 * little later, by a kernel thread that is nobody's coroutine. */
enum { LATER = 256 };

static struct {
	struct co_lock lock;
	struct {
		uint64_t data;
		uint32_t events;
	} at[LATER];
	unsigned n;
	_Atomic int word; /* it sleeps while 0 */
	_Atomic int pid;  /* where it runs: not in a child */
} later;

static void
announce(uint64_t data, uint32_t events)
{
	co_critical_begin();
	co_fd_event(data, events);
	co_critical_end();
}

static void *
stirrer(void *arg)
{
	struct timespec nap = { 0, 0 };
	uint32_t events = 0;
	uint64_t data = 0;
	bool any;

	for (;;) {
		co_lock(&later.lock);
		any = later.n > 0;
		if (any) {
			data = later.at[--later.n].data;
			events = later.at[later.n].events;
		}
		co_unlock(&later.lock);
		if (!any) {
			co_syscall6(SYS_futex, (long)&later.word,
				    FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0, 0,
				    0);
			atomic_store(&later.word, 0);
		} else {
			nap.tv_nsec = (long)below(300000);
			co_syscall6(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
			announce(data, events);
		}
	}
	return arg;
}

static void
stirrer_start(void)
{
	int pid = (int)sys0(SYS_getpid);
	uint64_t all = ~UINT64_C(0), old;
	pthread_t th;

	if (atomic_exchange(&later.pid, pid) == pid)
		return;
	later.n = 0;
	later.lock.word = 0;
	sys_sigmask(SIG_SETMASK, &all, &old);
	if (sound.pthread_create(&th, NULL, stirrer, NULL) != 0)
		later.pid = 0;
	sys_sigmask(SIG_SETMASK, &old, NULL);
}

static void
stir(int fd, int dir)
{
	struct co_fd *s = co_fd_if(fd);
	uint32_t events = dir == CO_IN ? EPOLLIN : EPOLLOUT;
	uint64_t data;
	bool put = false;

	if (s == NULL)
		return;
	data = (uint64_t)s->gen << 32 | (uint32_t)fd;
	if (below(2) && later.pid == (int)sys0(SYS_getpid)) {
		co_critical_begin();
		co_lock(&later.lock);
		put = later.n < LATER;
		if (put) {
			later.at[later.n].data = data;
			later.at[later.n++].events = events;
		}
		co_unlock(&later.lock);
		co_critical_end();
		atomic_store(&later.word, 1);
		sys_futex_wake(&later.word, 1);
	}
	if (!put)
		announce(data, events);
}

/* --- calls on a descriptor --- */

struct op {
	int fd, dir, flags;
	size_t n;
};

static bool
in_coroutine(void)
{
	return co_tls.self != NULL && co_tls.nopark == 0;
}

static bool
is_nonblocking(int fd)
{
	return sys2(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK;
}

/* A datagram has no parts; and where the program does not wait, what is
 * retried for it elsewhere would reach it. */
static bool
can_io(int what, void *arg)
{
	const struct op *op = arg;
	int type = 0;
	socklen_t len = sizeof(type);

	if (!in_coroutine())
		return false;
	if (op->flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
		return false;
	if (what == AGAIN)
		return !is_nonblocking(op->fd);
	if (what != SHORT)
		return true;
	if (op->n < 2 || (op->dir == CO_OUT && is_nonblocking(op->fd)) ||
	    sys2(SYS_fcntl, op->fd, F_GETFL) & O_DIRECT) /* of packets */
		return false;
	/* Who reads may see the parts: pipe(7) has none below PIPE_BUF, and of
	 * a socket with room nobody expects any. */
	if (op->dir == CO_OUT && op->n <= PIPE_BUF)
		return false;
	if (sys5(SYS_getsockopt, op->fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
		return type == SOCK_STREAM;
	return true;
}

/* True: go on, with *n bytes.  False: errno has it. */
static bool
goes_on(enum call number, int fd, int dir, int flags, size_t *n)
{
	struct op op = { fd, dir, flags, *n };
	int what = befalls(number, can_io, &op);

	if (what == 0)
		return true;
	if (what == SHORT) {
		*n = 1 + below((uint32_t)(*n > 1u << 30 ? 1u << 30 : *n) - 1);
		/* There may be more, and for once nothing says so. */
		stir(fd, dir);
		return true;
	}
	if (what == AGAIN) {
		stir(fd, dir);
		what = EAGAIN;
	}
	errno = what;
	return false;
}

static ssize_t
faulty_recv(int fd, void *buf, size_t n, int flags)
{
	return goes_on(C_recv, fd, CO_IN, flags, &n) ?
		       sound.recv(fd, buf, n, flags) :
		       -1;
}

static ssize_t
faulty_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
		socklen_t *len)
{
	return goes_on(C_recvfrom, fd, CO_IN, flags, &n) ?
		       sound.recvfrom(fd, buf, n, flags, addr, len) :
		       -1;
}

static ssize_t
faulty_send(int fd, const void *buf, size_t n, int flags)
{
	return goes_on(C_send, fd, CO_OUT, flags, &n) ?
		       sound.send(fd, buf, n, flags) :
		       -1;
}

static ssize_t
faulty_sendto(int fd, const void *buf, size_t n, int flags,
	      const struct sockaddr *addr, socklen_t len)
{
	return goes_on(C_sendto, fd, CO_OUT, flags, &n) ?
		       sound.sendto(fd, buf, n, flags, addr, len) :
		       -1;
}

static ssize_t
faulty_read(int fd, void *buf, size_t n)
{
	return goes_on(C_read, fd, CO_IN, 0, &n) ? sound.read(fd, buf, n) : -1;
}

/* Short: of the first that is not empty, some. */
enum { MOST_IOV = 64 };

static bool
shorter(enum call number, int fd, int dir, int flags, const struct iovec *iov,
	size_t n, struct iovec *one, bool *cut)
{
	size_t first = 0, len, i;

	*cut = false;
	for (i = 0; i < n && i < MOST_IOV && first == 0; i++)
		if (!co_get(one, &iov[i], sizeof(*one)))
			return true;
		else
			first = one->iov_len;
	len = first;
	if (!goes_on(number, fd, dir, flags, &len))
		return false;
	*cut = len < first;
	one->iov_len = len;
	return true;
}

static ssize_t
faulty_readv(int fd, const struct iovec *iov, int n)
{
	struct iovec one;
	bool cut;

	if (!shorter(C_readv, fd, CO_IN, 0, iov, (size_t)n, &one, &cut))
		return -1;
	return cut ? sound.readv(fd, &one, 1) : sound.readv(fd, iov, n);
}

static ssize_t
faulty_writev(int fd, const struct iovec *iov, int n)
{
	struct iovec one;
	bool cut;

	if (!shorter(C_writev, fd, CO_OUT, 0, iov, (size_t)n, &one, &cut))
		return -1;
	return cut ? sound.writev(fd, &one, 1) : sound.writev(fd, iov, n);
}

static ssize_t
faulty_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct iovec one;
	struct msghdr m;
	bool cut;
	ssize_t r;

	if (!co_get(&m, msg, sizeof(m)))
		return sound.recvmsg(fd, msg, flags);
	if (!shorter(C_recvmsg, fd, CO_IN, flags, m.msg_iov, m.msg_iovlen, &one,
		     &cut))
		return -1;
	if (!cut)
		return sound.recvmsg(fd, msg, flags);
	m.msg_iov = &one;
	m.msg_iovlen = 1;
	r = sound.recvmsg(fd, &m, flags);
	if (r >= 0) {
		msg->msg_namelen = m.msg_namelen;
		msg->msg_controllen = m.msg_controllen;
		msg->msg_flags = m.msg_flags;
	}
	return r;
}

static ssize_t
faulty_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct iovec one;
	struct msghdr m;
	bool cut;

	if (!co_get(&m, msg, sizeof(m)))
		return sound.sendmsg(fd, msg, flags);
	if (!shorter(C_sendmsg, fd, CO_OUT, flags, m.msg_iov, m.msg_iovlen,
		     &one, &cut))
		return -1;
	if (!cut)
		return sound.sendmsg(fd, msg, flags);
	m.msg_iov = &one;
	m.msg_iovlen = 1;
	return sound.sendmsg(fd, &m, flags);
}

static bool
can_in_coroutine(int what, void *arg)
{
	(void)arg;
	(void)what;
	return in_coroutine();
}

static bool
can_cut(int what, void *arg)
{
	return in_coroutine() && (what != SHORT || *(size_t *)arg > 1);
}

static ssize_t
faulty_splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t n,
	      unsigned flags)
{
	int what = befalls(C_splice, can_cut, &n);

	if (what == SHORT)
		n = 1 + below((uint32_t)(n > 65536 ? 65536 : n) - 1);
	else if (what != 0) {
		errno = what;
		return -1;
	}
	return sound.splice(in, off_in, out, off_out, n, flags);
}

static ssize_t
faulty_sendfile64(int out, int in, off64_t *off, size_t n)
{
	int what = befalls(C_sendfile64, can_cut, &n);

	if (what == SHORT)
		n = 1 + below((uint32_t)(n > 65536 ? 65536 : n) - 1);
	else if (what != 0) {
		errno = what;
		return -1;
	}
	return sound.sendfile64(out, in, off, n);
}

/* Linux has closed it when it says so. */
static int
faulty_close(int fd)
{
	int r = sound.close(fd);

	if (r == 0 && befalls(C_close, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		r = -1;
	}
	return r;
}

/* Only who has found nothing is interrupted. */
static int
faulty_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int r = 0, what;

	if (timeout == 0)
		r = sound.poll(fds, n, 0);
	if (r != 0)
		return r;
	what = befalls(C_poll, can_in_coroutine, NULL);
	if (what == 0)
		return timeout == 0 ? 0 : sound.poll(fds, n, timeout);
	errno = what;
	return -1;
}

/* What only asks is not interrupted. */
static int
faulty_flock(int fd, int op)
{
	if (!(op & (LOCK_NB | LOCK_UN)) &&
	    befalls(C_flock, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.flock(fd, op);
}

static int
faulty_lockf(int fd, int op, off_t n)
{
	if (op == F_LOCK && befalls(C_lockf, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.lockf(fd, op, n);
}

static int
faulty_semop(int id, struct sembuf *ops, size_t n)
{
	struct sembuf op;

	if (n > 0 && co_get(&op, ops, sizeof(op)) &&
	    !(op.sem_flg & IPC_NOWAIT) &&
	    befalls(C_semop, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.semop(id, ops, n);
}

static int
faulty_msgsnd(int id, const void *msg, size_t n, int flags)
{
	if (!(flags & IPC_NOWAIT) &&
	    befalls(C_msgsnd, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.msgsnd(id, msg, n, flags);
}

static ssize_t
faulty_msgrcv(int id, void *msg, size_t n, long type, int flags)
{
	if (!(flags & IPC_NOWAIT) &&
	    befalls(C_msgrcv, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.msgrcv(id, msg, n, type, flags);
}

static pid_t
faulty_waitpid(pid_t pid, int *status, int options)
{
	if (!(options & WNOHANG) &&
	    befalls(C_waitpid, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.waitpid(pid, status, options);
}

static pid_t
faulty_wait3(int *status, int options, struct rusage *ru)
{
	if (!(options & WNOHANG) &&
	    befalls(C_wait3, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.wait3(status, options, ru);
}

static pid_t
faulty_wait4(pid_t pid, int *status, int options, struct rusage *ru)
{
	if (!(options & WNOHANG) &&
	    befalls(C_wait4, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.wait4(pid, status, options, ru);
}

static int
faulty_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (!(options & WNOHANG) &&
	    befalls(C_waitid, can_in_coroutine, NULL) != 0) {
		errno = EINTR;
		return -1;
	}
	return sound.waitid(type, id, info, options);
}

/* It returns what it means; for coroutines' kernel threads as well. */
static int
faulty_pthread_create(pthread_t *th, const pthread_attr_t *attr,
		      void *(*fn)(void *), void *arg)
{
	int what = befalls(C_pthread_create, NULL, NULL);

	return what != 0 ? what : sound.pthread_create(th, attr, fn, arg);
}

/* --- all others: -1 and errno --- */

#define PLAIN(name, ret, params, args)                                \
	static ret faulty_##name params                               \
	{                                                             \
		int what = befalls(C_##name, can_in_coroutine, NULL); \
                                                                      \
		if (what != 0) {                                      \
			errno = what;                                 \
			return -1;                                    \
		}                                                     \
		return sound.name args;                               \
	}

PLAIN(recvmmsg, int,
      (int fd, struct mmsghdr *vec, unsigned n, int flags,
       struct timespec *timeout),
      (fd, vec, n, flags, timeout))
PLAIN(sendmmsg, int, (int fd, struct mmsghdr *vec, unsigned n, int flags),
      (fd, vec, n, flags))
PLAIN(write, ssize_t, (int fd, const void *buf, size_t n), (fd, buf, n))
PLAIN(ppoll, int,
      (struct pollfd * fds, nfds_t n, const struct timespec *timeout,
       const sigset_t *mask),
      (fds, n, timeout, mask))
PLAIN(select, int,
      (int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout),
      (n, r, w, e, timeout))
PLAIN(pselect, int,
      (int n, fd_set *r, fd_set *w, fd_set *e, const struct timespec *timeout,
       const sigset_t *mask),
      (n, r, w, e, timeout, mask))
PLAIN(epoll_wait, int, (int fd, struct epoll_event *ev, int max, int timeout),
      (fd, ev, max, timeout))
PLAIN(socket, int, (int domain, int type, int protocol),
      (domain, type, protocol))
PLAIN(socketpair, int, (int domain, int type, int protocol, int sv[2]),
      (domain, type, protocol, sv))
PLAIN(pipe, int, (int fds[2]), (fds))
PLAIN(pipe2, int, (int fds[2], int flags), (fds, flags))
PLAIN(dup, int, (int fd), (fd))
PLAIN(accept, int, (int fd, struct sockaddr *addr, socklen_t *len),
      (fd, addr, len))
PLAIN(accept4, int, (int fd, struct sockaddr *addr, socklen_t *len, int flags),
      (fd, addr, len, flags))
PLAIN(connect, int, (int fd, const struct sockaddr *addr, socklen_t len),
      (fd, addr, len))
PLAIN(open, int, (const char *path, int flags, mode_t mode),
      (path, flags, mode))
PLAIN(openat, int, (int dir, const char *path, int flags, mode_t mode),
      (dir, path, flags, mode))
PLAIN(semtimedop, int,
      (int id, struct sembuf *ops, size_t n, const struct timespec *timeout),
      (id, ops, n, timeout))
PLAIN(wait, pid_t, (int *status), (status))
PLAIN(tcdrain, int, (int fd), (fd))

/* --- the seams --- */

void __real_co_real_init(void);
void __wrap_co_real_init(void);

static void
read_env(void)
{
	const char *s = getenv("COHOOK_FAULTS");
	uint64_t with;
	char *end;

	if (s == NULL || *s == '\0')
		return;
	with = strtoull(s, &end, 0);
	if (*end != ':' || cohook_faults(with, end + 1) != 0)
		co_die("COHOOK_FAULTS=%s is not understood", s);
}

void
__wrap_co_real_init(void)
{
	__real_co_real_init();
	sound = real;
#define SYS(call, what, class)
#define FAULT(call, what, class) real.call = faulty_##call;
#include "tests/faults/faults.def"
	read_env();
}

static ssize_t
try_vec(enum call number, int dir, const long a[6])
{
	struct iovec one, *iov = (struct iovec *)a[1];
	size_t n = (size_t)a[2];
	int saved = errno, err;
	bool cut;

	if (!shorter(number, (int)a[0], dir, 0, iov, n, &one, &cut)) {
		err = errno;
		errno = saved;
		return -err;
	}
	return cut ? co_syscall6(dir == CO_IN ? SYS_preadv2 : SYS_pwritev2,
				 a[0], (long)&one, 1, a[3], a[4], a[5]) :
		     co_syscall6(dir == CO_IN ? SYS_preadv2 : SYS_pwritev2,
				 a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void
be_late(enum call where)
{
	struct timespec nap = { 0, 0 };

	if (!atomic_load_explicit(&on_late, memory_order_relaxed) ||
	    befalls(where, NULL, NULL) == 0)
		return;
	nap.tv_nsec = (long)below(1u << (10 + below(9)));
	co_syscall6(SYS_nanosleep, (long)&nap, 0, 0, 0, 0, 0);
}

void
co_faulty_lock(void)
{
	be_late(C_sys_lock);
}

void
co_faulty_unlock(void)
{
	be_late(C_sys_unlock);
}

static long
faulty_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	int what = 0;
	long r;

	switch (nr) {
	case SYS_epoll_ctl:
		if (b == EPOLL_CTL_ADD)
			what = befalls(C_sys_epoll_ctl, NULL, NULL);
		break;
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		what = befalls(C_sys_epoll_wait, NULL, NULL);
		if (what == SHORT)
			c = 1;
		break;
	case SYS_poll:
	case SYS_pselect6:
		/* No time: interrupted is who found nothing. */
		r = co_syscall6(nr, a, b, c, d, e, f);
		return r == 0 && befalls(C_sys_poll, NULL, NULL) ? -EINTR : r;
	case SYS_preadv2:
		return try_vec(C_sys_preadv2, CO_IN,
			       (long[6]){ a, b, c, d, e, f });
	case SYS_pwritev2:
		return try_vec(C_sys_pwritev2, CO_OUT,
			       (long[6]){ a, b, c, d, e, f });
	}
	if (what != 0 && what != SHORT)
		return -what;
	return co_syscall6(nr, a, b, c, d, e, f);
}

long
co_faulty_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	long r;

	be_late(C_sys_before);
	r = faulty_syscall6(nr, a, b, c, d, e, f);
	be_late(C_sys_after);
	return r;
}

/* Woken, and for nothing. */
long
co_faulty_futex_wait(void *word, uint32_t value,
		     const struct timespec *deadline)
{
	int what = befalls(C_sys_futex_wait, NULL, NULL);

	be_late(C_sys_before);
	if (what != 0)
		return what == SHORT ? 0 : -what;
	return co_syscall6(SYS_futex, (long)word,
			   FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
			   (long)deadline, 0, FUTEX_BITSET_MATCH_ANY);
}

void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);

void *
__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
	int what = befalls(C_sys_mmap, NULL, NULL);

	if (what == 0)
		return __real_mmap(at, n, prot, flags, fd, off);
	errno = what;
	return MAP_FAILED;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *
__wrap_malloc(size_t n)
{
	int what = befalls(C_sys_malloc, NULL, NULL);

	if (what == 0)
		return __real_malloc(n);
	errno = what;
	return NULL;
}
