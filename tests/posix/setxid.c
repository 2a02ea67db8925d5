/* SPDX-License-Identifier: MIT */
/* setxid.c - one thread changes who the process is: it is so in all of them.
 *
 * The kernel keeps user and group ids for each thread, so it is asked past
 * libc what they are.  Whoever gives up being root does it in a child.
 */
#define _GNU_SOURCE 1
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "thr.h"

enum { NOBODY = 65534, THREADS = 50 };

#define AS_ROOT()                                                             \
	do {                                                                  \
		if (syscall(SYS_geteuid) != 0)                                \
			SKIP("only root may become somebody else");           \
	} while (0)

/* CHECK ends the child alone; its exit status tells. */
static void
in_child(void (*fn)(void))
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
}

static int
uids_are(uid_t r, uid_t e, uid_t s)
{
	uid_t a, b, c;

	CHECK(syscall(SYS_getresuid, &a, &b, &c) == 0);
	return a == r && b == e && c == s;
}

static int
gids_are(gid_t r, gid_t e, gid_t s)
{
	gid_t a, b, c;

	CHECK(syscall(SYS_getresgid, &a, &b, &c) == 0);
	return a == r && b == e && c == s;
}

/* Threads in all kinds of rest and motion, which look who they are when told
 * to. */
static struct {
	pthread_mutex_t m;
	pthread_cond_t c;
	atomic_int told, ready;
	int pipe[2], fifo[2];
	void (*look)(void);
	pthread_t th[THREADS];
} crowd = { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER };

static void *
one_of_them(void *arg)
{
	int n = thr_num(arg), i;
	FILE *f;
	char c;

	crowd.ready++;
	switch (n % 5) {
	case 0: /* parked on an address */
		OK(pthread_mutex_lock(&crowd.m));
		while (!crowd.told)
			OK(pthread_cond_wait(&crowd.c, &crowd.m));
		OK(pthread_mutex_unlock(&crowd.m));
		break;
	case 1: /* on a descriptor */
		CHECK_INT(read(crowd.pipe[0], &c, 1), 1);
		break;
	case 2: /* in the kernel, by a call that libc makes within itself */
		f = fdopen(dup(crowd.fifo[0]), "r");
		CHECK(f != NULL);
		setvbuf(f, NULL, _IONBF, 0);
		CHECK_INT(getc(f), 'x');
		crowd.look();
		fclose(f);
		break;
	case 3: /* in and out of the kernel */
		while (!crowd.told)
			thr_ms(1);
		break;
	default: /* running */
		while (!crowd.told)
			if (n == 4)
				; /* without a pause */
			else if (n == 9)
				sched_yield();
			else
				thr_ms(3);
	}
	/* Again and again: it may run elsewhere now. */
	for (i = 0; i < 20; i++) {
		crowd.look();
		if (i % 4 == 0)
			thr_ms(1);
		else
			sched_yield();
	}
	return NULL;
}

static void
crowd_begin(void (*look)(void))
{
	int i;

	crowd.look = look;
	OK(pipe(crowd.pipe));
	OK(pipe(crowd.fifo));
	for (i = 0; i < THREADS; i++)
		crowd.th[i] = thr_start(one_of_them, thr_ptr(i));
	thr_until(&crowd.ready, THREADS);
	thr_ms(5);
}

static void
crowd_looks(void)
{
	int i;

	OK(pthread_mutex_lock(&crowd.m));
	crowd.told = 1;
	OK(pthread_cond_broadcast(&crowd.c));
	OK(pthread_mutex_unlock(&crowd.m));
	for (i = 0; i < THREADS; i++) {
		if (i % 5 == 1)
			thr_tell(crowd.pipe[1]);
		if (i % 5 == 2)
			thr_tell(crowd.fifo[1]);
	}
	for (i = 0; i < THREADS; i++)
		thr_join(crowd.th[i]);
}

static void
is_nobody(void)
{
	CHECK(uids_are(NOBODY, NOBODY, NOBODY));
	CHECK_INT(syscall(SYS_getuid), NOBODY);
	CHECK_INT(getuid(), NOBODY);
}

