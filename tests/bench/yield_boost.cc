// SPDX-License-Identifier: MIT
// yield_boost.cc - yield.c with Boost.Context: there and back, and nobody who
// chooses whose turn it is.
//
//     yield_boost COUNT
#include <boost/context/fiber.hpp>

#include "bench.h"

namespace ctx = boost::context;

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	const long count = bench_number(argv[1]);
	long turns = 0;
	bool over = false;
	ctx::fiber other([&](ctx::fiber &&back) {
		while (!over) {
			turns++;
			back = std::move(back).resume();
		}
		return std::move(back);
	});
	const int64_t start = bench_now();

	for (long i = 0; i < count; i++)
		other = std::move(other).resume();
	const int64_t end = bench_now();

	bench_check(turns == count, "the two take turns");
	over = true;
	other = std::move(other).resume();
	bench_check(!other, "the other ends");
	printf("ns=%.2f\n", double(end - start) / double(count));
	return 0;
}
