/* SPDX-License-Identifier: MIT */
/* syscalls.c - system calls by syscall(2): futexes, as locks outside libc use
 * them, and reading, writing, polling and naming threads by number. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tasks.h"

static long
futex(atomic_uint *w, int op, unsigned val, const struct timespec *ts)
{
	return syscall(SYS_futex, w, op, val, ts, NULL, 0);
}

static long
futex_bits(atomic_uint *w, int op, unsigned val, const struct timespec *ts,
	   unsigned bits)
{
	return syscall(SYS_futex, w, op, val, ts, NULL, bits);
}

enum {
	WAIT = FUTEX_WAIT_PRIVATE,
	WAKE = FUTEX_WAKE_PRIVATE,
	WAIT_BITS = FUTEX_WAIT_BITSET_PRIVATE,
	WAKE_BITS = FUTEX_WAKE_BITSET_PRIVATE,
	ANY = -1,
};

static struct timespec
at(clockid_t clock, int ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_nsec += ms * T_MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

TEST(a_futex_that_has_changed_is_not_waited_for)
{
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 };
	struct timespec past = { 1, 0 }, ts = { 10, 0 };
	_Alignas(8) atomic_uint w[2] = { 7, 0 };

	CHECK_ERR(futex(w, WAIT, 8, NULL), EAGAIN);
	CHECK_ERR(futex(w, WAIT, 8, &ts), EAGAIN);
	CHECK_ERR(futex_bits(w, WAIT_BITS, 8, &past, (unsigned)ANY), EAGAIN);
	CHECK_ERR(futex(w, WAIT, 7, &bad), EINVAL);
	CHECK_ERR(futex(w, WAIT, 7, &neg), EINVAL);
	CHECK_ERR(futex(w, WAIT, 7, nowhere()), EFAULT);
	CHECK_ERR(futex_bits(w, WAIT_BITS, 7, NULL, 0), EINVAL);
	CHECK_ERR(futex((atomic_uint *)((char *)w + 2), WAIT, 7, NULL), EINVAL);
	CHECK_ERR(futex((atomic_uint *)((char *)w + 2), WAKE, 1, NULL), EINVAL);
	CHECK_ERR(futex(NULL, WAIT, 7, NULL), EFAULT);
	CHECK_ERR(futex(w, 99, 7, NULL), ENOSYS);
	CHECK_ERR(futex(w, FUTEX_WAIT, 8, NULL), EAGAIN);
	CHECK_RET(futex(w, WAKE, 1, NULL), 0);
	CHECK_RET(futex(w, FUTEX_WAKE, 1, NULL), 0);
	CHECK_RET(futex(w, WAKE, INT_MAX, NULL), 0);
	CHECK_ERR(futex_bits(w, WAKE_BITS, 1, NULL, 0), EINVAL);
}

TEST(a_futex_never_gives_up_early)
{
	struct timespec ts = { 0, 30 * T_MS }, zero = { 0, 0 };
	struct timespec past = { 1, 0 }, until;
	atomic_uint w = 7;
	int64_t t = t_now();

	CHECK_ERR(futex(&w, WAIT, 7, &ts), ETIMEDOUT);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_INT(ts.tv_nsec, 30 * T_MS);
	CHECK_ERR(futex(&w, WAIT, 7, &zero), ETIMEDOUT);
	CHECK_ERR(futex_bits(&w, WAIT_BITS, 7, &past, (unsigned)ANY),
		  ETIMEDOUT);
	t = t_now();
	until = at(CLOCK_MONOTONIC, 30);
	CHECK_ERR(futex_bits(&w, WAIT_BITS, 7, &until, (unsigned)ANY),
		  ETIMEDOUT);
	CHECK(t_now() - t >= 30 * T_MS);
	t = t_now();
	until = at(CLOCK_REALTIME, 30);
	CHECK_ERR(futex_bits(&w, WAIT_BITS | FUTEX_CLOCK_REALTIME, 7, &until,
			     (unsigned)ANY),
		  ETIMEDOUT);
	CHECK(t_now() - t >= 29 * T_MS);
	t = t_now();
	CHECK_ERR(futex(&w, FUTEX_WAIT, 7, &ts), ETIMEDOUT);
	CHECK(t_now() - t >= 30 * T_MS);
}

/* --- waking --- */

