/* SPDX-License-Identifier: MIT */
/* old_versions.c - calls by the versions that programs of long ago were linked
 * with.  Most are today's by an older name.  Others took other arguments, or did
 * something else: pthread_cond_*@GLIBC_2.2.5 had an object of another shape, a
 * pointer and nothing else. */
#define _GNU_SOURCE 1

#include <aio.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>

#include "party.h"

#ifdef __x86_64__

#define OLD(ret, name, params, version) \
	ret old_##name params;          \
	__asm__(".symver old_" #name ", " #name "@GLIBC_" #version)

OLD(int, pthread_cond_init, (pthread_cond_t *, const pthread_condattr_t *),
    2.2.5);
OLD(int, pthread_cond_destroy, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_cond_wait, (pthread_cond_t *, pthread_mutex_t *), 2.2.5);
OLD(int, pthread_cond_timedwait,
    (pthread_cond_t *, pthread_mutex_t *, const struct timespec *), 2.2.5);
OLD(int, pthread_cond_signal, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_cond_broadcast, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_create,
    (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *), 2.2.5);
OLD(int, pthread_join, (pthread_t, void **), 2.2.5);
OLD(int, pthread_kill, (pthread_t, int), 2.2.5);
OLD(int, pthread_once, (pthread_once_t *, void (*)(void)), 2.2.5);
OLD(int, pthread_sigmask, (int, const sigset_t *, sigset_t *), 2.2.5);
OLD(int, pthread_rwlock_rdlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, pthread_rwlock_wrlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, pthread_rwlock_unlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, sem_init, (sem_t *, int, unsigned), 2.2.5);
OLD(int, sem_destroy, (sem_t *), 2.2.5);
OLD(int, sem_wait, (sem_t *), 2.2.5);
OLD(int, sem_trywait, (sem_t *), 2.2.5);
OLD(int, sem_timedwait, (sem_t *, const struct timespec *), 2.2.5);
OLD(int, sem_post, (sem_t *), 2.2.5);
OLD(int, clock_nanosleep,
    (clockid_t, int, const struct timespec *, struct timespec *), 2.2.5);
OLD(int, mtx_lock, (mtx_t *), 2.28);
OLD(int, mtx_unlock, (mtx_t *), 2.28);
OLD(int, cnd_timedwait, (cnd_t *, mtx_t *, const struct timespec *), 2.28);
OLD(mqd_t, mq_open, (const char *, int, mode_t, struct mq_attr *), 2.3.4);
OLD(ssize_t, mq_receive, (mqd_t, char *, size_t, unsigned *), 2.3.4);
OLD(int, sched_setaffinity, (pid_t, const cpu_set_t *), 2.3.3);
OLD(int, sched_getaffinity, (pid_t, cpu_set_t *), 2.3.3);
OLD(int, pthread_setaffinity_np, (pthread_t, const cpu_set_t *), 2.3.3);
OLD(int, pthread_getaffinity_np, (pthread_t, cpu_set_t *), 2.3.3);
OLD(int, timer_create, (clockid_t, struct sigevent *, int *), 2.2.5);
OLD(int, timer_settime,
    (int, int, const struct itimerspec *, struct itimerspec *), 2.2.5);
OLD(int, timer_delete, (int), 2.2.5);
OLD(int, posix_spawn,
    (pid_t *, const char *, const posix_spawn_file_actions_t *,
     const posix_spawnattr_t *, char *const[], char *const[]),
    2.2.5);
OLD(int, posix_spawnp,
    (pid_t *, const char *, const posix_spawn_file_actions_t *,
     const posix_spawnattr_t *, char *const[], char *const[]),
    2.2.5);
OLD(int, lio_listio, (int, struct aiocb *const[], int, struct sigevent *),
    2.2.5);
OLD(int, lio_listio64, (int, struct aiocb64 *const[], int, struct sigevent *),
    2.2.5);

/* Versions between those, which mean what today's do. */
#define BETWEEN(ret, name, params, version) \
	ret mid_##name params;              \
	__asm__(".symver mid_" #name ", " #name "@GLIBC_" #version)

BETWEEN(int, pthread_setaffinity_np, (pthread_t, size_t, const cpu_set_t *),
	2.3.4);
BETWEEN(int, pthread_getaffinity_np, (pthread_t, size_t, cpu_set_t *), 2.3.4);
BETWEEN(int, timer_create, (clockid_t, struct sigevent *, timer_t *), 2.3.3);
BETWEEN(int, timer_settime,
	(timer_t, int, const struct itimerspec *, struct itimerspec *), 2.3.3);
BETWEEN(int, lio_listio, (int, struct aiocb *const[], int, struct sigevent *),
	2.4);

static struct timespec
soon(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * T_MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

struct meeting {
	pthread_mutex_t m;
	pthread_cond_t c;
	int here, go;
};

static void *
waits_for_go(void *arg)
{
	struct meeting *w = arg;

	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->here++;
	while (!w->go)
		CHECK_INT(old_pthread_cond_wait(&w->c, &w->m), 0);
	w->go--;
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	return arg;
}

enum { FEW = 5 };

static void
let_them_meet(struct meeting *w)
{
	struct timespec ts;
	pthread_t th[FEW];
	void *got;
	int i, all;

	for (i = 0; i < FEW; i++)
		CHECK_INT(old_pthread_create(&th[i], NULL, waits_for_go, w), 0);
	do {
		usleep(1000);
		CHECK_INT(pthread_mutex_lock(&w->m), 0);
		all = w->here == FEW;
		CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	} while (!all);
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->go = 1;
	CHECK_INT(old_pthread_cond_signal(&w->c), 0);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	most_likely();
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->go += FEW - 1;
	CHECK_INT(old_pthread_cond_broadcast(&w->c), 0);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	for (i = 0; i < FEW; i++) {
		CHECK_INT(old_pthread_join(th[i], &got), 0);
		CHECK(got == w);
	}
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	ts = soon(20);
	CHECK_INT(old_pthread_cond_timedwait(&w->c, &w->m, &ts), ETIMEDOUT);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	CHECK_INT(old_pthread_cond_destroy(&w->c), 0);
}

TEST(a_condition_of_old_that_is_zeroes_is_waited_for)
{
	static struct meeting w = { .m = PTHREAD_MUTEX_INITIALIZER };

	let_them_meet(&w);
}

/* Where it lies is not zeroed; of old only a pointer of it was. */
TEST(a_condition_of_old_is_made_where_anything_lay)
{
	static struct meeting w = { .m = PTHREAD_MUTEX_INITIALIZER };
	int i;

	for (i = 0; i < 2; i++) {
		w.here = w.go = 0;
		memset(&w.c, i == 0 ? 0xff : 0x55, sizeof w.c);
		CHECK_INT(old_pthread_cond_init(&w.c, NULL), 0);
		let_them_meet(&w);
	}
}

/* Nobody waits, and nobody ever starts a thread: libc's own, all the way. */
TEST(a_condition_of_old_is_used_by_one_alone)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct timespec ts = soon(20);
	pthread_cond_t c;

	memset(&c, 0xff, sizeof c);
	CHECK_INT(old_pthread_cond_init(&c, NULL), 0);
	CHECK_INT(old_pthread_cond_signal(&c), 0);
	CHECK_INT(pthread_mutex_lock(&m), 0);
	CHECK_INT(old_pthread_cond_timedwait(&c, &m, &ts), ETIMEDOUT);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	CHECK_INT(old_pthread_cond_broadcast(&c), 0);
	CHECK_INT(old_pthread_cond_destroy(&c), 0);
}

/* It knew of no clocks, and of no other processes. */
TEST(a_condition_of_old_has_no_attributes)
{
	pthread_condattr_t attr;
	pthread_cond_t c;

	CHECK_INT(pthread_condattr_init(&attr), 0);
	CHECK_INT(old_pthread_cond_init(&c, &attr), 0);
	CHECK_INT(old_pthread_cond_destroy(&c), 0);
	CHECK_INT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
	CHECK_INT(old_pthread_cond_init(&c, &attr), EINVAL);
	CHECK_INT(pthread_condattr_setclock(&attr, CLOCK_REALTIME), 0);
	CHECK_INT(pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED),
		  0);
	CHECK_INT(old_pthread_cond_init(&c, &attr), EINVAL);
	CHECK_INT(pthread_condattr_destroy(&attr), 0);
}

static void *
posts_twice(void *arg)
{
	most_likely();
	CHECK_INT(old_sem_post(arg), 0);
	CHECK_INT(old_sem_post(arg), 0);
	return NULL;
}

TEST(a_semaphore_of_old_is_waited_for)
{
	struct timespec ts;
	pthread_t th;
	sem_t s;

	memset(&s, 0xff, sizeof s);
	CHECK_INT(old_sem_init(&s, 0, 0), 0);
	CHECK_ERR(old_sem_trywait(&s), EAGAIN);
	CHECK_INT(old_pthread_create(&th, NULL, posts_twice, &s), 0);
	CHECK_INT(old_sem_wait(&s), 0);
	ts = soon(100000);
	CHECK_INT(old_sem_timedwait(&s, &ts), 0);
	CHECK_INT(old_pthread_join(th, NULL), 0);
	ts = soon(20);
	CHECK_ERR(old_sem_timedwait(&s, &ts), ETIMEDOUT);
	start_ticking(0);
	CHECK_ERR(old_sem_wait(&s), EINTR);
	stop_ticking();
	CHECK_INT(old_sem_destroy(&s), 0);
}

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int written, times;

static void
once_only(void)
{
	most_likely();
	times++;
}

static void *
reads_what_was_written(void *arg)
{
	CHECK_INT(old_pthread_once(&once, once_only), 0);
	CHECK_INT(old_pthread_rwlock_rdlock(&lock), 0);
	CHECK_INT(written, 1);
	CHECK_INT(old_pthread_rwlock_unlock(&lock), 0);
	return arg;
}

TEST(locks_of_old_are_waited_for)
{
	struct timespec ts = { 0, 20 * T_MS };
	mtx_t m;
	cnd_t c;
	pthread_t th;

	CHECK_INT(old_pthread_rwlock_wrlock(&lock), 0);
	CHECK_INT(old_pthread_create(&th, NULL, reads_what_was_written, NULL),
		  0);
	CHECK_INT(old_pthread_once(&once, once_only), 0);
	CHECK_INT(old_clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
	written = 1;
	CHECK_INT(old_pthread_rwlock_unlock(&lock), 0);
	CHECK_INT(old_pthread_join(th, NULL), 0);
	CHECK_INT(times, 1);
	CHECK_INT(mtx_init(&m, mtx_plain), thrd_success);
	CHECK_INT(cnd_init(&c), thrd_success);
	CHECK_INT(old_mtx_lock(&m), thrd_success);
	ts = soon(20);
	CHECK_INT(old_cnd_timedwait(&c, &m, &ts), thrd_timedout);
	CHECK_INT(old_mtx_unlock(&m), thrd_success);
	cnd_destroy(&c);
	mtx_destroy(&m);
}

TEST(signals_and_queues_of_old_are)
{
	struct sigaction sa = { .sa_handler = on_tick };
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[40], buf[8];
	sigset_t set;
	mqd_t q;

	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_INT(old_pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_INT(old_pthread_kill(pthread_self(), SIGUSR1), 0);
	CHECK_INT(ticks, 0);
	CHECK_INT(old_pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	CHECK_INT(ticks, 1);
	snprintf(name, sizeof name, "/t-old-%d", (int)getpid());
	q = old_mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1)
		SKIP("no POSIX queues");
	CHECK_INT(mq_unlink(name), 0);
	CHECK_INT(mq_send(q, "hello", 5, 0), 0);
	CHECK_INT(old_mq_receive(q, buf, sizeof buf, NULL), 5);
	CHECK_INT(mq_close(q), 0);
}

/* --- what took other arguments, or did something else --- */

/* A set is for 1024 CPUs, and a little more may lie behind it. */
struct room {
	cpu_set_t set;
	unsigned char behind[64];
};

static void
is_as_today(const struct room *r)
{
	cpu_set_t now;
	size_t i;

	CHECK_INT(sched_getaffinity(0, sizeof now, &now), 0);
	CHECK(CPU_EQUAL(&now, &r->set));
	for (i = 0; i < sizeof r->behind; i++)
		CHECK_INT(r->behind[i], 0xaa);
}

static int
first_of(const cpu_set_t *set)
{
	int cpu;

	for (cpu = 0; !CPU_ISSET(cpu, set); cpu++)
		;
	return cpu;
}

static void *
is_bound_by_old_calls(void *arg)
{
	pthread_t me = pthread_self();
	struct room r, one;

	memset(&r, 0xaa, sizeof r);
	CHECK_RET(old_sched_getaffinity(0, &r.set), 0);
	is_as_today(&r);
	memset(&one, 0xaa, sizeof one);
	CPU_ZERO(&one.set);
	CPU_SET(first_of(&r.set), &one.set);
	CHECK_RET(old_sched_setaffinity(0, &one.set), 0);
	is_as_today(&one);
	CHECK_RET(old_pthread_setaffinity_np(me, &r.set), 0);
	is_as_today(&r);
	memset(&r, 0xaa, sizeof r);
	CHECK_RET(old_pthread_getaffinity_np(me, &r.set), 0);
	is_as_today(&r);
	CHECK_RET(mid_pthread_setaffinity_np(me, sizeof one.set, &one.set), 0);
	is_as_today(&one);
	CHECK_RET(mid_pthread_getaffinity_np(me, sizeof one.set, &one.set), 0);
	is_as_today(&one);
	CPU_ZERO(&r.set);
	CHECK_ERR(old_sched_setaffinity(0, &r.set), EINVAL);
	CHECK_INT(old_pthread_setaffinity_np(me, &r.set), EINVAL);
	CHECK_ERR(old_sched_getaffinity(0, nowhere()), EFAULT);
	return arg;
}

TEST(sets_of_cpus_of_old_have_no_size)
{
	cpu_set_t before, after;

	CHECK_INT(sched_getaffinity(0, sizeof before, &before), 0);
	leaves(party(is_bound_by_old_calls, NULL));
	CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
	CHECK(CPU_EQUAL(&before, &after));
}

static volatile sig_atomic_t fired, fired_with;

static void
fires(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	fired++;
	fired_with = info->si_value.sival_int;
}

static void
catch_usr2(void)
{
	struct sigaction sa = { .sa_sigaction = fires, .sa_flags = SA_SIGINFO };

	CHECK_INT(sigaction(SIGUSR2, &sa, NULL), 0);
}

static void *
has_an_old_timer(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR2,
			       .sigev_value.sival_int = 7 };
	struct itimerspec its = { .it_value.tv_nsec = 20 * T_MS };
	int t[3], i;
	timer_t today;

	for (i = 0; i < 2; i++) {
		memset(t, 0xaa, sizeof t);
		fired = 0;
		if (i == 1) {
			ev.sigev_notify = SIGEV_THREAD_ID;
			ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
			ev.sigev_value.sival_int = 8;
		}
		CHECK_RET(old_timer_create(CLOCK_MONOTONIC, &ev, &t[1]), 0);
		CHECK(t[1] >= 0 && t[1] < 256);
		CHECK_INT(t[0], (int)0xaaaaaaaa);
		CHECK_INT(t[2], (int)0xaaaaaaaa);
		CHECK_RET(old_timer_settime(t[1], 0, &its, NULL), 0);
		while (fired == 0)
			usleep(1000);
		CHECK_INT(fired, 1);
		CHECK_INT(fired_with, 7 + i);
		CHECK_RET(old_timer_delete(t[1]), 0);
		CHECK_ERR(old_timer_settime(t[1], 0, &its, NULL), EINVAL);
	}
	CHECK_ERR(old_timer_create(12345, &ev, &t[1]), EINVAL);
	CHECK_RET(mid_timer_create(CLOCK_MONOTONIC, NULL, &today), 0);
	its.it_value.tv_sec = 1000;
	CHECK_RET(mid_timer_settime(today, TIMER_ABSTIME, &its, NULL), 0);
	CHECK_RET(timer_delete(today), 0);
	return arg;
}

TEST(timers_of_old_are_ints)
{
	catch_usr2();
	leaves(party(has_an_old_timer, NULL));
}

/* Executable, and nothing that says of what. */
static void
write_script(char *path, size_t n)
{
	const char *dir = getenv("TMPDIR");
	FILE *f;
	int fd;

	snprintf(path, n, "%s/t-old-XXXXXX", dir != NULL ? dir : "/tmp");
	fd = mkstemp(path);
	CHECK(fd != -1);
	f = fdopen(fd, "w");
	CHECK(f != NULL);
	fputs("exit $1\n", f);
	CHECK_INT(fchmod(fd, 0700), 0);
	CHECK_INT(fclose(f), 0);
}

static int
exit_status(pid_t pid)
{
	int status;

	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void *
spawns_a_script(void *arg)
{
	char path[4096], *args[] = { path, (char[]){ "42" }, NULL };
	char *env[] = { NULL };
	pid_t pid = 0;

	write_script(path, sizeof path);
	CHECK_INT(old_posix_spawn(&pid, path, NULL, NULL, args, env), 0);
	CHECK_INT(exit_status(pid), 42);
	CHECK_INT(old_posix_spawnp(&pid, path, NULL, NULL, args, env), 0);
	CHECK_INT(exit_status(pid), 42);
	CHECK_INT(posix_spawn(&pid, path, NULL, NULL, args, env), ENOEXEC);
	CHECK_INT(posix_spawnp(&pid, path, NULL, NULL, args, env), ENOEXEC);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(old_posix_spawn(&pid, path, NULL, NULL, args, env), ENOENT);
	CHECK_INT(old_posix_spawnp(&pid, path, NULL, NULL, args, env), ENOENT);
	return arg;
}

TEST(what_was_spawned_of_old_may_be_the_shells)
{
	leaves(party(spawns_a_script, NULL));
}

/* Blocked in all threads that there will be, or another takes it. */
static int
told_by(void)
{
	return SIGRTMIN + 5;
}

__attribute__((constructor)) static void
block_what_is_told(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, told_by());
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Is the end of a list told by a signal? */
static bool
end_is_told(int (*list_io)(int, struct aiocb *const[], int, struct sigevent *),
	    int mode)
{
	struct sigevent all = { .sigev_notify = SIGEV_SIGNAL,
				.sigev_signo = told_by() };
	struct timespec a_while = { 0, 50 * T_MS };
	struct aiocb cb[3], *list[3];
	int f = memfd_create("f", 0), i, sig;
	char data[4] = "abc";
	sigset_t set;

	CHECK(f != -1);
	memset(cb, 0, sizeof cb);
	for (i = 0; i < 3; i++) {
		list[i] = &cb[i];
		cb[i].aio_fildes = f;
		cb[i].aio_lio_opcode = LIO_WRITE;
		cb[i].aio_buf = data;
		cb[i].aio_nbytes = sizeof data;
		cb[i].aio_sigevent.sigev_notify = SIGEV_NONE;
	}
	CHECK_INT(list_io(mode, list, 3, &all), 0);
	for (i = 0; i < 3; i++) {
		while (aio_error(&cb[i]) == EINPROGRESS)
			usleep(1000);
		CHECK_INT(aio_return(&cb[i]), sizeof data);
	}
	sigemptyset(&set);
	sigaddset(&set, told_by());
	sig = sigtimedwait(&set, NULL, &a_while);
	CHECK(sig == told_by() || (sig == -1 && errno == EAGAIN));
	shut(f);
	return sig == told_by();
}

static int
old_lio_listio64_(int mode, struct aiocb *const list[], int n,
		  struct sigevent *event)
{
	return old_lio_listio64(mode, (struct aiocb64 *const *)list, n, event);
}

/* Of old libc's LIO_WAIT does as LIO_NOWAIT. */
static void *
lists_requests(void *arg)
{
	CHECK(end_is_told(old_lio_listio, LIO_WAIT));
	CHECK(end_is_told(old_lio_listio64_, LIO_WAIT));
	CHECK(!end_is_told(mid_lio_listio, LIO_WAIT));
	CHECK(!end_is_told(lio_listio, LIO_WAIT));
	CHECK(end_is_told(mid_lio_listio, LIO_NOWAIT));
	CHECK_ERR(old_lio_listio(4711, NULL, 0, NULL), EINVAL);
	CHECK_ERR(old_lio_listio64(4711, NULL, 0, NULL), EINVAL);
	return arg;
}

TEST(a_list_of_requests_of_old_tells_of_its_end)
{
	leaves(party(lists_requests, NULL));
}

static void *
ends_at_once(void *arg)
{
	return arg;
}

TEST(who_has_ended_was_no_thread_of_old)
{
	pthread_t th = party(ends_at_once, NULL);
	union sigval v = { 0 };

	while (old_pthread_kill(th, 0) == 0)
		usleep(1000);
	CHECK_RET(old_pthread_kill(th, 0), ESRCH);
	CHECK_RET(old_pthread_kill(th, SIGUSR1), ESRCH);
	/* Its number is not looked at. */
	CHECK_RET(old_pthread_kill(th, 4711), ESRCH);
	CHECK_RET(pthread_kill(th, SIGUSR1), 0);
	CHECK_RET(pthread_kill(th, 4711), 0);
	CHECK_RET(pthread_sigqueue(th, SIGUSR1, v), ESRCH);
	leaves(th);
	CHECK_RET(pthread_kill(pthread_self(), 4711), EINVAL);
	CHECK_RET(old_pthread_kill(pthread_self(), 4711), EINVAL);
	CHECK_RET(old_pthread_kill(pthread_self(), 0), 0);
}

#else

TEST(there_are_no_old_versions)
{
	SKIP("this machine came later");
}

#endif
