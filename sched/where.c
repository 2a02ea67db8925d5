/* SPDX-License-Identifier: MIT */
/* where.c - where in the program.
 *
 * A stack is not unwound here: that takes tables and a library of its own, and
 * of a thread that runs on meanwhile it would be a guess as well.  `cohook dump'
 * and gdb unwind. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/where.h"

#ifdef DLFO_STRUCT_HAS_EH_DBASE
#pragma weak _dl_find_object /* glibc 2.35 */

static int
find(uintptr_t pc, struct dl_find_object *o)
{
	return _dl_find_object != NULL && _dl_find_object((void *)pc, o) == 0;
}
#else
struct dl_find_object {
	void *dlfo_map_start, *dlfo_map_end;
	struct link_map *dlfo_link_map;
};

static int
find(uintptr_t pc, struct dl_find_object *o)
{
	(void)pc;
	(void)o;
	return 0;
}
#endif

/* Of our own memory, which may be gone meanwhile. */
static size_t
peek(uintptr_t at, void *buf, size_t n)
{
	struct iovec to = { buf, n }, from = { (void *)at, n };
	long got = sys6(SYS_process_vm_readv, sys0(SYS_getpid), &to, 1, &from,
			1, 0);

	return got > 0 ? (size_t)got : 0;
}

int
co_where_ours(uintptr_t pc)
{
	struct dl_find_object o, us;

	return find(pc, &o) && find((uintptr_t)co_where_ours, &us) &&
	       o.dlfo_map_start == us.dlfo_map_start;
}

/* Is it in code, and after a call? */
static int
is_return(uintptr_t pc)
{
	unsigned char code[8];
	struct dl_find_object o;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	uintptr_t at;
	int i;

	if (!find(pc, &o))
		return 0;
	at = (uintptr_t)o.dlfo_map_start;
	if (peek(at, &eh, sizeof(eh)) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return 0;
	for (i = 0; i < eh.e_phnum; i++) {
		uintptr_t lo;

		if (peek(at + eh.e_phoff + (uintptr_t)i * sizeof(ph), &ph,
			 sizeof(ph)) != sizeof(ph))
			return 0;
		lo = o.dlfo_link_map->l_addr + ph.p_vaddr;
		if (ph.p_type == PT_LOAD && (ph.p_flags & PF_X) &&
		    pc >= lo + 8 && pc < lo + ph.p_memsz)
			break;
	}
	if (i == eh.e_phnum || peek(pc - 8, code, 8) != 8)
		return 0;
#ifdef __x86_64__
	/* call rel32; call *r/m, of two to seven bytes (SDM, CALL). */
	if (code[3] == 0xe8)
		return 1;
	for (i = 1; i <= 6; i++)
		if (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2)
			return 1;
	return 0;
#else
	return 1;
#endif
}

int
co_where_scan(uintptr_t sp, uintptr_t end, uintptr_t *pc, int most)
{
	enum { WORDS = 512, ALL = 8 };
	uintptr_t word[WORDS];
	size_t got, i;
	int n = 0, rounds;

	for (rounds = 0; rounds < ALL && n < most && sp < end; rounds++) {
		got = peek(sp, word,
			   end - sp < sizeof(word) ? end - sp : sizeof(word)) /
		      sizeof(*word);
		for (i = 0; i < got && n < most; i++)
			if (is_return(word[i]) && !co_where_ours(word[i]))
				pc[n++] = word[i];
		if (got < WORDS)
			break;
		sp += sizeof(word);
	}
	return n;
}

/* --- names --- */

/* How many symbols there are: the highest that the hash table leads to. */
static uint32_t
count_symbols(const uint32_t *gnu)
{
	uint32_t nbuckets = gnu[0], first = gnu[1], bloom = gnu[2];
	const uint32_t *buckets = gnu + 4 + bloom * 2, *chain;
	uint32_t i, last = 0;

	chain = buckets + nbuckets;
	for (i = 0; i < nbuckets; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (last < first)
		return 0;
	while (!(chain[last - first] & 1))
		last++;
	return last + 1;
}

static const char *
exported(const struct link_map *map, uintptr_t pc)
{
	const Elf64_Sym *syms = NULL, *s, *best = NULL;
	const uint32_t *gnu = NULL;
	const char *names = NULL;
	const Elf64_Dyn *d;
	uint32_t i, n;

	for (d = map->l_ld; d->d_tag != DT_NULL; d++) {
		uintptr_t at = d->d_un.d_ptr < map->l_addr ?
				       d->d_un.d_ptr + map->l_addr :
				       d->d_un.d_ptr;

		if (d->d_tag == DT_SYMTAB)
			syms = (const Elf64_Sym *)at;
		else if (d->d_tag == DT_STRTAB)
			names = (const char *)at;
		else if (d->d_tag == DT_GNU_HASH)
			gnu = (const uint32_t *)at;
	}
	if (syms == NULL || names == NULL || gnu == NULL)
		return NULL;
	n = count_symbols(gnu);
	pc -= map->l_addr;
	for (i = 1; i < n; i++) {
		s = &syms[i];
		if (s->st_shndx == SHN_UNDEF ||
		    ELF64_ST_TYPE(s->st_info) != STT_FUNC || pc < s->st_value ||
		    pc >= s->st_value + s->st_size)
			continue;
		/* Of two names for it, the one without underscores. */
		if (best == NULL || names[best->st_name] == '_')
			best = s;
	}
	return best != NULL ? names + best->st_name : NULL;
}

int
co_where_name(char *buf, int size, uintptr_t pc)
{
	struct dl_find_object o;
	const char *name, *slash;
	char program[256];
	long n;

	if (!find(pc, &o))
		return co_format(buf, size, "%p", (void *)pc);
	name = exported(o.dlfo_link_map, pc - 1);
	if (name != NULL)
		return co_format(buf, size, "%s", name);
	name = o.dlfo_link_map->l_name;
	if (name == NULL || name[0] == '\0') {
		n = sys3(SYS_readlink, "/proc/self/exe", program,
			 sizeof(program) - 1);
		program[n > 0 ? n : 0] = '\0';
		name = n > 0 ? program : "program";
	}
	slash = strrchr(name, '/');
	return co_format(buf, size, "%s+0x%lx",
			 slash != NULL ? slash + 1 : name,
			 (unsigned long)(pc - o.dlfo_link_map->l_addr));
}

int
co_where_names(char *buf, int size, const char *call, const uintptr_t *pc,
	       int n)
{
	int len = 0, i, was;

	buf[0] = '\0';
	if (call != NULL)
		len = co_format(buf, size, "%s", call);
	for (i = 0; i < n && len < size - 8; i++) {
		was = len;
		if (len > 0)
			len += co_format(buf + len, size - len, " < ");
		len += co_where_name(buf + len, size - len, pc[i]);
		if (i == 0 && call != NULL &&
		    strcmp(buf + was + 3, call) == 0) {
			len = was;
			buf[len] = '\0';
		}
	}
	return len;
}
