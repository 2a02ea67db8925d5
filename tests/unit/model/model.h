/* SPDX-License-Identifier: MIT */
/* model.h - every order of events of a few threads, on a machine that delays
 * stores.
 *
 * The threads of a case run real source of the library; what is atomic in it,
 * its locks and its system calls are steps of ours.  Before each step the
 * explorer chooses who goes next, and comes back to choose otherwise until all
 * is seen, or all with so many preemptions.  What has been seen before, by the memory and by what each thread
 * has read so far, is not gone into again.
 *
 * Memory is x86's (TSO): a thread's stores wait in a queue of its own, where
 * only its own loads see them, until the explorer lets the oldest out, or the
 * thread does what empties the queue: a fence, a read-modify-write, a lock, a
 * system call.  A seq_cst store waits as well; a seq_cst load empties the
 * queue.  That is all that C11 promises, and less than x86 does.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS = 4 };

struct model_case {
	const char *name;
	/* Before each run, alone; model_thread() says who runs then. */
	void (*begin)(void);
	/* When nobody can go on: NULL, or what is wrong. */
	const char *(*end)(void);
	/* How often at most one that could go on is not let; 0: no limit.
	 * Stores leave their queues at any time even so. */
	int preemptions;
};

void model_thread(void (*fn)(void *), void *arg);
/* What the threads share, beside what they reach by steps: put back before each
 * run, and part of what makes two moments the same. */
void model_memory(void *p, size_t size);
/* From a thread: this run shows an error. */
void model_wrong(const char *what);
/* From a thread: what it has read so far has left no trace in it. */
void model_forget(void);
/* From begin(): only one thread comes here, or what others see of it does not
 * matter in this case: no steps. */
void model_owned(const void *p, size_t size);
/* A step of no effect, where others may come in between. */
void model_step(void);
/* Is the thread by this number, in the order of model_thread(), at its end? */
bool model_ended(int i);
/* Who calls; -1: nobody. */
int model_me(void);
/* All runs; NULL: all is well, else what is not. */
const char *model_explore(const struct model_case *c);
extern long model_runs, model_states;

#endif
