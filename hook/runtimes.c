/* SPDX-License-Identifier: MIT */
/* runtimes.c - programs that bring a runtime of their own, whose threads are
 * better left to the kernel.
 *
 * Some cannot be coroutines: valgrind runs one thread at a time itself, and
 * does not know of system calls that are caught; ThreadSanitizer has the
 * creator wait until the new thread runs, which one that shares its kernel
 * thread does not.  Others are schedulers or collectors that rely on their
 * threads being the kernel's: they suspend them by signals, and make system
 * calls without libc.  And OpenMP's teams compute, a thread for each CPU, and
 * wait for one another by spinning and by futexes past libc: only their own
 * threads are left out, for the others are none of their affair.
 * COHOOK_THREADS=convert takes all but the first two.
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "hook/env.h"
#include "hook/runtimes.h"
#include "hook/wait.h"

/* By the name of a library that has it, up to the version.  A team has none:
 * nobody needs to be told. */
static const struct {
	const char *library, *name;
} known[] = {
	{ "libjvm.so", "the Java virtual machine" },
	{ "libjli.so", "the Java virtual machine" }, /* java(1), before that */
	{ "libcoreclr.so", "the .NET runtime" },
	{ "libgomp.so", NULL },
	{ "libomp.so", NULL },
	{ "libiomp5.so", NULL },
};

/* Go's linker leaves its build id in each program and library, loaded, as a
 * note of this owner and type (cmd/link, .note.go.buildid). */
static bool
is_go(const struct dl_phdr_info *info)
{
	static const char owner[4] = "Go";
	enum { BUILD_ID = 4 };
	const char *p, *end;
	ElfW(Nhdr) n;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_NOTE)
			continue;
		p = (char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		end = p + info->dlpi_phdr[i].p_memsz;
		while ((size_t)(end - p) >= sizeof(n) + sizeof(owner)) {
			memcpy(&n, p, sizeof(n));
			p += sizeof(n);
			if (n.n_type == BUILD_ID && n.n_namesz == 4 &&
			    memcmp(p, owner, sizeof(owner)) == 0)
				return true;
			n.n_namesz = (n.n_namesz + 3) & ~3U;
			n.n_descsz = (n.n_descsz + 3) & ~3U;
			if ((size_t)(end - p) < n.n_namesz + n.n_descsz)
				break;
			p += n.n_namesz + n.n_descsz;
		}
	}
	return false;
}

/* What a loaded module is, and in *name whose, unless it is a team. */
static enum co_runtime
runtime_of(const struct dl_phdr_info *info, const char **name)
{
	const char *base = strrchr(info->dlpi_name, '/');
	size_t i;

	base = base != NULL ? base + 1 : info->dlpi_name;
	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strncmp(base, known[i].library, strlen(known[i].library)) !=
		    0)
			continue;
		*name = known[i].name;
		return *name != NULL ? CO_RUNTIME : CO_RUNTIME_TEAM;
	}
	*name = "the Go runtime";
	return is_go(info) ? CO_RUNTIME : CO_RUNTIME_NONE;
}

static int
look(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char **found = arg, *name;

	(void)size;
	if (runtime_of(info, &name) != CO_RUNTIME)
		return 0;
	*found = name;
	return 1;
}

/* The request by which a program asks (valgrind.h, RUNNING_ON_VALGRIND): four
 * rotations that make a whole turn, and an exchange of a register with itself,
 * which a processor passes over. */
static bool
in_valgrind(void)
{
	uint64_t r = 0;
#ifdef __x86_64__
	volatile uint64_t request[6] = { 0x1001 };

	__asm__ volatile("rolq $3, %%rdi\n\t"
			 "rolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi\n\t"
			 "rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(r)
			 : "a"(request)
			 : "cc", "memory");
#endif
	return r != 0;
}

const char *
co_runtime_here(void)
{
	static const char *found;

	if (found != NULL)
		return found;
	if (in_valgrind())
		found = "valgrind";
	else if (dlsym(RTLD_DEFAULT, "__tsan_init") != NULL)
		found = "ThreadSanitizer";
	else if (!co_env.convert)
		real.dl_iterate_phdr(look, &found);
	return found;
}

/* --- whose is a thread? --- */

struct where {
	uintptr_t at;
	enum co_runtime found;
};

static int
look_there(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct where *w = arg;
	const char *name;
	uintptr_t begin;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		if (info->dlpi_phdr[i].p_type != PT_LOAD || w->at < begin ||
		    w->at - begin >= info->dlpi_phdr[i].p_memsz)
			continue;
		w->found = runtime_of(info, &name);
		return 1;
	}
	return 0;
}

/* Few functions are ever the first of a thread, and each makes many: those
 * that were asked for last are kept, with the answer in the lowest bits. */
enum co_runtime
co_runtime_of(void *(*fn)(void *))
{
	enum { SLOTS = 64, BITS = 2 };
	static _Atomic uint64_t asked[SLOTS];
	uint64_t at = (uintptr_t)fn, had;
	_Atomic uint64_t *slot;
	struct where w = { .at = at };

	if (co_env.convert)
		return CO_RUNTIME_NONE;
	slot = &asked[(at * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
	had = atomic_load_explicit(slot, memory_order_relaxed);
	if (likely(had >> BITS == at))
		return had & ((1 << BITS) - 1);
	real.dl_iterate_phdr(look_there, &w);
	atomic_store_explicit(slot, at << BITS | w.found, memory_order_relaxed);
	return w.found;
}
