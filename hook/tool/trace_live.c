/* SPDX-License-Identifier: MIT */
/* trace_live.c - `cohook trace PID': the events of a process that runs already.
 *
 * It is asked to write them into a ring of its own (sched/trace.h), which we
 * read as `cohook ps' reads the rest: it is neither stopped nor traced, and
 * never waits for us.  It stops by itself when it has not been asked again for
 * a while, so it does not matter how we end.
 *
 * All by /proc/PID/mem, opened once: that is the memory of this program, also
 * when the process has become another by exec(2), or is gone and its number is
 * somebody else's.  What we write goes nowhere then. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hook/tool/trace.h"

enum {
	QUICK_MS = 2,    /* between looks, while events come */
	SLOW_MS = 20,    /* and while none do */
	ASKED_MS = 2000, /* how long it goes on without us */
	AGAIN_MS = 500,
	STUCK_MS = 500, /* whoever has begun to write an event was killed */
};

static struct live *l;
static int mem = -1;
static uint64_t ring, most, size;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static uint64_t
at(const char *name)
{
	return (uint64_t)live_entry(l, name);
}

static bool
peek(uint64_t addr, void *buf, size_t n)
{
	return pread(mem, buf, n, (off_t)addr) == (ssize_t)n;
}

static bool
poke(uint64_t addr, const void *buf, size_t n)
{
	return pwrite(mem, buf, n, (off_t)addr) == (ssize_t)n;
}

/* --- asking --- */

/* False: it is gone.  The bits of &watch that are not ours are set before there
 * are threads, and never change. */
static bool
ask(void)
{
	int64_t now = now_ns(), until = now + ASKED_MS * INT64_C(1000000);
	unsigned char bits;

	if (!poke(ring + at("ring.until"), &until, sizeof(until)) ||
	    !peek(at("&watch"), &bits, 1))
		return false;
	if (bits & at("watch.live"))
		return true;
	bits |= (unsigned char)at("watch.live");
	return poke(ring + at("ring.from"), &now, sizeof(now)) &&
	       poke(at("&watch"), &bits, 1);
}

/* --- reading --- */

/* Text that never changes: by its address. */
static const char *
text_at(uint64_t addr)
{
	static struct {
		uint64_t addr;
		char text[64];
	} known[256];
	size_t i = (addr >> 3) % 256, n = sizeof(known[i].text) - 1;

	if (addr == 0)
		return "";
	if (known[i].addr != addr) {
		/* It may end just before what is not mapped. */
		while (n > 0 && !peek(addr, known[i].text, n))
			n /= 2;
		known[i].text[n] = '\0';
		known[i].addr = addr;
	}
	return known[i].text;
}

static const char *
name_in(const char *table, unsigned i)
{
	uint64_t addr = 0;

	peek(at(table) + i * sizeof(addr), &addr, sizeof(addr));
	return text_at(addr);
}

static int64_t
field(const char *entry, const char *name)
{
	int64_t v;

	memcpy(&v, entry + at(name), sizeof(v));
	return v;
}

static void
show(const char *entry)
{
	unsigned kind = (unsigned char)entry[at("traced.event")];
	unsigned woken = (unsigned char)entry[at("traced.woken")];
	struct event e;
	int tid;

	memset(&e, 0, sizeof(e));
	if (kind >= at("events.n"))
		return; /* of a later version */
	memcpy(&tid, entry + at("traced.tid"), sizeof(tid));
	e.pid = l->pid;
	e.tid = tid;
	e.id = field(entry, "traced.id");
	e.other = field(entry, "traced.other");
	e.time = (double)field(entry, "traced.time") / 1e9;
	e.us = field(entry, "traced.us");
	snprintf(e.what, sizeof(e.what), "%s", name_in("&events", kind));
	snprintf(e.call, sizeof(e.call), "%s",
		 text_at((uint64_t)field(entry, "traced.call")));
	if (strcmp(e.what, "wake") == 0)
		snprintf(e.by, sizeof(e.by), "%s", name_in("&whys", woken));
	if (strcmp(e.what, "spawn") == 0)
		e.fn = (uint64_t)field(entry, "traced.what");
	else
		e.object = (uint64_t)field(entry, "traced.what");
	trace_show(&e);
}

