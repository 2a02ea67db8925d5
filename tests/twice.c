/* SPDX-License-Identifier: MIT */
/* twice.c - run behaviour programs bare and under cohook.
 *
 * Linux is the oracle: what a case (see posix/t.h) claims must hold without
 * cohook, or the case is wrong; then it must hold with it.  So each case is
 * run in each of the modes below, every time as a new process in a process
 * group of its own, of which nothing may be left when it ends.
 */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77
#define NSEC INT64_C(1000000000)

/* How long what a case has forked may take to die after it. */
#define GRACE (2 * NSEC)

static const struct mode {
	const char *name;
	bool preload, now, thread;
} modes[] = {
	{ "bare", false, false, false },
	{ "bare-thread", false, false, true },
	{ "hooked", true, false, true },
	{ "now", true, true, false },
};

#define MODES ((int)(sizeof modes / sizeof modes[0]))

struct prog {
	const char *path, *name;
	const char *only; /* the one case asked for, or NULL */
	char **cases;
	int count;
	int left; /* runs not yet over; the summary follows the last */
	int passed[MODES], failed[MODES], skipped[MODES];
};

/* One run of one case in one mode. */
struct run {
	struct prog *prog;
	const char *name;
	int mode;
	pid_t pid; /* of the process, and of its group */
	int out;   /* memfd: stdout and stderr; a full pipe could block it */
	int64_t began, deadline;
};

static struct prog *progs;
static int nprogs;
static bool wanted[MODES];
static const char *lib;
static int jobs, repeats = 1;
static int64_t limit = 20 * NSEC;
static bool verbose;

static struct run *queue;
static size_t queued, next;
static struct run **live; /* jobs slots, NULL where free */
static int nlive;

/* What failed, each once. */
static struct failure {
	char *line;
	int times;
} * failures;
static int nfailures;
static int passed, failed, skipped;

static sigset_t watched, inherited;

static void die(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

static void
kill_all(void)
{
	int i;

	for (i = 0; live != NULL && i < jobs; i++)
		if (live[i] != NULL)
			kill(-live[i]->pid, SIGKILL);
}

static void
die(const char *fmt, ...)
{
	va_list ap;

	kill_all();
	fflush(stdout);
	va_start(ap, fmt);
	fputs("twice: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void *
must(void *p)
{
	if (p == NULL)
		die("out of memory");
	return p;
}

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

/* Ends early, at the first of the signals that we watch: a child's death, or
 * the user's wish to stop, which does not return. */
static void
wait_until(int64_t deadline)
{
	int64_t left = deadline - now();
	struct timespec ts;
	int sig;

	if (left < 0)
		left = 0;
	ts.tv_sec = left / NSEC;
	ts.tv_nsec = left % NSEC;
	sig = sigtimedwait(&watched, NULL, &ts);
	if (sig > 0 && sig != SIGCHLD)
		die("stopped by signal %d", sig);
}

/*
 * What a hanging case is doing
 */

/* only: the keys of the lines wanted, each between spaces; NULL for all. */
static void
show_file(const char *dir, const char *name, const char *only)
{
	char path[PATH_MAX], line[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL) {
		if (only != NULL) {
			int n = (int)strcspn(line, ":");
			char key[64];

			snprintf(key, sizeof key, " %.*s ", n, line);
			if (strstr(only, key) == NULL)
				continue;
		}
		line[strcspn(line, "\n")] = '\0';
		printf("      %s%s%s\n", only == NULL ? name : "",
		       only == NULL ? ": " : "", line);
	}
	fclose(f);
}

static void
show_process(pid_t pid)
{
	char dir[64], task[PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof dir, "/proc/%d/task", (int)pid);
	d = opendir(dir);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(task, sizeof task, "%s/%s", dir, e->d_name);
		printf("    process %d, kernel thread %s\n", (int)pid,
		       e->d_name);
		show_file(task, "status",
			  " Name State SigPnd ShdPnd SigBlk SigCgt "
			  "voluntary_ctxt_switches "
			  "nonvoluntary_ctxt_switches ");
		show_file(task, "wchan", NULL);
		show_file(task, "syscall", NULL);
		show_file(task, "stack", NULL);
	}
	closedir(d);
	fflush(stdout);
	if (getenv("COHOOK_TEST_GDB") != NULL) {
		char arg[16];
		pid_t gdb;

		snprintf(arg, sizeof arg, "%d", (int)pid);
		gdb = fork();
		if (gdb == 0) {
			sigprocmask(SIG_SETMASK, &inherited, NULL);
			alarm(60); /* gdb can hang as well */
			dup2(STDOUT_FILENO, STDERR_FILENO);
			/* What the coroutines do is in the output; where
			 * there are none, gdb says so and goes on. */
			execlp("gdb", "gdb", "-p", arg, "-batch", "-ex",
			       "thread apply all bt", "-ex",
			       "call (void)cohook_dump(2)", (char *)NULL);
			_exit(127);
		}
		if (gdb > 0)
			waitpid(gdb, NULL, 0);
	}
}

/* Calls show() for each process of a group; returns how many are alive. */
static int
each_process(pid_t group, void (*show)(pid_t))
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		char path[300], line[512], state, *s;
		int ppid, pgrp;
		FILE *f;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		s = fgets(line, sizeof line, f);
		fclose(f);
		/* The command's name may hold anything, also brackets. */
		s = s == NULL ? NULL : strrchr(line, ')');
		if (s == NULL ||
		    sscanf(s + 1, " %c %d %d", &state, &ppid, &pgrp) != 3 ||
		    pgrp != group || state == 'Z' || state == 'X')
			continue;
		n++;
		show((pid_t)atoi(e->d_name));
	}
	closedir(d);
	return n;
}

