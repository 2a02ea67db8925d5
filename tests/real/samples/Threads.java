// SPDX-License-Identifier: MIT
// Threads.java - what Java programs do with threads: executors, locks, timed
// waits, interrupts, sockets, children, a collection.  The output is the same,
// whoever runs them.
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;

public class Threads {
	static final int THREADS = 50;

	static void executors() throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(THREADS);
		List<Future<Long>> all = new ArrayList<>();
		long sum = 0;

		for (int i = 0; i < 200; i++) {
			final int n = i;
			all.add(pool.submit(() -> {
				Thread.sleep(n % 5);
				return LongStream.range(0, 1000 + n).sum();
			}));
		}
		for (Future<Long> f : all)
			sum += f.get();
		pool.shutdown();
		System.out.println("executors " + sum + " " +
			pool.awaitTermination(10, TimeUnit.SECONDS));
		System.out.println("streams " + IntStream.range(0, 100000)
			.parallel().filter(n -> n % 7 == 0).count());
	}

	static void locks() throws Exception {
		ReentrantLock lock = new ReentrantLock();
		Condition moved = lock.newCondition();
		CyclicBarrier barrier = new CyclicBarrier(THREADS);
		Semaphore three = new Semaphore(3);
		AtomicInteger most = new AtomicInteger(), inside = new AtomicInteger();
		int[] turn = { 0 }, count = { 0 };
		Thread[] all = new Thread[THREADS];

		for (int i = 0; i < THREADS; i++) {
			final int n = i;
			all[i] = new Thread(() -> {
				try {
					barrier.await();
					for (int k = 0; k < 100; k++)
						synchronized (count) {
							count[0]++;
						}
					three.acquire();
					most.accumulateAndGet(
						inside.incrementAndGet(),
						Math::max);
					Thread.yield();
					inside.decrementAndGet();
					three.release();
					lock.lock();
					while (turn[0] != n)
						moved.await();
					turn[0]++;
					moved.signalAll();
					lock.unlock();
				} catch (Exception e) {
					e.printStackTrace();
				}
			});
			all[i].start();
		}
		for (Thread t : all)
			t.join();
		Thread sleeper = new Thread(() -> {
			try {
				Thread.sleep(100000);
			} catch (InterruptedException e) {
				System.out.println("interrupted");
			}
		});
		sleeper.start();
		sleeper.interrupt();
		sleeper.join();
		boolean late;
		synchronized (count) {
			count.wait(5);
		}
		late = new SynchronousQueue<Integer>()
			.poll(5, TimeUnit.MILLISECONDS) == null;
		System.out.println("locks " + count[0] + " " + turn[0] + " " +
			(most.get() <= 3) + " " + late);
	}

	static void sockets() throws Exception {
		ServerSocket listener = new ServerSocket(0, THREADS,
			InetAddress.getLoopbackAddress());
		AtomicInteger right = new AtomicInteger();
		Thread[] all = new Thread[THREADS];

		Thread server = new Thread(() -> {
			try {
				for (int i = 0; i < THREADS; i++) {
					Socket s = listener.accept();
					new Thread(() -> serve(s)).start();
				}
			} catch (IOException e) {
				e.printStackTrace();
			}
		});
		server.start();
		for (int i = 0; i < THREADS; i++) {
			final int n = i;
			all[i] = new Thread(() -> {
				try (Socket s = new Socket(
					listener.getInetAddress(),
					listener.getLocalPort())) {
					PrintWriter out = new PrintWriter(
						s.getOutputStream(), true);
					BufferedReader in = new BufferedReader(
						new InputStreamReader(
						s.getInputStream()));
					for (int k = 0; k < 20; k++) {
						out.println(k + " of " + n);
						if (in.readLine().equals(
							k + " OF " + n))
							right.incrementAndGet();
					}
				} catch (IOException e) {
					e.printStackTrace();
				}
			});
			all[i].start();
		}
		for (Thread t : all)
			t.join();
		server.join();
		listener.close();
		System.out.println("sockets " + right);
	}

	static void serve(Socket s) {
		try (s) {
			PrintWriter out = new PrintWriter(s.getOutputStream(), true);
			BufferedReader in = new BufferedReader(
				new InputStreamReader(s.getInputStream()));
			String line;

			while ((line = in.readLine()) != null)
				out.println(line.toUpperCase());
		} catch (IOException e) {
			e.printStackTrace();
		}
	}

	static void children() throws Exception {
		Process cat = new ProcessBuilder("cat").start();
		Thread feeder = new Thread(() -> {
			try (OutputStream out = cat.getOutputStream()) {
				out.write(new byte[200000]);
			} catch (IOException e) {
				e.printStackTrace();
			}
		});
		feeder.start();
		int n = cat.getInputStream().readAllBytes().length;
		feeder.join();
		System.out.println("children " + n + " " + cat.waitFor() + " " +
			new ProcessBuilder("sh", "-c", "exit 3").start()
				.waitFor());
	}

	static void memory() throws Exception {
		List<byte[]> kept = Collections.synchronizedList(new ArrayList<>());
		Thread[] all = new Thread[8];
		int[] depth = { 0 };

		for (int i = 0; i < all.length; i++) {
			all[i] = new Thread(() -> {
				for (int k = 0; k < 2000; k++) {
					byte[] b = new byte[10000];
					if (k % 100 == 0)
						kept.add(b);
				}
			});
			all[i].start();
		}
		System.gc();
		for (Thread t : all)
			t.join();
		Thread deep = new Thread(null, () -> {
			try {
				deeper(depth);
			} catch (StackOverflowError e) {
				System.out.println("overflow " + (depth[0] > 100));
			}
		}, "deep", 512 * 1024);
		deep.start();
		deep.join();
		System.out.println("memory " + kept.size());
	}

	static void deeper(int[] depth) {
		depth[0]++;
		deeper(depth);
	}

	public static void main(String[] args) throws Exception {
		executors();
		locks();
		sockets();
		children();
		memory();
		Runtime.getRuntime().addShutdownHook(new Thread(() ->
			System.out.println("the end")));
		System.exit(3);
	}
}
