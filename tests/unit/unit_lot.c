/* SPDX-License-Identifier: MIT */
/* unit_lot.c - sched/lot.c, with waiters that never really wait. */
#include "unit.h"

#include "parkers.h"
#include "sched/lot.h"

enum { SOME = 24 };
static struct person {
	struct co_parker parker;
	struct co_lot_wait wait;
} people[SOME];

/* Objects that are waited for; two of them in one bucket. */
static uint32_t objects[1 << 17];
static const void *here, *there, *same_bucket;

static struct co coroutine;
static enum co_why park_gives;
static int64_t park_deadline;
static uintptr_t park_what;
static bool park_may_interrupt, park_wakes;
static const char *park_why;
static int handlers_run;

enum co_why
co_park(struct co_parker *p, int64_t deadline, const char *why, uintptr_t what,
	bool may_interrupt)
{
	assert_true(parker_armed(p));
	assert_int_equal(co_tls.critical, 0);
	park_deadline = deadline;
	park_why = why;
	park_what = what;
	park_may_interrupt = may_interrupt;
	if (park_wakes)
		assert_int_equal(co_lot_wake((const void *)what, 1), 1);
	p->state = CO_RUN;
	return park_gives;
}

/* A handler may leave by longjmp(3): by then it must not be in the lot. */
void
co_sig_run_pending(struct co *self)
{
	assert_ptr_equal(self, &coroutine);
	assert_false(co_lot_any(here));
	assert_int_equal(co_tls.critical, 0);
	self->sig_todo = 0;
	handlers_run++;
}

static int
an_empty_lot(void **state)
{
	(void)state;
	parkers_reset();
	co_lot_forked();
	memset(people, 0, sizeof(people));
	memset(&coroutine, 0, sizeof(coroutine));
	park_gives = CO_WOKEN;
	park_wakes = false;
	handlers_run = 0;
	return 0;
}

static int
critical_sections_are_left(void **state)
{
	(void)state;
	return co_tls.critical;
}

static void
enters(int who, const void *addr, int tag, bool lost)
{
	parker_me = &people[who].parker;
	co_lot_enter(&people[who].wait, addr, tag, lost);
	assert_true(parker_armed(&people[who].parker));
}

static void
wait_here(int first, int last)
{
	for (; first <= last; first++)
		enters(first, here, 0, false);
}

static void
leaves(int who)
{
	co_lot_leave(&people[who].wait);
	co_disarm(&people[who].parker);
}

static void
woken_are(const int *who, size_t n)
{
	size_t i;

	assert_int_equal(parkers_nwoken, n);
	for (i = 0; i < n; i++) {
		assert_ptr_equal(parkers_woken[i], &people[who[i]].parker);
		assert_int_equal(parker_why(&people[who[i]].parker), CO_WOKEN);
		assert_null(people[who[i]].wait.prev);
	}
}

static void
an_empty_lot_wakes_nobody(void **state)
{
	(void)state;
	assert_false(co_lot_any(here));
	assert_false(co_lot_tag(here, 0));
	assert_int_equal(co_lot_wake(here, 1), 0);
	assert_false(co_lot_wake_fair(here, 1));
}

static void
who_has_entered_is_seen(void **state)
{
	(void)state;
	enters(0, here, 0, false);
	assert_true(co_lot_any(here));
	leaves(0);
	assert_false(co_lot_any(here));
}

static void
as_many_are_woken_as_asked_the_longest_waiting_first(void **state)
{
	static const int order[] = { 0, 1, 2, 3, 4, 5 };

	(void)state;
	wait_here(0, 5);
	assert_int_equal(co_lot_wake(here, 0), 0);
	assert_int_equal(co_lot_wake(here, 1), 1);
	woken_are(order, 1);
	assert_int_equal(co_lot_wake(here, 3), 3);
	woken_are(order, 4);
	assert_true(co_lot_any(here));
	assert_int_equal(co_lot_wake(here, 100), 2);
	woken_are(order, 6);
	assert_false(co_lot_any(here));
	assert_int_equal(co_lot_wake(here, 100), 0);
}

