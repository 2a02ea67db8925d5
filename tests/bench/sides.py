# SPDX-License-Identifier: MIT
"""sides.py - the ways to run a program that are held against each other."""
import os
import subprocess

from processes import LIB, program, run, start, end

# In the order of their appearance.
NATIVE, NATIVE_1 = "native threads", "native, one CPU"
HOOKED, HOOKED_1, HOOKED_2 = ("preloaded", "preloaded, 1 worker",
                              "preloaded, 2 workers")
GO, EPOLL, URING = "linked cohook_go", "epoll loop", "io_uring loop"
ST, BOOST = "State Threads", "Boost.Context"
BARE, DORMANT = "bare", "preloaded, dormant"

COLOURS = {NATIVE: "#8a8a8a", NATIVE_1: "#b8b8b8", HOOKED: "#1f6fb4",
           HOOKED_1: "#6aa9dc", HOOKED_2: "#6aa9dc", GO: "#2f9e5b", EPOLL: "#d9822b",
           URING: "#b4439e", ST: "#8c6d31", BOOST: "#c9a95f", BARE: "#8a8a8a", DORMANT: "#1f6fb4"}


PRELOAD = {"LD_PRELOAD": LIB}


def other_workers():
    """Preloaded with another number of workers than it has by itself, which
    its log tells."""
    if not other_workers.found:
        p = start(program("create", 1, 1), env={**PRELOAD, "COHOOK_LOG":
                  "info"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            alone = ": 1 worker," in p.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            alone = False
        end(p)
        other_workers.found = HOOKED_2 if alone else HOOKED_1
    return other_workers.found


other_workers.found = None
WORKERS = {HOOKED_1: {"COHOOK_WORKERS": "1"},
           HOOKED_2: {"COHOOK_WORKERS": "2"}}


TWINS = {GO: "_go", ST: "_st", BOOST: "_boost"}


def sides(name, args, which, cpu=None, timeout=20, env=None):
    """The usual sides of a program that has a twin with cohook_go, and may
    have others.

    args    of the program, or a dictionary of them by side
    """
    def side(s):
        mine = args[s] if isinstance(args, dict) else args
        e = dict(env or {})
        if s in (HOOKED, HOOKED_1, HOOKED_2, DORMANT):
            e.update(PRELOAD)
        e.update(WORKERS.get(s, {}))
        at = min(os.sched_getaffinity(0)) if s == NATIVE_1 else cpu
        file = name + TWINS.get(s, "")
        return lambda: run(program(file, *mine), timeout, cpu=at, env=e)

    return {s: side(s) for s in which}
