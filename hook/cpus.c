/* SPDX-License-Identifier: MIT */
/* cpus.c - how many workers, where nobody says: one for each CPU that the
 * process may use; or one alone where the program was built with us.
 *
 * A control group's share of time (cgroups(7)) is a quota in each period: cpu.max
 * in version 2, cpu.cfs_quota_us and cpu.cfs_period_us in version 1.  The groups
 * around it have theirs, as far as they are mounted here.  What cannot be read
 * is no bound.
 */
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "ctx/sys.h"
#include "hook/cpus.h"
#include "hook/real.h"

enum { MOST = 1 << 16, LINE = 4096 };

/* --- reading --- */

struct text {
	int fd;
	int at, n;
	char buf[1024];
};

static bool
text_open(struct text *t, const char *path)
{
	t->fd = (int)sys4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	t->at = t->n = 0;
	return t->fd >= 0;
}

static void
text_close(struct text *t)
{
	sys1(SYS_close, t->fd);
}

static int
text_char(struct text *t)
{
	if (t->at == t->n) {
		t->at = 0;
		t->n = (int)sys3(SYS_read, t->fd, t->buf, sizeof(t->buf));
		if (t->n <= 0) {
			t->n = 0;
			return -1;
		}
	}
	return (unsigned char)t->buf[t->at++];
}

/* The next line, without its end; one that is too long is empty. */
static bool
text_line(struct text *t, char line[LINE])
{
	int c, n = 0;

	while ((c = text_char(t)) >= 0 && c != '\n')
		if (n < LINE)
			line[n++] = (char)c;
	if (n == LINE)
		n = 0;
	line[n] = '\0';
	return c >= 0 || n > 0;
}

/* The next word at *s, which is made a string; NULL: there is none. */
static char *
word(char **s)
{
	char *w = *s + strspn(*s, " ");
	char *end = w + strcspn(w, " ");

	if (*w == '\0')
		return NULL;
	*s = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return w;
}

/* Is it among those words with commas between? */
static bool
has(const char *words, const char *w)
{
	size_t n = strlen(w);

	for (; *words != '\0'; words += *words == ',') {
		size_t len = strcspn(words, ",");

		if (len == n && memcmp(words, w, n) == 0)
			return true;
		words += len;
	}
	return false;
}

/* proc(5) writes what would end a word as \ and three octal digits. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* A number that is all of w; -1: it is none. */
static long
number(const char *w)
{
	long n = 0;

	if (*w == '\0')
		return -1;
	for (; *w >= '0' && *w <= '9' && n < LONG_MAX / 16; w++)
		n = n * 10 + (*w - '0');
	return *w == '\0' ? n : -1;
}

/* --- control groups --- */

struct cgroup {
	bool v2;
	char path[LINE]; /* as /proc/self/cgroup has it */
	char dir[LINE];  /* and its folder here; "": none */
	size_t top;      /* up to there dir is where it is mounted */
};

/* Those that bound the time of this process: at most one of each version. */
static int
find_groups(struct cgroup g[2])
{
	char line[LINE], *path, *controllers;
	struct text t;
	int n = 0;

	if (!text_open(&t, "/proc/self/cgroup"))
		return 0;
	while (n < 2 && text_line(&t, line)) {
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (path == NULL)
			continue;
		*path++ = '\0';
		controllers++;
		if (*controllers != '\0' && !has(controllers, "cpu"))
			continue;
		g[n].v2 = *controllers == '\0';
		g[n].dir[0] = '\0';
		strcpy(g[n++].path, path);
	}
	text_close(&t);
	return n;
}

/* What is mounted at point is root and below of a hierarchy. */
static void
place(struct cgroup *g, const char *root, const char *point)
{
	const char *rest = g->path;
	size_t n = strlen(root);

	if (n == 1)
		n = 0;
	/* Of a group beside ours, or the path leads out of what is ours to
	 * see. */
	if (strncmp(rest, root, n) != 0 ||
	    (rest[n] != '\0' && rest[n] != '/') || strncmp(rest, "/..", 3) == 0)
		return;
	rest += n;
	if (strcmp(rest, "/") == 0)
		rest = "";
	if (strlen(point) + strlen(rest) + sizeof("/cpu.cfs_period_us") > LINE)
		return;
	strcpy(g->dir, point);
	g->top = strlen(g->dir);
	strcat(g->dir, rest);
}

