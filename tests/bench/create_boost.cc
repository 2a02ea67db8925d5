// SPDX-License-Identifier: MIT
// create_boost.cc - create.c with Boost.Context, stacks from a pool.
//
//     create_boost COUNT ALIVE
#include <vector>

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include "bench.h"

namespace ctx = boost::context;

static ctx::pooled_fixedsize_stack stacks(64 * 1024);

static void
batch(std::vector<ctx::fiber> &fibers, std::vector<uintptr_t> &values)
{
	for (size_t i = 0; i < fibers.size(); i++) {
		uintptr_t *value = &values[i];

		*value = i;
		fibers[i] = ctx::fiber(std::allocator_arg, stacks,
				       [value](ctx::fiber &&back) {
					       *value = ~*value;
					       return std::move(back);
				       });
	}
	for (size_t i = 0; i < fibers.size(); i++) {
		fibers[i] = std::move(fibers[i]).resume();
		bench_check(!fibers[i] && values[i] == ~uintptr_t(i),
			    "each ran once");
	}
}

int
main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const long count = bench_number(argv[1]), alive = bench_number(argv[2]);
	const long batches = (count + alive - 1) / alive;
	std::vector<ctx::fiber> fibers(alive);
	std::vector<uintptr_t> values(alive);

	for (long i = 0; i < (batches + 9) / 10; i++)
		batch(fibers, values);
	const int64_t start = bench_now();

	for (long i = 0; i < batches; i++)
		batch(fibers, values);
	printf("ns=%.1f\n",
	       double(bench_now() - start) / double(batches * alive));
	return 0;
}
