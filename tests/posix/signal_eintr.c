/* SPDX-License-Identifier: MIT */
/* signal_eintr.c - signals interrupt waits, or do not, as signal(7) says.
 *
 * A signal for the process goes to a thread that does not block it.  So that
 * this is the one that runs the case, also where that is not main's, main()
 * starts with the signals used here blocked, and a case lets through what it
 * wants.  Nobody can know when a wait has begun: what is to interrupt one is
 * sent again and again until it did.
 */
#define _GNU_SOURCE 1
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "thr.h"

static sigset_t
set_of(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	return s;
}

__attribute__((constructor)) static void
block_in_main(void)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGUSR2);
	sigaddset(&s, SIGALRM);
	sigaddset(&s, SIGVTALRM);
	sigaddset(&s, SIGCHLD);
	sigaddset(&s, SIGIO);
	sigaddset(&s, SIGRTMIN);
	sigaddset(&s, SIGRTMIN + 1);
	OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
}

static void
let_through(int sig)
{
	sigset_t s = set_of(sig);

	OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
}

static void
hold_back(int sig)
{
	sigset_t s = set_of(sig);

	OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
}

static atomic_int handled;
static _Atomic pthread_t handled_in;

static void
counts(int sig)
{
	(void)sig;
	handled_in = pthread_self();
	handled++;
}

static void
on(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigemptyset(&sa.sa_mask);
	OK(sigaction(sig, &sa, NULL));
}

/* A thread that sends a signal to another until told to stop. */
struct pest {
	pthread_t whom, self;
	atomic_int stop;
	int sig;
};

static void *
pesters(void *arg)
{
	struct pest *p = arg;

	while (!p->stop) {
		OK(pthread_kill(p->whom, p->sig));
		thr_ms(1);
	}
	return NULL;
}

/* The pest itself has the signal blocked, which it inherits; so have we
 * then. */
static void
pest_start(struct pest *p, int sig)
{
	p->whom = pthread_self();
	p->sig = sig;
	p->stop = 0;
	hold_back(sig);
	p->self = thr_start(pesters, p);
}

static void
pest_begin(struct pest *p, int sig)
{
	pest_start(p, sig);
	let_through(sig);
}

static void
pest_end(struct pest *p)
{
	p->stop = 1;
	thr_join(p->self);
	hold_back(p->sig);
}

/* The ways to wait. */
static struct {
	int pipe[2], pair[2], listener, ep;
	sem_t sem;
} w;

static void
world_begin(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	OK(pipe(w.pipe));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair));
	w.listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(w.listener != -1);
	OK(bind(w.listener, (struct sockaddr *)&a, sizeof a));
	OK(listen(w.listener, 5));
	w.ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(w.ep != -1);
	OK(epoll_ctl(w.ep, EPOLL_CTL_ADD, w.pipe[0], &ev));
	OK(sem_init(&w.sem, 0, 0));
}

static void
world_end(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(w.pipe[i]);
		close(w.pair[i]);
	}
	close(w.listener);
	close(w.ep);
	OK(sem_destroy(&w.sem));
}

static ssize_t
w_read(void)
{
	char c;

	return read(w.pipe[0], &c, 1);
}

static ssize_t
w_readv(void)
{
	char c;
	struct iovec v = { &c, 1 };

	return readv(w.pipe[0], &v, 1);
}

static ssize_t
w_recv(void)
{
	char c;

	return recv(w.pair[0], &c, 1, 0);
}

static ssize_t
w_recvfrom(void)
{
	char c;

	return recvfrom(w.pair[0], &c, 1, 0, NULL, NULL);
}

static ssize_t
w_recvmsg(void)
{
	char c;
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return recvmsg(w.pair[0], &m, 0);
}

static ssize_t
w_accept(void)
{
	int fd = accept(w.listener, NULL, NULL);

	if (fd != -1)
		close(fd);
	return fd;
}

static ssize_t
w_sem_wait(void)
{
	return sem_wait(&w.sem);
}

static ssize_t
w_poll(void)
{
	struct pollfd p = { w.pipe[0], POLLIN, 0 };

	return poll(&p, 1, -1);
}

static ssize_t
w_poll_timeout(void)
{
	struct pollfd p[2] = { { w.pipe[0], POLLIN, 0 },
			       { w.pair[0], POLLIN, 0 } };

	return poll(p, 2, 100000);
}

static ssize_t
w_poll_nothing(void)
{
	return poll(NULL, 0, 100000);
}

static ssize_t
w_ppoll(void)
{
	struct pollfd p = { w.pipe[0], POLLIN, 0 };

	return ppoll(&p, 1, NULL, NULL);
}

static ssize_t
w_select(void)
{
	fd_set r;

	FD_ZERO(&r);
	FD_SET(w.pipe[0], &r);
	return select(w.pipe[0] + 1, &r, NULL, NULL, NULL);
}

static ssize_t
w_pselect(void)
{
	struct timespec ts = { 100, 0 };

	return pselect(0, NULL, NULL, NULL, &ts, NULL);
}

static ssize_t
w_epoll_wait(void)
{
	struct epoll_event ev;

	return epoll_wait(w.ep, &ev, 1, -1);
}

static ssize_t
w_nanosleep(void)
{
	struct timespec ts = { 100, 0 };

	return nanosleep(&ts, NULL);
}

static ssize_t
w_clock_nanosleep(void)
{
	struct timespec at = thr_after(CLOCK_MONOTONIC, THR_LONG);
	int e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);

	errno = e;
	return e == 0 ? 0 : -1;
}

static ssize_t
w_usleep(void)
{
	return usleep(100000000);
}

