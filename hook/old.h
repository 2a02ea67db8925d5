/* SPDX-License-Identifier: MIT */
/* old.h - what today's hooks share with those of old versions, where these
 * mean something else (old_x86_64.c). */
#ifndef COHOOK_OLD_H
#define COHOOK_OLD_H

#include "hook/real.h"

struct co;

/* sigwait.c: gone is the answer where the thread has ended. */
int co_kill_thread(struct co *co, int sig, int gone);

/* process.c: by this one of libc's. */
typedef int (*co_spawn_fn)(pid_t *pid, const char *path,
			   const posix_spawn_file_actions_t *fa,
			   const posix_spawnattr_t *attr, char *const argv[],
			   char *const envp[]);
int co_spawn_by(co_spawn_fn spawn, pid_t *pid, const char *path,
		const posix_spawn_file_actions_t *fa,
		const posix_spawnattr_t *attr, char *const argv[],
		char *const envp[]);

/* pin.c: by this one of libc's, which knows what timer is. */
int co_timer_create(int (*create)(clockid_t, struct sigevent *, void *),
		    clockid_t clock, struct sigevent *ev, void *timer);

#endif
