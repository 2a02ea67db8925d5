/* SPDX-License-Identifier: MIT */
/* fd_stdio.c - streams on what may wait: pipes, sockets, terminals.  The other
 * party is a thread of the case: whoever holds it up waits for ever. */
#define _GNU_SOURCE 1

#include <sys/un.h>
#include <termios.h>

#include "party.h"

enum { KINDS = 4 };

/* [0] is read from, [1] written to. */
static bool
open_kind(int kind, int fds[2])
{
	struct termios tty;

	switch (kind) {
	case 0:
		CHECK_INT(pipe(fds), 0);
		return true;
	case 1:
		unix_pair(SOCK_STREAM, fds);
		return true;
	case 2:
		tcp_pair(fds);
		return true;
	default:
		fds[1] = posix_openpt(O_RDWR | O_NOCTTY);
		if (fds[1] == -1)
			return false;
		CHECK_INT(grantpt(fds[1]), 0);
		CHECK_INT(unlockpt(fds[1]), 0);
		fds[0] = open(ptsname(fds[1]), O_RDWR | O_NOCTTY);
		CHECK(fds[0] != -1);
		CHECK_INT(tcgetattr(fds[0], &tty), 0);
		tty.c_lflag &= ~(tcflag_t)ECHO;
		CHECK_INT(tcsetattr(fds[0], TCSANOW, &tty), 0);
		return true;
	}
}

struct line {
	int fd;
	const char *text;
};

static void *
says_later(void *arg)
{
	struct line *l = arg;
	const char *p;

	/* In two pieces: the stream waits in the middle of it as well. */
	for (p = l->text; *p != '\0'; p++) {
		if (p == l->text || p == l->text + 2)
			most_likely();
		CHECK_INT(write(l->fd, p, 1), 1);
	}
	return NULL;
}

static void
by_fgets(FILE *f)
{
	char line[100];

	CHECK(fgets(line, sizeof line, f) == line);
	CHECK_INT(strcmp(line, "42 words\n"), 0);
}

static void
by_getline(FILE *f)
{
	char *line = NULL;
	size_t room = 0;

	CHECK_INT(getline(&line, &room, f), 9);
	CHECK_INT(strcmp(line, "42 words\n"), 0);
	free(line);
}

static void
by_fscanf(FILE *f)
{
	char word[10];
	int n;

	CHECK_INT(fscanf(f, "%d %9s", &n, word), 2);
	CHECK_INT(n, 42);
	CHECK_INT(strcmp(word, "words"), 0);
	CHECK_INT(getc(f), '\n');
}

static void
by_getc(FILE *f)
{
	const char *p;

	for (p = "42 words\n"; *p != '\0'; p++) {
		CHECK_INT(getc(f), *p);
		CHECK_INT(ungetc(*p, f), *p);
		CHECK_INT(fgetc(f), *p);
	}
}

static void
by_fread(FILE *f)
{
	char buf[9];

	CHECK_INT(fread(buf, 1, sizeof buf, f), 9);
	CHECK(memcmp(buf, "42 words\n", 9) == 0);
}

static void
reads_a_line(void (*by)(FILE *))
{
	struct line l = { .text = "42 words\n" };
	int kind, fds[2], i;
	pthread_t th;
	FILE *f;

	for (kind = 0; kind < KINDS; kind++) {
		if (!open_kind(kind, fds))
			continue;
		f = fdopen(fds[0], "r");
		CHECK(f != NULL);
		/* As it comes, and without a buffer. */
		for (i = 0; i < 2; i++) {
			l.fd = fds[1];
			th = party(says_later, &l);
			by(f);
			leaves(th);
			CHECK_INT(setvbuf(f, NULL, _IONBF, 0), 0);
		}
		CHECK_INT(fclose(f), 0);
		shut(fds[1]);
	}
}

TEST(fgets_waits_for_a_line)
{
	reads_a_line(by_fgets);
}

TEST(getline_waits_for_a_line)
{
	reads_a_line(by_getline);
}

TEST(fscanf_waits_for_what_it_looks_for)
{
	reads_a_line(by_fscanf);
}

TEST(getc_waits_for_a_character)
{
	reads_a_line(by_getc);
}

TEST(fread_waits_for_all)
{
	reads_a_line(by_fread);
}

/* --- many at once: more than any number of workers --- */

enum { MANY = 40 };

static void *
waits_for_a_line(void *arg)
{
	by_fgets(arg);
	return NULL;
}

