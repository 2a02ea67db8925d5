/* SPDX-License-Identifier: MIT */
/* stress_close.c - descriptors are closed, replaced and used again while
 * threads wait on them; what is sent on one connection arrives at no other.
 *
 * Each slot has a connection, a writer, one or two readers, and a controller
 * who after a random while ends the connection in a random way, and opens the
 * next, which mostly gets the same number.  Linux does not wake who waits on a
 * descriptor that is closed, so the controller shuts it down first, or has the
 * other end closed; and a reader may be about to read, so the number must not
 * go to another slot before the readers have left: one who closes keeps the
 * others from opening until then.  A reader may thus find its descriptor
 * closed, ended, or replaced, but never another slot's.
 *
 * Half of the time the same is done to listeners, and who accepts.
 */
#define _GNU_SOURCE 1
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "stress.h"

#if UNDER_TSAN
/* That descriptors are closed and replaced while others use them, which
 * ThreadSanitizer reports, is what this program is for. */
const char *__tsan_default_suppressions(void);

const char *
__tsan_default_suppressions(void)
{
	return "race:end_by_close\nrace:end_by_dup2\nrace:replace\n"
	       "race:listens\nrace:end_by_shutdown\n";
}
#endif

/* Every message is of one size, which no descriptor here splits, but for TCP,
 * where the reader says that it wants all. */
struct message {
	uint32_t connection, seq;
	uint32_t pad[13];
	uint32_t sum;
};

_Static_assert(sizeof(struct message) == 64, "divides the size of a pipe");

static void
fill(struct message *m, uint32_t connection, uint32_t seq, uint64_t *r)
{
	size_t i;

	m->connection = connection;
	m->seq = seq;
	for (i = 0; i < LEN(m->pad); i++)
		m->pad[i] = rnd(r);
	m->sum = checksum(m, offsetof(struct message, sum));
}

static void
check_sum(const struct message *m)
{
	CHECK(m->sum == checksum(m, offsetof(struct message, sum)));
}

#define SLOTS 50
#define READERS 2
#define LISTENERS 10
#define MESSAGES 2048   /* at most, on one connection */
#define CONNECTIONS (1 << 20)

enum kind { UNIX_STREAM, UNIX_PACKETS, TCP, PIPE, KINDS };

static struct slot {
	int fd, peer;           /* what the readers read, the writer writes */
	enum kind kind;
	uint32_t connection;
	int readers;
	int rough;              /* may be closed or replaced while in poll */
	atomic_int closing;     /* an end is an end, and no replacement */
	atomic_int stop;        /* the writer shall go */
	atomic_int sent;
	_Atomic uint64_t arrived;       /* connection << 32 | how many */
	atomic_uint seen[MESSAGES];     /* on which connection, lately */
	sem_t go[READERS + 1];  /* the last one is the writer's */
	sem_t left, written;    /* a reader, the writer has done */
} slots[SLOTS];

/* Which slot a connection is of. */
static atomic_uchar owner[CONNECTIONS];
static atomic_uint connections = 1;

/* Who opens has it for reading, who closes before the readers have left, for
 * writing. */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

static atomic_int over;
static atomic_ulong total_messages, total_rounds;
static int never;       /* readable never */
static int tombstone;   /* at its end always */

/*
 * Readers and writers
 */
static ssize_t
receive(struct slot *s, int fd, struct message *m, uint64_t *r)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { never, POLLIN, 0 } };
	struct iovec v[2] = { { m, 20 }, { (char *)m + 20, sizeof *m - 20 } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	int all = s->kind == TCP ? MSG_WAITALL : 0;
	struct timeval tv = { 0, 1000 * (int)below(r, 20) };
	int ms = (int)tv.tv_usec / 1000, n;
	fd_set set;

	/* Linux wakes poll() and select() by the file that they came with, but
	 * what they then look at is what has its number by now.  If that is
	 * not ready, or for select() nothing at all, they wait on, and wake no
	 * more: so where this can be, not for ever. */
	do {
		n = 1;
		switch (below(r, 5)) {
		case 0:
			doing("poll one", fd);
			n = poll(p, 1, s->rough ? ms : -1);
			CHECK(n == (p[0].revents != 0));
			break;
		case 1:
			doing("poll two", fd);
			n = poll(p, 2, s->rough ? ms : 1000000);
			CHECK(n == (p[0].revents != 0));
			CHECK(p[1].revents == 0);
			break;
		case 2:
			doing("select", fd);
			FD_ZERO(&set);
			FD_SET(fd, &set);
			n = select(fd + 1, &set, NULL, NULL,
				   s->rough ? &tv : NULL);
			CHECK(n >= 0 || errno == EBADF);
			break;
		default:
			break;
		}
		CHECK(n != 0 || s->rough);
	} while (n == 0);
	/* With two readers, who polled may still have to wait. */
	doing("receive", fd);
	if (s->kind == PIPE)
		return below(r, 2) ? read(fd, m, sizeof *m)
				   : readv(fd, v, 2);
	switch (below(r, all ? 2 : 4)) {
	case 0:
		return recv(fd, m, sizeof *m, all);
	case 1:
		return recvmsg(fd, &h, all);
	case 2:
		return read(fd, m, sizeof *m);
	default:
		return readv(fd, v, 2);
	}
}

