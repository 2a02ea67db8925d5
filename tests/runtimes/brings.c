/* SPDX-License-Identifier: MIT */
/* brings.c - whose threads are coroutines?
 *
 *     brings                 its own
 *     brings LIBRARY         loads that, starts a thread, has it start one
 *     brings -late LIBRARY   the same, but its first thread comes before that
 *
 * A word for each thread: coroutine or native. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern int64_t cohook_self(void) __attribute__((weak));

static void *
own_thread(void *arg)
{
	*(int64_t *)arg = cohook_self != NULL ? cohook_self() : 0;
	return NULL;
}

static int
own(void)
{
	pthread_t th;
	int64_t id = -1;

	if (pthread_create(&th, NULL, own_thread, &id) != 0)
		return -1;
	pthread_join(th, NULL);
	return id != 0;
}

static const char *
word(int is)
{
	return is < 0 ? "none" : is ? "coroutine" : "native";
}

int
main(int argc, char **argv)
{
	int late = argc > 1 && strcmp(argv[1], "-late") == 0;
	const char *name = argc > 1 + late ? argv[1 + late] : NULL;
	int (*theirs)(void) = NULL;
	void *lib;

	if (late)
		printf("%s ", word(own()));
	if (name != NULL) {
		lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		if (lib != NULL)
			theirs = (int (*)(void))(uintptr_t)dlsym(
				lib, "library_thread");
		if (theirs == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
	}
	printf("%s", word(own()));
	if (theirs != NULL)
		printf(" %s %s", word(theirs()), word(theirs()));
	puts("");
	return 0;
}
