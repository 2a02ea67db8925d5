/* SPDX-License-Identifier: MIT */
/* unit_cpus.c - how many CPUs there are for us, with files in place of those of
 * the kernel: proc(5) and cgroups(7) as machines and containers have them. */
#include <errno.h>

#include "unit.h"

#include "ctx/sys.h"

static long scripted_open(const char *path);
static long scripted_read(int fd, void *buf, size_t n);
static long scripted_affinity(void *set);

#undef sys4
#define sys4(nr, at, path, flags, mode) \
	((void)(at), (void)(flags), scripted_open(path))
#undef sys3
#define sys3(nr, a, b, c)                                            \
	((nr) == SYS_read ?                                          \
		 scripted_read((int)(a), (void *)(b), (size_t)(c)) : \
		 scripted_affinity((void *)(c)))
#undef sys1
#define sys1(nr, fd) ((void)(fd), opened--)

static int opened;

#include "hook/cpus.c"

struct co_real real;

static struct {
	const char *path, *text;
	size_t at;
} files[16];
static int nfiles, cpus;

static long
scripted_open(const char *path)
{
	int i;

	for (i = 0; i < nfiles; i++)
		if (strcmp(files[i].path, path) == 0) {
			files[i].at = 0;
			opened++;
			return i;
		}
	return -ENOENT;
}

/* A few bytes at a time, as the kernel may. */
static long
scripted_read(int fd, void *buf, size_t n)
{
	size_t left = strlen(files[fd].text) - files[fd].at;

	n = n > 7 ? 7 : n;
	n = n > left ? left : n;
	memcpy(buf, files[fd].text + files[fd].at, n);
	files[fd].at += n;
	return (long)n;
}

static long
scripted_affinity(void *set)
{
	int i;

	memset(set, 0, 128);
	for (i = 0; i < cpus; i++)
		((unsigned char *)set)[i / 8] |= 1 << i % 8;
	return 128;
}

static void
there_is(const char *path, const char *text)
{
	files[nfiles].path = path;
	files[nfiles++].text = text;
}

static int
setup(void **state)
{
	(void)state;
	nfiles = opened = 0;
	cpus = 100;
	return 0;
}

#define CGROUP "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"
#define FS "/sys/fs/cgroup"
#define MOUNT2             \
	"35 24 0:30 / " FS \
	" rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT1(root, point)                           \
	"24 1 0:22 / /proc rw - proc proc rw\n"       \
	"36 32 0:31 " root " " point                  \
	" rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n" \
	"37 32 0:33 / " FS "/cpuset rw - cgroup cgroup rw,cpuset\n"

static void
no_files_no_bound(void **state)
{
	(void)state;
	assert_int_equal(co_cpus(), 100);
	cpus = 1;
	assert_int_equal(co_cpus(), 1);
	cpus = 0;
	assert_int_equal(co_cpus(), 1);
}

static void
a_quota_is_rounded_up(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/app\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/app/cpu.max", "250000 100000\n");
	assert_int_equal(co_cpus(), 3);
	files[2].text = "200000 100000\n";
	assert_int_equal(co_cpus(), 2);
	files[2].text = "1000 100000\n";
	assert_int_equal(co_cpus(), 1);
	assert_int_equal(opened, 0);
}

static void
fewer_cpus_than_quota_count(void **state)
{
	(void)state;
	cpus = 2;
	there_is(CGROUP, "0::/app\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/app/cpu.max", "800000 100000\n");
	assert_int_equal(co_cpus(), 2);
}

static void
max_is_no_bound(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/app\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/app/cpu.max", "max 100000\n");
	assert_int_equal(co_cpus(), 100);
}

static void
groups_around_bound_too(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/system.slice/app.service\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/system.slice/app.service/cpu.max", "max 100000\n");
	there_is(FS "/system.slice/cpu.max", "400000 100000\n");
	there_is(FS "/cpu.max", "700000 100000\n");
	/* No group, but it would be found by going up too far. */
	there_is("/sys/fs/cpu.max", "100000 100000\n");
	assert_int_equal(co_cpus(), 4);
	files[4].text = "200000 100000\n";
	assert_int_equal(co_cpus(), 2);
}

static void
the_root_of_a_container_is_its_group(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/cpu.max", "150000 50000\n");
	assert_int_equal(co_cpus(), 3);
}