static void
takes(struct slot *s, struct message *m, int64_t *last)
{
	uint64_t arrived = s->arrived;

	check_sum(m);
	CHECK(m->connection < CONNECTIONS && m->seq < MESSAGES);
	CHECK(owner[m->connection] == s - slots);
	/* Once only; and to one reader, in order. */
	CHECK(atomic_exchange(&s->seen[m->seq], m->connection) !=
	      m->connection);
	while (arrived >> 32 == m->connection &&
	       !atomic_compare_exchange_weak(&s->arrived, &arrived,
					     arrived + 1))
		;
	CHECK(*last < ((int64_t)m->connection << 32 | m->seq));
	*last = (int64_t)m->connection << 32 | m->seq;
	atomic_fetch_add(&total_messages, 1);
}

static void *
reads(void *arg)
{
	int n = (int)(intptr_t)arg, which = n % READERS;
	struct slot *s = &slots[n / READERS];
	uint64_t r = stream(1000 + (uint64_t)n);
	struct message m;
	int64_t last = -1;
	ssize_t got;
	int closing;

	be(n);
	for (;;) {
		doing("wait for a connection", 0);
		OK(sem_wait(&s->go[which]));
		if (over)
			break;
		for (;;) {
			/* Look first: what ended before was the end. */
			closing = s->closing;
			got = receive(s, s->fd, &m, &r);
			if (got == sizeof m) {
				takes(s, &m, &last);
				continue;
			}
			/* A message is never cut, but by an end. */
			CHECK(got == 0 || got == -1 || s->kind == TCP);
			if (got == -1)
				CHECK(errno == EBADF || errno == ECONNRESET ||
				      errno == ENOTSOCK);
			if (closing)
				break;
			sched_yield();
		}
		OK(sem_post(&s->left));
	}
	be_gone();
	return NULL;
}

static void *
writes(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct slot *s = &slots[n];
	uint64_t r = stream(2000 + (uint64_t)n);
	struct message m;
	ssize_t put;

	be(SLOTS * READERS + n);
	for (;;) {
		doing("wait for a connection to write to", 0);
		OK(sem_wait(&s->go[READERS]));
		if (over)
			break;
		while (!s->stop && s->sent < MESSAGES) {
			fill(&m, s->connection, (uint32_t)s->sent, &r);
			doing("send", s->peer);
			put = s->kind == PIPE ? write(s->peer, &m, sizeof m)
				: send(s->peer, &m, sizeof m, MSG_NOSIGNAL);
			if (put != sizeof m) {
				/* TCP may take a part before its end. */
				CHECK(put == -1 || s->kind == TCP);
				if (put == -1)
					CHECK(errno == EPIPE ||
					      errno == ECONNRESET);
				break;
			}
			s->sent++;
			dawdle(&r);
		}
		OK(sem_post(&s->written));
	}
	be_gone();
	return NULL;
}

/*
 * Controllers
 */
static void
tcp_pair(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(l != -1);
	a.sin_addr.s_addr = htonl(own_loopback());
	OK(bind(l, (struct sockaddr *)&a, sizeof a));
	OK(listen(l, 1));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(fd[1] != -1);
	OK(connect(fd[1], (struct sockaddr *)&a, len));
	fd[0] = accept(l, NULL, NULL);
	CHECK(fd[0] != -1);
	OK(close(l));
}

