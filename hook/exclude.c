/* SPDX-License-Identifier: MIT */
/* exclude.c - COHOOK_EXCLUDE: calls from some libraries, and some calls from
 * everywhere, go to libc as if we were not there.
 *
 * The loader has written our hooks' addresses into each module's table of what
 * it calls (its GOT), or will at the first call; there we write libc's.  So a
 * call that is excluded costs nothing, and those that are not neither: no hook
 * asks who calls.
 *
 * Only what waits is let go, and pthread_create.  Locks and what wakes stay
 * ours, for others wait in the lot for it; and what keeps the books of
 * descriptors, signals and processes.
 *
 * What dlopen(3) loads is seen to when somebody asks dlsym(3) for a name, of it
 * or not, or makes a thread: before anything of it can be called but its
 * constructors. */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "hook/exclude.h"
#include "hook/wait.h"
#include "sched/log.h"

int co_exclude_any;

/* Beside those whose whole hook is a blocking region. */
static const char lets_go[] =
	" read readv write writev recv recvfrom recvmsg send sendto sendmsg "
	"__read_chk __recv_chk __recvfrom_chk connect accept accept4 recvmmsg "
	"sendmmsg preadv pwritev preadv2 pwritev2 eventfd_read eventfd_write "
	"sendfile64 splice tee vmsplice copy_file_range poll ppoll __poll_chk "
	"__ppoll_chk select pselect epoll_wait epoll_pwait epoll_pwait2 sleep "
	"usleep nanosleep clock_nanosleep sched_yield thrd_yield thrd_sleep "
	"flock lockf sync msync tcdrain semop semtimedop msgsnd msgrcv mq_send "
	"mq_timedsend mq_receive mq_timedreceive wait waitpid wait3 wait4 "
	"waitid getaddrinfo getnameinfo gethostbyname gethostbyname2 "
	"gethostbyaddr gethostbyname_r gethostbyname2_r gethostbyaddr_r "
	"pthread_create thrd_create ";

/* The names, and where each is.  No pointers: those would be relocated in every
 * process that loads us, excluded or not. */
static const struct {
#define HOOK(ret, name, params, args) char of_##name[sizeof(#name)];
#define ALIAS(alias, name) char of_##alias[sizeof(#alias)];
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
} text = {
#define HOOK(ret, name, params, args) #name,
#define ALIAS(alias, name) #alias,
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
};

#define NAME(name) offsetof(__typeof__(text), of_##name)
#define REAL(name) offsetof(struct co_real, name)
static const struct {
	uint16_t name, base; /* base: what it is another name of */
	uint16_t real;       /* in struct co_real */
	bool region;
} entries[] = {
#define HOOK(ret, name, params, args)                                         \
	{ NAME(name), NAME(name), REAL(name), false },
#define HOOK_LENDS(ret, name, params, args)                                   \
	{ NAME(name), NAME(name), REAL(name), true },
#define HOOK_SHORT(ret, name, params, args) HOOK_LENDS(ret, name, params, args)
#define ALIAS(alias, name) { NAME(alias), NAME(name), REAL(name), false },
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
};
enum { ENTRIES = sizeof(entries) / sizeof(*entries), HASH = 2048 };
_Static_assert(ENTRIES < HASH / 2, "or it fills up");
static uint16_t by_name[HASH]; /* index + 1 */
static uint8_t goes[ENTRIES];
enum { LIBRARIES, EVERYWHERE, NEVER };

enum { LIBRARIES_MOST = 64, ITEMS = 64 };
static struct {
	const char *text;
	bool met;
} patterns[ITEMS];
static size_t npatterns;
static bool calls;             /* some are excluded everywhere */
static char program[PATH_MAX]; /* the loader has no name for it */

struct range {
	uintptr_t lo, hi;
};
static struct range own, cxx; /* of us, of libstdc++ */
/* Of excluded libraries; added to under the loader's lock. */
static struct range ranges[LIBRARIES_MOST];
static _Atomic size_t nranges;
static _Atomic unsigned long long seen_adds;

static unsigned
hash(const char *s)
{
	unsigned h = 5381;

	while (*s != '\0')
		h = h * 33 ^ (unsigned char)*s++;
	return h % HASH;
}

static const char *
text_at(uint16_t at)
{
	return (const char *)&text + at;
}

/* -1: it is none of ours. */
static int
entry_of(const char *name)
{
	unsigned h;

	for (h = hash(name); by_name[h] != 0; h = (h + 1) % HASH)
		if (strcmp(text_at(entries[by_name[h] - 1].name), name) == 0)
			return by_name[h] - 1;
	return -1;
}

