/* SPDX-License-Identifier: MIT */
/* ports_server.c - an echo server on many ports, a thread for each of them and
 * for each connection.  It says how long each thousand connections took.
 *
 *     ports_server [PORTS]     100 if not said; one after the other
 *
 * Prints "port FIRST", and "connections N ms M" for each thousand; SIGTERM ends
 * it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"

static atomic_long connections;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double last;
static int listeners[1000];

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
count(void)
{
	long n = atomic_fetch_add(&connections, 1) + 1;
	double now;

	if (n % 1000 != 0 && n != 1)
		return;
	pthread_mutex_lock(&lock);
	now = now_ms();
	if (n != 1) {
		printf("connections %ld ms %.1f\n", n, now - last);
		fflush(stdout);
	}
	last = now;
	pthread_mutex_unlock(&lock);
}

/* Ports in a row, below those that the kernel gives to clients. */
static int
listen_on_all(int ports)
{
	for (int port = 10000, i; port + ports < 32768; port += ports) {
		for (i = 0; i < ports; i++)
			if ((listeners[i] = listen_at(port + i, SO_REUSEADDR)) <
			    0)
				break;
		if (i == ports)
			return port;
		while (i-- > 0)
			close(listeners[i]);
	}
	fail("listen");
	return -1;
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[1024];
	ssize_t n;

	count();
	while ((n = read(fd, buf, sizeof buf)) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	pthread_t t;

	while ((fd = accept_one(listener)) >= 0)
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
	return NULL;
}

int
main(int argc, char **argv)
{
	int ports = argc > 1 ? atoi(argv[1]) : 100, first, sig;
	sigset_t term;

	if (ports < 1 || ports > 1000)
		return 2;
	first = listen_on_all(ports);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	for (int i = 0; i < ports; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, accept_all,
				   (void *)(intptr_t)listeners[i]))
			fail("pthread_create");
	}
	printf("port %d\n", first);
	fflush(stdout);
	sigwait(&term, &sig);
	return 0;
}
