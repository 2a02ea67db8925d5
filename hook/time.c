/* SPDX-License-Identifier: MIT */
/* time.c - sleeping is parking with a deadline and nothing else. */
#include <sys/time.h>

#include "hook/calls.h"
#include "hook/wait.h"

/* 0 or EINTR. Any handler ends a sleep, signal(7). */
static int
sleep_until(struct co *self, int64_t deadline, const char *why)
{
	unsigned handled = self->handled;

	do {
		co_cancel_point(self);
		if (co_sleep(deadline, why, true) == CO_TIMEOUT)
			return 0;
	} while (self->handled == handled);
	return EINTR;
}

static void
remaining(int64_t deadline, struct timespec *rem)
{
	int64_t left = deadline - co_now();

	left = left > 0 ? left : 0;
	rem->tv_sec = left / 1000000000;
	rem->tv_nsec = left % 1000000000;
}

/* user_rem: the program's, or NULL. */
static int
sleep_for(struct co *self, const struct timespec *user,
	  struct timespec *user_rem, const char *why)
{
	struct timespec ts, rem, *req = &ts;
	int saved = errno, err;
	int64_t deadline;

	if (!co_get(&ts, user, sizeof(ts)))
		return EFAULT;
	if (!co_ts_valid(req) || req->tv_sec < 0)
		return EINVAL;
	if (req->tv_sec == 0 && req->tv_nsec == 0) {
		co_cancel_point(self);
		co_yield();
		return 0;
	}
	deadline = req->tv_sec > INT64_MAX / 1000000000 - 1
			   ? CO_FOREVER
			   : co_deadline_after(req->tv_sec *
						       INT64_C(1000000000) +
					       req->tv_nsec);
	err = sleep_until(self, deadline, why);
	if (err == EINTR && user_rem != NULL) {
		remaining(deadline, &rem);
		if (!co_put(user_rem, &rem, sizeof(rem)))
			err = EFAULT;
	}
	if (err == 0)
		errno = saved;
	return err;
}

COHOOK_EXPORT int
nanosleep(const struct timespec *req, struct timespec *rem)
{
	struct co *self = co_here();
	int err;

	if (likely(self == NULL))
		return real.nanosleep(req, rem);
	err = sleep_for(self, req, rem, "nanosleep");
	if (err != 0) {
		errno = err;
		return -1;
	}
	return 0;
}
COHOOK_ALIAS(__nanosleep, nanosleep);
CO_CALL(nanosleep);

COHOOK_EXPORT int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *req,
		struct timespec *rem)
{
	struct co *self = co_here();
	struct timespec now, ts, *user = (struct timespec *)(uintptr_t)req;
	int saved = errno, err;

	if (likely(self == NULL) || !co_get(&ts, req, sizeof(ts)) ||
	    (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0) {
		co_region_begin("clock_nanosleep", false);
		err = real.clock_nanosleep(clock, flags, req, rem);
		co_region_end();
		return err;
	}
	if (!(flags & TIMER_ABSTIME))
		return sleep_for(self, user, rem, "clock_nanosleep");
	req = &ts;
	for (;;) {
		err = sleep_until(self, co_deadline_abs(clock, req),
				  "clock_nanosleep");
		if (err != 0)
			return err;
		/* The wall clock may have been set back meanwhile. */
		co_clock_seen(clock, &now);
		if (now.tv_sec > req->tv_sec ||
		    (now.tv_sec == req->tv_sec && now.tv_nsec >= req->tv_nsec))
			break;
	}
	errno = saved;
	return 0;
}
CO_CALL(clock_nanosleep);

COHOOK_EXPORT int
usleep(useconds_t us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	struct co *self = co_here();
	int err;

	if (likely(self == NULL))
		return real.usleep(us);
	err = sleep_for(self, &ts, NULL, "usleep");
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

COHOOK_EXPORT unsigned
sleep(unsigned seconds)
{
	struct timespec ts = { seconds, 0 }, rem = { 0, 0 };
	struct co *self = co_here();

	if (likely(self == NULL))
		return real.sleep(seconds);
	if (sleep_for(self, &ts, &rem, "sleep") == 0)
		return 0;
	/* glibc rounds to the nearest second. */
	return (unsigned)rem.tv_sec + (rem.tv_nsec >= 500000000);
}

COHOOK_EXPORT int
thrd_sleep(const struct timespec *req, struct timespec *rem)
{
	struct co *self = co_here();
	int err;

	if (likely(self == NULL) || req == NULL)
		return real.thrd_sleep(req, rem);
	err = sleep_for(self, req, rem, "thrd_sleep");
	return err == 0 ? 0 : err == EINTR ? -1 : -2;
}

COHOOK_EXPORT int
sched_yield(void)
{
	/* Nothing in there touches errno. */
	if (likely(co_here() == NULL) || !co_yield())
		return real.sched_yield();
	return 0;
}
COHOOK_ALIAS(__sched_yield, sched_yield);
CO_CALL(sched_yield);

COHOOK_EXPORT void
thrd_yield(void)
{
	int saved = errno;

	if (likely(co_here() == NULL) || !co_yield())
		real.thrd_yield();
	errno = saved;
}
