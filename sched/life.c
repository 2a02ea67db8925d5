/* SPDX-License-Identifier: MIT */
/* life.c - births and deaths.
 *
 *     born: a block is caught in glibc's pthread_create(), or recycled
 *     live: fn(arg)
 *     done: off its stack, its result there for whoever joins
 *     gone: joined or detached; its block waits in a pool for the next birth
 *
 * A block whose thread ended through pthread_exit(), or that lies on a stack
 * of the program's, is glibc's to end: it leaves by glibc's own code.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"
#include "sched/lot.h"
#include "sched/watch.h"

enum { POOLS = 32, CHUNK = 1 << 18, FIRST_TID = 1 << 22, PAGE = 4096 };
/* A thread that used more than this at a wait gives the rest back. */
enum { WARM = 64 * 1024 };

/* Blocks of one kind, by what was asked for. */
struct co_pool {
	size_t stack, guard;
	struct co *free;
};

bool co_never_recycle;
struct co_lock co_all_lock;
struct co *co_all;
_Atomic long co_count, co_threads, co_light_count;
void (*co_on_life_begin)(struct co *);
void (*co_on_life_end)(struct co *);
void (*co_on_done)(struct co *);

/* Under lock. */
static struct co_lock lock;
static struct co_pool pools[POOLS];
static int npools;
static struct co *loose;        /* structs without a block */
static struct co *_Atomic graves; /* detached, and glibc's to free */
static char *chunk;
static size_t chunk_left;
static int next_tid = FIRST_TID;

static _Atomic int64_t next_id = 1;
const _Atomic int64_t *const co_ids = &next_id;
static struct co main_co;

void *
co_alloc(size_t size)
{
	void *p;

	size = (size + 63) & ~(size_t)63;
	if (size > CHUNK / 2) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	co_critical_begin();
	co_lock(&lock);
	if (chunk_left < size) {
		chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		chunk_left = CHUNK;
		if (chunk == MAP_FAILED) {
			chunk_left = 0;
			chunk = NULL;
		}
	}
	p = NULL;
	if (chunk_left >= size) {
		p = chunk;
		chunk += size;
		chunk_left -= size;
	}
	co_unlock(&lock);
	co_critical_end();
	return p;
}

struct co *
co_main_co(void)
{
	struct co *co = &main_co;

	co->parker.co = co;
	co->tcb.thread = pthread_self();
	co->tcb.ctx.tp = co_ctx_tp();
	co->id = atomic_fetch_add(&next_id, 1);
	co->tid = (int)sys0(SYS_gettid);
	co->is_main = 1;
	co->spent = CO_SPENT;
	/* Unless it says another to pthread_exit(3). */
	co->result = PTHREAD_CANCELED;
	co->state = CO_S_RUNNING;
	co_format(co->name, sizeof(co->name), "main");
	co->all_prev = &co_all;
	co_all = co;
	atomic_fetch_add(&co_count, 1);
	atomic_fetch_add(&co_threads, 1);
	return co;
}

/* NULL: of that kind there is none, and none can be had.  Under lock. */
static struct co_pool *
pool_of(size_t stack, size_t guard)
{
	int i;

	for (i = 0; i < npools; i++)
		if (pools[i].stack == stack && pools[i].guard == guard)
			return &pools[i];
	if (npools == POOLS)
		return NULL;
	pools[npools].stack = stack;
	pools[npools].guard = guard;
	return &pools[npools++];
}

static void
list(struct co *co)
{
	co_lock(&co_all_lock);
	co->all_next = co_all;
	co->all_prev = &co_all;
	if (co_all != NULL)
		co_all->all_prev = &co->all_next;
	co_all = co;
	co_unlock(&co_all_lock);
}

static void
unlist(struct co *co)
{
	co_lock(&co_all_lock);
	*co->all_prev = co->all_next;
	if (co->all_next != NULL)
		co->all_next->all_prev = co->all_prev;
	co->all_prev = NULL;
	co_unlock(&co_all_lock);
}

/* The first thing on a new stack, before glibc's start code goes on: that code
 * must find itself in the scheduler no more, but with handlers put off, for
 * it takes its thread to be new and alone. */
