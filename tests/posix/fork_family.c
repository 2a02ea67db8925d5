/* SPDX-License-Identifier: MIT */
/* fork_family.c - fork, vfork, exec, spawn, system, popen and wait. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "thr.h"

extern char **environ;

/* Fifty others wait, each in its way, while we fork. */
#define OTHERS 50

static struct {
	pthread_mutex_t m, held;
	pthread_cond_t c;
	sem_t sem;
	int pipe[2], pair[2];
	atomic_int here, go;
	pthread_t th[OTHERS];
} o = { .m = PTHREAD_MUTEX_INITIALIZER, .held = PTHREAD_MUTEX_INITIALIZER,
	.c = PTHREAD_COND_INITIALIZER };

static void *
other(void *arg)
{
	struct pollfd p = { o.pair[0], POLLIN, 0 };
	char c;

	o.here++;
	switch (thr_num(arg) % 6) {
	case 0:
		CHECK_INT(read(o.pipe[0], &c, 1), 1);
		break;
	case 1:
		CHECK_INT(poll(&p, 1, -1), 1);
		break;
	case 2:
		OK(pthread_mutex_lock(&o.m));
		while (!o.go)
			OK(pthread_cond_wait(&o.c, &o.m));
		OK(pthread_mutex_unlock(&o.m));
		break;
	case 3:
		OK(sem_wait(&o.sem));
		break;
	case 4:
		while (!o.go)
			thr_ms(20);
		break;
	default:
		OK(pthread_mutex_lock(&o.held));
		OK(pthread_mutex_unlock(&o.held));
	}
	return NULL;
}

static void
others_begin(void)
{
	int i;

	OK(pipe(o.pipe));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, o.pair));
	OK(sem_init(&o.sem, 0, 0));
	OK(pthread_mutex_lock(&o.held));
	o.go = o.here = 0;
	for (i = 0; i < OTHERS; i++)
		o.th[i] = thr_start(other, thr_ptr(i));
	thr_until(&o.here, OTHERS);
}

/* All of them are still there, and go on. */
static void
others_end(void)
{
	int i;

	for (i = 0; i < OTHERS; i++) {
		int e = pthread_tryjoin_np(o.th[i], NULL);

		CHECK_INT(e, EBUSY);
	}
	OK(pthread_mutex_lock(&o.m));
	o.go = 1;
	OK(pthread_cond_broadcast(&o.c));
	OK(pthread_mutex_unlock(&o.m));
	OK(pthread_mutex_unlock(&o.held));
	thr_tell(o.pair[1]);
	for (i = 0; i < OTHERS; i++) {
		if (i % 6 == 0)
			thr_tell(o.pipe[1]);
		else if (i % 6 == 3)
			OK(sem_post(&o.sem));
	}
	for (i = 0; i < OTHERS; i++)
		thr_join(o.th[i]);
	for (i = 0; i < 2; i++) {
		close(o.pipe[i]);
		close(o.pair[i]);
	}
	OK(sem_destroy(&o.sem));
}

/* A child lives: threads, locks, pipes, sockets, sleep, and children. */
static void *
squares(void *arg)
{
	thr_ms(1);
	return thr_ptr(thr_num(arg) * thr_num(arg));
}

static void *
echoes(void *arg)
{
	int fd = thr_num(arg);
	char buf[100];
	ssize_t r;

	while ((r = recv(fd, buf, sizeof buf, 0)) > 0)
		CHECK_INT(send(fd, buf, (size_t)r, 0), r);
	CHECK_INT(r, 0);
	return NULL;
}

