/* SPDX-License-Identifier: MIT */
/* text.c - what is printed, and how. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hook/tool/tool.h"

enum { WIDTH = 80 };

const char *bold = "", *dim = "", *red = "", *green = "", *yellow = "";
const char *plain = "";

/* What was printed has not arrived: a full disk is an error, and a reader who has
 * seen enough is none. */
static void
finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (errno != EPIPE)
		fprintf(stderr, "cohook: standard output: %s\n",
			strerror(errno));
	_exit(errno == EPIPE ? 1 : EXIT_OURS);
}

bool
text_unread(void)
{
	return fflush(stdout) != 0 || ferror(stdout);
}

void
text_init(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	atexit(finish);
	if (!isatty(STDOUT_FILENO) || term == NULL ||
	    strcmp(term, "dumb") == 0 || (no != NULL && no[0] != '\0'))
		return;
	bold = "\033[1m";
	dim = "\033[2m";
	red = "\033[31m";
	green = "\033[32m";
	yellow = "\033[33m";
	plain = "\033[m";
}

static void
say(const char *fmt, va_list ap)
{
	fputs("cohook: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void
complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void
die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	exit(status);
}

void
wrap_word(struct wrap *w, const char *fmt, ...)
{
	char word[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (w->column > 0 && w->column + 1 + n > WIDTH - 1) {
		putchar('\n');
		w->column = 0;
	}
	if (w->column == 0)
		w->column = printf("%*s%s", w->indent, "", word);
	else
		w->column += printf(" %s", word);
}

void
wrap_end(struct wrap *w)
{
	if (w->column > 0)
		putchar('\n');
	w->column = 0;
}

/* What is no UTF-8 in the input is none in the output either: names of files
 * may be anything, and most readers take it. */
void
json_string_to(FILE *to, const char *s)
{
	putc('"', to);
	for (; *s != '\0'; s++)
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(to, "\\u%04x", *s);
		else
			putc(*s, to);
	putc('"', to);
}

void
json_string(const char *s)
{
	json_string_to(stdout, s);
}

FILE *
open_output(const char *path)
{
	FILE *f = path != NULL ? fopen(path, "we") : stderr;

	if (f == NULL)
		die(EXIT_OURS, "%s: %s", path, strerror(errno));
	return f;
}

void *
need(size_t size)
{
	return more(NULL, size);
}

void *
more(void *p, size_t size)
{
	p = realloc(p, size > 0 ? size : 1);
	if (p == NULL)
		die(EXIT_OURS, "no memory");
	return p;
}

char *
format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		die(EXIT_OURS, "no memory");
	va_end(ap);
	return s;
}

/* --- progress --- */

void
progress(size_t done, size_t total)
{
	static struct timespec begin, last;
	static bool shown;
	struct timespec now;

	if (done % 64 != 0 && done != total)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (done == 0 || begin.tv_sec == 0)
		begin = last = now;
	if (shown && done >= total) {
		fprintf(stderr, "\r    \r");
		shown = false;
	}
	if (done >= total || now.tv_sec - begin.tv_sec < 2 ||
	    now.tv_sec == last.tv_sec)
		return;
	/* On a terminal the output itself is it. */
	if (isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO))
		return;
	last = now;
	shown = true;
	fprintf(stderr, "\r%3zu%%", done * 100 / total);
	fflush(stderr);
}