static void
first(void *arg)
{
	struct co_m *m;

	(void)arg;
	co_after_switch();
	m = co_tls.self->m;
	atomic_store_explicit(&m->in, m->in - 1, memory_order_release);
}

/* Threads that have ended by exit(2), past libc, which counts them still.  Where
 * all that are left have, the process ends by the kernel, with the last one's
 * status. */
static _Atomic long quit;

static void
end_if_all_quit(int status)
{
	if (co_threads == quit)
		sys1(SYS_exit_group, status);
}

void
co_count_out(void)
{
	if (atomic_fetch_sub(&co_threads, 1) == 1)
		exit(0);
	end_if_all_quit(0);
}

void
co_count_quit(int status)
{
	atomic_fetch_add(&quit, 1);
	end_if_all_quit(status);
}

static void
count_out(struct co *co)
{
	if (!co->light)
		co_count_out();
}

/* The destructors may be cancelled, and whoever cancels us from now on finds
 * us ended. */
static bool
ends_our_way(struct co *co)
{
	uint8_t spent = CO_LIVES;

	if (co->spent || co->pool == NULL || co_never_recycle)
		return false;
	co_on_life_end(co);
	return atomic_compare_exchange_strong(&co->spent, &spent, CO_ENDED);
}

static void *
life(void *arg)
{
	struct co *co = arg;
	struct co_m *m = co->m;
	size_t len;

	/* The kernel was told of our robust list; it is the kernel thread's
	 * own that it must know (set_robust_list(2)). */
	sys3(SYS_get_robust_list, 0, &co->robust_head, &len);
	sys2(SYS_set_robust_list, m->robust_head, 24);
	/* glibc's start code has set the mask of its creator, for real. */
	m->kmask = co->sigmask;
	sys_sigmask(SIG_SETMASK, &co->sigmask, NULL);
	co_critical_end();
	for (;;) {
		co->why = NULL;
		co_ctx_set_fp(co->fp);
		if (co_on_life_begin != NULL)
			co_on_life_begin(co);
		co_sig_handle(); /* what was sent before it first ran */
		co->result = co->fn(co->arg);
		if (!ends_our_way(co)) {
			co->real_exit = 1;
			return co->result;
		}
		count_out(co);
		co_rest();
	}
}

/* From *pool, where one like it goes in the end. */
static struct co *
recycled(const struct co_birth *b, struct co_pool **pool)
{
	struct co_pool *p;
	struct co *co = NULL;

	co_lock(&lock);
	*pool = p = pool_of(b->stack, b->guard);
	if (p != NULL && (co = p->free) != NULL)
		p->free = co->next;
	co_unlock(&lock);
	return co;
}

static struct co *
loose_co(void)
{
	struct co *co;
	int tid;

	co_lock(&lock);
	co = loose;
	if (co != NULL)
		loose = co->next;
	tid = co == NULL ? next_tid++ : co->tid;
	co_unlock(&lock);
	if (co == NULL) {
		co = co_alloc(sizeof(*co));
		if (co == NULL)
			return NULL;
	} else {
		/* Claims of old waits may still look at the parker's state. */
		memset((char *)co + sizeof(co->parker), 0,
		       sizeof(*co) - sizeof(co->parker));
	}
	co->parker.co = co;
	co->tid = tid;
	return co;
}

static void
let_loose(struct co *co)
{
	co_lock(&lock);
	co->next = loose;
	loose = co;
	co_unlock(&lock);
}

/* A detached one that ended glibc's way: glibc's join may not be called in the
 * scheduler, so whoever makes the next thread does. */
static void
bury(struct co *co)
{
	if (co->is_main)
		return;
	co_lock(&lock);
	co->next = graves;
	graves = co;
	co_unlock(&lock);
}

static void
reap_graves(void)
{
	struct co *co, *next;

	if (graves == NULL)
		return;
	co_critical_begin();
	co_lock(&lock);
	co = graves;
	graves = NULL;
	co_unlock(&lock);
	co_critical_end();
	for (; co != NULL; co = next) {
		next = co->next;
		co_reap(co);
	}
}

