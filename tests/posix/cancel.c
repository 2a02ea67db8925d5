/* SPDX-License-Identifier: MIT */
/* cancel.c - pthread_cancel: where it acts, where not, and what runs then.
 *
 * Each call that waits is asked the same three things: is its wait ended; does
 * it go on while cancellation is off; and does it act on a request that came
 * before, though it would not have to wait.
 */
#define _GNU_SOURCE 1
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "party.h"
#include "thr.h"

/* What ran at the end of a thread, in order. */
static int order[8];
static atomic_int norder;

static void
notes(void *n)
{
	order[norder++] = thr_num(n);
}

static pthread_key_t key;

static void
has_key(void)
{
	OK(pthread_key_create(&key, notes));
}

/* One thread has ended so: its handlers last first, then its key's. */
static void
check_order(void)
{
	static const int want[] = { 2, 1, 3 };
	int i;

	CHECK_INT(norder, LEN(want));
	for (i = 0; i < norder; i++)
		CHECK_INT(order[i], want[i]);
	norder = 0;
	OK(pthread_key_delete(key));
}

static void
is_cancelled(pthread_t th)
{
	CHECK(thr_join(th) == PTHREAD_CANCELED);
}

/* A call that waits: what for is made by open, and comes with wake; then a
 * second call would not have to wait. */
struct call {
	void (*open)(void);
	void (*wait)(void);
	void (*wake)(void);
	void (*shut)(void);
};

static atomic_int here, asked;

static void
nothing(void)
{
}

/* How long a sleep is to be; a call with no wake ends by that. */
static int64_t nap;

