/* SPDX-License-Identifier: MIT */
/* live.c - the coroutines of a live process, by process_vm_readv(2).
 *
 * A struct co is never unmapped, so following a list that changes meanwhile
 * leads to a wrong coroutine at worst: such a walk is seen by its end, and
 * done again. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "hook/tool/live.h"

bool
live_read(const struct live *l, uint64_t addr, void *buf, size_t n)
{
	struct iovec to = { buf, n }, from = { (void *)(uintptr_t)addr, n };

	return process_vm_readv(l->pid, &to, 1, &from, 1, 0) == (ssize_t)n;
}

/* Text of its; as much as there is. */
static void
read_text(const struct live *l, uint64_t addr, char *buf, size_t size)
{
	size_t n = size - 1;

	/* It may end just before what is not mapped. */
	while (n > 0 && !live_read(l, addr, buf, n))
		n /= 2;
	buf[n] = '\0';
}

int64_t
live_entry(const struct live *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->nentries; i++)
		if (strcmp(l->entries[i].name, name) == 0)
			return (int64_t)l->entries[i].value;
	return -1;
}

/* --- finding the library --- */

static void
read_maps(struct live *l)
{
	char *path = format("/proc/%d/maps", (int)l->pid), *line = NULL;
	unsigned long start, end, offset;
	size_t size = 0;
	struct module *m;
	FILE *f = fopen(path, "re");
	char *name;
	int at;

	free(path);
	while (f != NULL && getline(&line, &size, f) > 0) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &start, &end,
			   &offset, &at) < 3)
			continue;
		name = line + at;
		name[strcspn(name, "\n")] = '\0';
		if (name[0] != '/')
			continue;
		m = l->nmodules > 0 ? &l->modules[l->nmodules - 1] : NULL;
		if (m != NULL && strcmp(m->path, name) == 0 && offset != 0) {
			m->end = end;
			continue;
		}
		l->modules = more(l->modules, (l->nmodules + 1) * sizeof(*m));
		m = &l->modules[l->nmodules++];
		memset(m, 0, sizeof(*m));
		m->start = start;
		m->end = end;
		m->path = strdup(name);
	}
	free(line);
	if (f != NULL)
		fclose(f);
}

/* The table, by the note; what is read is the process's memory, so the file
 * may be gone or replaced. */
static bool
read_table(struct live *l, const struct module *m)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph[32];
	unsigned char note[28];
	uint64_t bias = m->start, desc;
	int64_t to;
	size_t i, n;

	if (!live_read(l, m->start, &eh, sizeof(eh)) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	n = eh.e_phnum < 32 ? eh.e_phnum : 32;
	if (!live_read(l, m->start + eh.e_phoff, ph, n * sizeof(*ph)))
		return false;
	for (i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0)
			bias = m->start - ph[i].p_vaddr;
	for (i = 0; i < n; i++) {
		uint64_t at = bias + ph[i].p_vaddr, end = at + ph[i].p_memsz;
		Elf64_Nhdr nh;

		if (ph[i].p_type != PT_NOTE)
			continue;
		for (; at + sizeof(note) <= end &&
		       live_read(l, at, &nh, sizeof(nh));
		     at += sizeof(nh) + ((nh.n_namesz + 3) & ~3U) +
			   ((nh.n_descsz + 3) & ~3U)) {
			if (nh.n_namesz != 7 || nh.n_descsz != 8 ||
			    nh.n_type != CO_DEBUG_NOTE ||
			    !live_read(l, at, note, sizeof(note)) ||
			    memcmp(note + sizeof(nh), "cohook", 7) != 0)
				continue;
			desc = at + sizeof(nh) + 8;
			memcpy(&to, note + sizeof(nh) + 8, 8);
			for (n = 0; n < CO_DEBUG_MOST; n++)
				if (!live_read(l,
					       desc + (uint64_t)to +
						       n * sizeof(struct co_debug),
					       &l->entries[n],
					       sizeof(struct co_debug)) ||
				    l->entries[n].name[0] == '\0')
					break;
			l->nentries = n;
			return n > 0;
		}
	}
	return false;
}