static void
find_places(struct cgroup *g, int n)
{
	/* ID PARENT DEVICE ROOT POINT OPTIONS [MORE]... - TYPE SOURCE OPTIONS */
	char line[LINE], *s, *w, *root, *point, *type, *options;
	struct text t;
	int i;

	if (n == 0 || !text_open(&t, "/proc/self/mountinfo"))
		return;
	while (text_line(&t, line)) {
		s = line;
		for (i = 0; i < 3; i++)
			word(&s);
		root = word(&s);
		point = word(&s);
		while ((w = word(&s)) != NULL && strcmp(w, "-") != 0)
			;
		type = word(&s);
		word(&s);
		options = word(&s);
		if (type == NULL || options == NULL)
			continue;
		unescape(root);
		unescape(point);
		for (i = 0; i < n; i++)
			if (g[i].v2 ? strcmp(type, "cgroup2") == 0 :
				      strcmp(type, "cgroup") == 0 &&
					      has(options, "cpu"))
				place(&g[i], root, point);
	}
	text_close(&t);
}

/* The first line of a file of that group. */
static bool
group_line(struct cgroup *g, const char *name, char line[LINE])
{
	size_t n = strlen(g->dir);
	struct text t;
	bool there;

	strcpy(g->dir + n, name);
	there = text_open(&t, g->dir);
	g->dir[n] = '\0';
	if (!there)
		return false;
	text_line(&t, line);
	text_close(&t);
	return true;
}

/* How many CPUs' time it has. */
static long
bound(struct cgroup *g)
{
	char line[LINE], *s = line, *w;
	long quota = -1, period = -1;

	if (g->v2) {
		if (!group_line(g, "/cpu.max", line))
			return MOST;
		w = word(&s);
		quota = w != NULL ? number(w) : -1; /* "max" is none */
		w = word(&s);
		period = w != NULL ? number(w) : -1;
	} else {
		if (group_line(g, "/cpu.cfs_quota_us", line))
			quota = number(line); /* -1: none */
		if (group_line(g, "/cpu.cfs_period_us", line))
			period = number(line);
	}
	if (quota <= 0 || period <= 0 || quota / period >= MOST)
		return MOST;
	return (quota + period - 1) / period;
}

static long
quota(void)
{
	static struct cgroup g[2]; /* asked once */
	long least = MOST, b;
	int i, n = find_groups(g);

	find_places(g, n);
	for (i = 0; i < n; i++)
		while (g[i].dir[0] != '\0') {
			b = bound(&g[i]);
			if (b < least)
				least = b;
			if (strlen(g[i].dir) <= g[i].top)
				break;
			*strrchr(g[i].dir, '/') = '\0';
		}
	return least;
}

int
co_cpus(void)
{
	unsigned long set[MOST / 64];
	long n, i, cpus = 0, most;

	n = sys3(SYS_sched_getaffinity, 0, sizeof(set), set);
	for (i = 0; i < n / 8; i++)
		cpus += __builtin_popcountl(set[i]);
	most = cpus > 1 ? quota() : 1;
	if (most < cpus)
		cpus = most;
	return cpus > 1 ? (int)cpus : 1;
}

/* --- linked, or preloaded --- */

static int
needs_us(struct dl_phdr_info *info, size_t size, void *found)
{
	const ElfW(Dyn) *d = NULL, *e;
	const char *names = NULL;
	uintptr_t at;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			d = (const ElfW(Dyn) *)(info->dlpi_addr +
						info->dlpi_phdr[i].p_vaddr);
	if (d == NULL)
		return 0;
	for (e = d; e->d_tag != DT_NULL; e++) {
		if (e->d_tag != DT_STRTAB)
			continue;
		/* The loader has added the bias, but for what it may not
		 * write to. */
		at = e->d_un.d_ptr;
		names = (const char *)(at < info->dlpi_addr ?
					       at + info->dlpi_addr :
					       at);
	}
	for (e = d; names != NULL && e->d_tag != DT_NULL; e++)
		if (e->d_tag == DT_NEEDED &&
		    strncmp(names + e->d_un.d_val, "libcohook.so",
			    strlen("libcohook.so")) == 0)
			*(int *)found = 1;
	return *(int *)found;
}

int
co_is_linked(void)
{
	int found = 0;

	real.dl_iterate_phdr(needs_us, &found);
	return found;
}
