/* SPDX-License-Identifier: MIT */
/* unit_stack.c - ctx/stack.c, on a kernel that can be an old one, or full.
 *
 * stack.c and this file are compiled with mmap and its like defined to
 * kernel_mmap and so on, which are here: no sanitizer stands in between, and
 * its own mappings see nothing of the script. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctx/stack.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { PAGE = 4096 };

static bool knows_guards;  /* as a kernel before 6.13 does not */
static size_t largest;     /* mapping that there is address space for */
static _Atomic int mprotects_left; /* until vm.max_map_count */
static _Atomic int mmaps, munmaps, guards_installed, mprotects;
static void *unmapped;
static size_t unmapped_size;

void *
kernel_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	if (len > largest) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	mmaps++;
	return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, off);
}

int
kernel_munmap(void *p, size_t len)
{
	munmaps++;
	unmapped = p;
	unmapped_size = len;
	return (int)syscall(SYS_munmap, p, len);
}

int
kernel_madvise(void *p, size_t len, int advice)
{
	if (advice == MADV_GUARD_INSTALL) {
		if (!knows_guards) {
			errno = EINVAL;
			return -1;
		}
		guards_installed++;
	}
	return (int)syscall(SYS_madvise, p, len, advice);
}

int
kernel_mprotect(void *p, size_t len, int prot)
{
	if (mprotects_left == 0) {
		errno = ENOMEM;
		return -1;
	}
	mprotects_left--;
	mprotects++;
	return (int)syscall(SYS_mprotect, p, len, prot);
}

/* A guard that the kernel was told of, whichever it is, has been tried. */
static bool
this_kernel_knows_guards(void)
{
	void *p = kernel_mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long r = syscall(SYS_madvise, p, PAGE, MADV_GUARD_INSTALL);

	kernel_munmap(p, PAGE);
	return r == 0;
}

static void
begin_with(enum co_guard kind)
{
	knows_guards = true;
	mprotects_left = 1 << 20;
	largest = SIZE_MAX;
	mmaps = munmaps = guards_installed = mprotects = 0;
	co_stack_init(kind, 0);
}

/* What was given out is not known to the next test: each takes sizes that no
 * other has had. */
static size_t
a_new_size(void)
{
	static size_t last = 16 * PAGE;

	return last += PAGE;
}

static int
advised_guards(void **state)
{
	(void)state;
	begin_with(this_kernel_knows_guards() ? CO_GUARD_MADVISE
					      : CO_GUARD_MPROTECT);
	return 0;
}

static int
protected_guards(void **state)
{
	(void)state;
	begin_with(CO_GUARD_MPROTECT);
	return 0;
}

static int
no_guards(void **state)
{
	(void)state;
	begin_with(CO_GUARD_NONE);
	return 0;
}

/* --- what a child sees --- */

static volatile char *touched;

static void
on_fault(int sig, siginfo_t *info, void *uctx)
{
	(void)sig;
	(void)uctx;
	_exit(info->si_addr == touched ? 1 : 2);
}

/* By a child that writes to it. */
static bool
faults(const char *at)
{
	struct sigaction sa = { .sa_sigaction = on_fault,
				.sa_flags = SA_SIGINFO };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		touched = (volatile char *)(uintptr_t)at;
		sigaction(SIGSEGV, &sa, NULL);
		sigaction(SIGBUS, &sa, NULL);
		*touched = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 1;
}

/* Claims of a child, whose failures cmocka does not see. */
#define MUST(claim)                                                           \
	do {                                                                  \
		if (!(claim)) {                                               \
			fprintf(stderr, "%s:%d: does not hold: %s\n",         \
				__FILE__, __LINE__, #claim);                  \
			fflush(NULL);                                         \
			_exit(1);                                             \
		}                                                             \
	} while (0)

static void
holds_in_a_child(void (*story)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		story();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- */

static void
sizes_are_whole_pages(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, 1, 1), 0);
	assert_int_equal(s.size, PAGE);
	assert_int_equal(s.guard, PAGE);
	assert_int_equal(s.room, PAGE);
	assert_int_equal((uintptr_t)s.base % PAGE, 0);
	co_stack_put(&s, 0);

	assert_int_equal(co_stack_get(&s, 2 * PAGE + 1, PAGE + 1), 0);
	assert_int_equal(s.size, 3 * PAGE);
	assert_int_equal(s.room, 2 * PAGE);
	co_stack_put(&s, 0);
}

