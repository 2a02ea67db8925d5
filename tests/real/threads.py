#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What CPython programs do with threads.  threads.py CASE prints the same,
whoever runs its threads."""
import concurrent.futures
import contextvars
import hashlib
import os
import queue
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

THREADS = 200


def run(threads):
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def sockets():
    """A thread for each connection, on both sides."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=THREADS)
    results = [None] * THREADS

    def serve(conn):
        with conn:
            while data := conn.recv(1000):
                conn.sendall(hashlib.sha256(data).hexdigest().encode())

    def accept():
        for _ in range(THREADS):
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn,)).start()

    def client(i):
        with socket.create_connection(listener.getsockname()) as s:
            got = b""
            for n in range(10):
                s.sendall(b"%d:%d" % (i, n))
                answer = b""
                while len(answer) < 64:
                    answer += s.recv(64 - len(answer))
                got += answer
            results[i] = hashlib.sha256(got).hexdigest()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    run([threading.Thread(target=client, args=(i,)) for i in range(THREADS)])
    acceptor.join()
    listener.close()
    print(hashlib.sha256("".join(results).encode()).hexdigest())


def socketpairs():
    """A ring of threads, a token going round."""
    pairs = [socket.socketpair() for _ in range(THREADS)]

    def station(i):
        source, sink = pairs[i][1], pairs[(i + 1) % THREADS][0]
        for _ in range(20):
            n = int.from_bytes(source.recv(8), "big")
            sink.sendall((n + 1).to_bytes(8, "big"))

    threads = [threading.Thread(target=station, args=(i,))
               for i in range(1, THREADS)]
    for t in threads:
        t.start()
    n = 0
    for _ in range(20):
        pairs[1][0].sendall(n.to_bytes(8, "big"))
        n = int.from_bytes(pairs[0][1].recv(8), "big")
    for t in threads:
        t.join()
    print(n)


def timeouts():
    """settimeout, which is poll() before each call."""
    done = []

    def wait():
        a, b = socket.socketpair()
        a.settimeout(0.05)
        began = time.monotonic()
        try:
            a.recv(1)
        except socket.timeout:
            done.append(time.monotonic() - began >= 0.05)
        b.sendall(b"x")
        done.append(a.recv(1) == b"x")
        a.setblocking(False)
        try:
            a.recv(1)
        except BlockingIOError:
            done.append(True)
        done.append(select.select([a], [a], [], 0) == ([], [a], []))
        done.append(select.select([a], [], [], 0.01) == ([], [], []))

    run([threading.Thread(target=wait) for _ in range(THREADS)])
    print(len(done), all(done))


def queues():
    """Producers, workers and a consumer."""
    todo, done = queue.Queue(10), queue.Queue()

    def work():
        while (n := todo.get()) is not None:
            done.put(n * n)
            todo.task_done()

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for w in workers:
        w.start()
    for n in range(5000):
        todo.put(n)
    todo.join()
    for _ in workers:
        todo.put(None)
    for w in workers:
        w.join()
    print(sum(done.get() for _ in range(5000)), done.empty())
    try:
        queue.Queue().get(timeout=0.02)
    except queue.Empty:
        print("empty")


def locks():
    """Each of threading's own, all at once."""
    lock, rlock, cond = threading.Lock(), threading.RLock(), threading.Condition()
    sem, barrier = threading.Semaphore(3), threading.Barrier(THREADS)
    event, local = threading.Event(), threading.local()
    count, inside, most, ready, right = 0, 0, 0, 0, []

    def body(i):
        nonlocal count, inside, most, ready
        local.x = i
        event.wait()
        with lock:
            count += 1
        with rlock:
            with rlock:
                count += 1
        with sem:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.0005)
            with lock:
                inside -= 1
        with cond:
            ready += 1
            cond.notify_all()
            cond.wait_for(lambda: ready == THREADS)
        barrier.wait()
        right.append(local.x == i)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(THREADS)]
    for t in threads:
        t.start()
    event.set()
    for t in threads:
        t.join()
    print(count, most <= 3, inside, len(right), all(right))
    print(lock.acquire(timeout=0.01), lock.acquire(timeout=0.01))
    print(event.wait(0.01), threading.Event().wait(0.01))


def subprocesses():
    """fork and exec from threads, pipes and wait."""
    out = [None] * 60

    def child(i):
        p = subprocess.run(["sh", "-c", "read x; echo $x $x; exit %d" % (i % 5)],
                           input="%d\n" % i, capture_output=True, text=True)
        out[i] = (p.stdout, p.returncode)

    run([threading.Thread(target=child, args=(i,)) for i in range(60)])
    print(out)
    big = subprocess.run(["sort", "-n"], capture_output=True, text=True,
                         input="\n".join(map(str, range(100000, 0, -1))))
    print(hashlib.sha256(big.stdout.encode()).hexdigest())
    try:
        subprocess.run(["sleep", "20"], timeout=0.1)
    except subprocess.TimeoutExpired:
        print("too slow")
    print(os.system("exit 3") >> 8, os.popen("echo popen").read())


