/* SPDX-License-Identifier: MIT */
/* unit_fd.c - sched/fd.c, with an epoll that only takes notes. */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "parkers.h"
#include "sched/fd.h"
#include "sched/log.h"

enum { FD = 7, LEAF = 1024, SOME = 8 };

static struct {
	struct co_parker parker;
	struct co_fd_wait wait;
} people[SOME];

/* What the poller was asked for. */
static int adds, dels, add_gives, added_fd, deleted_fd, our_fd;
static uint32_t added_gen;

int
co_poller_add(int fd, uint32_t gen)
{
	adds++;
	added_fd = fd;
	added_gen = gen;
	return add_gives;
}

/* Nobody reads it. */
void
co_log(enum co_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

/* A system call: not for under the lock, which the poller wants too. */
void
co_poller_del(int fd)
{
	assert_int_equal(co_fd_if(fd)->lock.word, 0);
	dels++;
	deleted_fd = fd;
}

bool
co_is_our_fd(int fd)
{
	return fd == our_fd;
}

/* Each test begins as a process of its own. */
static int
a_new_table(void **state)
{
	(void)state;
	parkers_reset();
	co_fd_forked();
	memset(people, 0, sizeof(people));
	adds = dels = add_gives = 0;
	added_fd = deleted_fd = our_fd = -1;
	return 0;
}

static int
critical_sections_are_left(void **state)
{
	(void)state;
	return co_tls.critical;
}

/* As a call does it: looks, tries, and then enters. */
static int
enters(int who, int fd, int dir)
{
	struct co_fd *s = co_fd(fd);

	parker_me = &people[who].parker;
	return co_fd_enter(&people[who].wait, fd, s, dir, s->gen, s->seq[dir]);
}

static enum co_why
why(int who)
{
	return parker_why(&people[who].parker);
}

static void
event_of(int fd, uint32_t gen, uint32_t events)
{
	co_fd_event((uint64_t)gen << 32 | (uint32_t)fd, events);
}

static void
event(int fd, uint32_t events)
{
	event_of(fd, co_fd(fd)->gen, events);
}

static void
a_number_has_one_slot_of_its_own(void **state)
{
	static const int fds[] = { 0, 1, LEAF - 1, LEAF, 5 * LEAF + 3,
				   INT_MAX };
	size_t i, k;

	(void)state;
	for (i = 0; i < UNIT_COUNT(fds); i++) {
		assert_non_null(co_fd(fds[i]));
		assert_ptr_equal(co_fd(fds[i]), co_fd(fds[i]));
		assert_ptr_equal(co_fd_if(fds[i]), co_fd(fds[i]));
		for (k = 0; k < i; k++)
			assert_ptr_not_equal(co_fd(fds[i]), co_fd(fds[k]));
	}
	assert_null(co_fd(-1));
	assert_null(co_fd_if(-1));
	assert_null(co_fd(INT_MIN));
}

static void
a_new_slot_knows_nothing(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	assert_int_equal(s->kind, CO_FD_UNKNOWN);
	assert_int_equal(s->flags, 0);
	assert_int_equal(s->registered, 0);
	assert_int_equal(s->timeout[CO_IN], -1);
	assert_int_equal(s->timeout[CO_OUT], -1);
	assert_null(s->waits[CO_IN]);
	assert_null(s->waits[CO_OUT]);
}

static void
what_was_never_used_is_not_made_by_a_look(void **state)
{
	(void)state;
	assert_null(co_fd_if(300 * LEAF));
	co_fd(300 * LEAF + 1);
	assert_null(co_fd_if(300 * LEAF));
	co_fd_forget(300 * LEAF);
	co_fd_closed(300 * LEAF);
	event_of(300 * LEAF, 0, EPOLLIN);
	event_of(400 * LEAF, 0, EPOLLIN);
	assert_null(co_fd_if(300 * LEAF));
	assert_null(co_fd_if(400 * LEAF));
}

static void
it_is_registered_once_in_its_life(void **state)
{
	(void)state;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 1);
	assert_int_equal(added_fd, FD);
	assert_int_equal(added_gen, co_fd(FD)->gen);
	assert_int_equal(enters(1, FD, CO_OUT), 0);
	co_fd_leave(&people[0].wait);
	co_fd_leave(&people[1].wait);
	co_disarm(&people[0].parker);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 1);

	co_fd_forget(FD);
	co_fd_closed(FD);
	co_disarm(&people[0].parker);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 2);
	assert_int_equal(added_gen, co_fd(FD)->gen);
}