static void
open_pair(enum kind kind, int *fd)
{
	switch (kind) {
	case UNIX_STREAM:
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
		break;
	case UNIX_PACKETS:
		OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
		break;
	case TCP:
		tcp_pair(fd);
		break;
	default:
		OK(pipe(fd));
	}
}

/* The writer rests: the next connection gets its number. */
static void
number(struct slot *s)
{
	s->connection = atomic_fetch_add(&connections, 1);
	CHECK(s->connection < CONNECTIONS);
	owner[s->connection] = (unsigned char)(s - slots);
	s->arrived = (uint64_t)s->connection << 32;
	s->sent = s->stop = 0;
}

static void
readers_left(struct slot *s)
{
	int i;

	for (i = 0; i < s->readers; i++)
		OK(sem_wait(&s->left));
}

static void
nap(uint64_t *r)
{
	struct timespec ts = { 0, (long)below(r, 1500) * 1000 };

	doing("nap", 0);
	if (below(r, 3) == 0)
		sched_yield();
	else
		nanosleep(&ts, NULL);
}

/* The other end goes: everything that was sent must have arrived. */
static void
end_by_peer(struct slot *s)
{
	doing("let the peer go", s->peer);
	s->stop = 1;
	OK(sem_wait(&s->written));
	s->closing = 1;
	OK(close(s->peer));
	doing("wait for readers to see the end", s->fd);
	readers_left(s);
	CHECK((uint32_t)s->arrived == (uint32_t)s->sent);
	OK(close(s->fd));
}

/* Makes readers leave the descriptor, and the writer. */
static void
cut(struct slot *s)
{
	s->stop = 1;
	if (s->kind == PIPE) {
		/* A pipe ends when its last writer goes. */
		OK(sem_wait(&s->written));
		OK(close(s->peer));
		s->peer = -1;
	} else {
		OK(shutdown(s->fd, SHUT_RDWR));
	}
}

static void
writer_left(struct slot *s)
{
	if (s->peer != -1) {
		doing("wait for the writer", s->peer);
		OK(sem_wait(&s->written));
		OK(close(s->peer));
	}
}

/* Closed, with readers in it: nobody may open until they have left. */
static void
end_by_close(struct slot *s)
{
	doing("wait for the gate", s->fd);
	OK(pthread_rwlock_wrlock(&gate));
	doing("cut and close", s->fd);
	s->closing = 1;
	cut(s);
	OK(close(s->fd));
	doing("wait for readers of what is closed", s->fd);
	readers_left(s);
	OK(pthread_rwlock_unlock(&gate));
	writer_left(s);
}

/* Replaced by what is at its end: the number stays taken. */
static void
end_by_dup2(struct slot *s)
{
	doing("cut and replace by an end", s->fd);
	s->closing = 1;
	cut(s);
	CHECK(dup2(tombstone, s->fd) == s->fd);
	readers_left(s);
	OK(close(s->fd));
	writer_left(s);
}

/* Shut down, read to the end, and only then closed. */
static void
end_by_shutdown(struct slot *s)
{
	doing("cut", s->fd);
	s->closing = 1;
	cut(s);
	readers_left(s);
	OK(close(s->fd));
	writer_left(s);
}

/* A new connection takes the number under the readers' hands. */
static void
replace(struct slot *s, uint64_t *r)
{
	enum kind kind = s->kind;
	int fd[2];

	doing("replace by a new connection", s->fd);
	if (s->kind != PIPE)
		kind = (enum kind)below(r, TCP);
	OK(pthread_rwlock_rdlock(&gate));
	open_pair(kind, fd);
	OK(pthread_rwlock_unlock(&gate));
	cut(s);
	writer_left(s);
	/* What readers still take now is of the old number, and counted no
	 * more. */
	number(s);
	s->peer = fd[1];
	CHECK(dup2(fd[0], s->fd) == s->fd);
	OK(close(fd[0]));
	OK(sem_post(&s->go[READERS]));
	nap(r);
}

