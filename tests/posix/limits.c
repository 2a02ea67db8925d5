/* SPDX-License-Identifier: MIT */
/* limits.c - where stacks, memory and descriptors end. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <sys/resource.h>

#include "party.h"
#include "thr.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* Does this process have coroutines, which say what they die of? */
static int
has_coroutines(void)
{
	return cohook_self != NULL && cohook_self() != 0;
}

static pthread_t
start_sized(void *(*fn)(void *), void *arg, size_t stack, size_t guard)
{
	pthread_attr_t a;
	pthread_t th;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, stack));
	OK(pthread_attr_setguardsize(&a, guard));
	OK(pthread_create(&th, &a, fn, arg));
	OK(pthread_attr_destroy(&a));
	return th;
}

/* The caller's lowest byte, by what glibc says. */
static char *
bottom(void)
{
	pthread_attr_t a;
	size_t size;
	void *lo;

	OK(pthread_getattr_np(pthread_self(), &a));
	OK(pthread_attr_getstack(&a, &lo, &size));
	OK(pthread_attr_destroy(&a));
	return lo;
}

/*
 * A stack that runs over.  In a child, whose stderr is read.
 */

static int said[2];

static pid_t
fork_heard(void)
{
	struct rlimit none = { 0, 0 };
	pid_t pid;

	OK(pipe(said));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(dup2(said[1], 2), 2);
		OK(setrlimit(RLIMIT_CORE, &none));
		shut_both(said);
		return 0;
	}
	shut(said[1]);
	return pid;
}

/* All that it said; at most a line's worth. */
static void
hear_out(char *buf, size_t room)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(said[0], buf + n, room - 1 - n)) > 0)
		n += (size_t)r;
	CHECK_INT(r, 0);
	buf[n] = '\0';
	shut(said[0]);
}

static __attribute__((noinline)) int
descends(int depth)
{
	volatile char here[1000];

	here[0] = (char)depth;
	if (depth == INT_MAX)
		return here[depth % 1000];
	return descends(depth + 1) + here[0];
}

static void *
runs_over(void *name)
{
	if (name != NULL)
		OK(pthread_setname_np(pthread_self(), name));
	descends(0);
	return NULL;
}

static void
dies_of_an_overflow(char *name, size_t stack, const char *size)
{
	char text[2000], *line_end;
	pid_t pid = fork_heard();

	if (pid == 0) {
		thr_join(start_sized(runs_over, name, stack, 4096));
		_exit(0);
	}
	hear_out(text, sizeof text);
	CHECK_INT(thr_reap(pid), -SIGSEGV);
	if (!has_coroutines()) {
		CHECK(text[0] == '\0');
		return;
	}
	if (getenv("COHOOK_LOG") != NULL)
		return; /* it may be elsewhere */
	line_end = strchr(text, '\n');
	CHECK(line_end != NULL && line_end[1] == '\0');
	CHECK(strstr(text, "] error stack overflow: coroutine ") != NULL);
	CHECK(name == NULL || strstr(text, name) != NULL);
	CHECK(strstr(text, size) != NULL);
	CHECK(strstr(text, "COHOOK_STACK") != NULL);
}

TEST(an_overflow_ends_the_process_and_says_whose_it_was)
{
	char name[] = "deep one";

	dies_of_an_overflow(name, 256 * KIB, " 256 KiB ");
	dies_of_an_overflow(NULL, 64 * KIB, " 64 KiB ");
}

/* A fault elsewhere is no overflow, and nothing is said. */
static void *
writes_to_nowhere(void *arg)
{
	*(volatile char *)nowhere() = 1;
	return arg;
}

TEST(another_fault_ends_the_process_in_silence)
{
	char text[2000];
	pid_t pid = fork_heard();

	if (pid == 0) {
		thr_join(thr_start(writes_to_nowhere, NULL));
		_exit(0);
	}
	hear_out(text, sizeof text);
	CHECK_INT(thr_reap(pid), -SIGSEGV);
	CHECK(text[0] == '\0');
}

static void *
writes_far_below(void *arg)
{
	char *at = bottom() - *(size_t *)arg;

	*(volatile char *)at = 1;
	return arg;
}

