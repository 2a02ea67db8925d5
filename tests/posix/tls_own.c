/* SPDX-License-Identifier: MIT */
/* tls_own.c - what is a thread's own stays its own across waits, and is fresh
 * in a new thread. */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <fenv.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/socket.h>
#include <wchar.h>

#include "tls_libs/tls_lib.h"
#include "thr.h"

#define N 1000

/* Thread-local variables of each kind. */
static __thread int tl_set = 4242;
static __thread int tl_zero;
static __thread struct wide {
	char name[16];
	int n;
} __attribute__((aligned(64))) tl_wide = { "as linked", -1 };
static __thread unsigned char tl_large[65536];
static __thread unsigned char tl_large_set[65536] = { 1, 2, 3 };

static int
tl_is_fresh(void)
{
	size_t i;

	for (i = 0; i < sizeof tl_large; i++)
		if (tl_large[i] != 0)
			return 0;
	for (i = 3; i < sizeof tl_large_set; i++)
		if (tl_large_set[i] != 0)
			return 0;
	return tl_set == 4242 && tl_zero == 0 && tl_wide.n == -1 &&
	       strcmp(tl_wide.name, "as linked") == 0 &&
	       (uintptr_t)&tl_wide % 64 == 0 && tl_large_set[0] == 1 &&
	       tl_large_set[1] == 2 && tl_large_set[2] == 3;
}

static void
tl_dirty(int n)
{
	tl_set = tl_zero = tl_wide.n = n;
	snprintf(tl_wide.name, sizeof tl_wide.name, "thread %d", n);
	memset(tl_large, n | 1, sizeof tl_large);
	memset(tl_large_set, n | 1, sizeof tl_large_set);
}

static void
tl_still(int n)
{
	char name[16];
	size_t i;

	CHECK_INT(tl_set, n);
	CHECK_INT(tl_zero, n);
	CHECK_INT(tl_wide.n, n);
	snprintf(name, sizeof name, "thread %d", n);
	CHECK(strcmp(tl_wide.name, name) == 0);
	for (i = 0; i < sizeof tl_large; i += 512) {
		CHECK_INT(tl_large[i], (unsigned char)(n | 1));
		CHECK_INT(tl_large_set[i], (unsigned char)(n | 1));
	}
}

/* Rounding, as the arithmetic shows it: -1 down or to zero, 1 up, 0 nearest
 * of this very quotient. */
static const int modes[] = {
	FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO,
};

static double
third(double sign)
{
	volatile double one = sign, three = 3;

	return one / three;
}

static long double
long_third(void)
{
	volatile long double one = 1, three = 3;

	return one / three;
}

struct rounded {
	double plus, minus;
	long double l;
};

static struct rounded
round_now(void)
{
	struct rounded r;

	memset(&r, 0, sizeof r);
	r.plus = third(1);
	r.minus = third(-1);
	r.l = long_third();
	return r;
}

static int
same_rounding(struct rounded a, struct rounded b)
{
	return a.plus == b.plus && a.minus == b.minus && a.l == b.l;
}

/* How a thread waits. */
enum kind { RECV, COND, SLEEP, MUTEX };

static struct {
	pthread_mutex_t gate, held;
	pthread_cond_t open;
	atomic_int here, go;
	int sock[N / 4][2];
} world = {
	.gate = PTHREAD_MUTEX_INITIALIZER,
	.held = PTHREAD_MUTEX_INITIALIZER,
	.open = PTHREAD_COND_INITIALIZER,
};

static void
wait_as(int n)
{
	struct timespec nap = { 0, 50 * 1000000L };
	char c;

	world.here++;
	switch ((enum kind)(n % 4)) {
	case RECV:
		CHECK_INT(recv(world.sock[n / 4][0], &c, 1, 0), 1);
		CHECK_INT(c, (char)n);
		break;
	case COND:
		OK(pthread_mutex_lock(&world.gate));
		while (!world.go)
			OK(pthread_cond_wait(&world.open, &world.gate));
		OK(pthread_mutex_unlock(&world.gate));
		break;
	case SLEEP:
		while (!world.go)
			OK(nanosleep(&nap, NULL));
		break;
	case MUTEX:
		OK(pthread_mutex_lock(&world.held));
		OK(pthread_mutex_unlock(&world.held));
	}
}

