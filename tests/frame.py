# SPDX-License-Identifier: MIT
"""frame.py - what the tests of the command and of looking in share.

$COHOOK_BUILD, or build/, holds the command and the library.
"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
build = os.path.abspath(os.environ.get("COHOOK_BUILD", root + "/build"))
cohook = build + "/cohook"
library = os.path.realpath(build + "/libcohook.so")
tool = root + "/hook/tool/"
# The short names of Unix sockets are relative: they fit anywhere.
tmp = tempfile.mkdtemp(prefix="cohook-test.")
os.chmod(tmp, 0o755)
children = []


def clean_up():
    for p in children:
        if p.poll() is None:
            p.kill()
            p.wait()
    shutil.rmtree(tmp)


atexit.register(clean_up)

clean = {k: v for k, v in os.environ.items()
         if not k.startswith(("COHOOK", "LD_"))}
clean.update(LC_ALL="C", TERM="dumb", TMPDIR=tmp)


class Skip(Exception):
    pass


def run(*argv, env=None, status=0, timeout=30, stdin=None):
    """(stdout, stderr) of a command that ends with this status."""
    p = subprocess.run(argv, env=dict(clean, **(env or {})), cwd=tmp,
                       timeout=timeout, text=True, input=stdin or "",
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if status is not None and p.returncode != status:
        raise AssertionError("%s: status %d, not %d\n%s%s" % (
            " ".join(argv), p.returncode, status, p.stdout, p.stderr))
    return p.stdout, p.stderr


def same(got, want):
    assert got == want, "got %r, not %r" % (got, want)


def has(text, *parts):
    for part in parts:
        assert part in text, "no %r in:\n%s" % (part, text)


def at_most_80(text):
    for line in text.splitlines():
        assert len(line) <= 80, "%d columns: %s" % (len(line), line)


def compile(name, source, *flags):
    with open("%s/%s.c" % (tmp, name), "w") as f:
        f.write(source)
    run("cc", "-g", "-O1", "-o", name, name + ".c", "-pthread", *flags)
    return "%s/%s" % (tmp, name)


# A program of threads that come and go.
COUNTED = r"""
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void *nap(void *a) { usleep(1000); return a; }
int main(int argc, char **argv)
{
	pthread_t t[100];
	(void)argv;
	for (int i = 0; i < 100; i++)
		pthread_create(&t[i], NULL, nap, NULL);
	for (int i = 0; i < 100; i++)
		pthread_join(t[i], NULL);
	if (argc > 2)
		_exit(9);
	if (argc > 1)
		raise(SIGTERM);
	return 7;
}
"""


STUCK = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static int tcp, un, fds[2];
static pthread_t t[6];
static _Atomic int begun;

static void begins(const char *name)
{
	pthread_setname_np(pthread_self(), name);
	begun++;
}

__attribute__((noinline)) int asks_the_server(void)
{
	char b[16];
	ssize_t n = recv(tcp, b, sizeof(b), 0);
	return (int)n + 1;
}

static void *query(void *a)
{
	begins("query");
	asks_the_server();
	return a;
}

static void *local(void *a)
{
	char b[1];
	begins("local");
	if (read(un, b, 1) < 0)
		perror("read");
	return a;
}

static void *locker(void *a)
{
	begins("locker");
	pthread_mutex_lock(&queue_lock);
	return a;
}

static void *waiter(void *a)
{
	begins("waiter");
	pthread_mutex_lock(&other_lock);
	pthread_cond_wait(&queue_filled, &other_lock);
	return a;
}

static void *sleeper(void *a)
{
	begins("sleeper");
	sleep(500);
	return a;
}

static void *parent(void *a)
{
	begins("parent");
	wait(NULL);
	return a;
}

int main(void)
{
	void *(*fn[])(void *) = { query, local, locker, waiter, sleeper,
				  parent };
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un ua = { .sun_family = AF_UNIX,
		.sun_path = "stuck.sock" };
	socklen_t len = sizeof(in);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	int ul = socket(AF_UNIX, SOCK_STREAM, 0);

	/* Before all: the child ends when we do, however we do. */
	if (pipe(fds) != 0)
		return 1;
	if (fork() == 0) {
		char c;
		close(fds[1]);
		return (int)read(fds[0], &c, 1);
	}
	bind(l, (void *)&in, sizeof(in));
	listen(l, 5);
	getsockname(l, (void *)&in, &len);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	un = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(ua.sun_path);
	if (connect(tcp, (void *)&in, sizeof(in)) != 0 ||
	    bind(ul, (void *)&ua, sizeof(ua)) != 0 || listen(ul, 5) != 0 ||
	    connect(un, (void *)&ua, sizeof(ua)) != 0 ||
	    accept(ul, NULL, NULL) < 0)
		return 1;
	pthread_mutex_lock(&queue_lock);
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, fn[i], NULL);
	while (begun < 6)
		usleep(1000);
	printf("%d %d %d\n", ntohs(in.sin_port), tcp, un);
	fflush(stdout);
	pthread_join(t[0], NULL);
	return 0;
}
"""


class Stuck:
    """The program above; every thread of it waits for ever."""

    def __init__(self, **env):
        if not os.path.exists(tmp + "/stuck"):
            compile("stuck", STUCK)
        self.process = subprocess.Popen(
            [cohook, "./stuck"], env=dict(clean, **env), cwd=tmp,
            stdout=subprocess.PIPE, text=True)
        children.append(self.process)
        self.pid = str(self.process.pid)
        self.port, self.tcp, self.un = map(
            int, self.process.stdout.readline().split())
        until = time.monotonic() + 20
        while True:
            out, err = run(cohook, "ps", "--json", self.pid, status=None)
            if "may not be read" in err:
                raise Skip("processes may not be read here")
            found = json.loads(out)
            self.by_name = {c["name"]: c for c in found["coroutines"]}
            if sum(c["call"] is not None and c["state"] in
                   ("parked", "blocked") for c in found["coroutines"]) == 7:
                break
            assert time.monotonic() < until, out
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def main(tests):
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        try:
            test()
            result, why = "ok", ""
        except Skip as e:
            result, why = "skip", ": %s" % e
        except Exception as e:
            result, why = "FAIL", "\n%s: %s" % (type(e).__name__, e)
        count[result] += 1
        print("%-4s %s%s" % (result, test.__name__.replace("_", " "),
                             why.replace("\n", "\n       ")), flush=True)
    print("%d passed, %d failed, %d skipped" %
          (count["ok"], count["FAIL"], count["skip"]))
    if count["FAIL"]:
        sys.exit(1)
    sys.exit(0 if count["ok"] else 77)
