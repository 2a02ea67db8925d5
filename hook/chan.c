/* SPDX-License-Identifier: MIT */
/* chan.c - channels: a ring under a short lock; who must wait is in the lot,
 * under one address for senders and one for receivers. */
#include <stdlib.h>
#include <string.h>

#include "hook/cohook.h"
#include "hook/lock.h"

#define API __attribute__((visibility("default")))

struct cohook_chan {
	struct co_lock lock;
	size_t size, capacity;     /* capacity as asked: 0 is a rendezvous */
	size_t room, first, n;     /* the ring; under lock, as all below */
	size_t receivers;          /* waiting, for a rendezvous */
	uint64_t sent, taken;      /* elements, ever */
	bool closed;
	char to_send, to_recv;     /* addresses to wait on */
	char elems[];
};

API struct cohook_chan *
cohook_chan_new(size_t size, size_t capacity)
{
	size_t room = capacity > 0 ? capacity : 1;
	struct cohook_chan *ch;

	if (size == 0 || room > (PTRDIFF_MAX - sizeof(*ch)) / size) {
		errno = EINVAL;
		return NULL;
	}
	ch = calloc(1, sizeof(*ch) + size * room);
	if (ch == NULL)
		return NULL;
	ch->size = size;
	ch->capacity = capacity;
	ch->room = room;
	return ch;
}

static void
lock(struct cohook_chan *ch)
{
	co_critical_begin();
	co_lock(&ch->lock);
}

static void
unlock(struct cohook_chan *ch)
{
	co_unlock(&ch->lock);
	co_critical_end();
}

/* Wait on addr unless the channel has changed meanwhile. The lock is held on
 * entry and not on return. */
static enum co_why
wait_on(struct cohook_chan *ch, const char *addr, int64_t deadline,
	const char *why)
{
	struct co_lot_wait w;

	co_lot_enter(&w, addr, 0, false);
	unlock(ch);
	return co_lot_park(&w, deadline, why, false);
}

API int
cohook_chan_send(struct cohook_chan *ch, const void *elem, int64_t deadline)
{
	enum co_why why = CO_NONE;
	uint64_t mine;
	int saved = errno;

	lock(ch);
	while (!ch->closed && ch->n == ch->room) {
		if (why == CO_TIMEOUT || deadline == 0) {
			unlock(ch);
			errno = ETIMEDOUT;
			return -1;
		}
		why = wait_on(ch, &ch->to_send, deadline, "cohook_chan_send");
		lock(ch);
	}
	if (ch->closed) {
		unlock(ch);
		errno = EPIPE;
		return -1;
	}
	memcpy(ch->elems + (ch->first + ch->n) % ch->room * ch->size, elem,
	       ch->size);
	ch->n++;
	mine = ++ch->sent;
	co_lot_wake(&ch->to_recv, 1);
	/* A rendezvous: stay until it has been taken, or take it back. */
	while (ch->capacity == 0 && ch->taken < mine && !ch->closed) {
		if (why == CO_TIMEOUT || deadline == 0) {
			ch->n--;
			ch->sent--;
			co_lot_wake(&ch->to_send, INT_MAX);
			unlock(ch);
			errno = ETIMEDOUT;
			return -1;
		}
		why = wait_on(ch, &ch->to_send, deadline, "cohook_chan_send");
		lock(ch);
	}
	unlock(ch);
	errno = saved;
	return 0;
}

API int
cohook_chan_recv(struct cohook_chan *ch, void *elem, int64_t deadline)
{
	enum co_why why = CO_NONE;
	int saved = errno;

	lock(ch);
	while (ch->n == 0) {
		if (ch->closed) {
			unlock(ch);
			errno = saved;
			return 0;
		}
		if (why == CO_TIMEOUT || deadline == 0) {
			unlock(ch);
			errno = ETIMEDOUT;
			return -1;
		}
		why = wait_on(ch, &ch->to_recv, deadline, "cohook_chan_recv");
		lock(ch);
	}
	memcpy(elem, ch->elems + ch->first * ch->size, ch->size);
	ch->first = (ch->first + 1) % ch->room;
	ch->n--;
	ch->taken++;
	/* A rendezvous' sender and the next one wait on the same address. */
	co_lot_wake(&ch->to_send, ch->capacity == 0 ? INT_MAX : 1);
	if (ch->n > 0)
		co_lot_wake(&ch->to_recv, 1);
	unlock(ch);
	errno = saved;
	return 1;
}

API void
cohook_chan_close(struct cohook_chan *ch)
{
	lock(ch);
	ch->closed = true;
	co_lot_wake(&ch->to_send, INT_MAX);
	co_lot_wake(&ch->to_recv, INT_MAX);
	unlock(ch);
}

API void
cohook_chan_free(struct cohook_chan *ch)
{
	free(ch);
}