/* A thousand threads wait, a quarter each way; then all are let go. */
static void
all_wait(void *(*fn)(void *), void (*meanwhile)(void))
{
	static pthread_t th[N];
	pthread_attr_t a;
	int i;

	world.here = world.go = 0;
	OK(pthread_mutex_lock(&world.held));
	for (i = 0; i < N / 4; i++)
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, world.sock[i]));
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, 512 << 10));
	for (i = 0; i < N; i++)
		OK(pthread_create(&th[i], &a, fn, thr_ptr(i)));
	OK(pthread_attr_destroy(&a));
	thr_until(&world.here, N);
	if (meanwhile != NULL)
		meanwhile();
	OK(pthread_mutex_lock(&world.gate));
	world.go = 1;
	OK(pthread_cond_broadcast(&world.open));
	OK(pthread_mutex_unlock(&world.gate));
	OK(pthread_mutex_unlock(&world.held));
	for (i = 0; i < N; i += 4) {
		char c = (char)i;

		CHECK_INT(send(world.sock[i / 4][1], &c, 1, 0), 1);
	}
	for (i = 0; i < N; i++)
		CHECK_INT(thr_num(thr_join(th[i])), i);
	for (i = 0; i < N / 4; i++) {
		close(world.sock[i][0]);
		close(world.sock[i][1]);
	}
}

/* errno */
static void *
keeps_errno(void *arg)
{
	int n = thr_num(arg);

	CHECK_INT(errno, 0);
	errno = 10000 + n;
	wait_as(n);
	CHECK_INT(errno, 10000 + n);
	CHECK(close(-1) == -1);
	CHECK_INT(errno, EBADF);
	return arg;
}

TEST(errno_stays_a_threads_own)
{
	errno = EDOM;
	all_wait(keeps_errno, NULL);
	all_wait(keeps_errno, NULL);
}

/* __thread */
static void *
keeps_its_variables(void *arg)
{
	int n = thr_num(arg);

	CHECK(tl_is_fresh());
	tl_dirty(n);
	wait_as(n);
	tl_still(n);
	return arg;
}

TEST(thread_variables_stay_a_threads_own_and_start_as_linked)
{
	CHECK(tl_is_fresh());
	tl_dirty(-77);
	all_wait(keeps_its_variables, NULL);
	all_wait(keeps_its_variables, NULL);
	tl_still(-77);
}

/* pthread keys */
#define KEYS 100
static pthread_key_t keys[KEYS];
static atomic_int destroyed[KEYS];

static void
destroys(void *p)
{
	int *box = p;

	CHECK(box[0] >= 0 && box[0] < KEYS);
	CHECK(pthread_getspecific(keys[box[0]]) == NULL);
	destroyed[box[0]]++;
	free(p);
}

static void *
keeps_its_keys(void *arg)
{
	int n = thr_num(arg), i, *box;

	for (i = 0; i < KEYS; i += 3)
		CHECK(pthread_getspecific(keys[i]) == NULL);
	for (i = n % 10; i < KEYS; i += 10) {
		box = malloc(2 * sizeof *box);
		CHECK(box != NULL);
		box[0] = i;
		box[1] = n;
		OK(pthread_setspecific(keys[i], box));
	}
	wait_as(n);
	for (i = 0; i < KEYS; i++) {
		box = pthread_getspecific(keys[i]);
		if (i % 10 == n % 10)
			CHECK(box[0] == i && box[1] == n);
		else
			CHECK(box == NULL);
	}
	if (n % 7 == 0)
		pthread_exit(arg);
	return arg;
}

TEST(keys_stay_a_threads_own_and_their_destructors_run_once)
{
	int i;

	for (i = 0; i < KEYS; i++)
		OK(pthread_key_create(&keys[i], destroys));
	all_wait(keeps_its_keys, NULL);
	for (i = 0; i < KEYS; i++)
		CHECK_INT(destroyed[i], N / 10);
	all_wait(keeps_its_keys, NULL);
	for (i = 0; i < KEYS; i++) {
		CHECK_INT(destroyed[i], 2 * N / 10);
		CHECK(pthread_getspecific(keys[i]) == NULL);
		OK(pthread_key_delete(keys[i]));
	}
}

static pthread_key_t again, low, high;
static atomic_int again_runs, low_runs, high_runs;
static atomic_int low_round;

