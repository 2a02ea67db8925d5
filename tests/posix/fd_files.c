/* SPDX-License-Identifier: MIT */
/* fd_files.c - opening what waits for another end, locks on files, writing
 * them out, terminals, the log; and numbers that come back. */
#define _GNU_SOURCE 1

#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>

#include "party.h"

/* A path in a directory of our own. */
struct place {
	char dir[64], path[96];
};

static void
a_place(struct place *p)
{
	strcpy(p->dir, "/tmp/t-files-XXXXXX");
	CHECK(mkdtemp(p->dir) != NULL);
	snprintf(p->path, sizeof p->path, "%s/x", p->dir);
}

static void
leave_place(struct place *p)
{
	CHECK_INT(unlink(p->path), 0);
	CHECK_INT(rmdir(p->dir), 0);
}

static void
a_fifo(struct place *p)
{
	a_place(p);
	CHECK_INT(mkfifo(p->path, 0600), 0);
}

/* --- opening --- */

struct opener {
	const char *path;
	int flags, fd;
};

static void *
opens_later(void *arg)
{
	struct opener *o = arg;

	most_likely();
	o->fd = open(o->path, o->flags);
	CHECK(o->fd != -1);
	return NULL;
}

TEST(a_fifo_opens_when_both_ends_are_there)
{
	struct opener o = { 0 };
	struct place p;
	int i, fd = -1, dir;
	pthread_t th;
	FILE *f;

	a_fifo(&p);
	o.path = p.path;
	dir = open(p.dir, O_RDONLY | O_DIRECTORY);
	CHECK(dir != -1);
	for (i = 0; i < 5; i++) {
		o.flags = i == 1 || i == 3 ? O_RDONLY : O_WRONLY;
		th = party(opens_later, &o);
		errno = EDOM;
		switch (i) {
		case 0:
			fd = open(p.path, O_RDONLY);
			break;
		case 1:
			fd = open(p.path, O_WRONLY | O_CLOEXEC, 0);
			break;
		case 2:
			fd = openat(dir, "x", O_RDONLY);
			break;
		case 3:
			fd = creat(p.path, 0600);
			break;
		case 4:
			f = fopen(p.path, "r");
			CHECK(f != NULL);
			CHECK_INT(fclose(f), 0);
			fd = -1;
			break;
		}
		CHECK(i == 4 || fd != -1);
		CHECK(i == 4 || errno == EDOM);
		leaves(th);
		shut(o.fd);
		if (fd != -1)
			shut(fd);
	}
	shut(dir);
	leave_place(&p);
}

TEST(opening_a_fifo_is_interrupted)
{
	struct place p;
	int fd;

	a_fifo(&p);
	start_ticking(0);
	CHECK_ERR(open(p.path, O_RDONLY), EINTR);
	CHECK_ERR(open(p.path, O_WRONLY), EINTR);
	CHECK(fopen(p.path, "r") == NULL);
	CHECK_INT(errno, EINTR);
	stop_ticking();
	CHECK_ERR(open(p.path, O_WRONLY | O_NONBLOCK), ENXIO);
	fd = open(p.path, O_RDONLY | O_NONBLOCK);
	CHECK(fd != -1);
	shut(fd);
	leave_place(&p);
}

