/* SPDX-License-Identifier: MIT */
/* syscalls.c - system calls by syscall(2): futexes, as locks outside libc use
 * them, and reading, writing, polling and naming threads by number. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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