TEST(a_large_guard_faults_all_over)
{
	static size_t below[] = { 1, 4096, 32 * KIB, 60 * KIB };
	char text[2000];
	size_t i;
	pid_t pid;

	for (i = 0; i < LEN(below); i++) {
		pid = fork_heard();
		if (pid == 0) {
			thr_join(start_sized(writes_far_below, &below[i],
					     256 * KIB, 64 * KIB));
			_exit(0);
		}
		hear_out(text, sizeof text);
		CHECK_INT(thr_reap(pid), -SIGSEGV);
	}
}

/*
 * Stacks of a size that was asked for
 */

struct use {
	size_t size;
	char *lo;    /* the program's own memory, or NULL */
};

static unsigned char
mark(const volatile char *at)
{
	return (unsigned char)((uintptr_t)at >> 6);
}

/* Frames down to here are marked, and found so after a wait at the bottom. */
static __attribute__((noinline)) void
marks_down_to(char *lo)
{
	volatile char here[256];

	memset((char *)here, mark(here), sizeof here);
	if ((char *)here > lo)
		marks_down_to(lo);
	else
		thr_ms(2);
	CHECK_INT((unsigned char)here[0], mark(here));
	CHECK_INT((unsigned char)here[255], mark(here));
}

/* Thread block, thread-locals and guard lie on it, too. */
enum { OVERHEAD = 16 * KIB, NEAR = 8 * KIB };

static void *
uses_it_all(void *arg)
{
	struct use *u = arg;
	char here, *lo = u->lo != NULL ? u->lo : bottom(), *p;

	CHECK((size_t)(&here - lo) >= u->size - OVERHEAD);
	CHECK(&here > lo && (u->lo == NULL || &here < lo + u->size));
	marks_down_to(lo + NEAR);
	/* And to the last byte. */
	for (p = lo + NEAR; p > lo; p--)
		*(volatile char *)(p - 1) = 1;
	return arg;
}

TEST(a_thread_may_use_all_of_the_stack_it_asked_for)
{
	static const size_t size[] = { 64 * KIB, 8 * MIB, 100 * KIB };
	static struct use u[8];
	pthread_t th[8];
	size_t i, j;

	for (i = 0; i < LEN(size); i++) {
		for (j = 0; j < 8; j++) {
			u[j].size = size[i];
			th[j] = start_sized(uses_it_all, &u[j], size[i],
					    j % 2 == 0 ? 4096 : 0);
		}
		for (j = 0; j < 8; j++)
			CHECK(thr_join(th[j]) == &u[j]);
	}
}

TEST(threads_on_the_programs_memory_keep_to_it)
{
	enum { N = 6, SIZE = 64 * KIB, EDGE = 4096 };
	static struct use u[N];
	pthread_attr_t a;
	pthread_t th[N];
	char *block;
	int i, j, round;

	block = mmap(NULL, N * (SIZE + EDGE) + EDGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(block != MAP_FAILED);
	memset(block, 'e', N * (SIZE + EDGE) + EDGE);
	OK(pthread_attr_init(&a));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < N; i++) {
			u[i].lo = block + EDGE + i * (SIZE + EDGE);
			u[i].size = SIZE;
			OK(pthread_attr_setstack(&a, u[i].lo, SIZE));
			OK(pthread_create(&th[i], &a, uses_it_all, &u[i]));
		}
		for (i = 0; i < N; i++) {
			CHECK(thr_join(th[i]) == &u[i]);
			memset(u[i].lo, 'x', SIZE); /* ours again */
		}
	}
	for (i = 0; i <= N; i++)
		for (j = 0; j < EDGE; j++)
			CHECK_INT(block[i * (SIZE + EDGE) + j], 'e');
	OK(pthread_attr_destroy(&a));
	OK(munmap(block, N * (SIZE + EDGE) + EDGE));
}

/* A thread on the smallest stack that there is can do what threads do. */
static struct {
	pthread_mutex_t m;
	pthread_cond_t c;
	int p[2], told;
	atomic_int here, handled;
} small = { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER };

static void
on_usr1(int sig)
{
	(void)sig;
	small.handled++;
}

static void *
does_a_bit_of_all(void *arg)
{
	struct pollfd f = { .fd = small.p[0], .events = POLLIN };
	char c;

	thr_ms(1);
	OK(pthread_mutex_lock(&small.m));
	small.here++;
	while (!small.told)
		OK(pthread_cond_wait(&small.c, &small.m));
	OK(pthread_mutex_unlock(&small.m));
	while (poll(&f, 1, -1) != 1)
		CHECK_INT(errno, EINTR);
	CHECK_INT(read(small.p[0], &c, 1), 1);
	while (!small.handled)
		thr_ms(1);
	return arg;
}

