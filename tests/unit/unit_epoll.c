/* SPDX-License-Identifier: MIT */
/* unit_epoll.c - hook/epoll.c with a script in libc's and the scheduler's place.
 *
 * The kernel's epoll_wait(2) may find nothing where another that takes from the
 * set is just putting an event back, and of that no edge is told: who finds
 * nothing must ask poll(2) before it waits, unless it was alone.  Here such a
 * miss happens each time that it can. */
#include "unit.h"

#include <errno.h>
#include <sys/epoll.h>

#include "hook/sigfd.h"

enum { SET = 7 };

static struct co me;
static struct co_fd set, other_set;
static int polls, waits;        /* so many were made */
static bool there;              /* an event is in the set, and stays there */
static void (*meanwhile)(void); /* happens in the first epoll_wait() */
static struct epoll_event ev;

__thread struct co_tls co_tls;
int co_active;
_Atomic uint32_t co_fd_shares;

static int
kernel_epoll_wait(int fd, struct epoll_event *to, int max, int timeout)
{
	void (*happens)(void) = meanwhile;

	(void)to;
	assert_int_equal(fd, SET);
	assert_int_equal(max, 1);
	if (timeout != 0)
		return 1;
	if (happens == NULL)
		return there;
	/* What happens meanwhile hides the event. */
	meanwhile = NULL;
	happens();
	return 0;
}

static int
kernel_poll(struct pollfd *p, nfds_t n, int timeout)
{
	assert_int_equal(p->fd, SET);
	assert_int_equal(n, 1);
	assert_int_equal(timeout, 0);
	polls++;
	return there;
}

/* There are no signalfds. */
_Atomic int co_sigfds;

void
co_lend(struct co *self, struct co_lent *l)
{
	(void)self;
	(void)l;
	fail();
}

void
co_lend_end(struct co *self, struct co_lent *l, uint16_t *taken)
{
	(void)self;
	(void)l;
	(void)taken;
	fail();
}

int
co_sigep_add(struct co *self, int epfd, struct epoll_event *to, int n, int max)
{
	(void)self;
	(void)epfd;
	(void)to;
	(void)n;
	(void)max;
	fail();
	return -1;
}

struct co_real real = {
	.epoll_wait = kernel_epoll_wait,
	.poll = kernel_poll,
};

struct co_fd *
co_fd(int fd)
{
	return fd == SET ? &set : &other_set;
}

void
co_io_begin(struct co_io *io, int fd, int dir, const char *why)
{
	memset(io, 0, sizeof(*io));
	io->fd = fd;
	io->dir = dir;
	io->why = why;
	io->self = &me;
	io->slot = co_fd(fd);
	io->saved_errno = errno;
}

/* Of what is there already no edge comes. */
int
co_io_wait(struct co_io *io)
{
	(void)io;
	if (there)
		fail_msg("waits for an event that is there");
	waits++;
	there = true;
	return 0;
}

/* Nobody takes turns here. */
void
co_fd_pass(struct co *self)
{
	(void)self;
}

int
co_turn_unwound(int version, int actions, uint64_t class, void *what,
		void *context)
{
	(void)version;
	(void)actions;
	(void)class;
	(void)what;
	(void)context;
	return 8; /* _URC_CONTINUE_UNWIND */
}

int64_t
co_deadline_after(int64_t ns)
{
	return ns;
}

int
co_copy(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
	return 0;
}

int
co_sigmask(int how, const sigset_t *mask, sigset_t *old)
{
	(void)how;
	(void)mask;
	(void)old;
	return 0;
}

static int
a_set(void **state)
{
	(void)state;
	memset(&set, 0, sizeof(set));
	memset(&other_set, 0, sizeof(other_set));
	set.shared_at = co_fd_shares;
	polls = waits = 0;
	there = false;
	meanwhile = NULL;
	co_active = 1;
	co_tls.self = &me;
	return 0;
}

/* --- who takes --- */

static void
nobody(void)
{
}

/* A thread that is none of ours, or does not wait. */
static void
one_who_does_not_wait(void)
{
	assert_int_equal(epoll_wait(SET, &ev, 1, 0), 1);
}

static void
one_of_the_kernels(void)
{
	co_tls.self = NULL;
	assert_int_equal(epoll_wait(SET, &ev, 1, -1), 1);
	co_tls.self = &me;
}

static void
one_that_waits(void)
{
	assert_int_equal(epoll_wait(SET, &ev, 1, -1), 1);
}

static void
takes_while(void (*happens)(void), int asks)
{
	there = true;
	meanwhile = happens;
	assert_int_equal(epoll_wait(SET, &ev, 1, -1), 1);
	assert_int_equal(polls, asks);
	assert_int_equal(waits, 0);
	assert_int_equal(set.taking, 0);
}

static void
another_who_does_not_wait_may_hide_an_event(void **state)
{
	(void)state;
	takes_while(one_who_does_not_wait, 1);
}

static void
a_kernel_thread_may_hide_an_event(void **state)
{
	(void)state;
	takes_while(one_of_the_kernels, 1);
}

static void
another_that_waits_may_hide_an_event(void **state)
{
	(void)state;
	takes_while(one_that_waits, 1);
}

/* It began before us, and is not back yet. */
static void
one_that_takes_all_the_time_may_hide_an_event(void **state)
{
	(void)state;
	set.taking = 1;
	there = true;
	meanwhile = nobody;
	assert_int_equal(epoll_wait(SET, &ev, 1, -1), 1);
	assert_int_equal(polls, 1);
	assert_int_equal(set.taking, 1);
}

static void
another_number_of_the_set_may_hide_an_event(void **state)
{
	(void)state;
	set.flags = CO_FDF_DUPPED;
	takes_while(nobody, 1);
}

static void
a_process_that_has_the_set_may_hide_an_event(void **state)
{
	(void)state;
	co_fd_shares++;
	takes_while(nobody, 1);
}

static void
forks_meanwhile(void)
{
	co_fd_shares++;
}

static void
a_child_that_is_made_meanwhile_may_hide_an_event(void **state)
{
	(void)state;
	takes_while(forks_meanwhile, 1);
}

/* Alone, whoever finds nothing need not ask again. */
static void
who_is_alone_asks_once(void **state)
{
	int i;

	(void)state;
	for (i = 1; i <= 3; i++) {
		there = false;
		assert_int_equal(epoll_wait(SET, &ev, 1, -1), 1);
		assert_int_equal(polls, 0);
		assert_int_equal(waits, i);
		assert_int_equal(set.taking, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN(fact) cmocka_unit_test_setup(fact, a_set)
		IN(another_who_does_not_wait_may_hide_an_event),
		IN(a_kernel_thread_may_hide_an_event),
		IN(another_that_waits_may_hide_an_event),
		IN(one_that_takes_all_the_time_may_hide_an_event),
		IN(another_number_of_the_set_may_hide_an_event),
		IN(a_process_that_has_the_set_may_hide_an_event),
		IN(a_child_that_is_made_meanwhile_may_hide_an_event),
		IN(who_is_alone_asks_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
