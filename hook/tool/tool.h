/* SPDX-License-Identifier: MIT */
/* tool.h - what the parts of the `cohook' command share.
 *
 * The command is an ordinary program: it uses libc, not the library's
 * internals, and knows of a live process what sched/debug.h tells. */
#ifndef COHOOK_TOOL_H
#define COHOOK_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit statuses of our own, as env(1) has them: what we run has all others. */
enum { EXIT_OURS = 125, EXIT_CANNOT = 126, EXIT_NOT_FOUND = 127 };

/* --- text.c: what is printed, and how --- */

/* Escape sequences, or "" where stdout is no terminal. */
extern const char *bold, *dim, *red, *green, *yellow, *plain;
void text_init(void);

/* "cohook: ..." to stderr. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Words one after the other, broken at column 80, each line indented. */
struct wrap {
	int indent, column;
};
void wrap_word(struct wrap *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void wrap_end(struct wrap *w);

/* A JSON string, with its quotes. */
void json_string(const char *s);

/* Never NULL: a failure ends the program. */
void *need(size_t size);
void *more(void *p, size_t size);
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- launch.c: running a program --- */
int cmd_run(int argc, char **argv);
void launch_usage(FILE *to);
/* Read the options and set the environment up; the program's index. */
int launch_options(int argc, char **argv);
_Noreturn void launch_exec(char **argv);
/* libcohook.so, wherever it is; ends the program if it is nowhere. */
const char *launch_library(void);

/* --- check.c, ps.c, stat.c --- */
int cmd_stat(int argc, char **argv);
int cmd_check(int argc, char **argv);
/* Why a program would not be hooked; NULL: it would, or it is none. */
const char *check_reason(const char *file);
int cmd_ps(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_top(int argc, char **argv);

/* --- calls.c: what becomes of libc's calls --- */

enum effect {
	YIELDS,   /* hooked: others run while it waits */
	LENDS,    /* hooked: costs a kernel thread while it waits */
	KEEPS,    /* hooked, but never waits: the books are kept */
	BLOCKS,   /* not hooked, and may wait */
	UNSEEN,   /* goes past libc, or brings in what does */
	EFFECTS,
};

struct call {
	const char *name;
	enum effect effect;
	bool on_fd;        /* its first argument is a descriptor */
};

/* NULL: it is none that matters. */
const struct call *call_of(const char *name);
extern const char *const effect_name[EFFECTS];   /* for machines */
extern const char *const effect_text[EFFECTS];   /* for people */

#endif