static void
a_size_that_is_none_is_refused(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, 0, PAGE), -1);
	assert_int_equal(co_stack_get(&s, SIZE_MAX, PAGE), -1);
	assert_int_equal(co_stack_get(&s, SIZE_MAX - 2 * PAGE, 4 * PAGE), -1);
	assert_int_equal(mmaps, 0);
}

/* More of them than a slab holds. */
static void
each_stack_is_its_holders_alone(void **state)
{
	enum { MANY = 1200 };
	static struct co_stack s[MANY];
	size_t size = a_new_size();
	int i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		assert_int_equal(co_stack_get(&s[i], size, PAGE), 0);
		memset(s[i].base, i & 0x7f, 64);
		*(int *)(s[i].base + 64) = i;
		*(int *)(s[i].base + size - 4) = i;
	}
	/* Each slab is as large as all before it. */
	assert_true(mmaps > 1);
	assert_true(mmaps < 12);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(*(int *)(s[i].base + 64), i);
		assert_int_equal(*(int *)(s[i].base + size - 4), i);
	}
	for (i = 0; i < MANY; i++)
		co_stack_put(&s[i], 1);
}

/* In each of its pages, and not a byte further. */
static void
the_guard_faults(struct co_stack *s, size_t guard)
{
	assert_int_equal(s->guard, guard);
	assert_true(faults(s->base - 1));
	assert_true(faults(s->base - guard));
	assert_false(faults(s->base));
	assert_false(faults(s->base + s->size - 1));
}

static void
guards_fault(void **state)
{
	size_t size = a_new_size();
	struct co_stack a, b;

	(void)state;
	assert_int_equal(co_stack_get(&a, size, 2 * PAGE), 0);
	assert_int_equal(co_stack_get(&b, size, 2 * PAGE), 0);
	the_guard_faults(&a, 2 * PAGE);
	the_guard_faults(&b, 2 * PAGE);
	co_stack_put(&a, 0);
	co_stack_put(&b, 0);
}

static void
guards_of_the_kind_asked_for(void **state)
{
	bool advised = co_stack_guard_kind() == CO_GUARD_MADVISE;

	guards_fault(state);
	assert_int_equal(guards_installed, advised ? 2 : 0);
	assert_int_equal(mprotects, advised ? 0 : 2);
}

static void
without_a_guard_nothing_faults(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, a_new_size(), PAGE), 0);
	assert_int_equal(s.guard, 0);
	assert_int_equal(s.room, PAGE);
	assert_false(faults(s.base - 1));
	assert_int_equal(guards_installed + mprotects, 0);
	co_stack_put(&s, 0);
	assert_int_equal(co_stack_get(&s, s.size, PAGE), 0);
	assert_int_equal(s.guard, 0);
	co_stack_put(&s, 0);
}

/* POSIX: a guardsize of 0 is none. */
static void
a_guard_of_no_bytes_is_none(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, a_new_size(), 0), 0);
	assert_int_equal(s.guard, 0);
	assert_int_equal(guards_installed + mprotects, 0);
	co_stack_put(&s, 0);
}

static void
an_older_kernel_has_guards_by_mprotect(void **state)
{
	begin_with(CO_GUARD_MADVISE);
	knows_guards = false;
	guards_fault(state);
	assert_int_equal(co_stack_guard_kind(), CO_GUARD_MPROTECT);
	assert_int_equal(mprotects, 2);
}

static void
out_of_mappings_there_are_no_more_guards(void **state)
{
	size_t size = a_new_size();
	struct co_stack a, b, c;

	(void)state;
	begin_with(CO_GUARD_MADVISE);
	knows_guards = false;
	mprotects_left = 1;
	assert_int_equal(co_stack_get(&a, size, PAGE), 0);
	assert_int_equal(co_stack_get(&b, size, PAGE), 0);
	assert_int_equal(co_stack_get(&c, size, PAGE), 0);

	the_guard_faults(&a, PAGE);
	assert_int_equal(b.guard, 0);
	assert_int_equal(c.guard, 0);
	assert_false(faults(b.base - 1));
	assert_int_equal(co_stack_guard_kind(), CO_GUARD_NONE);
	co_stack_put(&a, 0);
	co_stack_put(&b, 0);
	co_stack_put(&c, 0);
}

