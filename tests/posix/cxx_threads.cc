// SPDX-License-Identifier: MIT
// cxx_threads.cc - C++20's threads, locks and waits, and how exceptions and
// ends of threads meet: what libstdc++ makes of pthread and of futexes.
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <cxxabi.h>
#include <signal.h>
#include <sys/wait.h>

#include "t.h"

using namespace std::chrono_literals;

static constexpr int CROWD = 100;

// The calling thread is seen to be kept for so long, and not for less.
template <class F>
static void
takes(std::chrono::milliseconds least, F f)
{
	auto begin = std::chrono::steady_clock::now();

	f();
	CHECK(std::chrono::steady_clock::now() - begin >= least);
}

TEST(threads_take_their_arguments_and_are_joined)
{
	std::vector<std::thread> all;
	std::vector<int> squares(CROWD);

	for (int i = 0; i < CROWD; i++)
		all.emplace_back(
			[](int n, int &out) {
				std::this_thread::sleep_for(1ms);
				out = n * n;
			},
			i, std::ref(squares[i]));
	for (auto &t : all) {
		CHECK(t.joinable());
		CHECK(t.get_id() != std::this_thread::get_id());
		t.join();
		CHECK(!t.joinable());
	}
	for (int i = 0; i < CROWD; i++)
		CHECK_INT(squares[i], i * i);
	CHECK(std::thread::hardware_concurrency() >= 1);
}

TEST(joining_oneself_and_joining_nobody_throw)
{
	std::thread none;
	std::promise<std::thread *> told;
	int code = 0;

	try {
		none.join();
	} catch (const std::system_error &e) {
		code = e.code().value();
	}
	CHECK_INT(code, EINVAL);
	code = 0;
	std::thread self([&, f = told.get_future()]() mutable {
		try {
			f.get()->join();
		} catch (const std::system_error &e) {
			code = e.code().value();
		}
	});
	told.set_value(&self);
	self.join();
	CHECK_INT(code, EDEADLK);
}

TEST(a_jthread_is_asked_to_stop_and_joined_by_its_destructor)
{
	std::atomic<int> stopped = 0, rounds = 0;

	{
		std::vector<std::jthread> all;

		for (int i = 0; i < 10; i++)
			all.emplace_back([&](std::stop_token st) {
				while (!st.stop_requested()) {
					rounds++;
					std::this_thread::sleep_for(1ms);
				}
				stopped++;
			});
		while (rounds < 20)
			std::this_thread::yield();
	}
	CHECK_INT(stopped.load(), 10);
}

TEST(a_stop_wakes_a_condition_variable_any)
{
	std::mutex m;
	std::condition_variable_any cv;
	std::atomic<int> called = 0;
	bool never = false, met = true;

	std::jthread t([&](std::stop_token st) {
		std::unique_lock lock(m);

		met = cv.wait(lock, st, [&] { return never; });
	});
	std::stop_callback cb(t.get_stop_token(), [&] { called++; });
	std::this_thread::sleep_for(5ms);
	CHECK(t.request_stop());
	t.join();
	CHECK(!met);
	CHECK_INT(called.load(), 1);
}

TEST(a_condition_variable_any_waits_with_a_shared_lock)
{
	std::shared_mutex m;
	std::condition_variable_any cv;
	std::vector<std::thread> all;
	std::atomic<int> in = 0, out = 0;
	bool go = false;

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([&] {
			std::shared_lock lock(m);

			in++;
			cv.wait(lock, [&] { return go; });
			out++;
		});
	while (in < CROWD)
		std::this_thread::sleep_for(1ms);
	{
		std::unique_lock lock(m);

		go = true;
	}
	cv.notify_all();
	for (auto &t : all)
		t.join();
	CHECK_INT(out.load(), CROWD);
}

TEST(conditions_keep_their_clocks)
{
	std::mutex m;
	std::condition_variable cv;
	std::unique_lock lock(m);

	takes(20ms, [&] {
		CHECK(cv.wait_for(lock, 20ms, [] { return false; }) == false);
	});
	takes(20ms, [&] {
		auto until = std::chrono::steady_clock::now() + 20ms;

		while (cv.wait_until(lock, until) == std::cv_status::no_timeout)
			;
	});
	takes(19ms, [&] {
		auto until = std::chrono::system_clock::now() + 20ms;

		while (cv.wait_until(lock, until) == std::cv_status::no_timeout)
			;
	});
	CHECK(lock.owns_lock());
}

