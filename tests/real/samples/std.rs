// SPDX-License-Identifier: MIT
//! std.rs - what Rust's standard library has for threads, whose locks are
//! futexes by syscall(2).  The output is the same, whoever runs them.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel, RecvTimeoutError};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: usize = 100;

thread_local! {
    static NAME: RefCell<String> = RefCell::new(String::new());
    static DROPS: Cell<Option<CountsDrops>> = Cell::new(None);
}
static DROPPED: AtomicUsize = AtomicUsize::new(0);
struct CountsDrops;
impl Drop for CountsDrops {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

fn threads() {
    let all: Vec<_> = (0..THREADS)
        .map(|i| {
            thread::Builder::new()
                .name(format!("thread {i}"))
                .spawn(move || {
                    NAME.with(|n| *n.borrow_mut() = format!("local {i}"));
                    DROPS.with(|d| d.set(Some(CountsDrops)));
                    thread::sleep(Duration::from_millis(1));
                    thread::yield_now();
                    let local = NAME.with(|n| n.borrow().clone());
                    (thread::current().name().unwrap() == format!("thread {i}")
                        && local == format!("local {i}")) as usize
                })
                .unwrap()
        })
        .collect();
    let right: usize = all.into_iter().map(|t| t.join().unwrap()).sum();
    println!("threads {right}, dropped {}", DROPPED.load(Ordering::SeqCst));
}

fn panics() {
    std::panic::set_hook(Box::new(|_| {}));
    let poisoned = Arc::new(Mutex::new(0));
    let all: Vec<_> = (0..THREADS)
        .map(|i| {
            let poisoned = poisoned.clone();
            thread::spawn(move || {
                if i % 10 == 0 {
                    panic!("number {i}");
                }
                if i == 55 {
                    thread::sleep(Duration::from_millis(2));
                    let _held = poisoned.lock();
                    panic!("holding");
                }
                i
            })
        })
        .collect();
    let mut said = Vec::new();
    for t in all {
        if let Err(e) = t.join() {
            said.push(e.downcast_ref::<String>().cloned().unwrap_or("str".into()));
        }
    }
    let _ = std::panic::take_hook();
    println!("{} panics, {}, {}", said.len(), said[3], poisoned.is_poisoned());
}

fn locks() {
    let sum = Arc::new(Mutex::new(0u64));
    let map = Arc::new(RwLock::new(HashMap::new()));
    let pair = Arc::new((Mutex::new(0usize), Condvar::new()));
    let barrier = Arc::new(Barrier::new(THREADS));
    static ONCE: Once = Once::new();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let leaders = Arc::new(AtomicUsize::new(0));
    thread::scope(|s| {
        for i in 0..THREADS {
            let (sum, map, pair) = (sum.clone(), map.clone(), pair.clone());
            let (barrier, leaders) = (barrier.clone(), leaders.clone());
            s.spawn(move || {
                ONCE.call_once(|| {
                    thread::sleep(Duration::from_millis(1));
                    RUNS.fetch_add(1, Ordering::SeqCst);
                });
                for k in 0..50 {
                    *sum.lock().unwrap() += (i * k) as u64;
                }
                map.write().unwrap().insert(i, i * i);
                if barrier.wait().is_leader() {
                    leaders.fetch_add(1, Ordering::SeqCst);
                }
                let total: usize = map.read().unwrap().values().sum();
                assert_eq!(total, (0..THREADS).map(|i| i * i).sum());
                // One after the other.
                let (turn, moved) = &*pair;
                let mut t = turn.lock().unwrap();
                while *t != i {
                    t = moved.wait(t).unwrap();
                }
                *t += 1;
                moved.notify_all();
            });
        }
    });
    let began = Instant::now();
    let (turn, moved) = &*pair;
    let (_t, timeout) = moved
        .wait_timeout_while(turn.lock().unwrap(), Duration::from_millis(5), |_| true)
        .unwrap();
    println!(
        "locks {} {} {} {} {} {}",
        sum.lock().unwrap(),
        map.read().unwrap().len(),
        RUNS.load(Ordering::SeqCst),
        leaders.load(Ordering::SeqCst),
        timeout.timed_out(),
        began.elapsed() >= Duration::from_millis(5)
    );
}

fn channels() {
    let (to, from) = channel();
    let (back, answers) = sync_channel(3);
    let from = Arc::new(Mutex::new(from));
    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (from, back) = (from.clone(), back.clone());
            thread::spawn(move || loop {
                let job = from.lock().unwrap().recv();
                match job {
                    Ok(n) => back.send(n * 2usize).unwrap(),
                    Err(_) => break,
                }
            })
        })
        .collect();
    drop(back);
    let sender = thread::spawn(move || {
        for n in 0..1000 {
            to.send(n).unwrap();
        }
    });
    let sum: usize = answers.iter().sum();
    sender.join().unwrap();
    workers.into_iter().for_each(|w| w.join().unwrap());
    let (_quiet, silent) = channel::<u8>();
    let late = silent.recv_timeout(Duration::from_millis(2));
    // Parked threads.
    let parked: Vec<_> = (0..THREADS).map(|i| thread::spawn(move || { thread::park(); i })).collect();
    for t in &parked {
        t.thread().unpark();
    }
    let woken: usize = parked.into_iter().map(|t| t.join().unwrap()).sum();
    println!("channels {sum} {} {woken}", late == Err(RecvTimeoutError::Timeout));
}

fn sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for _ in 0..THREADS {
            let (stream, _) = listener.accept().unwrap();
            thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                for line in BufReader::new(stream).lines() {
                    writeln!(out, "{}", line.unwrap().to_uppercase()).unwrap();
                }
            });
        }
    });
    let right: usize = thread::scope(|s| {
        let all: Vec<_> = (0..THREADS)
            .map(|i| {
                s.spawn(move || {
                    let stream = TcpStream::connect(address).unwrap();
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let mut out = &stream;
                    (0..10)
                        .filter(|k| {
                            writeln!(out, "line {k} of {i}").unwrap();
                            lines.next().unwrap().unwrap() == format!("LINE {k} OF {i}")
                        })
                        .count()
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).sum()
    });
    server.join().unwrap();
    let (mut a, _b) = UnixStream::pair().unwrap();
    a.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let late = a.read(&mut [0; 1]).unwrap_err().kind();
    let u = UdpSocket::bind("127.0.0.1:0").unwrap();
    u.set_nonblocking(true).unwrap();
    println!("sockets {right} {late:?} {:?}", u.recv(&mut [0; 1]).unwrap_err().kind());
}

fn processes() {
    let lengths: usize = thread::scope(|s| {
        let all: Vec<_> = (0..20)
            .map(|i| {
                s.spawn(move || {
                    let mut child = Command::new("cat")
                        .stdin(Stdio::piped())
                        .stdout(Stdio::piped())
                        .spawn()
                        .unwrap();
                    let mut input = child.stdin.take().unwrap();
                    let feeder = thread::spawn(move || {
                        input.write_all(&vec![b'x'; 10000 + i]).unwrap();
                    });
                    let out = child.wait_with_output().unwrap();
                    feeder.join().unwrap();
                    assert!(out.status.success());
                    out.stdout.len()
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().unwrap()).sum()
    });
    let status = Command::new("sh").args(["-c", "exit 3"]).status().unwrap();
    println!("processes {lengths} {:?}", status.code());
}

fn main() {
    threads();
    panics();
    locks();
    channels();
    sockets();
    processes();
}