static bool
may_go(size_t i)
{
	const char *base = text_at(entries[i].base), *at;
	int k = entry_of(base);
	size_t n = strlen(base);

	/* Its old version is another, and here are names alone. */
	if (strncmp(base, "lio_listio", 10) == 0)
		return false;
	if (entries[i].region || (k >= 0 && entries[k].region))
		return true;
	for (at = lets_go; (at = strstr(at, base)) != NULL; at += n)
		if (at[-1] == ' ' && at[n] == ' ')
			return true;
	return false;
}

static void
index_entries(void)
{
	unsigned h;
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		for (h = hash(text_at(entries[i].name)); by_name[h] != 0;
		     h = (h + 1) % HASH)
			;
		by_name[h] = (uint16_t)(i + 1);
	}
	for (i = 0; i < ENTRIES; i++)
		goes[i] = may_go(i) ? LIBRARIES : NEVER;
}

static bool
matches(const char *pattern, const char *s)
{
	for (; *pattern != '\0'; pattern++, s++) {
		if (*pattern == '*') {
			for (; *s != '\0'; s++)
				if (matches(pattern + 1, s))
					return true;
			return matches(pattern + 1, s);
		}
		if (*s == '\0' || (*pattern != '?' && *pattern != *s))
			return false;
	}
	return *s == '\0';
}

static bool
is_excluded(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t i;

	for (i = 0; i < npatterns; i++) {
		const char *p = patterns[i].text;

		if (!matches(p, strchr(p, '/') == NULL && slash != NULL ?
					slash + 1 :
					path))
			continue;
		patterns[i].met = true;
		return true;
	}
	return false;
}

static bool
in(const struct range *r, uintptr_t at)
{
	return at >= r->lo && at < r->hi;
}

static void
remember(const struct range *r)
{
	size_t i, n = nranges;

	for (i = 0; i < n; i++)
		if (ranges[i].lo == r->lo && ranges[i].hi == r->hi)
			return;
	if (n == LIBRARIES_MOST)
		return;
	ranges[n] = *r;
	nranges = n + 1;
}

/* --- a module's table --- */

struct module {
	uintptr_t bias;
	struct range at;
	struct range relro; /* what the loader makes read-only */
	const Elf64_Sym *syms;
	const char *names;
	const Elf64_Rela *rela, *plt;
	size_t nrela, nplt;
	bool all; /* the library, not just some calls */
	int *mem; /* /proc/self/mem, once it is needed */
};

#if defined(__x86_64__)
enum {
	CALLS = R_X86_64_JUMP_SLOT,
	VALUE = R_X86_64_GLOB_DAT,
	POINTER = R_X86_64_64
};
#elif defined(__aarch64__)
enum {
	CALLS = R_AARCH64_JUMP_SLOT,
	VALUE = R_AARCH64_GLOB_DAT,
	POINTER = R_AARCH64_ABS64
};
#endif

/* Another thread may be loading just this module, and protect it any moment:
 * so not by mprotect(2) and a store, but as a debugger writes. */
static void
put(struct module *m, uintptr_t *slot, uintptr_t value)
{
	if (!in(&m->relro, (uintptr_t)slot)) {
		__atomic_store_n(slot, value, __ATOMIC_RELAXED);
		return;
	}
	if (*m->mem == -1) {
		*m->mem = (int)sys4(SYS_openat, AT_FDCWD, "/proc/self/mem",
				    O_RDWR | O_CLOEXEC, 0);
		if (*m->mem >= 0)
			*m->mem = co_fd_lift(*m->mem);
	}
	if (*m->mem < 0 || sys4(SYS_pwrite64, *m->mem, &value, sizeof(value),
				slot) != sizeof(value)) {
		uintptr_t page = (uintptr_t)slot & ~(uintptr_t)4095;

		sys3(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE);
		__atomic_store_n(slot, value, __ATOMIC_RELAXED);
		sys3(SYS_mprotect, page, 4096, PROT_READ);
	}
}

