/* SPDX-License-Identifier: MIT */
/* echo_threads.c - an echo server with a thread, or a coroutine, for each
 * connection: blocking calls and nothing else.
 *
 *     echo_threads [BYTES]      of a connection's buffer; 4096
 */
#include "echo.h"

static size_t size;

static void
echo(int fd, char *buf)
{
	ssize_t n, m;

	while ((n = read(fd, buf, size)) > 0)
		for (ssize_t sent = 0; sent < n; sent += m) {
			m = write(fd, buf + sent, (size_t)(n - sent));
			if (m < 0)
				return;
		}
}

static void
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *buf = malloc(size);

	if (!buf)
		bench_fail("malloc");
	echo(fd, buf);
	close(fd);
	free(buf);
}

#ifdef BENCH_GO

static int
start(int fd)
{
	return cohook_go(serve, (void *)(intptr_t)fd, 0) < 0 ? errno : 0;
}

#else

static void *
serve_thread(void *arg)
{
	serve(arg);
	return NULL;
}

static int
start(int fd)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, serve_thread, (void *)(intptr_t)fd);

	if (!e)
		pthread_detach(t);
	return e;
}

#endif

int
main(int argc, char **argv)
{
	int listener;

	size = argc > 1 ? (size_t)bench_number(argv[1]) : 4096;
	listener = echo_listen(0);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			bench_fail("accept");
		}
		errno = start(fd);
		if (errno)
			bench_fail("starting a thread");
	}
}