static void *
waits(void *arg)
{
	struct call *c = arg;

	OK(pthread_setspecific(key, thr_ptr(3)));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	c->wait();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void
ends_by_cancellation(struct call *c)
{
	pthread_t th;

	has_key();
	nap = THR_LONG;
	c->open();
	th = thr_start(waits, c);
	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	check_order();
	/* It has taken nothing, and nothing of it is left behind. */
	nap = 0;
	c->wake();
	c->wait();
	c->shut();
}

static void *
waits_while_off(void *arg)
{
	struct call *c = arg;
	int old;

	OK(pthread_setspecific(key, thr_ptr(3)));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	c->wait();
	here++;
	thr_until(&asked, 1); /* a nap may be over before */
	pthread_testcancel();
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	pthread_testcancel();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void
goes_on_while_off(struct call *c)
{
	int64_t began = t_now();
	pthread_t th;
	int seen;

	has_key();
	nap = 60 * T_MS;
	c->open();
	th = thr_start(waits_while_off, c);
	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	asked++;
	most_likely();
	/* A nap may be over by now. */
	seen = norder;
	if (here == 1)
		CHECK_INT(seen, 0);
	if (c->wake != nothing) {
		CHECK_INT(here, 1);
		c->wake();
	}
	thr_until(&here, 2);
	if (c->wake == nothing)
		CHECK(t_now() - began >= nap);
	is_cancelled(th);
	check_order();
	c->shut();
}

static void *
waits_when_asked(void *arg)
{
	struct call *c = arg;

	OK(pthread_setspecific(key, thr_ptr(3)));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	thr_until(&asked, 1);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	c->wait();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void
sees_an_earlier_request(struct call *c)
{
	pthread_t th;

	has_key();
	nap = 0;
	c->open();
	c->wake();
	th = thr_start(waits_when_asked, c);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	is_cancelled(th);
	check_order();
	/* What it did not take is still there. */
	c->wait();
	c->shut();
}

#define CALL(name, ...) static struct call name##_call = { __VA_ARGS__ }
#define ENDS(name)                                                            \
	TEST(name##_ends_by_cancellation)                                     \
	{                                                                     \
		ends_by_cancellation(&name##_call);                           \
	}
#define GOES_ON(name)                                                         \
	TEST(name##_goes_on_while_cancellation_is_off)                        \
	{                                                                     \
		goes_on_while_off(&name##_call);                              \
	}
#define SEES(name)                                                            \
	TEST(name##_acts_on_an_earlier_request)                               \
	{                                                                     \
		sees_an_earlier_request(&name##_call);                        \
	}
#define ALL(name) ENDS(name) GOES_ON(name) SEES(name)

/*
 * Sleeping
 */

static struct timespec
nap_spec(void)
{
	return (struct timespec){ nap / 1000000000, nap % 1000000000 };
}

static void
waits_in_nanosleep(void)
{
	struct timespec ts = nap_spec();

	OK(nanosleep(&ts, NULL));
}

CALL(nanosleep, nothing, waits_in_nanosleep, nothing, nothing);
ALL(nanosleep)

static void
waits_in_usleep(void)
{
	OK(usleep((useconds_t)(nap / 1000)));
}

CALL(usleep, nothing, waits_in_usleep, nothing, nothing);
ALL(usleep)

static void
waits_in_sleep(void)
{
	OK(sleep((unsigned)((nap + 999999999) / 1000000000)));
}

CALL(sleep, nothing, waits_in_sleep, nothing, nothing);
ALL(sleep)

static void
waits_in_clock_nanosleep(void)
{
	struct timespec ts = nap_spec();

	OK(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
}

CALL(clock_nanosleep, nothing, waits_in_clock_nanosleep, nothing, nothing);
ALL(clock_nanosleep)

static void
waits_until(void)
{
	struct timespec ts = thr_after(CLOCK_MONOTONIC, nap);

	OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

CALL(clock_nanosleep_until, nothing, waits_until, nothing, nothing);
ALL(clock_nanosleep_until)

/*
 * Pipes and sockets
 */

static int p[2], listening;
static size_t stuffed;

static void
open_pipe(void)
{
	OK(pipe(p));
}

static void
shut_pair(void)
{
	shut_both(p);
}

static void
comes(void)
{
	thr_tell(p[1]);
}

static void
waits_in_read(void)
{
	char c;

	CHECK_INT(read(p[0], &c, 1), 1);
	CHECK_INT(c, 'x');
}

CALL(read, open_pipe, waits_in_read, comes, shut_pair);
ALL(read)

static void
waits_in_readv(void)
{
	char a[2], b[2];
	struct iovec v[2] = { { a, 2 }, { b, 2 } };

	CHECK_INT(readv(p[0], v, 2), 1);
}

CALL(readv, open_pipe, waits_in_readv, comes, shut_pair);
ALL(readv)

/* It waits in libc, in a read that nobody else sees. */
static void
waits_in_fgets(void)
{
	char line[8];

	CHECK(fgets(line, 2, stdin) != NULL);
	CHECK_INT(line[0], 'x');
}

static void
open_stdin(void)
{
	open_pipe();
	CHECK_INT(dup2(p[0], 0), 0);
	OK(setvbuf(stdin, NULL, _IONBF, 0));
}

CALL(fgets, open_stdin, waits_in_fgets, comes, shut_pair);
ALL(fgets)

static void
open_full_pipe(void)
{
	OK(pipe(p));
	stuffed = stuff(p[1]);
}

static void
drains(void)
{
	take(p[0], stuffed, 0);
}

static void
waits_in_write(void)
{
	CHECK_INT(write(p[1], "x", 1), 1);
}

CALL(write, open_full_pipe, waits_in_write, drains, shut_pair);
ALL(write)

static void
open_tcp(void)
{
	tcp_pair(p);
}

static void
open_unix(void)
{
	unix_pair(SOCK_STREAM, p);
}

static void
open_datagrams(void)
{
	unix_pair(SOCK_DGRAM, p);
}

CALL(read_tcp, open_tcp, waits_in_read, comes, shut_pair);
ALL(read_tcp)

static void
waits_in_recv(void)
{
	char c;

	CHECK_INT(recv(p[0], &c, 1, 0), 1);
}

CALL(recv, open_tcp, waits_in_recv, comes, shut_pair);
ALL(recv)

static void
waits_in_recvfrom(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char c[4];

	CHECK_INT(recvfrom(p[0], c, 4, 0, (struct sockaddr *)&from, &len), 1);
}

CALL(recvfrom, open_datagrams, waits_in_recvfrom, comes, shut_pair);
ALL(recvfrom)

static void
waits_in_recvmsg(void)
{
	char c[4];
	struct iovec v = { c, 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	CHECK_INT(recvmsg(p[0], &m, 0), 1);
}

CALL(recvmsg, open_unix, waits_in_recvmsg, comes, shut_pair);
ALL(recvmsg)

static void
open_full_unix(void)
{
	open_unix();
	stuffed = stuff(p[1]);
}

static void
waits_in_send(void)
{
	CHECK_INT(send(p[1], "x", 1, 0), 1);
}

CALL(send, open_full_unix, waits_in_send, drains, shut_pair);
ALL(send)

static void
waits_in_sendmsg(void)
{
	char x[] = "x";
	struct iovec v = { x, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	CHECK_INT(sendmsg(p[1], &m, 0), 1);
}

CALL(sendmsg, open_full_unix, waits_in_sendmsg, drains, shut_pair);
ALL(sendmsg)

static struct sockaddr_in listens_at;
static int clients[2];

static void
open_listener(void)
{
	listening = listener(&listens_at);
}

static void
calls(void)
{
	clients[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(clients[0] != -1);
	OK(connect(clients[0], (struct sockaddr *)&listens_at,
		   sizeof listens_at));
}

static void
waits_in_accept(void)
{
	int s = accept(listening, NULL, NULL);

	CHECK(s != -1);
	shut(s);
}

static void
shut_listener(void)
{
	shut(clients[0]);
	shut(listening);
}

CALL(accept, open_listener, waits_in_accept, calls, shut_listener);
ALL(accept)

/* A Unix listener whose queue is full: the next to connect waits. */
static struct sockaddr_un full;
static socklen_t full_len;

static void
open_full_listener(void)
{
	int i;

	full_len = unix_name(&full, "full");
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(listening != -1);
	OK(bind(listening, (struct sockaddr *)&full, full_len));
	OK(listen(listening, 0));
	for (i = 0; i < 2; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(clients[i] != -1);
	}
	OK(connect(clients[0], (struct sockaddr *)&full, full_len));
}

static void
waits_in_connect(void)
{
	OK(connect(clients[1], (struct sockaddr *)&full, full_len));
}

static void
shut_full_listener(void)
{
	shut_both(clients);
	shut(listening);
}

CALL(connect, open_full_listener, waits_in_connect, waits_in_accept,
     shut_full_listener);
ALL(connect)

/*
 * Several at once
 */

static void
waits_in_poll(void)
{
	struct pollfd f = { .fd = p[0], .events = POLLIN };

	CHECK_INT(poll(&f, 1, -1), 1);
}

CALL(poll, open_pipe, waits_in_poll, comes, shut_pair);
ALL(poll)

/* More than fit where few are kept. */
static void
waits_in_ppoll(void)
{
	struct timespec ts = { THR_LONG / 1000000000, 0 };
	struct pollfd f[100];
	size_t i;

	for (i = 0; i < LEN(f); i++)
		f[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	CHECK_INT(ppoll(f, LEN(f), &ts, NULL), LEN(f));
}

CALL(ppoll, open_pipe, waits_in_ppoll, comes, shut_pair);
ALL(ppoll)

static void
waits_in_select(void)
{
	struct timeval tv = { THR_LONG / 1000000000, 0 };
	fd_set r;

	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_INT(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
}

CALL(select, open_pipe, waits_in_select, comes, shut_pair);
ALL(select)

static void
waits_in_pselect(void)
{
	fd_set r;

	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_INT(pselect(p[0] + 1, &r, NULL, NULL, NULL, NULL), 1);
}

CALL(pselect, open_pipe, waits_in_pselect, comes, shut_pair);
ALL(pselect)

static void
open_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN };

	open_pipe();
	listening = epoll_create1(0);
	CHECK(listening != -1);
	OK(epoll_ctl(listening, EPOLL_CTL_ADD, p[0], &e));
}

static void
waits_in_epoll(void)
{
	struct epoll_event e;

	CHECK_INT(epoll_wait(listening, &e, 1, -1), 1);
}

static void
shut_epoll(void)
{
	shut_pair();
	shut(listening);
}

CALL(epoll_wait, open_epoll, waits_in_epoll, comes, shut_epoll);
ALL(epoll_wait)

/*
 * Signals.  SIGUSR1 is blocked in all threads before there are any, and sent
 * to the process: only who waits for it takes it.
 */

__attribute__((constructor)) static void
block_usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static void
on_usr1(int sig)
{
	(void)sig;
	ticks++;
}

static void
open_usr1(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };

	OK(sigaction(SIGUSR1, &sa, NULL));
}

static void
signals(void)
{
	OK(kill(getpid(), SIGUSR1));
}

static sigset_t
usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return set;
}

/* One that ran before the pause would not end it, hence the loop. */
static void
waits_in_pause(void)
{
	sigset_t set = usr1(), old;

	OK(pthread_sigmask(SIG_UNBLOCK, &set, &old));
	while (ticks == 0)
		CHECK_ERR(pause(), EINTR);
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
}

CALL(pause, open_usr1, waits_in_pause, signals, nothing);
ENDS(pause)
GOES_ON(pause)

static void
waits_in_sigsuspend(void)
{
	sigset_t set;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	sigdelset(&set, SIGUSR1);
	CHECK_ERR(sigsuspend(&set), EINTR);
	CHECK_INT(ticks, 1);
}

CALL(sigsuspend, open_usr1, waits_in_sigsuspend, signals, nothing);
ALL(sigsuspend)

static void
waits_in_sigwait(void)
{
	sigset_t set = usr1();
	int sig;

	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR1);
}

CALL(sigwait, nothing, waits_in_sigwait, signals, nothing);
ALL(sigwait)

static void
waits_in_sigwaitinfo(void)
{
	sigset_t set = usr1();

	CHECK_INT(sigwaitinfo(&set, NULL), SIGUSR1);
}

CALL(sigwaitinfo, nothing, waits_in_sigwaitinfo, signals, nothing);
ALL(sigwaitinfo)

static void
waits_in_sigtimedwait(void)
{
	struct timespec ts = { THR_LONG / 1000000000, 0 };
	sigset_t set = usr1();

	CHECK_INT(sigtimedwait(&set, NULL, &ts), SIGUSR1);
}

CALL(sigtimedwait, nothing, waits_in_sigtimedwait, signals, nothing);
ALL(sigtimedwait)

/*
 * Semaphores, conditions, threads
 */

static sem_t sem;

static void
open_sem(void)
{
	OK(sem_init(&sem, 0, 0));
}

static void
posts(void)
{
	OK(sem_post(&sem));
}

static void
shut_sem(void)
{
	OK(sem_destroy(&sem));
}

static void
waits_in_sem_wait(void)
{
	OK(sem_wait(&sem));
}

CALL(sem_wait, open_sem, waits_in_sem_wait, posts, shut_sem);
ALL(sem_wait)

static void
waits_in_sem_timedwait(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	OK(sem_timedwait(&sem, &at));
}

CALL(sem_timedwait, open_sem, waits_in_sem_timedwait, posts, shut_sem);
ALL(sem_timedwait)

/* The mutex checks: only its owner may unlock it. */
static pthread_mutex_t mutex;
static pthread_cond_t cond;
static int told;

static void
open_cond(void)
{
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK));
	OK(pthread_mutex_init(&mutex, &a));
	OK(pthread_mutexattr_destroy(&a));
	OK(pthread_cond_init(&cond, NULL));
}

static void
tells(void)
{
	OK(pthread_mutex_lock(&mutex));
	told = 1;
	OK(pthread_cond_signal(&cond));
	OK(pthread_mutex_unlock(&mutex));
}

static void
shut_cond(void)
{
	OK(pthread_mutex_destroy(&mutex));
	OK(pthread_cond_destroy(&cond));
}

static void
unlocks(void *m)
{
	OK(pthread_mutex_unlock(m));
}

static void
waits_in_cond_wait(void)
{
	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	while (!told)
		OK(pthread_cond_wait(&cond, &mutex));
	pthread_cleanup_pop(1);
}

CALL(cond_wait, open_cond, waits_in_cond_wait, tells, shut_cond);
ENDS(cond_wait)
GOES_ON(cond_wait)

static void
waits_in_cond_timedwait(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	while (!told)
		OK(pthread_cond_timedwait(&cond, &mutex, &at));
	pthread_cleanup_pop(1);
}

CALL(cond_timedwait, open_cond, waits_in_cond_timedwait, tells, shut_cond);
ENDS(cond_timedwait)
GOES_ON(cond_timedwait)

static void
waits_for_nothing(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, 50 * T_MS);

	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	CHECK_INT(pthread_cond_timedwait(&cond, &mutex, &at), ETIMEDOUT);
	pthread_cleanup_pop(1);
}

CALL(cond_untold, open_cond, waits_for_nothing, nothing, shut_cond);
SEES(cond_untold)

static pthread_t joined;

static void *
waits_for_sem(void *arg)
{
	OK(sem_wait(&sem));
	return arg;
}

static void
open_thread(void)
{
	open_sem();
	joined = thr_start(waits_for_sem, &joined);
}

static void
waits_in_join(void)
{
	CHECK(thr_join(joined) == &joined);
}

CALL(join, open_thread, waits_in_join, posts, shut_sem);
ENDS(join)
GOES_ON(join)

/*
 * Processes and files
 */

static pid_t child;

static void
open_child(void)
{
	char c;

	open_pipe();
	child = fork();
	CHECK(child != -1);
	if (child != 0)
		return;
	close(p[1]);
	while (read(p[0], &c, 1) > 0)
		;
	_exit(3);
}

static void
child_ends(void)
{
	siginfo_t info;

	shut(p[1]);
	OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
}

static void
child_may_end(void)
{
	shut(p[1]);
}

static void
shut_child(void)
{
	shut(p[0]);
}

static void
waits_in_waitpid(void)
{
	int status;

	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(WEXITSTATUS(status), 3);
}

CALL(waitpid, open_child, waits_in_waitpid, child_ends, shut_child);
ENDS(waitpid)
SEES(waitpid)

CALL(waitpid_, open_child, waits_in_waitpid, child_may_end, shut_child);
GOES_ON(waitpid_)

static void
waits_in_wait(void)
{
	int status;

	CHECK_INT(wait(&status), child);
	CHECK_INT(WEXITSTATUS(status), 3);
}

CALL(wait, open_child, waits_in_wait, child_ends, shut_child);
ENDS(wait)
SEES(wait)

/* libc ends the shell as well, and reaps it; nothing is left over. */
static void *
waits_in_system(void *arg)
{
	here++;
	OK(system("exec sleep 1000"));
	return arg;
}

TEST(system_ends_by_cancellation_and_so_does_its_child)
{
	pthread_t th = thr_start(waits_in_system, NULL);

	thr_until(&here, 1);
	most_likely();
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}

/* A file's lock that another description holds. */
static int
set_lock(int fd, int cmd, int type)
{
	struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET };

	return fcntl(fd, cmd, &l);
}

static void
open_locked(void)
{
	char name[] = "/tmp/cancel-XXXXXX";

	p[0] = mkstemp(name);
	CHECK(p[0] != -1);
	p[1] = open(name, O_RDWR);
	CHECK(p[1] != -1);
	OK(unlink(name));
	OK(set_lock(p[0], F_OFD_SETLK, F_WRLCK));
}

static void
unlocks_file(void)
{
	OK(set_lock(p[0], F_OFD_SETLK, F_UNLCK));
}

static void
waits_in_fcntl(void)
{
	OK(set_lock(p[1], F_OFD_SETLKW, F_WRLCK));
}

CALL(fcntl, open_locked, waits_in_fcntl, unlocks_file, shut_pair);
ALL(fcntl)

/* Not a wait at all, but a cancellation point. */
static int to_close;

static void
open_one(void)
{
	to_close = open("/dev/null", O_RDONLY);
	CHECK(to_close != -1);
}

static void
closes(void)
{
	OK(close(to_close));
}

CALL(close, open_one, closes, nothing, nothing);
SEES(close)

/*
 * Where it does not act
 */

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;

static void *
locks(void *arg)
{
	here++;
	OK(pthread_mutex_lock(&mutex));
	here++;
	OK(pthread_mutex_unlock(&mutex));
	pthread_testcancel();
	return arg;
}

static void *
read_locks(void *arg)
{
	here++;
	OK(pthread_rwlock_rdlock(&rwlock));
	here++;
	OK(pthread_rwlock_unlock(&rwlock));
	pthread_testcancel();
	return arg;
}

static void *
meets(void *arg)
{
	int r;

	here++;
	r = pthread_barrier_wait(&barrier);
	CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	here++;
	pthread_testcancel();
	return arg;
}

static pthread_t
asked_in(void *(*fn)(void *))
{
	pthread_t th = thr_start(fn, NULL);

	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(here, 1);
	return th;
}

TEST(who_waits_for_a_mutex_gets_it_and_ends_later)
{
	pthread_t th;

	open_cond();
	OK(pthread_mutex_lock(&mutex));
	th = asked_in(locks);
	OK(pthread_mutex_unlock(&mutex));
	is_cancelled(th);
	CHECK_INT(here, 2);
	shut_cond();
}

TEST(who_waits_for_a_read_lock_gets_it_and_ends_later)
{
	pthread_t th;

	OK(pthread_rwlock_wrlock(&rwlock));
	th = asked_in(read_locks);
	OK(pthread_rwlock_unlock(&rwlock));
	is_cancelled(th);
	CHECK_INT(here, 2);
}

TEST(who_waits_at_a_barrier_passes_it_and_ends_later)
{
	pthread_t th;
	int r;

	OK(pthread_barrier_init(&barrier, NULL, 2));
	th = asked_in(meets);
	r = pthread_barrier_wait(&barrier);
	CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	is_cancelled(th);
	CHECK_INT(here, 2);
	OK(pthread_barrier_destroy(&barrier));
}

/*
 * State and type
 */

TEST(state_and_type_give_back_what_they_were)
{
	int old;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ENABLE);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	CHECK_INT(pthread_setcancelstate(99, &old), EINVAL);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DEFERRED);
	CHECK_INT(pthread_setcanceltype(99, &old), EINVAL);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ASYNCHRONOUS);
	pthread_testcancel();
}

static void *
has_strange_ways(void *arg)
{
	int old;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ENABLE);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DEFERRED);
	return arg;
}

TEST(each_thread_starts_enabled_and_deferred)
{
	int i;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	for (i = 0; i < 20; i++)
		thr_join(thr_start(has_strange_ways, NULL));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
}

static void *
tests_for_ever(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return arg;
}

TEST(testcancel_is_a_cancellation_point)
{
	pthread_t th = thr_start(tests_for_ever, NULL);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 1);
}

/* Whoever comes after one of strange ways, perhaps in its place, runs up to
 * its first cancellation point. */
TEST(a_thread_may_be_cancelled_before_it_runs)
{
	pthread_t th[8];
	int i;

	for (i = 0; i < 20; i++)
		thr_join(thr_start(has_strange_ways, NULL));
	for (i = 0; i < 8; i++) {
		th[i] = thr_start(tests_for_ever, NULL);
		OK(pthread_cancel(th[i]));
	}
	for (i = 0; i < 8; i++)
		is_cancelled(th[i]);
	CHECK_INT(here, 8);
	CHECK_INT(norder, 8);
}

static void *
ends_with(void *arg)
{
	here++;
	return arg;
}

static void *
sleeps_and_returns(void *arg)
{
	thr_ms(1);
	pthread_testcancel();
	return arg;
}

TEST(cancelling_one_that_has_ended_changes_nothing)
{
	pthread_t th;
	int i;

	for (i = 0; i < 20; i++) {
		here = 0;
		th = thr_start(ends_with, thr_ptr(5));
		thr_until(&here, 1);
		if (i % 2 == 0)
			most_likely();
		OK(pthread_cancel(th));
		CHECK_INT(thr_num(thr_join(th)), 5);
		/* The next one, perhaps in its place, knows nothing of it. */
		th = thr_start(sleeps_and_returns, thr_ptr(6));
		CHECK_INT(thr_num(thr_join(th)), 6);
	}
}

/* Ends in a key's destructor, after it has returned. */
static void
spins_until_asked(void *arg)
{
	here++;
	while (!asked)
		sched_yield();
	notes(arg);
}

static void
sleeps_long(void *arg)
{
	here++;
	sleep(1000);
	notes(arg);
}

static void *
returns_with_a_key(void *arg)
{
	OK(pthread_setspecific(key, thr_ptr(3)));
	return arg;
}

TEST(a_request_in_a_destructor_without_waits_changes_nothing)
{
	pthread_t th;

	OK(pthread_key_create(&key, spins_until_asked));
	th = thr_start(returns_with_a_key, thr_ptr(5));
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	CHECK_INT(thr_num(thr_join(th)), 5);
	CHECK_INT(norder, 1);
	OK(pthread_key_delete(key));
	/* The next one, perhaps in its place, knows nothing of it. */
	th = thr_start(sleeps_and_returns, thr_ptr(6));
	CHECK_INT(thr_num(thr_join(th)), 6);
}

TEST(a_destructor_that_waits_is_ended)
{
	pthread_t th;

	OK(pthread_key_create(&key, sleeps_long));
	th = thr_start(returns_with_a_key, thr_ptr(5));
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 0);
	OK(pthread_key_delete(key));
}

