/* SPDX-License-Identifier: MIT */
/* https_server.c - the load for HTTPS clients, and not a demo itself: an
 * ordinary server with a thread for each connection, also for the tests.
 *
 *     https_server PORT CERTIFICATE KEY       on 127.0.0.1; 0, a free one
 *
 * Prints "port N" once it listens.  SIGTERM ends it, with status 0.
 *
 *     GET /get/MS/SIZE/SEED   SIZE bytes, SEED says which, after MS milliseconds
 *     GET /all/N              answers when N such requests wait at once
 *     GET /waiting            how many of them wait now
 *     GET /never              no answer
 *     PUT /anything           the length and the sum of what was sent
 */
#define _GNU_SOURCE 1 /* strcasestr */

#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "listen.h"

struct conn {
	SSL *ssl;
	char buf[20000];
	int n; /* bytes in it */
};

static SSL_CTX *ctx;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int waiting, generation;

/* The n waiting go on together, however late one of them wakes. */
static void
wait_for_all(int n)
{
	int mine;

	pthread_mutex_lock(&lock);
	mine = generation;
	if (++waiting >= n) {
		waiting = 0;
		generation++;
		pthread_cond_broadcast(&changed);
	}
	while (mine == generation)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static int
say(SSL *ssl, const char *body)
{
	char text[300];
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(body), body);

	return SSL_write(ssl, text, n) == n;
}

static int
give(SSL *ssl, int ms, int size, int seed)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	char part[16000];
	int at = 0, n;

	nanosleep(&ts, NULL);
	n = snprintf(part, sizeof part,
		     "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size);
	if (SSL_write(ssl, part, n) != n)
		return 0;
	while (at < size) {
		for (n = 0; n < (int)sizeof part && at < size; n++, at++)
			part[n] = (char)(at * 7 + at / 251 + seed);
		if (SSL_write(ssl, part, n) != n)
			return 0;
	}
	return 1;
}

/* Reads as many bytes as the head says, of which c->buf has the first. */
static int
take(struct conn *c, const char *head)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *length = strcasestr(head, "\nContent-Length:");
	long long left = length ? atoll(length + 16) : 0, size = left;
	unsigned sum = 2166136261u;
	char answer[60];
	int i, n;

	if (strcasestr(head, "\nExpect: 100-continue") &&
	    SSL_write(c->ssl, go_on, sizeof go_on - 1) <= 0)
		return 0;
	while (left > 0) {
		if (c->n == 0)
			c->n = SSL_read(c->ssl, c->buf, sizeof c->buf - 1);
		if (c->n <= 0)
			return 0;
		n = left < c->n ? (int)left : c->n;
		for (i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)c->buf[i]) * 16777619u;
		left -= n;
		c->n -= n;
		memmove(c->buf, c->buf + n, (size_t)c->n);
	}
	snprintf(answer, sizeof answer, "%lld %08x\n", size, sum);
	return say(c->ssl, answer);
}

static int
answer(struct conn *c, const char *head)
{
	int ms, size, seed, n;
	char text[20];

	if (sscanf(head, "GET /get/%d/%d/%d ", &ms, &size, &seed) == 3)
		return give(c->ssl, ms, size, seed);
	if (sscanf(head, "GET /all/%d ", &n) == 1) {
		wait_for_all(n);
		return say(c->ssl, "all\n");
	}
	if (strncmp(head, "GET /waiting ", 13) == 0) {
		pthread_mutex_lock(&lock);
		snprintf(text, sizeof text, "%d\n", waiting);
		pthread_mutex_unlock(&lock);
		return say(c->ssl, text);
	}
	if (strncmp(head, "GET /never ", 11) == 0)
		return SSL_read(c->ssl, text, 1) > 0;
	if (strncmp(head, "PUT /", 5) == 0)
		return take(c, head);
	return 0;
}

static void *
serve(void *arg)
{
	struct conn c = { .ssl = SSL_new(ctx) };
	int fd = (int)(intptr_t)arg, r = 1, size;
	char head[sizeof c.buf], *end;

	if (c.ssl && SSL_set_fd(c.ssl, fd) && SSL_accept(c.ssl) == 1) {
		while (r > 0) {
			c.buf[c.n] = '\0';
			end = strstr(c.buf, "\r\n\r\n");
			if (end) {
				size = (int)(end + 4 - c.buf);
				memcpy(head, c.buf, (size_t)size);
				head[size] = '\0';
				c.n -= size;
				memmove(c.buf, end + 4, (size_t)c.n);
				r = answer(&c, head);
				continue;
			}
			r = SSL_read(c.ssl, c.buf + c.n,
				     (int)sizeof c.buf - 1 - c.n);
			c.n += r > 0 ? r : 0;
		}
		SSL_shutdown(c.ssl);
	}
	SSL_free(c.ssl);
	close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	int listener, fd;
	pthread_t t;

	ctx = SSL_CTX_new(TLS_server_method());
	if (argc != 4 || !ctx ||
	    SSL_CTX_use_certificate_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "usage: %s PORT CERTIFICATE KEY\n", argv[0]);
		return 2;
	}
	listener = listen_on(argv[1]);
	while ((fd = accept_one(listener)) >= 0) {
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
	}
	return 0;
}