static void
the_last_given_back_is_the_next_given_out(void **state)
{
	size_t size = a_new_size();
	struct co_stack a, b, c, d;
	int made;

	(void)state;
	assert_int_equal(co_stack_get(&a, size, PAGE), 0);
	assert_int_equal(co_stack_get(&b, size, PAGE), 0);
	made = guards_installed + mprotects;
	co_stack_put(&a, 0);
	co_stack_put(&b, 0);

	assert_int_equal(co_stack_get(&c, size, PAGE), 0);
	assert_ptr_equal(c.base, b.base);
	assert_int_equal(c.size, size);
	assert_int_equal(c.room, PAGE);
	the_guard_faults(&c, PAGE);
	assert_int_equal(guards_installed + mprotects, made);
	assert_int_equal(co_stack_get(&d, size, PAGE), 0);
	assert_ptr_equal(d.base, a.base);
	co_stack_put(&c, 0);
	co_stack_put(&d, 0);
}

static void
of_another_size_or_guard_none_is_reused(void **state)
{
	size_t size = a_new_size(), larger = a_new_size();
	struct co_stack a, b, c;

	(void)state;
	assert_int_equal(co_stack_get(&a, size, PAGE), 0);
	co_stack_put(&a, 0);
	assert_int_equal(co_stack_get(&b, larger, PAGE), 0);
	assert_ptr_not_equal(b.base, a.base);
	assert_int_equal(co_stack_get(&c, size, 2 * PAGE), 0);
	assert_ptr_not_equal(c.base, a.base);
	assert_int_equal(c.guard, 2 * PAGE);
	co_stack_put(&b, 0);
	co_stack_put(&c, 0);
}

/* A page that was returned is all zeroes when it is next looked at. */
static size_t
pages_kept(const struct co_stack *s)
{
	size_t i, kept = 0;

	for (i = 0; i < s->size; i += PAGE)
		kept += s->base[i] != 0;
	return kept;
}

static void
trimming_returns_what_lies_below(void **state)
{
	struct co_stack s;
	size_t i;

	(void)state;
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	memset(s.base, 1, s.size);
	co_stack_trim(&s, (uintptr_t)s.base + 40 * PAGE + 100, 8 * PAGE);

	for (i = 0; i < 64; i++)
		assert_int_equal(s.base[i * PAGE + 50], i >= 32);
	the_guard_faults(&s, PAGE);
	co_stack_put(&s, 0);
}

static void
trimming_with_nothing_below_returns_nothing(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	memset(s.base, 1, s.size);
	co_stack_trim(&s, (uintptr_t)s.base + 8 * PAGE, 8 * PAGE);
	co_stack_trim(&s, (uintptr_t)s.base + 8 * PAGE, 9 * PAGE);
	co_stack_trim(&s, (uintptr_t)s.base + PAGE, s.size);
	co_stack_trim(&s, (uintptr_t)s.base + 8 * PAGE + 1, 8 * PAGE);
	assert_int_equal(pages_kept(&s), 64);
	co_stack_put(&s, 0);
}

static void
one_that_was_used_deep_returns_its_pages_when_put(void **state)
{
	struct co_stack s;

	(void)state;
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	memset(s.base, 1, s.size);
	co_stack_put(&s, 0);
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	assert_int_equal(pages_kept(&s), 64);

	co_stack_put(&s, 1);
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	assert_int_equal(pages_kept(&s), 16);
	assert_int_equal(s.base[48 * PAGE], 1);
	co_stack_put(&s, 0);
}