static ssize_t
w_recv_with_timeout(void)
{
	struct timeval tv = { 100, 0 }, none = { 0, 0 };
	ssize_t r;
	char c;
	int e;

	OK(setsockopt(w.pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	r = recv(w.pair[0], &c, 1, 0);
	e = errno;
	OK(setsockopt(w.pair[0], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
	errno = e;
	return r;
}

static ssize_t
w_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

static const struct way {
	const char *name;
	ssize_t (*wait)(void);
	int restarts; /* with SA_RESTART it goes on */
} ways[] = {
	{ "read", w_read, 1 },
	{ "readv", w_readv, 1 },
	{ "recv", w_recv, 1 },
	{ "recvfrom", w_recvfrom, 1 },
	{ "recvmsg", w_recvmsg, 1 },
	{ "accept", w_accept, 1 },
	{ "sem_wait", w_sem_wait, 1 },
	{ "poll", w_poll, 0 },
	{ "poll with a timeout", w_poll_timeout, 0 },
	{ "poll of nothing", w_poll_nothing, 0 },
	{ "ppoll", w_ppoll, 0 },
	{ "select", w_select, 0 },
	{ "pselect", w_pselect, 0 },
	{ "epoll_wait", w_epoll_wait, 0 },
	{ "nanosleep", w_nanosleep, 0 },
	{ "clock_nanosleep", w_clock_nanosleep, 0 },
	{ "usleep", w_usleep, 0 },
	{ "recv with SO_RCVTIMEO", w_recv_with_timeout, 0 },
	{ "pause", (ssize_t (*)(void))NULL, 0 },
	{ "sigsuspend", w_sigsuspend, 0 },
};

static ssize_t
wait_in(const struct way *way)
{
	errno = 0;
	return way->wait != NULL ? way->wait() : pause();
}

static void
must_be_EINTR(const struct way *way)
{
	ssize_t r = wait_in(way);

	if (r != -1 || errno != EINTR) {
		fprintf(stderr, "%s gave %zd, errno %d\n", way->name, r, errno);
		_exit(1);
	}
}

TEST(every_wait_is_EINTR_by_a_handler_without_SA_RESTART)
{
	struct pest p;
	size_t i;
	int k;

	world_begin();
	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	for (k = 0; k < 3; k++)
		for (i = 0; i < LEN(ways); i++)
			must_be_EINTR(&ways[i]);
	pest_end(&p);
	world_end();
}

TEST(waits_that_never_restart_are_EINTR_with_SA_RESTART_too)
{
	struct pest p;
	size_t i;

	world_begin();
	on(SIGUSR1, counts, SA_RESTART);
	pest_begin(&p, SIGUSR1);
	for (i = 0; i < LEN(ways); i++)
		if (!ways[i].restarts)
			must_be_EINTR(&ways[i]);
	pest_end(&p);
	world_end();
}

/* Satisfies every wait once the handler has run some more times. */
static void *
satisfies(void *arg)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	int fd;

	thr_until(&handled, thr_num(arg));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	OK(getsockname(w.listener, (struct sockaddr *)&a, &len));
	OK(connect(fd, (struct sockaddr *)&a, len));
	thr_tell(w.pipe[1]);
	thr_tell(w.pair[1]);
	OK(sem_post(&w.sem));
	close(fd);
	return NULL;
}

TEST(restartable_waits_go_on_with_SA_RESTART)
{
	struct pest p;
	pthread_t th;
	size_t i;
	ssize_t r;

	on(SIGUSR1, counts, SA_RESTART);
	for (i = 0; i < LEN(ways); i++) {
		if (!ways[i].restarts)
			continue;
		world_begin();
		pest_start(&p, SIGUSR1);
		th = thr_start(satisfies, thr_ptr(handled + 5));
		let_through(SIGUSR1);
		r = wait_in(&ways[i]);
		if (r == -1) {
			fprintf(stderr, "%s: errno %d\n", ways[i].name, errno);
			_exit(1);
		}
		hold_back(SIGUSR1);
		thr_join(th);
		pest_end(&p);
		world_end();
	}
}

TEST(a_wait_ends_by_a_signal_that_came_while_it_was_blocked)
{
	sigset_t none;
	struct pollfd p;
	struct timespec ts = { 100, 0 };

	world_begin();
	on(SIGUSR1, counts, 0);
	sigemptyset(&none);
	p = (struct pollfd){ w.pipe[0], POLLIN, 0 };
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_INT(handled, 0);
	CHECK_ERR(ppoll(&p, 1, &ts, &none), EINTR);
	CHECK_INT(handled, 1);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_ERR(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
	CHECK_INT(handled, 2);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_INT(handled, 3);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_ERR(epoll_pwait(w.ep, &(struct epoll_event){ 0 }, 1, 100000,
			      &none), EINTR);
	CHECK_INT(handled, 4);
	/* and the mask is as it was */
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_INT(handled, 4);
	let_through(SIGUSR1);
	CHECK_INT(handled, 5);
	world_end();
}

TEST(a_blocked_signal_interrupts_nothing)
{
	struct timespec ts = { 0, 20 * 1000000 };
	struct pest p;

	on(SIGUSR1, counts, 0);
	pest_start(&p, SIGUSR1);
	OK(nanosleep(&ts, NULL));
	CHECK_INT(poll(NULL, 0, 20), 0);
	CHECK_INT(handled, 0);
	pest_end(&p);
}

TEST(an_ignored_signal_interrupts_nothing)
{
	struct timespec ts = { 0, 20 * 1000000 };
	struct pest p;

	on(SIGUSR1, SIG_IGN, 0);
	pest_begin(&p, SIGUSR1);
	OK(nanosleep(&ts, NULL));
	CHECK_INT(poll(NULL, 0, 20), 0);
	pest_end(&p);
}

TEST(nanosleep_says_what_remained)
{
	struct timespec ts = { 1000, 0 }, left = { 0, 0 };
	struct pest p;

	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	CHECK_ERR(nanosleep(&ts, &left), EINTR);
	CHECK(left.tv_sec > 900 && left.tv_sec <= 1000);
	CHECK_INT(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &left), EINTR);
	CHECK(left.tv_sec > 900 && left.tv_sec <= 1000);
	CHECK(sleep(1000) > 900);
	pest_end(&p);
}

TEST(a_sleep_that_goes_on_after_each_signal_is_not_short)
{
	struct timespec ts = { 0, 50 * 1000000 };
	int64_t t0 = t_now();
	struct pest p;

	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	while (nanosleep(&ts, &ts) == -1)
		CHECK_INT(errno, EINTR);
	CHECK(t_now() - t0 >= 50 * T_MS);
	pest_end(&p);
}

TEST(mutexes_conditions_and_joins_are_not_interrupted)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec at;
	struct pest p;
	int e;

	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	OK(pthread_mutex_lock(&m));
	do
		e = pthread_cond_timedwait(&c, &m, &at);
	while (e == 0); /* a signal may wake it, but never as EINTR */
	CHECK_INT(e, ETIMEDOUT);
	at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	CHECK_INT(pthread_mutex_timedlock(&m, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	CHECK_INT(pthread_timedjoin_np(p.self, NULL, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	OK(pthread_mutex_unlock(&m));
	CHECK(handled > 0);
	pest_end(&p);
}

/* Signals for the process. */
static void
until_handled(int n)
{
	while (handled < n) /* not pause(): it may come just before that */
		poll(NULL, 0, 10);
}

TEST(alarm_interrupts_a_read)
{
	char c;

	world_begin();
	on(SIGALRM, counts, 0);
	let_through(SIGALRM);
	CHECK_INT(alarm(1), 0);
	CHECK_ERR(read(w.pipe[0], &c, 1), EINTR);
	CHECK_INT(handled, 1);
	CHECK_INT(alarm(100), 0);
	CHECK(alarm(0) > 90);
	world_end();
}

TEST(setitimer_interrupts_again_and_again)
{
	struct itimerval it = { { 0, 3000 }, { 0, 3000 } }, off = { 0 };
	size_t i;

	world_begin();
	on(SIGALRM, counts, 0);
	let_through(SIGALRM);
	OK(setitimer(ITIMER_REAL, &it, NULL));
	for (i = 0; i < LEN(ways); i++)
		must_be_EINTR(&ways[i]);
	OK(setitimer(ITIMER_REAL, &off, &it));
	CHECK_INT(it.it_interval.tv_usec, 3000);
	world_end();
}

static atomic_int value_seen, code_seen;

static void
notes_info(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	value_seen = si->si_value.sival_int;
	code_seen = si->si_code;
	handled++;
}

TEST(a_posix_timer_interrupts_by_its_signal)
{
	struct sigaction sa = { .sa_sigaction = notes_info,
				.sa_flags = SA_SIGINFO };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGRTMIN };
	struct itimerspec it = { { 0, 3000000 }, { 0, 3000000 } };
	timer_t t;
	size_t i;

	world_begin();
	OK(sigaction(SIGRTMIN, &sa, NULL));
	ev.sigev_value.sival_int = 4711;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	let_through(SIGRTMIN);
	OK(timer_settime(t, 0, &it, NULL));
	for (i = 0; i < LEN(ways); i++)
		must_be_EINTR(&ways[i]);
	OK(timer_delete(t));
	CHECK_INT(value_seen, 4711);
	CHECK_INT(code_seen, SI_TIMER);
	world_end();
}

/* A child that sends its parent a signal until it is killed. */
static pid_t
child_pest(int sig)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		while (kill(parent, sig) == 0 && getppid() == parent)
			thr_ms(1);
		_exit(0);
	}
	return pid;
}

TEST(a_signal_from_another_process_interrupts_every_wait)
{
	size_t i;
	pid_t pid;

	world_begin();
	on(SIGUSR2, counts, 0);
	pid = child_pest(SIGUSR2);
	let_through(SIGUSR2);
	for (i = 0; i < LEN(ways); i++)
		must_be_EINTR(&ways[i]);
	hold_back(SIGUSR2);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	world_end();
}

TEST(a_signal_to_ones_own_process_is_handled_before_kill_returns)
{
	int i;

	on(SIGUSR2, counts, 0);
	let_through(SIGUSR2);
	for (i = 1; i <= 10; i++) {
		OK(kill(getpid(), SIGUSR2));
		CHECK_INT(handled, i);
		CHECK(pthread_equal(handled_in, pthread_self()));
	}
}

TEST(waitpid_is_interrupted_and_restarted_alike)
{
	struct pest p;
	int status, hold[2];
	pid_t pid;

	OK(pipe(hold));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		close(hold[1]);
		CHECK_INT(read(hold[0], &status, 1), 0);
		_exit(5);
	}
	close(hold[0]);
	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	CHECK_ERR(waitpid(pid, &status, 0), EINTR);
	on(SIGUSR1, counts, SA_RESTART);
	close(hold[1]);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 5);
	pest_end(&p);
}

/* What got through counts. */
static void *
drains(void *arg)
{
	static char buf[65536];
	int fd = thr_num(arg);
	ssize_t r;
	long n = 0;

	while ((r = read(fd, buf, sizeof buf)) > 0)
		n += r;
	CHECK_INT(r, 0);
	return (void *)(intptr_t)n;
}

static void
partial(int out, int in)
{
	size_t size = 4 << 20;
	char *buf = calloc(1, size);
	struct pest p;
	pthread_t th;
	ssize_t r;

	CHECK(buf != NULL);
	on(SIGUSR1, counts, 0);
	pest_begin(&p, SIGUSR1);
	r = write(out, buf, size);
	CHECK(r > 0 && (size_t)r < size);
	/* Nothing fits any more: not even a byte. */
	CHECK_ERR(write(out, buf, size), EINTR);
	pest_end(&p);
	th = thr_start(drains, thr_ptr(in));
	OK(close(out));
	CHECK_INT((intptr_t)thr_join(th), r);
	OK(close(in));
	free(buf);
}

TEST(a_write_to_a_pipe_that_was_interrupted_returns_what_it_wrote)
{
	int fd[2];

	OK(pipe(fd));
	partial(fd[1], fd[0]);
}

TEST(a_write_to_a_socket_that_was_interrupted_returns_what_it_wrote)
{
	int fd[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	partial(fd[1], fd[0]);
}

TEST(recv_MSG_WAITALL_that_was_interrupted_returns_what_there_was)
{
	char buf[100];
	struct pest p;

	world_begin();
	on(SIGUSR1, counts, 0);
	CHECK_INT(write(w.pair[1], buf, 30), 30);
	pest_begin(&p, SIGUSR1);
	CHECK_INT(recv(w.pair[0], buf, sizeof buf, MSG_WAITALL), 30);
	pest_end(&p);
	world_end();
}

TEST(a_write_of_much_goes_on_to_its_end_with_SA_RESTART)
{
	size_t size = 4 << 20;
	char *buf = calloc(1, size);
	struct pest p;
	pthread_t th;
	int fd[2];

	CHECK(buf != NULL);
	OK(pipe(fd));
	on(SIGUSR1, counts, SA_RESTART);
	th = thr_start(drains, thr_ptr(fd[0]));
	pest_begin(&p, SIGUSR1);
	/* A pipe's write is cut short by any handler, even so. */
	for (size_t n = 0; n < size;) {
		ssize_t r = write(fd[1], buf + n, size - n);

		CHECK(r > 0);
		n += (size_t)r;
	}
	pest_end(&p);
	OK(close(fd[1]));
	CHECK_INT((intptr_t)thr_join(th), size);
	OK(close(fd[0]));
	free(buf);
}

/* Threads and signals. */
struct target {
	atomic_int here, stop, hits;
	pthread_t self;
	sem_t never;
	int kind, fd;
};

static __thread struct target *mine;
static atomic_int strays;

static void
hits(int sig)
{
	(void)sig;
	if (mine == NULL || !pthread_equal(mine->self, pthread_self()))
		strays++;
	else
		mine->hits++;
}

static void *
is_hit(void *arg)
{
	struct target *t = arg;
	char c;

	t->self = pthread_self();
	mine = t;
	let_through(SIGUSR1);
	t->here = 1;
	while (!t->stop) {
		switch (t->kind % 4) {
		case 0:
			CHECK_ERR(read(t->fd, &c, 1), EINTR);
			break;
		case 1:
			CHECK_ERR(sem_wait(&t->never), EINTR);
			break;
		case 2:
			CHECK_ERR(poll(NULL, 0, -1), EINTR);
			break;
		default:
			CHECK(sleep(1000) > 0);
		}
	}
	return NULL;
}

TEST(pthread_kill_reaches_just_the_waiting_thread_it_names)
{
	static struct target t[40];
	pthread_t th[40];
	int i, before[40], k;

	world_begin();
	on(SIGUSR1, hits, 0);
	for (i = 0; i < 40; i++) {
		t[i].kind = i;
		t[i].fd = w.pipe[0];
		OK(sem_init(&t[i].never, 0, 0));
		th[i] = thr_start(is_hit, &t[i]);
		thr_until(&t[i].here, 1);
	}
	for (i = 0; i < 40; i++) {
		for (k = 0; k < 40; k++)
			before[k] = t[k].hits;
		OK(pthread_kill(th[i], SIGUSR1));
		thr_until(&t[i].hits, before[i] + 1);
		for (k = 0; k < 40; k++)
			CHECK_INT(t[k].hits, before[k] + (k == i));
	}
	for (i = 0; i < 40; i++) {
		t[i].stop = 1;
		while (pthread_tryjoin_np(th[i], NULL) == EBUSY) {
			OK(pthread_kill(th[i], SIGUSR1));
			thr_ms(1);
		}
	}
	CHECK_INT(strays, 0);
	world_end();
}

/* It waits for nothing, and asks nobody. */
static void *
spins_until_handled(void *arg)
{
	int want = thr_num(arg);

	while (handled < want)
		;
	return NULL;
}

TEST(a_signal_is_handled_that_came_before_the_threads_first_line)
{
	pthread_t th;
	int i;

	world_begin();
	on(SIGUSR1, counts, 0);
	let_through(SIGUSR1);
	for (i = 1; i <= 10; i++) {
		th = thr_start(spins_until_handled, thr_ptr(i));
		OK(pthread_kill(th, SIGUSR1));
		thr_join(th);
		CHECK_INT(handled, i);
		CHECK(pthread_equal(handled_in, th));
	}
	world_end();
}

TEST(pthread_kill_with_0_only_asks_and_bad_signals_are_EINVAL)
{
	OK(pthread_kill(pthread_self(), 0));
	CHECK_INT(pthread_kill(pthread_self(), 65), EINVAL);
	CHECK_INT(pthread_kill(pthread_self(), -1), EINVAL);
	CHECK_ERR(raise(65), EINVAL);
}

static void *
has_mask(void *arg)
{
	sigset_t s, want = *(sigset_t *)arg;
	int sig;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	for (sig = 1; sig < 32; sig++)
		CHECK_INT(sigismember(&s, sig), sigismember(&want, sig));
	/* One's own: the creator's stays as it is. */
	sigemptyset(&s);
	sigaddset(&s, SIGURG);
	OK(pthread_sigmask(SIG_SETMASK, &s, NULL));
	thr_ms(1);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGURG), 1);
	CHECK_INT(sigismember(&s, SIGWINCH), 0);
	return NULL;
}

