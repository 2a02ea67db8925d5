/* SPDX-License-Identifier: MIT */
/* text.c - what is printed, and how. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/tool/tool.h"

enum { WIDTH = 80 };

const char *bold = "", *dim = "", *red = "", *green = "", *yellow = "";
const char *plain = "";

void
text_init(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

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