static void
what_epoll_will_not_watch_is_said_and_asked_again(void **state)
{
	(void)state;
	add_gives = -EPERM;
	assert_int_equal(enters(0, FD, CO_IN), -EPERM);
	assert_int_equal(people[0].parker.state, CO_RUN);
	assert_null(co_fd(FD)->waits[CO_IN]);
	co_fd_leave(&people[0].wait);

	add_gives = 0;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 2);
	assert_true(parker_armed(&people[0].parker));
}

static void
an_event_wakes_who_waits_for_that(void **state)
{
	static const struct {
		uint32_t events;
		bool in, out, hup;
	} cases[] = {
		{ EPOLLIN, true, false, false },
		{ EPOLLOUT, false, true, false },
		{ EPOLLIN | EPOLLOUT, true, true, false },
		{ EPOLLPRI, true, false, true },
		{ EPOLLIN | EPOLLRDHUP, true, false, true },
		{ EPOLLHUP, true, true, true },
		{ EPOLLERR, true, true, true },
	};
	struct co_fd *s = co_fd(FD);
	uint32_t seq[CO_DIRS];
	size_t i;

	for (i = 0; i < UNIT_COUNT(cases); i++) {
		a_new_table(state);
		s = co_fd(FD);
		assert_int_equal(enters(0, FD, CO_IN), 0);
		assert_int_equal(enters(1, FD, CO_IN), 0);
		assert_int_equal(enters(2, FD, CO_OUT), 0);
		assert_int_equal(enters(3, FD, CO_OUT), 0);
		seq[CO_IN] = s->seq[CO_IN];
		seq[CO_OUT] = s->seq[CO_OUT];
		event(FD, cases[i].events);

		assert_int_equal(why(0), cases[i].in ? CO_WOKEN : CO_NONE);
		assert_int_equal(why(1), why(0));
		assert_int_equal(why(2), cases[i].out ? CO_WOKEN : CO_NONE);
		assert_int_equal(why(3), why(2));
		assert_int_equal(s->waits[CO_IN] == NULL, cases[i].in);
		assert_int_equal(s->waits[CO_OUT] == NULL, cases[i].out);
		assert_int_equal(s->seq[CO_IN], seq[CO_IN] + cases[i].in);
		assert_int_equal(s->seq[CO_OUT], seq[CO_OUT] + cases[i].out);
		assert_int_equal((s->flags & CO_FDF_HUP) != 0, cases[i].hup);
	}
}

static void
an_event_since_the_look_means_trying_again(void **state)
{
	struct co_fd *s = co_fd(FD);
	uint32_t gen = s->gen, in = s->seq[CO_IN], out = s->seq[CO_OUT];

	(void)state;
	parker_me = &people[0].parker;
	event(FD, EPOLLIN);
	assert_int_equal(co_fd_enter(&people[0].wait, FD, s, CO_IN, gen, in),
			 1);
	assert_int_equal(people[0].parker.state, CO_RUN);
	assert_null(s->waits[CO_IN]);
	co_fd_leave(&people[0].wait);

	/* The other direction has had none. */
	assert_int_equal(co_fd_enter(&people[0].wait, FD, s, CO_OUT, gen, out),
			 0);
	assert_true(parker_armed(&people[0].parker));
}

static void
who_looks_again_by_itself_is_queued_whatever_came(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	event(FD, EPOLLIN);
	co_arm(&people[0].parker);
	assert_int_equal(co_fd_enter_any(&people[0].wait, FD, s, CO_IN,
					 s->gen, NULL, &people[0].parker), 0);
	assert_ptr_equal(s->waits[CO_IN], &people[0].wait);
	event(FD, EPOLLIN);
	assert_int_equal(why(0), CO_WOKEN);
}

