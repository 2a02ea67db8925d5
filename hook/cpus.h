/* SPDX-License-Identifier: MIT */
/* cpus.h - how many CPUs there are for us. */
#ifndef COHOOK_CPUS_H
#define COHOOK_CPUS_H

/* Those that the caller may run on, or fewer, where its control group or one
 * around that has less time than they would give: rounded up, at least 1. */
int co_cpus(void);

/* Is any part of the program, as it is now, linked with this library? */
int co_is_linked(void);

#endif
