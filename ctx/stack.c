/* SPDX-License-Identifier: MIT */
/* stack.c - slabs of stacks, a free list for each size. */
#include <stdint.h>
#include <sys/mman.h>

#include "ctx/lock.h"
#include "ctx/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { PAGE = 4096, CLASSES = 64 };
static const size_t slab_first = (size_t)1 << 20, slab_most = (size_t)4 << 30;

/* A free stack's own top holds the link: that page is warm anyway. */
struct link {
	struct link *next;
};

/* One size (with its guard) of stack.  All under lock. */
struct class {
	size_t size, guard;
	struct link *free;
	char *slab; /* not yet handed out: left stacks from here on */
	size_t left;
	size_t total; /* bytes of slabs so far: the next is as large */
};

static struct co_lock lock;
static struct class classes[CLASSES];
static int nclasses;
static _Atomic(enum co_guard) kind_;
static enum co_guard asked_;

static int prot = PROT_READ | PROT_WRITE;

void
co_stack_init(enum co_guard kind, int exec)
{
	kind_ = asked_ = kind;
	if (exec)
		prot |= PROT_EXEC;
}

enum co_guard
co_stack_guard_kind(void)
{
	return kind_;
}

const char *
co_stack_guard_name(void)
{
	static const char *const name[] = {
		[CO_GUARD_MADVISE] = "madvise",
		[CO_GUARD_MPROTECT] = "mprotect",
		[CO_GUARD_NONE] = "none",
	};

	return name[kind_];
}

int
co_stack_unguarded(void)
{
	return kind_ == CO_GUARD_NONE && asked_ != CO_GUARD_NONE;
}

static size_t
pages(size_t n)
{
	return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static struct link *
link_of(char *base, size_t size)
{
	return (struct link *)(base + size - 64);
}

/* The guard of a stack that is new: how many bytes really fault. */
static size_t
install(char *at, size_t guard)
{
	if (guard == 0)
		return 0;
	if (kind_ == CO_GUARD_MADVISE) {
		if (madvise(at, guard, MADV_GUARD_INSTALL) == 0)
			return guard;
		kind_ = CO_GUARD_MPROTECT;
	}
	if (kind_ == CO_GUARD_MPROTECT) {
		if (mprotect(at, guard, PROT_NONE) == 0)
			return guard;
		kind_ = CO_GUARD_NONE; /* vm.max_map_count */
	}
	return 0;
}

static struct class *
class_of(size_t size, size_t guard)
{
	int i;

	for (i = 0; i < nclasses; i++)
		if (classes[i].size == size && classes[i].guard == guard)
			return &classes[i];
	if (nclasses == CLASSES)
		return NULL;
	classes[nclasses].size = size;
	classes[nclasses].guard = guard;
	return &classes[nclasses++];
}

static char *
map(size_t len)
{
	char *p = mmap(NULL, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
		       -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* A huge page for the top of each stack would be 2 MiB a thread. */
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

/* A slab for c: as large as all before it, so that little is asked for where
 * little is used (RLIMIT_AS counts it); less where space is short. */
static int
grow(struct class *c)
{
	size_t one = c->size + c->guard;
	size_t want = c->total < slab_first ? slab_first : c->total;
	size_t n;

	if (want > slab_most)
		want = slab_most;
	for (n = want / one ? want / one : 1; n > 0;
	     n = n > 1 && n < 4 ? 1 : n / 4) {
		c->slab = map(n * one);
		if (c->slab != NULL) {
			c->left = n;
			c->total += n * one;
			return 0;
		}
	}
	return -1;
}

int
co_stack_get(struct co_stack *s, size_t size, size_t guard)
{
	struct class *c;
	struct link *l;
	char *p;

	if (guard + 4096 < guard)
		return -1;
	size = pages(size);
	guard = pages(guard);
	if (size + guard < size || size == 0)
		return -1;
	s->size = size;
	s->room = guard;
	co_lock(&lock);
	c = class_of(size, guard);
	if (c == NULL) {
		co_unlock(&lock);
		p = map(size + guard);
		if (p == NULL)
			return -1;
	} else if ((l = c->free) != NULL) {
		c->free = l->next;
		co_unlock(&lock);
		s->base = (char *)l + 64 - size;
		s->guard = kind_ == CO_GUARD_NONE ? 0 : guard;
		return 0;
	} else {
		if (c->left == 0 && grow(c) != 0) {
			co_unlock(&lock);
			return -1;
		}
		p = c->slab;
		c->slab += size + guard;
		c->left--;
		co_unlock(&lock);
	}
	s->guard = install(p, guard);
	s->base = p + guard;
	return 0;
}

void
co_stack_trim(struct co_stack *s, uintptr_t sp, size_t keep)
{
	uintptr_t to = (sp - keep) & ~(uintptr_t)4095;

	if (sp > (uintptr_t)s->base + keep && to > (uintptr_t)s->base)
		madvise(s->base, to - (uintptr_t)s->base, MADV_DONTNEED);
}

int
co_stack_deep(const struct co_stack *s, uintptr_t sp, size_t keep)
{
	uintptr_t at = (sp - keep) & ~(uintptr_t)4095;
	const unsigned long *p = (const unsigned long *)(at - 4096);
	int i;

	if (sp <= (uintptr_t)s->base + keep || at <= (uintptr_t)s->base + 4096)
		return 0;
	for (i = 0; i < 4096 / 8; i += 16)
		if (p[i] != 0)
			return 1;
	return 0;
}

void
co_stack_put(struct co_stack *s, int deep)
{
	struct class *c;
	struct link *l;

	if (deep)
		co_stack_trim(s, (uintptr_t)s->base + s->size, 64 * 1024);
	co_lock(&lock);
	c = class_of(s->size, s->room);
	if (c == NULL) {
		co_unlock(&lock);
		munmap(s->base - s->room, s->size + s->room);
		return;
	}
	l = link_of(s->base, s->size);
	l->next = c->free;
	c->free = l;
	co_unlock(&lock);
}

void
co_stack_forked(void)
{
	int i;

	lock.word = 0;
	/* A list may have been half changed; start anew. */
	for (i = 0; i < nclasses; i++) {
		classes[i].free = NULL;
		classes[i].left = 0;
	}
}
