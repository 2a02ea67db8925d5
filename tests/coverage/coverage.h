/* SPDX-License-Identifier: MIT */
/* coverage.h - which cases of which hook the tests have seen: the file between
 * record.c, which counts, and report.c, which judges.
 *
 * A case is what happened to a call that a coroutine made, as measured where it
 * came back:
 *
 *     ok       it succeeded
 *     waited   it parked; or lost its slot in the kernel, for 1 ms and more
 *     timeout  its time, or the socket's, was over
 *     eintr    a signal handler had interrupted it
 *     bad      EBADF, EFAULT, EINVAL, ESRCH and the like: what it was given is
 *              none such
 *     error    any other failure
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <stdint.h>

enum cov_case {
	COV_OK,
	COV_WAITED,
	COV_TIMEOUT,
	COV_EINTR,
	COV_BAD,
	COV_ERROR,
	COV_CASES,
};

/* Each line of hooks.def that is a function of its own has a row. */
enum cov_row {
#define HOOK(ret, name, params, args) COV_##name,
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
	COV_ROWS,
};

/* The file: mapped and shared, so that a process needs no end. */
struct coverage {
	_Atomic uint64_t count[COV_ROWS][COV_CASES];
};

#endif