/* Its wake-up goes to the next: it would be lost on one that has timed out. */
static void
who_is_awake_already_does_not_use_a_wakeup_up(void **state)
{
	static const int order[] = { 1 };
	bool parked;

	(void)state;
	wait_here(0, 2);
	co_claim(&people[0].parker, CO_TIMEOUT, &parked);

	assert_int_equal(co_lot_wake(here, 1), 1);
	woken_are(order, 1);
	assert_int_equal(parker_why(&people[0].parker), CO_TIMEOUT);
	leaves(0);
	assert_int_equal(co_lot_wake(here, 5), 1);
}

static void
who_leaves_is_not_woken_and_keeps_the_order(void **state)
{
	static const int order[] = { 1, 3, 5, 6 };

	(void)state;
	wait_here(0, 4);
	leaves(0); /* first, */
	leaves(2); /* in between, */
	leaves(4); /* and last: the next enters after 3 */
	enters(5, here, 0, false);
	enters(6, here, 0, false);

	assert_int_equal(co_lot_wake(here, 100), 4);
	woken_are(order, 4);
	assert_false(co_lot_any(here));
}

static void
who_was_woken_leaves_without_harm(void **state)
{
	static const int order[] = { 0, 1 };

	(void)state;
	wait_here(0, 1);
	co_lot_wake(here, 1);
	leaves(0);
	assert_true(co_lot_any(here));

	assert_int_equal(co_lot_wake(here, 1), 1);
	people[0].parker.state = CO_CLAIMED | CO_WOKEN << 8;
	woken_are(order, 2);
}

static void
who_has_lost_is_in_front(void **state)
{
	static const int order[] = { 2, 0, 1, 3 };

	(void)state;
	wait_here(0, 1);
	enters(2, here, 0, true);
	enters(3, here, 0, false);

	assert_int_equal(co_lot_wake(here, 100), 4);
	woken_are(order, 4);
}

/* In an empty lot the front is the end as well. */
static void
who_has_lost_alone_is_followed_by_the_next(void **state)
{
	static const int order[] = { 0, 1 };

	(void)state;
	enters(0, here, 0, true);
	enters(1, here, 0, false);

	assert_int_equal(co_lot_wake(here, 100), 2);
	woken_are(order, 2);
}

static void
a_loser_among_the_woken_is_reported(void **state)
{
	static const int order[] = { 1, 0, 2 };

	(void)state;
	wait_here(0, 0);
	enters(1, here, 0, true);
	wait_here(2, 2);

	assert_true(co_lot_wake_fair(here, 1));
	woken_are(order, 1);
	assert_false(co_lot_wake_fair(here, 1));
	woken_are(order, 2);
	assert_false(co_lot_wake_fair(here, 1));
	woken_are(order, 3);
}

/* Then nobody is helped by the caller's stepping aside. */
static void
a_loser_that_is_awake_already_is_not_reported(void **state)
{
	static const int order[] = { 0 };
	bool parked;

	(void)state;
	wait_here(0, 0);
	enters(1, here, 0, true);
	co_claim(&people[1].parker, CO_TIMEOUT, &parked);

	assert_false(co_lot_wake_fair(here, 1));
	woken_are(order, 1);
}

static void
a_loser_behind_others_is_reported_too(void **state)
{
	(void)state;
	enters(0, here, 0, true);
	enters(1, here, 0, true);
	leaves(1);
	enters(2, same_bucket, 0, true);

	assert_true(co_lot_wake_fair(here, 2));
	assert_int_equal(parkers_nwoken, 1);
}

static void
addresses_are_kept_apart(void **state)
{
	static const int order[] = { 1, 0 };

	(void)state;
	enters(0, here, 0, false);
	enters(1, there, 0, false);
	assert_int_equal(co_lot_wake(there, 100), 1);
	woken_are(order, 1);
	assert_int_equal(co_lot_wake(here, 100), 1);
	woken_are(order, 2);
}

static void
addresses_of_one_bucket_are_kept_apart(void **state)
{
	static const int order[] = { 1, 3, 0, 2, 4 };

	(void)state;
	enters(0, here, 0, false);
	enters(1, same_bucket, 0, false);
	enters(2, here, 0, false);
	enters(3, same_bucket, 0, false);
	enters(4, here, 0, false);
	assert_int_equal(co_lot_wake(same_bucket, 100), 2);
	woken_are(order, 2);
	assert_int_equal(co_lot_wake(same_bucket, 100), 0);
	assert_int_equal(co_lot_wake(here, 100), 3);
	woken_are(order, 5);
}

