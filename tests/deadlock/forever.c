/* SPDX-License-Identifier: MIT */
/* forever.c - programs that wait for ever, and some that only seem to.
 *
 *     forever --list dead|alive    names the cases
 *     forever NAME                 runs one
 *
 * Those that are dead never end.  Those that are alive are still for a while,
 * in which a hasty reader would take them for dead, and then end. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STILL = 250 * 1000 }; /* us */

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t both;
static sem_t s;
static uint32_t word;

static void
must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}
#define MUST(claim) must((claim) != 0, #claim)

static pthread_t
start(void *(*fn)(void *), const char *name)
{
	pthread_t th;

	MUST(pthread_create(&th, NULL, fn, NULL) == 0);
	pthread_setname_np(th, name);
	return th;
}

static void *
waits_sem(void *arg)
{
	while (sem_wait(&s) != 0)
		;
	return arg;
}

static void *
waits_cond(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_cond_wait(&c, &a);
	pthread_mutex_unlock(&a);
	return arg;
}

/* --- dead --- */

static void *
a_then_b(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&b);
	return arg;
}

static void *
b_then_a(void *arg)
{
	pthread_mutex_lock(&b);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&a);
	return arg;
}

static void
abba(void)
{
	start(a_then_b, "first");
	pthread_join(start(b_then_a, "second"), NULL);
}

static void *
a_twice(void *arg)
{
	pthread_mutex_lock(&a);
	pthread_mutex_lock(&a);
	return arg;
}

static void
itself(void)
{
	pthread_join(start(a_twice, "twice"), NULL);
}

/* The signal is sent before anybody waits. */
static void
lost(void)
{
	pthread_cond_signal(&c);
	pthread_join(start(waits_cond, "late"), NULL);
}

static void *
ends_with_it(void *arg)
{
	pthread_mutex_lock(&a);
	return arg;
}

static void
orphan(void)
{
	pthread_join(start(ends_with_it, "gone"), NULL);
	pthread_mutex_lock(&a);
}

static void *
writes(void *arg)
{
	pthread_rwlock_wrlock(&rw);
	pthread_barrier_wait(&both);
	pthread_mutex_lock(&a);
	return arg;
}

static void
written(void)
{
	pthread_mutex_lock(&a);
	start(writes, "writer");
	pthread_barrier_wait(&both);
	pthread_rwlock_rdlock(&rw);
}

static void
nobody(int sig)
{
	(void)sig;
}

/* A handler cannot unlock a mutex. */
static void
handled(void)
{
	signal(SIGUSR1, nobody);
	abba();
}

/* It is blocked everywhere, so it cannot come. */
static void
masked(void)
{
	sigset_t set;

	signal(SIGUSR1, nobody);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_join(start(waits_sem, "masked"), NULL);
}

static void *
waits_word(void *arg)
{
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return arg;
}

static void
many(void)
{
	pthread_t th = 0;
	int i;

	for (i = 0; i < 100; i++)
		th = start(i % 2 ? waits_word : waits_sem, "one of many");
	pthread_join(th, NULL);
}

/* In the child of a fork, whose parent waits for it. */
static void
child(void)
{
	pid_t pid;

	pthread_join(start(ends_with_it, "before"), NULL);
	pthread_mutex_unlock(&a);
	pid = fork();
	if (pid == 0)
		abba();
	waitpid(pid, NULL, 0);
}

/* --- alive --- */

static void
poster(int sig)
{
	(void)sig;
	sem_post(&s);
}

static void
in_child(void (*act)(pid_t))
{
	pid_t parent = getpid();

	if (fork() == 0) {
		usleep(STILL);
		act(parent);
		_exit(0);
	}
}

static void
usr1(pid_t pid)
{
	kill(pid, SIGUSR1);
}

/* A handler may post a semaphore. */
static void
by_handler(void)
{
	pthread_t th;

	signal(SIGUSR1, poster);
	th = start(waits_sem, "waits");
	in_child(usr1);
	pthread_join(th, NULL);
}

static void
by_alarm(void)
{
	struct itimerspec it = { { 0, 0 }, { 0, STILL * 1000 } };
	timer_t timer;
	pthread_t th;

	signal(SIGALRM, poster);
	th = start(waits_sem, "waits");
	MUST(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
	MUST(timer_settime(timer, 0, &it, NULL) == 0);
	pthread_join(th, NULL);
}

/* glibc has a thread for it. */
static void
notify(union sigval v)
{
	(void)v;
	sem_post(&s);
}

static void
by_timer_thread(void)
{
	struct itimerspec it = { { 0, 0 }, { 0, STILL * 1000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD };
	pthread_t th;
	timer_t timer;

	ev.sigev_notify_function = notify;
	th = start(waits_sem, "waits");
	MUST(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0);
	MUST(timer_settime(timer, 0, &it, NULL) == 0);
	pthread_join(th, NULL);
}

static void *
takes_signal(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigwait(&set, &sig) == 0);
	sem_post(&s);
	return arg;
}

static void
by_sigwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start(takes_signal, "takes");
	in_child(usr1);
	pthread_join(start(waits_sem, "waits"), NULL);
}

static int fds[2];

static void *
reads(void *arg)
{
	char byte;

	MUST(read(fds[0], &byte, 1) == 1);
	sem_post(&s);
	return arg;
}

