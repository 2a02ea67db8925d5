/* SPDX-License-Identifier: MIT */
/* unit_timer.c - sched/timer.c with a clock and a poller of the test's. */
#include "unit.h"

#include <limits.h>

#include "parkers.h"

enum { SOME = 60 };
static struct co_parker people[SOME];

static int64_t clock_now;
static int looks;       /* at the clock */
static bool polls;      /* somebody waits in the poller */
static int kicks;

int64_t
co_now(void)
{
	looks++;
	return clock_now;
}

bool
co_somebody_polls(void)
{
	return polls;
}

void
co_poller_kick(void)
{
	kicks++;
}

static int
no_deadlines(void **state)
{
	(void)state;
	parkers_reset();
	memset(people, 0, sizeof(people));
	clock_now = looks = kicks = 0;
	polls = false;
	co_timers_forked();
	return co_timer_reserve(SOME);
}

static int
critical_sections_are_left(void **state)
{
	(void)state;
	return co_tls.critical;
}

static void
sleeps_until(struct co_parker *p, int64_t deadline)
{
	co_arm(p);
	co_timer_add(p, deadline);
}

static void
woken_in_this_order(const int *who, size_t n)
{
	size_t i;

	assert_int_equal(parkers_nwoken, n);
	for (i = 0; i < n; i++) {
		assert_ptr_equal(parkers_woken[i], &people[who[i]]);
		assert_int_equal(parker_why(&people[who[i]]), CO_TIMEOUT);
		assert_int_equal(people[who[i]].timer.at, 0);
	}
}

static void
the_soonest_comes_first(void **state)
{
	static const int64_t at[] = { 50, 10, 40, 20, 60, 30, 5 };
	static const int order[] = { 6, 1, 3, 5, 2, 0, 4 };
	size_t i;

	(void)state;
	for (i = 0; i < UNIT_COUNT(at); i++)
		sleeps_until(&people[i], at[i]);

	assert_true(co_timers_run(100));
	woken_in_this_order(order, UNIT_COUNT(order));
}

static void
equal_deadlines_come_in_the_order_they_were_set(void **state)
{
	int order[SOME], i;

	(void)state;
	for (i = 0; i < SOME; i++) {
		sleeps_until(&people[i], 7);
		order[i] = i;
	}

	assert_true(co_timers_run(7));
	woken_in_this_order(order, SOME);
}

static void
only_what_is_due_comes(void **state)
{
	static const int first[] = { 0, 1 }, then[] = { 0, 1, 2 };

	(void)state;
	sleeps_until(&people[0], 9);
	sleeps_until(&people[1], 10);
	sleeps_until(&people[2], 11);

	assert_true(co_timers_run(10));
	woken_in_this_order(first, 2);
	assert_true(parker_armed(&people[2]));
	assert_false(co_timers_run(10));
	assert_true(co_timers_run(11));
	woken_in_this_order(then, 3);
}

static void
next_is_the_soonest_of_all(void **state)
{
	(void)state;
	assert_true(co_timer_next() == CO_FOREVER);
	sleeps_until(&people[0], 30);
	assert_int_equal(co_timer_next(), 30);
	sleeps_until(&people[1], 40);
	assert_int_equal(co_timer_next(), 30);
	sleeps_until(&people[2], 20);
	assert_int_equal(co_timer_next(), 20);
	co_timer_del(&people[2]);
	assert_int_equal(co_timer_next(), 30);
	co_timers_run(35);
	assert_int_equal(co_timer_next(), 40);
	co_timer_del(&people[1]);
	assert_true(co_timer_next() == CO_FOREVER);
}