static void *
controls(void *arg)
{
	int n = (int)(intptr_t)arg, i;
	struct slot *s = &slots[n];
	uint64_t r = stream(3000 + (uint64_t)n);
	int fd[2];

	be(SLOTS * (READERS + 1) + n);
	while (!over && !is_over()) {
		doing("open", 0);
		OK(pthread_rwlock_rdlock(&gate));
		s->kind = (enum kind)below(&r, KINDS);
		open_pair(s->kind, fd);
		OK(pthread_rwlock_unlock(&gate));
		s->fd = fd[0];
		s->peer = fd[1];
		s->closing = 0;
		number(s);
		s->readers = 1 + (int)below(&r, READERS);
		if (s->kind == TCP)
			s->readers = 1; /* two could share a message */
		s->rough = (int)below(&r, 2);
		for (i = 0; i < s->readers; i++)
			OK(sem_post(&s->go[i]));
		OK(sem_post(&s->go[READERS]));
		nap(&r);
		/* TCP readers want all, and a half is no end of theirs. */
		while (s->rough && s->kind != TCP && below(&r, 3) == 0)
			replace(s, &r);
		switch (below(&r, s->rough ? 6 : 3)) {
		case 0:
			end_by_peer(s);
			break;
		case 1:
			end_by_dup2(s);
			break;
		case 2:
			end_by_shutdown(s);
			break;
		default:
			end_by_close(s);
		}
		atomic_fetch_add(&total_rounds, 1);
	}
	be_gone();
	return NULL;
}

/*
 * Listeners
 */
static struct listener {
	int fd;
	atomic_uint generation;
	atomic_int closing;
	sem_t go, left;
} listeners[LISTENERS];

static atomic_ulong accepted, refused, listened;

static socklen_t
address(struct sockaddr_un *a, int slot, unsigned generation)
{
	int n;

	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1,
		     "stress_close-%d-%d-%u", (int)getpid(), slot, generation);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)n);
}

/* The message of a connection to a listener says which slot it wanted. */
static void
serve(struct listener *l, int fd)
{
	struct message m;
	ssize_t got;

	doing("serve", fd);
	got = recv(fd, &m, sizeof m, MSG_WAITALL);
	CHECK(got == sizeof m);
	check_sum(&m);
	CHECK(m.connection == (uint32_t)(l - listeners));
	CHECK(m.seq <= l->generation);
	CHECK(send(fd, &m, sizeof m, MSG_NOSIGNAL) == sizeof m);
	OK(close(fd));
	atomic_fetch_add(&accepted, 1);
}

static void *
accepts(void *arg)
{
	int n = (int)(intptr_t)arg, fd, closing;
	struct listener *l = &listeners[n / 2];
	uint64_t r = stream(4000 + (uint64_t)n);
	struct pollfd p;

	be(500 + n);
	for (;;) {
		doing("wait for a listener", 0);
		OK(sem_wait(&l->go));
		if (over)
			break;
		for (;;) {
			closing = l->closing;
			if (below(&r, 3) == 0) {
				doing("poll a listener", l->fd);
				p = (struct pollfd){ l->fd, POLLIN, 0 };
				/* The number may be some connection's by
				 * now: not for ever, as in receive(). */
				CHECK(poll(&p, 1, (int)below(&r, 20)) >= 0);
			}
			doing("accept", l->fd);
			fd = below(&r, 2) ? accept(l->fd, NULL, NULL)
				: accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd != -1) {
				serve(l, fd);
				continue;
			}
			CHECK(errno == EBADF || errno == EINVAL ||
			      errno == ENOTSOCK || errno == ECONNABORTED);
			if (closing)
				break;
		}
		OK(sem_post(&l->left));
	}
	be_gone();
	return NULL;
}

static void *
connects(void *arg)
{
	int n = (int)(intptr_t)arg, slot, fd;
	uint64_t r = stream(5000 + (uint64_t)n);
	struct message m, back;
	struct sockaddr_un a;
	unsigned generation;
	socklen_t len;

	be(600 + n);
	while (!over && !is_over()) {
		slot = (int)below(&r, LISTENERS);
		generation = listeners[slot].generation;
		len = address(&a, slot, generation);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(fd != -1);
		doing("connect", slot);
		fill(&m, (uint32_t)slot, generation, &r);
		if (connect(fd, (struct sockaddr *)&a, len) == -1) {
			CHECK(errno == ECONNREFUSED);
			atomic_fetch_add(&refused, 1);
			sched_yield();
		} else if (send(fd, &m, sizeof m, MSG_NOSIGNAL) != sizeof m) {
			CHECK(errno == EPIPE || errno == ECONNRESET);
		} else {
			doing("wait for an answer", slot);
			if (recv(fd, &back, sizeof back, MSG_WAITALL) ==
			    sizeof back)
				CHECK(memcmp(&m, &back, sizeof m) == 0);
			else
				atomic_fetch_add(&refused, 1);
		}
		OK(close(fd));
		dawdle(&r);
	}
	be_gone();
	return NULL;
}

