/* SPDX-License-Identifier: MIT */
/* leaks_report.c - at the end of the program: which of its functions took what
 * was never given back. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

#include "leaks.h"

enum { CALLERS = 256 };

/* Only what the program itself has taken: libraries keep things on purpose. */
__attribute__((destructor)) static void
report(void)
{
	static struct {
		const char *name;
		long blocks, bytes;
	} sums[CALLERS];
	Dl_info program, of;
	int n = 0, i;

	inside = 1;
	if (!dladdr(dlsym(RTLD_DEFAULT, "main"), &program))
		return;
	for (size_t k = 0; k < BUCKETS; k++)
		for (struct block *b = buckets[k]; b != NULL; b = b->next) {
			if (!dladdr(b->caller, &of) ||
			    of.dli_fbase != program.dli_fbase)
				continue;
			for (i = 0; i < n && sums[i].name != of.dli_sname; i++)
				;
			if (i == CALLERS)
				continue;
			n += i == n;
			sums[i].name = of.dli_sname;
			sums[i].blocks++;
			sums[i].bytes += (long)b->size;
		}
	for (i = 0; i < n; i++)
		fprintf(stderr, "leak blocks=%ld bytes=%ld function=%s\n",
			sums[i].blocks, sums[i].bytes,
			sums[i].name ? sums[i].name : "?");
	fprintf(stderr, "leaks blocks_seen=%ld places=%d\n", taken, n);
}