static void *
becomes_nobody(void *arg)
{
	(void)arg;
	OK(setresuid(NOBODY, NOBODY, NOBODY));
	is_nobody();
	return NULL;
}

static void
a_thread_becomes_nobody(void)
{
	crowd_begin(is_nobody);
	thr_join(thr_start(becomes_nobody, NULL));
	is_nobody();
	crowd_looks();
	is_nobody();
	CHECK_ERR(setuid(0), EPERM);
	CHECK_ERR(seteuid(0), EPERM);
	CHECK_ERR(setresuid(-1, 1, -1), EPERM);
}

TEST(setresuid_in_one_thread_is_true_for_all)
{
	AS_ROOT();
	in_child(a_thread_becomes_nobody);
}

static char place[64];

static void
opens_as_nobody(void)
{
	char path[100], mine[100];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/roots", place);
	CHECK_ERR(open(path, O_RDONLY), EACCES);
	snprintf(mine, sizeof mine, "%s/%d.%lx", place, (int)getpid(),
		 (unsigned long)pthread_self());
	fd = open(mine, O_CREAT | O_RDWR, 0600);
	CHECK(fd != -1);
	OK(fstat(fd, &st));
	CHECK_INT(st.st_uid, NOBODY);
	OK(close(fd));
	OK(unlink(mine));
}

static void
files_are_nobodys(void)
{
	crowd_begin(opens_as_nobody);
	OK(setuid(NOBODY));
	crowd_looks();
}

TEST(files_are_opened_with_the_new_rights_in_all_threads)
{
	char path[100];
	int fd;

	AS_ROOT();
	strcpy(place, "/tmp/setxid.XXXXXX");
	CHECK(mkdtemp(place) != NULL);
	OK(chmod(place, 0777));
	snprintf(path, sizeof path, "%s/roots", place);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	CHECK(fd != -1);
	OK(close(fd));
	in_child(files_are_nobodys);
	OK(unlink(path));
	OK(rmdir(place));
}

static void
has_new_groups(void)
{
	gid_t list[10];

	CHECK(gids_are(1001, 1002, 1003));
	CHECK_INT(syscall(SYS_getgroups, 10, list), 2);
	CHECK_INT(list[0], 2001);
	CHECK_INT(list[1], 2002);
	CHECK(uids_are(0, 0, 0));
}

static void
groups_change(void)
{
	static const gid_t groups[] = { 2001, 2002 };

	crowd_begin(has_new_groups);
	OK(setgroups(2, groups));
	OK(setresgid(1001, 1002, 1003));
	crowd_looks();
}

TEST(groups_are_those_of_all_threads)
{
	AS_ROOT();
	in_child(groups_change);
}

/* Each call that there is, as another thread sees it. */
static atomic_int step, seen;
static void (*_Atomic check)(void);

static void *
looks_at_each_step(void *arg)
{
	int at = 0;

	(void)arg;
	for (;;) {
		while (step == at)
			thr_ms(1);
		at = step;
		if (at < 0)
			return NULL;
		check();
		seen++;
	}
}

static void
see(void (*fn)(void))
{
	check = fn;
	seen = 0;
	fn();
	step++;
	thr_until(&seen, 3);
}

static void g1(void) { CHECK(gids_are(1, 1, 1)); }
static void g2(void) { CHECK(gids_are(1, 2, 1)); }
static void g3(void) { CHECK(gids_are(3, 4, 4)); }
static void g4(void) { CHECK(gids_are(3, 5, 4)); }
static void u1(void) { CHECK(uids_are(0, 1, 0)); }
static void u2(void) { CHECK(uids_are(0, 0, 0)); }
static void u3(void) { CHECK(uids_are(2, 3, 3)); }
static void u4(void) { CHECK(uids_are(2, 2, 3)); }

static void
has_nobodys_groups(void)
{
	gid_t list[10];

	CHECK_INT(syscall(SYS_getgroups, 10, list), 1);
	CHECK_INT(list[0], 777);
}