/* A semaphore and a byte beside it: both need no alignment. */
static void
neighbouring_bytes_are_two_addresses(void **state)
{
	static const int order[] = { 1, 0 };
	const char *p = here;

	(void)state;
	enters(0, p, 0, false);
	enters(1, p + 1, 0, false);
	assert_int_equal(co_lot_wake(p + 1, 100), 1);
	woken_are(order, 1);
	assert_int_equal(co_lot_wake(p, 100), 1);
	woken_are(order, 2);
}

static void
tags_tell_who_is_among_them(void **state)
{
	(void)state;
	enters(0, here, 1, false);
	enters(1, here, 2, false);
	enters(2, same_bucket, 3, false);
	assert_true(co_lot_tag(here, 1));
	assert_true(co_lot_tag(here, 2));
	assert_false(co_lot_tag(here, 3));
	assert_true(co_lot_tag(same_bucket, 3));
	co_lot_wake(here, 1);
	assert_false(co_lot_tag(here, 1));
	assert_true(co_lot_tag(here, 2));
}

static void
parking_says_what_for_and_leaves(void **state)
{
	struct co_lot_wait *w = &people[0].wait;

	(void)state;
	co_tls.self = &coroutine;
	coroutine.sig_todo = 1;
	park_gives = CO_TIMEOUT;
	enters(0, here, 0, false);
	assert_int_equal(co_lot_park(w, 1234, "a test", true), CO_TIMEOUT);

	assert_int_equal(park_deadline, 1234);
	assert_string_equal(park_why, "a test");
	assert_int_equal(park_what, (uintptr_t)here);
	assert_true(park_may_interrupt);
	assert_false(co_lot_any(here));
	assert_int_equal(handlers_run, 1);
}

static void
parking_until_woken(void **state)
{
	(void)state;
	park_wakes = true;
	enters(0, here, 0, false);
	assert_int_equal(co_lot_park(&people[0].wait, CO_FOREVER, "a test",
				     false), CO_WOKEN);

	assert_false(park_may_interrupt);
	assert_int_equal(parkers_nwoken, 1);
	assert_false(co_lot_any(here));
	assert_int_equal(co_lot_wake(here, 1), 0);
}

static void
a_fork_begins_with_an_empty_lot(void **state)
{
	static const int order[] = { 2 };

	(void)state;
	wait_here(0, 1);
	co_lot_forked();

	assert_false(co_lot_any(here));
	assert_int_equal(co_lot_wake(here, 1), 0);
	enters(2, here, 0, false);
	assert_int_equal(co_lot_wake(here, 5), 1);
	woken_are(order, 1);
}

/* The model: for each object, who waits, in order. */
enum { OBJECTS = 4 };
static struct {
	int who[SOME], n;
} queue[OBJECTS];
static const void *object[OBJECTS];
static struct {
	int at; /* object, or -1 */
	int tag;
	bool lost, awake;
} model[SOME];

static void
model_enters(int i, int at, bool lost)
{
	int *q = queue[at].who, n = queue[at].n++;

	if (lost)
		memmove(q + 1, q, (size_t)n * sizeof(*q));
	q[lost ? 0 : n] = i;
	model[i].at = at;
	model[i].lost = lost;
	model[i].awake = false;
}

static void
model_leaves(int i)
{
	int *q, k = 0, at = model[i].at;

	if (at < 0)
		return;
	q = queue[at].who;
	while (q[k] != i)
		k++;
	queue[at].n--;
	memmove(q + k, q + k + 1, (size_t)(queue[at].n - k) * sizeof(*q));
	model[i].at = -1;
}

/* Wakes up to n there, in the lot and in the model, and compares. */
static void
both_wake(int at, int n, bool fair)
{
	struct person *p;
	int woken = 0, got, i;
	bool lost = false;

	parkers_nwoken = 0;
	got = fair ? co_lot_wake_fair(object[at], n)
		   : co_lot_wake(object[at], n);
	for (i = 0; i < (int)parkers_nwoken; i++) {
		p = (struct person *)parkers_woken[i];
		lost |= model[p - people].lost;
	}
	assert_int_equal(got, fair ? lost : (int)parkers_nwoken);
	while (queue[at].n > 0 && woken < n) {
		i = queue[at].who[0];
		model_leaves(i);
		assert_null(people[i].wait.prev);
		if (model[i].awake)
			continue;
		assert_ptr_equal(parkers_woken[woken], &people[i].parker);
		woken++;
	}
	assert_int_equal(parkers_nwoken, woken);
}

