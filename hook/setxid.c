/* SPDX-License-Identifier: MIT */
/* setxid.c - who the process is, which the kernel keeps for each thread alone.
 *
 * glibc makes the change in all threads by a signal that it sends to those it
 * knows by their ids; coroutines have ids that the kernel does not know.  So we
 * do it: first the caller, and if the kernel lets it, one kernel thread of the
 * process after the other, by a handler of the same signal, SIGSETXID, which
 * nobody but glibc and we can block or set.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "hook/wait.h"
#include "sched/log.h"

enum { TIDS = 1 << 22 };       /* the kernel's PID_MAX_LIMIT */
enum { ROUND = 20 * 1000 * 1000, PATIENCE = 50 };

/* rt_sigaction(2): glibc's own refuses the signal. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};
#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

/* Held with every signal but SIGSETXID blocked: who waits for it can do what
 * its holder asks, and no handler of the program comes between. */
static struct co_lock lock;

/* The change, and whose turn it is: the handler takes it, once. */
static struct {
	long nr, arg[3];
	_Atomic int tid;
	_Atomic uint32_t done;  /* futex */
	long r;
} turn;

/* Anywhere, also where there is no thread-local storage yet or any more. */
static void
on_setxid(int sig)
{
	int tid = (int)sys0(SYS_gettid);

	(void)sig;
	if (!atomic_compare_exchange_strong(&turn.tid, &tid, 0))
		return;
	turn.r = sys3(turn.nr, turn.arg[0], turn.arg[1], turn.arg[2]);
	atomic_store(&turn.done, 1);
	sys_futex_wake(&turn.done, 1);
}

/* Once, and for good: what comes late finds that it is nobody's turn.  Not
 * SIGSYS, by which a thread in the middle of clone3 is caught. */
static void
install(void)
{
	struct kernel_sigaction sa = { 0 }, segv = { 0 };

	sys4(SYS_rt_sigaction, CO_SIGSETXID, NULL, &sa, 8);
	if (sa.handler == on_setxid)
		return;
	if (sa.restorer == NULL) { /* glibc's, of whatever it has set */
		sys4(SYS_rt_sigaction, SIGSEGV, NULL, &segv, 8);
		sa.restorer = segv.restorer;
	}
	sa.handler = on_setxid;
	sa.flags = SA_RESTART | SA_RESTORER;
	sa.mask = ~(CO_SIGBIT(SIGSYS) | CO_SIGBIT(SIGSEGV));
	sys4(SYS_rt_sigaction, CO_SIGSETXID, &sa, NULL, 8);
}

static long
post(int pid, int tid)
{
	long r;

	while ((r = sys3(SYS_tgkill, pid, tid, CO_SIGSETXID)) == -EAGAIN)
		sys0(SYS_sched_yield); /* the queue of signals is full */
	return r;
}

/* Make tid do it; one that ends meanwhile need not. */
static void
pass_on(int pid, int tid)
{
	struct timespec ts;
	int64_t until;
	int rounds;

	atomic_store(&turn.done, 0);
	atomic_store(&turn.tid, tid);
	if (post(pid, tid) != 0) {
		atomic_store(&turn.tid, 0);
		return;
	}
	for (rounds = 1; !atomic_load(&turn.done); rounds++) {
		until = co_now() + ROUND;
		ts.tv_sec = until / 1000000000;
		ts.tv_nsec = until % 1000000000;
		sys_futex_wait(&turn.done, 0, &ts);
		if (atomic_load(&turn.done))
			break;
		if (sys3(SYS_tgkill, pid, tid, 0) != 0) {
			atomic_store(&turn.tid, 0);
			return;
		}
		/* Another may have got the number of one that has ended. */
		if (rounds % PATIENCE == 0)
			post(pid, tid);
		if (rounds == PATIENCE)
			co_log(CO_WARN, "kernel thread %d does not answer: "
					"system call %ld waits for it",
			       tid, turn.nr);
	}
	if (turn.r != 0)
		co_die("system call %ld succeeds in one thread and fails in "
		       "another: errno %ld", turn.nr, -turn.r);
}

/* One walk over all threads. */
struct walk {
	uint8_t *seen;          /* a bit for each thread that has done it */
	int pid, self;
	bool news;
};

static void
visit(int tid, void *arg)
{
	struct walk *w = arg;

	if (tid == w->self || tid <= 0 || tid >= TIDS ||
	    w->seen[tid / 8] & 1 << tid % 8)
		return;
	w->seen[tid / 8] |= (uint8_t)(1 << tid % 8);
	w->news = true;
	pass_on(w->pid, tid);
}

struct entry {
	uint64_t inode, next;
	uint16_t size;
	uint8_t type;
	char name[];
};