static void
a_deep_use_is_seen(void **state)
{
	struct co_stack s;
	uintptr_t top;

	(void)state;
	assert_int_equal(co_stack_get(&s, 64 * PAGE, PAGE), 0);
	memset(s.base, 0, s.size);
	top = (uintptr_t)s.base + s.size;
	assert_int_equal(co_stack_deep(&s, top, 8 * PAGE), 0);
	memset((char *)top - 8 * PAGE, 1, 8 * PAGE);
	assert_int_equal(co_stack_deep(&s, top, 8 * PAGE), 0);
	memset((char *)top - 9 * PAGE, 1, PAGE);
	assert_int_equal(co_stack_deep(&s, top, 8 * PAGE), 1);

	/* No further than the stack is, least of all into the guard. */
	memset(s.base, 1, s.size);
	assert_int_equal(co_stack_deep(&s, top, 64 * PAGE), 0);
	assert_int_equal(co_stack_deep(&s, top, 63 * PAGE), 0);
	assert_int_equal(co_stack_deep(&s, top, 100 * PAGE), 0);
	co_stack_put(&s, 0);
}

static void
no_address_space_is_said_and_nothing_is_lost(void **state)
{
	size_t size = 15 * PAGE;
	struct co_stack a, b, c;

	(void)state;
	largest = 0;
	assert_int_equal(co_stack_get(&a, size, PAGE), -1);
	assert_int_equal(co_stack_get(&a, size, PAGE), -1);

	largest = size + PAGE; /* for one at a time */
	assert_int_equal(co_stack_get(&a, size, PAGE), 0);
	assert_int_equal(co_stack_get(&b, size, PAGE), 0);
	assert_int_equal(mmaps, 2);
	a.base[0] = 1;
	b.base[0] = 2;

	largest = 0;
	assert_int_equal(co_stack_get(&c, size, PAGE), -1);
	assert_int_equal(a.base[0], 1);
	assert_int_equal(b.base[0], 2);
	co_stack_put(&a, 0);
	assert_int_equal(co_stack_get(&c, size, PAGE), 0);
	assert_ptr_equal(c.base, a.base);
	co_stack_put(&b, 0);
	co_stack_put(&c, 0);
}

/* The kernel's own word for it. */
static void
under_a_limit(void)
{
	enum { MOST = 4096 };
	static struct co_stack s[MOST];
	size_t size = a_new_size();
	struct rlimit rl, less;
	struct co_stack again;
	unsigned long vm;
	int n = 0, i;
	FILE *f;

	f = fopen("/proc/self/statm", "r");
	MUST(f != NULL && fscanf(f, "%lu", &vm) == 1);
	fclose(f);
	MUST(getrlimit(RLIMIT_AS, &rl) == 0);
	less = rl;
	less.rlim_cur = vm * PAGE + ((rlim_t)20 << 20);
	MUST(setrlimit(RLIMIT_AS, &less) == 0);
	while (n < MOST && co_stack_get(&s[n], size, PAGE) == 0) {
		*(int *)(s[n].base + 128) = n;
		n++;
	}
	MUST(n > 100 && n < MOST);
	MUST(co_stack_get(&again, size, PAGE) == -1);
	for (i = 0; i < n; i++)
		MUST(*(int *)(s[i].base + 128) == i);
	co_stack_put(&s[5], 0);
	MUST(co_stack_get(&again, size, PAGE) == 0);
	MUST(again.base == s[5].base);
	MUST(co_stack_get(&again, size, PAGE) == -1);

	MUST(setrlimit(RLIMIT_AS, &rl) == 0);
	MUST(co_stack_get(&again, size, PAGE) == 0);
}

static void
a_real_limit_is_kept_to(void **state)
{
	(void)state;
	holds_in_a_child(under_a_limit);
}

/* Those for which there is no list are the kernel's again at once. */
static void
of_very_many_sizes(void)
{
	static struct co_stack s[100];
	struct co_stack again;
	int i, before;

	for (i = 0; i < 100; i++)
		MUST(co_stack_get(&s[i], a_new_size(), PAGE) == 0);
	MUST(s[99].guard == PAGE);
	for (i = 0; i < 100; i++)
		s[i].base[0] = s[i].base[s[i].size - 1] = 1;

	before = munmaps;
	co_stack_put(&s[99], 1);
	MUST(munmaps == before + 1);
	MUST(unmapped == s[99].base - PAGE);
	MUST(unmapped_size == s[99].size + PAGE);
	MUST(co_stack_get(&s[99], s[99].size, PAGE) == 0);
	co_stack_put(&s[0], 1);
	MUST(munmaps == before + 1);
	MUST(co_stack_get(&again, s[0].size, PAGE) == 0);
	MUST(again.base == s[0].base);
	largest = 0;
	MUST(co_stack_get(&again, 3000 * PAGE, PAGE) == -1);
}