static void
sets_itself_again(void *p)
{
	again_runs++;
	OK(pthread_setspecific(again, p));
}

static void *
sets_again(void *arg)
{
	OK(pthread_setspecific(again, &again_runs));
	if (arg != NULL)
		pthread_exit(arg);
	return arg;
}

TEST(a_destructor_that_sets_its_key_again_runs_four_rounds)
{
	int i;

	OK(pthread_key_create(&again, sets_itself_again));
	for (i = 1; i <= 20; i++) {
		thr_join(thr_start(sets_again, i % 3 ? NULL : &again));
		CHECK_INT(again_runs, i * PTHREAD_DESTRUCTOR_ITERATIONS);
	}
	CHECK_INT(PTHREAD_DESTRUCTOR_ITERATIONS, 4);
	OK(pthread_key_delete(again));
}

static int tells;

static void
tells_and_sets_again(void *p)
{
	CHECK_INT(write(tells, "x", 1), 1);
	OK(pthread_setspecific(again, p));
}

TEST(the_first_thread_of_a_process_has_four_rounds_too)
{
	char rounds[8];
	int p[2], status;
	pid_t child;

	OK(pipe(p));
	child = fork();
	CHECK(child != -1);
	if (child == 0) {
		tells = p[1];
		OK(pthread_key_create(&again, tells_and_sets_again));
		OK(pthread_setspecific(again, &tells));
		pthread_exit(NULL);
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	CHECK_INT(read(p[0], rounds, sizeof rounds),
		  PTHREAD_DESTRUCTOR_ITERATIONS);
	OK(close(p[0]));
	OK(close(p[1]));
}

static void
low_is_destroyed(void *p)
{
	low_runs++;
	low_round = high_runs;
	(void)p;
}

/* Its key comes after low's: what it sets there waits for the next round. */
static void
high_sets_low(void *p)
{
	high_runs++;
	OK(pthread_setspecific(low, p));
}

static void *
sets_high(void *arg)
{
	OK(pthread_setspecific(high, &high_runs));
	CHECK(pthread_getspecific(low) == NULL);
	return arg;
}

TEST(a_value_set_by_a_destructor_is_destroyed_after_it)
{
	OK(pthread_key_create(&low, low_is_destroyed));
	OK(pthread_key_create(&high, high_sets_low));
	CHECK(low < high);
	thr_join(thr_start(sets_high, NULL));
	CHECK_INT(high_runs, 1);
	CHECK_INT(low_runs, 1);
	CHECK_INT(low_round, 1);
	OK(pthread_key_delete(low));
	OK(pthread_key_delete(high));
}

static atomic_int waits_done;

static void
waits_in_destructor(void *p)
{
	(void)p;
	thr_ms(5);
	CHECK_INT(tl_set, 31);
	waits_done++;
}

static void *
leaves_a_value(void *arg)
{
	tl_set = 31;
	OK(pthread_setspecific(again, arg));
	return arg;
}

TEST(a_destructor_may_wait_and_join_waits_for_it)
{
	pthread_t th[100];
	int i;

	OK(pthread_key_create(&again, waits_in_destructor));
	for (i = 0; i < 100; i++)
		th[i] = thr_start(leaves_a_value, &again);
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK_INT(waits_done, 100);
	OK(pthread_key_delete(again));
}

static pthread_barrier_t both;

static void *
holds_old_key(void *arg)
{
	OK(pthread_setspecific(low, &low));
	pthread_barrier_wait(&both);
	/* Here its key is deleted and another made, maybe in its place. */
	pthread_barrier_wait(&both);
	CHECK(pthread_getspecific(high) == NULL);
	return arg;
}

TEST(a_new_key_is_NULL_in_all_threads_and_a_deleted_one_destroys_nothing)
{
	pthread_t th[10];
	int i;

	OK(pthread_barrier_init(&both, NULL, 11));
	OK(pthread_key_create(&low, low_is_destroyed));
	for (i = 0; i < 10; i++)
		th[i] = thr_start(holds_old_key, NULL);
	pthread_barrier_wait(&both);
	OK(pthread_key_delete(low));
	OK(pthread_key_create(&high, low_is_destroyed));
	pthread_barrier_wait(&both);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	CHECK_INT(low_runs, 0);
	OK(pthread_key_delete(high));
	CHECK_INT(pthread_key_delete(high), EINVAL);
	CHECK_INT(pthread_setspecific(high, &high), EINVAL);
	OK(pthread_barrier_destroy(&both));
}

TEST(one_key_too_many_is_EAGAIN)
{
	static pthread_key_t all[PTHREAD_KEYS_MAX + 1];
	int n, e = 0;

	for (n = 0; n <= PTHREAD_KEYS_MAX; n++) {
		e = pthread_key_create(&all[n], NULL);
		if (e != 0)
			break;
	}
	CHECK_INT(e, EAGAIN);
	/* All of POSIX's 128 at the least, but for what libraries took. */
	CHECK(n > 100);
	while (n-- > 0)
		OK(pthread_key_delete(all[n]));
}

/* pthread_self, strerror, strtok_r */
static pthread_t selfs[N];
static char *strerrors[N];

static void *
keeps_itself(void *arg)
{
	char text[64], want[64], *save, *tok, *err;
	int n = thr_num(arg);

	selfs[n] = pthread_self();
	err = strerrors[n] = strerror(100000 + n);
	snprintf(want, sizeof want, "Unknown error %d", 100000 + n);
	CHECK(strcmp(err, want) == 0);
	snprintf(text, sizeof text, "a%d,b%d,c%d", n, n + 1, n + 2);
	tok = strtok_r(text, ",", &save);
	CHECK_INT(atoi(tok + 1), n);

	wait_as(n);

	CHECK(pthread_equal(selfs[n], pthread_self()));
	CHECK(strcmp(err, want) == 0);
	tok = strtok_r(NULL, ",", &save);
	CHECK_INT(atoi(tok + 1), n + 1);
	tok = strtok_r(NULL, ",", &save);
	CHECK_INT(atoi(tok + 1), n + 2);
	CHECK(strtok_r(NULL, ",", &save) == NULL);
	return arg;
}

static int
by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

static void
are_distinct(void)
{
	int i;

	qsort(strerrors, N, sizeof strerrors[0], by_address);
	for (i = 1; i < N; i++)
		CHECK(strerrors[i] != strerrors[i - 1]);
}

TEST(self_strerror_and_strtok_r_stay_a_threads_own)
{
	all_wait(keeps_itself, are_distinct);
	all_wait(keeps_itself, are_distinct);
}

/* rand(): one state for all */
static int drawn[100];
static atomic_int next_draw;

static void *
draws(void *arg)
{
	int i;

	for (i = 0; i < 10; i++) {
		while (next_draw != thr_num(arg) + i * 10)
			thr_ms(1);
		drawn[next_draw] = rand();
		next_draw++;
	}
	return NULL;
}

TEST(rand_has_one_state_for_all_threads)
{
	pthread_t th[10];
	int i;

	srand(12345);
	for (i = 0; i < 10; i++)
		th[i] = thr_start(draws, thr_ptr(i));
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	srand(12345);
	for (i = 0; i < 100; i++)
		CHECK_INT(drawn[i], rand());
}

/* uselocale() */
static locale_t utf8, plain;

static size_t
chars_in(const char *s)
{
	mbstate_t st;

	memset(&st, 0, sizeof st);
	return mbsrtowcs(NULL, &s, 0, &st);
}

static void *
keeps_its_locale(void *arg)
{
	int n = thr_num(arg);
	locale_t mine = n % 3 == 0 ? utf8 : n % 3 == 1 ? plain
				   : LC_GLOBAL_LOCALE;
	size_t len = n % 3 == 0 ? 2 : (size_t)-1;

	CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
	CHECK_INT(MB_CUR_MAX, 1);
	CHECK(uselocale(mine) == LC_GLOBAL_LOCALE);
	wait_as(n);
	CHECK(uselocale((locale_t)0) == mine);
	CHECK_INT(MB_CUR_MAX, n % 3 == 0 ? 6 : 1);
	CHECK_INT(chars_in("\xc3\xa4\xc3\xb6"), len);
	return arg;
}

TEST(uselocale_is_a_threads_own_and_starts_global)
{
	utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (utf8 == (locale_t)0)
		SKIP("no locale C.UTF-8");
	uselocale(utf8);
	all_wait(keeps_its_locale, NULL);
	all_wait(keeps_its_locale, NULL);
	CHECK(uselocale(LC_GLOBAL_LOCALE) == utf8);
	freelocale(utf8);
}

/* fesetround() */
static struct rounded want[4];

static void *
keeps_its_rounding(void *arg)
{
	int n = thr_num(arg), i;

	CHECK_INT(fegetround(), FE_TONEAREST);
	CHECK(same_rounding(round_now(), want[0]));
	OK(fesetround(modes[n / 4 % 4]));
	wait_as(n);
	CHECK_INT(fegetround(), modes[n / 4 % 4]);
	CHECK(same_rounding(round_now(), want[n / 4 % 4]));
	for (i = 0; i < 4; i++) {
		OK(fesetround(modes[i]));
		sched_yield();
		CHECK_INT(fegetround(), modes[i]);
		CHECK(same_rounding(round_now(), want[i]));
	}
	OK(fesetround(FE_UPWARD));
	return arg;
}

TEST(the_rounding_mode_is_a_threads_own)
{
	int i;

	for (i = 0; i < 4; i++) {
		OK(fesetround(modes[i]));
		want[i] = round_now();
	}
	OK(fesetround(FE_TONEAREST));
	CHECK(!same_rounding(want[1], want[2]));
	CHECK(!same_rounding(want[2], want[3]));
	all_wait(keeps_its_rounding, NULL);
	CHECK_INT(fegetround(), FE_TONEAREST);
	all_wait(keeps_its_rounding, NULL);
	CHECK(same_rounding(round_now(), want[0]));
}

static void *
has_creators_rounding(void *arg)
{
	int i = thr_num(arg);

	CHECK_INT(fegetround(), modes[i]);
	CHECK(same_rounding(round_now(), want[i]));
	OK(fesetround(modes[(i + 1) % 4]));
	return NULL;
}

TEST(a_new_thread_rounds_as_its_creator_does)
{
	int i, k;

	for (i = 0; i < 4; i++) {
		OK(fesetround(modes[i]));
		want[i] = round_now();
	}
	for (k = 0; k < 5; k++) {
		for (i = 0; i < 4; i++) {
			OK(fesetround(modes[i]));
			thr_join(thr_start(has_creators_rounding,
					   thr_ptr(i)));
			CHECK_INT(fegetround(), modes[i]);
		}
	}
	OK(fesetround(FE_TONEAREST));
}

/* A new thread is new, whatever the threads before it left behind. */
static pthread_key_t leftover;

static void *
leaves_a_mess(void *arg)
{
	sigset_t set;
	int n = thr_num(arg), old;

	errno = 10000 + n;
	tl_dirty(n);
	OK(pthread_setspecific(leftover, &leftover));
	uselocale(plain);
	OK(fesetround(FE_UPWARD));
	feraiseexcept(FE_DIVBYZERO | FE_INEXACT);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
	sigfillset(&set);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(pthread_setname_np(pthread_self(), "messy"));
	strerror(99999);
	wait_as(n);
	return arg;
}

static void *
is_new(void *arg)
{
	sigset_t set;
	int v, sig, n = thr_num(arg);

	CHECK_INT(errno, 0);
	CHECK(tl_is_fresh());
	CHECK(pthread_getspecific(leftover) == NULL);
	CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
	CHECK_INT(fegetround(), FE_TONEAREST);
	CHECK_INT(fetestexcept(FE_DIVBYZERO), 0);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &v));
	CHECK_INT(v, PTHREAD_CANCEL_ENABLE);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &v));
	CHECK_INT(v, PTHREAD_CANCEL_DEFERRED);
	OK(pthread_sigmask(SIG_BLOCK, NULL, &set));
	for (sig = 1; sig < 32; sig++)
		CHECK_INT(sigismember(&set, sig), 0);
	wait_as(n);
	CHECK_INT(errno, 0);
	CHECK(tl_is_fresh());
	return arg;
}

