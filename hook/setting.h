/* SPDX-License-Identifier: MIT */
/* setting.h - the COHOOK_* variables, and what each may be: for the library,
 * which reads them (env.c), and for the command, which refuses what it would
 * ignore (tool/launch.c). */
#ifndef COHOOK_SETTING_H
#define COHOOK_SETTING_H

#include <stdbool.h>
#include <stddef.h>

/* No text that a variable may be is as long. */
enum { CO_SETTING_TEXT = 4096 };

struct co_setting {
	const char *name;
	const char *may_be;    /* "COHOOK_X is ...", for a message */
	bool (*valid)(const char *value);
};

/* Ended by one without a name. */
extern const struct co_setting co_settings[];

/* NULL: there is none of that name. */
const struct co_setting *co_setting_of(const char *name);

/* 64K, 8M, 1G, or bytes; 0 if it is no size, or none that there can be. */
size_t co_setting_size(const char *s);
/* SIGUSR2, USR2 or 12; 0 if it is none that could be ours. */
int co_setting_signal(const char *s);
/* A number of digits alone, -1 if it is none or more than most. */
long co_setting_number(const char *s, long most);

#endif
