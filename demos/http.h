/* SPDX-License-Identifier: MIT */
/* http.h - as much of HTTP as the servers here need: the requests of a
 * connection, one after the other, and an answer of text. */
#ifndef HTTP_H
#define HTTP_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct http {
	size_t have, taken; /* bytes in buf; of these, requests taken */
	char buf[4096];
};

static inline void
http_begin(struct http *h)
{
	h->have = h->taken = 0;
}

/* As read(2); 0 also where a request does not end. */
static inline ssize_t
http_read(struct http *h, int fd)
{
	ssize_t n;

	h->have -= h->taken;
	memmove(h->buf, h->buf + h->taken, h->have);
	h->taken = 0;
	n = read(fd, h->buf + h->have, sizeof h->buf - 1 - h->have);
	h->have += n > 0 ? (size_t)n : 0;
	h->buf[h->have] = '\0';
	return n;
}

/* The next request that has come as a whole, or NULL; it stays where it is
 * until the next http_read(). */
static inline const char *
http_next(struct http *h)
{
	char *request = h->buf + h->taken, *end = strstr(request, "\r\n\r\n");

	if (end == NULL)
		return NULL;
	h->taken = (size_t)(end + 4 - h->buf);
	return request;
}

/* Whether it was sent. */
static inline int
http_answer(int fd, const char *body)
{
	char text[200];
	int n = snprintf(text, sizeof text,
			 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			 "Content-Length: %zu\r\n\r\n%s",
			 strlen(body), body);

	return write(fd, text, (size_t)n) == n;
}

#endif
