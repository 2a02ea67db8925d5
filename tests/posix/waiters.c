/* SPDX-License-Identifier: MIT */
/* waiters.c - each call that waits, waited in by many: they are no kernel
 * threads. */
#define _GNU_SOURCE 1

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>

#include "tasks.h"

/* What they wait for, and which call they do it by. */
static int fds[2], by;

static void *
reads(void *arg)
{
	char c[1];
	struct iovec v = { c, 1 };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

	(void)arg;
	switch (by) {
	case 0:
		CHECK_INT(read(fds[0], c, 1), 1);
		break;
	case 1:
		CHECK_INT(__read_chk(fds[0], c, some(1), 1), 1);
		break;
	case 2:
		CHECK_INT(readv(fds[0], &v, 1), 1);
		break;
	case 3:
		CHECK_INT(preadv2(fds[0], &v, 1, -1, 0), 1);
		break;
	case 4:
		CHECK_INT(recv(fds[0], c, 1, 0), 1);
		break;
	case 5:
		CHECK_INT(recv(fds[0], c, 1, MSG_WAITALL), 1);
		break;
	case 6:
		CHECK_INT(recvfrom(fds[0], c, 1, 0, NULL, NULL), 1);
		break;
	case 7:
		CHECK_INT(__recv_chk(fds[0], c, some(1), 1, 0), 1);
		break;
	case 8:
		CHECK_INT(__recvfrom_chk(fds[0], c, some(1), 1, 0, NULL, NULL),
			  1);
		break;
	case 9:
		CHECK_INT(recvmsg(fds[0], &msg, 0), 1);
		break;
	}
	return NULL;
}
enum { READS = 10, READS_OF_ANY = 4 };

static void
gives(void *arg)
{
	char many[WAITERS] = { 0 };

	(void)arg;
	CHECK_INT(write(fds[1], many, sizeof many), sizeof many);
}

TEST(readers_are_no_kernel_threads)
{
	int kind;

	for (kind = 0; kind < 3; kind++)
		for (by = 0; by < (kind == 0 ? READS_OF_ANY : READS); by++) {
			if (kind == 0)
				CHECK_INT(pipe(fds), 0);
			else if (kind == 1)
				unix_pair(SOCK_STREAM, fds);
			else
				tcp_pair(fds);
			check_waiting(reads, NULL, gives);
			shut_both(fds);
		}
}

/* What a child inherits it has not made. */
TEST(those_who_read_what_they_inherit_are_no_kernel_threads)
{
	int kind, status;
	pthread_t one;
	pid_t pid;

	for (kind = 0; kind < 2; kind++) {
		if (kind == 0)
			CHECK_INT(pipe(fds), 0);
		else
			unix_pair(SOCK_STREAM, fds);
		by = 0;
		/* The parent's has waited for it already. */
		one = party(reads, NULL);
		most_likely();
		CHECK_INT(write(fds[1], "x", 1), 1);
		leaves(one);
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			check_waiting(reads, NULL, gives);
			_exit(0);
		}
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK_INT(status, 0);
		shut_both(fds);
	}
}

TEST(those_who_read_by_high_numbers_are_no_kernel_threads)
{
	static const int at[] = { 2000, 110000, 1000001 };
	struct rlimit rl, more;
	size_t i, some_high = 0;
	int high;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	for (i = 0; i < COUNT(at); i++) {
		more.rlim_cur = (rlim_t)at[i] + 1;
		more.rlim_max = more.rlim_cur > rl.rlim_max ? more.rlim_cur :
							      rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &more) != 0)
			break;
		CHECK_INT(pipe(fds), 0);
		high = dup2(fds[0], at[i]);
		CHECK_INT(high, at[i]);
		shut(fds[0]);
		fds[0] = high;
		by = 0;
		check_waiting(reads, NULL, gives);
		shut_both(fds);
		some_high++;
	}
	if (some_high == 0)
		SKIP("not enough descriptors for us here");
}

