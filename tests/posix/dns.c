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

static int
ns_rcode_of(const unsigned char *text)
{
	return text[3] & 15;
}

/* What the server knows none of, and what it says nothing of. */
static bool
begins(const char *name, const char *with, const char *address)
{
	return strncmp(name, with, strlen(with)) == 0 ||
	       strncmp(name, address, strlen(address)) == 0;
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
	if (begins(name, "none", "200.0.0.10.")) {
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
		if (begins(name, "silent", "201.0.0.10."))
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

/* --- each call that asks a server, answered or not --- */

enum { WAYS = 15 };

/* True: it was told. */
static bool
asks_by(int way, const char *name)
{
	struct hostent h, *res = NULL;
	struct in_addr in = { htonl(0x0a000007U) };
	unsigned char text[ROOM], query[ROOM];
	struct sockaddr_in a = loopback(0);
	char buf[1024];
	int err, n;

	/* Who asks for an address asks for that of a name. */
	if (strncmp(name, "none", 4) == 0 || strncmp(name, "silent", 6) == 0)
		in.s_addr = htonl(0x0a000000U +
				  (strncmp(name, "none", 4) == 0 ? 200 : 201));
	a.sin_addr = in;
	switch (way) {
	case 0:
		return gethostbyname(name) != NULL;
	case 1:
		return gethostbyname2(name, AF_INET) != NULL;
	case 2:
		return gethostbyaddr(&in, sizeof in, AF_INET) != NULL;
	case 3:
		gethostbyname_r(name, &h, buf, sizeof buf, &res, &err);
		return res != NULL;
	case 4:
		gethostbyname2_r(name, AF_INET, &h, buf, sizeof buf, &res,
				 &err);
		return res != NULL;
	case 5:
		gethostbyaddr_r(&in, sizeof in, AF_INET, &h, buf, sizeof buf,
				&res, &err);
		return res != NULL;
	case 6:
		return getnameinfo((struct sockaddr *)&a, sizeof a, buf,
				   sizeof buf, NULL, 0, NI_NAMEREQD) == 0;
	case 7:
		return res_query(name, ns_c_in, ns_t_a, text, sizeof text) > 0;
	case 8:
		return res_search(name, ns_c_in, ns_t_a, text, sizeof text) >
		       0;
	case 9:
		return res_querydomain(name, "", ns_c_in, ns_t_a, text,
				       sizeof text) > 0;
	case 10:
		return res_nquery(&_res, name, ns_c_in, ns_t_a, text,
				  sizeof text) > 0;
	case 11:
		return res_nsearch(&_res, name, ns_c_in, ns_t_a, text,
				   sizeof text) > 0;
	case 12:
		return res_nquerydomain(&_res, name, "", ns_c_in, ns_t_a, text,
					sizeof text) > 0;
	default:
		n = res_mkquery(ns_o_query, name, ns_c_in, ns_t_a, NULL, 0,
				NULL, query, sizeof query);
		CHECK(n > 0);
		n = way == 13 ? res_send(query, n, text, sizeof text)
			      : res_nsend(&_res, query, n, text, sizeof text);
		/* What the server says, whatever it is. */
		return n > 0 && ns_rcode_of(text) == ns_r_noerror;
	}
}

struct way {
	int n, seconds;
	const char *name;
	bool told;
};

static void *
asks_by_a_way(void *arg)
{
	struct way *w = arg;

	ask_ours(w->seconds);
	w->told = asks_by(w->n, w->name);
	return NULL;
}

static void
by_all_ways(const char *name, int seconds, bool told)
{
	struct way w[WAYS];
	pthread_t th[WAYS];
	int i;

	begin(1);
	for (i = 0; i < WAYS; i++) {
		w[i] = (struct way){ i, seconds, name, false };
		th[i] = party(asks_by_a_way, &w[i]);
	}
	for (i = 0; i < WAYS; i++) {
		leaves(th[i]);
		CHECK_INT(w[i].told, told);
	}
	end();
}

TEST(every_call_that_asks_is_told)
{
	by_all_ways("host7.test", 60, true);
}

TEST(every_call_that_asks_is_told_that_it_is_not_there)
{
	by_all_ways("none8.test", 60, false);
}

TEST(every_call_that_asks_in_vain_gives_up)
{
	by_all_ways("silent9.test", 1, false);
}

TEST(a_request_for_a_name_is_waited_for)
{
	struct gaicb g = { .ar_name = "127.0.0.1" }, *list[1] = { &g };
	int r;

	CHECK_INT(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL), 0);
	r = gai_suspend((const struct gaicb *const *)list, 1, NULL);
	CHECK(r == 0 || r == EAI_ALLDONE);
	CHECK_INT(gai_error(&g), 0);
	CHECK(g.ar_result != NULL);
	freeaddrinfo(g.ar_result);
}