static void *
cancels_itself(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	OK(pthread_cancel(pthread_self()));
	here++;
	pthread_testcancel();
	here++;
	pthread_cleanup_pop(0);
	return arg;
}

static void *
cancels_itself_and_waits(void *arg)
{
	OK(pthread_cancel(pthread_self()));
	here++;
	thr_ms(1);
	here++;
	return arg;
}

static void *
cancels_itself_at_once(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	here++;
	OK(pthread_cancel(pthread_self()));
	here++;
	return arg;
}

TEST(a_thread_may_cancel_itself)
{
	is_cancelled(thr_start(cancels_itself, NULL));
	CHECK_INT(here, 1);
	CHECK_INT(norder, 1);
	is_cancelled(thr_start(cancels_itself_and_waits, NULL));
	CHECK_INT(here, 2);
	is_cancelled(thr_start(cancels_itself_at_once, NULL));
	CHECK_INT(here, 3);
}

/* Which thread waits in libc must not matter: here the first of the process,
 * while others run where it has begun. */
static void *
cancels_its_parent(void *arg)
{
	here++;
	most_likely();
	OK(pthread_cancel(*(pthread_t *)arg));
	pthread_testcancel(); /* not us */
	OK(pthread_join(*(pthread_t *)arg, &arg));
	CHECK(arg == PTHREAD_CANCELED);
	most_likely();
	CHECK_INT(norder, 0);
	_exit(7);
}

