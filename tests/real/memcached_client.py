#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ask memcached many things at once, and check every answer.

memcached_client.py PORT [CLIENTS [ROUNDS]]: each client has keys of its own,
large values and small, and all of them count in one key and swap another."""
import random
import socket
import sys
import threading

port = int(sys.argv[1])
clients = int(sys.argv[2]) if len(sys.argv) > 2 else 40
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
wrong = []
answers = [0] * clients
swaps = [0] * clients


class Client:
    def __init__(self, me):
        self.me = me
        self.rnd = random.Random(me)
        self.has = {}
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.socket.makefile("rb")

    def line(self):
        got = self.file.readline()
        if not got.endswith(b"\r\n"):
            raise EOFError("the connection is over")
        return got[:-2]

    def claim(self, got, want):
        answers[self.me] += 1
        if got != want and len(wrong) < 10:
            wrong.append("%s, not %s" % (got[:60], want[:60]))

    def ask(self, text, want=None):
        self.socket.sendall(text)
        got = self.line()
        if want is not None:
            self.claim(got, want)
        return got

    def values(self, text):
        """What a get, or gets, gives: key to value, flags and token."""
        got = {}
        self.socket.sendall(text)
        while (line := self.line()) != b"END":
            word = line.split()
            value = self.file.read(int(word[3]) + 2)[:-2]
            got[word[1]] = value, int(word[2]), b"".join(word[4:])
        return got

    def put(self):
        key = b"c%d.%d" % (self.me, self.rnd.randrange(12))
        value = self.rnd.randbytes(self.rnd.choice(
            (0, 1, 50, 1000, 20000, 200000)))
        flags = self.rnd.randrange(1 << 16)
        self.ask(b"set %s %d 0 %d\r\n%s\r\n" % (key, flags, len(value), value),
                 b"STORED")
        self.has[key] = value, flags, b""

    def get(self):
        keys = sorted(self.has) + [b"c%d.none" % self.me]
        got = self.values(b"get " + b" ".join(keys) + b"\r\n")
        self.claim(got == self.has, True)

    def drop(self):
        if self.has:
            key = self.rnd.choice(sorted(self.has))
            del self.has[key]
            self.ask(b"delete %s\r\n" % key, b"DELETED")
            self.ask(b"delete %s\r\n" % key, b"NOT_FOUND")

    def count(self):
        self.claim(self.ask(b"incr counted 1\r\n").isdigit(), True)
        swaps[self.me] += 1

    def swap(self):
        """Adds one to a number in turn with the others, by its token."""
        while True:
            value, _, token = self.values(b"gets swapped\r\n")[b"swapped"]
            value = b"%d" % (int(value) + 1)
            got = self.ask(b"cas swapped 0 0 %d %s\r\n%s\r\n" % (
                len(value), token, value))
            if got == b"STORED":
                return
            self.claim(got, b"EXISTS")

    def several_at_once(self):
        """In one packet; a number and a noreply among them."""
        self.socket.sendall(b"set c%d.q 0 0 1 noreply\r\n5\r\n"
                            b"incr c%d.q 3\r\nversion\r\nget c%d.q\r\n" %
                            (self.me, self.me, self.me))
        self.claim(self.line(), b"8")
        self.claim(self.line()[:8], b"VERSION ")
        self.claim(self.line(), b"VALUE c%d.q 0 1" % self.me)
        self.claim(self.line(), b"8")
        self.claim(self.line(), b"END")


def run(me):
    try:
        c = Client(me)
        for k in range(rounds):
            (c.put, c.get, c.count, c.swap, c.several_at_once,
             c.drop)[k % 6]()
            if k % 20 == 19:  # another connection, the same keys
                c.socket.close()
                c.socket = socket.create_connection(("127.0.0.1", port), 60)
                c.file = c.socket.makefile("rb")
        c.get()
    except Exception as e:
        wrong.append("%s: %s" % (type(e).__name__, e))


first = Client(0)
first.ask(b"flush_all\r\n", b"OK")
first.ask(b"set counted 0 0 1\r\n0\r\n", b"STORED")
first.ask(b"set swapped 0 0 1\r\n0\r\n", b"STORED")
all_of_them = [threading.Thread(target=run, args=(i,)) for i in range(clients)]
for t in all_of_them:
    t.start()
for t in all_of_them:
    t.join()
first.claim(first.ask(b"incr counted 0\r\n"), b"%d" % sum(swaps))
first.claim(first.values(b"get swapped\r\n")[b"swapped"][0],
            b"%d" % sum(swaps))
for w in wrong:
    print("wrong:", w)
print(sum(answers), "answers")
sys.exit(1 if wrong else 0)