TEST(notify_all_at_thread_exit_comes_after_thread_locals_are_gone)
{
	struct last {
		bool *gone;
		~last() { *gone = true; }
	};
	std::mutex m;
	std::condition_variable cv;
	bool gone = false, done = false;

	std::thread t([&] {
		thread_local last l{ &gone };
		std::unique_lock lock(m);

		l.gone = &gone;
		done = true;
		std::notify_all_at_thread_exit(cv, std::move(lock));
	});
	{
		std::unique_lock lock(m);

		cv.wait(lock, [&] { return done; });
		CHECK(gone);
	}
	t.join();
}

TEST(timed_and_recursive_mutexes_are_what_they_say)
{
	std::timed_mutex tm;
	std::recursive_timed_mutex rm;
	std::recursive_mutex r;

	tm.lock();
	std::thread([&] {
		CHECK(!tm.try_lock());
		takes(10ms, [&] { CHECK(!tm.try_lock_for(10ms)); });
		takes(9ms, [&] {
			CHECK(!tm.try_lock_until(
				std::chrono::system_clock::now() + 10ms));
		});
	}).join();
	tm.unlock();
	rm.lock();
	CHECK(rm.try_lock_for(1ms));
	std::thread([&] { CHECK(!rm.try_lock_for(1ms)); }).join();
	rm.unlock();
	rm.unlock();
	r.lock();
	CHECK(r.try_lock());
	r.unlock();
	r.unlock();
	std::thread([&] { CHECK(r.try_lock()); r.unlock(); }).join();
}