TEST(the_mask_is_a_threads_own_and_inherited)
{
	sigset_t s, got;
	pthread_t th[20];
	int i, sig;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	sigaddset(&s, SIGWINCH);
	sigaddset(&s, SIGTERM);
	OK(pthread_sigmask(SIG_SETMASK, &s, NULL));
	for (i = 0; i < 20; i++)
		th[i] = thr_start(has_mask, &s);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &got));
	for (sig = 1; sig < 32; sig++)
		CHECK_INT(sigismember(&got, sig), sigismember(&s, sig));
	CHECK_INT(pthread_sigmask(99, &s, NULL), EINVAL);
}

TEST(pending_signals_wait_for_their_thread)
{
	sigset_t s;

	on(SIGUSR1, counts, 0);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	thr_ms(2);
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), 1);
	CHECK_INT(handled, 0);
	let_through(SIGUSR1);
	CHECK_INT(handled, 1);
	CHECK(pthread_equal(handled_in, pthread_self()));
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), 0);
}

static sigjmp_buf away;

static void
jumps(int sig)
{
	siglongjmp(away, sig);
}

TEST(siglongjmp_out_of_a_handler_restores_the_mask)
{
	sigset_t s;
	volatile int times = 0;
	int sig;
	struct pest p;

	world_begin();
	on(SIGUSR1, jumps, 0);
	hold_back(SIGUSR1);
	while (times < 20) {
		sig = sigsetjmp(away, 1);
		if (sig != 0) {
			CHECK_INT(sig, SIGUSR1);
			OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
			CHECK_INT(sigismember(&s, SIGUSR1), 1);
			times++;
			continue;
		}
		OK(raise(SIGUSR1));
		let_through(SIGUSR1);
		CHECK(0);
	}
	/* Out of a wait. */
	times = 0;
	on(SIGUSR2, jumps, SA_RESTART);
	pest_start(&p, SIGUSR2);
	if (sigsetjmp(away, 1) != 0)
		times++;
	if (times < 10) {
		let_through(SIGUSR2);
		w_read();
		CHECK(0);
	}
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGUSR2), 1);
	pest_end(&p);
	world_end();
}

