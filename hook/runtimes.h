/* SPDX-License-Identifier: MIT */
/* runtimes.h - does the program bring a runtime whose threads stay native? */
#ifndef COHOOK_RUNTIMES_H
#define COHOOK_RUNTIMES_H

/* Its name, or NULL; among what is loaded now. */
const char *co_runtime_here(void);

enum co_runtime {
	CO_RUNTIME_NONE,
	CO_RUNTIME_TEAM, /* computes, beside the program's other threads */
	CO_RUNTIME,      /* if it is there in time, all threads are native */
};

/* Whose is a thread that begins with fn?  Its own are native. */
enum co_runtime co_runtime_of(void *(*fn)(void *));

#endif
