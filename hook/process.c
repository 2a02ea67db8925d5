/* SPDX-License-Identifier: MIT */
/* process.c - children: libc's own ways to start one, and waiting for one. */
#include "hook/calls.h"
#include "hook/files.h"
#include "hook/old.h"
#include "hook/region.h"

LET_BLOCK_EINTR(pid_t, waitpid, (pid_t pid, int *status, int options),
		(pid, status, options), options & WNOHANG)
LET_BLOCK_EINTR(pid_t, wait, (int *status), (status), false)
LET_BLOCK_EINTR(pid_t, wait4,
		(pid_t pid, int *status, int options, struct rusage *ru),
		(pid, status, options, ru), options & WNOHANG)
CO_CALL(wait4);
LET_BLOCK_EINTR(int, waitid,
		(idtype_t type, id_t id, siginfo_t *info, int options),
		(type, id, info, options), options & WNOHANG)
CO_CALL(waitid);
LET_BLOCK_EINTR(pid_t, wait3, (int *status, int options, struct rusage *ru),
		(status, options, ru), options & WNOHANG)
COHOOK_ALIAS(__wait, wait);
COHOOK_ALIAS(__waitpid, waitpid);

/* What libc starts by itself, past fork(3)'s handlers: the child has our
 * descriptors, and may set O_NONBLOCK on what they refer to. */
static void
begin(const char *why, bool lasting)
{
	atomic_fetch_add(&co_fd_shares, 1);
	if (co_here() != NULL)
		co_region_begin(why, lasting);
}

int system(const char *command);

COHOOK_EXPORT int
system(const char *command)
{
	int r;

	if (likely(!co_active) || co_tls.vforked)
		return real.system(command);
	begin("system", true);
	r = real.system(command);
	co_region_end();
	return r;
}

int
co_spawn_by(co_spawn_fn spawn, pid_t *pid, const char *path,
	 const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr,
	 char *const argv[], char *const envp[])
{
	int r;

	if (likely(!co_active) || co_tls.vforked)
		return spawn(pid, path, fa, attr, argv, envp);
	begin("posix_spawn", false);
	r = spawn(pid, path, fa, attr, argv, envp);
	co_region_end();
	return r;
}

COHOOK_EXPORT int
posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
	    const posix_spawnattr_t *attr, char *const argv[],
	    char *const envp[])
{
	return co_spawn_by(real.posix_spawn, pid, path, fa, attr, argv, envp);
}

COHOOK_EXPORT int
posix_spawnp(pid_t *pid, const char *file,
	     const posix_spawn_file_actions_t *fa,
	     const posix_spawnattr_t *attr, char *const argv[],
	     char *const envp[])
{
	return co_spawn_by(real.posix_spawnp, pid, file, fa, attr, argv, envp);
}

COHOOK_EXPORT FILE *
popen(const char *command, const char *mode)
{
	FILE *f;

	if (likely(!co_active) || co_tls.vforked)
		return real.popen(command, mode);
	begin("popen", false);
	f = real.popen(command, mode);
	co_region_end();
	if (f != NULL)
		co_opened(fileno_unlocked(f));
	return f;
}
COHOOK_ALIAS(_IO_popen, popen);

COHOOK_EXPORT int
pclose(FILE *f)
{
	int fd, r;

	if (likely(!co_active) || co_tls.vforked)
		return real.pclose(f);
	fd = fileno_unlocked(f);
	co_region_begin("pclose", true);
	if (fd >= 0)
		co_fd_forget(fd);
	r = real.pclose(f);
	if (fd >= 0)
		co_fd_closed(fd);
	co_region_end();
	return r;
}