static void
lives(void)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_t th[20], e;
	int pair[2], i, n = 0;
	struct timespec at;
	char c;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(squares, thr_ptr(i));
	for (i = 0; i < 20; i++)
		n += thr_num(thr_join(th[i]));
	CHECK_INT(n, 2470);

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	e = thr_start(echoes, thr_ptr(pair[1]));
	for (i = 0; i < 100; i++) {
		c = (char)i;
		CHECK_INT(send(pair[0], &c, 1, 0), 1);
		CHECK_INT(recv(pair[0], &c, 1, 0), 1);
		CHECK_INT(c, (char)i);
	}
	OK(shutdown(pair[0], SHUT_WR));
	thr_join(e);
	close(pair[0]);
	close(pair[1]);

	at = thr_after(CLOCK_REALTIME, 2 * T_MS);
	OK(pthread_mutex_lock(&m));
	CHECK_INT(pthread_mutex_timedlock(&m, &at), ETIMEDOUT);
	OK(pthread_mutex_unlock(&m));
	CHECK_INT(poll(NULL, 0, 2), 0);
	thr_ms(2);
}

static void
a_child_lives_and_exits(void)
{
	pid_t pid, grandchild;

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(getppid() != getpid(), 1);
		lives();
		grandchild = fork();
		CHECK(grandchild != -1);
		if (grandchild == 0) {
			lives();
			_exit(33);
		}
		CHECK_INT(thr_reap(grandchild), 33);
		lives();
		exit(34);
	}
	CHECK_INT(thr_reap(pid), 34);
}

TEST(a_child_forked_while_fifty_wait_lives_a_full_life)
{
	int i;

	others_begin();
	for (i = 0; i < 3; i++)
		a_child_lives_and_exits();
	others_end();
}

static void *
forks(void *arg)
{
	a_child_lives_and_exits();
	return arg;
}

TEST(a_child_forked_by_a_thread_lives_a_full_life)
{
	others_begin();
	thr_join(thr_start(forks, NULL));
	others_end();
}

TEST(threads_may_fork_at_the_same_time)
{
	pthread_t th[10];
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(forks, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
}

TEST(a_child_forked_before_any_thread_lives_a_full_life)
{
	a_child_lives_and_exits();
}

static __thread int mine = 5;

TEST(a_child_has_only_the_thread_that_forked_and_what_it_was)
{
	pthread_t self = pthread_self();
	sigset_t s;
	pid_t pid;

	others_begin();
	mine = 6;
	sigemptyset(&s);
	sigaddset(&s, SIGWINCH);
	OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
	errno = EDOM;
	pid = fork();
	if (pid == 0) {
		CHECK_INT(errno, EDOM);
		CHECK_INT(mine, 6);
		CHECK(pthread_equal(self, pthread_self()));
		CHECK_INT(gettid(), getpid());
		OK(pthread_sigmask(SIG_BLOCK, NULL, &s));
		CHECK_INT(sigismember(&s, SIGWINCH), 1);
		/* The lock that a waiting thread's creator holds is ours. */
		CHECK_INT(pthread_mutex_trylock(&o.held), EBUSY);
		OK(pthread_mutex_unlock(&o.held));
		OK(pthread_mutex_lock(&o.held));
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	others_end();
}

/* What a child sees open: numbers below 1000, and their flags. */
static int
open_fds(int *list, int max)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0, fd;

	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		fd = atoi(e->d_name);
		if (fd == dirfd(d) || fd >= 1000)
			continue;
		CHECK(n < max);
		list[n++] = fd;
	}
	closedir(d);
	return n;
}

TEST(a_child_has_the_descriptors_and_flags_of_its_parent)
{
	int before[200], after[200], flags[200], fdflags[200], n, i, nul;
	struct stat st[200], now;
	pid_t pid;

	others_begin();
	nul = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(nul != -1);
	n = open_fds(before, 200);
	for (i = 0; i < n; i++) {
		flags[i] = fcntl(before[i], F_GETFL);
		fdflags[i] = fcntl(before[i], F_GETFD);
		OK(fstat(before[i], &st[i]));
	}
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(open_fds(after, 200), n);
		for (i = 0; i < n; i++) {
			CHECK_INT(after[i], before[i]);
			CHECK_INT(fcntl(after[i], F_GETFL), flags[i]);
			CHECK_INT(fcntl(after[i], F_GETFD), fdflags[i]);
			OK(fstat(after[i], &now));
			CHECK(now.st_ino == st[i].st_ino);
		}
		lives();
		CHECK_INT(open_fds(after, 200), n);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	for (i = 0; i < n; i++)
		CHECK_INT(fcntl(before[i], F_GETFL), flags[i]);
	close(nul);
	others_end();
}