static void *
tests_and_yields(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
	pthread_cleanup_pop(0);
	return arg;
}

static void *
writes_later(void *arg)
{
	most_likely();
	comes();
	return arg;
}

static void
first_one_waits(void (*wait_)(void))
{
	static pthread_t first;
	pthread_t writer;
	pid_t pid;

	open_stdin();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		first = pthread_self();
		thr_start(tests_and_yields, NULL);
		/* It may go on where another has begun. */
		writer = thr_start(writes_later, NULL);
		waits_in_fgets();
		thr_join(writer);
		thr_start(cancels_its_parent, &first);
		thr_until(&here, 2);
		wait_();
		_exit(8);
	}
	CHECK_INT(thr_reap(pid), 7);
	shut_pair();
}

TEST(the_first_thread_may_be_cancelled_in_a_sleep)
{
	nap = THR_LONG;
	first_one_waits(waits_in_sleep);
}

TEST(the_first_thread_may_be_cancelled_in_libc)
{
	first_one_waits(waits_in_fgets);
}

/*
 * At any moment
 */

static volatile unsigned long turns;

static void *
spins(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;)
		turns++;
	pthread_cleanup_pop(0);
	return arg;
}

TEST(an_asynchronous_one_ends_in_the_middle_of_a_loop)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++) {
		th[i] = thr_start(spins, NULL);
		thr_until(&here, i + 1);
		if (i == 0) {
			OK(pthread_cancel(th[i]));
			is_cancelled(th[i]);
		}
	}
	OK(pthread_cancel(th[2]));
	is_cancelled(th[2]);
	OK(pthread_cancel(th[1]));
	is_cancelled(th[1]);
	CHECK_INT(norder, 3);
}

