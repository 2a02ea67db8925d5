/* SPDX-License-Identifier: MIT */
/* fd.c - the table of descriptors. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "sched/fd.h"
#include "sched/log.h"

enum {
	LEAF = 1024,             /* slots in a leaf */
	LEAVES = 1 << 21,        /* 2^31 descriptors */
};

_Atomic uint32_t co_fd_shares;
typedef _Atomic(struct co_fd *) leaf_ref;
static _Atomic(leaf_ref *) root;      /* LEAVES of them; made at first use */
static _Atomic int leaves;            /* none at this index, or above */
static struct co_lock lock;           /* making leaves, renewing slots */
static uint32_t epoch = 1;

static bool
is_current(struct co_fd *s)
{
	return atomic_load_explicit(&s->epoch, memory_order_acquire) == epoch;
}

/* A slot that was last used before a fork: nothing in it holds here. */
static void
renew(struct co_fd *s)
{
	uint32_t gen;

	co_critical_begin();
	co_lock(&lock);
	if (s->epoch != epoch) {
		gen = s->gen;
		memset(s, 0, sizeof(*s));
		s->gen = gen + 1;
		s->timeout[CO_IN] = s->timeout[CO_OUT] = -1;
		atomic_store_explicit(&s->epoch, epoch, memory_order_release);
	}
	co_unlock(&lock);
	co_critical_end();
}

static leaf_ref *
make_root(void)
{
	leaf_ref *r;
	void *p;

	co_critical_begin();
	co_lock(&lock);
	r = root;
	if (r == NULL) {
		p = mmap(NULL, LEAVES * sizeof(*r), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p != MAP_FAILED)
			root = r = p;
	}
	co_unlock(&lock);
	co_critical_end();
	return r;
}

