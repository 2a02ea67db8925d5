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
#include <unistd.h>

#include "listen.h"
#include "thousands.h"
#include "thread_each.h"

static int listeners[1000];

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

	one_more_connection();
	while ((n = read(fd, buf, sizeof buf)) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	thread_each((int)(intptr_t)arg, serve);
	return NULL;
}

int
main(int argc, char **argv)
{
	int ports = argc > 1 ? atoi(argv[1]) : 100, first;

	if (ports < 1 || ports > 1000)
		return 2;
	first = listen_on_all(ports);
	signal(SIGPIPE, SIG_IGN);
	mask_sigterm(SIG_BLOCK);
	for (int i = 0; i < ports; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, accept_all,
				   (void *)(intptr_t)listeners[i]))
			fail("pthread_create");
	}
	say_port(first);
	wait_for_sigterm();
	return 0;
}
