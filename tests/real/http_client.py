#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ask an HTTP server many things at once, and check every byte.

http_client.py PORT FOLDER [THREADS [REQUESTS]]: FOLDER is what it serves.
Plain requests, kept-alive and not, many in one packet, ranges, HEAD, what is
not there, what was not changed, and a body sent to /echo if FOLDER has one.  With
$RESTARTS the server restarts meanwhile."""
import http.client
import os
import random
import socket
import sys
import threading

port, folder = int(sys.argv[1]), sys.argv[2]
threads = int(sys.argv[3]) if len(sys.argv) > 3 else 40
requests = int(sys.argv[4]) if len(sys.argv) > 4 else 50

bodies = {}
for name in sorted(os.listdir(folder)):
    if os.path.isfile(os.path.join(folder, name)):
        with open(os.path.join(folder, name), "rb") as f:
            bodies[name] = f.read()
names = list(bodies)
counts = {}
wrong = []
lock = threading.Lock()


def counted(what, right):
    with lock:
        counts[what] = counts.get(what, 0) + 1
        if not right and len(wrong) < 10:
            wrong.append(what)


def ask(conn, method, path, headers=None):
    conn.request(method, path, headers=headers or {})
    answer = conn.getresponse()
    return answer, answer.read()


def pipelined(rnd):
    """Several requests in one packet; the answers in their order."""
    chosen = [rnd.choice(names) for _ in range(5)]
    text = "".join("GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (
        n, "Connection: close\r\n" if i == 4 else "")
        for i, n in enumerate(chosen))
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(text.encode())
        got = b""
        while data := s.recv(65536):
            got += data
    for n in chosen:
        head, _, got = got.partition(b"\r\n\r\n")
        body, got = got[:len(bodies[n])], got[len(bodies[n]):]
        counted("pipelined", head.startswith(b"HTTP/1.1 200") and
                body == bodies[n])
    counted("to the end", got == b"")


def one(conn, rnd, k):
    name = rnd.choice(names)
    body = bodies[name]
    kind = k % 8
    if kind == 5:
        answer, got = ask(conn, "HEAD", "/" + name)
        counted("head", answer.status == 200 and got == b"" and
                int(answer.headers["Content-Length"] or 0) == len(body))
    elif kind == 6:
        answer, got = ask(conn, "GET", "/none-of-these")
        counted("missing", answer.status == 404 and len(got) > 0)
    elif kind == 7 and len(body) > 10:
        a = rnd.randrange(len(body) - 1)
        b = rnd.randrange(a, len(body))
        answer, got = ask(conn, "GET", "/" + name,
                          {"Range": "bytes=%d-%d" % (a, b)})
        counted("range", answer.status == 206 and got == body[a:b + 1])
    else:
        answer, got = ask(conn, "GET", "/" + name)
        counted("get", answer.status == 200 and got == body)
    return answer


def client(i):
    rnd = random.Random(i)
    conn = None
    try:
        for k in range(requests):
            if conn is None:
                conn = http.client.HTTPConnection("127.0.0.1", port,
                                                  timeout=30)
                used = False
            try:
                one(conn, rnd, k)
            except (http.client.RemoteDisconnected, ConnectionError):
                # A server may close one that was kept alive, and the request
                # may cross that; on a new one it must be answered (RFC 9112,
                # 9.3.1).
                if not used or "RESTARTS" not in os.environ:
                    raise
                counted("asked again", True)
                conn.close()
                conn = http.client.HTTPConnection("127.0.0.1", port,
                                                  timeout=30)
                one(conn, rnd, k)
            used = True
            if k % 10 == 9:
                conn.close()
                conn = None
        pipelined(rnd)
    except Exception as e:
        counted("%s: %s" % (type(e).__name__, e), False)


all_threads = [threading.Thread(target=client, args=(i,))
               for i in range(threads)]
for t in all_threads:
    t.start()
for t in all_threads:
    t.join()
for what in sorted(counts):
    print(what, counts[what])
for what in wrong:
    print("wrong:", what)
sys.exit(1 if wrong else 0)