static void
the_same_is_seen(int at)
{
	int tag, k;
	bool any;

	if (queue[at].n > 0)
		assert_true(co_lot_any(object[at]));
	for (tag = 0; tag < 3; tag++) {
		any = false;
		for (k = 0; k < queue[at].n; k++)
			any |= model[queue[at].who[k]].tag == tag;
		assert_int_equal(co_lot_tag(object[at], tag), any);
	}
}

static void
any_order_of_operations_agrees_with_lists(void **state)
{
	struct unit_rnd r = unit_seed("any_order_of_operations");
	int step, i, at;
	bool parked, lost;

	(void)state;
	object[0] = here;
	object[1] = same_bucket;
	object[2] = there;
	object[3] = (const char *)here + 1;
	memset(queue, 0, sizeof(queue));
	for (i = 0; i < SOME; i++)
		model[i].at = -1;
	for (step = 0; step < 30000; step++) {
		i = (int)unit_below(&r, SOME);
		at = (int)unit_below(&r, OBJECTS);
		switch (unit_below(&r, 10)) {
		case 0:
			both_wake(at, (int)unit_below(&r, 4), false);
			break;
		case 1:
			both_wake(at, (int)unit_below(&r, 4), true);
			break;
		case 2:
			if (model[i].at >= 0 && !model[i].awake) {
				co_claim(&people[i].parker, CO_SIGNAL,
					 &parked);
				model[i].awake = true;
			}
			break;
		case 3:
		case 4:
			if (people[i].wait.parker == NULL)
				break;
			leaves(i);
			model_leaves(i);
			break;
		default:
			if (model[i].at >= 0)
				break;
			people[i].parker.state = CO_RUN;
			model[i].tag = (int)unit_below(&r, 3);
			lost = unit_below(&r, 4) == 0;
			enters(i, object[at], model[i].tag, lost);
			model_enters(i, at, lost);
		}
		the_same_is_seen(at);
	}
	for (at = 0; at < OBJECTS; at++)
		both_wake(at, SOME, false);
	for (at = 0; at < OBJECTS; at++)
		assert_false(co_lot_any(object[at]));
}

/* Any other object that the lot takes for ours is in its bucket; one that it
 * does not is in another. */
static int
choose_objects(void **state)
{
	size_t i;

	an_empty_lot(state);
	here = &objects[0];
	enters(0, here, 0, false);
	for (i = 1; i < UNIT_COUNT(objects); i++) {
		if (co_lot_any(&objects[i]))
			same_bucket = &objects[i];
		else
			there = &objects[i];
	}
	leaves(0);
	return same_bucket == NULL || there == NULL;
}

#define T(t)                                                                  \
	cmocka_unit_test_setup_teardown(t, an_empty_lot,                      \
					critical_sections_are_left)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_empty_lot_wakes_nobody),
		T(who_has_entered_is_seen),
		T(as_many_are_woken_as_asked_the_longest_waiting_first),
		T(who_is_awake_already_does_not_use_a_wakeup_up),
		T(who_leaves_is_not_woken_and_keeps_the_order),
		T(who_was_woken_leaves_without_harm),
		T(who_has_lost_is_in_front),
		T(who_has_lost_alone_is_followed_by_the_next),
		T(a_loser_among_the_woken_is_reported),
		T(a_loser_that_is_awake_already_is_not_reported),
		T(a_loser_behind_others_is_reported_too),
		T(addresses_are_kept_apart),
		T(addresses_of_one_bucket_are_kept_apart),
		T(neighbouring_bytes_are_two_addresses),
		T(tags_tell_who_is_among_them),
		T(parking_says_what_for_and_leaves),
		T(parking_until_woken),
		T(a_fork_begins_with_an_empty_lot),
		T(any_order_of_operations_agrees_with_lists),
	};

	return cmocka_run_group_tests(tests, choose_objects, NULL);
}
