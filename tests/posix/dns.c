/* SPDX-License-Identifier: MIT */
/* dns.c - names asked of a server, which is a thread of the case and answers
 * nobody until all have asked: whoever holds the others up gets no answer. */
#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdatomic.h>

#include "party.h"

/* glibc's, in place of the line of nsswitch.conf. */
int __nss_configure_lookup(const char *db, const char *line);

enum { NAMES = 10, MOST = 100, ROOM = 512 };

struct question {
	struct sockaddr_in from;
	int n, name_end, type;
	unsigned char text[ROOM];
};

static struct sockaddr_in server;
static int sock;
static pthread_t thread;
static atomic_int asked; /* different names so far */
static atomic_bool over;

/* The number in a name such as host7.test or 7.0.0.10.in-addr.arpa. */
static int
number_in(const char *name)
{
	while (*name != '\0' && (*name < '0' || *name > '9'))
		name++;
	return atoi(name);
}

static void
answer(struct question *q)
{
	char name[NS_MAXDNAME];
	unsigned char *p = q->text + q->name_end + 4;
	int n;

	CHECK(ns_name_uncompress(q->text, q->text + q->n, q->text + 12, name,
				 sizeof name) > 0);
	n = number_in(name);
	q->text[2] |= 0x80; /* an answer; */
	q->text[3] = 0x80;
	memset(q->text + 6, 0, 6);
	if (strncmp(name, "none", 4) == 0) {
		q->text[3] |= ns_r_nxdomain;
	} else if (q->type == ns_t_a || q->type == ns_t_ptr) {
		q->text[7] = 1;
		NS_PUT16(0xc00c, p);
		NS_PUT16(q->type, p);
		NS_PUT16(ns_c_in, p);
		NS_PUT32(60, p);
		if (q->type == ns_t_a) {
			NS_PUT16(4, p);
			NS_PUT32(0x0a000000U + (unsigned)n, p);
		} else {
			snprintf(name, sizeof name, "host%d.test", n);
			n = ns_name_compress(name, p + 2, ROOM / 2, NULL, NULL);
			CHECK(n > 0);
			NS_PUT16(n, p);
			p += n;
		}
	}
	CHECK(sendto(sock, q->text, (size_t)(p - q->text), 0,
		     (struct sockaddr *)&q->from, sizeof q->from) > 0);
}

/* need: so many different names, before the first is answered. */
static void *
serves(void *need)
{
	static struct question q[MOST];
	bool seen[1000] = { false };
	int i, n = 0;

	for (;;) {
		struct question *this = &q[n];
		char name[NS_MAXDNAME];
		socklen_t len = sizeof this->from;
		const unsigned char *p;

		this->n = (int)recvfrom(sock, this->text, ROOM / 2, 0,
					(struct sockaddr *)&this->from, &len);
		if (over)
			return NULL;
		CHECK(this->n > 12);
		this->name_end = 12 + ns_name_uncompress(this->text,
							 this->text + this->n,
							 this->text + 12, name,
							 sizeof name);
		p = this->text + this->name_end;
		NS_GET16(this->type, p);
		this->n = this->name_end + 4;
		if (strncmp(name, "silent", 6) == 0)
			continue;
		if (!seen[number_in(name)]) {
			seen[number_in(name)] = true;
			asked++;
		}
		CHECK(++n < MOST);
		if (asked < (int)(intptr_t)need)
			continue;
		for (i = 0; i < n; i++)
			answer(&q[i]);
		n = 0;
	}
}

static void
begin(int need)
{
	CHECK_INT(__nss_configure_lookup("hosts", "dns"), 0);
	sock = bound(SOCK_DGRAM, &server);
	thread = party(serves, (void *)(intptr_t)need);
}

static void
end(void)
{
	over = true;
	CHECK(sendto(sock, "x", 1, 0, (struct sockaddr *)&server,
		     sizeof server) == 1);
	leaves(thread);
	shut(sock);
}

/* The calling thread asks our server, and is patient: what is not answered
 * fails after a minute. */
static void
ask_ours(int seconds)
{
	CHECK_INT(res_init(), 0);
	_res.nscount = 1;
	_res.nsaddr_list[0] = server;
	_res.retrans = seconds;
	_res.retry = 1;
	_res.options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES);
}

static void
check_address(const struct addrinfo *a, int i)
{
	const struct sockaddr_in *in = (const void *)a->ai_addr;

	CHECK_INT(a->ai_family, AF_INET);
	CHECK_INT(ntohl(in->sin_addr.s_addr), 0x0a000000 + i);
	CHECK_INT(ntohs(in->sin_port), 80);
}

