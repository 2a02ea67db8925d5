/* SPDX-License-Identifier: MIT */
/* names.c - calls by the other names that libc has for them, which old and
 * fortified programs import; and requests that libc carries out by itself. */
#define _GNU_SOURCE 1

#include <aio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "party.h"

int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
FILE *_IO_fopen(const char *path, const char *mode);
FILE *_IO_popen(const char *command, const char *mode);
ssize_t __pread64(int fd, void *buf, size_t n, off_t at);
ssize_t __pwrite64(int fd, const void *buf, size_t n, off_t at);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off_t at, size_t room);
pid_t __wait(int *status);
pid_t __waitpid(pid_t pid, int *status, int options);
int __sigsuspend(const sigset_t *set);
int __sigpause(int sig, int is_sig);
int bsd_sigpause(int mask) __asm__("sigpause");
int xpg_sigpause(int sig) __asm__("__xpg_sigpause");

static char dir[] = "/tmp/t-names-XXXXXX", path[64];

static void
a_file(void)
{
	int fd;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/x", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd != -1);
	CHECK_INT(write(fd, "hello", 5), 5);
	shut(fd);
}

static void
no_file(void)
{
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(dir), 0);
}

TEST(a_file_is_opened_by_any_name)
{
	int d, fd[9], i;
	struct stat st;
	char c;

	a_file();
	d = open(dir, O_RDONLY);
	CHECK(d != -1);
	errno = EDOM;
	fd[0] = open64(path, O_RDONLY);
	fd[1] = __open(path, O_RDONLY);
	fd[2] = __open64(path, O_RDONLY);
	fd[3] = __open_2(path, O_RDONLY);
	fd[4] = __open64_2(path, O_RDONLY);
	fd[5] = __openat_2(d, "x", O_RDONLY);
	fd[6] = __openat64_2(d, "x", O_RDONLY);
	fd[7] = openat64(d, "x", O_RDONLY);
	for (i = 0; i < 8; i++) {
		CHECK(fd[i] != -1);
		CHECK_INT(read(fd[i], &c, 1), 1);
		CHECK_INT(c, 'h');
		shut(fd[i]);
	}
	CHECK_INT(errno, EDOM);
	CHECK_ERR(__open_2("/no/such/file", O_RDONLY), ENOENT);
	CHECK_ERR(__open64_2(nowhere(), O_RDONLY), EFAULT);
	CHECK_ERR(__openat_2(-1, "x", O_RDONLY), EBADF);
	fd[8] = creat64(path, 0600);
	CHECK(fd[8] != -1);
	CHECK_INT(fstat(fd[8], &st), 0);
	CHECK_INT(st.st_size, 0);
	shut(fd[8]);
	shut(d);
	no_file();
}

TEST(a_stream_is_opened_by_any_name)
{
	char line[16];
	FILE *f;
	int i;

	a_file();
	for (i = 0; i < 4; i++) {
		f = i == 0   ? fopen64(path, "r")
		    : i == 1 ? _IO_fopen(path, "r")
		    : i == 2 ? freopen64(path, "r", fopen("/dev/null", "r"))
			     : _IO_popen("echo hello", "r");
		CHECK(f != NULL);
		CHECK(fgets(line, sizeof line, f) != NULL);
		CHECK_INT(strncmp(line, "hello", 5), 0);
		CHECK_INT(i == 3 ? pclose(f) : fclose(f), 0);
	}
	no_file();
}

TEST(a_file_is_read_at_an_offset_by_any_name)
{
	int fd = memfd_create("f", 0), fds[2];
	char buf[8];

	CHECK(fd != -1);
	CHECK_RET(pwrite(fd, "hello", 5, 100), 5);
	CHECK_RET(pwrite64(fd, "w", 1, 100), 1);
	CHECK_RET(__pwrite64(fd, "H", 1, 100), 1);
	CHECK_RET(pread(fd, buf, 5, 100), 5);
	CHECK_INT(memcmp(buf, "Hello", 5), 0);
	CHECK_RET(pread64(fd, buf, 4, 101), 4);
	CHECK_INT(memcmp(buf, "ello", 4), 0);
	CHECK_RET(__pread64(fd, buf, 8, 104), 1);
	CHECK_RET(__pread_chk(fd, buf, 3, 100, sizeof buf), 3);
	CHECK_RET(__pread64_chk(fd, buf, 8, 100, sizeof buf), 5);
	CHECK_RET(pread(fd, buf, 8, 105), 0);
	CHECK_ERR(pread(fd, buf, 8, -1), EINVAL);
	CHECK_ERR(pread(-1, buf, 8, 0), EBADF);
	CHECK_ERR(pwrite(fd, nowhere(), 8, 0), EFAULT);
	CHECK_INT(pipe(fds), 0);
	CHECK_ERR(pread(fds[0], buf, 8, 0), ESPIPE);
	CHECK_INT(lockf64(fd, F_LOCK, 10), 0);
	shut_both(fds);
	shut(fd);
}