/* Has the loader been over it?  It goes from the first entry to the last. */
static bool
is_bound(const struct module *m)
{
	const Elf64_Rela *r;
	size_t n;

	if (m->bias == 0)
		return true;
	if (m->nplt > 0) {
		r = &m->plt[m->nplt - 1];
		/* Before that it holds a place in the file. */
		return *(uintptr_t *)(m->bias + r->r_offset) >=
			       m->at.hi - m->bias ||
		       ELF64_R_TYPE(r->r_info) != CALLS;
	}
	for (n = m->nrela; n > 0; n--) {
		r = &m->rela[n - 1];
		if (ELF64_R_TYPE(r->r_info) == VALUE &&
		    ELF64_ST_BIND(m->syms[ELF64_R_SYM(r->r_info)].st_info) !=
			    STB_WEAK)
			return *(uintptr_t *)(m->bias + r->r_offset) != 0;
	}
	return true;
}

/* dlsym(3) of whoever calls it: we look first, and then it goes on as if it
 * had come from there, which is what RTLD_NEXT is about. */
void co_exclude_dlsym(void);
void co_exclude_dlvsym(void);

static uintptr_t
instead_of(const struct module *m, const char *name, uintptr_t value)
{
	bool lazy = in(&m->at, value); /* it is bound when it is called */
	int e;

#ifdef __x86_64__
	if (strcmp(name, "dlsym") == 0)
		return lazy || value == (uintptr_t)dlsym ?
			       (uintptr_t)co_exclude_dlsym :
			       0;
	if (strcmp(name, "dlvsym") == 0)
		return lazy || value == (uintptr_t)dlvsym ?
			       (uintptr_t)co_exclude_dlvsym :
			       0;
#endif
	if (!lazy && !in(&own, value))
		return 0; /* another preload's, in front of us */
	e = entry_of(name);
	if (e < 0 || goes[e] == NEVER || (goes[e] == LIBRARIES && !m->all))
		return 0;
	if (entries[e].real == REAL(pthread_create))
		return (uintptr_t)co_create_native;
	return *(uintptr_t *)((char *)&real + entries[e].real);
}

static void
write_over(struct module *m, const Elf64_Rela *r, size_t n)
{
	uintptr_t *slot, new;

	for (; n > 0; n--, r++) {
		unsigned type = ELF64_R_TYPE(r->r_info);
		const Elf64_Sym *sym = &m->syms[ELF64_R_SYM(r->r_info)];

		if ((type != CALLS && type != VALUE && type != POINTER) ||
		    sym->st_shndx != SHN_UNDEF || r->r_addend != 0)
			continue;
		slot = (uintptr_t *)(m->bias + r->r_offset);
		new = instead_of(m, m->names + sym->st_name, *slot);
		if (new != 0 && new != *slot)
			put(m, slot, new);
	}
}

static void
read_dynamic(struct module *m, const Elf64_Dyn *d)
{
	size_t rela_size = 0, plt_size = 0;
	bool is_rela = true;

	for (; d->d_tag != DT_NULL; d++) {
		/* The loader has added the bias, but for what it may not
		 * write to. */
		uintptr_t at = d->d_un.d_ptr < m->bias ?
				       d->d_un.d_ptr + m->bias :
				       d->d_un.d_ptr;

		switch (d->d_tag) {
		case DT_SYMTAB:
			m->syms = (const Elf64_Sym *)at;
			break;
		case DT_STRTAB:
			m->names = (const char *)at;
			break;
		case DT_RELA:
			m->rela = (const Elf64_Rela *)at;
			break;
		case DT_RELASZ:
			rela_size = d->d_un.d_val;
			break;
		case DT_JMPREL:
			m->plt = (const Elf64_Rela *)at;
			break;
		case DT_PLTRELSZ:
			plt_size = d->d_un.d_val;
			break;
		case DT_PLTREL:
			is_rela = d->d_un.d_val == DT_RELA;
			break;
		}
	}
	m->nrela = rela_size / sizeof(Elf64_Rela);
	m->nplt = is_rela ? plt_size / sizeof(Elf64_Rela) : 0;
}

struct look {
	unsigned long long adds;
	bool unbound; /* one of them is being loaded */
	int mem;
};

