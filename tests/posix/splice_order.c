/* SPDX-License-Identifier: MIT */
/* splice_order.c - splice, tee, vmsplice, sendfile and copy_file_range from
 * each kind of end into each other: what the kernel looks at first, and what it
 * waits for.
 *
 * What is right is not written here: each case runs itself once more, bare, and
 * compares.  A call that waits is interrupted by a timer, and that is its
 * answer. */
#define _GNU_SOURCE 1

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "party.h"

/* --- ends --- */

struct end {
	int fd, others[2]; /* -1: none */
};

static void
a_pipe(struct end *e, int which, int flags)
{
	int fds[2];

	CHECK_INT(pipe2(fds, flags), 0);
	e->fd = fds[which];
	e->others[0] = fds[1 - which];
}

static void
a_socket(struct end *e, int type)
{
	int s[2];

	unix_pair(type, s);
	e->fd = s[0];
	e->others[0] = s[1];
}

static void
a_tcp(struct end *e)
{
	int s[2];

	tcp_pair(s);
	e->fd = s[0];
	e->others[0] = s[1];
}

static void
a_file(struct end *e, int flags)
{
	char path[40];
	int f = memfd_create("f", 0);

	CHECK(f != -1);
	CHECK_INT(write(f, "0123456789", 10), 10);
	snprintf(path, sizeof path, "/proc/self/fd/%d", f);
	e->fd = open(path, flags);
	CHECK(e->fd != -1);
	e->others[0] = f;
}

static void
gives(const struct end *e)
{
	CHECK_INT(write(e->others[0], "abcdefg", 7), 7);
}

/* Nothing goes into it; O_NONBLOCK is as it was. */
static void
fill(const struct end *e)
{
	bool was = nonblocking(e->fd);

	stuff(e->fd);
	set_nonblocking(e->fd, was);
}

static void
loses(struct end *e)
{
	shut(e->others[0]);
	e->others[0] = -1;
}

