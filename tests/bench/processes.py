# SPDX-License-Identifier: MIT
"""processes.py - the programs that are measured: started, heard and ended."""
import atexit
import os
import signal
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("COHOOK_BUILD",
                                       os.path.join(ROOT, "build")))
BIN = os.path.join(BUILD, "tests", "bench")
LIB = os.path.join(BUILD, "libcohook.so")


class Failed(Exception):
    """One run of one side went wrong."""


class TimedOut(Failed):
    pass


class Skipped(Exception):
    """A side or a subject that this machine cannot have; says why."""


children = []   # that we started and have not seen end


def clean_environment(**more):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("COHOOK") and k != "LD_PRELOAD"}
    env.update(more)
    return env


def start(argv, cpu=None, env=None, **more):
    """Start a process, in a session of its own, so that it can be ended with
    all that it has started."""
    def pin():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    more.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.Popen(argv, env=clean_environment(**(env or {})),
                         start_new_session=True, preexec_fn=pin, text=True,
                         **more)
    children.append(p)
    return p


def end(p, sig=signal.SIGKILL):
    if p.poll() is None:
        try:
            os.killpg(p.pid, sig)
        except ProcessLookupError:
            pass
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
    for f in p.stdout, p.stderr:
        if f:
            f.close()
    if p in children:
        children.remove(p)


@atexit.register
def end_all():
    for p in list(children):
        end(p)


def words(line):
    """What a program says: KEY=VALUE KEY=VALUE."""
    return dict(w.split("=", 1) for w in line.split() if "=" in w)


def must_be_there(argv):
    """Built only where its library is."""
    if not os.path.exists(argv[0]):
        raise Skipped(f"{os.path.basename(argv[0])} is not built: its library "
                      "is not here")


def run(argv, timeout=20, **more):
    """Run a program to its end; its KEY=VALUE words, as numbers."""
    must_be_there(argv)
    return result(start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        **more), timeout)


def result(p, timeout):
    """What a program that was started says in the end."""
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimedOut(f"did not end within {timeout} s") from None
    finally:
        end(p)
    said = err.strip().splitlines()
    if p.returncode == 77:
        raise Skipped(said[-1] if said else "it says that it cannot")
    if p.returncode < 0:
        name = signal.Signals(-p.returncode).name
        raise Failed(" ".join([f"died of {name};"] + said[-1:]))
    if p.returncode != 0:
        raise Failed(said[-1] if said else f"status {p.returncode}")
    if "cannot be preloaded" in err:
        raise Failed("cohook was not loaded")
    return {k: float(v) for k, v in words(out).items()}


def program(name, *args):
    return [os.path.join(BIN, name)] + [str(a) for a in args]