struct crowd {
	atomic_uint word, other;
	int op;
	unsigned bits;
	atomic_int in, out;
};

static void *
waits_in_crowd(void *arg)
{
	struct crowd *c = arg;

	c->in++;
	CHECK_RET(futex_bits(&c->word, c->op, 0, NULL, (unsigned)ANY), 0);
	c->out++;
	return NULL;
}

/* As many as were woken, and no more, come out. */
static void
check_out(struct crowd *c, int n)
{
	while (c->out < n)
		usleep(1000);
	most_likely();
	CHECK_INT(c->out, n);
}

TEST(as_many_wake_as_are_asked_for)
{
	enum { N = 10 };
	struct crowd c = { 0 };
	pthread_t th[N];
	int i;

	for (i = 0; i < N; i++) {
		c.op = i % 2 == 0 ? WAIT : WAIT_BITS;
		th[i] = party(waits_in_crowd, &c);
		while (c.in <= i)
			usleep(1000);
	}
	most_likely();
	most_likely();
	CHECK_INT(c.out, 0);
	CHECK_RET(futex(&c.word, WAKE, 1, NULL), 1);
	check_out(&c, 1);
	CHECK_RET(futex(&c.word, WAKE, 3, NULL), 3);
	check_out(&c, 4);
	/* Less than one is one. */
	CHECK_RET(futex(&c.word, WAKE, 0, NULL), 1);
	check_out(&c, 5);
	CHECK_RET(futex_bits(&c.word, WAKE_BITS, 1, NULL, 4), 1);
	check_out(&c, 6);
	/* A shared one is another, also at the same place. */
	CHECK_RET(futex(&c.word, FUTEX_WAKE, INT_MAX, NULL), 0);
	CHECK_RET(futex(&c.word, WAKE, INT_MAX, NULL), 4);
	check_out(&c, N);
	CHECK_RET(futex(&c.word, WAKE, 1, NULL), 0);
	for (i = 0; i < N; i++)
		leaves(th[i]);
}

struct bit {
	atomic_uint *word;
	unsigned bits;
	atomic_int out;
};

static void *
waits_for_a_bit(void *arg)
{
	struct bit *b = arg;

	CHECK_RET(futex_bits(b->word, WAIT_BITS, 0, NULL, b->bits), 0);
	b->out = 1;
	return NULL;
}

TEST(bits_tell_who_is_meant)
{
	atomic_uint w = 0;
	struct bit one = { &w, 1, 0 }, two = { &w, 2, 0 };
	pthread_t th[2];

	th[0] = party(waits_for_a_bit, &one);
	th[1] = party(waits_for_a_bit, &two);
	most_likely();
	while (futex_bits(&w, WAKE_BITS, 10, NULL, 2) == 0)
		usleep(1000);
	leaves(th[1]);
	CHECK_INT(one.out, 0);
	CHECK_RET(futex_bits(&w, WAKE_BITS, 10, NULL, 2), 0);
	while (futex_bits(&w, WAKE, 10, NULL, 0) == 0)
		usleep(1000);
	leaves(th[0]);
}

#ifdef __x86_64__
/* Past libc. */
static void *
waits_by_an_instruction(void *arg)
{
	struct crowd *c = arg;
	register long r10 __asm__("r10") = 0;
	long r;

	c->in++;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(SYS_futex), "D"(&c->word), "S"(WAIT), "d"(0),
			   "r"(r10)
			 : "rcx", "r11", "memory");
	CHECK_INT(r, 0);
	c->out++;
	return NULL;
}

TEST(whoever_waits_past_libc_is_woken_as_well)
{
	struct crowd c = { .op = WAIT };
	pthread_t a, b;
	long n;

	a = party(waits_by_an_instruction, &c);
	b = party(waits_in_crowd, &c);
	while (c.in < 2)
		usleep(1000);
	most_likely();
	n = futex(&c.word, WAKE, 10, NULL);
	while (n < 2) {
		usleep(1000);
		n += futex(&c.word, WAKE, 10, NULL);
	}
	CHECK_INT(n, 2);
	leaves(a);
	leaves(b);
}
#endif

