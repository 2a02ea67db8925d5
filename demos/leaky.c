/* SPDX-License-Identifier: MIT */
/* leaky.c - a program that leaks, for leaks.c to find: each of its threads
 * answers ten requests, and forgets to give back one of its buffers.
 *
 *     leaky [THREADS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not static, so that the report can name it. */
void *answer_requests(void *arg);

void *
answer_requests(void *arg)
{
	for (int i = 0; i < 10; i++) {
		char *buffer = malloc(1000), *answer = strdup("hello");

		usleep(1000);
		if (buffer == NULL || answer == NULL)
			return NULL;
		snprintf(buffer, 1000, "%s %d", answer, i);
		free(answer);
		if (i != 7)
			free(buffer);
	}
	return arg;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 100;
	pthread_t *t = calloc((size_t)n, sizeof *t);

	if (t == NULL)
		return 2;
	for (int i = 0; i < n; i++)
		if (pthread_create(&t[i], NULL, answer_requests, NULL))
			return 1;
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	free(t);
	return 0;
}