static void *
waits_at_any_moment(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	if (arg != NULL)
		sleep(1000);
	else
		for (;;)
			sched_yield();
	pthread_cleanup_pop(0);
	return arg;
}

TEST(an_asynchronous_one_ends_in_a_wait_as_well)
{
	pthread_t th = thr_start(waits_at_any_moment, &here);

	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 1);
	th = thr_start(waits_at_any_moment, NULL);
	thr_until(&here, 2);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 2);
}

/* glibc 2.36 forgets to say PTHREAD_CANCELED where it is setcancelstate that
 * acts: that it acted is what counts. */
static void *
turns_it_on(void *arg)
{
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	here++;
	thr_until(&asked, 1);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	here++;
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	here++;
	return arg;
}

TEST(what_was_held_back_acts_when_an_asynchronous_one_enables_it)
{
	pthread_t th = thr_start(turns_it_on, &asked);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	CHECK(thr_join(th) != &asked);
	CHECK_INT(here, 2);
}

static void *
spins_while_off(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	here++;
	while (!asked)
		turns++;
	here++;
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	here++;
	return arg;
}

TEST(one_that_is_off_is_not_ended_in_a_loop)
{
	pthread_t th = thr_start(spins_while_off, &asked);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(here, 1);
	asked = 1;
	CHECK(thr_join(th) != &asked);
	CHECK_INT(here, 2);
}