TEST(many_wait_for_lines_at_once_and_all_get_theirs)
{
	struct line l = { .text = "42 words\n" };
	pthread_t th[MANY];
	int fds[MANY][2], i;
	FILE *f[MANY];

	for (i = 0; i < MANY; i++) {
		CHECK_INT(pipe(fds[i]), 0);
		f[i] = fdopen(fds[i][0], "r");
		CHECK(f[i] != NULL);
		th[i] = party(waits_for_a_line, f[i]);
	}
	most_likely();
	/* The last first. */
	for (i = MANY - 1; i >= 0; i--) {
		CHECK_INT(write(fds[i][1], l.text, 9), 9);
		leaves(th[i]);
		CHECK_INT(fclose(f[i]), 0);
		shut(fds[i][1]);
	}
}

/* --- writing --- */

struct reader {
	int fd;
	size_t n;
};

static void *
takes_later(void *arg)
{
	struct reader *r = arg;
	char c;

	most_likely();
	take(r->fd, r->n, 0);
	CHECK_INT(read(r->fd, &c, 1), 0);
	return NULL;
}

/* 4 MiB, by pieces of n bytes, each of them on its way at once or not. */
static void
writes_much(int kind, size_t n, bool flush)
{
	static unsigned char buf[65536];
	struct reader r = { .n = 4 * 1024 * 1024 };
	size_t at;
	pthread_t th;
	int fds[2];
	FILE *f;

	CHECK(open_kind(kind, fds));
	r.fd = fds[0];
	f = fdopen(fds[1], "w");
	CHECK(f != NULL);
	th = party(takes_later, &r);
	for (at = 0; at < r.n; at += n) {
		pattern(buf, n, at);
		CHECK_INT(fwrite(buf, 1, n, f), n);
		CHECK(!flush || fflush(f) == 0);
	}
	CHECK_INT(fclose(f), 0);
	leaves(th);
	shut(fds[0]);
}

TEST(fwrite_waits_for_room)
{
	int kind;

	for (kind = 0; kind < 3; kind++) {
		writes_much(kind, 4096, false);
		writes_much(kind, 65536, true);
	}
}

static void *
takes_all(void *arg)
{
	struct reader *r = arg;
	char buf[5000];
	ssize_t n;

	most_likely();
	while ((n = read(r->fd, buf, sizeof buf)) > 0)
		r->n += (size_t)n;
	CHECK_INT(n, 0);
	return NULL;
}

TEST(printing_waits_for_room)
{
	struct reader r = { .n = 0 };
	size_t n = 0;
	pthread_t th;
	int fds[2], i;
	FILE *f;

	CHECK_INT(pipe(fds), 0);
	r.fd = fds[0];
	th = party(takes_all, &r);
	for (i = 0; i < 3000; i++)
		n += (size_t)dprintf(fds[1], "line %d of %099d\n", i, 7);
	f = fdopen(fds[1], "w");
	CHECK(f != NULL);
	for (i = 0; i < 3000; i++) {
		n += (size_t)fprintf(f, "line %d of %099d\n", i, 7);
		CHECK(putc('.', f) == '.' && fputs(".\n", f) >= 0);
		n += 3;
	}
	CHECK_INT(fclose(f), 0);
	leaves(th);
	CHECK_INT(r.n, n);
	shut(fds[0]);
}

TEST(fclose_waits_for_room_for_the_rest)
{
	struct reader r;
	size_t there;
	pthread_t th;
	int fds[2];
	FILE *f;

	CHECK_INT(pipe(fds), 0);
	there = stuff(fds[1]);
	r.fd = fds[0];
	r.n = 0;
	f = fdopen(fds[1], "w");
	CHECK(f != NULL);
	CHECK_INT(fwrite("rest", 1, 4, f), 4);
	th = party(takes_all, &r);
	CHECK_INT(fclose(f), 0);
	leaves(th);
	CHECK_INT(r.n, there + 4);
	shut(fds[0]);
}

/* --- one stream, several threads --- */

static FILE *shared;

static void *
gets_some(void *arg)
{
	long *got = arg;
	char line[32];

	while (fgets(line, sizeof line, shared) != NULL) {
		CHECK_INT(strlen(line), 16);
		CHECK_INT(line[15], '\n');
		++*got;
	}
	return NULL;
}