static int self_pipe[2];

static void
writes_to_pipe(int sig)
{
	char c = (char)sig;
	int e = errno;

	CHECK_INT(write(self_pipe[1], &c, 1), 1);
	errno = e;
}

TEST(a_handler_may_wake_poll_and_read_by_a_pipe)
{
	struct pollfd p;
	int i, n = 0;
	pid_t pid;
	char c;

	OK(pipe(self_pipe));
	on(SIGUSR2, writes_to_pipe, SA_RESTART);
	pid = child_pest(SIGUSR2);
	let_through(SIGUSR2);
	for (i = 0; i < 10; i++) {
		p = (struct pollfd){ self_pipe[0], POLLIN, 0 };
		if (poll(&p, 1, -1) == -1)
			CHECK_INT(errno, EINTR);
		CHECK_INT(read(self_pipe[0], &c, 1), 1);
		CHECK_INT(c, SIGUSR2);
		n++;
	}
	hold_back(SIGUSR2);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	CHECK_INT(n, 10);
	close(self_pipe[0]);
	close(self_pipe[1]);
}

static atomic_int naps;

/* Shorter than the pest's: else the next signal is there when the handler ends,
 * each time, and nothing but the handler ever runs. */
static void
takes_a_nap(int sig)
{
	struct timespec ts = { 0, T_MS / 10 };
	int e = errno;

	(void)sig;
	nanosleep(&ts, NULL);
	naps++;
	errno = e;
}

