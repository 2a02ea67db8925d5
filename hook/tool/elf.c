/* SPDX-License-Identifier: MIT */
/* elf.c - ELF files, read with the bounds checked: a file may be cut off, or
 * be anything at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook/tool/elf.h"
#include "hook/tool/tool.h"

const void *
elf_at(const struct elf *e, uint64_t offset, uint64_t size)
{
	if (offset > e->size || size > e->size - offset)
		return NULL;
	return e->p + offset;
}

const void *
elf_addr(const struct elf *e, uint64_t addr, uint64_t size)
{
	size_t i;

	for (i = 0; i < e->nph; i++) {
		const Elf64_Phdr *ph = &e->ph[i];

		if (ph->p_type == PT_LOAD && addr >= ph->p_vaddr &&
		    addr - ph->p_vaddr < ph->p_filesz &&
		    size <= ph->p_filesz - (addr - ph->p_vaddr))
			return elf_at(e, ph->p_offset + (addr - ph->p_vaddr),
				      size);
	}
	return NULL;
}

const char *
elf_name(const char *strings, size_t size, uint32_t at)
{
	if (at >= size || memchr(strings + at, '\0', size - at) == NULL)
		return "";
	return strings + at;
}

static const Elf64_Shdr *
sections(const struct elf *e, size_t *n)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)e->p;

	*n = eh->e_shnum;
	if (eh->e_shoff == 0 || eh->e_shentsize != sizeof(Elf64_Shdr))
		return NULL;
	return elf_at(e, eh->e_shoff, *n * sizeof(Elf64_Shdr));
}

uint64_t
elf_section(const struct elf *e, const char *name, uint64_t *size)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)e->p;
	const Elf64_Shdr *sh, *strings;
	const char *s;
	size_t i, n;

	sh = sections(e, &n);
	if (sh == NULL || eh->e_shstrndx >= n)
		return 0;
	strings = &sh[eh->e_shstrndx];
	s = elf_at(e, strings->sh_offset, strings->sh_size);
	for (i = 0; s != NULL && i < n; i++)
		if (strcmp(elf_name(s, strings->sh_size, sh[i].sh_name),
			   name) == 0) {
			*size = sh[i].sh_size;
			return sh[i].sh_addr;
		}
	return 0;
}

/* The symbols of the section of this type, with their strings. */
static const Elf64_Sym *
symbols(const struct elf *e, uint32_t type, size_t *nsyms,
	const char **strings, size_t *strings_size)
{
	const Elf64_Shdr *sh;
	const void *p;
	size_t i, n;

	sh = sections(e, &n);
	for (i = 0; sh != NULL && i < n; i++) {
		if (sh[i].sh_type != type || sh[i].sh_link >= n)
			continue;
		p = elf_at(e, sh[i].sh_offset, sh[i].sh_size);
		*strings = elf_at(e, sh[sh[i].sh_link].sh_offset,
				  sh[sh[i].sh_link].sh_size);
		if (p == NULL || *strings == NULL)
			continue;
		*strings_size = sh[sh[i].sh_link].sh_size;
		*nsyms = sh[i].sh_size / sizeof(Elf64_Sym);
		return p;
	}
	*nsyms = 0;
	return NULL;
}

static const char *
machine_name(uint16_t machine, bool bits64)
{
	switch (machine) {
	case EM_X86_64:
		return bits64 ? "x86-64" : "x32";
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "mips";
	default:
		return "another machine";
	}
}

/* Where there are no section headers: by the hash table, which counts. */
static void
dynsym_by_hash(struct elf *e, uint64_t symtab, uint64_t hash, uint64_t strtab)
{
	const uint32_t *h = hash != 0 ? elf_addr(e, hash, 8) : NULL;
	size_t n = h != NULL ? h[1] : 0;

	/* As linkers lay it out. */
	if (n == 0 && strtab > symtab)
		n = (strtab - symtab) / sizeof(Elf64_Sym);
	e->dynsym = elf_addr(e, symtab, n * sizeof(Elf64_Sym));
	e->ndynsym = e->dynsym != NULL ? n : 0;
}

static void
read_dynamic(struct elf *e, const Elf64_Phdr *ph)
{
	const Elf64_Dyn *dyn = elf_at(e, ph->p_offset, ph->p_filesz);
	size_t n = ph->p_filesz / sizeof(*dyn), i;
	uint64_t symtab = 0, strtab = 0, strsz = 0, hash = 0, flags1 = 0;
	const char *strings;

	if (dyn == NULL)
		return;
	e->dynamic = true;
	for (i = 0; i < n && dyn[i].d_tag != DT_NULL; i++)
		switch (dyn[i].d_tag) {
		case DT_SYMTAB:
			symtab = dyn[i].d_un.d_ptr;
			break;
		case DT_STRTAB:
			strtab = dyn[i].d_un.d_ptr;
			break;
		case DT_STRSZ:
			strsz = dyn[i].d_un.d_val;
			break;
		case DT_HASH:
			hash = dyn[i].d_un.d_ptr;
			break;
		case DT_FLAGS_1:
			flags1 = dyn[i].d_un.d_val;
			break;
		}
	n = i;
	strings = elf_addr(e, strtab, strsz);
	if (strings == NULL)
		return;
	e->dynstr = strings;
	e->dynstr_size = strsz;
	e->no_default_dirs = flags1 & DF_1_NODEFLIB;
	if (flags1 & DF_1_PIE)
		e->executable = true;
	for (i = 0; i < n; i++) {
		const char *s = elf_name(strings, strsz,
					 (uint32_t)dyn[i].d_un.d_val);

		switch (dyn[i].d_tag) {
		case DT_NEEDED:
			e->needed = more(e->needed, (e->nneeded + 1) *
							    sizeof(*e->needed));
			e->needed[e->nneeded++] = s;
			break;
		case DT_SONAME:
			e->soname = s;
			break;
		case DT_RPATH:
			e->rpath = s;
			break;
		case DT_RUNPATH:
			e->runpath = s;
			break;
		}
	}
	e->dynsym = symbols(e, SHT_DYNSYM, &e->ndynsym, &strings, &strsz);
	if (e->dynsym == NULL)
		dynsym_by_hash(e, symtab, hash, strtab);
}