static void
who_looked_before_a_close_is_told(void **state)
{
	struct co_fd *s = co_fd(FD);
	uint32_t gen = s->gen, seq = s->seq[CO_IN];

	(void)state;
	parker_me = &people[0].parker;
	co_fd_forget(FD);
	assert_int_equal(co_fd_enter(&people[0].wait, FD, s, CO_IN, gen, seq),
			 -EBADF);
	assert_int_equal(people[0].parker.state, CO_RUN);
	assert_int_equal(adds, 0);
	assert_null(s->waits[CO_IN]);
}

static void
a_close_wakes_all_who_wait(void **state)
{
	struct co_fd *s = co_fd(FD);
	uint32_t gen = s->gen;
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_int_equal(enters(i, FD, i % CO_DIRS), 0);
	assert_int_equal(enters(6, FD + 1, CO_IN), 0);
	co_fd_forget(FD);

	for (i = 0; i < 6; i++) {
		assert_int_equal(why(i), CO_CLOSED);
		co_fd_leave(&people[i].wait);
	}
	assert_true(parker_armed(&people[6].parker));
	assert_null(s->waits[CO_IN]);
	assert_null(s->waits[CO_OUT]);
	assert_int_equal(s->gen, gen + 1);
}

/* They entered between the forgetting and the close itself. */
static void
who_came_while_it_was_closed_tries_again(void **state)
{
	(void)state;
	co_fd(FD);
	co_fd_forget(FD);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(enters(1, FD, CO_OUT), 0);
	co_fd_closed(FD);

	assert_int_equal(why(0), CO_WOKEN);
	assert_int_equal(why(1), CO_WOKEN);
	co_disarm(&people[0].parker);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 2); /* what was registered has gone */
}

static void
who_is_awake_already_is_only_unlinked(void **state)
{
	bool parked;

	(void)state;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_claim(&people[0].parker, CO_TIMEOUT, &parked);
	event(FD, EPOLLIN);

	assert_int_equal(why(0), CO_TIMEOUT);
	assert_int_equal(parkers_nwoken, 0);
	assert_null(co_fd(FD)->waits[CO_IN]);
	co_fd_leave(&people[0].wait);
}

static void
who_has_left_is_not_woken(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(enters(i, FD, CO_IN), 0);
	co_fd_leave(&people[0].wait);
	co_fd_leave(&people[2].wait);
	co_fd_leave(&people[4].wait);
	co_fd_leave(&people[2].wait);
	event(FD, EPOLLIN);

	for (i = 0; i < 5; i++)
		assert_int_equal(why(i), i % 2 ? CO_WOKEN : CO_NONE);
	assert_null(co_fd(FD)->waits[CO_IN]);
}

/* --- in turn --- */

static int
enters_turn(int who, int fd)
{
	struct co_fd *s = co_fd(fd);

	parker_me = &people[who].parker;
	return co_fd_enter_turn(&people[who].wait, fd, s, s->gen,
				s->seq[CO_IN]);
}

/* Those of the first n that are awake, a bit each. */
static unsigned
awake(int n)
{
	unsigned bits = 0;
	int i;

	for (i = 0; i < n; i++)
		if (why(i) == CO_WOKEN)
			bits |= 1u << i;
	return bits;
}

static void
an_event_is_one_turn_and_all_who_do_not_wait_in_turn(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(enters_turn(i, FD), 0);
	for (i = 3; i < 5; i++)
		assert_int_equal(enters(i, FD, CO_IN), 0);
	event(FD, EPOLLIN);
	assert_int_equal(awake(5), 1u << 0 | 1u << 3 | 1u << 4);
	event(FD, EPOLLIN | EPOLLOUT);
	assert_int_equal(awake(5), 1u << 0 | 1u << 1 | 1u << 3 | 1u << 4);
	event(FD, EPOLLOUT);
	assert_int_equal(why(2), CO_NONE);
}

static void
an_end_is_not_for_one_alone(void **state)
{
	static const uint32_t ends[] = { EPOLLHUP, EPOLLERR,
					 EPOLLIN | EPOLLRDHUP, EPOLLPRI };
	size_t k;
	int i;

	for (k = 0; k < UNIT_COUNT(ends); k++) {
		a_new_table(state);
		for (i = 0; i < 3; i++)
			assert_int_equal(enters_turn(i, FD), 0);
		event(FD, ends[k]);
		assert_int_equal(awake(3), 7);
		assert_null(co_fd(FD)->turns);
	}
}

