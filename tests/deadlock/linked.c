/* SPDX-License-Identifier: MIT */
/* linked.c - two coroutines of cohook.h, each of which waits for the other. */
#include <cohook.h>
#include <stddef.h>

static struct cohook_chan *ping, *pong;

static void
waits(void *arg)
{
	int n;

	cohook_chan_recv(arg, &n, COHOOK_FOREVER);
}

int
main(void)
{
	ping = cohook_chan_new(sizeof(int), 0);
	pong = cohook_chan_new(sizeof(int), 0);
	if (ping == NULL || pong == NULL || cohook_go(waits, ping, 0) < 0 ||
	    cohook_go(waits, pong, 0) < 0)
		return 1;
	cohook_run();
	return 0;
}
