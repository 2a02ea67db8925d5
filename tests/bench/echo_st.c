/* SPDX-License-Identifier: MIT */
/* echo_st.c - an echo server of State Threads, one for each connection; over
 * poll(2), for Debian builds the library without epoll.
 *
 *     echo_st [BYTES]        of a connection's buffer; 4096
 */
#include <st.h>

#include "echo.h"

enum { STACK = 64 * 1024 };

static size_t size;

static void *
serve(void *arg)
{
	st_netfd_t fd = arg;
	char *buf = malloc(size);
	ssize_t n;

	if (!buf)
		bench_fail("malloc");
	while ((n = st_read(fd, buf, size, ST_UTIME_NO_TIMEOUT)) > 0)
		if (st_write(fd, buf, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
			break;
	st_netfd_close(fd);
	free(buf);
	return NULL;
}

int
main(int argc, char **argv)
{
	st_netfd_t listener, fd;

	size = argc > 1 ? (size_t)bench_number(argv[1]) : 4096;
	if (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0)
		bench_fail("st_init");
	listener = st_netfd_open_socket(echo_listen(0));
	if (!listener)
		bench_fail("st_netfd_open_socket");
	for (;;) {
		fd = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
		if (!fd) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			bench_fail("st_accept");
		}
		if (!st_thread_create(serve, fd, 0, STACK))
			bench_fail("st_thread_create");
	}
}
