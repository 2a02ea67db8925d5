/* SPDX-License-Identifier: MIT */
/* process.c - waiting for children. */
#include "hook/region.h"

LET_BLOCK_EINTR(pid_t, waitpid, (pid_t pid, int *status, int options),
		(pid, status, options), options & WNOHANG)
LET_BLOCK_EINTR(pid_t, wait, (int *status), (status), false)
LET_BLOCK_EINTR(pid_t, wait4,
		(pid_t pid, int *status, int options, struct rusage *ru),
		(pid, status, options, ru), options & WNOHANG)
LET_BLOCK_EINTR(int, waitid,
		(idtype_t type, id_t id, siginfo_t *info, int options),
		(type, id, info, options), options & WNOHANG)
int system(const char *command);
LET_BLOCK(int, system, (const char *command), (command))

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