/* Waits until the word is set, wherever it is made to wait meanwhile. */
static void *
waits_until_set(void *arg)
{
	struct crowd *c = arg;

	c->in++;
	while (c->word == 0)
		if (futex(&c->word, WAIT, 0, NULL) != 0)
			CHECK_INT(errno, EAGAIN);
	c->out++;
	return NULL;
}

TEST(those_that_are_moved_wake_too)
{
	enum { N = 4 };
	struct crowd c = { 0 };
	pthread_t th[N];
	int i;

	for (i = 0; i < N; i++)
		th[i] = party(waits_until_set, &c);
	while (c.in < N)
		usleep(1000);
	most_likely();
	CHECK_ERR(syscall(SYS_futex, &c.word, FUTEX_CMP_REQUEUE_PRIVATE, 1L,
			  INT_MAX, &c.other, 5),
		  EAGAIN);
	c.word = 1;
	CHECK_INT(syscall(SYS_futex, &c.word, FUTEX_CMP_REQUEUE_PRIVATE, 1L,
			  INT_MAX, &c.other, 1),
		  N);
	futex(&c.other, WAKE, INT_MAX, NULL);
	for (i = 0; i < N; i++)
		leaves(th[i]);
	CHECK_INT(c.out, N);
}

TEST(FUTEX_WAKE_OP_changes_and_wakes)
{
	struct crowd c = { 0 };
	pthread_t th = party(waits_until_set, &c);

	while (c.in < 1)
		usleep(1000);
	most_likely();
	c.other = 3;
	/* other += 4; wake at word; at other, if it was 3. */
	CHECK(syscall(SYS_futex, &c.other, FUTEX_WAKE_OP_PRIVATE, 1, 1L,
		      &c.word, FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_EQ, 0)) <=
	      1);
	CHECK_INT(c.word, 4);
	leaves(th);
}

/* --- a lock --- */

static atomic_uint lock_word;
static int counter;

static void
lock(void)
{
	unsigned was = 0;

	if (atomic_compare_exchange_strong(&lock_word, &was, 1))
		return;
	if (was != 2)
		was = atomic_exchange(&lock_word, 2);
	while (was != 0) {
		if (futex(&lock_word, WAIT, 2, NULL) != 0)
			CHECK_INT(errno, EAGAIN);
		was = atomic_exchange(&lock_word, 2);
	}
}

static void
unlock(void)
{
	if (atomic_fetch_sub(&lock_word, 1) != 1) {
		lock_word = 0;
		futex(&lock_word, WAKE, 1, NULL);
	}
}

static void *
counts(void *arg)
{
	int i, n;

	for (i = 0; i < 200; i++) {
		lock();
		n = counter;
		if (i % 10 == 0)
			sched_yield();
		counter = n + 1;
		unlock();
	}
	return arg;
}

TEST(a_lock_of_a_futex_keeps_others_out)
{
	pthread_t th[WAITERS];
	int i;

	for (i = 0; i < WAITERS; i++)
		th[i] = party(counts, NULL);
	for (i = 0; i < WAITERS; i++)
		leaves(th[i]);
	CHECK_INT(counter, 200 * WAITERS);
}

/* --- between processes --- */

TEST(a_shared_futex_is_woken_by_another_process)
{
	atomic_uint *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(w != MAP_FAILED);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		usleep(30000);
		w[0] = 1;
		futex(w, FUTEX_WAKE, 1, NULL);
		while (w[1] == 0)
			futex(w + 1, FUTEX_WAIT, 0, NULL);
		_exit(0);
	}
	while (w[0] == 0)
		if (futex(w, FUTEX_WAIT, 0, NULL) != 0)
			CHECK_INT(errno, EAGAIN);
	most_likely();
	w[1] = 1;
	futex(w + 1, FUTEX_WAKE, 1, NULL);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(munmap(w, 4096), 0);
}

/* --- signals --- */