TEST(a_program_finds_open_what_was_not_to_be_closed)
{
	static const char script[] =
		"i=0; while [ $i -lt 100 ]; do "
		"test -e /proc/$$/fd/$i && echo $i; i=$((i + 1)); done; exit 0";
	int fd[2], nul, i, next;
	FILE *f;
	pid_t pid;

	others_begin();
	nul = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(nul != -1);
	OK(pipe(fd));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 3; i++)
			CHECK_INT(dup2(i == 1 ? fd[1] : nul, i), i);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	CHECK(f != NULL);
	for (i = 0; i < 100; i++) {
		/* fd[1] was open when the child was made. */
		if (i > 2 && i != fd[1] &&
		    (fcntl(i, F_GETFD) & FD_CLOEXEC) != 0)
			continue; /* -1, not open, has that bit as well */
		CHECK_INT(fscanf(f, "%d", &next), 1);
		CHECK_INT(next, i);
	}
	CHECK_INT(fscanf(f, "%d", &next), EOF);
	fclose(f);
	close(nul);
	CHECK_INT(thr_reap(pid), 0);
	others_end();
}

/* vfork */
TEST(vfork_and_exec_run_a_program)
{
	pid_t pid;
	int i;

	others_begin();
	for (i = 0; i < 20; i++) {
		pid = vfork();
		CHECK(pid != -1);
		if (pid == 0) {
			execl("/bin/sh", "sh", "-c", i % 2 ? "exit 21"
			      : "exit 20", (char *)NULL);
			_exit(127);
		}
		CHECK_INT(thr_reap(pid), 20 + i % 2);
	}
	others_end();
}

static volatile int seen_in_vfork;

TEST(vfork_and_exit_return_to_the_parent_which_shares_its_memory)
{
	pid_t pid;
	int i;

	others_begin();
	for (i = 1; i <= 20; i++) {
		pid = vfork();
		CHECK(pid != -1);
		if (pid == 0) {
			seen_in_vfork = i;
			_exit(i);
		}
		CHECK_INT(seen_in_vfork, i);
		CHECK_INT(thr_reap(pid), i);
	}
	others_end();
}

/* posix_spawn, system, popen */
TEST(posix_spawn_runs_a_program_with_its_file_actions)
{
	char *argv[] = { "sh", "-c", "read x; echo \"<$x>\"; exit 9", NULL };
	posix_spawn_file_actions_t fa;
	int in[2], out[2], i;
	char buf[100];
	ssize_t r;
	pid_t pid;

	others_begin();
	for (i = 0; i < 5; i++) {
		OK(pipe2(in, O_CLOEXEC));
		OK(pipe2(out, O_CLOEXEC));
		OK(posix_spawn_file_actions_init(&fa));
		OK(posix_spawn_file_actions_adddup2(&fa, in[0], 0));
		OK(posix_spawn_file_actions_adddup2(&fa, out[1], 1));
		OK(posix_spawn(&pid, "/bin/sh", &fa, NULL, argv, environ));
		OK(posix_spawn_file_actions_destroy(&fa));
		close(in[0]);
		close(out[1]);
		CHECK_INT(write(in[1], "hello\n", 6), 6);
		close(in[1]);
		r = read(out[0], buf, sizeof buf);
		CHECK_INT(r, 8);
		CHECK(memcmp(buf, "<hello>\n", 8) == 0);
		CHECK_INT(read(out[0], buf, sizeof buf), 0);
		close(out[0]);
		CHECK_INT(thr_reap(pid), 9);
	}
	CHECK_INT(posix_spawn(&pid, "/nonexistent/program", NULL, NULL, argv,
			      environ), ENOENT);
	others_end();
}