enum { ENOUGH = 65536 };

static void *
writes(void *arg)
{
	static char much[ENOUGH];
	struct iovec v = { much, sizeof much };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

	(void)arg;
	switch (by) {
	case 0:
		CHECK_INT(write(fds[1], much, sizeof much), sizeof much);
		break;
	case 1:
		CHECK_INT(writev(fds[1], &v, 1), sizeof much);
		break;
	case 2:
		CHECK_INT(pwritev2(fds[1], &v, 1, -1, 0), sizeof much);
		break;
	case 3:
		CHECK_INT(send(fds[1], much, sizeof much, 0), sizeof much);
		break;
	case 4:
		CHECK_INT(sendto(fds[1], much, sizeof much, 0, NULL, 0),
			  sizeof much);
		break;
	case 5:
		CHECK_INT(sendmsg(fds[1], &msg, 0), sizeof much);
		break;
	}
	return NULL;
}
enum { WRITES = 6, WRITES_TO_ANY = 3 };

static void
takes(void *arg)
{
	static char much[ENOUGH];
	size_t left = *(size_t *)arg + (size_t)WAITERS * ENOUGH;
	ssize_t n;

	while (left > 0) {
		n = read(fds[0], much, left < ENOUGH ? left : ENOUGH);
		CHECK(n > 0);
		left -= (size_t)n;
	}
}

TEST(writers_are_no_kernel_threads)
{
	size_t there;
	int kind;

	for (kind = 0; kind < 3; kind++)
		for (by = 0; by < (kind == 0 ? WRITES_TO_ANY : WRITES); by++) {
			if (kind == 0)
				CHECK_INT(pipe(fds), 0);
			else if (kind == 1)
				unix_pair(SOCK_STREAM, fds);
			else
				tcp_pair(fds);
			there = stuff(fds[1]);
			check_waiting(writes, &there, takes);
			shut_both(fds);
		}
}

static void *
accepts(void *arg)
{
	int s = by == 0 ? accept(fds[0], NULL, NULL) :
			  accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);

	(void)arg;
	CHECK(s != -1);
	shut(s);
	return NULL;
}

static void
connects(void *arg)
{
	int i, s;

	for (i = 0; i < WAITERS; i++) {
		s = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_INT(connect(s, arg, sizeof(struct sockaddr_in)), 0);
		shut(s);
	}
}

TEST(those_who_accept_are_no_kernel_threads)
{
	struct sockaddr_in addr;

	for (by = 0; by < 2; by++) {
		fds[0] = listener(&addr);
		check_waiting(accepts, &addr, connects);
		shut(fds[0]);
	}
}

static int made[WAITERS];
static atomic_int nmade;

static void *
connects_alone(void *arg)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_INT(connect(s, arg, sizeof(struct sockaddr_in)), 0);
	made[atomic_fetch_add(&nmade, 1)] = s;
	return NULL;
}

static void
accepts_all(void *arg)
{
	int i, s;

	(void)arg;
	/* Room for all, when they knock again. */
	CHECK_INT(listen(fds[0], 10 * WAITERS), 0);
	for (i = 0; i < WAITERS + 1; i++) {
		s = accept(fds[0], NULL, NULL);
		CHECK(s != -1);
		shut(s);
	}
}

/* The queue of the listener is full. */
TEST(those_who_connect_are_no_kernel_threads)
{
	struct sockaddr_in addr;
	int filler, i;

	fds[0] = bound(SOCK_STREAM, &addr);
	CHECK_INT(listen(fds[0], 0), 0);
	filler = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_INT(connect(filler, (struct sockaddr *)&addr, sizeof addr), 0);
	check_waiting(connects_alone, &addr, accepts_all);
	for (i = 0; i < WAITERS; i++)
		shut(made[i]);
	shut(filler);
	shut(fds[0]);
}