static struct co_fd *
leaf_of(int fd, bool make)
{
	leaf_ref *refs = atomic_load_explicit(&root, memory_order_acquire);
	struct co_fd *leaf;

	if (fd < 0)
		return NULL;
	if (refs == NULL && (!make || (refs = make_root()) == NULL))
		return NULL;
	leaf = atomic_load_explicit(&refs[fd / LEAF], memory_order_acquire);
	if (leaf == NULL && make) {
		co_critical_begin();
		co_lock(&lock);
		leaf = atomic_load_explicit(&refs[fd / LEAF],
					    memory_order_acquire);
		if (leaf == NULL) {
			leaf = mmap(NULL, LEAF * sizeof(*leaf),
				    PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (leaf == MAP_FAILED)
				leaf = NULL;
			else
				atomic_store_explicit(&refs[fd / LEAF], leaf,
						      memory_order_release);
			if (leaf != NULL && leaves <= fd / LEAF)
				leaves = fd / LEAF + 1;
		}
		co_unlock(&lock);
		co_critical_end();
	}
	return leaf;
}

struct co_fd *
co_fd(int fd)
{
	struct co_fd *leaf = leaf_of(fd, true), *s;

	if (leaf == NULL)
		return NULL;
	s = &leaf[fd % LEAF];
	if (!is_current(s))
		renew(s);
	return s;
}

struct co_fd *
co_fd_if(int fd)
{
	struct co_fd *leaf = leaf_of(fd, false), *s;

	if (leaf == NULL)
		return NULL;
	s = &leaf[fd % LEAF];
	return is_current(s) ? s : NULL;
}

/* Under the slot's lock. */
static void
unlink_wait(struct co_fd_wait *w)
{
	if (w->in_turn) {
		if (w->slot->turns == w)
			w->slot->turns = w->next == w ? NULL : w->next;
		w->before->next = w->next;
		w->next->before = w->before;
	} else {
		*w->prev = w->next;
		if (w->next != NULL)
			w->next->prev = w->prev;
	}
	w->prev = NULL;
}

/* Under the slot's lock: last in the ring. */
static void
queue_turn(struct co_fd *s, struct co_fd_wait *w)
{
	struct co_fd_wait *first = s->turns;

	if (first == NULL) {
		w->next = w->before = s->turns = w;
		return;
	}
	w->next = first;
	w->before = first->before;
	first->before->next = w;
	first->before = w;
}

/* Likewise.  False: it is awake already, for another reason. */
static bool
wake(struct co_fd_wait *w, enum co_why why)
{
	struct co_parker *p = w->parker;
	bool parked;

	unlink_wait(w);
	if (!co_claim(p, why, &parked))
		return false;
	co_wake(p, parked);
	return true;
}

static void
wake_turn(struct co_fd *s)
{
	while (s->turns != NULL && !wake(s->turns, CO_WOKEN))
		;
}

static void
wake_all(struct co_fd *s, int dir, enum co_why why)
{
	while (s->waits[dir] != NULL)
		wake(s->waits[dir], why);
	while (dir == CO_IN && s->turns != NULL)
		wake(s->turns, why);
}

void
co_fd_forget(int fd)
{
	struct co_fd *s = co_fd_if(fd);
	bool del;

	if (s == NULL)
		return;
	co_critical_begin();
	co_lock(&s->lock);
	atomic_fetch_add(&s->gen, 1);
	/* Else the kernel forgets it by itself, with the last descriptor. */
	del = s->registered &&
	      ((s->flags & (CO_FDF_DUPPED | CO_FDF_OURS)) != CO_FDF_OURS ||
	       s->shared_at != co_fd_shares);
	s->registered = 0;
	s->kind = CO_FD_UNKNOWN;
	s->flags = 0;
	s->nowait[CO_IN] = s->nowait[CO_OUT] = 0;
	s->empty = 0;
	s->timeout[CO_IN] = s->timeout[CO_OUT] = -1;
	wake_all(s, CO_IN, CO_CLOSED);
	wake_all(s, CO_OUT, CO_CLOSED);
	co_unlock(&s->lock);
	co_critical_end();
	if (del)
		co_poller_del(fd);
}

/* Whoever began a call between the forgetting and the close waits for what is
 * gone, or for what the number now is: let it try again, the kernel knows. */
void
co_fd_closed(int fd)
{
	struct co_fd *s = co_fd_if(fd);

	if (s == NULL)
		return;
	co_critical_begin();
	co_lock(&s->lock);
	s->registered = 0;
	s->kind = s->flags & CO_FDF_OURS ? s->kind : CO_FD_UNKNOWN;
	wake_all(s, CO_IN, CO_WOKEN);
	wake_all(s, CO_OUT, CO_WOKEN);
	co_unlock(&s->lock);
	co_critical_end();
}

/* f() for the numbers from first to last that the table has room for, ours
 * left out. */
static void
each(unsigned first, unsigned last, void (*f)(int))
{
	unsigned long fd, end = (unsigned long)leaves * LEAF;
	leaf_ref *refs = root;

	if (refs == NULL)
		return;
	for (fd = first; fd <= last && fd < end; fd++) {
		if (refs[fd / LEAF] == NULL) {
			fd |= LEAF - 1;
			continue;
		}
		if (!co_is_our_fd((int)fd))
			f((int)fd);
	}
}

void
co_fd_forget_range(unsigned first, unsigned last)
{
	each(first, last, co_fd_forget);
}

void
co_fd_closed_range(unsigned first, unsigned last)
{
	each(first, last, co_fd_closed);
}

static void
renew_one(int fd)
{
	struct co_fd *s = co_fd_if(fd);

	if (s == NULL)
		return;
	co_lock(&s->lock);
	s->registered = 0;
	wake_all(s, CO_IN, CO_WOKEN);
	wake_all(s, CO_OUT, CO_WOKEN);
	co_unlock(&s->lock);
}

void
co_fd_renew_all(void)
{
	co_critical_begin();
	each(0, INT32_MAX, renew_one);
	co_critical_end();
}

static int
enter(struct co_fd_wait *w, int fd, struct co_fd *s, int dir, uint32_t gen,
      const uint32_t *seq, struct co_parker *p, bool in_turn)
{
	int err = 0;

	w->slot = s;
	w->prev = NULL;
	w->in_turn = in_turn;
	w->parker = p;
	co_critical_begin();
	co_lock(&s->lock);
	if (s->gen != gen)
		err = -EBADF;
	else if (!s->registered) {
		err = co_poller_add(fd, gen);
		if (err == 0)
			s->registered = 1;
		else if (err == -ENOSPC || err == -ENOMEM)
			co_log_once(CO_WARN,
				    "descriptor %d cannot be waited for: %s",
				    fd, err == -ENOSPC
						? "fs.epoll.max_user_watches "
						  "is used up"
						: "the kernel has no memory");
	}
	if (err == 0 && seq != NULL && s->seq[dir] != *seq)
		err = 1;
	if (err == 0) {
		w->gen = gen;
	}
	if (err == 0 && in_turn) {
		queue_turn(s, w);
	} else if (err == 0) {
		w->next = s->waits[dir];
		w->prev = &s->waits[dir];
		if (w->next != NULL)
			w->next->prev = &w->next;
		s->waits[dir] = w;
	}
	co_unlock(&s->lock);
	co_critical_end();
	return err;
}

static int
arm_and_enter(struct co_fd_wait *w, int fd, struct co_fd *s, int dir,
	      uint32_t gen, uint32_t seq, bool in_turn)
{
	struct co_parker *p = co_parker();
	int err;

	co_arm(p);
	err = enter(w, fd, s, dir, gen, &seq, p, in_turn);
	if (err != 0)
		co_disarm(p);
	return err;
}

int
co_fd_enter(struct co_fd_wait *w, int fd, struct co_fd *s, int dir,
	    uint32_t gen, uint32_t seq)
{
	return arm_and_enter(w, fd, s, dir, gen, seq, false);
}

int
co_fd_enter_turn(struct co_fd_wait *w, int fd, struct co_fd *s, uint32_t gen,
		 uint32_t seq)
{
	return arm_and_enter(w, fd, s, CO_IN, gen, seq, true);
}

void
co_fd_pass(struct co *self)
{
	struct co_fd *s = self->turn;

	if (s == NULL)
		return;
	self->turn = NULL;
	co_critical_begin();
	co_lock(&s->lock);
	if (s->gen == self->turn_gen)
		wake_turn(s);
	co_unlock(&s->lock);
	co_critical_end();
}

int
co_fd_enter_any(struct co_fd_wait *w, int fd, struct co_fd *s, int dir,
		uint32_t gen, const uint32_t *seq, struct co_parker *p)
{
	return enter(w, fd, s, dir, gen, seq, p, false);
}

void
co_fd_leave(struct co_fd_wait *w)
{
	struct co_fd *s = w->slot;

	co_critical_begin();
	co_lock(&s->lock);
	if (w->prev != NULL)
		unlink_wait(w);
	co_unlock(&s->lock);
	co_critical_end();
}

/* Something to take. */
static void
wake_for_data(struct co_fd *s)
{
	while (s->waits[CO_IN] != NULL)
		wake(s->waits[CO_IN], CO_WOKEN);
	wake_turn(s);
}

/* Under the slot's lock, as every change; who begins a call reads it without. */
static void
count_event(struct co_fd *s, int dir)
{
	uint32_t n = atomic_load_explicit(&s->seq[dir], memory_order_relaxed);

	atomic_store_explicit(&s->seq[dir], n + 1, memory_order_release);
}

void
co_fd_event(uint64_t data, uint32_t events)
{
	struct co_fd *s = co_fd_if((int)(uint32_t)data);

	if (s == NULL)
		return;
	co_lock(&s->lock);
	if (s->gen == (uint32_t)(data >> 32)) {
		if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP | EPOLLPRI))
			atomic_fetch_or(&s->flags, CO_FDF_HUP);
		if (events & ~(uint32_t)EPOLLOUT) {
			count_event(s, CO_IN);
			/* An end is everybody's. */
			if (events & ~(uint32_t)(EPOLLIN | EPOLLOUT))
				wake_all(s, CO_IN, CO_WOKEN);
			else
				wake_for_data(s);
		}
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
			count_event(s, CO_OUT);
			wake_all(s, CO_OUT, CO_WOKEN);
		}
	}
	co_unlock(&s->lock);
}

void
co_fd_prefetch(uint64_t data)
{
	struct co_fd *leaf = leaf_of((int)(uint32_t)data, false);

	if (leaf != NULL)
		__builtin_prefetch(&leaf[(uint32_t)data % LEAF]);
}

/* Without the lock: whoever it is, nothing of it is read. */
__attribute__((no_sanitize("thread"))) void
co_fd_prefetch_waits(uint64_t data)
{
	struct co_fd *s = co_fd_if((int)(uint32_t)data);
	char *w;

	if (s == NULL)
		return;
	/* As a rule it is in the middle of what a coroutine needs to wake, see
	 * co.h. */
	w = (char *)__atomic_load_n(&s->waits[CO_IN], __ATOMIC_RELAXED);
	__builtin_prefetch(w);
	__builtin_prefetch(w + 64);
	__builtin_prefetch(w + 96);
}

void
co_fd_forked(void)
{
	lock.word = 0;
	epoch++;
	atomic_fetch_add(&co_fd_shares, 1);
}
