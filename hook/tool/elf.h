/* SPDX-License-Identifier: MIT */
/* elf.h - ELF files, read. */
#ifndef COHOOK_TOOL_ELF_H
#define COHOOK_TOOL_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_kind {
	ELF_READ,          /* x86-64, and all below is valid */
	ELF_OTHER_MACHINE, /* ELF: machine is what it is for */
	ELF_SCRIPT,        /* #!: interp is its interpreter, arg its argument */
	ELF_NONE,          /* something else */
	ELF_UNREADABLE,    /* errno says why */
};

struct elf {
	enum elf_kind kind;
	char *path;
	const uint8_t *p;       /* the file, mapped */
	size_t size;

	const char *machine;    /* static text */
	char *interp, *arg;     /* the loader, or the script's interpreter */
	bool dynamic;           /* it has a dynamic section */
	bool executable;        /* no library: position-independent or not */
	bool go;                /* built by Go */
	bool no_default_dirs;   /* DF_1_NODEFLIB */
	const char *soname, *rpath, *runpath;  /* NULL: none; in the file */
	const char **needed;
	size_t nneeded;
	const Elf64_Sym *dynsym, *symtab;
	size_t ndynsym, nsymtab;
	const char *dynstr, *symstr;
	size_t dynstr_size, symstr_size;
	const Elf64_Phdr *ph;
	size_t nph;
};

/* Never NULL; elf_close() gives it back. */
struct elf *elf_open(const char *path);
void elf_close(struct elf *e);

/* size bytes of the file, or NULL if it is shorter. */
const void *elf_at(const struct elf *e, uint64_t offset, uint64_t size);
/* The same, by address: as the program headers map it. */
const void *elf_addr(const struct elf *e, uint64_t addr, uint64_t size);
/* A symbol's name, "" if it has none. */
const char *elf_name(const char *strings, size_t size, uint32_t at);
/* The address of the sought section, 0 if there is none; *size its size. */
uint64_t elf_section(const struct elf *e, const char *name, uint64_t *size);

#endif
