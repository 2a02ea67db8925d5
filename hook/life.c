/* SPDX-License-Identifier: MIT */
/* life.c - a recycled thread block must look new, an ending one clean. */
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <string.h>

#include "ctx/sys.h"
#include "hook/robust.h"
#include "hook/wait.h"
#include "sched/log.h"

static void (*call_tls_dtors)(void);

/* C++'s thread_local destructors: glibc keeps the list in its own TLS and
 * exports who runs it, as GLIBC_PRIVATE.  Without that a thread that has any
 * must end glibc's way; see co_life_init(). */
static void
tls_destructors(void)
{
	if (call_tls_dtors != NULL)
		call_tls_dtors();
}

struct module {
	const char *name;
	bool skip;
};

/* libc's, ld.so's and our own thread-locals stay: the allocator's cache and
 * the resolver's state are meant to be warm.  Our file may have any name, and
 * is known by what it holds. */
static bool
stays(const struct dl_phdr_info *info)
{
	const char *base = strrchr(info->dlpi_name, '/');
	const char *tls = info->dlpi_tls_data, *ours = (char *)&co_tls;
	int i;

	base = base != NULL ? base + 1 : info->dlpi_name;
	if (strncmp(base, "libc.so", 7) == 0 ||
	    strncmp(base, "ld-linux", 8) == 0)
		return true;
	for (i = 0; i < info->dlpi_phnum && tls != NULL; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			return ours >= tls &&
			       ours < tls + info->dlpi_phdr[i].p_memsz;
	return false;
}

struct tls_index {
	unsigned long module, offset;
};
extern void *__tls_get_addr(struct tls_index *);

static bool
has_static_tls(const struct dl_phdr_info *info)
{
	const ElfW(Phdr) *ph;
	const ElfW(Dyn) *d;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		ph = &info->dlpi_phdr[i];
		if (ph->p_type != PT_DYNAMIC)
			continue;
		for (d = (void *)(info->dlpi_addr + ph->p_vaddr);
		     d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_FLAGS)
				return d->d_un.d_val & DF_STATIC_TLS;
	}
	return false;
}

static int
renew(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct tls_index at;
	char *tls = info->dlpi_tls_data;
	int i;

	(void)size;
	(void)arg;
	if (info->dlpi_tls_modid == 0 || stays(info))
		return 0;
	if (tls == NULL && has_static_tls(info)) {
		at.module = info->dlpi_tls_modid;
		at.offset = 0;
		tls = __tls_get_addr(&at);
	}
	if (tls == NULL)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_TLS)
			continue;
		memcpy(tls, (void *)(info->dlpi_addr + ph->p_vaddr),
		       ph->p_filesz);
		memset(tls + ph->p_filesz, 0, ph->p_memsz - ph->p_filesz);
	}
	return 0;
}

/* Libraries are walked with a lock of the linker's held, which whoever starts a
 * thread may need, also a kernel thread of ours: so nobody parks with it, and
 * who waits there waits as a kernel thread does. */
struct walk {
	int (*fn)(struct dl_phdr_info *, size_t, void *);
	void *arg;
};

/* An exception leaves walk(): as in once.c. */
int co_walk_unwound(int version, int actions, uint64_t class, void *what,
		    void *context);
int
co_walk_unwound(int version, int actions, uint64_t class, void *what,
		void *context)
{
	enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };

	(void)version, (void)class, (void)what, (void)context;
	if (actions & CLEANUP_PHASE)
		co_tls.nopark--;
	return CONTINUE_UNWIND;
}

__attribute__((noinline)) static int
walk(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct walk *w = arg;
	int r;

	__asm__ volatile(".cfi_personality 0x1b, co_walk_unwound");
	co_tls.nopark++;
	r = w->fn(info, size, w->arg);
	co_tls.nopark--;
	return r;
}

COHOOK_EXPORT int
dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *arg)
{
	struct walk w = { fn, arg };

	if (co_here() == NULL)
		return real.dl_iterate_phdr(fn, arg);
	return real.dl_iterate_phdr(walk, &w);
}

static void
begin(struct co *co)
{
	(void)co;
	real.dl_iterate_phdr(renew, NULL);
	dlerror();
	uselocale(LC_GLOBAL_LOCALE);
	h_errno = 0;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_setspecific(co_last_key, NULL);
	errno = 0;
}

static void
end(struct co *co)
{
	/* Here, for the next one may be cancelled before it runs. */
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
	tls_destructors();
	co_keys_destroy();
	co_robust_end(co);
}

/* The key of ours that glibc destroys: in its last round, after all others
 * have had theirs, the thread leaves by us. */
static void
last(void *round)
{
	intptr_t n = (intptr_t)round;

	if (n < PTHREAD_DESTRUCTOR_ITERATIONS) {
		pthread_setspecific(co_last_key, (void *)(n + 1));
	} else if (co_tls.self == NULL) {
		co_count_out(); /* one of thread.c's */
	} else {
		co_keys_destroy_last();
		co_robust_end(co_tls.self);
		co_leave();
	}
}

/* Every coroutine, however it ends, has a value for that key. */
static void
born(struct co *co)
{
	if (co->recycled)
		begin(co);
	pthread_setspecific(co_last_key, (void *)1);
}

void
co_life_init(void)
{
	call_tls_dtors = (void (*)(void))dlsym(RTLD_DEFAULT, "__call_tls_dtors");
	real.pthread_key_create(&co_last_key, last);
	pthread_setspecific(co_last_key, (void *)1); /* main's */
	co_on_life_begin = born;
	co_on_life_end = end;
}
