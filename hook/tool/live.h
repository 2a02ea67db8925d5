/* SPDX-License-Identifier: MIT */
/* live.h - a live process, read from outside: it is neither stopped nor traced.
 *
 * So what is read may change meanwhile, and each list may be a moment old. */
#ifndef COHOOK_TOOL_LIVE_H
#define COHOOK_TOOL_LIVE_H

#include <sys/types.h>

#include "hook/tool/elf.h"
#include "hook/tool/tool.h"
#include "sched/debug.h"

/* A mapped file. */
struct module {
	uint64_t start, end;     /* of all its mappings */
	uint64_t bias;           /* address minus the file's own */
	char *path;
	struct elf *elf;         /* NULL: not opened yet, or cannot be */
	bool tried;
	const Elf64_Sym **syms;  /* functions and objects, by address */
	size_t nsyms;
};

struct coro {
	int64_t id;
	int tid;                 /* what gettid() says to it */
	uint8_t state;
	bool main, light, region;
	char name[32];
	char why[64];            /* "": it waits in no call */
	uint64_t what;
	int64_t since;           /* CLOCK_MONOTONIC ns; 0: not known */
	int64_t deadline;        /* 0: none */
	uint64_t m_tid;          /* its kernel thread, while it runs; 0 */
	uint64_t at, sp, tp, fn;
	uint64_t stack, stack_size;
};

struct live {
	pid_t pid;
	struct module *modules;
	size_t nmodules;
	struct co_debug entries[CO_DEBUG_MOST];
	size_t nentries;
	char version[16];
	bool active;
	int workers;
	int64_t now;             /* when it was read */
	struct coro *coros;      /* by id */
	size_t ncoros;
	int kernel_threads;      /* in /proc; the monitor and natives included */
	struct net *net;         /* fd.c's */
};

/* Find the library in it.  NULL, and *why says why not. */
struct live *live_open(pid_t pid, char **why);
void live_close(struct live *l);

/* Read the list of coroutines, afresh. */
void live_read_all(struct live *l);
struct coro *live_by_tid(struct live *l, int tid);

/* The table's value; -1 if this version has none. */
int64_t live_entry(const struct live *l, const char *name);

/* n bytes of its memory; false: not all of them are there. */
bool live_read(const struct live *l, uint64_t addr, void *buf, size_t n);

/* What runs past our eyes: of a process that is about to end as well. */
struct live_counts {
	int64_t started, switches, workers, kernel_threads;
};
bool live_counts(struct live *l, struct live_counts *c);

/* --- watched.c: what watch.h has counted, merged and sorted --- */

struct watched_entry {
	char *call;              /* or a thread's function */
	int64_t n, ns, longest;
	uint64_t pc[16];         /* 0 ends them */
	char *symbol[16], *file[16]; /* NULL: not known */
	int64_t used, size;
};
struct watched_table {
	struct watched_entry *of;
	size_t n;
};
struct watched {
	struct watched_table waits, lent, places, stacks;
};
void watched_read(struct live *l, struct watched *w);
void watched_print(FILE *to, const struct watched *w);
/* Members, a comma before each. */
void watched_json(FILE *to, const struct watched *w);

/* --- fd.c --- */

/* What descriptor fd of it is: "TCP 10.0.0.1:5000 to 10.0.0.2:3306". */
char *live_fd(struct live *l, int fd);
void live_fd_forget(struct live *l);

/* --- symbols.c --- */

/* NULL: no file is mapped there, or none that can be read. */
struct module *live_module(struct live *l, uint64_t addr);
/* "name+0x12", or NULL. */
char *live_symbol(struct live *l, uint64_t addr, struct module **m);

/* --- unwind.c --- */

struct frames {
	uint64_t pc[128];
	size_t n;
	bool cut;                /* there was more that could not be followed */
};
/* The stack of one that does not run, by the unwind tables of its files. */
bool live_unwind(struct live *l, const struct coro *c, struct frames *f);
/* Of one that blocks in the kernel, as far as it goes. */
bool live_unwind_blocked(struct live *l, const struct coro *c,
			 struct frames *f);

#endif
