/* SPDX-License-Identifier: MIT */
/* jobs.h - what the other party of a case does, mostly a little later. */
#ifndef JOBS_H
#define JOBS_H

#include "party.h"

struct job {
	int fd;
	size_t n, at;
	struct sockaddr_in addr;
	int made; /* a descriptor, for the case to close */
};

static inline void *
closes_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	shut(j->fd);
	return NULL;
}

/* Reads j->n bytes of the pattern in pieces of odd sizes, slowly at first. */
static inline void *
takes_all(void *arg)
{
	struct job *j = arg;
	size_t at = 0, piece = 1;

	most_likely();
	while (at < j->n) {
		size_t n = j->n - at < piece ? j->n - at : piece;

		take(j->fd, n, j->at + at);
		at += n;
		piece = piece * 3 % 40961 + 1;
	}
	return NULL;
}

/* j->n: SHUT_RD or its like. */
static inline void *
shuts_down_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(shutdown(j->fd, (int)j->n), 0);
	return NULL;
}

static inline void
a_pipe(int p[2])
{
	CHECK_RET(pipe(p), 0);
}

#endif
