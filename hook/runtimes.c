/* SPDX-License-Identifier: MIT */
/* runtimes.c - programs that bring a runtime of their own, whose threads are
 * better left to the kernel.
 *
 * Some cannot be coroutines: valgrind runs one thread at a time itself, and
 * does not know of system calls that are caught; ThreadSanitizer has the
 * creator wait until the new thread runs, which one that shares its kernel
 * thread does not.  Others are schedulers or collectors that rely on their
 * threads being the kernel's: they suspend them by signals, and make system
 * calls without libc.  COHOOK_THREADS=convert takes those all the same.
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "hook/env.h"
#include "hook/runtimes.h"
#include "hook/wait.h"

/* By the name of a library that has it, up to the version. */
static const struct {
	const char *library, *name;
} known[] = {
	{ "libjvm.so", "the Java virtual machine" },
	{ "libjli.so", "the Java virtual machine" }, /* java(1), before that */
	{ "libcoreclr.so", "the .NET runtime" },
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

/* The runtime that a loaded module is, or NULL. */
static const char *
runtime_of(const struct dl_phdr_info *info)
{
	const char *base = strrchr(info->dlpi_name, '/');
	size_t i;

	base = base != NULL ? base + 1 : info->dlpi_name;
	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(base, known[i].library) == 0)
			return known[i].name;
	return is_go(info) ? "the Go runtime" : NULL;
}

static int
look(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char **found = arg;

	(void)size;
	*found = runtime_of(info);
	return *found != NULL;
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
		dl_iterate_phdr(look, &found);
	return found;
}

/* --- one that came later, when others' threads are coroutines already --- */

struct where {
	uintptr_t at;
	bool found;
};

static int
look_there(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct where *w = arg;
	uintptr_t begin;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		if (info->dlpi_phdr[i].p_type != PT_LOAD || w->at < begin ||
		    w->at - begin >= info->dlpi_phdr[i].p_memsz)
			continue;
		w->found = runtime_of(info) != NULL;
		return 1;
	}
	return 0;
}

/* Few functions are ever the first of a thread, and each makes many: those
 * that were asked for last are kept, with the answer in the lowest bit. */
bool
co_runtime_owns(void *(*fn)(void *))
{
	enum { SLOTS = 64 };
	static _Atomic uint64_t asked[SLOTS];
	uint64_t at = (uintptr_t)fn, had;
	_Atomic uint64_t *slot;
	struct where w = { .at = at };

	if (co_env.convert)
		return false;
	slot = &asked[(at * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
	had = atomic_load_explicit(slot, memory_order_relaxed);
	if (likely(had >> 1 == at))
		return had & 1;
	dl_iterate_phdr(look_there, &w);
	atomic_store_explicit(slot, at << 1 | w.found, memory_order_relaxed);
	return w.found;
}
