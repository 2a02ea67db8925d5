# SPDX-License-Identifier: MIT
"""cohook for gdb: info coroutines, coroutine N, coroutine apply all bt.

In live processes and in core files; no debug information is needed, for the
library has a table of what is where (sched/debug.h).

A coroutine that does not run is shown by an unwinder: the innermost frame, #0,
stays the kernel thread's own, and its caller, #1, is where the coroutine left
the CPU.  So no register is written, and a core file is as good as a process.
"""
import os
import re
import struct
import time

import gdb
import gdb.unwinder

REGISTERS = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rip")
# Less than this is a descriptor, not an address.
FIRST_ADDRESS = 1 << 22


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def number(address, size=8, signed=False):
    return int.from_bytes(memory(address, size), "little", signed=signed)


def text(address, most=64):
    """Up to the end of it, or of what is mapped."""
    out = b""
    while len(out) < most:
        try:
            byte = memory(address + len(out), 1)
        except gdb.MemoryError:
            break
        if byte == b"\0":
            break
        out += byte
    return out.decode("utf-8", "replace")


class Library:
    """The library's file, and what its table says."""

    def __init__(self):
        self.path = next((o.filename for o in gdb.objfiles()
                          if o.filename and os.path.basename(o.filename)
                          .startswith("libcohook.so")), None)
        if self.path is None:
            raise gdb.GdbError("The program runs without cohook.")
        with open(self.path, "rb") as f:
            self.file = f.read()
        self.base = self.find_base()
        self.table = {}
        at = self.base + self.find_table()
        for _ in range(128):
            name, value = struct.unpack("<24sQ", memory(at, 32))
            name = name.split(b"\0")[0].decode()
            if not name:
                break
            self.table[name] = value
            at += 32

    def find_base(self):
        """By where gdb has its .text."""
        shoff, = struct.unpack_from("<Q", self.file, 40)
        shentsize, shnum, shstrndx = struct.unpack_from("<HHH", self.file, 58)
        heads = [struct.unpack_from("<IIQQQQ", self.file,
                                    shoff + i * shentsize)
                 for i in range(shnum)]
        strings = heads[shstrndx][4]
        for name, _, _, address, _, _ in heads:
            end = self.file.index(b"\0", strings + name)
            if self.file[strings + name:end] == b".text":
                break
        said = gdb.execute("info sharedlibrary", to_string=True)
        for line in said.splitlines():
            if os.path.basename(line).startswith("libcohook.so"):
                return int(line.split()[0], 16) - address
        raise gdb.GdbError("gdb does not know where %s is." % self.path)

    def find_table(self):
        phoff, = struct.unpack_from("<Q", self.file, 32)
        phentsize, phnum = struct.unpack_from("<HH", self.file, 54)
        for i in range(phnum):
            kind, _, offset, address, _, size = struct.unpack_from(
                "<IIQQQQ", self.file, phoff + i * phentsize)
            at = 0
            while kind == 4 and at + 12 <= size:
                n, d, t = struct.unpack_from("<III", self.file, offset + at)
                desc = at + 12 + (n + 3 & ~3)
                if t == 1 and self.file[offset + at + 12:][:n] == b"cohook\0":
                    to, = struct.unpack_from("<q", self.file, offset + desc)
                    return address + desc + to
                at = desc + (d + 3 & ~3)
        raise gdb.GdbError("%s has no table for debuggers." % self.path)