static uint64_t lost;

static void
tell_lost(void)
{
	struct event e;
	char *text;

	if (lost == 0)
		return;
	memset(&e, 0, sizeof(e));
	text = format("lost %lu lines", (unsigned long)lost);
	strcpy(e.what, "log");
	e.pid = l->pid;
	e.text = text;
	e.us = -1;
	trace_show(&e);
	free(text);
	lost = 0;
}

/* Into their places in buf; at most as many as there are places. */
static bool
read_from(uint64_t first, uint64_t end, char *buf)
{
	uint64_t i = first % most, n = end - first;
	uint64_t here = n < most - i ? n : most - i;

	return peek(ring + at("ring.of") + i * size, buf + i * size,
		    here * size) &&
	       (here == n ||
		peek(ring + at("ring.of"), buf, (n - here) * size));
}

/* From *next on.  1: there was something; 0: nothing; -1: it is gone. */
static int
take(uint64_t *next)
{
	static int64_t stuck;
	static char *buf;
	uint64_t n, after, i, seq;

	if (buf == NULL)
		buf = need(most * size);
	if (!peek(ring + at("ring.n"), &n, sizeof(n)))
		return -1;
	if (n == *next)
		return 0;
	if (n - *next > most) {
		lost += n - most - *next;
		*next = n - most;
	}
	if (!read_from(*next, n, buf) ||
	    !peek(ring + at("ring.n"), &after, sizeof(after)))
		return -1;
	for (i = *next; i < n; i++) {
		const char *entry = buf + i % most * size;

		/* Somebody may have been writing there anew. */
		if (after > i + most) {
			lost++;
			continue;
		}
		memcpy(&seq, entry + at("traced.seq"), sizeof(seq));
		if (seq != i + 1) {
			stuck = stuck != 0 ? stuck : now_ns();
			if (now_ns() - stuck < STUCK_MS * INT64_C(1000000))
				break;
			lost++;
			continue;
		}
		stuck = 0;
		tell_lost();
		show(entry);
	}
	tell_lost();
	n = i - *next;
	*next = i;
	poke(ring + at("ring.taken"), next, sizeof(*next));
	return n > 0;
}

/* --- until the end --- */

static volatile sig_atomic_t enough;

static void
stop(int sig)
{
	(void)sig;
	enough = 1;
}

/* The exit status. */
static int
follow(void)
{
	int64_t asked = 0, now;
	int got;
	/* It ends, or nobody reads us. */
	struct pollfd p[2] = {
		{ (int)syscall(SYS_pidfd_open, l->pid, 0), POLLIN, 0 },
		{ fileno(trace_options.out), 0, 0 },
	};
	uint64_t next;

	if (!peek(ring + at("ring.n"), &next, sizeof(next)))
		return 0;
	while (!enough && !ferror(trace_options.out)) {
		now = now_ns();
		if (now - asked > AGAIN_MS * INT64_C(1000000)) {
			if (!ask())
				break;
			asked = now;
		}
		got = take(&next);
		fflush(trace_options.out);
		if (got < 0)
			break;
		if (poll(p, 2, got > 0 ? QUICK_MS : SLOW_MS) > 0)
			break;
	}
	take(&next); /* what was before the signal */
	fflush(trace_options.out);
	if (p[0].fd >= 0)
		close(p[0].fd);
	return p[1].revents != 0 || ferror(trace_options.out);
}

int
trace_live(pid_t pid)
{
	struct sigaction sa;
	char *why = NULL, *path;
	int status;

	l = live_open(pid, &why);
	if (l == NULL)
		die(1, "%s", why);
	if (live_entry(l, "&ring") == -1)
		die(1,
		    "process %d has a libcohook.so that cannot be traced: "
		    "an older one?",
		    (int)pid);
	path = format("/proc/%d/mem", (int)pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	if (mem < 0)
		die(1, "%s: %s", path, strerror(errno));
	free(path);
	ring = at("&ring");
	most = at("ring.most");
	size = at("traced.size");
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = stop;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = follow();
	close(mem);
	live_close(l);
	return status;
}
