// SPDX-License-Identifier: MIT
// cpp20.cc - what C++20 has for threads.  cpp20 CASE prints the same, whoever
// runs its threads; without a case all of them.
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <queue>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static const int THREADS = 100;

template <class F>
static void
each(int n, F f)
{
	std::vector<std::jthread> all;

	for (int i = 0; i < n; i++)
		all.emplace_back(f, i);
}

struct counted {
	static std::atomic<int> made, gone;
	int mine = 0;
	counted() { made++; }
	~counted() { gone++; }
};
std::atomic<int> counted::made, counted::gone;
static thread_local counted local;
static thread_local std::string name;

static void
threads()
{
	std::atomic<long> sum = 0;
	std::vector<std::thread> all;

	for (int i = 0; i < THREADS; i++)
		all.emplace_back([&sum, i](int a, std::string s) {
			name = s + std::to_string(i);
			local.mine = i;
			std::this_thread::sleep_for(1ms);
			std::this_thread::yield();
			if (local.mine == i &&
			    name == "thread " + std::to_string(i))
				sum += a;
		}, i, "thread ");
	for (auto &t : all)
		t.join();
	std::printf("%ld, %d made and %d gone, %d\n", sum.load(),
		    counted::made.load(), counted::gone.load(),
		    std::thread::hardware_concurrency() > 0);
}

static void
mutexes()
{
	std::mutex plain;
	std::recursive_mutex again;
	std::timed_mutex timed;
	std::shared_mutex shared;
	long a = 0, b = 0, c = 0, d = 0;
	std::atomic<int> late = 0, readers = 0;

	each(THREADS, [&](int i) {
		for (int k = 0; k < 50; k++) {
			std::scoped_lock both(plain, again);
			std::lock_guard inner(again);
			a++;
			b += i;
			if (k % 10 == 0)
				std::this_thread::yield();
		}
		while (!timed.try_lock_for(10ms))
			;
		c++;
		timed.unlock();
		if (i % 4 == 0) {
			std::unique_lock w(shared);
			d++;
		} else {
			std::shared_lock r(shared);
			readers++;
		}
	});
	timed.lock();
	each(10, [&](int) {
		if (!timed.try_lock_until(std::chrono::steady_clock::now() +
					  5ms) &&
		    !timed.try_lock_until(std::chrono::system_clock::now() +
					  5ms))
			late++;
	});
	timed.unlock();
	std::printf("%ld %ld %ld %ld %d %d\n", a, b, c, d, readers.load(),
		    late.load());
}

static void
conditions()
{
	std::mutex m;
	std::condition_variable filled, emptied;
	std::queue<int> q;
	std::atomic<long> got = 0;
	int timeouts = 0;

	std::jthread producer([&] {
		for (int i = 1; i <= 10 * THREADS; i++) {
			std::unique_lock l(m);
			emptied.wait(l, [&] { return q.size() < 10; });
			q.push(i);
			filled.notify_one();
		}
	});
	each(THREADS, [&](int) {
		for (int k = 0; k < 10; k++) {
			std::unique_lock l(m);
			filled.wait(l, [&] { return !q.empty(); });
			got += q.front();
			q.pop();
			emptied.notify_one();
		}
	});
	std::unique_lock l(m);
	timeouts += filled.wait_for(l, 2ms) == std::cv_status::timeout;
	timeouts += filled.wait_until(l, std::chrono::system_clock::now() +
					 2ms) == std::cv_status::timeout;
	timeouts += !filled.wait_for(l, 2ms, [] { return false; });
	std::printf("%ld, %d\n", got.load(), timeouts);
}

static void
stops()
{
	std::condition_variable_any any;
	std::shared_mutex m;
	std::atomic<int> stopped = 0;
	std::vector<std::jthread> all;

	for (int i = 0; i < THREADS; i++)
		all.emplace_back([&](std::stop_token token) {
			std::shared_lock l(m);

			if (!any.wait(l, token, [] { return false; }))
				stopped++;
		});
	all[0].request_stop();
	all.clear(); // each is asked, and joined
	std::stop_source source;
	int called = 0;
	std::stop_callback back(source.get_token(), [&] { called++; });
	std::jthread([&] { source.request_stop(); }).join();
	std::printf("%d %d\n", stopped.load(), called);
}