TEST(a_futex_is_interrupted)
{
	struct timespec ts = { 100, 0 }, until = at(CLOCK_MONOTONIC, 100000);
	atomic_uint w = 0;

	start_ticking(0);
	CHECK_ERR(futex(&w, WAIT, 0, NULL), EINTR);
	CHECK_ERR(futex(&w, FUTEX_WAIT, 0, NULL), EINTR);
	stop_ticking();
	start_ticking(SA_RESTART);
	CHECK_ERR(futex(&w, WAIT, 0, &ts), EINTR);
	CHECK_ERR(futex_bits(&w, WAIT_BITS, 0, &until, (unsigned)ANY), EINTR);
	CHECK_ERR(futex(&w, FUTEX_WAIT, 0, &ts), EINTR);
	stop_ticking();
}

static void *
wakes_after_a_few_ticks(void *arg)
{
	atomic_uint *w = arg;

	while (ticks < 3)
		usleep(1000);
	*w = 1;
	while (futex(w, WAKE, 1, NULL) != 1 && *w != 2)
		usleep(1000);
	return NULL;
}

TEST(a_futex_without_a_time_goes_on_after_a_handler)
{
	atomic_uint w = 0;
	pthread_t th = party(wakes_after_a_few_ticks, &w);
	long r;

	start_ticking(SA_RESTART);
	r = futex(&w, WAIT, 0, NULL);
	/* Begun anew, it may see what has changed. */
	CHECK(r == 0 || errno == EAGAIN);
	CHECK(ticks >= 3);
	w = 2;
	stop_ticking();
	leaves(th);
}

static void
wakes_all(void *arg)
{
	struct crowd *c = arg;
	long n = 0;

	while (n < WAITERS) {
		n += futex(&c->word, WAKE, INT_MAX, NULL);
		usleep(1000);
	}
	CHECK_INT(n, WAITERS);
}

TEST(futexes_are_waited_for_without_a_kernel_thread)
{
	struct crowd c = { .op = WAIT };

	check_waiting(waits_in_crowd, &c, wakes_all);
}

/* --- descriptors and threads, by number --- */

static void *
writes_by_number(void *arg)
{
	most_likely();
	CHECK_RET(syscall(SYS_write, *(int *)arg, "hello", 5L), 5);
	return NULL;
}

TEST(reading_and_polling_by_number_waits)
{
	struct pollfd p = { .events = POLLIN };
	char buf[10];
	pthread_t th;
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	th = party(writes_by_number, &fds[1]);
	CHECK_RET(syscall(SYS_read, fds[0], buf, sizeof buf), 5);
	CHECK_INT(memcmp(buf, "hello", 5), 0);
	leaves(th);
	p.fd = fds[0];
	CHECK_RET(syscall(SYS_poll, &p, 1L, 20L), 0);
	th = party(writes_by_number, &fds[1]);
	CHECK_RET(syscall(SYS_poll, &p, 1L, -1L), 1);
	CHECK_INT(p.revents, POLLIN);
	CHECK_RET(syscall(SYS_read, fds[0], buf, 2L), 2);
	leaves(th);
	CHECK_RET(syscall(SYS_read, fds[0], buf, sizeof buf), 3);
	start_ticking(0);
	CHECK_ERR(syscall(SYS_read, fds[0], buf, sizeof buf), EINTR);
	CHECK_ERR(syscall(SYS_poll, &p, 1L, -1L), EINTR);
	stop_ticking();
	set_nonblocking(fds[0], true);
	CHECK_ERR(syscall(SYS_read, fds[0], buf, sizeof buf), EAGAIN);
	CHECK_ERR(syscall(SYS_read, -1, buf, sizeof buf), EBADF);
	CHECK_ERR(syscall(SYS_read, fds[1], buf, sizeof buf), EBADF);
	CHECK_RET(syscall(SYS_close, fds[0]), 0);
	CHECK_ERR(syscall(SYS_close, fds[0]), EBADF);
	shut(fds[1]);
}

struct by_number {
	int fd;
	const char *data;
};