/* While it waits its signal is blocked; after it, no more. */
TEST(a_handler_that_waits_comes_again)
{
	int i;
	pid_t pid;

	on(SIGUSR2, takes_a_nap, 0);
	pid = child_pest(SIGUSR2);
	let_through(SIGUSR2);
	for (i = 0; i < 5; i++)
		CHECK_ERR(poll(NULL, 0, -1), EINTR);
	hold_back(SIGUSR2);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	CHECK(naps >= 5);
}

static atomic_int reaped;

static void
reaps(int sig)
{
	int e = errno, status;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		reaped++;
	}
	errno = e;
}

TEST(a_SIGCHLD_handler_reaps_every_child)
{
	int i;
	pid_t pid;

	on(SIGCHLD, reaps, SA_RESTART | SA_NOCLDSTOP);
	let_through(SIGCHLD);
	for (i = 0; i < 50; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0)
			_exit(3);
	}
	while (reaped < 50)
		poll(NULL, 0, 10);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

TEST(sigaction_gives_back_what_was_set)
{
	struct sigaction sa = { .sa_handler = counts, .sa_flags = SA_RESTART },
			 old, now;

	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	OK(sigaction(SIGUSR1, &sa, &old));
	CHECK(old.sa_handler == SIG_DFL);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == counts);
	CHECK_INT(now.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER |
				  (int)SA_RESETHAND), SA_RESTART);
	CHECK_INT(sigismember(&now.sa_mask, SIGTERM), 1);
	CHECK_INT(sigismember(&now.sa_mask, SIGUSR1), 0);

	sa.sa_sigaction = notes_info;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND;
	OK(sigaction(SIGUSR1, &sa, &old));
	CHECK(old.sa_handler == counts);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_sigaction == notes_info);
	CHECK_INT(now.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER |
				  (int)SA_RESETHAND),
		  SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND);

	CHECK(signal(SIGUSR1, SIG_IGN) == (void (*)(int))(void *)notes_info);
	CHECK(signal(SIGUSR1, counts) == SIG_IGN);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK_INT(now.sa_flags & SA_RESTART, SA_RESTART);
	CHECK(signal(SIGUSR1, SIG_DFL) == counts);
	errno = 0;
	CHECK(signal(SIGKILL, counts) == SIG_ERR);
	CHECK_INT(errno, EINVAL);
	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(65, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(0, &sa, NULL), EINVAL);
}