static void empty_pipe(struct end *e) { a_pipe(e, 0, 0); }
static void empty_pipe_nonblock(struct end *e) { a_pipe(e, 0, O_NONBLOCK); }
static void pipe_data(struct end *e) { a_pipe(e, 0, 0); gives(e); }
static void pipe_data_nonblock(struct end *e)
{ a_pipe(e, 0, O_NONBLOCK); gives(e); }
static void pipe_at_end(struct end *e) { a_pipe(e, 0, 0); loses(e); }
static void pipe_room(struct end *e) { a_pipe(e, 1, 0); }
static void pipe_room_nonblock(struct end *e) { a_pipe(e, 1, O_NONBLOCK); }
static void pipe_full(struct end *e) { a_pipe(e, 1, 0); fill(e); }
static void pipe_full_nonblock(struct end *e)
{ a_pipe(e, 1, O_NONBLOCK); fill(e); }
static void pipe_broken(struct end *e) { a_pipe(e, 1, 0); loses(e); }
static void file_rdwr(struct end *e) { a_file(e, O_RDWR); }
static void file_rdonly(struct end *e) { a_file(e, O_RDONLY); }
static void file_wronly(struct end *e) { a_file(e, O_WRONLY); }
static void file_append(struct end *e) { a_file(e, O_RDWR | O_APPEND); }
static void file_path(struct end *e) { a_file(e, O_PATH); }
static void file_at_end(struct end *e)
{ a_file(e, O_RDWR); CHECK_INT(lseek(e->fd, 0, SEEK_END), 10); }
static void dev_null(struct end *e) { e->fd = open("/dev/null", O_RDWR); }
static void directory(struct end *e) { e->fd = open("/", O_RDONLY); }
static void an_eventfd(struct end *e) { e->fd = eventfd(0, 0); }
static void an_epoll(struct end *e) { e->fd = epoll_create1(0); }
static void unix_silent(struct end *e) { a_socket(e, SOCK_STREAM); }
static void unix_silent_nonblock(struct end *e)
{ a_socket(e, SOCK_STREAM); set_nonblocking(e->fd, true); }
static void unix_data(struct end *e) { a_socket(e, SOCK_STREAM); gives(e); }
static void unix_full(struct end *e) { a_socket(e, SOCK_STREAM); fill(e); }
static void unix_full_nonblock(struct end *e)
{ a_socket(e, SOCK_STREAM); set_nonblocking(e->fd, true); fill(e); }
static void unix_peer_gone(struct end *e)
{ a_socket(e, SOCK_STREAM); loses(e); }
static void unix_shut(struct end *e)
{ a_socket(e, SOCK_STREAM); CHECK_INT(shutdown(e->fd, SHUT_WR), 0); }
static void unix_shut_both(struct end *e)
{ a_socket(e, SOCK_STREAM); CHECK_INT(shutdown(e->fd, SHUT_RDWR), 0); }
static void unix_datagrams(struct end *e) { a_socket(e, SOCK_DGRAM); }
static void unix_alone(struct end *e)
{ e->fd = socket(AF_UNIX, SOCK_STREAM, 0); }
static void tcp_silent(struct end *e) { a_tcp(e); }
static void tcp_silent_nonblock(struct end *e)
{ a_tcp(e); set_nonblocking(e->fd, true); }
static void tcp_shut(struct end *e)
{ a_tcp(e); CHECK_INT(shutdown(e->fd, SHUT_WR), 0); }
static void tcp_alone(struct end *e) { e->fd = socket(AF_INET, SOCK_STREAM, 0); }
static void udp_alone(struct end *e) { e->fd = socket(AF_INET, SOCK_DGRAM, 0); }
/* Others may lead to it: its flags are not to be touched, not even briefly. */
static void share(struct end *e)
{ e->others[1] = dup(e->fd); }
static void unix_silent_shared(struct end *e) { unix_silent(e); share(e); }
static void unix_data_shared(struct end *e) { unix_data(e); share(e); }
static void unix_full_shared(struct end *e) { unix_full(e); share(e); }
static void unix_full_append(struct end *e)
{ unix_full(e); share(e); CHECK_INT(fcntl(e->fd, F_SETFL, O_APPEND), 0); }
static void unix_full_shut(struct end *e)
{ unix_full(e); share(e); CHECK_INT(shutdown(e->fd, SHUT_WR), 0); }
static void unix_full_peer_gone(struct end *e)
{ unix_full(e); share(e); loses(e); }
static void tcp_silent_shared(struct end *e) { a_tcp(e); share(e); }
static void unix_alone_shared(struct end *e) { unix_alone(e); share(e); }
static void tcp_alone_shared(struct end *e) { tcp_alone(e); share(e); }
static void udp_alone_shared(struct end *e) { udp_alone(e); share(e); }
/* Of a terminal: it has no flag for one call. */
static void a_tty(struct end *e, int flags)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	char name[64];

	CHECK(m != -1);
	CHECK_INT(grantpt(m), 0);
	CHECK_INT(unlockpt(m), 0);
	CHECK_INT(ptsname_r(m, name, sizeof name), 0);
	e->fd = open(name, flags | O_NOCTTY);
	CHECK(e->fd != -1);
	e->others[0] = m;
}
static void tty_rdwr(struct end *e) { a_tty(e, O_RDWR); }
static void tty_rdonly(struct end *e) { a_tty(e, O_RDONLY); }
static void tty_wronly(struct end *e) { a_tty(e, O_WRONLY); }
static void unix_listening(struct end *e)
{
	struct sockaddr_un a;
	socklen_t len = unix_name(&a, "splice");

	unix_alone_shared(e);
	CHECK_INT(bind(e->fd, (struct sockaddr *)&a, len), 0);
	CHECK_INT(listen(e->fd, 1), 0);
}
static void tcp_listening(struct end *e)
{ tcp_alone_shared(e); CHECK_INT(listen(e->fd, 1), 0); }
static void none(struct end *e) { e->fd = -1; }

/* The other end of what the first end is, if that is a pipe. */
static void the_same(struct end *e) { e->fd = -2; }

struct kind {
	const char *name;
	void (*make)(struct end *e);
};
#define KIND(make) { #make, make }

static const struct kind ins[] = {
	KIND(empty_pipe),    KIND(empty_pipe_nonblock),
	KIND(pipe_data),     KIND(pipe_data_nonblock),
	KIND(pipe_at_end),   KIND(pipe_room),
	KIND(file_rdonly),   KIND(file_wronly),
	KIND(file_path),     KIND(file_at_end),
	KIND(dev_null),      KIND(directory),
	KIND(an_eventfd),    KIND(an_epoll),
	KIND(unix_silent),   KIND(unix_silent_nonblock),
	KIND(unix_data),     KIND(unix_peer_gone),
	KIND(unix_datagrams), KIND(unix_alone),
	KIND(tcp_silent),    KIND(tcp_silent_nonblock),
	KIND(tcp_alone),     KIND(udp_alone),
	KIND(unix_silent_shared), KIND(unix_data_shared),
	KIND(tcp_silent_shared), KIND(unix_alone_shared),
	KIND(tcp_alone_shared), KIND(udp_alone_shared),
	KIND(tty_rdwr),      KIND(tty_wronly),
	KIND(unix_listening), KIND(tcp_listening),
	KIND(none),
};