static void
each_call(void)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++)
		th[i] = thr_start(looks_at_each_step, NULL);
	OK(initgroups("nobody", 777));
	see(has_nobodys_groups);
	OK(setgid(1));
	see(g1);
	OK(setegid(2));
	see(g2);
	OK(setregid(3, 4));
	see(g3);
	OK(setresgid(-1, 5, -1));
	see(g4);
	OK(seteuid(1));
	see(u1);
	OK(seteuid(0));
	see(u2);
	OK(setreuid(2, 3));
	see(u3);
	OK(seteuid(2));
	see(u4);
	step = -1;
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
}

TEST(each_of_the_calls_is_for_all_threads)
{
	AS_ROOT();
	in_child(each_call);
}

static void
what_fails(void)
{
	gid_t none = 5;

	CHECK_ERR(seteuid(-1), EINVAL);
	CHECK_ERR(setegid(-1), EINVAL);
	CHECK_ERR(setuid(-1), EINVAL);
	CHECK_ERR(setgid(-1), EINVAL);
	CHECK_ERR(setgroups(1 << 17, &none), EINVAL);
	CHECK_ERR(setgroups(1, (gid_t *)8), EFAULT);
	OK(setresuid(-1, -1, -1));
	OK(setresgid(-1, -1, -1));
	CHECK(uids_are(0, 0, 0));
	errno = EDOM;
	OK(setuid(NOBODY));
	CHECK_INT(errno, EDOM);
	CHECK_ERR(setgroups(1, &none), EPERM);
	CHECK_ERR(setgid(5), EPERM);
	CHECK_ERR(setregid(5, 5), EPERM);
	CHECK_ERR(setresgid(5, 5, 5), EPERM);
	CHECK_ERR(setegid(5), EPERM);
	CHECK_ERR(setreuid(0, 0), EPERM);
	CHECK_ERR(setuid(0), EPERM);
	is_nobody();
}

static void *
fails(void *arg)
{
	what_fails();
	return arg;
}

static void
a_thread_fails(void)
{
	thr_join(thr_start(fails, NULL));
	is_nobody();
}

TEST(what_the_kernel_refuses_fails_and_changes_nobody)
{
	AS_ROOT();
	in_child(a_thread_fails);
}

static atomic_int stop;

static void *
to_and_fro(void *arg)
{
	int i;

	for (i = 0; i < 50; i++) {
		OK(seteuid(thr_num(arg)));
		OK(seteuid(0));
	}
	return NULL;
}

static void *
checks_that_it_is(void *arg)
{
	(void)arg;
	CHECK(uids_are(0, 0, 0));
	return NULL;
}

static void
several_at_once(void)
{
	pthread_t th[4];
	int i;

	for (i = 0; i < 4; i++)
		th[i] = thr_start(to_and_fro, thr_ptr(1));
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	thr_join(thr_start(checks_that_it_is, NULL));
}

TEST(several_threads_change_it_at_once)
{
	AS_ROOT();
	in_child(several_at_once);
}

static void *
is_nobody_if_told(void *arg)
{
	(void)arg;
	if (stop)
		is_nobody();
	return NULL;
}

static void *
makes_threads(void *arg)
{
	int i, more;

	(void)arg;
	for (more = 100; more > 0; more -= stop) {
		pthread_t th[4];

		for (i = 0; i < 4; i++)
			th[i] = thr_start(is_nobody_if_told, NULL);
		for (i = 0; i < 4; i++)
			thr_join(th[i]);
	}
	return NULL;
}

static void
threads_are_born_and_end(void)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++)
		th[i] = thr_start(makes_threads, NULL);
	thr_ms(3);
	OK(setresuid(NOBODY, NOBODY, NOBODY));
	stop = 1;
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
}

TEST(who_is_born_or_ends_meanwhile_is_right_too)
{
	AS_ROOT();
	in_child(threads_are_born_and_end);
}

static void
a_daemon_locks_itself_up(void)
{
	crowd_begin(is_nobody);
	OK(chroot("/var/empty") == 0 ? 0 : chroot("/tmp"));
	OK(setgid(NOBODY));
	OK(setuid(NOBODY));
	crowd_looks();
}

TEST(it_works_where_there_is_no_proc)
{
	AS_ROOT();
	in_child(a_daemon_locks_itself_up);
}