TEST(several_take_lines_from_one_stream_and_none_is_torn)
{
	enum { THREADS = 8, LINES = 2000 };
	long got[THREADS] = { 0 }, all = 0;
	pthread_t th[THREADS];
	char line[17];
	int fds[2], i;

	CHECK_INT(pipe(fds), 0);
	shared = fdopen(fds[0], "r");
	CHECK(shared != NULL);
	for (i = 0; i < THREADS; i++)
		th[i] = party(gets_some, &got[i]);
	for (i = 0; i < LINES; i++) {
		snprintf(line, sizeof line, "%015d\n", i);
		CHECK_INT(write(fds[1], line, 7), 7);
		if (i % 200 == 0)
			usleep(1000);
		CHECK_INT(write(fds[1], line + 7, 9), 9);
	}
	shut(fds[1]);
	for (i = 0; i < THREADS; i++) {
		leaves(th[i]);
		all += got[i];
	}
	CHECK_INT(all, LINES);
	CHECK_INT(fclose(shared), 0);
}

/* Who waits in a stream has its lock; others wait for that, and go on. */
TEST(who_waits_in_a_stream_has_its_lock)
{
	struct line l = { .text = "42 words\n" };
	pthread_t th;
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	shared = fdopen(fds[0], "r");
	CHECK(shared != NULL);
	th = party(waits_for_a_line, shared);
	while (ftrylockfile(shared) == 0) {
		funlockfile(shared);
		usleep(1000);
	}
	CHECK_INT(write(fds[1], l.text, 9), 9);
	flockfile(shared);
	funlockfile(shared);
	leaves(th);
	CHECK_INT(fclose(shared), 0);
	shut(fds[1]);
}

/* --- a conversation by two streams of one socket --- */

static void *
echoes_lines(void *arg)
{
	int *fd = arg, other = dup(*fd);
	FILE *in = fdopen(*fd, "r"), *out = fdopen(other, "w");
	char line[100];

	CHECK(in != NULL && out != NULL);
	while (fgets(line, sizeof line, in) != NULL) {
		CHECK(fputs(line, out) >= 0);
		CHECK_INT(fflush(out), 0);
	}
	CHECK_INT(fclose(in), 0);
	CHECK_INT(fclose(out), 0);
	return NULL;
}

TEST(two_talk_by_streams_over_a_socket)
{
	char line[100], back[100];
	int s[2], other, i;
	FILE *in, *out;
	pthread_t th;

	tcp_pair(s);
	th = party(echoes_lines, &s[1]);
	other = dup(s[0]);
	in = fdopen(s[0], "r");
	out = fdopen(other, "w");
	CHECK(in != NULL && out != NULL);
	for (i = 0; i < 200; i++) {
		snprintf(line, sizeof line, "line %d\n", i);
		CHECK(fputs(line, out) >= 0);
		CHECK_INT(fflush(out), 0);
		CHECK(fgets(back, sizeof back, in) != NULL);
		CHECK_INT(strcmp(line, back), 0);
	}
	CHECK_INT(shutdown(other, SHUT_WR), 0);
	CHECK(fgets(back, sizeof back, in) == NULL);
	CHECK(feof(in));
	leaves(th);
	CHECK_INT(fclose(in), 0);
	CHECK_INT(fclose(out), 0);
}

/* --- where it must not wait --- */

TEST(a_stream_of_a_non_blocking_pipe_says_EAGAIN)
{
	char line[100];
	int fds[2];
	FILE *f;

	CHECK_INT(pipe2(fds, O_NONBLOCK), 0);
	f = fdopen(fds[0], "r");
	CHECK(f != NULL);
	errno = 0;
	CHECK(fgets(line, sizeof line, f) == NULL);
	CHECK_INT(errno, EAGAIN);
	CHECK(ferror(f) && !feof(f));
	clearerr(f);
	CHECK_INT(write(fds[1], "line\n", 5), 5);
	CHECK(fgets(line, sizeof line, f) != NULL);
	CHECK_INT(strcmp(line, "line\n"), 0);
	CHECK_INT(fclose(f), 0);
	shut(fds[1]);
}

TEST(a_stream_without_readers_says_EPIPE)
{
	int fds[2];
	FILE *f;

	signal(SIGPIPE, SIG_IGN);
	CHECK_INT(pipe(fds), 0);
	shut(fds[0]);
	f = fdopen(fds[1], "w");
	CHECK(f != NULL);
	CHECK(fputs("line\n", f) >= 0);
	CHECK_ERR(fflush(f), EPIPE);
	CHECK(ferror(f));
	fclose(f);
	signal(SIGPIPE, SIG_DFL);
}