static void *
sends_by_number(void *arg)
{
	struct by_number *j = arg;
	struct iovec v = { (void *)j->data, strlen(j->data) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	most_likely();
	CHECK_RET(syscall(SYS_sendto, j->fd, j->data, v.iov_len, 0L, NULL, 0L),
		  (long)v.iov_len);
	most_likely();
	CHECK_RET(syscall(SYS_sendmsg, j->fd, &m, 0L), (long)v.iov_len);
	most_likely();
	CHECK_RET(syscall(SYS_writev, j->fd, &v, 1L), (long)v.iov_len);
	return NULL;
}

TEST(messages_by_number_are_waited_for)
{
	struct timeval soon = { 0, 30000 };
	struct sockaddr_un from;
	struct by_number j = { .data = "hello" };
	char buf[10];
	struct iovec v = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	socklen_t len = sizeof from;
	pthread_t th;
	int s[2];

	CHECK_RET(syscall(SYS_socketpair, (long)AF_UNIX, (long)SOCK_DGRAM, 0L,
			  s), 0);
	j.fd = s[1];
	th = party(sends_by_number, &j);
	CHECK_RET(syscall(SYS_recvfrom, s[0], buf, sizeof buf, 0L, &from, &len),
		  5);
	CHECK_INT(memcmp(buf, "hello", 5), 0);
	CHECK_RET(syscall(SYS_recvmsg, s[0], &m, 0L), 5);
	CHECK_RET(syscall(SYS_readv, s[0], &v, 1L), 5);
	leaves(th);
	CHECK_ERR(syscall(SYS_recvfrom, s[0], buf, sizeof buf,
			  (long)MSG_DONTWAIT, NULL, NULL), EAGAIN);
	CHECK_RET(syscall(SYS_setsockopt, s[0], (long)SOL_SOCKET,
			  (long)SO_RCVTIMEO, &soon, sizeof soon), 0);
	CHECK_ERR(syscall(SYS_recvfrom, s[0], buf, sizeof buf, 0L, NULL, NULL),
		  EAGAIN);
	start_ticking(0);
	soon.tv_sec = 100;
	CHECK_RET(syscall(SYS_setsockopt, s[0], (long)SOL_SOCKET,
			  (long)SO_RCVTIMEO, &soon, sizeof soon), 0);
	CHECK_ERR(syscall(SYS_recvmsg, s[0], &m, 0L), EINTR);
	stop_ticking();
	CHECK_ERR(syscall(SYS_recvmsg, s[0], nowhere(), 0L), EFAULT);
	CHECK_ERR(syscall(SYS_sendto, -1, buf, 1L, 0L, NULL, 0L), EBADF);
	CHECK_RET(syscall(SYS_fcntl, s[0], (long)F_SETFL, (long)O_NONBLOCK),
		  0);
	CHECK_ERR(syscall(SYS_recvfrom, s[0], buf, sizeof buf, 0L, NULL, NULL),
		  EAGAIN);
	shut_both(s);
}

static void *
connects_by_number(void *arg)
{
	int s = (int)syscall(SYS_socket, (long)AF_INET, (long)SOCK_STREAM, 0L);

	CHECK(s != -1);
	most_likely();
	CHECK_RET(syscall(SYS_connect, s, arg,
			  (long)sizeof(struct sockaddr_in)), 0);
	CHECK_RET(syscall(SYS_close, s), 0);
	return NULL;
}

TEST(connections_by_number_are_waited_for)
{
	struct sockaddr_in addr, from;
	socklen_t len = sizeof from;
	int l = listener(&addr), i;
	pthread_t th;
	long s;

	for (i = 0; i < 2; i++) {
		th = party(connects_by_number, &addr);
		errno = EDOM;
		s = i == 0 ? syscall(SYS_accept4, l, &from, &len,
				     (long)SOCK_CLOEXEC)
			   : syscall(SYS_accept, l, NULL, NULL);
		CHECK(s != -1);
		CHECK_INT(errno, EDOM);
		CHECK_INT(fcntl((int)s, F_GETFD), i == 0 ? FD_CLOEXEC : 0);
		shut((int)s);
		leaves(th);
	}
	CHECK_INT(from.sin_family, AF_INET);
	CHECK_ERR(syscall(SYS_accept4, l, NULL, NULL, 0x40000L), EINVAL);
	start_ticking(0);
	CHECK_ERR(syscall(SYS_accept, l, NULL, NULL), EINTR);
	stop_ticking();
	shut(l);
}

static long
left_of(const struct timespec *ts)
{
	return ts->tv_sec * 1000 + ts->tv_nsec / 1000000;
}

/* The kernel writes back what is left of the time; and its sets of signals
 * have 8 bytes. */
TEST(ready_by_number_is_waited_for_as_the_kernel_has_it)
{
	struct timespec soon = { 0, 40 * T_MS }, ts = soon;
	struct pollfd p = { .events = POLLIN };
	struct epoll_event ev = { .events = EPOLLIN };
	struct timeval tv = { 0, 30000 };
	unsigned long none = 0;
	struct {
		void *set;
		size_t n;
	} sixth = { &none, 8 };
	int64_t t = t_now();
	struct epoll_event got;
	struct by_number j = { .data = "x" };
	pthread_t th;
	fd_set set;
	int s[2], ep, i;

	unix_pair(SOCK_DGRAM, s);
	p.fd = s[0];
	j.fd = s[1];
	CHECK_RET(syscall(SYS_ppoll, &p, 1L, &ts, NULL, 8L), 0);
	CHECK(t_now() - t >= 40 * T_MS);
	CHECK_INT(left_of(&ts), 0);
	th = party(sends_by_number, &j);
	ts = (struct timespec){ 100, 0 };
	CHECK_RET(syscall(SYS_ppoll, &p, 1L, &ts, &none, 8L), 1);
	CHECK(left_of(&ts) < 100000 && left_of(&ts) > 10000);
	leaves(th);
	CHECK_ERR(syscall(SYS_ppoll, &p, 1L, &ts, &none, 128L), EINVAL);
	ts.tv_nsec = -1;
	CHECK_ERR(syscall(SYS_ppoll, &p, 1L, &ts, NULL, 8L), EINVAL);
	CHECK_ERR(syscall(SYS_ppoll, nowhere(), 1L, NULL, NULL, 8L), EFAULT);
	for (i = 0; i < 3; i++)
		CHECK_INT(read(s[0], &none, sizeof none), 1);
	none = 0;

	FD_ZERO(&set);
	FD_SET(s[0], &set);
	ts = soon;
	CHECK_RET(syscall(SYS_pselect6, s[0] + 1L, &set, NULL, NULL, &ts, NULL),
		  0);
	CHECK_INT(left_of(&ts), 0);
	FD_SET(s[0], &set);
	CHECK_RET(syscall(SYS_select, s[0] + 1L, &set, NULL, NULL, &tv), 0);
	CHECK_INT(tv.tv_usec, 0);
	th = party(sends_by_number, &j);
	FD_SET(s[0], &set);
	ts = (struct timespec){ 100, 0 };
	CHECK_RET(syscall(SYS_pselect6, s[0] + 1L, &set, NULL, NULL, &ts,
			  &sixth), 1);
	CHECK(left_of(&ts) < 100000 && left_of(&ts) > 10000);
	leaves(th);
	sixth.n = 9;
	CHECK_ERR(syscall(SYS_pselect6, s[0] + 1L, &set, NULL, NULL, &ts,
			  &sixth), EINVAL);
	CHECK_ERR(syscall(SYS_select, -1L, &set, NULL, NULL, &tv), EINVAL);
	for (i = 0; i < 3; i++)
		CHECK_INT(read(s[0], &none, sizeof none), 1);

	ep = epoll_create1(0);
	CHECK(ep != -1);
	CHECK_INT(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev), 0);
	CHECK_RET(syscall(SYS_epoll_wait, ep, &got, 1L, 20L), 0);
	CHECK_RET(syscall(SYS_epoll_pwait, ep, &got, 1L, 20L, NULL, 8L), 0);
	CHECK_RET(syscall(SYS_epoll_pwait2, ep, &got, 1L, &soon, NULL, 8L), 0);
	for (i = 0; i < 3; i++) {
		th = party(sends_by_number, &j);
		CHECK_RET(i == 0 ? syscall(SYS_epoll_wait, ep, &got, 1L, -1L)
			  : i == 1 ? syscall(SYS_epoll_pwait, ep, &got, 1L, -1L,
					     NULL, 8L)
				   : syscall(SYS_epoll_pwait2, ep, &got, 1L,
					     NULL, NULL, 8L), 1);
		leaves(th);
		CHECK_INT(read(s[0], &none, sizeof none), 1);
		CHECK_INT(read(s[0], &none, sizeof none), 1);
		CHECK_INT(read(s[0], &none, sizeof none), 1);
	}
	CHECK_ERR(syscall(SYS_epoll_pwait, ep, &got, 1L, 0L, &none, 7L),
		  EINVAL);
	CHECK_ERR(syscall(SYS_epoll_wait, ep, &got, 0L, -1L), EINVAL);
	start_ticking(SA_RESTART);
	CHECK_ERR(syscall(SYS_epoll_pwait2, ep, &got, 1L, NULL, NULL, 8L),
		  EINTR);
	CHECK_ERR(syscall(SYS_ppoll, &p, 1L, NULL, NULL, 8L), EINTR);
	CHECK_ERR(syscall(SYS_pselect6, 0L, NULL, NULL, NULL, NULL, NULL),
		  EINTR);
	stop_ticking();
	shut(ep);
	shut_both(s);
}