/* Of heaps of each size, each place. */
static void
one_taken_out_anywhere_leaves_the_rest_in_order(void **state)
{
	struct unit_rnd r = unit_seed("one_taken_out");
	int n, out, i;

	for (n = 1; n <= 30; n++) {
		for (out = 0; out < n; out++) {
			no_deadlines(state);
			for (i = 0; i < n; i++)
				sleeps_until(&people[i], unit_below(&r, 20));
			co_timer_del(&people[out]);
			assert_int_equal(people[out].timer.at, 0);
			co_timers_run(20);

			assert_int_equal(parkers_nwoken, n - 1);
			assert_true(parker_armed(&people[out]));
			for (i = 1; i < n - 1; i++) {
				struct co_timer *a, *b;

				a = &parkers_woken[i - 1]->timer;
				b = &parkers_woken[i]->timer;
				assert_true(a->deadline < b->deadline ||
					    (a->deadline == b->deadline &&
					     a->seq < b->seq));
			}
		}
	}
}

static void
taking_out_what_is_not_in_changes_nothing(void **state)
{
	static const int order[] = { 1 };

	(void)state;
	sleeps_until(&people[0], 10);
	sleeps_until(&people[1], 20);
	co_timer_del(&people[2]);
	co_timer_del(&people[0]);
	co_timer_del(&people[0]);

	assert_int_equal(co_timer_next(), 20);
	co_timers_run(30);
	woken_in_this_order(order, 1);
	co_timer_del(&people[1]);
	assert_true(co_timer_next() == CO_FOREVER);
}

static void
forever_never_comes(void **state)
{
	static const int order[] = { 1 };

	(void)state;
	sleeps_until(&people[0], CO_FOREVER);
	assert_true(co_timer_next() == CO_FOREVER);
	assert_false(co_timers_run(CO_FOREVER - 1));
	sleeps_until(&people[1], CO_FOREVER - 1);

	assert_true(co_timers_run(CO_FOREVER - 1));
	woken_in_this_order(order, 1);
	assert_true(parker_armed(&people[0]));
	co_timer_del(&people[0]);
}

static void
the_clock_is_read_only_where_it_matters(void **state)
{
	static const int order[] = { 0 };

	(void)state;
	clock_now = 10;
	assert_false(co_timers_run(0));
	assert_int_equal(looks, 0);

	sleeps_until(&people[0], 10);
	assert_false(co_timers_run(9));
	assert_int_equal(looks, 0);
	assert_true(co_timers_run(0));
	assert_int_equal(looks, 1);
	woken_in_this_order(order, 1);
}

/* It is out of the heap for good, and its time is not told to it. */
static void
who_was_woken_by_another_is_passed_over(void **state)
{
	bool parked;

	(void)state;
	sleeps_until(&people[0], 10);
	sleeps_until(&people[1], 10);
	assert_true(co_claim(&people[0], CO_WOKEN, &parked));

	assert_true(co_timers_run(10));
	assert_int_equal(parkers_nwoken, 1);
	assert_ptr_equal(parkers_woken[0], &people[1]);
	assert_int_equal(parker_why(&people[0]), CO_WOKEN);
	assert_int_equal(people[0].timer.at, 0);
}

static void
a_sooner_deadline_is_told_to_who_polls(void **state)
{
	(void)state;
	sleeps_until(&people[0], 10);
	assert_int_equal(kicks, 0); /* nobody polls */

	polls = true;
	sleeps_until(&people[1], 11);
	sleeps_until(&people[2], 10);
	assert_int_equal(kicks, 0);
	sleeps_until(&people[3], 9);
	assert_int_equal(kicks, 1);
}

static void
room_grows_and_keeps_what_is_in_it(void **state)
{
	enum { MANY = 20000 };
	struct co_parker *many = calloc(MANY, sizeof(*many));
	struct unit_rnd r = unit_seed("room_grows");
	long room = 1;
	int i;

	(void)state;
	assert_non_null(many);
	for (i = 0; i < MANY; i++) {
		if (i == room) {
			room += 1 + room / 2;
			assert_int_equal(co_timer_reserve(room), 0);
		}
		sleeps_until(&many[i], unit_below(&r, 1000));
	}

	assert_true(co_timers_run(1000));
	assert_int_equal(parkers_nwoken, MANY);
	for (i = 1; i < MANY; i++)
		assert_true(parkers_woken[i - 1]->timer.deadline <=
			    parkers_woken[i]->timer.deadline);
	free(many);
}