static void
read_elf(struct elf *e)
{
	const Elf64_Ehdr *eh = elf_at(e, 0, sizeof(*eh));
	const void *text;
	uint64_t size;
	size_t i;

	/* e_machine lies at the same place in both classes. */
	e->kind = ELF_OTHER_MACHINE;
	if (eh == NULL || eh->e_ident[EI_DATA] != ELFDATA2LSB) {
		e->machine = "another machine";
		return;
	}
	e->machine = machine_name(eh->e_machine,
				  eh->e_ident[EI_CLASS] == ELFCLASS64);
	if (eh->e_machine != EM_X86_64 || eh->e_ident[EI_CLASS] != ELFCLASS64)
		return;
	e->kind = ELF_NONE;
	if ((eh->e_type != ET_EXEC && eh->e_type != ET_DYN) ||
	    eh->e_phentsize != sizeof(Elf64_Phdr))
		return;
	e->ph = elf_at(e, eh->e_phoff, eh->e_phnum * sizeof(Elf64_Phdr));
	if (e->ph == NULL)
		return;
	e->kind = ELF_READ;
	e->nph = eh->e_phnum;
	e->executable = eh->e_type == ET_EXEC;
	for (i = 0; i < e->nph; i++) {
		if (e->ph[i].p_type == PT_INTERP) {
			text = elf_at(e, e->ph[i].p_offset, e->ph[i].p_filesz);
			if (text != NULL)
				e->interp = strndup(text, e->ph[i].p_filesz);
		} else if (e->ph[i].p_type == PT_DYNAMIC) {
			read_dynamic(e, &e->ph[i]);
		} else if (e->ph[i].p_type == PT_NOTE) {
			/* An Elf64_Nhdr, and the name "Go". */
			text = elf_at(e, e->ph[i].p_offset, 16);
			if (text != NULL &&
			    memcmp((const char *)text + 12, "Go\0", 4) == 0)
				e->go = true;
		}
	}
	/* libc.so.6 and the loader have an interpreter, and are libraries. */
	if (e->interp != NULL && e->soname == NULL)
		e->executable = true;
	if (elf_section(e, ".go.buildinfo", &size) != 0 ||
	    elf_section(e, ".note.go.buildid", &size) != 0)
		e->go = true;
	e->symtab = symbols(e, SHT_SYMTAB, &e->nsymtab, &e->symstr,
			    &e->symstr_size);
}

/* "#! interpreter argument", execve(2). */
static void
read_script(struct elf *e)
{
	char line[256], *p, *end;
	size_t n = e->size < sizeof(line) - 1 ? e->size : sizeof(line) - 1;

	e->kind = ELF_NONE;
	memcpy(line, e->p, n);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	p = line + 2 + strspn(line + 2, " \t");
	end = p + strcspn(p, " \t");
	if (p == end)
		return;
	e->kind = ELF_SCRIPT;
	e->interp = strndup(p, (size_t)(end - p));
	end += strspn(end, " \t");
	if (*end != '\0')
		e->arg = strdup(end);
}

struct elf *
elf_open(const char *path)
{
	struct elf *e = need(sizeof(*e));
	struct stat st;
	int fd;

	memset(e, 0, sizeof(*e));
	e->path = strdup(path);
	e->kind = ELF_UNREADABLE;
	/* A FIFO in a folder of libraries must not stop us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return e;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return e;
	}
	e->kind = ELF_NONE;
	e->size = (size_t)st.st_size;
	if (e->size >= 4) {
		e->p = mmap(NULL, e->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (e->p == MAP_FAILED) {
			e->kind = ELF_UNREADABLE;
			e->p = NULL;
		} else if (memcmp(e->p, ELFMAG, SELFMAG) == 0) {
			read_elf(e);
		} else if (memcmp(e->p, "#!", 2) == 0) {
			read_script(e);
		}
	}
	close(fd);
	return e;
}

void
elf_close(struct elf *e)
{
	if (e->p != NULL)
		munmap((void *)(uintptr_t)e->p, e->size);
	free(e->path);
	free(e->interp);
	free(e->arg);
	free(e->needed);
	free(e);
}