TEST(a_new_thread_is_new_after_a_thousand_messy_ones)
{
	sigset_t none;

	sigemptyset(&none);
	OK(pthread_sigmask(SIG_SETMASK, &none, NULL));
	OK(pthread_key_create(&leftover, NULL));
	plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	feclearexcept(FE_ALL_EXCEPT);
	all_wait(is_new, NULL);
	all_wait(leaves_a_mess, NULL);
	all_wait(is_new, NULL);
	freelocale(plain);
	OK(pthread_key_delete(leftover));
}

/* Kernel threads. */
static int
kernel_threads(void)
{
	char line[256];
	int n = -1;
	FILE *f = fopen("/proc/self/status", "r");

	CHECK(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "Threads: %d", &n) == 1)
			break;
	fclose(f);
	CHECK(n > 0);
	return n;
}

/* One that has done its work may still be on its way out. */
static void
are_few_or_all(void)
{
	int64_t until = t_now() + 5000 * T_MS;
	int most = 3 + thr_workers();
	int n = kernel_threads();

	while (cohook_self != NULL && n > most && t_now() < until) {
		thr_ms(10);
		n = kernel_threads();
	}
	if (cohook_self != NULL)
		CHECK(n <= most || (fprintf(stderr, "%d threads\n", n), 0));
	else
		CHECK(n >= N + 1);
}