static void
version_1_has_two_files(void **state)
{
	(void)state;
	there_is(CGROUP, "9:name=systemd:/x\n3:cpuset:/y\n"
			 "2:cpu,cpuacct:/user.slice/app\n0::/\n");
	there_is(MOUNTS, MOUNT1("/", FS "/cpu,cpuacct"));
	there_is(FS "/cpu,cpuacct/user.slice/app/cpu.cfs_quota_us", "-1\n");
	there_is(FS "/cpu,cpuacct/user.slice/app/cpu.cfs_period_us",
		 "100000\n");
	there_is(FS "/cpu,cpuacct/user.slice/cpu.cfs_quota_us", "450000\n");
	there_is(FS "/cpu,cpuacct/user.slice/cpu.cfs_period_us", "100000\n");
	there_is(FS "/cpuset/user.slice/app/cpu.cfs_quota_us", "100000\n");
	there_is(FS "/cpuset/user.slice/app/cpu.cfs_period_us", "100000\n");
	assert_int_equal(co_cpus(), 5);
	files[2].text = "150000\n";
	assert_int_equal(co_cpus(), 2);
	assert_int_equal(opened, 0);
}

/* Docker, without namespaces for groups: the path is the host's. */
static void
a_mount_may_begin_at_our_group(void **state)
{
	(void)state;
	there_is(CGROUP, "4:cpuacct,cpu:/docker/0123\n");
	there_is(MOUNTS, MOUNT1("/docker/0123", FS "/cpu"));
	there_is(FS "/cpu/cpu.cfs_quota_us", "300000\n");
	there_is(FS "/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(co_cpus(), 3);
}

static void
a_mount_of_another_group_says_nothing(void **state)
{
	(void)state;
	there_is(CGROUP, "4:cpu:/docker/01234\n");
	there_is(MOUNTS, MOUNT1("/docker/0123", FS "/cpu"));
	there_is(FS "/cpu/cpu.cfs_quota_us", "300000\n");
	there_is(FS "/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(co_cpus(), 100);
}

static void
a_group_above_our_namespace_says_nothing(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/../other\n");
	there_is(MOUNTS, MOUNT2);
	there_is(FS "/../other/cpu.max", "100000 100000\n");
	assert_int_equal(co_cpus(), 100);
}

static void
a_mount_point_may_hold_a_space(void **state)
{
	(void)state;
	there_is(CGROUP, "0::/app\n");
	there_is(MOUNTS, "35 24 0:30 / /a\\040b rw - cgroup2 none rw\n");
	there_is("/a b/app/cpu.max", "500000 100000\n");
	assert_int_equal(co_cpus(), 5);
}

static void
nonsense_is_no_bound(void **state)
{
	static const char *const texts[] = {
		"",         "\n",        "x",        "100000",
		"100000 0", "-1 100000", "0 100000", "99999999999999999999999 1"
	};
	size_t i;

	(void)state;
	there_is(CGROUP, "\n:\n1:cpu\n0::/app");
	there_is(MOUNTS, "\n1\n1 2 3 / /x\n1 2 3 / /x rw -\n" MOUNT2);
	there_is(FS "/app/cpu.max", "");
	for (i = 0; i < UNIT_COUNT(texts); i++) {
		files[2].text = texts[i];
		assert_int_equal(co_cpus(), 100);
	}
	files[2].text = "200000 100000";
	assert_int_equal(co_cpus(), 2);
}

static void
a_line_may_be_too_long(void **state)
{
	static char mounts[3 * LINE];

	(void)state;
	memset(mounts, 'x', 2 * LINE);
	strcpy(mounts + 2 * LINE, "\n" MOUNT2);
	there_is(CGROUP, "0::/app\n");
	there_is(MOUNTS, mounts);
	there_is(FS "/app/cpu.max", "200000 100000\n");
	assert_int_equal(co_cpus(), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_files_no_bound, setup),
		cmocka_unit_test_setup(a_quota_is_rounded_up, setup),
		cmocka_unit_test_setup(fewer_cpus_than_quota_count, setup),
		cmocka_unit_test_setup(max_is_no_bound, setup),
		cmocka_unit_test_setup(groups_around_bound_too, setup),
		cmocka_unit_test_setup(the_root_of_a_container_is_its_group,
				       setup),
		cmocka_unit_test_setup(version_1_has_two_files, setup),
		cmocka_unit_test_setup(a_mount_may_begin_at_our_group, setup),
		cmocka_unit_test_setup(a_mount_of_another_group_says_nothing,
				       setup),
		cmocka_unit_test_setup(a_group_above_our_namespace_says_nothing,
				       setup),
		cmocka_unit_test_setup(a_mount_point_may_hold_a_space, setup),
		cmocka_unit_test_setup(nonsense_is_no_bound, setup),
		cmocka_unit_test_setup(a_line_may_be_too_long, setup),
	};

	return cmocka_run_group_tests_name("unit_cpus", tests, NULL, NULL);
}
