/* SPDX-License-Identifier: MIT */
/* http_client.c - the load for the web servers, and not a demo itself: a thread
 * for each connection, which sends a request, waits for the answer, checks it,
 * and sends the next.
 *
 *     http_client -p PORT [-u PATH] [-k CONNECTIONS] [-r REQUESTS]
 *                 [-f FILE] [-s PID]
 *
 * -r   of each connection
 * -f   what the answer must be; else it must begin with "request"
 * -s   the server, whose kernel threads are counted meanwhile
 *
 * It prints latencies in milliseconds, in the middle and at 99 %, and the
 * server's microseconds of CPU for a request.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

enum { STUCK = 60 }; /* seconds */

static int port, n = 100, rounds = 10, server_pid;
static const char *path = "/";
static char *want;
static size_t want_len;
static pthread_barrier_t all_connected;
static atomic_int errors, done;
static float *ms;
static double *began, *ended;

static double
now(void)
{
	return (double)now_ns() / 1e9;
}

static int
wrong(const char *why)
{
	if (atomic_fetch_add(&errors, 1) < 5)
		fprintf(stderr, "http_client: %s\n", why);
	return 0;
}

/* One request and its answer; buf holds all of that. */
static int
ask(int fd, char *buf, size_t size)
{
	size_t have = 0, length, all = SIZE_MAX;
	char *body = NULL, *field;

	length = (size_t)snprintf(
		buf, size, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	if (send(fd, buf, length, MSG_NOSIGNAL) != (ssize_t)length)
		return wrong(strerror(errno));
	while (have < all) {
		ssize_t m = recv(fd, buf + have, size - 1 - have, 0);

		if (m <= 0)
			return wrong(m < 0 ? strerror(errno) : "cut short");
		have += (size_t)m;
		buf[have] = '\0';
		if (body == NULL && (body = strstr(buf, "\r\n\r\n"))) {
			field = strstr(buf, "Content-Length: ");
			if (field == NULL)
				return wrong("an answer without a length");
			body += 4;
			all = (size_t)(body - buf) + strtoul(field + 16, 0, 10);
			if (all >= size)
				return wrong("too long an answer");
		}
	}
	if (have != all || strncmp(buf, "HTTP/1.1 200 ", 13) != 0)
		return wrong("not the answer to one request");
	length = (size_t)(buf + all - body);
	if (want ? length != want_len || memcmp(body, want, length) != 0 :
		   strncmp(body, "request ", 8) != 0)
		return wrong("a wrong answer");
	return 1;
}

static void *
client(void *arg)
{
	long number = (long)(intptr_t)arg;
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval stuck = { .tv_sec = STUCK };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ok;
	size_t size = want_len + 1024;
	char *buf = malloc(size);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stuck, sizeof stuck);
	ok = buf && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	if (!ok)
		wrong(strerror(errno));
	pthread_barrier_wait(&all_connected);
	began[number] = now();
	for (int i = 0; ok && i < rounds; i++) {
		double start = now();

		ok = ask(fd, buf, size);
		ms[number * rounds + i] = (float)((now() - start) * 1000);
	}
	ended[number] = now();
	free(buf);
	close(fd);
	done++;
	return NULL;
}

/* The server's CPU time until now, in microseconds; ticks of 10000 as a rule. */
static double
server_cpu(void)
{
	char text[512] = "", *p;
	unsigned long user, kernel;
	FILE *f;

	snprintf(text, sizeof text, "/proc/%d/stat", server_pid);
	f = server_pid ? fopen(text, "re") : NULL;
	if (f == NULL || fgets(text, sizeof text, f) == NULL)
		text[0] = '\0';
	if (f)
		fclose(f);
	/* Its name, in brackets, may hold anything. */
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p,
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
				"%*u %lu %lu",
				&user, &kernel) != 2)
		return 0;
	return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void
read_want(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 ||
	    (want = malloc((size_t)st.st_size + 1)) == NULL ||
	    read(fd, want, (size_t)st.st_size) != st.st_size) {
		perror(file);
		exit(2);
	}
	want_len = (size_t)st.st_size;
	close(fd);
}

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	int c, threads = 0, t;
	pthread_t *all;
	double seconds, cpu;
	long total;

	while ((c = getopt(argc, argv, "p:u:k:r:f:s:")) != -1)
		switch (c) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'u':
			path = optarg;
			break;
		case 'k':
			n = atoi(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'f':
			read_want(optarg);
			break;
		case 's':
			server_pid = atoi(optarg);
			break;
		default:
			return 2;
		}
	if (port < 1 || port > 65535 || n < 1 || rounds < 1 || optind != argc) {
		fprintf(stderr,
			"usage: see the first lines of http_client.c\n");
		return 2;
	}
	total = (long)n * rounds;
	ms = calloc((size_t)total, sizeof *ms);
	began = calloc((size_t)n, sizeof *began);
	ended = calloc((size_t)n, sizeof *ended);
	all = calloc((size_t)n, sizeof *all);
	if (!ms || !began || !ended || !all ||
	    pthread_barrier_init(&all_connected, NULL, (unsigned)n + 1))
		return 2;
	for (intptr_t i = 0; i < n; i++)
		if ((c = pthread_create(&all[i], NULL, client, (void *)i))) {
			fprintf(stderr, "thread %d: %s\n", (int)i, strerror(c));
			exit(2);
		}
	cpu = server_cpu();
	pthread_barrier_wait(&all_connected);
	do {
		usleep(2000);
		t = status_of(server_pid, "Threads:");
		threads = t > threads ? t : threads;
	} while (done < n);
	cpu = server_cpu() - cpu;
	for (int i = 0; i < n; i++) {
		pthread_join(all[i], NULL);
		began[0] = began[i] < began[0] ? began[i] : began[0];
		ended[0] = ended[i] > ended[0] ? ended[i] : ended[0];
	}
	seconds = ended[0] - began[0];
	qsort(ms, (size_t)total, sizeof *ms, by_size);
	printf("requests=%ld seconds=%.3f per_second=%.0f half_ms=%.2f "
	       "most_ms=%.2f\n"
	       "threads=%d peak_kib=%d cpu_us=%.1f errors=%d\n",
	       total, seconds, (double)total / seconds, ms[total / 2],
	       ms[total - 1 - total / 100], threads,
	       status_of(server_pid, "VmHWM:"), cpu / (double)total, errors);
	return errors || fflush(stdout) ? 1 : 0;
}