class Coroutine:
    def __init__(self, lib, at):
        t = lib.table
        co = memory(at, t["co.size"])

        def field(name, form):
            return struct.unpack_from("<" + form, co, t[name])[0]
        self.at = at
        self.next = field("co.next", "Q")
        self.id = field("co.id", "q")
        self.tid = field("co.tid", "i")
        self.state = field("co.state", "B")
        self.what = field("co.what", "Q")
        self.since = field("co.since", "q")
        self.sp = field("co.sp", "Q")
        self.tp = field("co.tp", "Q")
        self.m = field("co.m", "Q")
        self.name = co[t["co.name"]:][:t["co.name_size"]] \
            .split(b"\0")[0].decode("utf-8", "replace")
        why = field("co.why", "Q")
        self.why = text(why) if why else ""
        self.running = self.state == t["state.running"]
        self.lwp = number(self.m + t["m.tid"], 4) \
            if self.running and self.m else 0
        if self.running:
            self.state_name = "blocked" if self.why else "running"
        else:
            self.state_name = {t["state.ready"]: "ready",
                               t["state.parked"]: "parked"} \
                .get(self.state, "gone")

    def title(self):
        return "%d%s" % (self.id, ' "%s"' % self.name if self.name else "")

    def on(self, everybody):
        """What it waits for, in words."""
        if self.running or not self.why or not self.what:
            return self.why
        if self.what < FIRST_ADDRESS:
            return "%s, fd %d" % (self.why, self.what)
        symbol = re.match(r"(\S+( \+ \d+)?) in section",
                          gdb.execute("info symbol %#x" % self.what,
                                      to_string=True))
        place = symbol.group(1) if symbol else "%#x" % self.what
        if self.why.startswith(("pthread_mutex", "mtx_")):
            try:
                owner = number(self.what + 8, 4)
            except gdb.MemoryError:
                owner = 0
            for c in everybody:
                if owner and c.tid == owner:
                    return "%s, %s, held by %s" % (self.why, place, c.title())
        if self.why in ("pthread_join", "cohook_join"):
            for c in everybody:
                if 0 <= self.what - c.at < 4096 and c is not self:
                    return "%s, the end of %s" % (self.why, c.title())
        return "%s, %s" % (self.why, place)


def coroutines(lib):
    if not number(lib.table["&active"], 4):
        return []
    at = number(lib.table["&all"])
    seen = {}
    while at and at not in seen:
        seen[at] = Coroutine(lib, at)
        at = seen[at].next
    return sorted(seen.values(), key=lambda c: c.id)


def now(lib):
    """Of a core file, when the library last looked: it was later."""
    target = gdb.selected_inferior().connection
    if target is not None and target.type == "native":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return number(lib.table["&clock"])