TEST(open_says_what_it_cannot_do)
{
	struct place p;
	struct stat st;
	int fd;

	a_place(&p);
	CHECK_ERR(open(p.path, O_RDONLY), ENOENT);
	CHECK_ERR(open(nowhere(), O_RDONLY), EFAULT);
	CHECK_ERR(openat(-1, "x", O_RDONLY), EBADF);
	CHECK_ERR(creat(p.dir, 0600), EISDIR);
	CHECK(fopen(p.path, "r") == NULL);
	CHECK_INT(errno, ENOENT);
	umask(022);
	errno = EDOM;
	fd = open(p.path, O_RDWR | O_CREAT | O_EXCL, 0666);
	CHECK(fd != -1);
	CHECK_INT(errno, EDOM);
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0644);
	shut(fd);
	CHECK_ERR(open(p.path, O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
	CHECK_ERR(open(p.path, O_RDONLY | O_DIRECTORY), ENOTDIR);
	leave_place(&p);
}

/* --- numbers that come back, past close() --- */

static void *
writes_later(void *arg)
{
	most_likely();
	CHECK_INT(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

/* Wait once, so that whoever keeps books has an entry. */
static void
wait_once(const int fds[2])
{
	pthread_t th = party(writes_later, (int *)(uintptr_t)&fds[1]);
	char c;

	CHECK_INT(read(fds[0], &c, 1), 1);
	leaves(th);
}

TEST(freopen_leads_a_number_elsewhere)
{
	int a[2], b[2], fd, i;
	char path[64], c;
	pthread_t th;
	FILE *f;

	CHECK_INT(pipe(a), 0);
	CHECK_INT(pipe(b), 0);
	wait_once(a);
	fd = a[0];
	f = fdopen(fd, "r");
	CHECK(f != NULL);
	snprintf(path, sizeof path, "/proc/self/fd/%d", b[0]);
	f = freopen(path, "r", f);
	CHECK(f != NULL);
	CHECK_INT(fileno(f), fd);
	for (i = 0; i < 2; i++) {
		th = party(writes_later, &b[1]);
		CHECK_INT(read(fd, &c, 1), 1);
		leaves(th);
	}
	CHECK_INT(fclose(f), 0);
	shut(a[1]);
	shut_both(b);
}

TEST(a_number_closed_past_libc_is_opened_again)
{
	int a[2], b[2], fd;
	char path[64], c;
	pthread_t th;

	CHECK_INT(pipe(a), 0);
	CHECK_INT(pipe(b), 0);
	wait_once(a);
	snprintf(path, sizeof path, "/proc/self/fd/%d", b[0]);
	CHECK_INT(syscall(SYS_close, a[0]), 0);
	fd = open(path, O_RDONLY);
	CHECK_INT(fd, a[0]);
	th = party(writes_later, &b[1]);
	CHECK_INT(read(fd, &c, 1), 1);
	leaves(th);
	shut(fd);
	shut(a[1]);
	shut_both(b);
}

/* --- locks --- */

struct holder {
	int fd, how; /* 0: flock, 1: open file description lock */
	atomic_int over;
};

static struct flock
the_lock(int type)
{
	struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET };

	l.l_len = 10;
	return l;
}

static void *
lets_go_later(void *arg)
{
	struct holder *h = arg;
	struct flock l = the_lock(F_UNLCK);

	most_likely();
	h->over = 1;
	if (h->how == 0)
		CHECK_INT(flock(h->fd, LOCK_UN), 0);
	else
		CHECK_INT(fcntl(h->fd, F_OFD_SETLK, &l), 0);
	return NULL;
}

TEST(flock_waits_for_its_turn)
{
	struct holder h = { 0 };
	struct place p;
	pthread_t th;
	int fd;

	a_place(&p);
	h.fd = open(p.path, O_RDWR | O_CREAT, 0600);
	fd = open(p.path, O_RDWR);
	CHECK(h.fd != -1 && fd != -1);
	CHECK_RET(flock(h.fd, LOCK_EX), 0);
	CHECK_ERR(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_ERR(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	th = party(lets_go_later, &h);
	CHECK_RET(flock(fd, LOCK_SH), 0);
	CHECK_INT(h.over, 1);
	leaves(th);
	CHECK_RET(flock(h.fd, LOCK_SH), 0);
	start_ticking(0);
	CHECK_ERR(flock(h.fd, LOCK_EX), EINTR);
	stop_ticking();
	CHECK_RET(flock(fd, LOCK_UN), 0);
	CHECK_RET(flock(h.fd, LOCK_EX), 0);
	CHECK_ERR(flock(-1, LOCK_EX), EBADF);
	CHECK_ERR(flock(fd, 0), EINVAL);
	shut(h.fd);
	CHECK_RET(flock(fd, LOCK_EX), 0);
	shut(fd);
	leave_place(&p);
}

TEST(open_file_description_locks_wait)
{
	struct flock l = the_lock(F_WRLCK), r = the_lock(F_RDLCK);
	struct holder h = { .how = 1 };
	struct place p;
	pthread_t th;
	int fd;

	a_place(&p);
	h.fd = open(p.path, O_RDWR | O_CREAT, 0600);
	fd = open(p.path, O_RDWR);
	CHECK(h.fd != -1 && fd != -1);
	CHECK_RET(fcntl(h.fd, F_OFD_SETLKW, &l), 0);
	CHECK_ERR(fcntl(fd, F_OFD_SETLK, &l), EAGAIN);
	th = party(lets_go_later, &h);
	CHECK_RET(fcntl(fd, F_OFD_SETLKW, &l), 0);
	CHECK_INT(h.over, 1);
	leaves(th);
	start_ticking(0);
	CHECK_ERR(fcntl(h.fd, F_OFD_SETLKW, &r), EINTR);
	stop_ticking();
	CHECK_ERR(fcntl(h.fd, F_OFD_SETLKW, nowhere()), EFAULT);
	CHECK_ERR(fcntl(-1, F_OFD_SETLKW, &l), EBADF);
	shut(h.fd);
	shut(fd);
	leave_place(&p);
}

/* Locks of processes: another one holds it, and ends. */
TEST(record_locks_wait_for_another_process)
{
	struct flock l = the_lock(F_WRLCK);
	int fds[2], go[2], i, fd, status;
	struct place p;
	pid_t pid;
	char c;

	a_place(&p);
	fd = open(p.path, O_RDWR | O_CREAT, 0600);
	CHECK(fd != -1);
	for (i = 0; i < 2; i++) {
		CHECK_INT(pipe(fds), 0);
		CHECK_INT(pipe(go), 0);
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			if (fcntl(fd, F_SETLK, &l) != 0 ||
			    write(fds[1], "x", 1) != 1 ||
			    read(go[0], &c, 1) != 1)
				_exit(1);
			usleep(60000);
			_exit(0);
		}
		CHECK_INT(read(fds[0], &c, 1), 1);
		CHECK_ERR(fcntl(fd, F_SETLK, &l), EAGAIN);
		CHECK_ERR(lockf(fd, F_TLOCK, 10), EAGAIN);
		CHECK_ERR(lockf(fd, F_TEST, 10), EACCES);
		if (i == 0) {
			start_ticking(0);
			CHECK_ERR(fcntl(fd, F_SETLKW, &l), EINTR);
			CHECK_ERR(lockf(fd, F_LOCK, 10), EINTR);
			stop_ticking();
			CHECK_INT(write(go[1], "x", 1), 1);
			CHECK_RET(fcntl(fd, F_SETLKW, &l), 0);
		} else {
			CHECK_INT(write(go[1], "x", 1), 1);
			CHECK_RET(lockf(fd, F_LOCK, 10), 0);
		}
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK_INT(status, 0);
		CHECK_RET(lockf(fd, F_ULOCK, 0), 0);
		shut_both(fds);
		shut_both(go);
	}
	CHECK_ERR(fcntl(fd, F_SETLKW, nowhere()), EFAULT);
	CHECK_ERR(lockf(fd, 77, 10), EINVAL);
	CHECK_ERR(lockf(-1, F_LOCK, 10), EBADF);
	shut(fd);
	leave_place(&p);
}

/* --- to the disk --- */

TEST(what_is_written_is_written_out)
{
	struct place p;
	int fd, fds[2];
	char *m;

	a_place(&p);
	fd = open(p.path, O_RDWR | O_CREAT, 0600);
	CHECK(fd != -1);
	CHECK_INT(write(fd, "hello", 5), 5);
	CHECK_RET(fsync(fd), 0);
	CHECK_RET(fdatasync(fd), 0);
	CHECK_RET(syncfs(fd), 0);
	CHECK_RET(sync_file_range(fd, 0, 5,
				  SYNC_FILE_RANGE_WAIT_BEFORE |
					  SYNC_FILE_RANGE_WRITE |
					  SYNC_FILE_RANGE_WAIT_AFTER),
		  0);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	m[0] = 'H';
	CHECK_RET(msync(m, 4096, MS_SYNC), 0);
	CHECK_RET(msync(m, 4096, MS_ASYNC), 0);
	CHECK_ERR(msync(m, 4096, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_INT(munmap(m, 4096), 0);
	CHECK_ERR(msync(m, 4096, MS_SYNC), ENOMEM);
	CHECK_ERR(fsync(-1), EBADF);
	CHECK_ERR(fdatasync(-1), EBADF);
	CHECK_ERR(syncfs(-1), EBADF);
	CHECK_INT(pipe(fds), 0);
	CHECK_ERR(fsync(fds[0]), EINVAL);
	CHECK_ERR(sync_file_range(fds[0], 0, 1, 0), ESPIPE);
	errno = EDOM;
	sync();
	CHECK_INT(errno, EDOM);
	shut_both(fds);
	shut(fd);
	leave_place(&p);
}

/* --- terminals --- */

struct drain {
	int master;
	size_t n;
};

static void *
reads_the_terminal(void *arg)
{
	struct drain *d = arg;
	char buf[1024];
	ssize_t r;

	most_likely();
	while (d->n > 0) {
		r = read(d->master, buf, sizeof buf);
		CHECK(r > 0);
		d->n -= (size_t)r;
	}
	return NULL;
}

TEST(a_terminal_is_drained)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), s, fds[2];
	struct drain d = { m, 1000 };
	struct termios t;
	char buf[1000];
	pthread_t th;

	if (m == -1)
		SKIP("no pseudoterminals");
	CHECK_INT(grantpt(m), 0);
	CHECK_INT(unlockpt(m), 0);
	s = open(ptsname(m), O_RDWR | O_NOCTTY);
	CHECK(s != -1);
	CHECK_INT(tcgetattr(s, &t), 0);
	cfmakeraw(&t);
	CHECK_RET(tcsetattr(s, TCSANOW, &t), 0);
	memset(buf, 'x', sizeof buf);
	th = party(reads_the_terminal, &d);
	CHECK_INT(write(s, buf, sizeof buf), sizeof buf);
	CHECK_RET(tcdrain(s), 0);
	CHECK_RET(tcsetattr(s, TCSADRAIN, &t), 0);
	CHECK_RET(tcsetattr(s, TCSAFLUSH, &t), 0);
	leaves(th);
	CHECK_INT(pipe(fds), 0);
	CHECK_ERR(tcdrain(fds[0]), ENOTTY);
	CHECK_ERR(tcdrain(-1), EBADF);
	CHECK_ERR(tcsetattr(fds[0], TCSADRAIN, &t), ENOTTY);
	CHECK_ERR(tcsetattr(s, 99, &t), EINVAL);
	shut_both(fds);
	shut(s);
	shut(m);
}

/* --- the rest --- */

TEST(getrandom_gives_what_it_is_asked_for)
{
	unsigned char a[64] = { 0 }, b[64] = { 0 };

	CHECK_RET(getrandom(a, sizeof a, 0), sizeof a);
	CHECK_RET(getrandom(b, sizeof b, GRND_NONBLOCK), sizeof b);
	CHECK(memcmp(a, b, sizeof a) != 0);
	CHECK_ERR(getrandom(nowhere(), 10, 0), EFAULT);
	CHECK_ERR(getrandom(a, 10, 0xff00), EINVAL);
}

void __syslog_chk(int prio, int flag, const char *format, ...);

/* What is logged comes out at stderr as well, with all that is in it. */
TEST(syslog_hands_on_what_it_is_given)
{
	int keep = dup(STDERR_FILENO), fds[2];
	char buf[300];
	ssize_t n;

	CHECK_INT(pipe(fds), 0);
	CHECK_INT(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	openlog("me", LOG_PERROR, LOG_USER);
	syslog(LOG_INFO, "%d %s %.1f %c %ld", 7, "seven", 7.5, '7', 77L);
	__syslog_chk(LOG_INFO, 1, "%s %d %d %d %d %d %d", "many", 1, 2, 3, 4,
		     5, 6);
	errno = ENOENT;
	syslog(LOG_INFO, "%m");
	closelog();
	CHECK_INT(dup2(keep, STDERR_FILENO), STDERR_FILENO);
	shut(fds[1]);
	n = read(fds[0], buf, sizeof buf - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK_INT(strcmp(buf, "me: 7 seven 7.5 7 77\n"
			      "me: many 1 2 3 4 5 6\n"
			      "me: No such file or directory\n"),
		  0);
	shut(keep);
	shut(fds[0]);
}
