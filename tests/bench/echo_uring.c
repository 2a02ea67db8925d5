/* SPDX-License-Identifier: MIT */
/* echo_uring.c - an echo server as one would write it by hand for io_uring:
 * one ring, one receive or send under way for each connection, and a system
 * call only for all that has gathered.
 *
 *     echo_uring [BYTES]        of a connection's buffer; 4096
 *
 * System calls as they are, without liburing; Linux 5.19.  Ends with status 77
 * where the kernel refuses a ring, having said why.
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "echo.h"

#define ENTRIES 4096
#define COMPLETIONS 65536

struct conn {
	int fd;
	int sends;           /* what is under way: a send, else a receive */
	unsigned begin, end; /* of what in buf has not been sent */
	char buf[];
};

static int ring, listener;
static unsigned size;

/* The two queues, which we share with the kernel: it moves sq_head and
 * cq_tail, we the others. */
static unsigned *sq_head, *sq_tail, *cq_head, *cq_tail;
static unsigned sq_mask, cq_mask, to_submit;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;

static void
enter(unsigned wait_for)
{
	long n;

	do
		n = syscall(SYS_io_uring_enter, ring, to_submit, wait_for,
			    IORING_ENTER_GETEVENTS, NULL, 0);
	while (n < 0 && errno == EINTR);
	/* EBUSY: the kernel keeps completions that we must take first. */
	if (n < 0 && errno != EBUSY && errno != EAGAIN)
		bench_fail("io_uring_enter");
	if (n > 0)
		to_submit -= (unsigned)n;
}

/* A submission to fill in; it is handed over when next we enter. */
static struct io_uring_sqe *
submission(int op, int fd, struct conn *c)
{
	unsigned tail = *sq_tail;
	struct io_uring_sqe *e = &sqes[tail & sq_mask];

	while (tail - __atomic_load_n(sq_head, __ATOMIC_ACQUIRE) > sq_mask)
		enter(0);
	memset(e, 0, sizeof *e);
	e->opcode = (uint8_t)op;
	e->fd = fd;
	e->user_data = (uintptr_t)c;
	return e;
}

static void
submit(void)
{
	__atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
	to_submit++;
}

/* One submission, a completion for each connection. */
static void
accept_all(void)
{
	struct io_uring_sqe *e = submission(IORING_OP_ACCEPT, listener, NULL);

	e->ioprio = IORING_ACCEPT_MULTISHOT;
	e->accept_flags = SOCK_CLOEXEC;
	submit();
}

static void
receive(struct conn *c)
{
	struct io_uring_sqe *e = submission(IORING_OP_RECV, c->fd, c);

	c->sends = 0;
	e->addr = (uintptr_t)c->buf;
	e->len = size;
	submit();
}

static void
send_rest(struct conn *c)
{
	struct io_uring_sqe *e = submission(IORING_OP_SEND, c->fd, c);

	c->sends = 1;
	e->addr = (uintptr_t)(c->buf + c->begin);
	e->len = c->end - c->begin;
	e->msg_flags = MSG_NOSIGNAL;
	submit();
}

static void
accepted(int fd, int more)
{
	struct conn *c;

	if (fd < 0) {
		errno = -fd;
		if (errno != ECONNABORTED && errno != EINTR)
			bench_fail("accept");
	} else {
		c = malloc(sizeof *c + size);
		if (!c)
			bench_fail("malloc");
		c->fd = fd;
		receive(c);
	}
	if (!more)
		accept_all();
}

static void
go_on(struct conn *c, int result)
{
	if (result <= 0) {
		close(c->fd);
		free(c);
		return;
	}
	if (c->sends) {
		c->begin += (unsigned)result;
	} else {
		c->begin = 0;
		c->end = (unsigned)result;
	}
	if (c->begin < c->end)
		send_rest(c);
	else
		receive(c);
}

static void *
map(size_t bytes, off_t what)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring, what);

	if (p == MAP_FAILED)
		bench_fail("mmap of the ring");
	return p;
}

/* The completions are worked off in our own calls, not by interrupting us:
 * Linux 6.1 and later know DEFER_TASKRUN.  Before, it does without. */
static void
set_up(void)
{
	struct io_uring_params p = { .cq_entries = COMPLETIONS };
	char *sq, *cq;
	unsigned *array;

	p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
		  IORING_SETUP_DEFER_TASKRUN;
	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring < 0 && errno == EINVAL) {
		p = (struct io_uring_params){ .cq_entries = COMPLETIONS,
					      .flags = IORING_SETUP_CQSIZE };
		ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	}
	if (ring < 0) {
		perror("the kernel gives no io_uring");
		exit(77);
	}
	sq = map(p.sq_off.array + p.sq_entries * sizeof *array,
		 IORING_OFF_SQ_RING);
	cq = map(p.cq_off.cqes + p.cq_entries * sizeof *cqes,
		 IORING_OFF_CQ_RING);
	sqes = map(p.sq_entries * sizeof *sqes, IORING_OFF_SQES);
	sq_head = (unsigned *)(sq + p.sq_off.head);
	sq_tail = (unsigned *)(sq + p.sq_off.tail);
	sq_mask = *(unsigned *)(sq + p.sq_off.ring_mask);
	cq_head = (unsigned *)(cq + p.cq_off.head);
	cq_tail = (unsigned *)(cq + p.cq_off.tail);
	cq_mask = *(unsigned *)(cq + p.cq_off.ring_mask);
	cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	array = (unsigned *)(sq + p.sq_off.array);
	for (unsigned i = 0; i < p.sq_entries; i++)
		array[i] = i;
}

int
main(int argc, char **argv)
{
	size = argc > 1 ? (unsigned)bench_number(argv[1]) : 4096;
	set_up();
	listener = echo_listen(0);
	accept_all();
	for (;;) {
		unsigned head = *cq_head, tail;

		enter(1);
		tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
		for (; head != tail; head++) {
			struct io_uring_cqe e = cqes[head & cq_mask];
			struct conn *c = (struct conn *)(uintptr_t)e.user_data;

			/* Before it leads to a submission, which may enter. */
			__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
			if (c)
				go_on(c, e.res);
			else
				accepted(e.res, e.flags & IORING_CQE_F_MORE);
		}
	}
}
