/* SPDX-License-Identifier: MIT */
/* symbols.c - names of addresses of a live process: of the file that is mapped
 * there, and what it has there. */
#include <stdlib.h>
#include <string.h>

#include "hook/tool/live.h"

static void
open_module(struct live *l, struct module *m)
{
	char *path = format("/proc/%d/root%s", (int)l->pid, m->path);
	struct elf *e = elf_open(path);
	size_t i;

	free(path);
	m->tried = true;
	if (e->kind != ELF_READ) {
		elf_close(e);
		return;
	}
	m->elf = e;
	m->bias = m->start;
	for (i = 0; i < e->nph; i++)
		if (e->ph[i].p_type == PT_LOAD) {
			m->bias = m->start -
				  (e->ph[i].p_vaddr & ~UINT64_C(4095));
			break;
		}
}

struct module *
live_module(struct live *l, uint64_t addr)
{
	size_t i;

	for (i = 0; i < l->nmodules; i++)
		if (addr >= l->modules[i].start && addr < l->modules[i].end) {
			if (!l->modules[i].tried)
				open_module(l, &l->modules[i]);
			return l->modules[i].elf != NULL ? &l->modules[i]
							 : NULL;
		}
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	const Elf64_Sym *x = *(const Elf64_Sym *const *)a;
	const Elf64_Sym *y = *(const Elf64_Sym *const *)b;

	if (x->st_value != y->st_value)
		return x->st_value < y->st_value ? -1 : 1;
	/* Of several names of one place, a global one is better known. */
	return ELF64_ST_BIND(x->st_info) - ELF64_ST_BIND(y->st_info);
}

static void
sort_symbols(struct module *m)
{
	const struct elf *e = m->elf;
	const Elf64_Sym *s = e->symtab != NULL ? e->symtab : e->dynsym;
	size_t i, n = e->symtab != NULL ? e->nsymtab : e->ndynsym;

	m->syms = need(n * sizeof(*m->syms));
	for (i = 0; i < n; i++)
		if ((ELF64_ST_TYPE(s[i].st_info) == STT_FUNC ||
		     ELF64_ST_TYPE(s[i].st_info) == STT_OBJECT ||
		     ELF64_ST_TYPE(s[i].st_info) == STT_GNU_IFUNC) &&
		    s[i].st_shndx != SHN_UNDEF)
			m->syms[m->nsyms++] = &s[i];
	qsort(m->syms, m->nsyms, sizeof(*m->syms), by_value);
}

char *
live_symbol(struct live *l, uint64_t addr, struct module **in)
{
	struct module *m = live_module(l, addr);
	const Elf64_Sym *s, *best = NULL;
	size_t low = 0, high, mid, i;
	const char *name;
	uint64_t v;

	*in = m;
	if (m == NULL)
		return NULL;
	if (m->syms == NULL)
		sort_symbols(m);
	v = addr - m->bias;
	for (high = m->nsyms; low < high;) {
		mid = (low + high) / 2;
		if (m->syms[mid]->st_value <= v)
			low = mid + 1;
		else
			high = mid;
	}
	/* The last that begins before may be a small one inside. */
	for (i = low; i-- > 0 && low - i < 16 && best == NULL;) {
		s = m->syms[i];
		if (v < s->st_value + s->st_size || v == s->st_value)
			best = s;
	}
	if (best == NULL)
		return NULL;
	name = m->elf->symtab != NULL
		       ? elf_name(m->elf->symstr, m->elf->symstr_size,
				  best->st_name)
		       : elf_name(m->elf->dynstr, m->elf->dynstr_size,
				  best->st_name);
	if (v == best->st_value)
		return strdup(name);
	return format("%s+0x%lx", name, (unsigned long)(v - best->st_value));
}
