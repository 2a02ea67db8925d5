# SPDX-License-Identifier: MIT
"""subjects.py - what is measured, and what it should show."""
import os
import resource
import statistics

from measure import Case, Column, progress, say
from processes import LIB, Skipped, program, run
from servers import (MariaDB, served, served_by_many, server_sides,
                     system_calls)
from sides import (BARE, BOOST, DORMANT, EPOLL, GO, HOOKED, NATIVE, NATIVE_1,
                   ST, other_workers, sides)

SUBJECTS = {
    "yield": "two threads that give way to each other, on one CPU",
    "create": "a thread is started, run and joined",
    "memory": "what an idle thread weighs; how many there can be",
    "locks": "mutex, condition and semaphore, alone, by turns, by eight",
    "echo": "a thread for each of 10, 100, 1000 and 10000 connections",
    "connect": "a connection for each request",
    "processes": "connections over several processes, all at once",
    "bulk": "requests of 64 KiB",
    "mysql": "SELECT 1 over 1, 100 and 500 connections, and sleeping ones",
    "dormant": "a program without threads: its start, and a hooked call",
    "compute": "threads that never wait",
    "stall": "threads that spin, or block in ways that cohook cannot see",
}


class Plan:
    """How much of everything: full, --quick, or --smoke."""

    def __init__(self, options):
        self.smoke, self.quick = options.smoke, options.quick
        self.rounds = options.rounds or self.pick(7, 3, 1)
        self.server_rounds = options.rounds or self.pick(5, 3, 1)
        self.threads = options.threads

    def pick(self, full, quick, smoke):
        return smoke if self.smoke else quick if self.quick else full

    def count(self, full):
        return max(self.pick(full, full // 2, full // 1000), 16)


def plan_yield(plan):
    ns = [Column("ns", "ns, there and back", base=NATIVE)]
    cpu = min(os.sched_getaffinity(0))
    args = {NATIVE: [plan.count(100000)], HOOKED: [plan.count(2000000)],
            GO: [plan.count(2000000)], ST: [plan.count(1000000)],
            BOOST: [plan.count(4000000)]}
    yield Case("yield", "yield to another thread and back, on one CPU",
               sides("yield", args, args, cpu), ns, plan.rounds)


def plan_create(plan):
    ns = [Column("ns", "ns a thread", base=NATIVE)]
    for alive in 1, 1000:
        if alive > 1 and plan.smoke:
            return
        args = {NATIVE: [plan.count(10000), alive],
                HOOKED: [plan.count(100000), alive],
                GO: [plan.count(100000), alive],
                ST: [plan.count(100000), alive],
                BOOST: [plan.count(100000), alive]}
        yield Case("create", f"start, run and join a thread, {alive} at a "
                   "time", sides("create", args, args), ns, plan.rounds)


def kernel_says(path):
    with open(path, encoding="ascii") as f:
        return int(f.read())


def native_threads_most():
    """That we may have without leaving the machine no room for others."""
    limit = min(kernel_says("/proc/sys/kernel/threads-max"),
                kernel_says("/proc/sys/kernel/pid_max"),
                kernel_says("/proc/sys/vm/max_map_count") // 2)
    return limit * 6 // 10


def memory_available():
    with open("/proc/meminfo", encoding="ascii") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def plan_memory(plan):
    columns = [Column("threads", "threads", 0, spread=False),
               Column("rss", "bytes each", 0, base=NATIVE),
               Column("tables", "page tables", 0, spread=False),
               Column("gib", "GiB in all", 2, spread=False),
               Column("all", "of the machine", 0, spread=False),
               Column("start_us", "us to start", 2, spread=False),
               Column("end_us", "us to wake, end", 2, spread=False)]
    n = plan.pick(10000, 10000, 50)
    yield Case("memory", f"{n:,} idle threads, 8 MiB of stack",
               sides("many", [n], [NATIVE, HOOKED, GO], timeout=30),
               columns, plan.pick(3, 1, 1))
    if plan.smoke:
        return
    most = native_threads_most()
    wanted = plan.threads or plan.pick(1000000, 50000, 0)
    room = memory_available() // (12 * 1024)
    if wanted > room:
        say(f"No memory for {wanted:,} threads: {room:,}.")
        wanted = room
    args = {NATIVE: [min(wanted, most)], HOOKED: [wanted], GO: [wanted]}
    yield Case("memory", f"{wanted:,} threads, 64 KiB of stack (native: "
               f"{args[NATIVE][0]:,})",
               sides("many", args, args, timeout=120,
                     env={"COHOOK_STACK": "64K"}), columns, 1)


def plan_locks(plan):
    ns = [Column("ns", "ns", base=NATIVE)]
    two = [NATIVE, HOOKED, other_workers(), GO]
    more = [Column("ns", "ns", 2, base=NATIVE, how="more")]
    n = [plan.count(4000000)]
    yield Case("locks", "mutex that nobody else wants: lock and unlock",
               sides("locks", ["alone"] + n, two), more, plan.rounds)
    for way, what in (("mutex", "two threads by mutexes: a hand-over"),
                      ("cond", "two threads by condition: a hand-over"),
                      ("sem", "two threads by semaphore: a hand-over"),
                      ("crowd", "eight threads, one mutex: lock and unlock")):
        slow, fast = [plan.count(60000)], [plan.count(400000)]
        if way == "crowd":
            slow = fast
        args = {s: [way] + (slow if s == NATIVE else fast) for s in two}
        yield Case("locks", what, sides("locks", args, two), ns, plan.rounds)


def server_columns(requests="requests/s"):
    return [Column("per_second", requests, 0, base=NATIVE, more=True),
            Column("cpu_us", "CPU us", 2, base=EPOLL),
            Column("p50_us", "p50 us", 0, spread=False),
            Column("p99_us", "p99 us", 0, spread=False),
            Column("client_busy", "client busy", 2, spread=False)]


def server_case(plan, subject, title, size, *load):
    ms = plan.pick(1000, 400, 30)
    ways = {s: lambda s=s: served(s, size, "-t", ms, *load)
            for s in server_sides()}
    return Case(subject, title, ways, server_columns(), plan.server_rounds)


def plan_echo(plan):
    for n in plan.pick((10, 100, 1000, 10000), (10, 100, 1000), (20,)):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < n + 100:
            say(f"Echo over {n:,} connections is left out: the limit of open "
                "files is too low.")
            continue
        case = server_case(plan, "echo", f"echo of 64 bytes, {n:,} "
                           "connections", 64, "-k", n)
        yield case
        if n in plan.pick((1000, 10000), (100,), (20,)):
            for side in case.ways:
                progress(f"{case.title}: {side}, system calls")
                case.calls[side] = system_calls(side, n, plan.pick(
                    10 if n > 1000 else 30, 30, 5))


def plan_connect(plan):
    for n in plan.pick((10, 100), (100,), (5,)):
        yield server_case(plan, "connect", "connect, one request, close: "
                          f"{n} at a time", 64, "-c", "-k", n)


def plan_processes(plan):
    """The limit of descriptors, in the servers as in their loads, decides how
    many there are."""
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200, 18000)
    servers, each = plan.pick((12, most), (4, most // 2), (2, 20))
    if each < 20:
        raise Skipped("the limit of open files is too low")
    columns = [Column("connections", "connections", 0, spread=False),
               Column("threads", "kernel threads", 0, spread=False),
               Column("rss", "bytes each", 0, spread=False),
               Column("per_second", "requests/s", 0),
               Column("p99_us", "p99 us", 0, spread=False)]
    rounds = plan.pick(5, 5, 2)
    yield Case("processes", f"{servers * each:,} connections, {servers} "
               "processes", {s: lambda s=s: served_by_many(
                   s, servers, each, rounds) for s in (HOOKED, GO, EPOLL)},
               columns, 1)


def plan_bulk(plan):
    for n in plan.pick((10, 100), (100,), (5,)):
        yield server_case(plan, "bulk", f"echo of 64 KiB, {n} connections",
                          65536, "-k", n)


def plan_mysql(plan):
    if not os.path.exists(program("mysql_select")[0]):
        raise Skipped("built without libmysqlclient")
    with MariaDB() as db:
        columns = [Column("per_second", "queries/s", 0, base=NATIVE,
                          more=True),
                   Column("cpu_us", "CPU us of the client", 1, base=NATIVE)]
        ms = plan.pick(1000, 400, 30)
        for n in plan.pick((1, 100, 500), (100,), (5,)):
            yield Case("mysql", f"SELECT 1, {n} connections",
                       db.sides(n, ms, "SELECT 1"), columns,
                       plan.server_rounds)
        if plan.quick or plan.smoke:
            return
        yield Case("mysql", "SELECT SLEEP(0.01), 500 connections",
                   db.sides(500, ms, "SELECT SLEEP(0.01)"), columns,
                   plan.server_rounds)


def plan_dormant(plan):
    ns = [Column("ns", "ns", 2, base=BARE, how="more")]
    for way, what, n in (("mutex", "pthread_mutex_lock and unlock", 20000000),
                         ("read", "read a byte from /dev/zero", 1000000),
                         ("write", "write a byte to /dev/null", 1000000)):
        both = [BARE, DORMANT]
        yield Case("dormant", f"no threads: {what}",
                   sides("dormant", [way, plan.count(n)], both), ns,
                   plan.rounds)
    n = plan.pick(200, 100, 2)
    ways = {BARE: lambda: run(program("startup", n)),
            DORMANT: lambda: run(program("startup", n, "LD_PRELOAD=" + LIB))}
    yield Case("dormant", "no threads: a process starts and ends", ways,
               [Column("us", "us", base=BARE, how="more")], plan.rounds)


def plan_compute(plan):
    columns = [Column("ms", "ms", base=NATIVE),
               Column("cpu_ms", "CPU ms", base=NATIVE)]
    for n in 2, 8:
        args = [n, plan.pick(80, 40, 1)]
        yield Case("compute", f"fixed work on {n} threads",
                   sides("compute", args,
                         [NATIVE, NATIVE_1, HOOKED, other_workers(), GO]),
                   columns, plan.rounds)


def plan_stall(plan):
    columns = [Column("worst_ms", "ms at worst", 1),
               Column("turns", "turns", 0)]
    which = [NATIVE, HOOKED, other_workers(), GO]
    ms = plan.pick(1000, 500, 50)
    yield Case("stall", "four threads hand on a turn, the others spin",
               sides("stall", ["spin", ms], which), columns,
               plan.server_rounds)
    yield Case("stall", "one blocks out of our sight, one naps 1 ms at a time",
               sides("stall", ["raw", ms], which), columns,
               plan.server_rounds)


# --- what it should show -----------------------------------------------------

# Case, side, key, with whom compared, and how: "/" a ratio, "-" a difference,
# "" not at all; then the bound, and whether it is the least or the most.
MILLION = "1,000,000 threads, 64 KiB of stack"
AIMS = [
    ("echo of 64 bytes, 10 connections", HOOKED, "per_second", NATIVE, "/",
     1.0, "least"),
    ("echo of 64 bytes, 100 connections", HOOKED, "per_second", NATIVE, "/",
     1.0, "least"),
    ("echo of 64 bytes, 1,000 connections", HOOKED, "per_second", NATIVE, "/",
     1.5, "least"),
    ("echo of 64 bytes, 10,000 connections", HOOKED, "per_second", NATIVE,
     "/", 2.0, "least"),
    ("echo of 64 bytes, 1,000 connections", HOOKED, "cpu_us", EPOLL, "/",
     1.15, "most"),
    ("echo of 64 bytes, 10,000 connections", HOOKED, "cpu_us", EPOLL, "/",
     1.15, "most"),
    ("yield to another thread and back, on one CPU", HOOKED, "ns", "", "",
     45, "most"),
    ("start, run and join a thread, 1 at a time", HOOKED, "ns", "", "",
     1000, "most"),
    (MILLION, HOOKED, "threads", "", "", 1000000, "least"),
    (MILLION, HOOKED, "gib", "", "", 10, "most"),
    ("mutex that nobody else wants: lock and unlock", HOOKED, "ns", NATIVE,
     "-", 10, "most"),
    ("two threads by mutexes: a hand-over", HOOKED, "ns", NATIVE, "/",
     0.1, "most"),
    ("two threads by condition: a hand-over", HOOKED, "ns", NATIVE, "/",
     0.1, "most"),
    ("two threads by semaphore: a hand-over", HOOKED, "ns", NATIVE, "/",
     0.1, "most"),
    ("no threads: pthread_mutex_lock and unlock", DORMANT, "ns", BARE, "-",
     4, "most"),
    ("no threads: read a byte from /dev/zero", DORMANT, "ns", BARE, "-",
     2, "most"),
    ("no threads: write a byte to /dev/null", DORMANT, "ns", BARE, "-",
     2, "most"),
    ("no threads: a process starts and ends", DORMANT, "us", BARE, "-",
     1000, "most"),
    ("SELECT 1, 100 connections", HOOKED, "per_second", NATIVE, "/",
     1.0, "least"),
    ("SELECT 1, 100 connections", HOOKED, "cpu_us", NATIVE, "/", 1.0, "most"),
    ("SELECT 1, 500 connections", HOOKED, "per_second", NATIVE, "/",
     1.0, "least"),
    ("SELECT 1, 500 connections", HOOKED, "cpu_us", NATIVE, "/", 1.0, "most"),
    ("fixed work on 2 threads", HOOKED, "ms", NATIVE, "/", 1.05, "most"),
    ("fixed work on 8 threads", HOOKED, "ms", NATIVE, "/", 1.05, "most"),
    ("four threads hand on a turn, the others spin", HOOKED, "worst_ms", "",
     "", 50, "most"),
    ("one blocks out of our sight, one naps 1 ms at a time", HOOKED,
     "worst_ms", "", "", 20, "most"),
]

WORDS = {"per_second": "requests a second", "cpu_us": "CPU", "ns": "ns",
         "us": "us", "ms": "time", "worst_ms": "ms at worst",
         "threads": "threads", "gib": "GiB"}


def aims(cases):
    by_title = {c.title.split(" (")[0]: c for c in cases}
    lines = []
    for title, side, key, base, how, bound, sense in AIMS:
        case = by_title.get(title)
        if not case:
            continue
        if how:
            column = Column(key, "", base=base,
                            how="ratio" if how == "/" else "more")
            values = case.compared(side, column)
        else:
            values = case.values(side, key)
        if not values:
            continue
        got = statistics.median(values)
        met = got >= bound if sense == "least" else got <= bound
        what = WORDS[key]
        if how == "/":
            what += f" / {base}"
        elif how == "-":
            what += f" over {base}"
        lines.append(f"  {'met    ' if met else 'not met'}  {got:9.2f}, at "
                     f"{sense} {bound:g}: {title}, {what}")
    for c in cases:
        calls = c.calls.get(HOOKED)
        if isinstance(calls, float):
            lines.append(f"  {'met    ' if calls <= 2.1 else 'not met'}  "
                         f"{calls:9.2f}, at most 2.1: {c.title}, system "
                         "calls a request")
    return lines
