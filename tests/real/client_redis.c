/* SPDX-License-Identifier: MIT */
/* client_redis.c - hiredis, its blocking calls, against a private Redis. */
#include "crowd.h"

#include <hiredis/hiredis.h>

#define N 60

static const char *unix_socket; /* else TCP */

static const struct timeval short_time = { 0, 300000 };

static redisContext *
connected(void)
{
	redisContext *c;

	c = unix_socket ?
		    redisConnectUnix(unix_socket) :
		    redisConnect("127.0.0.1", atoi(from_env("REDIS_PORT")));
	CHECK(c != NULL);
	if (c->err)
		fprintf(stderr, "%s\n", c->errstr);
	CHECK_INT(c->err, 0);
	return c;
}

/* The answer to a command, which must be of that type. */
#define ASK(c, type, ...) \
	answer(c, type, __LINE__, redisCommand(c, __VA_ARGS__))

static redisReply *
answer(redisContext *c, int type, int line, redisReply *r)
{
	if (r == NULL || r->type != type) {
		fprintf(stderr, "%s:%d: %s\n", __FILE__, line,
			r ? r->str : c->errstr);
		t_fail(__FILE__, line, "the answer that was wanted", errno);
	}
	return r;
}

static void
ok(redisReply *r)
{
	freeReplyObject(r);
}

static void
check_text(const redisReply *r, const char *want)
{
	CHECK(r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS);
	if (strcmp(r->str, want) != 0)
		fprintf(stderr, "\"%s\", not \"%s\"\n", r->str, want);
	CHECK(strcmp(r->str, want) == 0);
}

static long long
number(redisContext *c, const char *command)
{
	redisReply *r = ASK(c, REDIS_REPLY_INTEGER, command);
	long long n = r->integer;

	freeReplyObject(r);
	return n;
}

/* What INFO says of that; -1: nothing. */
static long long
info(redisContext *c, const char *key)
{
	redisReply *r = ASK(c, REDIS_REPLY_STRING, "INFO");
	const char *at = strstr(r->str, key);
	long long n = at ? atoll(at + strlen(key) + 1) : -1;

	freeReplyObject(r);
	return n;
}

/* Commands by the hundred, then their answers. */
static void
pipeline(redisContext *c, int i)
{
	char want[40];
	void *reply;
	int k;

	for (k = 0; k < 300; k++) {
		CHECK_INT(redisAppendCommand(c, "SET k:%d:%d v:%d:%d", i, k, i,
					     k),
			  REDIS_OK);
		CHECK_INT(redisAppendCommand(c, "GET k:%d:%d", i, k), REDIS_OK);
	}
	for (k = 0; k < 300; k++) {
		CHECK_INT(redisGetReply(c, &reply), REDIS_OK);
		check_text(reply, "OK");
		freeReplyObject(reply);
		CHECK_INT(redisGetReply(c, &reply), REDIS_OK);
		snprintf(want, sizeof want, "v:%d:%d", i, k);
		check_text(reply, want);
		freeReplyObject(reply);
	}
}

/* Any bytes, and more than the socket takes at a time; there and back. */
static void
large(redisContext *c, int i)
{
	const size_t size = 500000;
	unsigned char *bytes = malloc(size);
	redisReply *r;
	size_t k;

	CHECK(bytes != NULL);
	for (k = 0; k < size; k++)
		bytes[k] = (unsigned char)(k * 7 + k / 251 + (size_t)i);
	ok(ASK(c, REDIS_REPLY_STATUS, "SET large:%d %b", i, bytes, size));
	r = ASK(c, REDIS_REPLY_STRING, "GET large:%d", i);
	CHECK_INT(r->len, size);
	CHECK(memcmp(r->str, bytes, size) == 0);
	freeReplyObject(r);
	free(bytes);
}

static void
visit(int i)
{
	redisContext *c = connected();
	int k;

	pipeline(c, i);
	large(c, i);
	for (k = 0; k < 50; k++)
		ok(ASK(c, REDIS_REPLY_INTEGER, "INCR counter"));
	ok(ASK(c, REDIS_REPLY_ERROR, "NOSUCH %d", i));
	redisFree(c);
}

static void
visits(void)
{
	redisContext *c = connected();

	ok(ASK(c, REDIS_REPLY_STATUS, "FLUSHALL"));
	crowd(N, visit, NULL);
	CHECK_INT(number(c, "INCR counter"), N * 50 + 1);
	CHECK_INT(number(c, "DBSIZE"), N * 301 + 1);
	redisFree(c);
}

TEST(tcp)
{
	visits();
}

TEST(unix_domain)
{
	unix_socket = from_env("REDIS_SOCKET");
	visits();
}

/* --- BLPOP: each waits until there is something for it --- */

static void
wait_for_mine(int i)
{
	redisContext *c = connected();
	char want[40];
	redisReply *r;

	r = ASK(c, REDIS_REPLY_ARRAY, "BLPOP list:%d list:none 0", i);
	CHECK_INT(r->elements, 2);
	snprintf(want, sizeof want, "list:%d", i);
	check_text(r->element[0], want);
	snprintf(want, sizeof want, "for-%d", i);
	check_text(r->element[1], want);
	freeReplyObject(r);
	redisFree(c);
}

static void
all_blocked(redisContext *c, int n)
{
	while (info(c, "blocked_clients") != n)
		crowd_rest();
	crowd_count(n);
}

static void
give_each(int n)
{
	redisContext *c = connected();
	int i;

	all_blocked(c, n);
	for (i = n - 1; i >= 0; i--)
		ok(ASK(c, REDIS_REPLY_INTEGER, "RPUSH list:%d for-%d", i, i));
	redisFree(c);
}