TEST(every_signal_starts_with_its_default_action)
{
	struct sigaction sa;
	int sig;

	for (sig = 1; sig < 32; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		OK(sigaction(sig, NULL, &sa));
		if (sa.sa_handler == SIG_IGN)
			continue; /* whoever started us ignores it */
		CHECK(sa.sa_handler == SIG_DFL ||
		      (fprintf(stderr, "signal %d\n", sig), 0));
	}
}

static int depth, deepest;

static void
raises_twice_more(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (++handled < 3)
		raise(sig);
	depth--;
}

TEST(SA_NODEFER_lets_a_signal_in_within_its_handler)
{
	on(SIGUSR1, raises_twice_more, SA_NODEFER);
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 3);
	CHECK_INT(deepest, 3);
	handled = deepest = 0;
	on(SIGUSR1, raises_twice_more, 0);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 3);
	CHECK_INT(deepest, 1);
}

TEST(SA_RESETHAND_handles_one_signal)
{
	struct sigaction now;

	on(SIGUSR1, counts, (int)SA_RESETHAND);
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 1);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == SIG_DFL);
}

static void
notes_mask(int sig)
{
	sigset_t s;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, sig), 1);
	CHECK_INT(sigismember(&s, SIGTERM), 1);
	CHECK_INT(sigismember(&s, SIGWINCH), 0);
	handled++;
}

TEST(a_handler_runs_with_its_mask_and_leaves_it)
{
	struct sigaction sa = { .sa_handler = notes_mask };
	sigset_t s;

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	OK(sigaction(SIGUSR1, &sa, NULL));
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 1);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGUSR1), 0);
	CHECK_INT(sigismember(&s, SIGTERM), 0);
}

static volatile siginfo_t info;

static void
keeps_info(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	CHECK_INT(si->si_signo, sig);
	memcpy((void *)&info, si, sizeof *si);
	handled++;
}

TEST(siginfo_says_who_sent_what)
{
	struct sigaction sa = { .sa_sigaction = keeps_info,
				.sa_flags = SA_SIGINFO };
	union sigval v;
	pid_t pid, me = getpid();

	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(sigaction(SIGRTMIN, &sa, NULL));
	OK(sigaction(SIGCHLD, &sa, NULL));
	let_through(SIGUSR1);
	let_through(SIGRTMIN);
	OK(kill(me, SIGUSR1));
	CHECK_INT(handled, 1);
	CHECK_INT(info.si_code, SI_USER);
	CHECK_INT(info.si_pid, me);
	CHECK_INT(info.si_uid, getuid());

	OK(raise(SIGUSR1));
	CHECK_INT(handled, 2);
	CHECK_INT(info.si_code, SI_TKILL);
	CHECK_INT(info.si_pid, me);

	v.sival_int = 99;
	OK(sigqueue(me, SIGRTMIN, v));
	CHECK_INT(handled, 3);
	CHECK_INT(info.si_code, SI_QUEUE);
	CHECK_INT(info.si_value.sival_int, 99);

	v.sival_int = 98;
	OK(pthread_sigqueue(pthread_self(), SIGRTMIN, v));
	CHECK_INT(handled, 4);
	CHECK_INT(info.si_code, SI_QUEUE);
	CHECK_INT(info.si_value.sival_int, 98);

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		v.sival_int = 97;
		OK(sigqueue(me, SIGRTMIN, v));
		_exit(6);
	}
	until_handled(5);
	CHECK_INT(info.si_pid, pid);
	CHECK_INT(info.si_value.sival_int, 97);
	let_through(SIGCHLD);
	until_handled(6);
	CHECK_INT(info.si_code, CLD_EXITED);
	CHECK_INT(info.si_pid, pid);
	CHECK_INT(info.si_status, 6);
	hold_back(SIGCHLD);
	CHECK_INT(thr_reap(pid), 6);
}

static int queue_order[8];

static void
keeps_order(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	queue_order[handled++] = si->si_value.sival_int;
}

TEST(real_time_signals_queue_in_order)
{
	struct sigaction sa = { .sa_sigaction = keeps_order,
				.sa_flags = SA_SIGINFO };
	union sigval v;
	int i;

	OK(sigaction(SIGRTMIN, &sa, NULL));
	for (i = 0; i < 8; i++) {
		v.sival_int = i * 11;
		OK(sigqueue(getpid(), SIGRTMIN, v));
	}
	CHECK_INT(handled, 0);
	let_through(SIGRTMIN);
	CHECK_INT(handled, 8);
	for (i = 0; i < 8; i++)
		CHECK_INT(queue_order[i], i * 11);
}

