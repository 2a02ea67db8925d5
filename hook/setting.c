/* SPDX-License-Identifier: MIT */
/* setting.c - what a COHOOK_* variable may be.
 *
 * Compiled into the command as well: nothing here but pure functions. */
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "hook/setting.h"

static bool
one_of(const char *value, size_t n, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strlen(*words) == n && strncmp(value, *words, n) == 0)
			return true;
	return false;
}

#define WORDS(name, ...)                                                  \
	static bool is_##name(const char *value)                          \
	{                                                                 \
		static const char *const words[] = { __VA_ARGS__, NULL }; \
		return one_of(value, strlen(value), words);               \
	}

WORDS(switch, "0", "1")
WORDS(start, "now")
WORDS(threads, "native", "convert")
WORDS(way, "sud", "patch", "donor", "native")
WORDS(stats, "0", "1", "count")
WORDS(guard, "madvise", "mprotect", "none")

long
co_setting_number(const char *s, long most)
{
	long n = 0;

	if (*s == '\0')
		return -1;
	for (; *s >= '0' && *s <= '9' && n <= most; s++)
		n = n * 10 + (*s - '0');
	return *s == '\0' && n <= most ? n : -1;
}

size_t
co_setting_size(const char *s)
{
	char digits[20];
	size_t n = strspn(s, "0123456789");
	int shift = 0;
	long bytes;

	if (n == 0 || n >= sizeof(digits))
		return 0;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (s[n] != '\0') {
		const char *units = "kKmMgG", *unit = strchr(units, s[n]);

		if (unit == NULL || s[n + 1] != '\0')
			return 0;
		shift = 10 * (int)((unit - units) / 2 + 1);
	}
	bytes = co_setting_number(digits, INT64_MAX >> (shift + 8));
	return bytes > 0 ? (size_t)bytes << shift : 0;
}

int
co_setting_signal(const char *s)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "HUP", SIGHUP },   { "QUIT", SIGQUIT },
		{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },
		{ "ALRM", SIGALRM }, { "WINCH", SIGWINCH },
		{ "URG", SIGURG },   { "IO", SIGIO },
		{ "PROF", SIGPROF }, { "VTALRM", SIGVTALRM },
		{ "PWR", SIGPWR },   { "XCPU", SIGXCPU },
		{ "TRAP", SIGTRAP },
	};
	long n = co_setting_number(s, 64);
	size_t i;

	if (strncmp(s, "SIG", 3) == 0)
		s += 3;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(s, names[i].name) == 0 || n == names[i].number)
			return names[i].number;
	return n >= 34 ? (int)n : 0; /* real-time ones, but glibc's */
}

static bool
is_signal(const char *value)
{
	return co_setting_signal(value) != 0;
}

static bool
is_workers(const char *value)
{
	return co_setting_number(value, 64) >= 1;
}

static bool
is_stack(const char *value)
{
	return co_setting_size(value) >= 16384;
}

static bool
is_list(const char *value)
{
	return strlen(value) < CO_SETTING_TEXT && value[0] != ',' &&
	       value[strlen(value) - 1] != ',' && strstr(value, ",,") == NULL;
}

static bool
is_log(const char *value)
{
	static const char *const levels[] = { "off",  "error", "warn",
					      "info", "trace", NULL };
	size_t n = strcspn(value, ":");

	return one_of(value, n, levels) &&
	       (value[n] == '\0' || value[n + 1] != '\0');
}

const struct co_setting co_settings[] = {
	{ "COHOOK", "0 or 1", is_switch },
	{ "COHOOK_START", "now", is_start },
	{ "COHOOK_THREADS", "native or convert", is_threads },
	{ "COHOOK_WORKERS", "1 to 64", is_workers },
	{ "COHOOK_STACK", "a size of at least 16K", is_stack },
	{ "COHOOK_EXCLUDE", "libraries and calls, by commas", is_list },
	{ "COHOOK_LOG", "off, error, warn, info or trace, and :FILE", is_log },
	{ "COHOOK_DUMP", "a signal such as SIGUSR2", is_signal },
	{ "COHOOK_STATS", "0, 1 or count", is_stats },
	{ "COHOOK_TCB", "sud, patch, donor or native", is_way },
	{ "COHOOK_GUARD", "madvise, mprotect or none", is_guard },
	{ NULL, NULL, NULL },
};

const struct co_setting *
co_setting_of(const char *name)
{
	const struct co_setting *s;

	for (s = co_settings; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}