/* Once: vm.max_map_count is used up, say. */
static void
say_unguarded(void)
{
	if (co_stack_unguarded())
		co_log_once(CO_WARN, "no guards for stacks any more: an "
				     "overflow will not be noticed");
}

static int
no_memory(const struct co_birth *b)
{
	co_log_once(CO_WARN, "a thread could not be made: no memory for its "
			     "stack of %lu KiB (%ld threads live)",
		    (unsigned long)b->stack / 1024, (long)co_count);
	return EAGAIN;
}

/* A block that has had no life yet. */
static int
fresh(const struct co_birth *b, struct co **out)
{
	struct co *co;
	struct co_tls *tls;
	pthread_attr_t attr;
	int err;

	co = loose_co();
	if (co == NULL)
		return no_memory(b);
	if (b->own == NULL) {
		if (co_stack_get(&co->stack, b->stack, b->guard) != 0) {
			let_loose(co);
			return no_memory(b);
		}
		say_unguarded();
		co->own_stack = 1;
	} else {
		co->stack.base = b->own;
		co->stack.size = b->stack;
	}
	co->own_size = b->stack;
	co->own_guard = b->guard;
	co->tcb.tid = co->tid;
	co->tcb.first = first;
	pthread_attr_init(&attr);
	err = pthread_attr_setstack(&attr, co->stack.base, co->own_size);
	if (err == 0) {
		co_tls.nopark++; /* what is caught is this kernel thread's */
		err = co_tcb_create(&co->tcb, &attr, life, co);
		co_tls.nopark--;
	}
	pthread_attr_destroy(&attr);
	if (err != 0) {
		if (co->own_stack)
			co_stack_put(&co->stack, 0);
		let_loose(co);
		return err;
	}
	/* Its thread-locals, before it first runs: it is a coroutine from the
	 * first instruction, and its start code is not to be interrupted. */
	tls = (struct co_tls *)(co->tcb.ctx.tp +
				((uintptr_t)&co_tls - co_ctx_tp()));
	tls->self = co;
	tls->critical = 1;
	*out = co;
	return 0;
}

/* What glibc makes of the sizes that it is given; false: refuses them. */
static bool
rounded(struct co_birth *b)
{
	enum { ALIGN = 64 }; /* of thread-local storage, as a rule */

	if (b->own != NULL) {
		b->guard = 0;
		return true;
	}
	b->stack &= ~(size_t)(ALIGN - 1);
	if (b->guard > SIZE_MAX - PAGE)
		return false;
	b->guard = (b->guard + PAGE - 1) & ~(size_t)(PAGE - 1);
	return b->stack + b->guard >= b->guard;
}

int
co_spawn(const struct co_birth *asked, struct co **out)
{
	struct co_birth birth = *asked, *b = &birth;
	struct co *self = co_tls.self, *co = NULL;
	struct co_pool *pool = NULL;
	int err;

	if (!rounded(b))
		return EINVAL;
	reap_graves();
	if (co_timer_reserve(co_count + 65) != 0)
		return no_memory(b);
	co_critical_begin();
	if (b->own == NULL)
		co = recycled(b, &pool);
	co_critical_end();
	if (co != NULL) {
		co->recycled = 1;
		co->name[0] = '\0';
		co->done = 0;
		co->joining = co->real_exit = 0;
		co->uses_masks = co->in_handler = co->altstack_set = 0;
		co->handled = co->interrupted = 0;
		co->cancel = co->region = co->spent = 0;
	} else {
		err = fresh(b, &co);
		if (err != 0)
			return err;
	}
	co->id = atomic_fetch_add(&next_id, 1);
	co->fn = b->fn;
	co->arg = b->arg;
	co->result = NULL;
	co->fp = co_ctx_fp();
	co->detached = b->detached;
	co->light = b->light;
	co->own_sched = b->own_sched;
	co->pool = pool;
	co->why = "is about to start";
	co->since = co_clock_now();
	co->parks = co->lends = 0;
	memset(&co->usage, 0, sizeof(co->usage));
	co->cpu_seen = 0;
	if (self != NULL && self->name[0] != '\0' && !self->is_main)
		memcpy(co->name, self->name, sizeof(co->name));
	co_critical_begin();
	co_sig_born(co, b->mask);
	list(co);
	atomic_fetch_add(&co_count, 1);
	if (b->light)
		atomic_fetch_add(&co_light_count, 1);
	else
		atomic_fetch_add(&co_threads, 1);
	co_critical_end();
	*out = co;
	co_seen_spawn(co);
	co_monitor_start();
	co_slots_grow();
	co_spare_keep();
	return 0;
}