static int
look_at(struct dl_phdr_info *info, size_t size, void *to)
{
	const char *name = info->dlpi_name[0] ? info->dlpi_name : program;
	struct look *look = to;
	struct module m = { .bias = info->dlpi_addr,
			    .at.lo = UINTPTR_MAX,
			    .mem = &look->mem };
	const Elf64_Dyn *dynamic = NULL;
	int i;

	(void)size;
	look->adds = info->dlpi_adds;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uintptr_t at = m.bias + ph->p_vaddr, end = at + ph->p_memsz;

		if (ph->p_type == PT_DYNAMIC)
			dynamic = (const Elf64_Dyn *)at;
		if (ph->p_type == PT_GNU_RELRO) {
			m.relro.lo = at & ~(uintptr_t)4095;
			m.relro.hi = end & ~(uintptr_t)4095;
		}
		if (ph->p_type != PT_LOAD)
			continue;
		m.at.lo = at < m.at.lo ? at : m.at.lo;
		m.at.hi = end > m.at.hi ? end : m.at.hi;
	}
	if (dynamic == NULL || in(&m.at, own.lo) ||
	    strncmp(name, "linux-", 6) == 0 ||
	    strstr(name, "/ld-linux") != NULL ||
	    strstr(name, "/libc.so") != NULL)
		return 0;
	m.all = is_excluded(name);
	if (m.all)
		remember(&m.at);
	if (strstr(name, "/libstdc++.so") != NULL)
		cxx = m.at;
	read_dynamic(&m, dynamic);
	if (m.syms == NULL || m.names == NULL)
		return 0;
	if (!is_bound(&m)) {
		look->unbound = true;
		return 0;
	}
	write_over(&m, m.rela, m.nrela);
	write_over(&m, m.plt, m.nplt);
	return 0;
}

static int
count_adds(struct dl_phdr_info *info, size_t size, void *to)
{
	(void)size;
	*(unsigned long long *)to = info->dlpi_adds;
	return 1;
}

/* --- all of them --- */

void
co_exclude_look(void)
{
	struct look look = { 0, false, -1 };
	unsigned long long adds = 0;
	int saved = errno;

	co_tls.nopark++; /* no switch while the loader's lock is held */
	real.dl_iterate_phdr(count_adds, &adds);
	if (atomic_load(&seen_adds) != adds) {
		real.dl_iterate_phdr(look_at, &look);
		if (!look.unbound)
			atomic_store(&seen_adds, look.adds);
		if (look.mem >= 0)
			sys1(SYS_close, look.mem);
	}
	co_tls.nopark--;
	errno = saved;
}

static bool
is_theirs(uintptr_t at)
{
	size_t i, n = nranges;

	for (i = 0; i < n; i++)
		if (in(&ranges[i], at))
			return true;
	return false;
}

/* libstdc++ begins all of std::thread's with a function of its own, whose
 * argument is an object with a virtual function of the library's that made it
 * (execute_native_thread_routine in libstdc++-v3/src/c++11/thread.cc). */
bool
co_exclude_owns(void *(*fn)(void *), void *arg)
{
	uintptr_t vtable = 0;

	co_exclude_look();
	return is_theirs((uintptr_t)fn) ||
	       (in(&cxx, (uintptr_t)fn) &&
		co_get(&vtable, arg, sizeof(vtable)) && is_theirs(vtable));
}

static int
find_own(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t lo = UINTPTR_MAX, hi = 0, here = (uintptr_t)find_own;
	int i;

	(void)size;
	(void)arg;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD)
			continue;
		lo = at < lo ? at : lo;
		hi = at + ph->p_memsz > hi ? at + ph->p_memsz : hi;
	}
	if (here < lo || here >= hi)
		return 0;
	own.lo = lo;
	own.hi = hi;
	return 1;
}

void
co_exclude_init(char *list)
{
	char *comma;
	size_t i;
	long n;
	int e;

	if (list == NULL)
		return;
	index_entries();
	n = sys3(SYS_readlink, "/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = '\0';
	for (; list != NULL; list = comma) {
		comma = strchr(list, ',');
		if (comma != NULL)
			*comma++ = '\0';
		e = entry_of(list);
		if (e < 0 && npatterns < ITEMS) {
			patterns[npatterns++].text = list;
		} else if (e >= 0 && goes[e] == NEVER) {
			co_log(CO_WARN,
			       "COHOOK_EXCLUDE: %s stays hooked, others "
			       "depend on it",
			       list);
		} else if (e >= 0) {
			goes[e] = EVERYWHERE;
			calls = true;
		}
	}
	if (npatterns == 0 && !calls)
		return;
	co_exclude_any = 1;
	real.dl_iterate_phdr(find_own, NULL);
	co_exclude_look();
	/* Others may be loaded yet; of these it is not likely. */
	for (i = 0; i < npatterns; i++)
		if (!patterns[i].met &&
		    strpbrk(patterns[i].text, "./*?") == NULL)
			co_log(CO_WARN,
			       "COHOOK_EXCLUDE: %s is no call that can be "
			       "hooked, and no library here",
			       patterns[i].text);
}
