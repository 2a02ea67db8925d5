/* SPDX-License-Identifier: MIT */
/* ports_client.c - opens connections, one after the other and on each port in
 * turn, and keeps them; each must echo its number, now and again at the end.
 *
 *     ports_client PORT PORTS CONNECTIONS
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

static int
echoes(int fd, int number)
{
	int back = -1;

	return send(fd, &number, sizeof number, MSG_NOSIGNAL) ==
		       sizeof number &&
	       recv(fd, &back, sizeof back, MSG_WAITALL) == sizeof back &&
	       back == number;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval stuck = { .tv_sec = 30 };
	int first, ports, n, *fd, right = 0;
	int64_t start = now_ns(), opened;

	if (argc != 4)
		return 2;
	first = atoi(argv[1]);
	ports = atoi(argv[2]);
	n = atoi(argv[3]);
	fd = calloc((size_t)n, sizeof *fd);
	if (fd == NULL)
		return 2;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < n; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		a.sin_port = htons((uint16_t)(first + i % ports));
		setsockopt(fd[i], SOL_SOCKET, SO_RCVTIMEO, &stuck,
			   sizeof stuck);
		if (connect(fd[i], (struct sockaddr *)&a, sizeof a) != 0) {
			fprintf(stderr, "connection %d: ", i);
			perror("connect");
			return 1;
		}
		if (!echoes(fd[i], i)) {
			fprintf(stderr, "connection %d does not echo\n", i);
			return 1;
		}
	}
	opened = now_ns() - start;
	for (int i = 0; i < n; i++)
		right += echoes(fd[i], -i);
	printf("connections=%d seconds=%.3f right=%d\n", n,
	       (double)opened / 1e9, right);
	return right != n || fflush(stdout) ? 1 : 0;
}