TEST(the_smallest_stack_is_enough_to_wait_and_to_handle_a_signal)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t th;

	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(pipe(small.p));
	th = start_sized(does_a_bit_of_all, &small,
			 (size_t)PTHREAD_STACK_MIN, 4096);
	thr_until(&small.here, 1);
	OK(pthread_mutex_lock(&small.m));
	small.told = 1;
	OK(pthread_cond_signal(&small.c));
	OK(pthread_mutex_unlock(&small.m));
	most_likely();
	OK(pthread_kill(th, SIGUSR1));
	thr_until(&small.handled, 1);
	thr_tell(small.p[1]);
	CHECK(thr_join(th) == &small);
	shut_both(small.p);
}

/*
 * A limit that is there before the first thread: the case is run again, as a
 * new program that has none yet.
 */

static void
anew(const char *name, void (*inner)(void))
{
	pid_t pid;

	if (getenv("LIMITS_INNER") != NULL) {
		inner();
		_exit(0);
	}
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		setenv("LIMITS_INNER", "1", 1);
		unsetenv("T_BODY");
		unsetenv("T_EXPECT");
		execl("/proc/self/exe", "limits", name, (char *)NULL);
		_exit(126);
	}
	CHECK_INT(thr_reap(pid), 0);
}

/*
 * Memory
 */

static size_t
vm_size(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return (size_t)(pages * sysconf(_SC_PAGESIZE));
}

/* More address space than there is now, by so much. */
static void
leave_memory(size_t more)
{
	struct rlimit lim;

	OK(getrlimit(RLIMIT_AS, &lim));
	lim.rlim_cur = (rlim_t)(vm_size() + more);
	OK(setrlimit(RLIMIT_AS, &lim));
}

static void *
returns(void *arg)
{
	return arg;
}

static void
ask_for_too_much(void)
{
	static struct use u = { .size = 64 * KIB };
	pthread_attr_t a;
	pthread_t th;
	int i;

	leave_memory(40 * MIB);
	OK(pthread_attr_init(&a));
	for (i = 0; i < 10; i++) {
		OK(pthread_attr_setstacksize(&a, 100 * MIB));
		CHECK_INT(pthread_create(&th, &a, returns, &u), EAGAIN);
		OK(pthread_attr_setstacksize(&a, u.size));
		OK(pthread_create(&th, &a, uses_it_all, &u));
		CHECK(thr_join(th) == &u);
	}
	OK(pthread_attr_destroy(&a));
	leave_memory(300 * MIB);
	CHECK(thr_join(start_sized(returns, &u, 100 * MIB, 4096)) == &u);
}

TEST(a_stack_that_does_not_fit_is_EAGAIN_and_the_next_one_fits)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		ask_for_too_much();
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
}

TEST(so_is_the_very_first)
{
	anew(__func__, ask_for_too_much);
}

static atomic_int at_gate, gate_open;

static void *
waits_at_gate(void *arg)
{
	at_gate++;
	thr_until(&gate_open, 1);
	return arg;
}

/* Four default stacks fit, with a little for whatever else a thread takes. */
static void
start_four(void)
{
	pthread_t th[4];
	pthread_attr_t a;
	size_t size;
	int i;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_getstacksize(&a, &size));
	OK(pthread_attr_destroy(&a));
	leave_memory(4 * size + 12 * MIB);
	for (i = 0; i < 4; i++)
		th[i] = thr_start(waits_at_gate, &th[i]);
	thr_until(&at_gate, 4);
	gate_open = 1;
	for (i = 0; i < 4; i++)
		CHECK(thr_join(th[i]) == &th[i]);
}

TEST(threads_start_where_there_is_just_room_for_them)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		start_four();
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
}

TEST(the_first_threads_start_where_there_is_just_room_for_them)
{
	anew(__func__, start_four);
}

/*
 * Descriptors
 */

/* No number is left below the limit. */
static void
use_up_numbers(struct rlimit *before)
{
	struct rlimit lim;
	int fd;

	OK(getrlimit(RLIMIT_NOFILE, before));
	lim = *before;
	for (fd = 0; fcntl(fd, F_GETFD) != -1; fd++)
		;
	lim.rlim_cur = (rlim_t)fd;
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	CHECK_ERR(dup(0), EMFILE);
}