static void
sizes_without_a_list_are_given_back_to_the_kernel(void **state)
{
	(void)state;
	holds_in_a_child(of_very_many_sizes);
}

/* What others held at the fork is theirs in the child too, as far as anybody
 * knows: a list that was being changed is not believed. */
static void
in_the_child_of_a_fork(void)
{
	size_t size = a_new_size();
	struct co_stack held, free_, a, b;
	int before;

	MUST(co_stack_get(&held, size, PAGE) == 0);
	MUST(co_stack_get(&free_, size, PAGE) == 0);
	co_stack_put(&free_, 0);
	before = mmaps;
	co_stack_forked();

	MUST(co_stack_get(&a, size, PAGE) == 0);
	MUST(mmaps == before + 1);
	MUST(a.base != held.base && a.base != free_.base);
	co_stack_put(&held, 0);
	MUST(co_stack_get(&b, size, PAGE) == 0);
	MUST(b.base == held.base);
}

static void
a_fork_begins_with_empty_lists(void **state)
{
	(void)state;
	holds_in_a_child(in_the_child_of_a_fork);
}

static void
the_one_that_still_fits_is_found(void **state)
{
	size_t size = a_new_size();
	struct co_stack s;

	(void)state;
	largest = size + PAGE;
	assert_int_equal(co_stack_get(&s, size, PAGE), 0);
	co_stack_put(&s, 0);
}

static size_t shared_size;

static void *
take_and_give(void *arg)
{
	enum { HELD = 8 };
	struct co_stack s[HELD];
	int round, i;

	for (round = 0; round < 300; round++) {
		for (i = 0; i < HELD; i++) {
			if (co_stack_get(&s[i], shared_size, PAGE) != 0)
				return "no stack";
			*(void **)s[i].base = arg;
		}
		for (i = 0; i < HELD; i++) {
			if (*(void **)s[i].base != arg)
				return "somebody else's";
			co_stack_put(&s[i], 0);
		}
	}
	return NULL;
}

static void
two_threads_never_hold_the_same_one(void **state)
{
	pthread_t th[2];
	void *said[2];
	int who[2];
	int i;

	(void)state;
	shared_size = a_new_size();
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&th[i], NULL, take_and_give,
						&who[i]), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(th[i], &said[i]), 0);
	assert_null(said[0]);
	assert_null(said[1]);
}

#define T(t) cmocka_unit_test_setup(t, advised_guards)
#define MPROTECT(t) cmocka_unit_test_setup(t, protected_guards)
#define NONE(t) cmocka_unit_test_setup(t, no_guards)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes_are_whole_pages),
		T(a_size_that_is_none_is_refused),
		T(each_stack_is_its_holders_alone),
		T(guards_of_the_kind_asked_for),
		MPROTECT(guards_of_the_kind_asked_for),
		NONE(without_a_guard_nothing_faults),
		T(a_guard_of_no_bytes_is_none),
		T(an_older_kernel_has_guards_by_mprotect),
		T(out_of_mappings_there_are_no_more_guards),
		T(the_last_given_back_is_the_next_given_out),
		MPROTECT(the_last_given_back_is_the_next_given_out),
		T(of_another_size_or_guard_none_is_reused),
		T(trimming_returns_what_lies_below),
		T(trimming_with_nothing_below_returns_nothing),
		T(one_that_was_used_deep_returns_its_pages_when_put),
		T(a_deep_use_is_seen),
		T(no_address_space_is_said_and_nothing_is_lost),
		T(a_real_limit_is_kept_to),
		T(sizes_without_a_list_are_given_back_to_the_kernel),
		T(a_fork_begins_with_empty_lists),
		T(the_one_that_still_fits_is_found),
		T(two_threads_never_hold_the_same_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