static void
show_line(pid_t pid)
{
	char path[64], line[512];
	size_t n, i;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "re");
	n = f == NULL ? 0 : fread(line, 1, sizeof line - 1, f);
	if (f != NULL)
		fclose(f);
	for (i = 0; i < n; i++)
		if (line[i] == '\0')
			line[i] = ' ';
	printf("    process %d: %.*s\n", (int)pid, (int)n, line);
}

/*
 * One run
 */

static void
show_output(int fd)
{
	char buf[4096];
	bool start = true;
	off_t at = 0;
	ssize_t n, i;

	while ((n = pread(fd, buf, sizeof buf, at)) > 0) {
		for (i = 0; i < n; i++) {
			if (start)
				fputs("    ", stdout);
			putchar(buf[i]);
			start = buf[i] == '\n';
		}
		at += n;
	}
	if (!start)
		putchar('\n');
}

static void
become(const struct run *r)
{
	const struct mode *m = &modes[r->mode];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	if (dup2(r->out, STDOUT_FILENO) == -1 ||
	    dup2(r->out, STDERR_FILENO) == -1)
		_exit(126);
	unsetenv("LD_PRELOAD");
	unsetenv("COHOOK_START");
	unsetenv("T_BODY");
	unsetenv("T_EXPECT");
	if (m->thread)
		setenv("T_BODY", "thread", 1);
	if (m->preload) {
		setenv("LD_PRELOAD", lib, 1);
		setenv("T_EXPECT", "co", 1);
	}
	if (m->now)
		setenv("COHOOK_START", "now", 1);
	/* Ignored where a shell has put us in the background. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &inherited, NULL);
	execl(r->prog->path, r->prog->path, r->name, (char *)NULL);
	dprintf(STDERR_FILENO, "%s: %s\n", r->prog->path, strerror(errno));
	_exit(126);
}

static void
start(struct run *r)
{
	int i;

	r->out = memfd_create("output", MFD_CLOEXEC);
	if (r->out == -1)
		die("memfd_create: %s", strerror(errno));
	fflush(stdout);
	r->began = now();
	r->deadline = r->began + limit;
	r->pid = fork();
	if (r->pid == -1)
		die("fork: %s", strerror(errno));
	if (r->pid == 0)
		become(r);
	/* Here too: it must be true for both, whoever comes first. */
	setpgid(r->pid, r->pid);
	for (i = 0; live[i] != NULL; i++)
		;
	live[i] = r;
	nlive++;
}

