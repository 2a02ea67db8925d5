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

/* Nobody reads stdout any more, or it is full. */
bool text_unread(void);
/* From 0 to total: shown on stderr, if the work takes more than two seconds and
 * the terminal does not show the output. */
void progress(size_t done, size_t total);

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

/* A JSON string, with its quotes, to stdout; or elsewhere. */
void json_string(const char *s);
void json_string_to(FILE *to, const char *s);
/* Where -o says, stderr without it; ends the program if it cannot be. */
FILE *open_output(const char *path);

/* Never NULL: a failure ends the program. */
void *need(size_t size);
void *more(void *p, size_t size);
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- launch.c: running a program --- */
int cmd_run(int argc, char **argv);
void launch_usage(FILE *to);
/* An option of one command alone; a table of them ends without a name. */
struct launch_more {
	const char *name;
	int letter;
	const char *meta;      /* its argument; NULL: none */
	void (*take)(const char *argument);
	const char *help;
};
enum { LAUNCH_MORE = 8 };
/* Read the options and set the environment up; the program's index.  more_options
 * may be NULL. */
int launch_options(int argc, char **argv,
		   const struct launch_more *more_options);
/* One of the options that all have was among them. */
extern bool launch_set;
_Noreturn void launch_exec(char **argv);
/* libcohook.so, wherever it is; ends the program if it is nowhere. */
const char *launch_library(void);

/* --- child.c: running it as our child --- */

/* It waits until child_go(), then runs.  Signals sent to us are sent to it. */
pid_t child_fork(char **argv);
void child_go(void);
/* End as it did, by its status as wait(2) has it: returns the exit status. */
int child_end_as(int status);

/* --- check.c, ps.c, stat.c, trace.c --- */
int cmd_stat(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_check(int argc, char **argv);
/* Why a program would not be hooked; NULL: it would, or it is none. */
const char *check_reason(const char *file);
int cmd_ps(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_top(int argc, char **argv);
/* Ends the program, with status 2, if that is none. */
pid_t pid_of(const char *s);

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
