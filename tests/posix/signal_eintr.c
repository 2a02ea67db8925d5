/* SPDX-License-Identifier: MIT */
/* signal_eintr.c - signals interrupt waits, or do not, as signal(7) says. */
#define _GNU_SOURCE 1
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "pest.h"

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
	{ "pause", (ssize_t(*)(void))NULL, 0 },
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
	CHECK_ERR(
		epoll_pwait(w.ep, &(struct epoll_event){ 0 }, 1, 100000, &none),
		EINTR);
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