/* Waits for what the case left behind to die by itself; what does not is
 * shown and killed.  Returns how many did not.  We are the reaper of orphans,
 * so zombies are ours to bury and do not count. */
static int
left_over(struct run *r)
{
	int64_t deadline = now() + GRACE;
	int n = 0;

	for (;;) {
		while (waitpid(-r->pid, NULL, WNOHANG) > 0)
			;
		if (kill(-r->pid, 0) == -1)
			return n;
		if (now() >= deadline)
			break;
		/* Whoever has another parent in the group dies unheard. */
		wait_until(now() + NSEC / 20);
	}
	n = each_process(r->pid, show_line);
	kill(-r->pid, SIGKILL);
	while (waitpid(-r->pid, NULL, 0) > 0)
		;
	return n;
}

static void
show_prog(const struct prog *p)
{
	int m;

	printf("%-14s %3d cases", p->name, p->count);
	for (m = 0; m < MODES; m++) {
		if (!wanted[m])
			continue;
		printf("  %s %d", modes[m].name, p->passed[m]);
		if (p->failed[m] > 0)
			printf(" (%d FAILED)", p->failed[m]);
		if (p->skipped[m] > 0)
			printf(" (%d skipped)", p->skipped[m]);
	}
	putchar('\n');
}

static void
over(struct run *r)
{
	if (--r->prog->left == 0)
		show_prog(r->prog);
	fflush(stdout);
}

static void fail(struct run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
fail(struct run *r, const char *fmt, ...)
{
	char why[256], *line;
	va_list ap;
	int i;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (asprintf(&line, "%s:%s [%s] %s%s", r->prog->name, r->name,
		     modes[r->mode].name, why,
		     modes[r->mode].preload ?
			     "" :
			     " - the test itself is wrong") < 0)
		die("out of memory");
	printf("FAIL %s\n", line);
	r->prog->failed[r->mode]++;
	failed++;
	for (i = 0; i < nfailures; i++)
		if (strcmp(failures[i].line, line) == 0)
			break;
	if (i == nfailures) {
		failures = must(
			realloc(failures, (nfailures + 1) * sizeof *failures));
		failures[nfailures++] = (struct failure){ line, 0 };
	} else {
		free(line);
	}
	failures[i].times++;
}

/* The reason is what follows the last "skip: " of the output. */
static void
show_skip(const struct run *r)
{
	char buf[1024], *s = buf, *why = NULL;
	ssize_t n = pread(r->out, buf, sizeof buf - 1, 0);

	buf[n < 0 ? 0 : n] = '\0';
	while ((s = strstr(s, "skip: ")) != NULL)
		why = s += 6;
	if (why == NULL)
		why = buf;
	why[strcspn(why, "\n")] = '\0';
	printf("skip %s:%s [%s] %s\n", r->prog->name, r->name,
	       modes[r->mode].name, why);
}

static void
ended(struct run *r, int status)
{
	struct prog *p = r->prog;
	double s = (double)(now() - r->began) / NSEC;
	int n;

	if (WIFSIGNALED(status)) {
		fail(r, "killed by signal %d (%s)", WTERMSIG(status),
		     strsignal(WTERMSIG(status)));
		show_output(r->out);
		kill(-r->pid, SIGKILL);
		left_over(r);
	} else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SKIPPED) {
		fail(r, "exit status %d", WEXITSTATUS(status));
		show_output(r->out);
		/* It stopped in the middle; what it started cannot know. */
		kill(-r->pid, SIGKILL);
		left_over(r);
	} else if ((n = left_over(r)) > 0) {
		fail(r, "%d processes left over", n);
		show_output(r->out);
	} else if (WEXITSTATUS(status) == SKIPPED) {
		show_skip(r);
		p->skipped[r->mode]++;
		skipped++;
	} else {
		p->passed[r->mode]++;
		passed++;
		if (verbose)
			printf("ok   %s:%s [%s] %.3f s\n", p->name, r->name,
			       modes[r->mode].name, s);
	}
	close(r->out);
	over(r);
}

