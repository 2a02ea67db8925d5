/* SPDX-License-Identifier: MIT */
/* fd_turns.c - many threads wait to take from one listener or epoll set: what
 * comes finds somebody, whatever happens to the one whom it found first. */
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "party.h"

enum { MANY = 12, FEW = 3 };

static int door; /* who listens */
static struct sockaddr_in address;

static void
listens(void)
{
	door = listener(&address);
}

/* Without giving way to others in between. */
static void
connect_all(int *s, int n)
{
	int i, r;

	for (i = 0; i < n; i++) {
		s[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(s[i] >= 0);
		r = connect(s[i], (struct sockaddr *)&address, sizeof address);
		CHECK(r == 0 || errno == EINPROGRESS);
	}
}

static void *
accepts_one(void *arg)
{
	int s = accept(door, NULL, NULL);

	CHECK(s >= 0);
	CHECK_INT(send(s, "x", 1, 0), 1);
	shut(s);
	return arg;
}

/* Until the listener is shut down. */
static void *
accepts(void *arg)
{
	int s;

	for (;;) {
		s = accept(door, NULL, NULL);
		if (s < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (s < 0)
			return arg;
		/* What it has it is to close. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		CHECK_INT(send(s, "x", 1, 0), 1);
		shut(s);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	}
}

/* All of n sockets are answered but for some. */
static void
are_answered(const int *s, int n, int but)
{
	struct pollfd p[MANY];
	char c;
	int i;

	for (i = 0; i < n; i++)
		p[i] = (struct pollfd){ s[i], POLLIN, 0 };
	while (n > but) {
		CHECK(poll(p, (nfds_t)n, -1) > 0);
		for (i = 0; i < n; i++) {
			if (p[i].revents == 0)
				continue;
			CHECK_INT(recv(p[i].fd, &c, 1, 0), 1);
			p[i--] = p[--n];
		}
	}
}

static void
shut_all(const int *s, int n)
{
	int i;

	for (i = 0; i < n; i++)
		shut(s[i]);
}

TEST(connections_that_come_at_once_find_all_who_accept)
{
	pthread_t th[MANY];
	int i, s[MANY];

	listens();
	for (i = 0; i < MANY; i++)
		th[i] = party(accepts_one, NULL);
	most_likely();
	connect_all(s, MANY);
	are_answered(s, MANY, 0);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	shut_all(s, MANY);
	shut(door);
}

TEST(who_gives_up_in_accept_keeps_no_connection)
{
	struct timeval tv = { 0, 4000 };
	pthread_t th[MANY];
	int i, k, s[FEW];

	listens();
	CHECK_INT(setsockopt(door, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	for (i = 0; i < MANY; i++)
		th[i] = party(accepts, NULL);
	for (k = 0; k < 40; k++) {
		usleep(100 * (useconds_t)(k % 13));
		connect_all(s, FEW);
		are_answered(s, FEW, 0);
		shut_all(s, FEW);
	}
	CHECK_INT(shutdown(door, SHUT_RDWR), 0);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	shut(door);
}

/*
 * Something happens to the first, at the moment at which it is found
 */

static pthread_t first;
static int alarm_bell[2]; /* a byte: now */
static sem_t may_return;

static void
stays(int sig)
{
	(void)sig;
	while (sem_wait(&may_return) != 0)
		;
}

static void *
signals_it(void *arg)
{
	char c;

	CHECK_INT(read(alarm_bell[0], &c, 1), 1);
	CHECK_INT(pthread_kill(first, SIGUSR1), 0);
	return arg;
}

static void *
cancels_it(void *arg)
{
	char c;

	CHECK_INT(read(alarm_bell[0], &c, 1), 1);
	CHECK_INT(pthread_cancel(first), 0);
	return arg;
}

/* taker() in several threads, the first of which is the one that pest() is
 * about; come() is all that they wait for.  Then nobody is left to wait. */
static void
first_is_lost(void *(*taker)(void *), void *(*pest)(void *), void (*come)(void),
	      void (*over)(void))
{
	struct sigaction sa = { .sa_handler = stays };
	pthread_t th[MANY], p;
	int i;

	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	CHECK_INT(sem_init(&may_return, 0, 0), 0);
	CHECK_INT(pipe(alarm_bell), 0);
	p = party(pest, NULL);
	first = th[0] = party(taker, NULL);
	most_likely();
	for (i = 1; i < MANY; i++)
		th[i] = party(taker, NULL);
	most_likely();
	CHECK_INT(write(alarm_bell[1], "x", 1), 1);
	come();
	leaves(p);
	CHECK_INT(sem_post(&may_return), 0);
	over();
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	shut_both(alarm_bell);
}

static void
connections_come(void)
{
	int s[FEW];

	connect_all(s, FEW);
	are_answered(s, FEW, 1);
	shut_all(s, FEW);
}

static void
no_more_connections(void)
{
	CHECK_INT(shutdown(door, SHUT_RDWR), 0);
}

TEST(a_handler_that_does_not_return_keeps_one_connection_at_most)
{
	listens();
	first_is_lost(accepts, signals_it, connections_come,
		      no_more_connections);
	shut(door);
}

/* glibc may act on a cancellation when accept(2) has one already, which nobody
 * knows the number of then. */
TEST(a_cancelled_thread_keeps_one_connection_at_most)
{
	bool was[1000];
	int fd, lost = 0;

	listens();
	for (fd = 0; fd < 1000; fd++)
		was[fd] = fcntl(fd, F_GETFD) != -1;
	first_is_lost(accepts, cancels_it, connections_come,
		      no_more_connections);
	for (fd = 0; fd < 1000; fd++)
		if (!was[fd] && fcntl(fd, F_GETFD) != -1) {
			shut(fd);
			lost++;
		}
	CHECK(lost <= 1);
	shut(door);
}

/*
 * epoll sets, an event at a time
 */

static int set, events[MANY], ended;
static sem_t seen;

static void
watches(int n)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	int i;

	CHECK_INT(sem_init(&seen, 0, 0), 0);
	set = epoll_create1(0);
	CHECK(set >= 0);
	for (i = 0; i < n; i++) {
		events[i] = eventfd(0, 0);
		CHECK(events[i] >= 0);
		ev.data.fd = events[i];
		CHECK_INT(epoll_ctl(set, EPOLL_CTL_ADD, events[i], &ev), 0);
	}
	ended = eventfd(0, 0);
	ev.events = EPOLLIN;
	ev.data.fd = ended;
	CHECK_INT(epoll_ctl(set, EPOLL_CTL_ADD, ended, &ev), 0);
}

static void
watches_no_more(int n)
{
	shut_all(events, n);
	shut(ended);
	shut(set);
}

static void
events_come(int n, int but)
{
	uint64_t one = 1;
	int i;

	for (i = 0; i < n; i++)
		CHECK_INT(write(events[i], &one, 8), 8);
	for (i = 0; i < n - but; i++)
		while (sem_wait(&seen) != 0)
			;
}

static void *
waits_once(void *arg)
{
	struct epoll_event ev;

	CHECK_INT(epoll_wait(set, &ev, 1, -1), 1);
	CHECK_INT(sem_post(&seen), 0);
	return arg;
}

static void *
waits(void *arg)
{
	struct epoll_event ev;
	int r;

	for (;;) {
		r = epoll_wait(set, &ev, 1, -1);
		CHECK(r == 1 || errno == EINTR);
		if (r == 1 && ev.data.fd == ended)
			return arg;
		if (r == 1)
			CHECK_INT(sem_post(&seen), 0);
	}
}

TEST(events_that_come_at_once_find_all_who_wait_for_the_set)
{
	pthread_t th[MANY];
	int i;

	watches(MANY);
	for (i = 0; i < MANY; i++)
		th[i] = party(waits_once, NULL);
	most_likely();
	events_come(MANY, 0);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	watches_no_more(MANY);
}

/* It stays readable: each who looks at the set is told, and tells the next. */
TEST(an_event_that_nobody_takes_is_everybodys)
{
	uint64_t one = 1;
	pthread_t th[MANY];
	int i;

	watches(0);
	for (i = 0; i < MANY; i++)
		th[i] = party(waits, NULL);
	most_likely();
	CHECK_INT(write(ended, &one, 8), 8);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	watches_no_more(0);
}

static void
few_events_come(void)
{
	events_come(FEW, 1);
}

static void
no_more_events(void)
{
	uint64_t one = 1;

	CHECK_INT(write(ended, &one, 8), 8);
}

TEST(a_handler_that_does_not_return_keeps_one_event_at_most)
{
	watches(FEW);
	first_is_lost(waits, signals_it, few_events_come, no_more_events);
	watches_no_more(FEW);
}

TEST(a_cancelled_thread_keeps_one_event_at_most)
{
	watches(FEW);
	first_is_lost(waits, cancels_it, few_events_come, no_more_events);
	watches_no_more(FEW);
}
