/* SPDX-License-Identifier: MIT */
/* start.c - what a program finds when it starts, and what it leaves. */
#define _GNU_SOURCE 1

#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "party.h"
#include "start_lib/start_lib.h"

extern char **environ;

/* This program again, that case, with these for stdout and stderr. */
static void
check_case(const char *name, int out)
{
	char *argv[] = { "start", (char *)(uintptr_t)name, NULL };
	posix_spawn_file_actions_t fa;
	int status;
	pid_t pid;

	CHECK_INT(posix_spawn_file_actions_init(&fa), 0);
	if (out >= 0) {
		CHECK_INT(posix_spawn_file_actions_adddup2(&fa, out, 1), 0);
		CHECK_INT(posix_spawn_file_actions_adddup2(&fa, out, 2), 0);
	}
	CHECK_INT(posix_spawn(&pid, "/proc/self/exe", &fa, NULL, argv, environ),
		  0);
	posix_spawn_file_actions_destroy(&fa);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(what_blocks_works_before_all_constructors)
{
	CHECK_INT(start_lib_failed, 0);
}

/* --- what the environment says --- */

TEST(whoever_was_to_keep_away_has)
{
	const char *co = getenv("COHOOK"), *threads = getenv("COHOOK_THREADS");

	if (co == NULL && threads == NULL)
		return;
	CHECK(start_lib_self == 0);
	CHECK(cohook_self == NULL || cohook_self() == 0);
}

TEST(the_environment_counts_before_all_constructors)
{
	static const char *const is[][2] = {
		{ "COHOOK", "0" },
		{ "COHOOK_THREADS", "native" },
	};
	const char *expect = getenv("T_EXPECT");
	size_t i;

	CHECK(expect == NULL || start_lib_self != 0);
	CHECK_INT(unsetenv("T_EXPECT"), 0);
	for (i = 0; i < COUNT(is); i++) {
		CHECK_INT(setenv(is[i][0], is[i][1], 1), 0);
		check_case("whoever_was_to_keep_away_has", -1);
		CHECK_INT(unsetenv(is[i][0]), 0);
	}
}

/* --- whose output it is --- */

static void *
sends_and_sleeps(void *arg)
{
	usleep(10000);
	CHECK_INT(send(*(int *)arg, "x", 1, 0), 1);
	return NULL;
}

/* Something of everything, failures too. */
TEST(much_is_done_in_silence)
{
	struct sockaddr_in addr = loopback(1);
	struct pollfd p;
	pthread_t th;
	int s[2], status;
	pid_t pid;
	char c;

	tcp_pair(s);
	th = party(sends_and_sleeps, &s[1]);
	p = (struct pollfd){ .fd = s[0], .events = POLLIN };
	CHECK_INT(poll(&p, 1, -1), 1);
	CHECK_INT(recv(s[0], &c, 1, 0), 1);
	leaves(th);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		th = party(sends_and_sleeps, &s[0]);
		CHECK_INT(read(s[1], &c, 1), 1);
		leaves(th);
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	shut_both(s);
	CHECK_ERR(read(s[0], &c, 1), EBADF);
	CHECK_ERR(close(s[0]), EBADF);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERR(connect(s[0], (struct sockaddr *)&addr, sizeof addr),
		  ECONNREFUSED);
	shut(s[0]);
	CHECK_INT(system("exit 0"), 0);
	usleep(100000); /* as long as a monitor may take to see anything */
}

TEST(nothing_is_printed_that_the_program_has_not_printed)
{
	char path[] = "/tmp/t-start-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;

	CHECK(fd != -1);
	CHECK_INT(unlink(path), 0);
	check_case("much_is_done_in_silence", fd);
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(st.st_size, 0);
	shut(fd);
}

/* --- whose limits they are --- */

#define OF_DESCRIPTORS "T_START_LIMIT"

TEST(the_limit_is_as_the_parent_says)
{
	const char *want = getenv(OF_DESCRIPTORS);
	struct rlimit rl;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	CHECK(want == NULL || rl.rlim_cur == strtoul(want, NULL, 10));
}

TEST(the_limit_of_descriptors_is_what_it_was)
{
	struct rlimit rl, less;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	if (rl.rlim_cur < 500)
		SKIP("RLIMIT_NOFILE is too low");
	less = rl;
	less.rlim_cur = 300;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &less), 0);
	CHECK_INT(setenv(OF_DESCRIPTORS, "300", 1), 0);
	check_case("the_limit_is_as_the_parent_says", -1);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &rl), 0);
}
