/* SPDX-License-Identifier: MIT */
/* children.c - a process full of threads has children: with thousands that wait,
 * from many threads at once, in quick succession, and tied to their parent. */
#define _GNU_SOURCE 1

#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "thr.h"

extern char **environ;

/* --- with thousands of others --- */

enum { MANY = 2000 };

static struct {
	pthread_mutex_t m;
	pthread_cond_t c;
	sem_t s;
	int go, pipe[2];
	atomic_int waiting;
} w = { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER };

static void *
waits(void *arg)
{
	struct timespec ts = thr_after(CLOCK_REALTIME, THR_LONG);

	w.waiting++;
	switch (thr_num(arg) % 4) {
	case 0:
		OK(pthread_mutex_lock(&w.m));
		while (!w.go)
			OK(pthread_cond_wait(&w.c, &w.m));
		OK(pthread_mutex_unlock(&w.m));
		break;
	case 1:
		OK(sem_wait(&w.s));
		break;
	case 2:
		thr_hear(w.pipe[0]);
		break;
	case 3:
		OK(pthread_mutex_lock(&w.m));
		while (!w.go)
			OK(pthread_cond_timedwait(&w.c, &w.m, &ts));
		OK(pthread_mutex_unlock(&w.m));
		break;
	}
	return arg;
}

static void *
talks(void *arg)
{
	int *fd = arg;

	thr_hear(fd[1]);
	thr_tell(fd[1]);
	return NULL;
}

/* What a process does in its life: threads, sockets, sleeps, children. */
static void
lives(void)
{
	pthread_t th[20];
	int fd[20][2], i;
	pid_t pid;

	for (i = 0; i < 20; i++) {
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[i]));
		th[i] = thr_start(talks, fd[i]);
	}
	thr_ms(1);
	for (i = 0; i < 20; i++)
		thr_tell(fd[i][0]);
	for (i = 0; i < 20; i++)
		thr_hear(fd[i][0]);
	for (i = 0; i < 20; i++) {
		thr_join(th[i]);
		OK(close(fd[i][0]));
		OK(close(fd[i][1]));
	}
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		thr_join(thr_start(waits, thr_ptr(1)));
		_exit(7);
	}
	CHECK_INT(thr_reap(pid), 7);
}

static void *
forks(void *arg)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		OK(sem_init(&w.s, 0, 1));
		lives();
		_exit(3);
	}
	CHECK_INT(thr_reap(pid), 3);
	return arg;
}

TEST(a_child_forked_while_thousands_wait_lives_a_full_life)
{
	static pthread_t th[MANY];
	pthread_attr_t attr;
	pthread_t f[4];
	int i;

	OK(sem_init(&w.s, 0, 0));
	OK(pipe(w.pipe));
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setstacksize(&attr, 64 * 1024));
	for (i = 0; i < MANY; i++)
		OK(pthread_create(&th[i], &attr, waits, thr_ptr(i)));
	OK(pthread_attr_destroy(&attr));
	thr_until(&w.waiting, MANY);
	forks(NULL);
	for (i = 0; i < 4; i++)
		f[i] = thr_start(forks, NULL);
	for (i = 0; i < 4; i++)
		thr_join(f[i]);
	OK(pthread_mutex_lock(&w.m));
	w.go = 1;
	OK(pthread_cond_broadcast(&w.c));
	OK(pthread_mutex_unlock(&w.m));
	for (i = 0; i < MANY / 4; i++) {
		OK(sem_post(&w.s));
		thr_tell(w.pipe[1]);
	}
	for (i = 0; i < MANY; i++)
		thr_join(th[i]);
	OK(close(w.pipe[0]));
	OK(close(w.pipe[1]));
}

/* --- in quick succession --- */

static void *
has_quick_ones(void *arg)
{
	char *argv[] = { "true", NULL };
	int i, status;
	pid_t pid;
	FILE *f;

	for (i = 0; i < 8; i++)
		switch ((thr_num(arg) + i) % 5) {
		case 0:
			pid = fork();
			CHECK(pid != -1);
			if (pid == 0)
				_exit(i);
			CHECK_INT(thr_reap(pid), i);
			break;
		case 1:
			pid = vfork();
			CHECK(pid != -1);
			if (pid == 0)
				_exit(9);
			CHECK_INT(thr_reap(pid), 9);
			break;
		case 2:
			OK(posix_spawnp(&pid, "true", NULL, NULL, argv,
					environ));
			CHECK_INT(thr_reap(pid), 0);
			break;
		case 3:
			status = system("exit 5");
			CHECK(WIFEXITED(status));
			CHECK_INT(WEXITSTATUS(status), 5);
			break;
		case 4:
			f = popen("echo x", "r");
			CHECK(f != NULL);
			CHECK_INT(fgetc(f), 'x');
			CHECK_INT(pclose(f), 0);
			break;
		}
	return arg;
}

TEST(many_threads_have_quick_children_of_every_kind)
{
	pthread_t th[12];
	int i, fds = t_fds();

	for (i = 0; i < 12; i++)
		th[i] = thr_start(has_quick_ones, thr_ptr(i));
	for (i = 0; i < 12; i++)
		thr_join(th[i]);
	CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_INT(t_fds(), fds);
}

/* --- who dies with its parent --- */

static atomic_int dead;

static void *
has_one_that_is_tied_to_it(void *arg)
{
	int go[2], status;
	char c;
	pid_t pid;

	/* Its kernel thread is one of many, for a while. */
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		usleep(100000);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	OK(pipe(go));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		OK(close(go[1]));
		CHECK_INT(read(go[0], &c, 1), 1);
		_exit(4);
	}
	OK(close(go[0]));
	thr_ms(2500);
	if (waitpid(pid, &status, WNOHANG) != 0) {
		dead++;
	} else {
		CHECK_INT(write(go[1], "x", 1), 1);
		CHECK_INT(thr_reap(pid), 4);
	}
	OK(close(go[1]));
	return arg;
}

TEST(a_child_that_dies_with_its_parent_lives_as_long_as_that)
{
	pthread_t th[10];
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(has_one_that_is_tied_to_it, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	CHECK_INT(dead, 0);
}
