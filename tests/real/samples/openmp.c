/* SPDX-License-Identifier: MIT */
/* openmp.c - loops, sections, tasks, locks and barriers of OpenMP.  libgomp
 * spins, and then waits by futex calls of its own. */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N = 200000 };

static long
fib(int n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a) if (n > 12)
	a = fib(n - 1);
#pragma omp task shared(b) if (n > 12)
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

/* A team for each of several threads. */
static void *
has_a_team(void *arg)
{
	long i, k, sum = 0;

	for (k = 0; k < 50; k++) {
#pragma omp parallel for num_threads(3) reduction(+ : sum)
		for (i = 0; i < 1000; i++)
			sum += i;
		usleep(100);
	}
	*(long *)arg = sum;
	return NULL;
}

int
main(void)
{
	enum { TEAMS = 4 };
	pthread_t th[TEAMS];
	long sums[TEAMS];
	static double v[N];
	double sum = 0;
	long n = 0, ordered = 0, tasks = 0, max = 0;
	omp_lock_t lock;
	int i, round, sections = 0;

#pragma omp parallel for schedule(static)
	for (i = 0; i < N; i++)
		v[i] = i % 1000;
#pragma omp parallel for schedule(dynamic, 100) reduction(+ : sum)
	for (i = 0; i < N; i++)
		sum += v[i];
	printf("%.0f\n", sum);
	for (round = 0; round < 200; round++) {
#pragma omp parallel num_threads(8)
		{
#pragma omp atomic
			n++;
#pragma omp barrier
#pragma omp single
			n += 1000;
#pragma omp critical
			n++;
		}
	}
	printf("%ld\n", n);
	omp_init_lock(&lock);
#pragma omp parallel for num_threads(6) schedule(guided)
	for (i = 0; i < 20000; i++) {
		omp_set_lock(&lock);
		max = max > i ? max : i;
		n++;
		omp_unset_lock(&lock);
	}
	omp_destroy_lock(&lock);
	printf("%ld %ld\n", n, max);
#pragma omp parallel for ordered num_threads(4) schedule(dynamic)
	for (i = 0; i < 2000; i++) {
#pragma omp ordered
		ordered = (ordered * 31 + i) % 1000003;
	}
	printf("%ld\n", ordered);
#pragma omp parallel sections num_threads(3)
	{
#pragma omp section
		{
			usleep(1000);
#pragma omp atomic
			sections += 1;
		}
#pragma omp section
#pragma omp atomic
		sections += 10;
#pragma omp section
#pragma omp atomic
		sections += 100;
	}
	printf("%d\n", sections);
#pragma omp parallel num_threads(4)
#pragma omp single
	tasks = fib(22);
	printf("%ld\n", tasks);
	/* One team in another. */
	omp_set_max_active_levels(2);
	n = 0;
#pragma omp parallel num_threads(3)
#pragma omp parallel num_threads(3)
#pragma omp atomic
	n++;
	printf("%ld\n", n);
	for (i = 0; i < TEAMS; i++)
		pthread_create(&th[i], NULL, has_a_team, &sums[i]);
	for (n = i = 0; i < TEAMS; i++) {
		pthread_join(th[i], NULL);
		n += sums[i];
	}
	printf("%ld\n", n);
	return 0;
}