TEST(system_gives_the_shells_status)
{
	int i, r;

	others_begin();
	CHECK(system(NULL) != 0);
	for (i = 0; i < 5; i++) {
		r = system(i % 2 ? "exit 5" : "exit 0");
		CHECK(WIFEXITED(r));
		CHECK_INT(WEXITSTATUS(r), i % 2 ? 5 : 0);
	}
	r = system("kill -9 $$");
	CHECK(WIFSIGNALED(r) && WTERMSIG(r) == SIGKILL);
	others_end();
}

static void *
runs_system(void *arg)
{
	char cmd[64];
	int r;

	snprintf(cmd, sizeof cmd, "exit %d", thr_num(arg));
	r = system(cmd);
	CHECK(WIFEXITED(r));
	return thr_ptr(WEXITSTATUS(r));
}

TEST(system_may_run_in_many_threads_at_once)
{
	pthread_t th[10];
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(runs_system, thr_ptr(i + 1));
	for (i = 0; i < 10; i++)
		CHECK_INT(thr_num(thr_join(th[i])), i + 1);
}

TEST(popen_reads_and_writes_and_pclose_gives_the_status)
{
	char line[100], path[] = "/tmp/t-fork-family-XXXXXX", cmd[200];
	int fd, i, r;
	FILE *f;

	others_begin();
	for (i = 0; i < 5; i++) {
		f = popen("echo one; echo two; exit 3", "r");
		CHECK(f != NULL);
		CHECK(fgets(line, sizeof line, f) != NULL);
		CHECK(strcmp(line, "one\n") == 0);
		CHECK(fgets(line, sizeof line, f) != NULL);
		CHECK(strcmp(line, "two\n") == 0);
		CHECK(fgets(line, sizeof line, f) == NULL);
		r = pclose(f);
		CHECK(WIFEXITED(r) && WEXITSTATUS(r) == 3);
	}
	fd = mkstemp(path);
	CHECK(fd != -1);
	snprintf(cmd, sizeof cmd, "cat > %s; exit 4", path);
	f = popen(cmd, "w");
	CHECK(f != NULL);
	for (i = 0; i < 10000; i++)
		CHECK(fprintf(f, "line %d\n", i) > 0);
	r = pclose(f);
	CHECK(WIFEXITED(r) && WEXITSTATUS(r) == 4);
	f = fdopen(fd, "r");
	CHECK(f != NULL);
	for (i = 0; i < 10000; i++) {
		char want[32];

		snprintf(want, sizeof want, "line %d\n", i);
		CHECK(fgets(line, sizeof line, f) != NULL);
		CHECK(strcmp(line, want) == 0);
	}
	CHECK(fgets(line, sizeof line, f) == NULL);
	fclose(f);
	OK(unlink(path));
	others_end();
}

/* exec from a thread replaces the whole process. */
static void *
execs(void *arg)
{
	(void)arg;
	execl("/bin/sh", "sh", "-c", "exit $((40 + $#))", "sh", "a", "b",
	      (char *)NULL);
	_exit(127);
}

static void *
sleeps_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		sleep(1000);
	return NULL;
}

TEST(exec_from_a_thread_replaces_the_process)
{
	pid_t pid;
	int i;

	others_begin();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 10; i++)
			thr_start(sleeps_for_ever, NULL);
		thr_join(thr_start(execs, NULL));
		_exit(1);
	}
	CHECK_INT(thr_reap(pid), 42);
	others_end();
}

#define HAS_USR1 "^SigPnd:.*2[0-9a-f]{2}$", "/proc/self/status"