static void *
only_waits(void *arg)
{
	wait_as(thr_num(arg));
	return arg;
}

TEST(a_thousand_waiting_threads_are_few_kernel_threads_if_coroutines)
{
	all_wait(only_waits, are_few_or_all);
	all_wait(only_waits, are_few_or_all);
}

/* Libraries that come when the threads are there already. */
static struct lib {
	void *handle;
	int (*check)(void);
	void (*mark)(int n);
	int (*marked)(void);
} libs[2];

static void *
symbol(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	CHECK(p != NULL);
	return p;
}

static void
open_libs(void)
{
	static const char *const names[] = { "tls_lib_gd.so", "tls_lib_ie.so" };
	char path[PATH_MAX];
	ssize_t n;
	size_t i;

	n = readlink("/proc/self/exe", path, sizeof path - 64);
	CHECK(n > 0);
	while (path[n - 1] != '/')
		n--;
	for (i = 0; i < LEN(names); i++) {
		strcpy(path + n, names[i]);
		libs[i].handle = dlopen(path, RTLD_NOW);
		if (libs[i].handle == NULL) {
			fprintf(stderr, "%s\n", dlerror());
			SKIP("the libraries are not beside the program");
		}
		/* dlsym() gives data pointers; POSIX lets them be called. */
		*(void **)&libs[i].check = symbol(libs[i].handle, "tls_check");
		*(void **)&libs[i].mark = symbol(libs[i].handle, "tls_mark");
		*(void **)&libs[i].marked = symbol(libs[i].handle,
						   "tls_marked");
		CHECK(libs[i].check());
		libs[i].mark(-9);
	}
}