def forks():
    """os.fork from a thread: the child is alone, and whole."""
    codes = []

    def body(i):
        pid = os.fork()
        if pid == 0:
            a, b = socket.socketpair()
            t = threading.Thread(target=lambda: b.sendall(b"%d" % i))
            t.start()
            n = int(a.recv(10))
            t.join()
            os._exit(n if threading.active_count() == 1 else 255)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == i)

    run([threading.Thread(target=body, args=(i,)) for i in range(40)])
    print(len(codes), all(codes))


def futures():
    """Pools of threads and of processes."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        print(sum(pool.map(lambda n: (time.sleep(0.002), n)[1], range(2000))))
        fs = [pool.submit(pow, 7, n, 1009) for n in range(500)]
        print(sum(f.result() for f in concurrent.futures.as_completed(fs)))
        slow = pool.submit(time.sleep, 0.2)
        print(len(concurrent.futures.wait([slow], timeout=0.01).not_done))
        bad = pool.submit(int, "x")
        print(type(bad.exception()).__name__)
    with concurrent.futures.ProcessPoolExecutor(3) as pool:
        print(sum(pool.map(abs, range(-100, 0), chunksize=10)))


def many_short():
    """Threads come and go: blocks are used again."""
    seen = []
    var = contextvars.ContextVar("var", default=0)

    def body(i):
        seen.append(var.get())
        var.set(i)

    for _ in range(30):
        run([threading.Thread(target=body, args=(i,)) for i in range(100)])
    print(len(seen), sum(seen))


def cpu():
    """Loops that never wait share the interpreter's lock by its ticks."""
    stop, counts = threading.Event(), [0] * 4

    def spin(i):
        while not stop.is_set():
            counts[i] += 1

    threads = [threading.Thread(target=spin, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    while not all(counts):
        time.sleep(0.01)
    stop.set()
    for t in threads:
        t.join()
    print(all(counts))


def signals():
    """Handlers run in the main thread, whatever it waits for."""
    got = []
    signal.signal(signal.SIGUSR1, lambda n, f: got.append(
        threading.current_thread() is threading.main_thread()))
    signal.signal(signal.SIGALRM, lambda n, f: got.append("alarm"))
    lock = threading.Lock()
    lock.acquire()

    def poke():
        os.kill(os.getpid(), signal.SIGUSR1)
        lock.release()

    t = threading.Thread(target=poke)
    t.start()
    lock.acquire()
    t.join()
    while not got:
        time.sleep(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    a, b = socket.socketpair()
    threading.Timer(0.3, b.sendall, (b"x",)).start()
    print(a.recv(1), got)
    a.close()
    b.close()
    print(signal.sigtimedwait([signal.SIGUSR2], 0.01))


def asyncs():
    """An event loop, and executors beside it: a program's own epoll."""
    import asyncio

    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def client(port, i):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        total = 0
        for n in range(10):
            writer.write(b"line %d\n" % (i * n))
            total += len(await reader.readline())
        writer.close()
        return total

    async def main():
        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=THREADS)
        port = server.sockets[0].getsockname()[1]
        print(sum(await asyncio.gather(*(client(port, i) for i in range(100)))))
        loop = asyncio.get_running_loop()
        print(sum(await asyncio.gather(*(
            loop.run_in_executor(None, pow, n, 2) for n in range(100)))))
        p = await asyncio.create_subprocess_exec(
            "tr", "a-z", "A-Z", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        print((await p.communicate(b"shout"))[0], p.returncode)
        try:
            await asyncio.wait_for(asyncio.sleep(20), 0.02)
        except asyncio.TimeoutError:
            print("late")
        server.close()

    asyncio.run(main())


def errors():
    """libc's errno, as each thread sees it."""
    out = []

    def body(i):
        errs = []
        for call in (lambda: os.read(9999, 1), lambda: os.open("/nosuch", 0),
                     lambda: socket.create_connection(("127.0.0.1", 1)),
                     lambda: socket.socket().send(b"x"),
                     lambda: os.write(9999, b"x"), lambda: os.close(9999)):
            try:
                call()
            except OSError as e:
                errs.append(e.errno)
        out.append(tuple(errs))

    run([threading.Thread(target=body, args=(i,)) for i in range(THREADS)])
    print(len(out), set(out))


def exits():
    """Leaving with threads about: daemons are dropped, others waited for."""
    a, _ = socket.socketpair()
    for _ in range(50):
        threading.Thread(target=a.recv, args=(1,), daemon=True).start()
    threading.Timer(0.05, print, ("the last word",)).start()
    print("main leaves")


def libraries():
    """Threads in C extensions: OpenSSL, zlib, sqlite."""
    import sqlite3
    import zlib
    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.execute("create table t (x)")
    lock, sums = threading.Lock(), []

    def body(i):
        data = zlib.compress(b"%d" % i * 1000)
        ssl.create_default_context()
        with lock:
            db.execute("insert into t values (?)", (i,))
            sums.append(zlib.crc32(zlib.decompress(data)))

    run([threading.Thread(target=body, args=(i,)) for i in range(20)])
    print(db.execute("select sum(x), count(*) from t").fetchall(), sum(sums))


CASES = (sockets, socketpairs, timeouts, queues, locks, subprocesses, forks,
         futures, many_short, cpu, signals, asyncs, errors, exits, libraries)

if __name__ == "__main__":
    cases = {case.__name__: case for case in CASES}
    if sys.argv[1:] == ["--list"]:
        print("\n".join(cases))
    else:
        cases[sys.argv[1]]()