static void
a_turn_is_passed_on_to_the_next_once(void **state)
{
	struct co_fd *s = co_fd(FD);
	struct co me = { .turn = NULL };
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(enters_turn(i, FD), 0);
	co_fd_pass(&me);
	assert_int_equal(awake(3), 0);
	event(FD, EPOLLIN);
	co_fd_has_turn(&me, s, s->gen);
	co_fd_pass(&me);
	assert_int_equal(awake(3), 3);
	co_fd_pass(&me);
	assert_int_equal(awake(3), 3);
	co_fd_has_turn(&me, s, s->gen);
	co_fd_pass(&me);
	co_fd_has_turn(&me, s, s->gen);
	co_fd_pass(&me);
	assert_int_equal(awake(3), 7);
}

static void
a_turn_of_an_earlier_life_is_nothing(void **state)
{
	struct co_fd *s = co_fd(FD);
	struct co me = { .turn = NULL };

	(void)state;
	co_fd_has_turn(&me, s, s->gen);
	co_fd_forget(FD);
	co_fd_closed(FD);
	assert_int_equal(enters_turn(0, FD), 0);
	co_fd_pass(&me);
	assert_int_equal(why(0), CO_NONE);
	assert_null(me.turn);
}

/* The turn is not lost on who is awake for another reason. */
static void
a_turn_goes_to_one_who_still_sleeps(void **state)
{
	bool parked;
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(enters_turn(i, FD), 0);
	co_claim(&people[0].parker, CO_TIMEOUT, &parked);
	co_claim(&people[1].parker, CO_SIGNAL, &parked);
	event(FD, EPOLLIN);
	assert_int_equal(awake(4), 1u << 2);
	co_fd_leave(&people[0].wait);
	co_fd_leave(&people[1].wait);
	assert_int_equal(why(3), CO_NONE);
}

static void
who_waits_in_turn_may_leave_from_anywhere(void **state)
{
	unsigned left;
	int i;

	/* Each set of leavers out of four, in both orders. */
	for (left = 0; left < 32; left++) {
		a_new_table(state);
		for (i = 0; i < 4; i++)
			assert_int_equal(enters_turn(i, FD), 0);
		for (i = 0; i < 4; i++)
			if (left & 1u << (left & 16 ? i : 3 - i))
				co_fd_leave(&people[left & 16 ? i : 3 - i]
						     .wait);
		for (i = 0; i < 4; i++) {
			if (left & 1u << i)
				continue;
			assert_int_equal(why(i), CO_NONE);
			event(FD, EPOLLIN);
			assert_int_equal(why(i), CO_WOKEN);
		}
		assert_null(co_fd(FD)->turns);
		event(FD, EPOLLIN);
		assert_int_equal(awake(4), ~left & 15);
	}
}

static void
a_close_ends_all_turns(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(enters_turn(i, FD), 0);
	co_fd_forget(FD);
	for (i = 0; i < 3; i++)
		assert_int_equal(why(i), CO_CLOSED);
	assert_null(co_fd(FD)->turns);
}

/* It was in epoll_wait's answer already when the number was closed. */
static void
an_event_of_an_earlier_life_is_nothing(void **state)
{
	struct co_fd *s = co_fd(FD);
	uint32_t gen = s->gen, seq;

	(void)state;
	co_fd_forget(FD);
	co_fd_closed(FD);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(enters(1, FD, CO_OUT), 0);
	seq = s->seq[CO_IN];
	event_of(FD, gen, EPOLLIN | EPOLLOUT | EPOLLHUP);

	assert_true(parker_armed(&people[0].parker));
	assert_true(parker_armed(&people[1].parker));
	assert_int_equal(s->seq[CO_IN], seq);
	assert_int_equal(s->flags, 0);
	event_of(FD, gen + 1, EPOLLIN);
	assert_int_equal(why(0), CO_WOKEN);
}

static void
a_close_forgets_all_that_was_known(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	s->kind = CO_FD_SOCKET;
	s->flags = CO_FDF_TCP | CO_FDF_OURS;
	s->nowait[CO_IN] = s->nowait[CO_OUT] = 2;
	s->empty = 1;
	s->timeout[CO_IN] = s->timeout[CO_OUT] = 5;
	co_fd_forget(FD);

	assert_int_equal(s->empty, 0);
	assert_int_equal(s->nowait[CO_IN], 0);
	assert_int_equal(s->nowait[CO_OUT], 0);
	a_new_slot_knows_nothing(state);
}