static void
hangs(struct run *r)
{
	fail(r, "hangs: not over after %g s", (double)limit / NSEC);
	each_process(r->pid, show_process);
	show_output(r->out);
	kill(-r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	left_over(r);
	close(r->out);
	over(r);
}

/*
 * All of them
 */

static void
work(void)
{
	while (next < queued || nlive > 0) {
		int64_t soonest = INT64_MAX;
		bool any = false;
		int i, status;

		while (nlive < jobs && next < queued)
			start(&queue[next++]);
		for (i = 0; i < jobs; i++) {
			struct run *r = live[i];

			if (r == NULL)
				continue;
			if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
				live[i] = NULL;
				nlive--;
				any = true;
				ended(r, status);
			} else if (now() >= r->deadline) {
				live[i] = NULL;
				nlive--;
				any = true;
				hangs(r);
			} else if (r->deadline < soonest) {
				soonest = r->deadline;
			}
		}
		if (!any && nlive > 0)
			wait_until(soonest);
	}
}

static void
list(struct prog *p)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int out[2], status;
	pid_t pid;
	FILE *f;

	fflush(stdout);
	if (pipe2(out, O_CLOEXEC) == -1)
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid == -1)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		unsetenv("LD_PRELOAD");
		sigprocmask(SIG_SETMASK, &inherited, NULL);
		execl(p->path, p->path, "--list", (char *)NULL);
		_exit(126);
	}
	close(out[1]);
	f = must(fdopen(out[0], "r"));
	while ((n = getline(&line, &size, f)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (p->only != NULL && strcmp(p->only, line) != 0)
			continue;
		p->cases = must(
			realloc(p->cases, (p->count + 1) * sizeof *p->cases));
		p->cases[p->count++] = must(strdup(line));
	}
	free(line);
	fclose(f);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("%s --list fails", p->path);
	if (p->count == 0)
		die(p->only == NULL ? "%s names no cases" : "%s has no case %s",
		    p->path, p->only);
}

static void
fill_queue(void)
{
	int i, c, m, k;

	for (i = 0; i < nprogs; i++)
		for (k = 0; k < repeats; k++)
			for (c = 0; c < progs[i].count; c++)
				for (m = 0; m < MODES; m++) {
					if (!wanted[m])
						continue;
					queue = must(realloc(
						queue,
						(queued + 1) * sizeof *queue));
					queue[queued++] = (struct run){
						.prog = &progs[i],
						.name = progs[i].cases[c],
						.mode = m,
					};
					progs[i].left++;
				}
}

static void
choose_modes(char *arg)
{
	char *save, *s;
	int m;

	memset(wanted, 0, sizeof wanted);
	for (s = strtok_r(arg, ",", &save); s != NULL;
	     s = strtok_r(NULL, ",", &save)) {
		for (m = 0; m < MODES; m++)
			if (strcmp(s, modes[m].name) == 0)
				break;
		if (m == MODES)
			die("no mode %s", s);
		wanted[m] = true;
	}
}

/* Where the build puts it: beside the folder that we are in. */
static const char *
default_lib(void)
{
	static char path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *s;
	int up;

	path[n < 0 ? 0 : n] = '\0';
	for (up = 0; up < 2; up++)
		if ((s = strrchr(path, '/')) != NULL)
			*s = '\0';
	strcat(path, "/libcohook.so");
	return path;
}

static void
find_lib(void)
{
	char *abs;

	if (lib == NULL)
		lib = default_lib();
	/* A list, as for sanitizers' own libraries, is the caller's affair. */
	if (strchr(lib, ':') != NULL || strchr(lib, ' ') != NULL)
		return;
	abs = realpath(lib, NULL);
	if (abs == NULL)
		die("%s: %s (-l LIB names another; "
		    "-m bare,bare-thread needs none)",
		    lib, strerror(errno));
	lib = abs;
}