static void
close_libs(void)
{
	size_t i;

	for (i = 0; i < LEN(libs); i++) {
		CHECK_INT(libs[i].marked(), -9);
		OK(dlclose(libs[i].handle));
		libs[i].handle = NULL;
	}
}

static void *
meets_the_libraries(void *arg)
{
	int n = thr_num(arg);
	size_t i;

	wait_as(n);
	CHECK(libs[0].handle != NULL);
	for (i = 0; i < LEN(libs); i++) {
		CHECK(libs[i].check());
		libs[i].mark(n);
	}
	if (n % 50 == 0)
		thr_ms(1);
	else
		sched_yield();
	for (i = 0; i < LEN(libs); i++)
		CHECK_INT(libs[i].marked(), n);
	return arg;
}

static void *
finds_the_libraries(void *arg)
{
	int n = thr_num(arg);
	size_t i;

	for (i = 0; i < LEN(libs); i++) {
		CHECK(libs[i].check());
		libs[i].mark(n);
	}
	wait_as(n);
	for (i = 0; i < LEN(libs); i++)
		CHECK_INT(libs[i].marked(), n);
	return arg;
}

TEST(a_library_opened_while_threads_wait_gives_each_fresh_variables)
{
	all_wait(meets_the_libraries, open_libs);
	close_libs();
}

TEST(a_library_opened_before_threads_start_gives_each_fresh_variables)
{
	open_libs();
	all_wait(finds_the_libraries, NULL);
	all_wait(finds_the_libraries, NULL);
	close_libs();
}

TEST(a_library_opened_again_starts_afresh_also_in_old_threads)
{
	all_wait(meets_the_libraries, open_libs);
	close_libs();
	all_wait(meets_the_libraries, open_libs);
	close_libs();
}
