/* SPDX-License-Identifier: MIT */
/* net_many.c - many connections at once, with random data.
 *
 * The seed is printed (twice shows it where a case fails); T_SEED=n sets it.
 */
#define _GNU_SOURCE 1

#include "party.h"

#include <sys/uio.h>

#define CLIENTS 200
#define LARGEST 30000

static uint64_t seed;

static void
choose_seed(void)
{
	const char *s = getenv("T_SEED");

	seed = s != NULL ? strtoull(s, NULL, 0) :
			   (uint64_t)t_now() ^ (uint64_t)getpid() << 40;
	fprintf(stderr, "T_SEED=%#llx\n", (unsigned long long)seed);
}

/* A stream of its own for each who asks; never 0, where it would stay. */
static uint64_t
seed_for(uint64_t who)
{
	uint64_t s = (seed + who * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	int i;

	for (i = 0; i < 8; i++)
		next_random(&s);
	return s;
}

static void
random_bytes(unsigned char *buf, size_t n, uint64_t *s)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf[i] = (unsigned char)(next_random(s) >> 32);
}

static uint64_t
sum(uint64_t h, const unsigned char *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ buf[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* All of it, by one call or another. */
static void
put(int fd, const unsigned char *buf, size_t n, uint64_t *s)
{
	size_t cut = next_random(s) % (n + 1);
	struct iovec v[2] = { { (void *)(uintptr_t)buf, cut },
			      { (void *)(uintptr_t)(buf + cut), n - cut } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	switch (next_random(s) % 5) {
	case 0:
		CHECK_RET(write(fd, buf, n), n);
		break;
	case 1:
		CHECK_RET(send(fd, buf, n, 0), n);
		break;
	case 2:
		CHECK_RET(writev(fd, v, 2), n);
		break;
	case 3:
		CHECK_RET(sendmsg(fd, &m, 0), n);
		break;
	default:
		CHECK_RET(send(fd, buf, cut, 0), cut);
		CHECK_RET(write(fd, buf + cut, n - cut), n - cut);
		break;
	}
}

/* Just n bytes; returns less only at the end of the stream. */
static size_t
get(int fd, unsigned char *buf, size_t n, uint64_t *s)
{
	size_t done = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t r;

	while (done < n) {
		switch (next_random(s) % 4) {
		case 0:
			r = read(fd, buf + done, n - done);
			break;
		case 1:
			r = recv(fd, buf + done, n - done, MSG_WAITALL);
			break;
		case 2:
			CHECK_RET(poll(&p, 1, -1), 1);
			r = recv(fd, buf + done, n - done, MSG_DONTWAIT);
			break;
		default:
			r = recv(fd, buf + done,
				 1 + next_random(s) % (n - done), 0);
			break;
		}
		CHECK(r >= 0);
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return done;
}

static void *
echoes(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned char buf[8192];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0)
		CHECK_RET(write(fd, buf, (size_t)n), n);
	CHECK_INT(n, 0);
	shut(fd);
	return NULL;
}

struct server {
	int l, n;
	pthread_t *th;
};

/* A thread for each of n connections. */
static void *
serves(void *arg)
{
	struct server *sv = arg;
	int i, fd;

	sv->th = calloc((size_t)sv->n, sizeof *sv->th);
	CHECK(sv->th != NULL);
	for (i = 0; i < sv->n; i++) {
		fd = accept(sv->l, NULL, NULL);
		CHECK(fd != -1);
		sv->th[i] = party(echoes, (void *)(intptr_t)fd);
	}
	for (i = 0; i < sv->n; i++)
		leaves(sv->th[i]);
	free(sv->th);
	return NULL;
}

struct client {
	struct sockaddr_in addr;
	int number, rounds, messages;
	pthread_t th;
};

static void *
talks(void *arg)
{
	struct client *c = arg;
	uint64_t s = seed_for((uint64_t)c->number), want, same;
	unsigned char *buf = malloc(LARGEST);
	int fd, i, k;

	CHECK(buf != NULL);
	for (k = 0; k < c->rounds; k++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(fd != -1);
		CHECK_RET(connect(fd, (struct sockaddr *)&c->addr,
				  sizeof c->addr),
			  0);
		for (i = 0; i < c->messages; i++) {
			size_t n = 1 + next_random(&s) % LARGEST;

			same = s;
			random_bytes(buf, n, &s);
			want = sum(same, buf, n);
			put(fd, buf, n, &s);
			memset(buf, 0, n);
			CHECK_INT(get(fd, buf, n, &s), n);
			CHECK(sum(same, buf, n) == want);
		}
		CHECK_RET(shutdown(fd, SHUT_WR), 0);
		CHECK_INT(get(fd, buf, 1, &s), 0);
		shut(fd);
	}
	free(buf);
	return NULL;
}

static void
many_clients(int clients, int rounds, int messages)
{
	struct client *c = calloc((size_t)clients, sizeof *c);
	struct sockaddr_in addr;
	struct server sv;
	pthread_t th;
	int i;

	CHECK(c != NULL);
	choose_seed();
	sv.l = listener(&addr);
	sv.n = clients * rounds;
	th = party(serves, &sv);
	for (i = 0; i < clients; i++) {
		c[i] = (struct client){ addr, i, rounds, messages, 0 };
		c[i].th = party(talks, &c[i]);
	}
	for (i = 0; i < clients; i++)
		leaves(c[i].th);
	leaves(th);
	shut(sv.l);
	free(c);
}

TEST(two_hundred_clients_get_their_own_data_back)
{
	many_clients(CLIENTS, 1, 5);
}

TEST(connections_come_and_go)
{
	many_clients(20, 20, 2);
}

/*
 * Both ways at once
 */

#define PAIRS 20
#define VOLUME (1u << 20)

struct flow {
	int fd;
	uint64_t seed;
	bool slow;
	pthread_t th;
};

static void *
pours(void *arg)
{
	struct flow *f = arg;
	uint64_t s = f->seed, how = f->seed ^ 1;
	unsigned char *buf = malloc(LARGEST);
	size_t left, n;

	CHECK(buf != NULL);
	for (left = VOLUME; left > 0; left -= n) {
		n = 1 + next_random(&how) % LARGEST;
		if (n > left)
			n = left;
		random_bytes(buf, n, &s);
		put(f->fd, buf, n, &how);
	}
	CHECK_RET(shutdown(f->fd, SHUT_WR), 0);
	free(buf);
	return NULL;
}

static void *
drinks(void *arg)
{
	struct flow *f = arg;
	uint64_t s = f->seed, how = f->seed ^ 2;
	unsigned char *buf = malloc(LARGEST), *want = malloc(LARGEST);
	size_t left, n;

	CHECK(buf != NULL && want != NULL);
	for (left = VOLUME; left > 0; left -= n) {
		n = 1 + next_random(&how) % LARGEST;
		if (n > left)
			n = left;
		CHECK_INT(get(f->fd, buf, n, &how), n);
		random_bytes(want, n, &s);
		CHECK_INT(memcmp(buf, want, n), 0);
		if (f->slow)
			usleep(2000);
	}
	CHECK_INT(get(f->fd, buf, 1, &how), 0);
	free(buf);
	free(want);
	return NULL;
}

static void
both_ways(int pairs, bool slow)
{
	struct flow(*f)[4] = calloc((size_t)pairs, sizeof *f);
	int(*s)[2] = calloc((size_t)pairs, sizeof *s);
	int i, k;

	CHECK(f != NULL && s != NULL);
	choose_seed();
	for (i = 0; i < pairs; i++) {
		tcp_pair(s[i]);
		for (k = 0; k < 4; k++) {
			/* 0 -> 1 and 2 -> 3; each pour has its drinker. */
			f[i][k].fd = s[i][k == 0 || k == 3 ? 0 : 1];
			f[i][k].seed = seed_for((uint64_t)(i * 2 + k / 2));
			f[i][k].slow = slow && k == 1;
			f[i][k].th =
				party(k % 2 == 0 ? pours : drinks, &f[i][k]);
		}
	}
	for (i = 0; i < pairs; i++) {
		for (k = 0; k < 4; k++)
			leaves(f[i][k].th);
		shut_both(s[i]);
	}
	free(f);
	free(s);
}

TEST(data_flows_both_ways_at_once)
{
	both_ways(PAIRS, false);
}

TEST(a_slow_reader_gets_all_and_holds_up_nobody)
{
	both_ways(5, true);
}