def waited(lib, c):
    if not c.why or not c.since:
        return "-"
    s = max(now(lib) - c.since, 0) / 1e9
    return "%.1fs" % s if s < 100 else "%dm%02d" % (s // 60, s % 60)


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Unwinder(gdb.unwinder.Unwinder):
    """Makes the chosen coroutine the caller of one thread's frame 0."""

    def __init__(self):
        super().__init__("cohook")
        self.forget()

    def forget(self):
        self.chosen = None      # a Coroutine that does not run
        self.here = None        # pc and sp of the thread that was selected
        self.saved = {}

    def choose(self, lib, c):
        self.forget()
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        here = [int(frame.read_register(r)) for r in ("rip", "rsp")]
        saved = {r: number(c.sp + lib.table["frame." + r]) for r in REGISTERS}
        saved["rsp"] = c.sp + lib.table["frame.size"]
        saved["fs_base"] = c.tp
        self.chosen, self.here, self.saved = c, here, saved
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if self.chosen is None:
            return None
        if [int(pending.read_register(r)) for r in ("rip", "rsp")] \
                != self.here:
            return None
        # Its stack pointer, lest gdb takes the caller to be further in.
        info = pending.create_unwind_info(
            FrameId(gdb.Value(self.chosen.sp), gdb.Value(self.here[0])))
        for register, value in self.saved.items():
            try:
                kind = pending.read_register(register).type
            except ValueError:
                continue        # fs_base: not in every core file
            info.add_saved_register(
                register, gdb.Value(value & (1 << 64) - 1).cast(kind))
        return info


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def forget(_event):
    unwinder.forget()


gdb.events.cont.connect(forget)
gdb.events.exited.connect(forget)


def thread_of(c):
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == c.lwp:
            return thread
    raise gdb.GdbError("Coroutine %s runs on LWP %d, which is not here." %
                       (c.title(), c.lwp))


def switch(lib, c):
    if c.running:
        unwinder.forget()
        gdb.invalidate_cached_frames()
        thread_of(c).switch()
    else:
        if gdb.selected_thread() is None:
            raise gdb.GdbError("No thread is selected.")
        unwinder.choose(lib, c)
    gdb.newest_frame().select()
    if not c.running:
        gdb.newest_frame().older().select()


def out_of_library(lib):
    """To the frame that called into the library."""
    low, high = lib.base, lib.base + len(lib.file)
    frame = gdb.selected_frame()
    while frame is not None and low <= frame.pc() < high:
        frame = frame.older()
    if frame is not None:
        frame.select()


def find(lib, which):
    for c in coroutines(lib):
        if str(c.id) == which or (c.name and c.name == which):
            return c
    raise gdb.GdbError("No coroutine %s.  Try \"info coroutines\"." % which)


class InfoCoroutines(gdb.Command):
    """Coroutines of cohook: their states and what they wait for."""

    def __init__(self):
        super().__init__("info coroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        lib = Library()
        everybody = coroutines(lib)
        if not everybody:
            print("No coroutines: the program has started no thread yet.")
            return
        print("  %6s %-15s %-7s %7s %s" %
              ("Id", "Name", "State", "Since", "Waits in"))
        for c in everybody:
            print("%s %6d %-15s %-7s %7s %s" % (
                "*" if unwinder.chosen and unwinder.chosen.id == c.id else " ",
                c.id, c.name or "-", c.state_name, waited(lib, c),
                c.on(everybody) or "LWP %d" % c.lwp))


class CoroutineCommand(gdb.Command):
    """Look at a coroutine of cohook, as "thread" does at a thread.

coroutine            which one is it?
coroutine ID         by number or name: its frames are those of "bt" from #1 on
coroutine off        back to the kernel threads
coroutine apply all|ID... COMMAND
                     run a command for each"""

    def __init__(self):
        super().__init__("coroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split()
        if not words:
            print("[No coroutine is chosen]" if unwinder.chosen is None else
                  "[Coroutine %s]" % unwinder.chosen.title())
        elif words[0] == "off":
            unwinder.forget()
            gdb.invalidate_cached_frames()
            gdb.newest_frame().select()
            print("[Back to the kernel threads]")
        elif words[0] == "apply":
            self.apply(words[1:])
        elif len(words) == 1:
            lib = Library()
            c = find(lib, words[0])
            switch(lib, c)
            print("[Coroutine %s, %s%s]" % (
                c.title(), c.state_name,
                ": " + c.on(coroutines(lib)) if c.why else ""))
            out_of_library(lib)
            gdb.execute("frame")
        else:
            raise gdb.GdbError(self.__doc__)

    def apply(self, words):
        lib = Library()
        everybody = coroutines(lib)
        which = everybody
        n = 1
        if words[:1] != ["all"]:
            for n, word in enumerate(words):
                if not word.isdigit():
                    break
            which = [find(lib, w) for w in words[:n]]
        command = " ".join(words[n:])
        if not command or not which:
            raise gdb.GdbError("coroutine apply all|ID... COMMAND")
        old = unwinder.chosen, unwinder.here, unwinder.saved
        thread = gdb.selected_thread()
        try:
            for c in which:
                print("\nCoroutine %s, %s%s:" % (
                    c.title(), c.state_name,
                    ": " + c.on(everybody) if c.why else ""))
                try:
                    switch(lib, c)
                    said = gdb.execute(command, to_string=True)
                except gdb.error as e:
                    said = "%s\n" % e
                if not c.running and re.match(
                        r"(bt|backtrace|where)\b", command):
                    # The kernel thread's own, which is not its.
                    said = re.sub(r"\A#0 .*?^(?=#1 )", "", said,
                                  flags=re.M | re.S)
                print(said, end="")
        finally:
            unwinder.chosen, unwinder.here, unwinder.saved = old
            gdb.invalidate_cached_frames()
            if thread is not None and thread.is_valid():
                thread.switch()
                gdb.newest_frame().select()


InfoCoroutines()
CoroutineCommand()

# The calls that are caught where a thread is made come as this signal.
gdb.execute("handle SIGSYS nostop noprint pass", to_string=True)