static void
writes_byte(pid_t parent)
{
	(void)parent;
	MUST(write(fds[1], "x", 1) == 1);
}

static void
by_pipe(void)
{
	MUST(pipe(fds) == 0);
	in_child(writes_byte);
	start(reads, "reads");
	pthread_join(start(waits_sem, "waits"), NULL);
}

/* A descriptor whose number might be an address. */
static void
by_high_pipe(void)
{
	struct rlimit rl = { 100001, 100001 };
	int fd;

	MUST(pipe(fds) == 0);
	setrlimit(RLIMIT_NOFILE, &rl);
	fd = fcntl(fds[0], F_DUPFD, 100000);
	if (fd < 0)
		_exit(77);
	fds[0] = fd;
	in_child(writes_byte);
	pthread_join(start(reads, "reads"), NULL);
}

static void *
sleeps(void *arg)
{
	usleep(STILL);
	sem_post(&s);
	return arg;
}

static void
by_sleeper(void)
{
	start(sleeps, "sleeps");
	pthread_join(start(waits_sem, "waits"), NULL);
}

static void
by_deadline(void)
{
	struct timespec ts;

	start(waits_cond, "waits");
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += STILL * 1000L;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	while (sem_timedwait(&s, &ts) != 0 && errno != ETIMEDOUT)
		;
}

static void *
computes(void *arg)
{
	struct timespec ts;
	int64_t until;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	until = ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000 + STILL;
	do
		clock_gettime(CLOCK_MONOTONIC, &ts);
	while (ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000 < until);
	sem_post(&s);
	return arg;
}

static void
by_computer(void)
{
	start(computes, "computes");
	pthread_join(start(waits_sem, "waits"), NULL);
}

/* In a call that only the kernel sees: a lock of another process's. */
static char file[] = "/tmp/forever.XXXXXX";

static void *
takes_lock(void *arg)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);

	MUST(flock(fd, LOCK_EX) == 0);
	close(fd);
	sem_post(&s);
	return arg;
}

static void
by_other_process(void)
{
	int fd = mkstemp(file);

	MUST(fd >= 0 && flock(fd, LOCK_EX) == 0);
	in_child(usr1); /* has the description as well */
	signal(SIGUSR1, SIG_IGN);
	close(fd);
	start(takes_lock, "takes");
	pthread_join(start(waits_sem, "waits"), NULL);
	unlink(file);
}

/* An object between processes. */
static sem_t *shared;

static void
posts_shared(pid_t parent)
{
	(void)parent;
	sem_post(shared);
}

static void *
waits_shared(void *arg)
{
	while (sem_wait(shared) != 0)
		;
	return arg;
}

static void
by_shared(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(shared != MAP_FAILED && sem_init(shared, 1, 0) == 0);
	in_child(posts_shared);
	pthread_join(start(waits_shared, "waits"), NULL);
}

/* A kernel thread of its own: it asks for its CPUs. */
static void *
pins_and_posts(void *arg)
{
	cpu_set_t cpus;
	int i;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (i = 0; i < CPU_SETSIZE && !CPU_ISSET(i, &cpus); i++)
		;
	CPU_ZERO(&cpus);
	CPU_SET(i, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	return sleeps(arg);
}

static void
by_pinned(void)
{
	start(pins_and_posts, "pinned");
	pthread_join(start(waits_sem, "waits"), NULL);
}

/* A native one: no coroutine could have its CPUs. */
static void
by_native(void)
{
	pthread_attr_t attr;
	pthread_t th;
	cpu_set_t cpus;
	int i;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (i = 0; i < CPU_SETSIZE && !CPU_ISSET(i, &cpus); i++)
		;
	CPU_ZERO(&cpus);
	CPU_SET(i, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	MUST(pthread_create(&th, &attr, sleeps, NULL) == 0);
	pthread_join(start(waits_sem, "waits"), NULL);
}

/* --- */

static const struct {
	const char *name;
	void (*body)(void);
	int dead;
} cases[] = {
	{ "abba", abba, 1 },
	{ "itself", itself, 1 },
	{ "lost", lost, 1 },
	{ "orphan", orphan, 1 },
	{ "written", written, 1 },
	{ "handled", handled, 1 },
	{ "masked", masked, 1 },
	{ "many", many, 1 },
	{ "child", child, 1 },
	{ "by_handler", by_handler, 0 },
	{ "by_alarm", by_alarm, 0 },
	{ "by_timer_thread", by_timer_thread, 0 },
	{ "by_sigwait", by_sigwait, 0 },
	{ "by_pipe", by_pipe, 0 },
	{ "by_high_pipe", by_high_pipe, 0 },
	{ "by_sleeper", by_sleeper, 0 },
	{ "by_deadline", by_deadline, 0 },
	{ "by_computer", by_computer, 0 },
	{ "by_other_process", by_other_process, 0 },
	{ "by_shared", by_shared, 0 },
	{ "by_pinned", by_pinned, 0 },
	{ "by_native", by_native, 0 },
};

int
main(int argc, char **argv)
{
	size_t i;

	sem_init(&s, 0, 0);
	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < sizeof(cases) / sizeof(*cases) && argc > 1; i++)
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].body();
			return 0;
		} else if (argc > 2 &&
			   cases[i].dead == (strcmp(argv[2], "dead") == 0)) {
			puts(cases[i].name);
		}
	return argc > 2 ? 0 : 2;
}