TEST(sleeps_by_number_say_it_by_errno)
{
	struct timespec ts = { 0, 30 * T_MS }, bad = { 0, -1 }, rem = { 0, 0 };
	struct timespec until = at(CLOCK_MONOTONIC, 30);
	int64_t t = t_now();

	CHECK_RET(syscall(SYS_nanosleep, &ts, NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	t = t_now();
	CHECK_RET(syscall(SYS_clock_nanosleep, (long)CLOCK_REALTIME, 0L, &ts,
			  NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_RET(syscall(SYS_clock_nanosleep, (long)CLOCK_MONOTONIC,
			  (long)TIMER_ABSTIME, &until, NULL), 0);
	CHECK_ERR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_nanosleep, (long)CLOCK_MONOTONIC, 0L, &bad,
			  NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_nanosleep, 99L, 0L, &ts, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_nanosleep, nowhere(), NULL), EFAULT);
	ts.tv_sec = 100;
	start_ticking(SA_RESTART);
	CHECK_ERR(syscall(SYS_nanosleep, &ts, &rem), EINTR);
	CHECK(rem.tv_sec > 10 && rem.tv_sec <= 100);
	CHECK_ERR(syscall(SYS_clock_nanosleep, (long)CLOCK_MONOTONIC, 0L, &ts,
			  &rem), EINTR);
	stop_ticking();
	CHECK_RET(syscall(SYS_sched_yield), 0);
}

TEST(children_are_waited_for_by_number)
{
	struct rusage ru;
	siginfo_t info;
	int status, i;
	pid_t pid;

	for (i = 0; i < 3; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			usleep(20000);
			_exit(7);
		}
		memset(&ru, 0xff, sizeof ru);
		if (i == 0) {
			CHECK_RET(syscall(SYS_wait4, (long)pid, &status, 0L,
					  &ru), pid);
			CHECK_INT(WEXITSTATUS(status), 7);
		} else {
			CHECK_RET(syscall(SYS_waitid, (long)P_PID, (long)pid,
					  &info, (long)WEXITED,
					  i == 1 ? &ru : NULL), 0);
			CHECK_INT(info.si_status, 7);
		}
		CHECK(i == 2 || ru.ru_utime.tv_sec == 0);
	}
	CHECK_ERR(syscall(SYS_wait4, -1L, &status, 0L, NULL), ECHILD);
	CHECK_ERR(syscall(SYS_waitid, 99L, 0L, NULL, (long)WEXITED, NULL),
		  EINVAL);
}

TEST(signals_by_number_are_the_threads_own)
{
	struct sigaction sa = { .sa_handler = on_tick };
	unsigned long usr1 = 1ul << (SIGUSR1 - 1), old = 0, none = 0;
	struct timespec soon = { 0, 30 * T_MS };
	siginfo_t info;
	sigset_t set;

	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	CHECK_RET(syscall(SYS_rt_sigprocmask, (long)SIG_BLOCK, &usr1, &old,
			  8L), 0);
	CHECK_INT(old & usr1, 0);
	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
	CHECK_INT(sigismember(&set, SIGUSR1), 1);
	CHECK_RET(syscall(SYS_tkill, syscall(SYS_gettid), (long)SIGUSR1), 0);
	CHECK_INT(ticks, 0);
	CHECK_RET(syscall(SYS_rt_sigpending, &old, 8L), 0);
	CHECK_INT(old & usr1, usr1);
	CHECK_RET(syscall(SYS_rt_sigtimedwait, &usr1, &info, NULL, 8L),
		  SIGUSR1);
	CHECK_INT(info.si_pid, getpid());
	CHECK_ERR(syscall(SYS_rt_sigtimedwait, &usr1, NULL, &soon, 8L),
		  EAGAIN);
	CHECK_RET(syscall(SYS_tkill, syscall(SYS_gettid), (long)SIGUSR1), 0);
	none = ~usr1;
	CHECK_ERR(syscall(SYS_rt_sigsuspend, &none, 8L), EINTR);
	CHECK_INT(ticks, 1);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, 77L, &usr1, NULL, 8L), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, (long)SIG_BLOCK, &usr1, NULL,
			  16L), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, (long)SIG_BLOCK, nowhere(), NULL,
			  8L), EFAULT);
	CHECK_RET(syscall(SYS_rt_sigprocmask, (long)SIG_UNBLOCK, &usr1, NULL,
			  8L), 0);
	CHECK_RET(syscall(SYS_tkill, syscall(SYS_gettid), (long)SIGUSR1), 0);
	CHECK_INT(ticks, 2);
}