/* COHOOK_FAULTS (faults/faults.h) with no seed of its own: all get one, which
 * is said. */
static void
choose_seed(void)
{
	const char *s = getenv("COHOOK_FAULTS");
	char *with;

	if (s == NULL || strncmp(s, "0:", 2) != 0)
		return;
	if (asprintf(&with, "%lld%s", (long long)now() / 1000, s + 1) < 0)
		die("out of memory");
	setenv("COHOOK_FAULTS", with, 1);
	printf("COHOOK_FAULTS=%s\n", with);
	free(with);
}

static int
number(const char *s, int max)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*s == '\0' || *end != '\0' || n < 1 || n > max)
		die("%s: not a number from 1 to %d", s, max);
	return (int)n;
}

static void
usage(void)
{
	fputs("usage: twice [-v] [-l LIB] [-j JOBS] [-t SECONDS] [-r REPEATS]\n"
	      "             [-m MODE[,MODE]] PROG[:CASE]...\n"
	      "modes: bare, bare-thread, hooked, now; all by default\n"
	      "$COHOOK_TEST_GDB set: gdb's backtraces of what hangs\n",
	      stderr);
	exit(2);
}

static void
read_args(int argc, char **argv)
{
	int opt, m;

	/* Most cases do nothing but wait, most of the time. */
	jobs = 4 * (int)sysconf(_SC_NPROCESSORS_ONLN);
	for (m = 0; m < MODES; m++)
		wanted[m] = true;
	while ((opt = getopt(argc, argv, "l:j:t:m:r:v")) != -1)
		switch (opt) {
		case 'l':
			lib = optarg;
			break;
		case 'j':
			jobs = number(optarg, 1000);
			break;
		case 't':
			limit = number(optarg, 86400) * NSEC;
			break;
		case 'm':
			choose_modes(optarg);
			break;
		case 'r':
			repeats = number(optarg, 100000);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			usage();
		}
	if (optind == argc)
		usage();
	for (m = 0; m < MODES; m++)
		if (wanted[m] && modes[m].preload) {
			find_lib();
			break;
		}
	nprogs = argc - optind;
	progs = must(calloc(nprogs, sizeof *progs));
	for (m = 0; m < nprogs; m++) {
		struct prog *p = &progs[m];
		char *path = must(strdup(argv[optind + m])), *s;

		if (access(path, X_OK) == -1 &&
		    (s = strrchr(path, ':')) != NULL) {
			*s = '\0';
			p->only = s + 1;
		}
		p->path = realpath(path, NULL);
		if (p->path == NULL)
			die("%s: %s", path, strerror(errno));
		p->name = (s = strrchr(path, '/')) == NULL ? path : s + 1;
	}
}

int
main(int argc, char **argv)
{
	int i, null;

	read_args(argc, argv);
	choose_seed();

	/* A case is to see 0, 1 and 2 and no more, whatever we were given. */
	for (i = 3; i < 1024; i++)
		if (fcntl(i, F_GETFD) != -1)
			fcntl(i, F_SETFD, FD_CLOEXEC);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1)
		die("/dev/null: %s", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGHUP);
	sigprocmask(SIG_BLOCK, &watched, &inherited);
	/* Ignored signals stay so across exec, and change what cases see. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);

	for (i = 0; i < nprogs; i++)
		list(&progs[i]);
	fill_queue();
	live = must(calloc(jobs, sizeof *live));
	work();

	if (nfailures > 0)
		puts("failed:");
	for (i = 0; i < nfailures; i++)
		if (failures[i].times == 1)
			printf("  %s\n", failures[i].line);
		else
			printf("  %s (%d times)\n", failures[i].line,
			       failures[i].times);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed > 0 ? 1 : 0;
}