/* How children die. */
static pid_t
child(void (*body)(void))
{
	struct rlimit none = { 0, 0 };
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		OK(setrlimit(RLIMIT_CORE, &none));
		signal(SIGPIPE, SIG_DFL); /* whatever we were started with */
		body();
		_exit(0);
	}
	return pid;
}

static void
aborts(void)
{
	abort();
}

static void *
aborts_in_thread(void *arg)
{
	(void)arg;
	abort();
}

static void
aborts_from_a_thread(void)
{
	thr_join(thr_start(aborts_in_thread, NULL));
}

static void
aborts_though_handled(void)
{
	on(SIGABRT, counts, 0);
	abort();
}

static void
writes_to_nobody(void)
{
	int fd[2];

	OK(pipe(fd));
	close(fd[0]);
	CHECK_INT(write(fd[1], "x", 1), -1);
	CHECK(0);
}

static void *
sends_to_nobody(void *arg)
{
	int fd[2];

	(void)arg;
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	close(fd[0]);
	CHECK_INT(send(fd[1], "x", 1, 0), -1);
	CHECK(0);
	return NULL;
}

static void
sends_to_nobody_from_a_thread(void)
{
	thr_join(thr_start(sends_to_nobody, NULL));
}

static void
reads_nowhere(void)
{
	volatile int *volatile nowhere = (volatile int *)16;

	CHECK_INT(*nowhere, 0);
}

static void
raises_term(void)
{
	OK(raise(SIGTERM));
}

TEST(children_die_of_what_kills_by_default)
{
	CHECK_INT(thr_reap(child(aborts)), -SIGABRT);
	CHECK_INT(thr_reap(child(aborts_from_a_thread)), -SIGABRT);
	CHECK_INT(thr_reap(child(aborts_though_handled)), -SIGABRT);
	CHECK_INT(thr_reap(child(writes_to_nobody)), -SIGPIPE);
	CHECK_INT(thr_reap(child(sends_to_nobody_from_a_thread)), -SIGPIPE);
	CHECK_INT(thr_reap(child(reads_nowhere)), -SIGSEGV);
	CHECK_INT(thr_reap(child(raises_term)), -SIGTERM);
}