TEST(scoped_locks_of_two_in_any_order_never_lock_up)
{
	std::mutex a, b;
	std::vector<std::thread> all;
	long sum = 0;

	for (int i = 0; i < 20; i++)
		all.emplace_back([&, i] {
			for (int k = 0; k < 500; k++) {
				if (i % 2) {
					std::scoped_lock l(a, b);

					sum++;
				} else {
					std::scoped_lock l(b, a);

					sum++;
				}
				if (k % 50 == 0)
					std::this_thread::yield();
			}
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(sum, 20 * 500);
}

TEST(a_shared_timed_mutex_keeps_writers_out_for_so_long)
{
	std::shared_timed_mutex m;

	m.lock_shared();
	std::thread([&] {
		CHECK(m.try_lock_shared());
		m.unlock_shared();
		takes(10ms, [&] { CHECK(!m.try_lock_for(10ms)); });
	}).join();
	m.unlock_shared();
	m.lock();
	std::thread([&] {
		takes(10ms, [&] { CHECK(!m.try_lock_shared_for(10ms)); });
	}).join();
	m.unlock();
}

TEST(a_latch_lets_all_through_when_it_is_counted_down)
{
	std::latch start(1), done(CROWD);
	std::vector<std::jthread> all;
	std::atomic<int> through = 0;

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([&] {
			start.wait();
			through++;
			done.arrive_and_wait();
		});
	std::this_thread::sleep_for(5ms);
	CHECK_INT(through.load(), 0);
	CHECK(!start.try_wait());
	start.count_down();
	done.wait();
	CHECK_INT(through.load(), CROWD);
}

TEST(a_barrier_runs_its_completion_once_a_round)
{
	int rounds = 0;
	auto complete = [&]() noexcept { rounds++; };
	std::barrier bar(20, complete);
	std::vector<std::thread> all;

	for (int i = 0; i < 20; i++)
		all.emplace_back([&, i] {
			for (int k = 0; k < 50; k++) {
				CHECK_INT(rounds, k);
				bar.arrive_and_wait();
			}
			if (i == 0)
				bar.arrive_and_drop();
			else
				bar.arrive_and_wait();
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(rounds, 51);
}

TEST(semaphores_let_so_many_through)
{
	std::counting_semaphore<5> sem(5);
	std::binary_semaphore one(0);
	std::vector<std::thread> all;
	std::atomic<int> in = 0, most = 0;

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([&] {
			int n, m;

			sem.acquire();
			n = ++in;
			m = most;
			while (n > m && !most.compare_exchange_weak(m, n))
				;
			std::this_thread::sleep_for(1ms);
			in--;
			sem.release();
		});
	for (auto &t : all)
		t.join();
	CHECK(most <= 5 && most >= 2);
	CHECK(!one.try_acquire());
	takes(10ms, [&] { CHECK(!one.try_acquire_for(10ms)); });
	std::thread t([&] { std::this_thread::sleep_for(5ms); one.release(); });
	one.acquire();
	t.join();
}

TEST(an_atomic_is_waited_for_and_notified)
{
	std::atomic<int> turn = 0;
	std::atomic<long> wide = 0;      // not what a futex is as wide as
	std::atomic_flag flag;
	std::vector<std::thread> all;

	for (int i = 0; i < 10; i++)
		all.emplace_back([&, i] {
			for (int k = 0; k < 100; k++) {
				int now;

				while ((now = turn) % 10 != i)
					turn.wait(now);
				turn++;
				turn.notify_all();
			}
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(turn.load(), 1000);
	std::thread w([&] { wide.wait(0); flag.wait(false); });
	std::this_thread::sleep_for(5ms);
	wide = 1;
	wide.notify_one();
	std::this_thread::sleep_for(5ms);
	flag.test_and_set();
	flag.notify_one();
	w.join();
}

TEST(an_atomic_shared_pointer_is_shared)
{
	auto p = std::make_shared<int>(0);
	std::atomic<std::shared_ptr<int>> a(p);
	std::vector<std::thread> all;

	for (int i = 0; i < 8; i++)
		all.emplace_back([&] {
			for (int k = 0; k < 200; k++) {
				auto old = a.load();
				auto next = std::make_shared<int>(0);

				do
					*next = *old + 1;
				while (!a.compare_exchange_weak(old, next));
				if (k % 20 == 0)
					std::this_thread::yield();
			}
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(*a.load(), 1600);
}

TEST(futures_carry_values_and_exceptions)
{
	std::vector<std::future<int>> all;
	int sum = 0;

	for (int i = 0; i < CROWD; i++)
		all.push_back(std::async(std::launch::async, [i] {
			std::this_thread::sleep_for(1ms);
			if (i == 50)
				throw std::runtime_error("fifty");
			return i;
		}));
	for (int i = 0; i < CROWD; i++)
		try {
			sum += all[i].get();
		} catch (const std::runtime_error &e) {
			CHECK_INT(i, 50);
			CHECK(std::string(e.what()) == "fifty");
		}
	CHECK_INT(sum, CROWD * (CROWD - 1) / 2 - 50);
	std::promise<void> never;
	auto f = never.get_future();

	takes(10ms, [&] {
		CHECK(f.wait_for(10ms) == std::future_status::timeout);
	});
	{
		std::promise<int> broken;

		all[0] = broken.get_future();
	}
	try {
		all[0].get();
		CHECK(false);
	} catch (const std::future_error &e) {
		CHECK(e.code() == std::future_errc::broken_promise);
	}
}

// Caught and uncaught exceptions are counted per thread.
TEST(a_thread_may_wait_while_it_handles_an_exception)
{
	std::vector<std::thread> all;

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([i] {
			struct waits {
				~waits()
				{
					CHECK_INT(std::uncaught_exceptions(), 1);
					std::this_thread::sleep_for(1ms);
					CHECK_INT(std::uncaught_exceptions(), 1);
				}
			};
			for (int k = 0; k < 5; k++)
				try {
					waits w;

					throw std::to_string(i * 1000 + k);
				} catch (const std::string &s) {
					std::this_thread::sleep_for(1ms);
					try {
						throw;
					} catch (const std::string &again) {
						CHECK(&again == &s);
					}
					CHECK(s == std::to_string(i * 1000 + k));
					CHECK_INT(std::uncaught_exceptions(), 0);
				}
		});
	for (auto &t : all)
		t.join();
}

TEST(call_once_that_throws_lets_the_next_try_at_once)
{
	std::vector<std::thread> all;
	std::once_flag once;
	std::atomic<int> tries = 0, threw = 0, through = 0;
	int64_t begin = t_now();

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([&] {
			try {
				std::call_once(once, [&] {
					std::this_thread::sleep_for(1ms);
					if (++tries < CROWD)
						throw 1;
				});
				CHECK_INT(tries.load(), CROWD);
				through++;
			} catch (int) {
				threw++;
			}
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(tries.load(), CROWD);
	CHECK_INT(threw.load(), CROWD - 1);
	CHECK_INT(through.load(), 1);
	// Each waits for the one before it, which takes a millisecond: to
	// look now and then would take it a hundred times as long.
	CHECK(t_now() - begin < 10000 * T_MS);
}

TEST(statics_of_a_function_are_made_once)
{
	static std::atomic<int> made = 0;
	struct slow {
		slow()
		{
			std::this_thread::sleep_for(10ms);
			if (++made == 1)
				throw 1;
		}
	};
	std::vector<std::thread> all;
	std::atomic<int> threw = 0;

	for (int i = 0; i < CROWD; i++)
		all.emplace_back([&] {
			try {
				static slow s;
			} catch (int) {
				threw++;
			}
		});
	for (auto &t : all)
		t.join();
	CHECK_INT(made.load(), 2);
	CHECK_INT(threw.load(), 1);
}

static std::atomic<int> destroyed;
struct local {
	int value = 7;
	~local()
	{
		std::this_thread::sleep_for(1ms);
		destroyed++;
	}
};
static thread_local local here;

TEST(thread_locals_start_new_and_are_destroyed)
{
	for (int round = 0; round < 3; round++) {
		std::vector<std::thread> all;

		for (int i = 0; i < CROWD; i++)
			all.emplace_back([i] {
				CHECK_INT(here.value, 7);
				here.value = i;
				std::this_thread::sleep_for(1ms);
				CHECK_INT(here.value, i);
			});
		for (auto &t : all)
			t.join();
		CHECK_INT(destroyed.load(), (round + 1) * CROWD);
	}
}

// What a thread's end leaves behind, told in the order in which it goes.
struct teller {
	std::string *to;
	char what;
	teller(std::string *where, char letter) : to(where), what(letter) {}
	~teller() { *to += what; }
};

struct ending {
	std::string told;
	std::atomic<bool> ready = false;
	bool exits; // else it is cancelled
};

static void
pushed(void *arg)
{
	static_cast<ending *>(arg)->told += 'p';
}

static void
inner(ending *e)
{
	teller t(&e->told, 'i');

	pthread_cleanup_push(pushed, e);
	e->ready = true;
	if (e->exits)
		pthread_exit(e);
	for (;;)
		sleep(1);
	pthread_cleanup_pop(0);
}

/* There is no object to what unwinds a thread: UBSan takes offence at the
 * reference to it. */
__attribute__((no_sanitize("null"))) static void *
outer(void *arg)
{
	auto *e = static_cast<ending *>(arg);
	teller t(&e->told, 'o');

	try {
		inner(e);
	} catch (abi::__forced_unwind &) {
		e->told += 'f';
		throw;
	}
	return nullptr;
}

static void
ends(bool exits)
{
	ending e;
	pthread_t th;
	void *r;

	e.exits = exits;
	CHECK_INT(pthread_create(&th, nullptr, outer, &e), 0);
	if (!exits) {
		while (!e.ready)
			sched_yield();
		std::this_thread::sleep_for(2ms);
		CHECK_INT(pthread_cancel(th), 0);
	}
	CHECK_INT(pthread_join(th, &r), 0);
	CHECK(r == (exits ? &e : PTHREAD_CANCELED));
	CHECK(e.told == "pifo");
}

TEST(pthread_exit_destroys_what_is_on_the_stack)
{
	ends(true);
}

TEST(a_cancelled_wait_destroys_what_is_on_the_stack)
{
	ends(false);
}

static std::string told;
static thread_local teller last_word(&told, 'l');

static void *
exits_with_locals(void *)
{
	CHECK_INT(last_word.what, 'l');
	teller t(&told, 't');

	pthread_exit(nullptr);
}

TEST(thread_locals_go_after_the_stack)
{
	pthread_t th;

	CHECK_INT(pthread_create(&th, nullptr, exits_with_locals, nullptr), 0);
	CHECK_INT(pthread_join(th, nullptr), 0);
	CHECK(told == "tl");
}

static void *
catches_all(void *)
{
	try {
		pthread_exit(nullptr);
	} catch (...) {
	}
	return nullptr;
}

// libstdc++ ends a program that does not throw it on.
TEST(an_end_that_is_caught_ends_the_process)
{
	pid_t pid = fork();
	int status;

	CHECK(pid != -1);
	if (pid == 0) {
		pthread_t th;

		close(2); // it says so
		pthread_create(&th, nullptr, catches_all, nullptr);
		pthread_join(th, nullptr);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == -1)
		CHECK_INT(errno, EINTR);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGABRT);
}

TEST(an_exception_that_nobody_catches_ends_the_process)
{
	pid_t pid = fork();
	int status;

	CHECK(pid != -1);
	if (pid == 0) {
		close(2);
		std::thread([] { throw 1; }).join();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == -1)
		CHECK_INT(errno, EINTR);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGABRT);
}

TEST(a_once_that_is_left_by_pthread_exit_is_run_anew)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static std::atomic<int> runs;
	std::vector<std::thread> all;
	pthread_t th[20];

	for (auto &t : th)
		CHECK_INT(pthread_create(
				  &t, nullptr,
				  [](void *) -> void * {
					  pthread_once(&once, [] {
						  std::this_thread::sleep_for(
							  1ms);
						  if (++runs < 10)
							  pthread_exit(
								  nullptr);
					  });
					  return &once;
				  },
				  nullptr),
			  0);
	int whole = 0;

	for (auto &t : th) {
		void *r;

		CHECK_INT(pthread_join(t, &r), 0);
		whole += r != nullptr;
	}
	CHECK_INT(runs.load(), 10);
	CHECK_INT(whole, 11);
}