/* Another thread's open() may have had the number already. */
static void
after_the_close_a_kind_of_our_own_making_stays(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	co_fd_forget(FD);
	s->kind = CO_FD_PIPE;
	co_fd_closed(FD);
	assert_int_equal(s->kind, CO_FD_UNKNOWN);

	s->kind = CO_FD_PIPE;
	s->flags = CO_FDF_OURS;
	co_fd_closed(FD);
	assert_int_equal(s->kind, CO_FD_PIPE);
	assert_int_equal(s->flags, CO_FDF_OURS);
}

/* Its events would go on coming: the description lives on. */
static void
of_several_numbers_one_that_is_closed_leaves_epoll(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	s->shared_at = co_fd_shares;
	s->flags = CO_FDF_OURS | CO_FDF_DUPPED;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_fd_forget(FD);
	assert_int_equal(dels, 1);
	assert_int_equal(deleted_fd, FD);

	co_fd_forget(FD); /* no more in it */
	assert_int_equal(dels, 1);
}

static void
what_somebody_else_may_share_leaves_epoll(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	s->shared_at = co_fd_shares++;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_fd_forget(FD);
	assert_int_equal(dels, 1);
}

/* Inherited, or got from another process: who knows who has it. */
static void
what_we_have_not_made_leaves_epoll(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	s->shared_at = co_fd_shares;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_fd_forget(FD);
	assert_int_equal(dels, 1);
}

static void
what_is_ours_alone_leaves_epoll_by_itself(void **state)
{
	struct co_fd *s = co_fd(FD);

	(void)state;
	s->flags = CO_FDF_OURS;
	s->shared_at = co_fd_shares;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_fd_forget(FD);
	assert_int_equal(dels, 0);

	/* Never in it: nothing to take out. */
	s->flags = CO_FDF_DUPPED;
	co_fd_forget(FD);
	assert_int_equal(dels, 0);
}

static void
a_range_is_forgotten_from_end_to_end(void **state)
{
	static const int fds[] = { 2, 3, 4, LEAF - 1, LEAF, 7 * LEAF,
				   7 * LEAF + 1 };
	size_t i;

	(void)state;
	our_fd = 4;
	for (i = 0; i < UNIT_COUNT(fds); i++)
		assert_int_equal(enters((int)i, fds[i], CO_IN), 0);
	co_fd_forget_range(3, 7 * LEAF);

	for (i = 0; i < UNIT_COUNT(fds); i++)
		assert_int_equal(why((int)i),
				 i == 0 || i == 2 || i == 6 ? CO_NONE
							    : CO_CLOSED);
}

static void
a_range_without_end_is_all_the_rest(void **state)
{
	(void)state;
	assert_int_equal(enters(0, FD - 1, CO_IN), 0);
	assert_int_equal(enters(1, FD, CO_IN), 0);
	assert_int_equal(enters(2, INT_MAX, CO_IN), 0);
	co_fd_forget_range(FD, UINT_MAX);
	assert_int_equal(why(0), CO_NONE);
	assert_int_equal(why(1), CO_CLOSED);
	assert_int_equal(why(2), CO_CLOSED);
}

/* Numbers that the table has no room for yet are passed over, those only. */
static void
a_range_may_begin_where_none_was_ever_used(void **state)
{
	(void)state;
	assert_int_equal(enters(0, 51 * LEAF + 1, CO_IN), 0);
	co_fd_forget_range(50 * LEAF + 5, 51 * LEAF + 5);
	assert_int_equal(why(0), CO_CLOSED);
}

static void
an_empty_range_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	co_fd_forget_range(FD + 1, FD);
	co_fd_forget_range(FD + 1, FD + 1);
	co_fd_forget_range((unsigned)INT_MAX + 1, UINT_MAX);
	assert_int_equal(why(0), CO_NONE);
}

