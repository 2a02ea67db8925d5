/* SPDX-License-Identifier: MIT */
/* redis_visits.c - an ordinary program: each visit waits 50 ms for something
 * that nobody pushes, then sends commands by the hundred and checks their
 * answers.
 *
 *     REDIS_PORT=6379 redis_visits serial|threads N
 */
#include <hiredis/hiredis.h>

#include "visits.h"

#define COMMANDS 100

static int
is(redisReply *r, int type, const char *text)
{
	int ok = r && r->type == type && (!text || strcmp(r->str, text) == 0);

	if (r)
		freeReplyObject(r);
	return ok;
}

static int
visit_by(redisContext *c, int me)
{
	char want[40];
	void *reply;
	int right = 0, k;

	if (c->err ||
	    !is(redisCommand(c, "BLPOP nothing 0.05"), REDIS_REPLY_NIL, NULL))
		return -1;
	for (k = 0; k < COMMANDS; k++) {
		redisAppendCommand(c, "SET of:%d:%d %d*%d", me, k, me, k);
		redisAppendCommand(c, "GET of:%d:%d", me, k);
	}
	for (k = 0; k < COMMANDS; k++) {
		if (redisGetReply(c, &reply) != REDIS_OK)
			return -1;
		is(reply, REDIS_REPLY_STATUS, NULL);
		if (redisGetReply(c, &reply) != REDIS_OK)
			return -1;
		snprintf(want, sizeof want, "%d*%d", me, k);
		right += is(reply, REDIS_REPLY_STRING, want);
	}
	return right;
}

static int
visit(int me)
{
	redisContext *c = redisConnect("127.0.0.1", atoi(getenv("REDIS_PORT")));
	int right = c ? visit_by(c, me) : -1;

	if (right < 0)
		fprintf(stderr, "%s\n", c ? c->errstr : "out of memory");
	if (c)
		redisFree(c);
	return right;
}

int
main(int argc, char **argv)
{
	return visits(argc, argv, visit, COMMANDS);
}