static void *
execs_with_a_signal(void *how)
{
	char *argv[] = { "grep", "-Eq", HAS_USR1, NULL };
	sigset_t set;
	int fd, sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(raise(SIGUSR1));
	CHECK_ERR(execl("/nonexistent", "x", NULL), ENOENT);
	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR1);
	OK(raise(SIGUSR1));
	thr_ms(1);
	switch (thr_num(how)) {
	case 0:
		execv("/bin/grep", argv);
		break;
	case 1:
		execve("/bin/grep", argv, environ);
		break;
	case 2:
		execvp("grep", argv);
		break;
	case 3:
		execvpe("grep", argv, environ);
		break;
	case 4:
		execl("/bin/grep", "grep", "-Eq", HAS_USR1, NULL);
		break;
	case 5:
		execlp("grep", "grep", "-Eq", HAS_USR1, NULL);
		break;
	case 6:
		execle("/bin/grep", "grep", "-Eq", HAS_USR1, NULL, environ);
		break;
	case 7:
		fd = open("/bin/grep", O_RDONLY | O_CLOEXEC);
		fexecve(fd, argv, environ);
		break;
	default:
		syscall(SYS_execve, "/bin/grep", argv, environ);
	}
	_exit(3);
}

TEST(what_is_pending_for_a_thread_is_so_after_its_exec)
{
	pid_t pid;
	int i;

	for (i = 0; i < 9; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0)
			thr_join(thr_start(execs_with_a_signal, thr_ptr(i)));
		CHECK_INT(thr_reap(pid), 0);
	}
}

/* Each kind of wait that has an end in the child as well. */
static struct {
	pid_t parent;
	sem_t sem;
	pthread_mutex_t m;
	pthread_cond_t c;
	int pipe[2], turn;
	atomic_int begun;
} haunt = { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER };

static void *
waits_in_its_own_process(void *arg)
{
	struct pollfd p = { .fd = haunt.pipe[0], .events = POLLPRI };
	char ch;

	haunt.begun++;
	switch (thr_num(arg) % 5) {
	case 0:
		thr_ms(40);
		break;
	case 1:
		OK(sem_wait(&haunt.sem));
		break;
	case 2:
		CHECK_INT(poll(&p, 1, 40), 0);
		break;
	case 3:
		CHECK_INT(read(haunt.pipe[0], &ch, 1), 1);
		break;
	default:
		OK(pthread_mutex_lock(&haunt.m));
		while (!haunt.turn)
			OK(pthread_cond_wait(&haunt.c, &haunt.m));
		OK(pthread_mutex_unlock(&haunt.m));
	}
	if (getpid() != haunt.parent)
		_exit(9);
	return arg;
}

enum { HAUNTS = 20 };

static void
ends_their_waits(void)
{
	int i;

	for (i = 0; i < HAUNTS; i++)
		OK(sem_post(&haunt.sem));
	OK(pthread_mutex_lock(&haunt.m));
	haunt.turn = 1;
	OK(pthread_cond_broadcast(&haunt.c));
	OK(pthread_mutex_unlock(&haunt.m));
}

static void *
forks_among_them(void *arg)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		ends_their_waits();
		CHECK_INT(write(haunt.pipe[1], "01234", 5), 5);
		thr_ms(80);
		_exit(7);
	}
	CHECK_INT(thr_reap(pid), 7);
	return arg;
}

TEST(who_waits_at_a_fork_does_not_go_on_in_the_child)
{
	pthread_t th[HAUNTS];
	int i;

	haunt.parent = getpid();
	OK(sem_init(&haunt.sem, 0, 0));
	OK(pipe(haunt.pipe));
	for (i = 0; i < HAUNTS; i++)
		th[i] = thr_start(waits_in_its_own_process, thr_ptr(i));
	thr_until(&haunt.begun, HAUNTS);
	thr_ms(5);
	thr_join(thr_start(forks_among_them, NULL));
	ends_their_waits();
	for (i = 0; i < HAUNTS; i++)
		thr_join(th[i]);
	close(haunt.pipe[0]);
	close(haunt.pipe[1]);
}

static void *
is_the_last_to_end(void *arg)
{
	thr_ms(2);
	return arg;
}