static const struct kind outs[] = {
	KIND(pipe_room),     KIND(pipe_room_nonblock),
	KIND(pipe_full),     KIND(pipe_full_nonblock),
	KIND(pipe_broken),   KIND(empty_pipe),
	KIND(the_same),      KIND(file_rdwr),
	KIND(file_rdonly),   KIND(file_append),
	KIND(file_path),     KIND(dev_null),
	KIND(an_eventfd),    KIND(unix_silent),
	KIND(unix_full),     KIND(unix_full_nonblock),
	KIND(unix_peer_gone), KIND(unix_shut),
	KIND(unix_shut_both), KIND(unix_alone),
	KIND(tcp_silent),    KIND(tcp_shut),
	KIND(tcp_alone),     KIND(unix_full_shared),
	KIND(unix_full_append), KIND(unix_full_shut),
	KIND(unix_full_peer_gone), KIND(unix_alone_shared),
	KIND(tcp_alone_shared), KIND(tty_rdwr),
	KIND(tty_rdonly),    KIND(none),
};

static void
make(struct end *e, const struct kind *k)
{
	e->others[0] = e->others[1] = -1;
	k->make(e);
}

static void
unmake(struct end *e)
{
	if (e->fd >= 0)
		shut(e->fd);
	if (e->others[0] >= 0)
		shut(e->others[0]);
	if (e->others[1] >= 0)
		shut(e->others[1]);
}

/* --- one call, and all that can be seen of it --- */

static volatile sig_atomic_t pipes;

static void
on_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void
tick_every(int us)
{
	struct itimerval t = { { 0, us }, { 0, us } };

	CHECK_INT(setitimer(ITIMER_REAL, &t, NULL), 0);
}

/* What it is done with. */
struct way {
	const char *name;
	unsigned flags;
	size_t n;
	int off_in, off_out; /* NONE, BAD, or a position */
};
enum { NONE = -1000, BAD = -2000 };

struct offset {
	off64_t at, *p;
};

static void
set_offset(struct offset *o, int how)
{
	o->at = how;
	o->p = how == NONE ? NULL : how == BAD ? nowhere() : &o->at;
}

typedef ssize_t (*call_fn)(int in, off64_t *off_in, int out, off64_t *off_out,
			   const struct way *w);

static int
left_in(const struct end *e)
{
	int n = -1;

	if (e->fd < 0 || ioctl(e->fd, FIONREAD, &n) != 0)
		return -1;
	return n;
}

/* A line that tells of all of it. */
static void
observe(char *line, size_t size, call_fn call, const struct kind *from,
	const struct kind *to, const struct way *w)
{
	struct offset off_in, off_out;
	struct end in, out;
	int err;
	ssize_t r;

	make(&in, from);
	make(&out, to);
	set_offset(&off_in, w->off_in);
	set_offset(&off_out, w->off_out);
	if (out.fd == -2 && (out.fd = dup(in.others[0])) == -1)
		out.fd = -1;
	pipes = 0;
	tick_every(3000);
	errno = EDOM;
	r = call(in.fd, off_in.p, out.fd, off_out.p, w);
	err = errno;
	tick_every(0);
	snprintf(line, size,
		 "%s, %s -> %s: %zd %s, SIGPIPE %d, at %lld and %lld, by "
		 "itself %lld and %lld, left %d and %d, flags %x and %x\n",
		 w->name, from->name, to->name, r,
		 r == -1 ? strerror(err)
			 : err == EDOM ? "ok" : "and errno",
		 (int)pipes, (long long)off_in.at, (long long)off_out.at,
		 (long long)lseek(in.fd, 0, SEEK_CUR),
		 (long long)lseek(out.fd, 0, SEEK_CUR), left_in(&in),
		 left_in(&out), (unsigned)fcntl(in.fd, F_GETFL),
		 (unsigned)fcntl(out.fd, F_GETFL));
	unmake(&in);
	unmake(&out);
}

/* --- all of them, and beside them the same bare --- */

struct matrix {
	const char *test;
	call_fn call;
	const struct kind *in, *out;
	size_t nin, nout;
	const struct way *ways;
	size_t nways;
};

/* The same case of this program, without what is preloaded. */
static FILE *
run_bare(const char *test)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof command,
		 "env -u LD_PRELOAD -u COHOOK_START -u T_EXPECT -u T_BODY "
		 "T_BARE=1 /proc/%d/exe %s",
		 (int)getpid(), test);
	f = popen(command, "r");
	CHECK(f != NULL);
	return f;
}