static void *
polls(void *arg)
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	struct timespec ts = { 1000, 0 };
	struct timeval tv = { 1000, 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	fd_set set;
	int e = -1;

	(void)arg;
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	if (by >= 6) {
		e = epoll_create1(0);
		CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, fds[0], &ev), 0);
	}
	switch (by) {
	case 0:
		CHECK_INT(poll(p, 1, -1), 1);
		break;
	case 1:
		CHECK_INT(poll(p, 2, 1000000), 1);
		break;
	case 2:
		CHECK_INT(ppoll(p, 2, &ts, NULL), 1);
		break;
	case 3:
		CHECK_INT(__poll_chk(p, (nfds_t)some(2), -1, sizeof p), 1);
		break;
	case 4:
		CHECK_INT(select(fds[0] + 1, &set, NULL, NULL, &tv), 1);
		break;
	case 5:
		CHECK_INT(pselect(fds[0] + 1, &set, NULL, NULL, &ts, NULL), 1);
		break;
	case 6:
		CHECK_INT(epoll_wait(e, &ev, 1, 1000000), 1);
		break;
	case 7:
		CHECK_INT(epoll_pwait(e, &ev, 1, -1, NULL), 1);
		break;
	}
	if (e >= 0)
		shut(e);
	return NULL;
}
enum { POLLS = 8 };

TEST(those_who_poll_are_no_kernel_threads)
{
	for (by = 0; by < POLLS; by++) {
		unix_pair(SOCK_STREAM, fds);
		check_waiting(polls, NULL, gives);
		shut_both(fds);
	}
}

/* Nobody wakes them: they sleep long enough to be seen, at the same time. */
static void *
sleeps(void *arg)
{
	struct timespec ts = { 1, 0 }, then;

	switch ((intptr_t)arg) {
	case 0:
		CHECK_INT(nanosleep(&ts, NULL), 0);
		break;
	case 1:
		CHECK_INT(clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL), 0);
		break;
	case 2:
		clock_gettime(CLOCK_MONOTONIC, &then);
		then.tv_sec++;
		CHECK_INT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &then,
					  NULL),
			  0);
		break;
	case 3:
		CHECK_INT(usleep(1000000), 0);
		break;
	case 4:
		CHECK_INT(sleep(1), 0);
		break;
	case 5:
		CHECK_INT(thrd_sleep(&ts, NULL), 0);
		break;
	case 6:
		CHECK_INT(poll(NULL, 0, 1000), 0);
		break;
	case 7:
		CHECK_INT(
			select(0, NULL, NULL, NULL, &(struct timeval){ 1, 0 }),
			0);
		break;
	}
	return NULL;
}
enum { SLEEPS = 8 };

TEST(sleepers_are_no_kernel_threads)
{
	pthread_t th[SLEEPS * WAITERS];
	size_t i;

	tasks_fn = sleeps;
	tasks_begun = 0;
	for (i = 0; i < COUNT(th); i++)
		th[i] = party(tasks_begin, (void *)(intptr_t)(i % SLEEPS));
	tasks_wait(COUNT(th));
	for (i = 0; i < COUNT(th); i++)
		leaves(th[i]);
}

static pthread_mutex_t m, of_cond;
static pthread_cond_t cond;
static pthread_rwlock_t rw;
static pthread_barrier_t barrier;
static pthread_once_t once;
static sem_t sem;
static int go;

static struct timespec
in_a_while(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 1000;
	return ts;
}

static void
runs_long(void)
{
	CHECK_INT(pthread_mutex_lock(&m), 0);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
}