/* Off its stack, in somebody else's context: now it is done. */
void
co_gone(struct co *co)
{
	bool detached;

	co_seen_exit(co);
	co_sig_gone(co);
	unlist(co);
	atomic_store(&co->state, CO_S_GONE);
	atomic_fetch_sub(&co_count, 1);
	if (co->light && atomic_fetch_sub(&co_light_count, 1) == 1)
		co_lot_wake(&co_light_count, INT_MAX);
	co_lock(&co->join_lock);
	atomic_store(&co->done, 1);
	detached = co->detached;
	co_unlock(&co->join_lock);
	if (co_on_done != NULL)
		co_on_done(co);
	if (detached && co->real_exit)
		bury(co);
	else if (detached)
		co_reap(co);
	else
		co_lot_wake(&co->done, INT_MAX);
}

/* A recycled block goes to its pool.  One that has left through glibc is
 * glibc's to free first, by its own join, which finds it ended. */
void *
co_reap(struct co *co)
{
	struct co_pool *p = co->pool;
	void *result = co->result;

	if (co->is_main)
		return result; /* its block and stack stay */
	if (co->real_exit) {
		co_libc.join(co->tcb.thread, &result);
		co_critical_begin();
		if (co->own_stack)
			co_stack_put(&co->stack, 1);
		let_loose(co);
		co_critical_end();
		return result;
	}
	co_critical_begin();
	if (co_watch & CO_WATCH_STATS) /* it is the next one's to touch */
		co_stack_trim(&co->stack, (uintptr_t)co->tcb.ctx.sp, 0);
	else if (co->id % 64 == 0 ||
		 co_stack_deep(&co->stack, (uintptr_t)co->tcb.ctx.sp, WARM))
		co_stack_trim(&co->stack, (uintptr_t)co->tcb.ctx.sp, WARM);
	co_lock(&lock);
	co->next = p->free;
	p->free = co;
	co_unlock(&lock);
	co_critical_end();
	return result;
}

/* In place of exit(2): what the kernel does for a thread that ends. */
static void
left(void *arg)
{
	struct co *co = arg;

	atomic_store((_Atomic int *)co->tcb.clear_tid, 0);
	co_vanish();
}

static void
main_left(void *arg)
{
	(void)arg;
	co_vanish();
}

void
co_leave(void)
{
	struct co *co = co_tls.self;

	count_out(co);
	co->real_exit = 1;
	co->uses_masks = 1; /* glibc and the trap change the kernel's */
	if (co->is_main)
		main_left(co);
	else
		co_tcb_catch_exit(left, co);
}

void
co_quit(int status)
{
	struct co *co = co_tls.self;

	co->result = NULL;
	co->spent = CO_SPENT;
	co->real_exit = 1;
	if (!co->light)
		co_count_quit(status);
	if (co->is_main)
		main_left(co);
	else
		left(co);
}

static void
forget_all(void)
{
	int i;

	lock.word = co_all_lock.word = 0;
	chunk_left = 0;
	graves = NULL;
	for (i = 0; i < npools; i++)
		pools[i].free = NULL;
	loose = NULL;
	co_all = NULL;
	quit = 0;
	co_count = co_light_count = 0;
	co_threads = 1;
}

void
co_life_forked(void)
{
	struct co *self = co_tls.self;

	forget_all();
	co_all = self;
	self->all_next = NULL;
	self->all_prev = &co_all;
	self->join_lock.word = self->lock.word = 0;
	self->joining = 0;
	co_count = 1;
	co_threads = self->light ? 0 : 1;
	co_light_count = self->light ? 1 : 0;
}

void
co_life_orphaned(void)
{
	forget_all();
}
