/* SPDX-License-Identifier: MIT */
/* tools.c - a program with threads for tools to look at: what it prints is the
 * same each time, it leaks a known amount, and its functions have names. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 60, ROUNDS = 20, LEAK = 777 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
void *leaked[THREADS];

__attribute__((noinline)) void *
forgets_some(int i)
{
	leaked[i] = malloc(LEAK);
	memset(leaked[i], i, LEAK);
	return leaked[i];
}

__attribute__((noinline)) long
computes_a_while(long n)
{
	volatile long sum = 0;
	long i;

	for (i = 0; i < n; i++)
		sum += i % 7;
	return sum;
}

static void *
works(void *arg)
{
	int i, fd[2], me = (int)(size_t)arg;
	char c, *p;

	if (pipe(fd) != 0)
		exit(1);
	for (i = 0; i < ROUNDS; i++) {
		p = malloc((size_t)(100 + me));
		memset(p, me, (size_t)(100 + me));
		usleep(500);
		if (write(fd[1], p, 1) != 1 || read(fd[0], &c, 1) != 1)
			exit(2);
		pthread_mutex_lock(&lock);
		total += c + computes_a_while(20000) % 1000;
		pthread_mutex_unlock(&lock);
		free(p);
	}
	forgets_some(me);
	leaked[me] = NULL;
	close(fd[0]);
	close(fd[1]);
	return arg;
}

int
main(void)
{
	pthread_t th[THREADS];
	size_t i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&th[i], NULL, works, (void *)i) != 0)
			return 3;
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	printf("total %ld\n", total);
	return 0;
}