static void
meetings()
{
	std::latch ready(THREADS), done(THREADS);
	std::atomic<int> rounds = 0;
	std::barrier round(THREADS, [&]() noexcept { rounds++; });
	std::counting_semaphore<3> three(3);
	std::binary_semaphore one(0);
	std::atomic<int> inside = 0, most = 0, timeouts = 0;

	each(THREADS, [&](int i) {
		ready.arrive_and_wait();
		for (int k = 0; k < 10; k++)
			round.arrive_and_wait();
		three.acquire();
		int now = ++inside;
		for (int was = most; now > was;)
			if (most.compare_exchange_weak(was, now))
				break;
		std::this_thread::yield();
		inside--;
		three.release();
		if (i == 0)
			round.arrive_and_drop();
		done.count_down();
	});
	done.wait();
	timeouts += !one.try_acquire_for(2ms);
	one.release();
	timeouts += one.try_acquire_until(std::chrono::steady_clock::now() +
					  1s);
	std::printf("%d rounds, %d at most, %d\n", rounds.load(),
		    most.load() <= 3, timeouts.load());
}

static void
atomics()
{
	std::atomic<int> turn = 0;
	std::atomic<bool> go = false;
	std::atomic_flag lit = ATOMIC_FLAG_INIT;
	std::atomic<std::shared_ptr<int>> shared = std::make_shared<int>(0);
	long order = 0;

	std::jthread starter([&] {
		std::this_thread::sleep_for(2ms);
		go = true;
		go.notify_all();
		lit.test_and_set();
		lit.notify_all();
	});
	each(THREADS, [&](int i) {
		go.wait(false);
		lit.wait(false);
		for (int now; (now = turn) != i;)
			turn.wait(now);
		order = order * 31 + i;
		for (auto p = shared.load();
		     !shared.compare_exchange_weak(
			     p, std::make_shared<int>(*p + i));)
			;
		turn++;
		turn.notify_all();
	});
	std::printf("%ld %d\n", order & 0xffffff, *shared.load());
}

static long
deep(int n)
{
	if (n == 0)
		throw std::runtime_error("the bottom");
	long below = deep(n - 1);

	return below + n;
}

static void
futures()
{
	std::vector<std::future<long>> all;
	std::promise<int> given;
	std::shared_future<int> seen = given.get_future().share();
	std::packaged_task<int(int)> task([](int i) { return i * i; });
	auto squared = task.get_future();
	long sum = 0, thrown = 0;

	for (int i = 0; i < THREADS; i++)
		all.push_back(std::async(std::launch::async, [i, seen] {
			if (i % 10 == 3)
				return deep(i);
			return (long)seen.get() + i;
		}));
	auto never = std::async(std::launch::deferred, [] { return 1; });
	bool later = never.wait_for(0s) == std::future_status::deferred;
	std::thread(std::move(task), 12).join();
	bool timeout = all[0].wait_for(2ms) == std::future_status::timeout;
	given.set_value(7);
	for (auto &f : all)
		try {
			sum += f.get();
		} catch (std::runtime_error &e) {
			thrown += (long)std::strlen(e.what());
		}
	std::printf("%ld %ld %d %d %d\n", sum, thrown, squared.get(), later,
		    timeout);
}

static void
exceptions()
{
	std::exception_ptr last;
	std::atomic<int> caught = 0;
	std::once_flag once;
	std::atomic<int> tries = 0;

	each(THREADS, [&](int i) {
		try {
			try {
				deep(20 + i);
			} catch (...) {
				std::this_thread::sleep_for(1ms);
				if (std::current_exception() != nullptr)
					caught++;
				throw;
			}
		} catch (std::exception &) {
			if (i == 0)
				last = std::current_exception();
		}
		try {
			std::call_once(once, [&] {
				std::this_thread::yield();
				if (++tries < 3)
					throw 1;
			});
		} catch (int) {
			caught++;
		}
	});
	try {
		std::rethrow_exception(last);
	} catch (std::runtime_error &e) {
		std::printf("%d %d %s\n", caught.load(), tries.load(),
			    e.what());
	}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)();
	} cases[] = {
		{ "threads", threads }, { "mutexes", mutexes },
		{ "conditions", conditions }, { "stops", stops },
		{ "meetings", meetings }, { "atomics", atomics },
		{ "futures", futures }, { "exceptions", exceptions },
	};

	for (auto &c : cases)
		if (argc < 2 || std::strcmp(argv[1], c.name) == 0) {
			std::printf("%s: ", c.name);
			c.run();
		}
	return 0;
}