static void *
forks_and_exits(void *arg)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		thr_start(is_the_last_to_end, NULL);
		pthread_exit(NULL);
	}
	CHECK_INT(thr_reap(pid), 0);
	return arg;
}

TEST(a_child_ends_with_the_last_of_its_own_threads)
{
	others_begin();
	forks_and_exits(NULL);
	thr_join(thr_start(forks_and_exits, NULL));
	others_end();
}

TEST(an_exec_that_fails_changes_nothing)
{
	char *argv[] = { "x", NULL };
	int i;

	others_begin();
	for (i = 0; i < 10; i++) {
		CHECK_ERR(execv("/nonexistent/program", argv), ENOENT);
		CHECK_ERR(execv("/etc", argv), EACCES);
	}
	thr_join(thr_start(forks, NULL));
	others_end();
}

TEST(exec_hands_on_environment_arguments_and_pid)
{
	char *argv[] = { "sh", "-c", "echo $$ $T_FORK_FAMILY $1", "sh", "arg",
			 NULL };
	char *env[20] = { "T_FORK_FAMILY=there", "PATH=/bin:/usr/bin" };
	char buf[100], want[100];
	int fd[2], n = 2;
	char **e;
	ssize_t r;
	pid_t pid;

	/* Whatever is put before libc goes along, as it would by itself. */
	for (e = environ; *e != NULL && n < 19; e++)
		if (strncmp(*e, "LD_", 3) == 0)
			env[n++] = *e;
	OK(pipe(fd));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(dup2(fd[1], 1), 1);
		close(fd[0]);
		close(fd[1]);
		execve("/bin/sh", argv, env);
		_exit(127);
	}
	close(fd[1]);
	r = read(fd[0], buf, sizeof buf - 1);
	CHECK(r > 0);
	buf[r] = 0;
	snprintf(want, sizeof want, "%d there arg\n", (int)pid);
	CHECK(strcmp(buf, want) == 0);
	close(fd[0]);
	CHECK_INT(thr_reap(pid), 0);
}

/* Daemons. */
TEST(a_double_fork_leaves_a_grandchild_that_works)
{
	int fd[2];
	pid_t pid;
	char c;

	others_begin();
	OK(pipe(fd));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK(setsid() == getpid());
		pid = fork();
		CHECK(pid != -1);
		if (pid != 0)
			_exit(0);
		close(fd[0]);
		/* Our parent has gone, or goes; we live. */
		lives();
		thr_tell(fd[1]);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	close(fd[1]);
	CHECK_INT(read(fd[0], &c, 1), 1);
	CHECK_INT(read(fd[0], &c, 1), 0);
	close(fd[0]);
	others_end();
}

TEST(daemon_goes_on_in_the_background)
{
	int fd[2];
	pid_t pid;
	char c;

	OK(pipe(fd));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		close(fd[0]);
		OK(daemon(0, 1));
		lives();
		thr_tell(fd[1]);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	close(fd[1]);
	CHECK_INT(read(fd[0], &c, 1), 1);
	CHECK_INT(read(fd[0], &c, 1), 0);
	close(fd[0]);
}

/* pthread_atfork */
static char trace[32];
static int ntrace;

static void p1(void) { trace[ntrace++] = 'p'; }
static void p2(void) { trace[ntrace++] = 'P'; }
static void a1(void) { trace[ntrace++] = 'a'; }
static void a2(void) { trace[ntrace++] = 'A'; }
static void c1(void) { trace[ntrace++] = 'c'; }
static void c2(void) { trace[ntrace++] = 'C'; }

TEST(atfork_handlers_run_in_their_order)
{
	pid_t pid;

	OK(pthread_atfork(p1, a1, c1));
	OK(pthread_atfork(NULL, NULL, NULL));
	OK(pthread_atfork(p2, a2, c2));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK(strcmp(trace, "PpcC") == 0);
		_exit(0);
	}
	CHECK(strcmp(trace, "PpaA") == 0);
	CHECK_INT(thr_reap(pid), 0);
}