TEST(children_are_waited_for_by_any_name)
{
	int status, i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			usleep(20000);
			_exit(5);
		}
		CHECK_RET(i == 0 ? __wait(&status) : __waitpid(pid, &status, 0),
			  pid);
		CHECK_INT(WEXITSTATUS(status), 5);
	}
	CHECK_ERR(__wait(&status), ECHILD);
	CHECK_ERR(__waitpid(-1, &status, 0), ECHILD);
}

static volatile sig_atomic_t usr1s;

static void
on_usr1(int sig)
{
	(void)sig;
	usr1s++;
}

/* Pending and blocked; each lets it in and puts the mask back. */
TEST(a_signal_is_let_in_by_any_name)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	sigset_t all, now, usr1;
	int i;

	CHECK_INT(sigaction(SIGALRM, &sa, NULL), 0);
	/* Another, which stays out where one alone is let in. */
	sa.sa_handler = on_usr1;
	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK_INT(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	CHECK_INT(pthread_kill(pthread_self(), SIGUSR1), 0);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	for (i = 0; i < 5; i++) {
		CHECK_INT(pthread_kill(pthread_self(), SIGALRM), 0);
		CHECK_INT(ticks, i);
		errno = 0;
		CHECK_INT(i == 0   ? __sigsuspend(&all)
			  : i == 1 ? __sigpause(SIGALRM, 1)
			  : i == 2 ? xpg_sigpause(SIGALRM)
			  : i == 3 ? bsd_sigpause(0)
				   : __sigpause(0, 0),
			  -1);
		CHECK_INT(errno, EINTR);
		CHECK_INT(ticks, i + 1);
		CHECK_INT(usr1s, i >= 3);
		CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
		CHECK_INT(sigismember(&now, SIGALRM), 1);
		CHECK_INT(sigismember(&now, SIGUSR1), 1);
		CHECK_INT(sigismember(&now, SIGUSR2), 0);
	}
	CHECK_ERR(__sigpause(99, 1), EINVAL);
	CHECK_ERR(xpg_sigpause(0), EINVAL);
}

/* --- what libc's own threads do --- */

TEST(requests_are_waited_for)
{
	struct timespec soon = { 0, 30 * T_MS };
	struct aiocb a = { 0 }, *all[1] = { &a };
	const struct aiocb *one[1] = { &a };
	char buf[8];
	int fds[2];
	int64_t t;

	CHECK_INT(pipe(fds), 0);
	a.aio_fildes = fds[0];
	a.aio_buf = buf;
	a.aio_nbytes = sizeof buf;
	a.aio_sigevent.sigev_notify = SIGEV_NONE;
	CHECK_INT(aio_read(&a), 0);
	t = t_now();
	CHECK_ERR(aio_suspend(one, 1, &soon), EAGAIN);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_INT(aio_error(&a), EINPROGRESS);
	CHECK_INT(write(fds[1], "hello", 5), 5);
	CHECK_INT(aio_suspend(one, 1, NULL), 0);
	CHECK_INT(aio_error(&a), 0);
	CHECK_INT(aio_return(&a), 5);
	a.aio_lio_opcode = LIO_READ;
	CHECK_INT(write(fds[1], "you", 3), 3);
	CHECK_INT(lio_listio(LIO_WAIT, all, 1, NULL), 0);
	CHECK_INT(aio_return(&a), 3);
	CHECK_INT(memcmp(buf, "youlo", 5), 0);
	CHECK_ERR(lio_listio(77, all, 1, NULL), EINVAL);
	shut_both(fds);
}