static void
of_a_closed_range_all_try_again(void **state)
{
	(void)state;
	our_fd = FD + 1;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(enters(1, FD + 1, CO_IN), 0);
	assert_int_equal(enters(2, FD + 2, CO_IN), 0);
	co_fd_closed_range(FD, FD + 1);
	assert_int_equal(why(0), CO_WOKEN);
	assert_int_equal(why(1), CO_NONE);
	assert_int_equal(why(2), CO_NONE);
}

static void
a_lost_epoll_is_entered_anew_by_all(void **state)
{
	uint32_t gen;

	(void)state;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(enters(1, FD, CO_OUT), 0);
	assert_int_equal(enters(2, 3 * LEAF, CO_IN), 0);
	gen = co_fd(FD)->gen;
	co_fd_renew_all();

	assert_int_equal(why(0), CO_WOKEN);
	assert_int_equal(why(1), CO_WOKEN);
	assert_int_equal(why(2), CO_WOKEN);
	assert_int_equal(co_fd(FD)->gen, gen); /* it is open as before */
	co_disarm(&people[0].parker);
	assert_int_equal(enters(0, FD, CO_IN), 0);
	assert_int_equal(adds, 3);
}

static void
a_fork_knows_no_slot_of_before(void **state)
{
	struct co_fd *s = co_fd(FD);
	uint32_t gen = s->gen, shares = co_fd_shares;

	(void)state;
	s->kind = CO_FD_SOCKET;
	s->flags = CO_FDF_OURS;
	s->timeout[CO_IN] = 5;
	assert_int_equal(enters(0, FD, CO_IN), 0);
	s->lock.word = 1; /* another thread held it: it is not in the child */
	co_fd_forked();

	assert_int_equal(co_fd_shares, shares + 1);
	assert_null(co_fd_if(FD));
	co_fd_forget(FD);
	event_of(FD, gen, EPOLLIN);
	assert_true(parker_armed(&people[0].parker));

	assert_ptr_equal(co_fd(FD), s);
	assert_int_equal(s->gen, gen + 1);
	assert_int_equal(s->lock.word, 0);
	a_new_slot_knows_nothing(state);
	event_of(FD, gen, EPOLLIN);
	assert_true(parker_armed(&people[0].parker));
	assert_int_equal(enters(1, FD, CO_IN), 0);
	assert_int_equal(adds, 2);
}

#define T(t)                                                                  \
	cmocka_unit_test_setup_teardown(t, a_new_table,                       \
					critical_sections_are_left)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_number_has_one_slot_of_its_own),
		T(a_new_slot_knows_nothing),
		T(what_was_never_used_is_not_made_by_a_look),
		T(it_is_registered_once_in_its_life),
		T(what_epoll_will_not_watch_is_said_and_asked_again),
		T(an_event_wakes_who_waits_for_that),
		T(an_event_since_the_look_means_trying_again),
		T(who_looks_again_by_itself_is_queued_whatever_came),
		T(who_looked_before_a_close_is_told),
		T(a_close_wakes_all_who_wait),
		T(who_came_while_it_was_closed_tries_again),
		T(who_is_awake_already_is_only_unlinked),
		T(who_has_left_is_not_woken),
		T(an_event_is_one_turn_and_all_who_do_not_wait_in_turn),
		T(an_end_is_not_for_one_alone),
		T(a_turn_is_passed_on_to_the_next_once),
		T(a_turn_of_an_earlier_life_is_nothing),
		T(a_turn_goes_to_one_who_still_sleeps),
		T(who_waits_in_turn_may_leave_from_anywhere),
		T(a_close_ends_all_turns),
		T(an_event_of_an_earlier_life_is_nothing),
		T(a_close_forgets_all_that_was_known),
		T(after_the_close_a_kind_of_our_own_making_stays),
		T(of_several_numbers_one_that_is_closed_leaves_epoll),
		T(what_somebody_else_may_share_leaves_epoll),
		T(what_we_have_not_made_leaves_epoll),
		T(what_is_ours_alone_leaves_epoll_by_itself),
		T(a_range_is_forgotten_from_end_to_end),
		T(a_range_without_end_is_all_the_rest),
		T(a_range_may_begin_where_none_was_ever_used),
		T(an_empty_range_is_nothing),
		T(of_a_closed_range_all_try_again),
		T(a_lost_epoll_is_entered_anew_by_all),
		T(a_fork_knows_no_slot_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