/* --- syscall(2) is no cancellation point --- */

static int read_by_number;

static void *
is_cancelled_in_the_middle(void *arg)
{
	char c;

	CHECK_RET(syscall(SYS_read, *(int *)arg, &c, 1L), 1);
	read_by_number = 1;
	pthread_testcancel();
	return NULL;
}

TEST(who_is_cancelled_goes_on_by_number)
{
	pthread_t th;
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	th = party(is_cancelled_in_the_middle, &fds[0]);
	most_likely();
	CHECK_INT(pthread_cancel(th), 0);
	most_likely();
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK(leaves(th) == PTHREAD_CANCELED);
	CHECK_INT(read_by_number, 1);
	shut_both(fds);
}

/* --- they wait as coroutines --- */

static void *
receives_in_crowd(void *arg)
{
	char c;

	CHECK_RET(syscall(SYS_recvfrom, *(int *)arg, &c, 1L, 0L, NULL, NULL),
		  1);
	return NULL;
}

static void
sends_to_all(void *arg)
{
	int i;

	for (i = 0; i < WAITERS; i++)
		CHECK_INT(write(((int *)arg)[1], "x", 1), 1);
}

TEST(a_crowd_that_receives_by_number_is_few_kernel_threads)
{
	int s[2];

	unix_pair(SOCK_STREAM, s);
	check_waiting(receives_in_crowd, s, sends_to_all);
	shut_both(s);
}