struct live *
live_open(pid_t pid, char **why)
{
	struct live *l = need(sizeof(*l));
	bool seen = false;
	const char *base;
	char byte;
	size_t i;

	memset(l, 0, sizeof(*l));
	l->pid = pid;
	if (kill(pid, 0) != 0 && errno == ESRCH) {
		*why = format("there is no process %d", (int)pid);
		goto fail;
	}
	read_maps(l);
	for (i = 0; i < l->nmodules; i++) {
		base = strrchr(l->modules[i].path, '/') + 1;
		if (strncmp(base, "libcohook.so", 12) != 0)
			continue;
		seen = true;
		errno = 0;
		if (read_table(l, &l->modules[i])) {
			if (live_entry(l, "&version") != -1)
				read_text(l,
					  (uint64_t)live_entry(l, "&version"),
					  l->version, sizeof(l->version));
			return l;
		}
	}
	if (l->nmodules == 0 ||
	    (!live_read(l, l->modules[0].start, &byte, 1) && errno == EPERM))
		*why = format("process %d may not be read: be root, or its "
			      "user (ptrace(2), \"Ptrace access mode "
			      "checking\")", (int)pid);
	else if (seen)
		*why = format("process %d has a libcohook.so without a table "
			      "for us: an older one?", (int)pid);
	else
		*why = format("process %d runs without cohook", (int)pid);
fail:
	live_close(l);
	return NULL;
}

void
live_close(struct live *l)
{
	size_t i;

	for (i = 0; i < l->nmodules; i++) {
		free(l->modules[i].path);
		free(l->modules[i].syms);
		if (l->modules[i].elf != NULL)
			elf_close(l->modules[i].elf);
	}
	live_fd_forget(l);
	free(l->modules);
	free(l->coros);
	free(l);
}

/* --- the coroutines --- */

static uint64_t
field(const struct live *l, const char *co, const char *name, size_t size)
{
	int64_t at = live_entry(l, name), most = live_entry(l, "co.size");
	uint64_t value = 0;

	if (at >= 0 && at + (int64_t)size <= most)
		memcpy(&value, co + at, size);
	return value;
}

static void
take(const struct live *l, const char *co, struct coro *c)
{
	uint64_t at, m, name = (uint64_t)live_entry(l, "co.name");
	size_t n = (size_t)live_entry(l, "co.name_size");

	memset(c, 0, sizeof(*c));
	c->id = (int64_t)field(l, co, "co.id", 8);
	c->tid = (int)field(l, co, "co.tid", 4);
	c->state = (uint8_t)field(l, co, "co.state", 1);
	c->main = field(l, co, "co.main", 1);
	c->light = field(l, co, "co.light", 1);
	c->region = field(l, co, "co.region", 1);
	c->what = field(l, co, "co.what", 8);
	c->since = (int64_t)field(l, co, "co.since", 8);
	c->sp = field(l, co, "co.sp", 8);
	c->tp = field(l, co, "co.tp", 8);
	c->fn = field(l, co, "co.fn", 8);
	c->stack = field(l, co, "co.stack", 8);
	c->stack_size = field(l, co, "co.stack_size", 8);
	if (field(l, co, "co.timed", 8) != 0)
		c->deadline = (int64_t)field(l, co, "co.deadline", 8);
	if (n < sizeof(c->name))
		memcpy(c->name, co + name, n);
	else
		memcpy(c->name, co + name, sizeof(c->name) - 1);
	at = field(l, co, "co.why", 8);
	if (at != 0)
		read_text(l, at, c->why, sizeof(c->why));
	m = field(l, co, "co.m", 8);
	if (c->state == live_entry(l, "state.running") && m != 0) {
		int tid = 0;

		live_read(l, m + (uint64_t)live_entry(l, "m.tid"), &tid,
			  sizeof(tid));
		c->m_tid = (uint64_t)tid;
	}
}