static void *
listens(void *arg)
{
	int n = (int)(intptr_t)arg, i;
	struct listener *l = &listeners[n];
	uint64_t r = stream(6000 + (uint64_t)n);
	struct sockaddr_un a;
	socklen_t len;

	be(700 + n);
	while (!over && !is_over()) {
		doing("listen", 0);
		OK(pthread_rwlock_rdlock(&gate));
		l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(l->fd != -1);
		len = address(&a, n, l->generation + 1);
		OK(bind(l->fd, (struct sockaddr *)&a, len));
		OK(listen(l->fd, 100));
		OK(pthread_rwlock_unlock(&gate));
		l->closing = 0;
		l->generation++;
		for (i = 0; i < 2; i++)
			OK(sem_post(&l->go));
		nap(&r);
		doing("wait for the gate", l->fd);
		OK(pthread_rwlock_wrlock(&gate));
		doing("end a listener", l->fd);
		l->closing = 1;
		OK(shutdown(l->fd, SHUT_RDWR));
		if (below(&r, 2))
			CHECK(dup2(tombstone, l->fd) == l->fd);
		OK(close(l->fd));
		for (i = 0; i < 2; i++)
			OK(sem_wait(&l->left));
		OK(pthread_rwlock_unlock(&gate));
		atomic_fetch_add(&listened, 1);
	}
	be_gone();
	return NULL;
}

static void
start(pthread_t *th, int n, void *(*fn)(void *))
{
	pthread_attr_t a;
	int i;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, 256 << 10));
	for (i = 0; i < n; i++)
		OK(pthread_create(&th[i], &a, fn, (void *)(intptr_t)i));
	OK(pthread_attr_destroy(&a));
}

static void
finish(pthread_t *th, int n)
{
	int i;

	for (i = 0; i < n; i++)
		OK(pthread_join(th[i], NULL));
}

static void
stress_connections(void)
{
	static pthread_t rd[SLOTS * READERS], wr[SLOTS], ct[SLOTS];
	int i, k;

	over = 0;
	for (i = 0; i < SLOTS; i++) {
		for (k = 0; k <= READERS; k++)
			OK(sem_init(&slots[i].go[k], 0, 0));
		OK(sem_init(&slots[i].left, 0, 0));
		OK(sem_init(&slots[i].written, 0, 0));
	}
	start(rd, LEN(rd), reads);
	start(wr, LEN(wr), writes);
	start(ct, LEN(ct), controls);
	finish(ct, LEN(ct));
	over = 1;
	for (i = 0; i < SLOTS; i++)
		for (k = 0; k <= READERS; k++)
			OK(sem_post(&slots[i].go[k]));
	finish(rd, LEN(rd));
	finish(wr, LEN(wr));
}

static void
stress_listeners(void)
{
	pthread_t ac[LISTENERS * 2], li[LISTENERS], co[LISTENERS];
	int i;

	over = 0;
	for (i = 0; i < LISTENERS; i++) {
		OK(sem_init(&listeners[i].go, 0, 0));
		OK(sem_init(&listeners[i].left, 0, 0));
	}
	start(ac, LEN(ac), accepts);
	start(li, LEN(li), listens);
	start(co, LEN(co), connects);
	finish(li, LEN(li));
	finish(co, LEN(co));
	over = 1;
	for (i = 0; i < LISTENERS * 2; i++)
		OK(sem_post(&listeners[i / 2].go));
	finish(ac, LEN(ac));
}

int
main(int argc, char **argv)
{
	int pair[2], quiet[2], fds;
	int64_t end;

	begin(argc, argv, "stress_close");
	be((int)LEN(at) - 1);
	doing("main", 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	OK(shutdown(pair[0], SHUT_RDWR));
	tombstone = pair[0];
	OK(pipe(quiet));
	never = quiet[0];
	fds = open_fds();

	end = time_over;
	time_over -= (end - now_ns()) / 2;
	stress_connections();
	CHECK(open_fds() == fds);
	time_over = end;
	stress_listeners();
	CHECK(open_fds() == fds);
	printf("stress_close: %lu connections of %lu messages; %lu listeners, "
	       "%lu accepted, %lu refused\n", (unsigned long)connections - 1,
	       total_messages, listened, accepted, refused);
	return 0;
}
