/* SPDX-License-Identifier: MIT */
/* loader.h - where the loader looks for libraries. */
#ifndef COHOOK_TOOL_LOADER_H
#define COHOOK_TOOL_LOADER_H

#include <sys/types.h>

#include "hook/tool/elf.h"

/* A program or library, in the order in which the loader finds them. */
struct object {
	struct elf *elf;
	const char *name;          /* as it was asked for */
	const struct object *by;   /* who needed it; NULL: the program */
	dev_t dev;
	ino_t ino;
};

/* The file of a library that `by' needs, open; NULL: there is none. */
struct elf *loader_search(const char *name, const struct object *by);

/* A list that grows. */
struct names {
	char **at;
	size_t n;
};
void names_add(struct names *l, char *name);

#endif