static void *
its_tid(void *arg)
{
	*(long *)arg = syscall(SYS_gettid);
	CHECK_INT(syscall(SYS_gettid), gettid());
	return NULL;
}

TEST(a_thread_has_one_number)
{
	struct sigaction sa = { .sa_handler = on_tick };
	long a, b;

	leaves(party(its_tid, &a));
	its_tid(&b);
	CHECK(a != b);
	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	CHECK_RET(syscall(SYS_tgkill, getpid(), b, SIGUSR1), 0);
	CHECK_INT(ticks, 1);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), b, 99), EINVAL);
	CHECK_INT(syscall(SYS_getpid), getpid());
}

TEST(all_six_arguments_arrive)
{
	int fd = memfd_create("f", 0);
	char *p;

	CHECK(fd != -1);
	CHECK_INT(pwrite(fd, "there", 5, 8192), 5);
	errno = EDOM;
	p = (char *)syscall(SYS_mmap, NULL, 4096L, (long)PROT_READ,
			    (long)MAP_PRIVATE, (long)fd, 8192L);
	CHECK(p != MAP_FAILED);
	CHECK_INT(errno, EDOM);
	CHECK_INT(memcmp(p, "there", 5), 0);
	CHECK_INT(syscall(SYS_munmap, p, 4096L), 0);
	CHECK_ERR(syscall(100000L), ENOSYS);
	shut(fd);
}