static void
no_memory_is_said_and_nothing_is_lost(void **state)
{
	static const int order[] = { 0 };

	(void)state;
	sleeps_until(&people[0], 10);
	assert_int_equal(co_timer_reserve(LONG_MAX / 16), -1);

	assert_int_equal(co_timer_reserve(SOME), 0);
	assert_true(co_timers_run(10));
	woken_in_this_order(order, 1);
}

static void
a_fork_begins_without_deadlines(void **state)
{
	(void)state;
	sleeps_until(&people[0], 10);
	co_timers_forked();

	assert_true(co_timer_next() == CO_FOREVER);
	assert_false(co_timers_run(20));
	assert_int_equal(parkers_nwoken, 0);
}

/* The model: who is in, until when, and in which order they came. */
static struct {
	bool in, awake; /* awake: claimed by somebody else meanwhile */
	int64_t deadline;
	int came;
} model[SOME];

static int
soonest_of_model(void)
{
	int i, best = -1;

	for (i = 0; i < SOME; i++) {
		if (!model[i].in)
			continue;
		if (best < 0 || model[i].deadline < model[best].deadline ||
		    (model[i].deadline == model[best].deadline &&
		     model[i].came < model[best].came))
			best = i;
	}
	return best;
}

static void
time_comes(int64_t now)
{
	size_t k = 0;
	int i;

	parkers_nwoken = 0;
	co_timers_run(now);
	while ((i = soonest_of_model()) >= 0 && model[i].deadline <= now) {
		model[i].in = false;
		assert_int_equal(people[i].timer.at, 0);
		if (!model[i].awake)
			assert_ptr_equal(parkers_woken[k++], &people[i]);
		people[i].state = CO_RUN;
	}
	assert_int_equal(parkers_nwoken, k);
}

static void
any_order_of_operations_agrees_with_a_list(void **state)
{
	struct unit_rnd r = unit_seed("any_order_of_operations");
	int64_t now = 1, next;
	int step, i;
	bool parked;

	(void)state;
	memset(model, 0, sizeof(model));
	for (step = 0; step < 20000; step++) {
		i = (int)unit_below(&r, SOME);
		switch (unit_below(&r, 8)) {
		case 0:
			now += unit_below(&r, 10);
			time_comes(now);
			break;
		case 1:
			if (model[i].in && !model[i].awake) {
				co_claim(&people[i], CO_WOKEN, &parked);
				model[i].awake = true;
			}
			break;
		case 2:
		case 3:
			co_timer_del(&people[i]);
			people[i].state = CO_RUN;
			model[i].in = false;
			break;
		default:
			if (model[i].in)
				break;
			model[i].in = true;
			model[i].awake = false;
			model[i].deadline = unit_below(&r, 50) == 0
						    ? CO_FOREVER
						    : now + unit_below(&r, 40);
			model[i].came = step;
			sleeps_until(&people[i], model[i].deadline);
		}
		i = soonest_of_model();
		next = i < 0 ? CO_FOREVER : model[i].deadline;
		assert_true(co_timer_next() == next);
	}
}

#define T(t)                                                                  \
	cmocka_unit_test_setup_teardown(t, no_deadlines,                      \
					critical_sections_are_left)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_soonest_comes_first),
		T(equal_deadlines_come_in_the_order_they_were_set),
		T(only_what_is_due_comes),
		T(next_is_the_soonest_of_all),
		T(one_taken_out_anywhere_leaves_the_rest_in_order),
		T(taking_out_what_is_not_in_changes_nothing),
		T(forever_never_comes),
		T(the_clock_is_read_only_where_it_matters),
		T(who_was_woken_by_another_is_passed_over),
		T(a_sooner_deadline_is_told_to_who_polls),
		T(room_grows_and_keeps_what_is_in_it),
		T(no_memory_is_said_and_nothing_is_lost),
		T(a_fork_begins_without_deadlines),
		T(any_order_of_operations_agrees_with_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
