/* SPDX-License-Identifier: MIT */
/* patience.c - who sets no time waits for as long as it takes. */
#define _GNU_SOURCE 1

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "party.h"

/* Longer than what anybody would think of as a default. */
#define LONG_US 1300000

static int pipe_[2], watched[2], sock[2], full[2], event, listener_;
static struct sockaddr_in addr;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static atomic_int go, over;

static void
reads(void)
{
	CHECK_INT(read(pipe_[0], &(char){ 0 }, 1), 1);
}

static void
receives(void)
{
	CHECK_INT(recv(sock[0], &(char){ 0 }, 1, 0), 1);
}

static void
sends(void)
{
	static char much[1 << 20];

	CHECK_INT(send(full[1], much, sizeof much, 0), sizeof much);
}

static void
accepts(void)
{
	int s = accept(listener_, NULL, NULL);

	CHECK(s != -1);
	shut(s);
}

static void
polls(void)
{
	CHECK_INT(poll(&(struct pollfd){ watched[0], POLLIN, 0 }, 1, -1), 1);
}

static void
polls_two(void)
{
	struct pollfd p[2] = { { watched[0], POLLIN, 0 }, { listener_, 0, 0 } };

	CHECK_INT(poll(p, 2, -1), 1);
}

static void
selects(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(watched[0], &set);
	CHECK_INT(select(watched[0] + 1, &set, NULL, NULL, NULL), 1);
}

static void
waits_for_a_set(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e = epoll_create1(0);

	CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, watched[0], &ev), 0);
	CHECK_INT(epoll_wait(e, &ev, 1, -1), 1);
	shut(e);
}

static void
reads_an_event(void)
{
	CHECK_INT(read(event, &(uint64_t){ 0 }, 8), 8);
}

static void
locks(void)
{
	CHECK_INT(pthread_mutex_lock(&m), 0);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
}

static void
waits_for_a_condition(void)
{
	static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;

	CHECK_INT(pthread_mutex_lock(&own), 0);
	while (!go)
		CHECK_INT(pthread_cond_wait(&cond, &own), 0);
	CHECK_INT(pthread_mutex_unlock(&own), 0);
}

static void
waits_for_a_semaphore(void)
{
	CHECK_INT(sem_wait(&sem), 0);
}

static void
reads_under_a_lock(void)
{
	CHECK_INT(pthread_rwlock_rdlock(&rw), 0);
	CHECK_INT(pthread_rwlock_unlock(&rw), 0);
}

static void
waits_at_a_barrier(void)
{
	pthread_barrier_wait(&barrier);
}

static void (*const kinds[])(void) = {
	reads,
	receives,
	sends,
	accepts,
	polls,
	polls_two,
	selects,
	waits_for_a_set,
	reads_an_event,
	locks,
	waits_for_a_condition,
	waits_for_a_semaphore,
	reads_under_a_lock,
	waits_at_a_barrier,
};

static void *
waits(void *arg)
{
	kinds[(intptr_t)arg]();
	if (!go) {
		fprintf(stderr, "kind %d has given up\n", (int)(intptr_t)arg);
		_exit(1);
	}
	atomic_fetch_add(&over, 1);
	return NULL;
}

static void *
joins(void *arg)
{
	leaves(*(pthread_t *)arg);
	CHECK(go);
	return NULL;
}

TEST(nobody_gives_up_unasked)
{
	pthread_t th[COUNT(kinds)], joiner;
	size_t i, n;
	int s;

	CHECK_INT(pipe(pipe_), 0);
	CHECK_INT(pipe(watched), 0);
	tcp_pair(sock);
	unix_pair(SOCK_STREAM, full);
	n = stuff(full[1]);
	event = eventfd(0, 0);
	CHECK(event != -1);
	listener_ = listener(&addr);
	CHECK_INT(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_INT(sem_init(&sem, 0, 0), 0);
	CHECK_INT(pthread_mutex_lock(&m), 0);
	CHECK_INT(pthread_rwlock_wrlock(&rw), 0);

	for (i = 0; i < COUNT(kinds); i++)
		th[i] = party(waits, (void *)(intptr_t)i);
	joiner = party(joins, &th[0]);
	usleep(LONG_US);

	CHECK_INT(over, 0);
	go = 1;
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	CHECK_INT(pthread_rwlock_unlock(&rw), 0);
	CHECK_INT(pthread_cond_broadcast(&cond), 0);
	CHECK_INT(sem_post(&sem), 0);
	pthread_barrier_wait(&barrier);
	CHECK_INT(write(event, &(uint64_t){ 1 }, 8), 8);
	CHECK_INT(send(sock[1], "x", 1, 0), 1);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_INT(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	take(full[0], n, 0);
	for (n = 1 << 20; n > 0;)
		n -= (size_t)read(full[0], (char[65536]){ 0 },
				  n < 65536 ? n : 65536);
	CHECK_INT(write(watched[1], "x", 1), 1);
	CHECK_INT(write(pipe_[1], "x", 1), 1);
	leaves(joiner);
	for (i = 1; i < COUNT(kinds); i++)
		leaves(th[i]);
	shut(s);
	shut(listener_);
	shut(event);
	shut_both(full);
	shut_both(sock);
	shut_both(watched);
	shut_both(pipe_);
}