TEST(EPIPE_and_the_signal_come_together)
{
	int fd[2];

	on(SIGPIPE, counts, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	close(fd[0]);
	CHECK_ERR(write(fd[1], "x", 1), EPIPE);
	CHECK_INT(handled, 1);
	CHECK(pthread_equal(handled_in, pthread_self()));
	CHECK_ERR(send(fd[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_INT(handled, 1);
	on(SIGPIPE, SIG_IGN, 0);
	CHECK_ERR(send(fd[1], "x", 1, 0), EPIPE);
	CHECK_INT(handled, 1);
	close(fd[1]);
}

/* SIGSEGV on a stack of its own. */
static char alt[65536];
static volatile int on_alt;
static sigjmp_buf out_of_segv;

static void
on_segv(int sig)
{
	char here;

	on_alt = &here > alt && &here < alt + sizeof alt;
	siglongjmp(out_of_segv, sig);
}

static __attribute__((noinline)) unsigned
recurses(unsigned n)
{
	volatile char pad[4096];

	memset((char *)pad, (int)n, sizeof pad);
	if (n == 0)
		return (unsigned)pad[0];
	return recurses(n - 1) + (unsigned)pad[n % sizeof pad];
}

static void *
overflows_and_lives(void *arg)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, old, off;

	OK(sigaltstack(&ss, &old));
	CHECK(old.ss_flags & SS_DISABLE);
	thr_ms(1);
	OK(sigaltstack(NULL, &old));
	CHECK(old.ss_sp == alt);
	CHECK_INT(old.ss_size, sizeof alt);
	CHECK_INT(old.ss_flags, 0);
	on(SIGSEGV, on_segv, SA_ONSTACK);
	on_alt = 0;
	if (sigsetjmp(out_of_segv, 1) == 0) {
		if (arg != NULL)
			recurses(1u << 30);
		else
			reads_nowhere();
		CHECK(0);
	}
	CHECK_INT(on_alt, 1);
	thr_ms(1);
	memset(&off, 0, sizeof off);
	off.ss_flags = SS_DISABLE;
	OK(sigaltstack(&off, NULL));
	return NULL;
}

TEST(a_SIGSEGV_handler_runs_on_the_alternate_stack)
{
	int i;

	overflows_and_lives(NULL);
	for (i = 0; i < 3; i++)
		thr_join(thr_start(overflows_and_lives, NULL));
}

TEST(a_SIGSEGV_handler_outlives_a_stack_overflow_of_a_thread)
{
	int i;

	for (i = 0; i < 3; i++)
		thr_join(thr_start(overflows_and_lives, alt));
}

static void *
has_no_altstack(void *arg)
{
	stack_t old;

	OK(sigaltstack(NULL, &old));
	CHECK(old.ss_flags & SS_DISABLE);
	return arg;
}

TEST(the_alternate_stack_is_a_threads_own)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, off = { 0 };
	stack_t bad = { .ss_sp = alt, .ss_size = 16 };

	OK(sigaltstack(&ss, NULL));
	thr_join(thr_start(has_no_altstack, NULL));
	CHECK_ERR(sigaltstack(&bad, NULL), ENOMEM);
	off.ss_flags = SS_DISABLE;
	OK(sigaltstack(&off, NULL));
}

/* Waiting for signals. */
static void *
sends_blocked(void *arg)
{
	(void)arg;
	OK(kill(getpid(), SIGRTMIN));
	return NULL;
}

TEST(sigwait_takes_a_signal_that_all_threads_block)
{
	sigset_t s = set_of(SIGRTMIN);
	siginfo_t si;
	pthread_t th;
	int i, sig;

	on(SIGRTMIN, counts, 0);
	for (i = 0; i < 20; i++) {
		th = thr_start(sends_blocked, NULL);
		OK(sigwait(&s, &sig));
		CHECK_INT(sig, SIGRTMIN);
		thr_join(th);
		th = thr_start(sends_blocked, NULL);
		CHECK_INT(sigwaitinfo(&s, &si), SIGRTMIN);
		CHECK_INT(si.si_code, SI_USER);
		CHECK_INT(si.si_pid, getpid());
		thr_join(th);
	}
	CHECK_INT(handled, 0);
}

TEST(sigtimedwait_is_EAGAIN_and_never_early)
{
	struct timespec ts = { 0, 20 * 1000000 }, zero = { 0, 0 };
	struct timespec bad = { 0, 1000000000 };
	sigset_t s = set_of(SIGRTMIN);
	int64_t t0 = t_now();
	siginfo_t si;

	CHECK_ERR(sigtimedwait(&s, &si, &ts), EAGAIN);
	CHECK(t_now() - t0 >= 20 * T_MS);
	CHECK_ERR(sigtimedwait(&s, NULL, &zero), EAGAIN);
	CHECK_ERR(sigtimedwait(&s, NULL, &bad), EINVAL);
	OK(raise(SIGRTMIN));
	CHECK_INT(sigtimedwait(&s, &si, &zero), SIGRTMIN);
	CHECK_INT(si.si_code, SI_USER); /* glibc hides SI_TKILL here */
}

static atomic_int waiters_got;

static void *
sigwaits(void *arg)
{
	sigset_t s = set_of(SIGRTMIN);
	int sig;

	OK(sigwait(&s, &sig));
	CHECK_INT(sig, SIGRTMIN);
	waiters_got++;
	return arg;
}

TEST(each_of_many_sigwaits_takes_one_queued_signal)
{
	pthread_t th[20];
	union sigval v = { 0 };
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(sigwaits, NULL);
	for (i = 0; i < 20; i++)
		OK(sigqueue(getpid(), SIGRTMIN, v));
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(waiters_got, 20);
}

static void *
waits_for_mine(void *arg)
{
	struct target *t = arg;
	sigset_t s = set_of(SIGUSR1);
	int sig;

	t->here = 1;
	OK(sigwait(&s, &sig));
	CHECK_INT(sig, SIGUSR1);
	t->hits++;
	return NULL;
}

TEST(a_thread_in_sigwait_takes_what_pthread_kill_sends_it)
{
	static struct target t[10];
	pthread_t th[10];
	int i, k;

	for (i = 0; i < 10; i++) {
		th[i] = thr_start(waits_for_mine, &t[i]);
		thr_until(&t[i].here, 1);
	}
	for (i = 9; i >= 0; i--) {
		OK(pthread_kill(th[i], SIGUSR1));
		thr_join(th[i]);
		for (k = 0; k < 10; k++)
			CHECK_INT(t[k].hits, k >= i);
	}
}

/* Stopped and continued while it waits. */
TEST(a_child_stopped_and_continued_goes_on_waiting)
{
	int to[2], from[2], status, i;
	pid_t pid;
	char c;

	OK(pipe(to));
	OK(pipe(from));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 3; i++) {
			thr_tell(from[1]);
			CHECK_INT(read(to[0], &c, 1), 1);
		}
		_exit(4);
	}
	for (i = 0; i < 3; i++) {
		thr_hear(from[0]);
		OK(kill(pid, SIGSTOP));
		CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		OK(kill(pid, SIGCONT));
		CHECK_INT(waitpid(pid, &status, WCONTINUED), pid);
		CHECK(WIFCONTINUED(status));
		thr_tell(to[1]);
	}
	CHECK_INT(thr_reap(pid), 4);
	for (i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

TEST(a_stopped_childs_threads_all_go_on)
{
	static struct target t[20];
	pthread_t th[20];
	int from[2], status, i;
	sigset_t none;
	pid_t pid;

	OK(pipe(from));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		sigemptyset(&none);
		for (i = 0; i < 20; i++)
			th[i] = thr_start(waits_for_mine, &t[i]);
		thr_tell(from[1]);
		/* Stopped and continued somewhere in here. */
		for (i = 0; i < 20; i++)
			thr_ms(1);
		for (i = 0; i < 20; i++) {
			OK(pthread_kill(th[i], SIGUSR1));
			thr_join(th[i]);
		}
		_exit(4);
	}
	thr_hear(from[0]);
	OK(kill(pid, SIGSTOP));
	CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	OK(kill(pid, SIGCONT));
	CHECK_INT(thr_reap(pid), 4);
	close(from[0]);
	close(from[1]);
}

static void *
times(void *arg)
{
	(void)arg;
	handled++;
	return NULL;
}

static void
notified(union sigval v)
{
	CHECK_INT(v.sival_int, 12);
	times(NULL);
}

TEST(a_timer_with_SIGEV_THREAD_runs_its_function)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD };
	struct itimerspec it = { { 0, 2000000 }, { 0, 2000000 } };
	timer_t t;

	ev.sigev_value.sival_int = 12;
	ev.sigev_notify_function = notified;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	OK(timer_settime(t, 0, &it, NULL));
	thr_until(&handled, 5);
	OK(timer_delete(t));
}