static int
by_id(const void *a, const void *b)
{
	const struct coro *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* True if it ended where it should, and met nobody twice. */
static bool
walk(struct live *l)
{
	int64_t most = live_entry(l, "co.size"), next = live_entry(l, "co.next");
	uint64_t at = 0;
	char *co = need((size_t)most);
	size_t i, room = l->ncoros;
	bool good = true;

	l->ncoros = 0;
	live_read(l, (uint64_t)live_entry(l, "&all"), &at, sizeof(at));
	while (at != 0) {
		/* Longer than any process has: it goes round. */
		if (!live_read(l, at, co, (size_t)most) ||
		    l->ncoros > (1 << 22)) {
			good = false;
			break;
		}
		if (l->ncoros == room || l->coros == NULL) {
			room = room * 2 + 64;
			l->coros = more(l->coros, room * sizeof(*l->coros));
		}
		take(l, co, &l->coros[l->ncoros]);
		l->coros[l->ncoros++].at = at;
		memcpy(&at, co + next, 8);
	}
	free(co);
	qsort(l->coros, l->ncoros, sizeof(*l->coros), by_id);
	for (i = 1; i < l->ncoros; i++)
		if (l->coros[i].id == l->coros[i - 1].id)
			good = false;
	return good;
}

static int
count_threads(pid_t pid)
{
	char *path = format("/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	free(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return n;
}

void
live_read_all(struct live *l)
{
	struct timespec ts;
	uint64_t at;
	int active = 0, tries;

	live_fd_forget(l);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	l->now = ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
	l->ncoros = 0;
	live_read(l, (uint64_t)live_entry(l, "&active"), &active,
		  sizeof(active));
	l->active = active;
	l->kernel_threads = count_threads(l->pid);
	l->workers = 0;
	if (live_read(l, (uint64_t)live_entry(l, "&workers"), &at, 8))
		live_read(l, at, &l->workers, sizeof(l->workers));
	if (!active)
		return;
	for (tries = 0; tries < 20; tries++)
		if (walk(l))
			break;
}

struct coro *
live_by_tid(struct live *l, int tid)
{
	size_t i;

	for (i = 0; i < l->ncoros; i++)
		if (l->coros[i].tid == tid)
			return &l->coros[i];
	return NULL;
}

bool
live_counts(struct live *l, struct live_counts *c)
{
	uint64_t at, slots, m;
	int64_t size = live_entry(l, "slot.size");
	int64_t tick = live_entry(l, "slot.tick");
	uint32_t ticks;
	int i, n = 0, active = 0;

	memset(c, 0, sizeof(*c));
	live_read(l, (uint64_t)live_entry(l, "&active"), &active,
		  sizeof(active));
	if (!active)
		return false;
	if (live_read(l, (uint64_t)live_entry(l, "&ids"), &at, 8) &&
	    live_read(l, at, &c->started, 8))
		c->started--; /* the next one's */
	if (live_read(l, (uint64_t)live_entry(l, "&workers"), &at, 8))
		live_read(l, at, &n, sizeof(n));
	c->workers = n;
	live_read(l, (uint64_t)live_entry(l, "&slots"), &slots, 8);
	for (i = 0; i < n; i++)
		if (live_read(l, slots + (uint64_t)(i * size + tick), &ticks,
			      sizeof(ticks)))
			c->switches += ticks;
	live_read(l, (uint64_t)live_entry(l, "&all_m"), &m, 8);
	for (i = 0; m != 0 && i < 100000; i++)
		if (!live_read(l, m + (uint64_t)live_entry(l, "m.next"), &m, 8))
			break;
	c->kernel_threads = i;
	return true;
}