static void
compare(const struct matrix *m)
{
	struct sigaction sa = { .sa_handler = on_tick };
	FILE *bare = getenv("T_BARE") != NULL ? NULL : run_bare(m->test);
	char mine[500], want[500];
	int differ = 0;
	size_t i, o, w;
	sigset_t set;

	CHECK_INT(sigaction(SIGALRM, &sa, NULL), 0);
	sa.sa_handler = on_pipe;
	CHECK_INT(sigaction(SIGPIPE, &sa, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	for (w = 0; w < m->nways; w++)
		for (i = 0; i < m->nin; i++)
			for (o = 0; o < m->nout; o++) {
				observe(mine, sizeof mine, m->call, &m->in[i],
					&m->out[o], &m->ways[w]);
				if (bare == NULL) {
					fputs(mine, stdout);
					continue;
				}
				CHECK(fgets(want, sizeof want, bare) != NULL);
				if (strcmp(mine, want) == 0)
					continue;
				differ++;
				fprintf(stderr, "bare: %shere: %s", want, mine);
			}
	block_the_tick();
	if (bare != NULL) {
		CHECK(fgets(want, sizeof want, bare) == NULL);
		CHECK_INT(pclose(bare), 0);
	}
	CHECK_INT(differ, 0);
}

#define COMPARE(name, call, from, to, ways)                          \
	compare(&(struct matrix){ name, call, from, to, COUNT(from), \
				  COUNT(to), ways, COUNT(ways) })

/* --- splice, tee --- */

static ssize_t
by_splice(int in, off64_t *off_in, int out, off64_t *off_out,
	  const struct way *w)
{
	return splice(in, off_in, out, off_out, w->n, w->flags);
}

static ssize_t
by_tee(int in, off64_t *off_in, int out, off64_t *off_out, const struct way *w)
{
	(void)off_in;
	(void)off_out;
	return tee(in, out, w->n, w->flags);
}

TEST(splice_is_from_each_into_each)
{
	static const struct way ways[] = {
		{ "splice", 0, 100, NONE, NONE },
		{ "splice of 3", 0, 3, NONE, NONE },
	};

	COMPARE("splice_is_from_each_into_each", by_splice, ins, outs, ways);
}

TEST(splice_that_does_not_wait_is_from_each_into_each)
{
	static const struct way ways[] = {
		{ "splice NONBLOCK", SPLICE_F_NONBLOCK, 100, NONE, NONE },
		{ "splice of 0", 0, 0, NONE, NONE },
		{ "splice of bad flags", 0x8000, 100, NONE, NONE },
	};

	COMPARE("splice_that_does_not_wait_is_from_each_into_each", by_splice,
		ins, outs, ways);
}

static const struct kind few_ins[] = {
	KIND(empty_pipe),  KIND(pipe_data),   KIND(file_rdonly),
	KIND(file_at_end), KIND(unix_silent), KIND(tcp_silent),
	KIND(unix_silent_shared), KIND(none),
};
static const struct kind few_outs[] = {
	KIND(pipe_room), KIND(pipe_full),   KIND(pipe_broken), KIND(file_rdwr),
	KIND(file_append), KIND(unix_silent), KIND(unix_full),
	KIND(unix_full_shared), KIND(none),
};

TEST(splice_goes_by_positions)
{
	static const struct way ways[] = {
		{ "splice at 2", 0, 100, 2, NONE },
		{ "splice to 2", 0, 100, NONE, 2 },
		{ "splice at 2 to 2", 0, 100, 2, 2 },
		{ "splice at -1", 0, 100, -1, NONE },
		{ "splice to -1", 0, 100, NONE, -1 },
		{ "splice at nowhere", 0, 100, BAD, NONE },
		{ "splice to nowhere", 0, 100, NONE, BAD },
		{ "splice at 1000", 0, 100, 1000, NONE },
	};

	COMPARE("splice_goes_by_positions", by_splice, few_ins, few_outs,
		ways);
}

TEST(tee_is_from_each_into_each)
{
	static const struct way ways[] = {
		{ "tee", 0, 100, NONE, NONE },
		{ "tee NONBLOCK", SPLICE_F_NONBLOCK, 100, NONE, NONE },
		{ "tee of 0", 0, 0, NONE, NONE },
		{ "tee of bad flags", 0x8000, 100, NONE, NONE },
	};

	COMPARE("tee_is_from_each_into_each", by_tee, ins, outs, ways);
}

/* --- sendfile, copy_file_range --- */

static ssize_t
by_sendfile(int in, off64_t *off_in, int out, off64_t *off_out,
	    const struct way *w)
{
	(void)off_out;
	return sendfile64(out, in, off_in, w->n);
}

static ssize_t
by_copy(int in, off64_t *off_in, int out, off64_t *off_out, const struct way *w)
{
	return copy_file_range(in, off_in, out, off_out, w->n, w->flags);
}

TEST(sendfile_is_from_each_into_each)
{
	static const struct way ways[] = {
		{ "sendfile", 0, 100, NONE, NONE },
	};

	COMPARE("sendfile_is_from_each_into_each", by_sendfile, ins, outs,
		ways);
}

TEST(sendfile_goes_by_positions)
{
	static const struct way ways[] = {
		{ "sendfile at 2", 0, 100, 2, NONE },
		{ "sendfile at -1", 0, 100, -1, NONE },
		{ "sendfile at nowhere", 0, 100, BAD, NONE },
		{ "sendfile at 1000", 0, 100, 1000, NONE },
		{ "sendfile of 3", 0, 3, NONE, NONE },
		{ "sendfile of 0", 0, 0, NONE, NONE },
		{ "sendfile of 0 at nowhere", 0, 0, BAD, NONE },
	};

	COMPARE("sendfile_goes_by_positions", by_sendfile, few_ins, outs,
		ways);
}

TEST(copy_file_range_is_from_each_into_each)
{
	static const struct way ways[] = {
		{ "copy", 0, 100, NONE, NONE },
		{ "copy at 2 to 2", 0, 100, 2, 2 },
		{ "copy at -1", 0, 100, -1, NONE },
		{ "copy at nowhere", 0, 100, BAD, NONE },
		{ "copy to nowhere", 0, 100, NONE, BAD },
		{ "copy of 0", 0, 0, NONE, NONE },
		{ "copy of bad flags", 0x8000, 100, NONE, NONE },
	};

	COMPARE("copy_file_range_is_from_each_into_each", by_copy, few_ins,
		outs, ways);
}

/* --- vmsplice: one end, and memory --- */

enum { BAD_VECTOR = 1, BAD_BASE, NO_ELEMENTS, NO_BYTES, TOO_MANY };

static ssize_t
by_vmsplice(int in, off64_t *off_in, int out, off64_t *off_out,
	    const struct way *w)
{
	static char buf[100];
	struct iovec v[2] = { { buf, 10 }, { buf + 10, 20 } };
	struct iovec *p = v;
	size_t n = 2;

	(void)off_in;
	(void)in;
	(void)off_out;
	switch (w->n) {
	case BAD_VECTOR:
		p = nowhere();
		break;
	case BAD_BASE:
		v[0].iov_base = nowhere();
		break;
	case NO_ELEMENTS:
		n = 0;
		break;
	case NO_BYTES:
		v[0].iov_len = v[1].iov_len = 0;
		break;
	case TOO_MANY:
		n = 100000;
		break;
	}
	return vmsplice(out, p, n, w->flags);
}

TEST(vmsplice_is_into_each_and_from_each)
{
	static const struct kind nothing[] = { KIND(none) };
	static const struct kind ends[] = {
		KIND(pipe_room),   KIND(pipe_room_nonblock),
		KIND(pipe_full),   KIND(pipe_full_nonblock),
		KIND(pipe_broken), KIND(empty_pipe),
		KIND(empty_pipe_nonblock), KIND(pipe_data),
		KIND(pipe_at_end), KIND(file_rdwr),
		KIND(file_path),   KIND(unix_silent),
		KIND(an_eventfd),  KIND(none),
	};
	static const struct way ways[] = {
		{ "vmsplice", 0, 0, NONE, NONE },
		{ "vmsplice NONBLOCK", SPLICE_F_NONBLOCK, 0, NONE, NONE },
		{ "vmsplice of bad flags", 0x8000, 0, NONE, NONE },
		{ "vmsplice of nowhere", 0, BAD_VECTOR, NONE, NONE },
		{ "vmsplice at nowhere", 0, BAD_BASE, NONE, NONE },
		{ "vmsplice of nothing", 0, NO_ELEMENTS, NONE, NONE },
		{ "vmsplice of no bytes", 0, NO_BYTES, NONE, NONE },
		{ "vmsplice of too many", 0, TOO_MANY, NONE, NONE },
	};

	COMPARE("vmsplice_is_into_each_and_from_each", by_vmsplice, nothing,
		ends, ways);
}
