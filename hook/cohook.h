/* SPDX-License-Identifier: MIT */
/* cohook.h - start coroutines of your own, and let them talk.
 *
 * A program needs none of this to use cohook: under LD_PRELOAD its threads are
 * coroutines, and pthread_create() is how it starts one.  This header is for
 * programs that link with -lcohook and want coroutines that cost less than a
 * thread's bookkeeping.
 *
 * A coroutine may call anything that a thread may call.  It has its own stack,
 * errno, thread-local variables and pthread_self(); where a thread would
 * block, it gives way to the others.
 */
#ifndef COHOOK_H
#define COHOOK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The smallest stack that cohook_go() takes, in bytes. */
#define COHOOK_STACK_MIN 16384

/* A deadline that never comes. */
#define COHOOK_FOREVER INT64_MAX

/* Names a coroutine for ever: ids are not used again while the process lives.
 * Always greater than 0. */
typedef int64_t cohook_id;

/* cohook_go - start fn(arg) as a coroutine.
 *
 * It first runs when the caller next blocks, yields or calls cohook_run();
 * with more than one worker it may run at once, beside the caller.  A program
 * that is linked with this library has one, unless COHOOK_WORKERS says
 * otherwise.
 *
 * stack    bytes, rounded up to whole pages; 0 means $COHOOK_STACK, else what
 *          pthread_create() gives by default (8 MiB as a rule; pages are
 *          committed as they are touched).  Below it lies a guard page.
 * Returns  the coroutine's id, or -1 with errno set:
 *          EAGAIN  no memory for a stack or a thread control block
 *          EINVAL  fn is NULL, or stack is neither 0 nor at least
 *                  COHOOK_STACK_MIN
 * Threads  safe in any thread or coroutine.  Not async-signal-safe.
 * Owns     arg stays the caller's; the stack is taken back after fn returns.
 *
 * Where coroutines cannot be had (COHOOK_THREADS=native, or a kernel that
 * refuses every way to make one) this starts a detached thread instead, and
 * all else here works the same.
 */
cohook_id cohook_go(void (*fn)(void *arg), void *arg, size_t stack);

/* cohook_join - wait until a coroutine has returned.
 *
 * deadline  CLOCK_MONOTONIC nanoseconds, absolute; COHOOK_FOREVER for none.
 * Returns   0 once it has returned, however long ago; any number of callers
 *           may wait for one coroutine.  -1 with errno set:
 *           ETIMEDOUT  the deadline came first
 *           EDEADLK    id is the caller
 *           ESRCH      cohook_go() never gave this id
 * Threads   safe in any thread or coroutine.  Not async-signal-safe.
 */
int cohook_join(cohook_id id, int64_t deadline);

/* cohook_run - wait until every coroutine that cohook_go() started has
 * returned, those included that are started meanwhile.
 *
 * Returns  0, or -1 with errno set:
 *          EDEADLK  the caller was itself started by cohook_go()
 * Threads  safe in any thread.  Not async-signal-safe.
 */
int cohook_run(void);

/* cohook_yield - let every other coroutine that is ready run first.
 *
 * errno is left as it was.  In a thread that is no coroutine this is
 * sched_yield(2).
 */
void cohook_yield(void);

/* cohook_now - CLOCK_MONOTONIC, in nanoseconds.  Async-signal-safe. */
int64_t cohook_now(void);

/* cohook_sleep_until - let the others run until a point in time.
 *
 * when     CLOCK_MONOTONIC, nanoseconds, absolute.  In the past: just yield.
 * Returns  0, or EINTR if a signal handler ran; never sets errno.  This is
 *          clock_nanosleep(2) with TIMER_ABSTIME, and what it says of signals
 *          holds here.
 * Threads  safe in any thread; outside a coroutine it blocks the thread.
 */
int cohook_sleep_until(int64_t when);

/* cohook_self - the caller's id; 0 in a thread that is no coroutine.
 * Async-signal-safe. */
cohook_id cohook_self(void);

/* cohook_set_name - name the calling coroutine, for reports and dumps.
 *
 * name     copied; what is beyond 31 bytes is cut off.  NULL takes it away.
 */
void cohook_set_name(const char *name);

/* cohook_name - the caller's name, "" where it has none; valid until it is
 * named anew or returns. */
const char *cohook_name(void);

/* cohook_dump - write a line for each coroutine: its id, name, state, what it
 * waits for, on what, and since when.
 *
 * fd       written with plain write(2) calls, which are not retried.
 * Threads  safe in any thread, and in a signal handler.
 */
void cohook_dump(int fd);

/* cohook_version - "MAJOR.MINOR.PATCH" of the library that is loaded. */
const char *cohook_version(void);

/*
 * Channels: a queue of fixed-size elements between coroutines, and between
 * coroutines and threads.
 */
struct cohook_chan;

/* cohook_chan_new - a channel.
 *
 * size      bytes of one element, at least 1.
 * capacity  elements that it holds before a sender waits; 0: a sender waits
 *           until a receiver has taken its element.
 * Returns   the channel, or NULL with errno set: ENOMEM, or EINVAL for size 0
 *           or for more than PTRDIFF_MAX bytes in all.
 * Owns      the caller frees it with cohook_chan_free().
 */
struct cohook_chan *cohook_chan_new(size_t size, size_t capacity);

/* cohook_chan_send - append a copy of one element; wait while it is full.
 *
 * elem      as many bytes as cohook_chan_new() was told; the caller's own again
 *           when this returns.
 * deadline  CLOCK_MONOTONIC nanoseconds, absolute; COHOOK_FOREVER for none;
 *           0 never waits.
 * Returns   0, or -1 with errno set:
 *           EPIPE      the channel is closed
 *           ETIMEDOUT  the deadline came first; nothing was sent
 * Threads   safe in any thread or coroutine.  Not async-signal-safe.
 */
int cohook_chan_send(struct cohook_chan *ch, const void *elem,
		     int64_t deadline);

/* cohook_chan_recv - take the oldest element; wait while there is none.
 *
 * deadline  as in cohook_chan_send().
 * Returns   1 with the element in *elem; 0 once the channel is closed and
 *           empty; -1 with errno ETIMEDOUT if the deadline came first.
 * Threads   safe in any thread or coroutine.  Not async-signal-safe.
 */
int cohook_chan_recv(struct cohook_chan *ch, void *elem, int64_t deadline);

/* cohook_chan_close - no more will be sent.  Waiting senders get EPIPE;
 * receivers get what is still in it, then 0.  Closing twice does nothing. */
void cohook_chan_close(struct cohook_chan *ch);

/* cohook_chan_free - give a channel back.  Nobody may be using it any more;
 * what is still in it is dropped.  NULL does nothing. */
void cohook_chan_free(struct cohook_chan *ch);

#ifdef __cplusplus
}
#endif

#endif