static void *
reads_one(void *fd)
{
	char c;

	at_gate++;
	CHECK_INT(read(thr_num(fd), &c, 1), 1);
	return fd;
}

static void *
polls_one(void *fd)
{
	struct pollfd f = { .fd = thr_num(fd), .events = POLLIN };

	at_gate++;
	CHECK_INT(poll(&f, 1, -1), 1);
	return fd;
}

static void *
takes_usr2(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	at_gate++;
	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR2);
	return arg;
}

__attribute__((constructor)) static void
block_usr2(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

/* All kinds of waits begin and end while there is no number to be had. */
static void
wait_without_numbers(void)
{
	struct rlimit before;
	int p[2], q[2], s[2];
	pthread_t th[4];

	OK(pipe(p));
	OK(pipe(q));
	unix_pair(SOCK_STREAM, s);
	use_up_numbers(&before);
	th[0] = thr_start(reads_one, thr_ptr(p[0]));
	th[1] = thr_start(polls_one, thr_ptr(q[0]));
	th[2] = thr_start(reads_one, thr_ptr(s[0]));
	th[3] = thr_start(takes_usr2, &before);
	thr_until(&at_gate, 4);
	most_likely();
	thr_tell(p[1]);
	CHECK_INT(thr_num(thr_join(th[0])), p[0]);
	thr_tell(q[1]);
	CHECK_INT(thr_num(thr_join(th[1])), q[0]);
	thr_tell(s[1]);
	CHECK_INT(thr_num(thr_join(th[2])), s[0]);
	OK(kill(getpid(), SIGUSR2));
	CHECK(thr_join(th[3]) == &before);
	OK(setrlimit(RLIMIT_NOFILE, &before));
	shut_both(p);
	shut_both(q);
	shut_both(s);
}

TEST(waits_need_no_number)
{
	wait_without_numbers();
}

/* What was set before the first thread is what is said to be set. */
static void
start_first_without_numbers(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 }, got;

	OK(sigaction(SIGUSR1, &sa, NULL));
	wait_without_numbers();
	OK(sigaction(SIGUSR1, NULL, &got));
	CHECK(got.sa_handler == on_usr1);
	OK(sigaction(SIGSEGV, NULL, &got));
	CHECK(got.sa_handler == SIG_DFL);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	CHECK_INT(small.handled, 1);
}

TEST(the_first_thread_needs_no_number)
{
	anew(__func__, start_first_without_numbers);
}

TEST(without_a_number_calls_that_make_one_are_EMFILE)
{
	struct sockaddr_in addr;
	struct rlimit before;
	int l = listener(&addr), c, s, p[2];

	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(c != -1);
	use_up_numbers(&before);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, p), EMFILE);
	CHECK_ERR(pipe(p), EMFILE);
	CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
	CHECK_ERR(dup(l), EMFILE);
	CHECK_ERR(fcntl(l, F_DUPFD, 0), EMFILE);
	/* At once, though nobody calls. */
	CHECK_ERR(accept(l, NULL, NULL), EMFILE);
	CHECK_ERR(accept4(l, NULL, NULL, SOCK_CLOEXEC), EMFILE);
	/* And who calls is kept for later. */
	CHECK_INT(connect(c, (struct sockaddr *)&addr, sizeof addr), 0);
	CHECK_ERR(accept(l, NULL, NULL), EMFILE);
	OK(setrlimit(RLIMIT_NOFILE, &before));
	s = accept(l, NULL, NULL);
	CHECK(s != -1);
	thr_tell(c);
	thr_hear(s);
	shut(s);
	shut(c);
	shut(l);
}

/* The child has threads, and they wait, in a process that could open nothing
 * when it was forked. */
TEST(a_child_forked_without_numbers_has_threads_as_well)
{
	struct rlimit before;
	int p[2];
	pthread_t th;
	pid_t pid;

	OK(pipe(p));
	use_up_numbers(&before);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		th = thr_start(reads_one, thr_ptr(p[0]));
		thr_until(&at_gate, 1);
		most_likely();
		thr_tell(p[1]);
		CHECK_INT(thr_num(thr_join(th)), p[0]);
		CHECK_ERR(dup(0), EMFILE);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	OK(setrlimit(RLIMIT_NOFILE, &before));
	shut_both(p);
}