static void
visit_all(int dir, struct walk *w)
{
	_Alignas(struct entry) char buf[1024];
	struct entry *e;
	long n, at;

	if (dir < 0) {
		co_each_tid(visit, w);
		return;
	}
	sys3(SYS_lseek, dir, 0, SEEK_SET);
	while ((n = sys3(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += e->size) {
			e = (struct entry *)(buf + at);
			visit(atoi(e->name), w);
		}
}

/* Who is not seen yet may be made by one who has not done it yet: again, until
 * there is nobody new. */
static void
everybody_else(int dir, uint8_t *seen)
{
	struct walk w = {
		.seen = seen,
		.pid = (int)sys0(SYS_getpid),
		.self = (int)sys0(SYS_gettid),
	};

	do {
		w.news = false;
		visit_all(dir, &w);
	} while (w.news);
}

static int
change(long nr, long a, long b, long c)
{
	uint64_t most = ~CO_SIGBIT(CO_SIGSETXID), old;
	uint8_t *seen;
	int dir;
	long r;

	if (co_tls.vforked) {
		r = sys3(nr, a, b, c);
		goto out;
	}
	seen = mmap(NULL, TIDS / 8, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (seen == MAP_FAILED) {
		r = -EAGAIN;
		goto out;
	}
	sys_sigmask(SIG_BLOCK, &most, &old);
	co_lock(&lock);
	/* As it is before the change, which may take the right to it. */
	dir = (int)sys4(SYS_openat, AT_FDCWD, "/proc/self/task",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir >= 0)
		dir = co_fd_lift(dir);
	else
		co_log(CO_WARN, "no /proc: threads that are not ours stay who "
				"they are");
	install();
	turn.nr = nr;
	turn.arg[0] = a;
	turn.arg[1] = b;
	turn.arg[2] = c;
	r = sys3(nr, a, b, c);
	if (r == 0)
		everybody_else(dir, seen);
	if (dir >= 0)
		sys1(SYS_close, dir);
	co_unlock(&lock);
	sys_sigmask(SIG_SETMASK, &old, NULL);
	munmap(seen, TIDS / 8);
out:
	if (r == 0)
		return 0;
	errno = (int)-r;
	return -1;
}

void
co_setxid_forked(void)
{
	lock.word = 0;
	turn.tid = 0;
}

/* -1 is "as it is" to the kernel, as an int is to the program. */
#define SETXID(name, nr, params, args, a, b, c)                               \
	COHOOK_EXPORT int name params                                         \
	{                                                                     \
		if (likely(!co_active))                                       \
			return real.name args;                                \
		return change(nr, a, b, c);                                   \
	}

SETXID(setuid, SYS_setuid, (uid_t uid), (uid), uid, 0, 0)
SETXID(setgid, SYS_setgid, (gid_t gid), (gid), gid, 0, 0)
SETXID(setreuid, SYS_setreuid, (uid_t r, uid_t e), (r, e), r, e, 0)
SETXID(setregid, SYS_setregid, (gid_t r, gid_t e), (r, e), r, e, 0)
SETXID(setresuid, SYS_setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s), r, e,
       s)
SETXID(setresgid, SYS_setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s), r, e,
       s)
SETXID(setgroups, SYS_setgroups, (size_t n, const gid_t *list), (n, list),
       (long)n, SYS_ARG(list), 0)

COHOOK_EXPORT int
seteuid(uid_t uid)
{
	if (likely(!co_active) || uid == (uid_t)-1)
		return real.seteuid(uid);
	return change(SYS_setresuid, -1, uid, -1);
}

COHOOK_EXPORT int
setegid(gid_t gid)
{
	if (likely(!co_active) || gid == (gid_t)-1)
		return real.setegid(gid);
	return change(SYS_setresgid, -1, gid, -1);
}

/* libc's own calls libc's own setgroups(). */
COHOOK_EXPORT int
initgroups(const char *user, gid_t gid)
{
	gid_t *list = NULL, *more;
	int n = 32, room, r;

	if (likely(!co_active))
		return real.initgroups(user, gid);
	do {
		room = n;
		more = realloc(list, (size_t)room * sizeof(*list));
		if (more == NULL) {
			free(list);
			return -1;
		}
		list = more;
		co_region_begin("initgroups", false);
		r = real.getgrouplist(user, gid, list, &n);
		co_region_end();
		if (r < 0 && n <= room)
			n = 2 * room;
	} while (r < 0);
	/* More than the kernel takes: as many as it takes. */
	do
		r = change(SYS_setgroups, n, SYS_ARG(list), 0);
	while (r != 0 && errno == EINVAL && --n > 0);
	free(list);
	return r;
}
