/* SPDX-License-Identifier: MIT */
/* without.c - run a program on a kernel that lacks something.
 *
 *     without sud|patch|guard[,...] PROGRAM [ARGS...]
 *
 *     sud     no Syscall User Dispatch, as before Linux 5.11: EINVAL
 *     patch   text cannot be made writable, as SELinux has it: EACCES
 *     guard   no MADV_GUARD_INSTALL, as before Linux 6.13: EINVAL
 *
 * A seccomp filter says so to the program and to all that it starts.  77 where
 * there can be none.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { USER_DISPATCH = 59, GUARD_INSTALL = 102 };

/* The low half of an argument, on a little-endian machine. */
#define ARG(n) offsetof(struct seccomp_data, args[n])
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define UNLESS(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip)
#define UNLESS_BITS(k, skip) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, 0, skip)
#define FAIL(err) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (err))

static const struct lack {
	const char *name;
	struct sock_filter filter[8];
	unsigned short len;
} lacks[] = {
	{ "sud",
	  { LOAD(offsetof(struct seccomp_data, nr)), UNLESS(SYS_prctl, 3),
	    LOAD(ARG(0)), UNLESS(USER_DISPATCH, 1), FAIL(EINVAL) },
	  5 },
	{ "patch",
	  { LOAD(offsetof(struct seccomp_data, nr)), UNLESS(SYS_mprotect, 4),
	    LOAD(ARG(2)), UNLESS_BITS(PROT_WRITE, 2),
	    UNLESS_BITS(PROT_EXEC, 1), FAIL(EACCES) },
	  6 },
	{ "guard",
	  { LOAD(offsetof(struct seccomp_data, nr)), UNLESS(SYS_madvise, 3),
	    LOAD(ARG(2)), UNLESS(GUARD_INSTALL, 1), FAIL(EINVAL) },
	  5 },
};

static int
take_away(const struct lack *l)
{
	struct sock_filter f[sizeof l->filter / sizeof l->filter[0] + 1];
	struct sock_fprog prog = { (unsigned short)(l->len + 1), f };

	memcpy(f, l->filter, sizeof l->filter);
	f[l->len] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 SECCOMP_RET_ALLOW);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

int
main(int argc, char **argv)
{
	size_t i, n = sizeof lacks / sizeof lacks[0];
	char *save, *s;

	if (argc < 3) {
		fprintf(stderr, "usage: %s sud|patch|guard[,...] PROGRAM\n",
			argv[0]);
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		perror("prctl");
		return 77;
	}
	for (s = strtok_r(argv[1], ",", &save); s != NULL;
	     s = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < n && strcmp(s, lacks[i].name) != 0; i++)
			;
		if (i == n) {
			fprintf(stderr, "%s: lack of %s\n", argv[0], s);
			return 2;
		}
		if (take_away(&lacks[i]) != 0) {
			perror("seccomp");
			return 77;
		}
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