static pthread_mutex_t guarded = PTHREAD_MUTEX_INITIALIZER;
static atomic_int stop;

static void
take_guarded(void)
{
	OK(pthread_mutex_lock(&guarded));
}

static void
give_guarded(void)
{
	OK(pthread_mutex_unlock(&guarded));
}

static void *
uses_guarded(void *arg)
{
	while (!stop) {
		OK(pthread_mutex_lock(&guarded));
		sched_yield();
		OK(pthread_mutex_unlock(&guarded));
		free(malloc(100));
	}
	return arg;
}

TEST(a_lock_that_atfork_handlers_take_is_free_in_the_child)
{
	pthread_t th[5];
	pid_t pid;
	int i;

	OK(pthread_atfork(take_guarded, give_guarded, give_guarded));
	for (i = 0; i < 5; i++)
		th[i] = thr_start(uses_guarded, NULL);
	for (i = 0; i < 20; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			OK(pthread_mutex_lock(&guarded));
			OK(pthread_mutex_unlock(&guarded));
			free(malloc(100000));
			_exit(3);
		}
		CHECK_INT(thr_reap(pid), 3);
	}
	stop = 1;
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
}

/* wait in several threads */
static void *
waits_for_its_own(void *arg)
{
	int n = thr_num(arg), status, go[2];
	siginfo_t si;
	pid_t pid;

	OK(pipe2(go, O_CLOEXEC));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		char c;

		close(go[1]);
		/* Others may have forked with our end open: a byte. */
		CHECK_INT(read(go[0], &c, 1), 1);
		_exit(n);
	}
	CHECK_INT(waitpid(pid, &status, WNOHANG), 0);
	thr_tell(go[1]);
	switch (n % 3) {
	case 0:
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status));
		CHECK_INT(WEXITSTATUS(status), n);
		break;
	case 1:
		memset(&si, 0, sizeof si);
		OK(waitid(P_PID, (id_t)pid, &si, WEXITED));
		CHECK_INT(si.si_pid, pid);
		CHECK_INT(si.si_code, CLD_EXITED);
		CHECK_INT(si.si_status, n);
		break;
	default:
		OK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT));
		CHECK_INT(wait4(pid, &status, 0, NULL), pid);
		CHECK_INT(WEXITSTATUS(status), n);
	}
	CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
	close(go[0]);
	close(go[1]);
	return arg;
}

TEST(threads_wait_each_for_its_own_child)
{
	pthread_t th[30];
	int i;

	others_begin();
	for (i = 0; i < 30; i++)
		th[i] = thr_start(waits_for_its_own, thr_ptr(i + 1));
	for (i = 0; i < 30; i++)
		thr_join(th[i]);
	others_end();
}

static void *
ticks_on(void *ticks)
{
	while (!stop) {
		atomic_fetch_add((atomic_int *)ticks, 1);
		thr_ms(1);
	}
	return NULL;
}

TEST(a_thread_that_waits_for_a_child_holds_up_nobody)
{
	atomic_int *ticks = thr_shared();
	siginfo_t si;
	pthread_t th;
	pid_t pid;
	int i;

	th = thr_start(ticks_on, ticks);
	for (i = 0; i < 3; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			/* Ends only if our thread in the parent goes on. */
			thr_until(ticks, *ticks + 10);
			_exit(2);
		}
		if (i == 1)
			OK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT));
		if (i == 2)
			CHECK_INT(wait(NULL), pid);
		else
			CHECK_INT(thr_reap(pid), 2);
	}
	stop = 1;
	thr_join(th);
	thr_unshare(ticks);
}

