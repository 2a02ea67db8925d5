# SPDX-License-Identifier: MIT
"""servers.py - servers under a load: echo, and a private MariaDB."""
import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile

from measure import progress
from processes import (ROOT, Failed, Skipped, end, must_be_there, program,
                       result, run, start, words)
from sides import (EPOLL, GO, HOOKED, HOOKED_1, HOOKED_2, NATIVE, PRELOAD,
                   ST, URING, WORKERS, other_workers)

class Server:
    def __init__(self, argv, env=None, wrap=()):
        must_be_there(argv)
        self.p = start(list(wrap) + argv, env=env, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
        try:
            said = words(self.line())
            self.port, self.pid = said["port"], said["pid"]
        except KeyError:
            end(self.p)
            raise Failed("the server did not start") from None
        except Exception:
            end(self.p)
            raise

    def line(self):
        ready, _, _ = select.select([self.p.stdout], [], [], 15)
        line = self.p.stdout.readline() if ready else ""
        if not line and self.p.poll() == 77:
            raise Skipped(self.p.stderr.read().strip())
        return line

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        alive = self.p.poll() is None
        try:
            os.kill(int(self.pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            self.p.wait(10)
        except subprocess.TimeoutExpired:
            pass
        end(self.p)
        if not alive and kind is None:
            raise Failed("the server had ended")


SERVERS = {NATIVE: ("echo_threads", {}), HOOKED: ("echo_threads", PRELOAD),
           HOOKED_1: ("echo_threads", {**PRELOAD, **WORKERS[HOOKED_1]}),
           HOOKED_2: ("echo_threads", {**PRELOAD, **WORKERS[HOOKED_2]}),
           GO: ("echo_threads_go", {}), ST: ("echo_st", {}), EPOLL: ("echo_epoll", {}),
           URING: ("echo_uring", {})}


def server_sides():
    return [NATIVE, HOOKED, other_workers(), GO, ST, EPOLL, URING]


def served(side, size, *load, timeout=60):
    name, env = SERVERS[side]
    with Server(program(name, max(size, 4096)), env) as s:
        return run(program("load", "-p", s.port, "-s", s.pid, "-b", size,
                           *load), timeout)


def status_of(pid, key):
    """A number from /proc/PID/status."""
    with open(f"/proc/{int(pid)}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


def ready(p):
    """A load that waits for the word has its connections."""
    there, _, _ = select.select([p.stdout], [], [], 120)
    if not there or p.stdout.readline() != "ready\n":
        raise Failed("a load does not get its connections: "
                     + (p.stderr.read().strip() if p.poll() else "stuck"))


def served_by_many(side, servers, each, rounds):
    """Several servers at once, each with a load of its own, all of whose
    connections are there before the clock starts."""
    name, env = SERVERS[side]
    env = {**env, "COHOOK_STACK": "64K", "COHOOK_WORKERS": "1"}
    loads = []
    with contextlib.ExitStack() as all_of_them:
        up = [all_of_them.enter_context(Server(program(name, 1024), env))
              for _ in range(servers)]
        try:
            idle = sum(status_of(s.pid, "VmRSS") for s in up)
            for s in up:
                loads.append(start(
                    program("load", "-p", s.port, "-k", each, "-r", rounds,
                            "-w"), stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE))
                ready(loads[-1])
            grown = sum(status_of(s.pid, "VmRSS") for s in up) - idle
            threads = sum(status_of(s.pid, "Threads") for s in up)
            for p in loads:
                p.stdin.close()
                p.stdin = None
            said = [result(p, 120) for p in loads]
        finally:
            for p in loads:
                end(p)
    n = servers * each
    return {"connections": n, "threads": threads, "rss": grown * 1024 / n,
            "per_second": sum(r["per_second"] for r in said),
            "p99_us": max(r["p99_us"] for r in said)}


def system_calls(side, connections, rounds):
    """How many a request takes, by strace's count.  From two runs, the second
    twice as long, so that beginnings and ends cancel out."""
    if not shutil.which("strace"):
        return "no strace"
    totals = []
    name, env = SERVERS[side]
    for n in rounds, 2 * rounds:
        with tempfile.NamedTemporaryFile("r") as f:
            wrap = ["strace", "-f", "-c", "-U", "calls,name", "-o", f.name]
            for k, v in env.items():
                wrap += ["-E", f"{k}={v}"]
            try:
                with Server(program(name), wrap=wrap) as s:
                    run(program("load", "-p", s.port, "-k", connections,
                                "-r", n), 60)
            except (Failed, Skipped):
                return "-"
            for line in f.read().splitlines():
                if line.split()[1:] == ["total"]:
                    totals.append(int(line.split()[0]))
    if len(totals) != 2:
        return "-"
    return (totals[1] - totals[0]) / (connections * rounds)


class MariaDB:
    """A private server, by demos/mariadb.sh."""
    SCRIPT = """
    . "$1"; missing=$(mariadb_missing)
    [ -z "$missing" ] || { echo "missing: $missing" >&2; exit 77; }
    mariadb_start "$2" || exit 1
    echo "port=$MARIADB_PORT user=$MARIADB_USER password=$MARIADB_PASSWORD" \
        "database=$MARIADB_DATABASE pid=$$"
    trap 'mariadb_stop; exit' TERM
    while :; do sleep 1000 & wait $!; done
    """

    def __enter__(self):
        progress("starting MariaDB")
        self.dir = tempfile.mkdtemp(prefix="cohook-bench.")
        # The server runs as somebody else, and needs to get through.
        os.chmod(self.dir, 0o711)
        self.p = start(["bash", "-c", self.SCRIPT, "bash",
                        os.path.join(ROOT, "demos", "mariadb.sh"),
                        os.path.join(self.dir, "db")],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready, _, _ = select.select([self.p.stdout], [], [], 90)
        self.said = words(self.p.stdout.readline()) if ready else {}
        if "port" not in self.said:
            why = ""
            if self.p.poll() is not None:
                why = self.p.stderr.read().strip()
            self.__exit__()
            if self.p.returncode == 77:
                raise Skipped(why)
            raise Failed("no MariaDB: " + why)
        return self

    def __exit__(self, *_):
        # bash stops the server, which is in a session of its own.
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(40)
            except subprocess.TimeoutExpired:
                pass
        end(self.p)
        shutil.rmtree(self.dir, ignore_errors=True)

    def sides(self, n, ms, sql):
        s = self.said
        argv = program("mysql_select", s["port"], s["user"], s["database"],
                       n, ms, sql)
        env = {"MYSQL_PWD": s["password"]}
        more = {NATIVE: {}, HOOKED: PRELOAD,
                other_workers(): {**PRELOAD, **WORKERS[other_workers()]}}
        return {side: lambda e=e: run(argv, 30, env={**env, **e})
                for side, e in more.items()}