/*
 * The end of it
 */

static void
counts(void *n)
{
	atomic_fetch_add((atomic_int *)n, 1);
}

static void *
sleeps_detached(void *ended)
{
	OK(pthread_detach(pthread_self()));
	pthread_cleanup_push(counts, ended);
	here++;
	sleep(1000);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(detached_threads_are_cancelled_too)
{
	static atomic_int ended;
	pthread_t th[100];
	int i;

	for (i = 0; i < 100; i++)
		th[i] = thr_start(sleeps_detached, &ended);
	thr_until(&here, 100);
	for (i = 0; i < 100; i++)
		OK(pthread_cancel(th[i]));
	thr_until(&ended, 100);
}

static void *
exits_detached(void *ended)
{
	counts(ended);
	pthread_exit(NULL);
}

static long
vm_pages(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages;
}

/* 2000 stacks of 8 MiB: who kept them would have 4 million pages. */
TEST(detached_threads_that_exit_leave_no_stack_behind)
{
	long before = vm_pages();
	atomic_int ended = 0;
	int i;

	for (i = 0; i < 2000; i++) {
		OK(pthread_detach(thr_start(exits_detached, &ended)));
		thr_until(&ended, i + 1);
	}
	CHECK(vm_pages() - before < 2000000);
}

static void
waits_in_handler(void *arg)
{
	char c;

	here++;
	CHECK_INT(read(p[0], &c, 1), 1);
	thr_ms(1);
	notes(arg);
}

static void *
ends_slowly(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(waits_in_handler, thr_ptr(2));
	if (arg != NULL)
		pthread_exit(arg);
	here++;
	sleep(1000);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(a_handler_may_wait_and_is_not_cancelled_again)
{
	pthread_t th;

	open_pipe();
	th = thr_start(ends_slowly, NULL);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	thr_until(&here, 2);
	OK(pthread_cancel(th));
	most_likely();
	OK(pthread_cancel(th));
	CHECK_INT(norder, 0);
	thr_tell(p[1]);
	is_cancelled(th);
	CHECK_INT(norder, 2);
	CHECK_INT(order[0], 2);
	CHECK_INT(order[1], 1);
	shut_pair();
}

TEST(who_exits_is_not_cancelled_any_more)
{
	pthread_t th;

	open_pipe();
	th = thr_start(ends_slowly, &here);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(norder, 0);
	thr_tell(p[1]);
	CHECK(thr_join(th) == &here);
	CHECK_INT(norder, 2);
	shut_pair();
}

static void
sleeps_deeper(int depth)
{
	pthread_cleanup_push(notes, thr_ptr(depth));
	if (depth > 1)
		sleeps_deeper(depth - 1);
	else
		sleep(1000);
	pthread_cleanup_pop(0);
}

static void *
sleeps_deep(void *arg)
{
	here++;
	sleeps_deeper(8);
	return arg;
}

TEST(handlers_of_all_the_callers_run_innermost_first)
{
	pthread_t th = thr_start(sleeps_deep, NULL);
	int i;

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 8);
	for (i = 0; i < 8; i++)
		CHECK_INT(order[i], i + 1);
}

/*
 * Nothing is lost
 */

static atomic_int got;

static void *
takes_one(void *arg)
{
	here++;
	OK(sem_wait(&sem));
	got++;
	return arg;
}

/* A post and a cancellation at once: either the one cancelled has had it
 * before, or it is still there.  (That the other one is woken for it is more
 * than glibc 2.36 does.) */
TEST(a_post_is_not_lost_to_one_that_is_cancelled)
{
	uint64_t seed = thr_seed();
	pthread_t a, b;
	int i, left;

	open_sem();
	for (i = 0; i < 100; i++) {
		here = got = 0;
		a = thr_start(takes_one, NULL);
		b = thr_start(takes_one, NULL);
		thr_until(&here, 2);
		if (thr_rand(&seed) % 2 == 0)
			sched_yield();
		posts();
		OK(pthread_cancel(a));
		thr_join(a);
		posts();
		thr_join(b);
		OK(sem_getvalue(&sem, &left));
		CHECK_INT(got + left, 2);
		if (left > 0)
			OK(sem_wait(&sem));
	}
	shut_sem();
}

static void *
is_told(void *arg)
{
	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	here++;
	while (!told)
		OK(pthread_cond_wait(&cond, &mutex));
	told = 0;
	got++;
	pthread_cleanup_pop(1);
	return arg;
}

TEST(a_signalled_condition_is_not_lost_to_one_that_is_cancelled)
{
	uint64_t seed = thr_seed();
	pthread_t a, b;
	int i;

	open_cond();
	for (i = 0; i < 100; i++) {
		here = got = 0;
		a = thr_start(is_told, NULL);
		b = thr_start(is_told, NULL);
		thr_until(&here, 2);
		tells();
		OK(pthread_cancel(thr_rand(&seed) % 2 == 0 ? a : b));
		thr_until(&got, 1);
		OK(pthread_cancel(a));
		OK(pthread_cancel(b));
		thr_join(a);
		thr_join(b);
		CHECK_INT(got, 1);
	}
	shut_cond();
}

/*
 * Many
 */

static atomic_int cleaned;

static void
waits_by_kind(int kind)
{
	switch (kind) {
	case 0:
		nap = THR_LONG;
		waits_in_nanosleep();
		break;
	case 1:
		waits_in_read();
		break;
	case 2:
		waits_in_poll();
		break;
	case 3:
		waits_in_sem_wait();
		break;
	case 4:
		waits_in_cond_wait();
		break;
	case 5:
		waits_in_sigwait();
		break;
	default:
		for (;;) {
			sched_yield();
			pthread_testcancel();
		}
	}
	CHECK(!"it has been cancelled");
}

static void *
waits_somehow(void *arg)
{
	pthread_cleanup_push(counts, &cleaned);
	here++;
	waits_by_kind(thr_num(arg));
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(a_hundred_are_cancelled_in_any_order)
{
	uint64_t seed = thr_seed();
	pthread_t th[100], t;
	int i, j, round;

	open_pipe();
	open_sem();
	open_cond();
	for (round = 0; round < 3; round++) {
		here = cleaned = 0;
		for (i = 0; i < 100; i++)
			th[i] = thr_start(waits_somehow, thr_ptr(i % 7));
		/* The first hundred may not even have begun. */
		if (round > 0)
			thr_until(&here, 100);
		for (i = 99; i > 0; i--) {
			j = (int)(thr_rand(&seed) % (unsigned)(i + 1));
			t = th[i];
			th[i] = th[j];
			th[j] = t;
		}
		for (i = 0; i < 100; i++) {
			OK(pthread_cancel(th[i]));
			if (thr_rand(&seed) % 4 == 0)
				thr_ms(1);
		}
		for (i = 99; i >= 0; i--)
			is_cancelled(th[i]);
		CHECK_INT(cleaned, 100);
	}
	shut_pair();
	shut_sem();
	shut_cond();
}