TEST(two_hundred_quick_children_leave_no_zombie)
{
	pid_t pid[200], got;
	int i, status, sum = 0;

	others_begin();
	for (i = 0; i < 200; i++) {
		pid[i] = fork();
		CHECK(pid[i] != -1);
		if (pid[i] == 0)
			_exit(i % 100);
	}
	for (i = 0; i < 200; i++) {
		got = i % 2 ? wait(&status) : waitpid(-1, &status, 0);
		CHECK(got > 0);
		CHECK(WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	CHECK_INT(sum, 2 * 4950);
	CHECK_ERR(wait(&status), ECHILD);
	CHECK_ERR(waitpid(-1, &status, WNOHANG), ECHILD);
	others_end();
}

/* Data through children. */
static uint32_t
sum_of(const unsigned char *p, size_t n, uint32_t sum)
{
	while (n-- > 0)
		sum = sum * 31 + *p++;
	return sum;
}

#define BYTES (1 << 20)

static void *
filters_through_child(void *arg)
{
	int in[2], out[2], n = thr_num(arg);
	static __thread unsigned char buf[8192];
	uint64_t rnd = (uint64_t)n;
	uint32_t want = 0, got = 0;
	size_t left, i, k;
	ssize_t r;
	pid_t pid, writer;

	OK(pipe2(in, O_CLOEXEC));
	OK(pipe2(out, O_CLOEXEC));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(dup2(in[0], 0), 0);
		CHECK_INT(dup2(out[1], 1), 1);
		execlp("cat", "cat", (char *)NULL);
		_exit(127);
	}
	writer = fork();
	CHECK(writer != -1);
	if (writer == 0) {
		for (left = BYTES; left > 0; left -= k) {
			k = 1 + thr_rand(&rnd) % sizeof buf;
			if (k > left)
				k = left;
			for (i = 0; i < k; i++)
				buf[i] = (unsigned char)(BYTES - left + i +
							 (size_t)n);
			CHECK_INT(write(in[1], buf, k), k);
		}
		_exit(0);
	}
	close(in[0]);
	close(in[1]);
	close(out[1]);
	for (left = 0; left < BYTES; left += (size_t)r) {
		r = read(out[0], buf, sizeof buf);
		CHECK(r > 0);
		got = sum_of(buf, (size_t)r, got);
		for (i = 0; i < (size_t)r; i++)
			buf[i] = (unsigned char)(left + i + (size_t)n);
		want = sum_of(buf, (size_t)r, want);
	}
	CHECK_INT(got, want);
	CHECK_INT(thr_reap(writer), 0);
	CHECK_INT(read(out[0], buf, 1), 0);
	CHECK_INT(thr_reap(pid), 0);
	close(out[0]);
	return arg;
}

TEST(pipes_through_children_carry_all_data)
{
	pthread_t th[8];
	int i;

	for (i = 0; i < 8; i++)
		th[i] = thr_start(filters_through_child, thr_ptr(i));
	for (i = 0; i < 8; i++)
		thr_join(th[i]);
}

static void *
shares_a_socket_with_a_child(void *arg)
{
	int pair[2], i;
	pid_t pid;
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 300; i++) {
			CHECK_INT(recv(pair[1], &c, 1, 0), 1);
			c++;
			CHECK_INT(send(pair[1], &c, 1, 0), 1);
		}
		_exit(0);
	}
	for (i = 0; i < 300; i++) {
		c = (char)i;
		CHECK_INT(send(pair[0], &c, 1, 0), 1);
		CHECK_INT(recv(pair[0], &c, 1, 0), 1);
		CHECK_INT(c, (char)(i + 1));
	}
	CHECK_INT(thr_reap(pid), 0);
	close(pair[0]);
	close(pair[1]);
	return arg;
}

TEST(threads_talk_with_children_over_inherited_sockets)
{
	pthread_t th[10];
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(shares_a_socket_with_a_child, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
}

TEST(a_child_may_close_every_descriptor_and_live)
{
	pid_t pid;
	int fd;

	others_begin();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (fd = 3; fd < 1024; fd++)
			close(fd);
		lives();
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(close_range(3, ~0u, 0));
		lives();
		closefrom(3);
		lives();
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	others_end();
}