TEST(waits_overlap)
{
	redisContext *c = connected();

	ok(ASK(c, REDIS_REPLY_STATUS, "FLUSHALL"));
	redisFree(c);
	crowd(N, wait_for_mine, give_each);
}

/* --- BLPOP that waits in vain, and CLIENT UNBLOCK and KILL --- */

static volatile long long ids[N];

static void
wait_in_vain(int i)
{
	redisContext *c = connected();
	redisReply *r;

	ids[i] = number(c, "CLIENT ID");
	r = redisCommand(c, "BLPOP never %s", i % 3 == 0 ? "0.2" : "0");
	if (i % 3 == 2) {
		CHECK(r == NULL);
		CHECK(c->err == REDIS_ERR_EOF || c->err == REDIS_ERR_IO);
	} else {
		CHECK(r != NULL);
		CHECK_INT(r->type, REDIS_REPLY_NIL);
		CHECK_INT(number(c, "CLIENT ID"), ids[i]);
		freeReplyObject(r);
	}
	redisFree(c);
}

/* 0: it does not wait, or not yet. */
static long long
unblock(redisContext *c, long long id)
{
	char command[60];

	snprintf(command, sizeof command, "CLIENT UNBLOCK %lld", id);
	return number(c, command);
}

static void
end_waits(int n)
{
	redisContext *c = connected();
	int i;

	for (i = 0; i < n; i++) {
		while (ids[i] == 0)
			crowd_rest();
		if (i % 3 == 1)
			while (unblock(c, ids[i]) == 0)
				crowd_rest();
		else if (i % 3 == 2)
			ok(ASK(c, REDIS_REPLY_INTEGER, "CLIENT KILL ID %lld",
			       ids[i]));
	}
	redisFree(c);
}

TEST(waits_end_by_time_or_others)
{
	crowd(N, wait_in_vain, end_waits);
}

/* --- publish and subscribe --- */

#define MESSAGES 40

static void
listen_to_all(int i)
{
	redisContext *c = connected();
	char want[20];
	void *reply;
	int k;

	ok(ASK(c, REDIS_REPLY_ARRAY, "SUBSCRIBE news news:%d", i));
	CHECK_INT(redisGetReply(c, &reply), REDIS_OK); /* the second's */
	freeReplyObject(reply);
	for (k = 0; k <= MESSAGES; k++) {
		redisReply *r;

		CHECK_INT(redisGetReply(c, &reply), REDIS_OK);
		r = reply;
		CHECK(r->type == REDIS_REPLY_ARRAY && r->elements == 3);
		check_text(r->element[0], "message");
		snprintf(want, sizeof want, "%d", k < MESSAGES ? k : i);
		check_text(r->element[2], want);
		freeReplyObject(reply);
	}
	redisFree(c);
}

static void
tell_all(int n)
{
	redisContext *c = connected();
	redisReply *r;
	int k;

	do {
		crowd_rest();
		r = ASK(c, REDIS_REPLY_ARRAY, "PUBSUB NUMSUB news");
		k = (int)r->element[1]->integer;
		freeReplyObject(r);
	} while (k != n || info(c, "pubsub_channels") != n + 1);
	crowd_count(n);
	for (k = 0; k < MESSAGES; k++) {
		r = ASK(c, REDIS_REPLY_INTEGER, "PUBLISH news %d", k);
		CHECK_INT(r->integer, n);
		freeReplyObject(r);
	}
	for (k = 0; k < n; k++)
		ok(ASK(c, REDIS_REPLY_INTEGER, "PUBLISH news:%d %d", k, k));
	redisFree(c);
}

TEST(publish_and_subscribe)
{
	crowd(N, listen_to_all, tell_all);
}

/* --- time-outs: SO_RCVTIMEO, and a connect() that polls --- */

static int silent_port;

static void
too_long(int i)
{
	redisContext *c;
	int64_t since;

	if (i % 2) {
		c = connected();
		CHECK_INT(redisSetTimeout(c, short_time), REDIS_OK);
		ok(ASK(c, REDIS_REPLY_STATUS, "PING"));
		since = t_now();
		CHECK(redisCommand(c, "BLPOP never 0") == NULL);
	} else {
		c = redisConnectWithTimeout("127.0.0.1", silent_port,
					    short_time);
		CHECK(c != NULL);
		CHECK_INT(c->err, 0);
		CHECK_INT(redisSetTimeout(c, short_time), REDIS_OK);
		since = t_now();
		CHECK(redisCommand(c, "PING") == NULL);
	}
	CHECK_INT(c->err, REDIS_ERR_IO);
	CHECK_INT(errno, EAGAIN);
	took(since, 0.3);
	redisFree(c);
}

TEST(timeouts)
{
	int s = silent_server(&silent_port);

	crowd(N, too_long, NULL);
	close(s);
}

static void
connect_too_long(int i)
{
	int64_t since = t_now();
	redisContext *c;

	(void)i;
	c = redisConnectWithTimeout("127.0.0.1", silent_port, short_time);
	CHECK(c != NULL);
	CHECK_INT(c->err, REDIS_ERR_IO);
	CHECK_INT(errno, ETIMEDOUT);
	took(since, 0.3);
	redisFree(c);
}

TEST(connect_timeout)
{
	int fd[8], s = full_server(&silent_port, fd, 8), i;

	crowd(N, connect_too_long, NULL);
	for (i = 0; i < 8; i++)
		close(fd[i]);
	close(s);
}

static void
refused(int i)
{
	redisContext *c = redisConnect("127.0.0.1", 1);

	(void)i;
	CHECK(c != NULL);
	CHECK_INT(c->err, REDIS_ERR_IO);
	CHECK_INT(errno, ECONNREFUSED);
	redisFree(c);
}

TEST(nobody_there)
{
	crowd(N, refused, NULL);
}