static void *
locks(void *arg)
{
	struct timespec ts = in_a_while();
	sigset_t set;
	int sig;

	(void)arg;
	switch (by) {
	case 0:
		CHECK_INT(pthread_mutex_lock(&m), 0);
		CHECK_INT(pthread_mutex_unlock(&m), 0);
		break;
	case 1:
		CHECK_INT(pthread_mutex_timedlock(&m, &ts), 0);
		CHECK_INT(pthread_mutex_unlock(&m), 0);
		break;
	case 2:
	case 3:
		CHECK_INT(pthread_mutex_lock(&of_cond), 0);
		while (!go)
			CHECK_INT(by == 2 ? pthread_cond_wait(&cond, &of_cond) :
					    pthread_cond_timedwait(
						    &cond, &of_cond, &ts),
				  0);
		CHECK_INT(pthread_mutex_unlock(&of_cond), 0);
		break;
	case 4:
		CHECK_INT(sem_wait(&sem), 0);
		break;
	case 5:
		CHECK_INT(sem_timedwait(&sem, &ts), 0);
		break;
	case 6:
		CHECK_INT(pthread_rwlock_rdlock(&rw), 0);
		CHECK_INT(pthread_rwlock_unlock(&rw), 0);
		break;
	case 7:
		CHECK_INT(pthread_rwlock_wrlock(&rw), 0);
		CHECK_INT(pthread_rwlock_unlock(&rw), 0);
		break;
	case 8:
		pthread_barrier_wait(&barrier);
		break;
	case 9:
		CHECK_INT(pthread_once(&once, runs_long), 0);
		break;
	case 10:
		sigemptyset(&set);
		sigaddset(&set, SIGALRM);
		CHECK_INT(sigwait(&set, &sig), 0);
		CHECK_INT(sig, SIGALRM);
		break;
	}
	return NULL;
}
enum { LOCKS = 11 };

static void
unlocks(void *arg)
{
	int i;

	(void)arg;
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	CHECK_INT(pthread_rwlock_unlock(&rw), 0);
	CHECK_INT(pthread_mutex_lock(&of_cond), 0);
	go = 1;
	CHECK_INT(pthread_cond_broadcast(&cond), 0);
	CHECK_INT(pthread_mutex_unlock(&of_cond), 0);
	for (i = 0; i < WAITERS && (by == 4 || by == 5); i++)
		CHECK_INT(sem_post(&sem), 0);
	if (by == 8)
		pthread_barrier_wait(&barrier);
	for (i = 0; by == 10 && i < WAITERS; i++) {
		CHECK_INT(kill(getpid(), SIGALRM), 0);
		/* One at a time: it does not queue. */
		for (;;) {
			sigset_t set;

			CHECK_INT(sigpending(&set), 0);
			if (!sigismember(&set, SIGALRM))
				break;
			usleep(100);
		}
	}
}

TEST(those_at_locks_are_no_kernel_threads)
{
	for (by = 0; by < LOCKS; by++) {
		go = 0;
		once = (pthread_once_t)PTHREAD_ONCE_INIT;
		CHECK_INT(pthread_mutex_init(&m, NULL), 0);
		CHECK_INT(pthread_mutex_init(&of_cond, NULL), 0);
		CHECK_INT(pthread_cond_init(&cond, NULL), 0);
		CHECK_INT(pthread_rwlock_init(&rw, NULL), 0);
		CHECK_INT(pthread_barrier_init(&barrier, NULL, WAITERS + 1), 0);
		CHECK_INT(sem_init(&sem, 0, 0), 0);
		CHECK_INT(pthread_mutex_lock(&m), 0);
		CHECK_INT(pthread_rwlock_wrlock(&rw), 0);
		check_waiting(locks, NULL, unlocks);
	}
}

static pthread_t joined[WAITERS];
static atomic_int each;

static void *
waits_to_end(void *arg)
{
	CHECK_INT(sem_wait(&sem), 0);
	return arg;
}

static void *
joins(void *arg)
{
	leaves(joined[atomic_fetch_add(&each, 1)]);
	return arg;
}

static void
ends(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < WAITERS; i++)
		CHECK_INT(sem_post(&sem), 0);
}

TEST(those_who_join_are_no_kernel_threads)
{
	int i;

	each = 0;
	CHECK_INT(sem_init(&sem, 0, 0), 0);
	for (i = 0; i < WAITERS; i++)
		joined[i] = party(waits_to_end, NULL);
	check_waiting(joins, NULL, ends);
}