static void
asks_by_getaddrinfo(int i, int family)
{
	struct addrinfo hints = { .ai_family = family,
				  .ai_socktype = SOCK_STREAM },
			*res;
	char name[32];

	snprintf(name, sizeof name, "host%d.test", i);
	CHECK_INT(getaddrinfo(name, "80", &hints, &res), 0);
	check_address(res, i);
	CHECK(res->ai_next == NULL);
	freeaddrinfo(res);
}

static void *
asks(void *arg)
{
	int i = (int)(intptr_t)arg;

	ask_ours(60);
	asks_by_getaddrinfo(i, i % 2 == 0 ? AF_INET : AF_UNSPEC);
	return NULL;
}

static void *
asks_by_other_calls(void *arg)
{
	int i = (int)(intptr_t)arg, err;
	struct sockaddr_in a = loopback(0);
	struct hostent h, *res;
	unsigned char text[ROOM];
	char buf[1024], name[32];
	struct in_addr in = { htonl(0x0a000000U + (unsigned)i) };

	ask_ours(60);
	snprintf(name, sizeof name, "host%d.test", i);
	switch (i % 4) {
	case 0:
		CHECK_INT(
			gethostbyname_r(name, &h, buf, sizeof buf, &res, &err),
			0);
		CHECK(res == &h && h.h_length == 4);
		CHECK(memcmp(h.h_addr_list[0], &in, 4) == 0);
		break;
	case 1:
		a.sin_addr = in;
		CHECK_INT(getnameinfo((struct sockaddr *)&a, sizeof a, buf,
				      sizeof buf, NULL, 0, NI_NAMEREQD),
			  0);
		CHECK_INT(strcmp(buf, name), 0);
		break;
	case 2:
		CHECK_INT(gethostbyaddr_r(&in, sizeof in, AF_INET, &h, buf,
					  sizeof buf, &res, &err),
			  0);
		CHECK(res == &h && strcmp(h.h_name, name) == 0);
		break;
	case 3:
		CHECK(res_query(name, ns_c_in, ns_t_a, text, sizeof text) > 12);
		break;
	}
	return NULL;
}

static void
all_at_once(void *(*fn)(void *))
{
	pthread_t th[NAMES];
	int i;

	begin(NAMES);
	for (i = 0; i < NAMES; i++)
		th[i] = party(fn, (void *)(intptr_t)(i + 1));
	for (i = 0; i < NAMES; i++)
		leaves(th[i]);
	CHECK_INT(asked, NAMES);
	end();
}

TEST(ten_names_are_asked_for_at_the_same_time)
{
	all_at_once(asks);
}

TEST(names_and_addresses_are_asked_for_by_all_calls_at_the_same_time)
{
	all_at_once(asks_by_other_calls);
}

static void *
asks_for_none(void *arg)
{
	struct addrinfo *res;

	ask_ours(60);
	CHECK_INT(getaddrinfo("none1.test", NULL, NULL, &res), EAI_NONAME);
	/* What fails for one is no other's failure. */
	asks_by_getaddrinfo(2, AF_INET);
	CHECK_INT(getaddrinfo("none3.test", NULL, NULL, &res), EAI_NONAME);
	return arg;
}

TEST(a_name_that_is_not_there_is_not_there_for_who_asks)
{
	pthread_t th[4];
	int i;

	begin(1);
	for (i = 0; i < 4; i++)
		th[i] = party(asks_for_none, NULL);
	for (i = 0; i < 4; i++)
		leaves(th[i]);
	end();
}

static void *
asks_who_is_silent(void *arg)
{
	struct addrinfo *res;

	ask_ours(1);
	CHECK_INT(getaddrinfo("silent.test", NULL, NULL, &res), EAI_AGAIN);
	return arg;
}

/* One waits in vain; others are answered meanwhile. */
TEST(a_silent_server_is_given_up)
{
	pthread_t th;
	int i;

	begin(1);
	th = party(asks_who_is_silent, NULL);
	ask_ours(60);
	for (i = 0; i < 10; i++)
		asks_by_getaddrinfo(i, AF_INET);
	leaves(th);
	end();
}

TEST(what_needs_no_server_asks_none)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE,
				  .ai_family = AF_INET,
				  .ai_socktype = SOCK_STREAM },
			*res;
	struct sockaddr_in *in;

	begin(1);
	ask_ours(60);
	CHECK_INT(getaddrinfo(NULL, "80", &hints, &res), 0);
	in = (struct sockaddr_in *)res->ai_addr;
	CHECK_INT(in->sin_addr.s_addr, INADDR_ANY);
	freeaddrinfo(res);
	CHECK_INT(getaddrinfo("127.0.0.1", "80", NULL, &res), 0);
	freeaddrinfo(res);
	hints.ai_flags = AI_NUMERICHOST;
	CHECK_INT(getaddrinfo("host1.test", "80", &hints, &res), EAI_NONAME);
	CHECK_INT(getaddrinfo(NULL, NULL, NULL, &res), EAI_NONAME);
	CHECK_INT(asked, 0);
	end();
}
