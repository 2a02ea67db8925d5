/* SPDX-License-Identifier: MIT */
/* slow_files.c - files on a file system that takes its time, and others who go
 * on meanwhile.
 *
 * The file system is a process of ours behind /dev/fuse, in a mount namespace
 * of its own, reached by /proc/PID/root.  It answers a slow request only when
 * the ticker, a thread of the case, has ticked on since the request came: who
 * holds up the others while it waits for a file waits for ever. */
#define _GNU_SOURCE
#include <linux/fuse.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "party.h"

enum {
	TICKS = 5,           /* that a request is held for */
	SIZE = 256 * 1024,   /* of the file that is there */
	ROOM = 1024 * 1024,  /* for what is written */
	MOST = 64,           /* requests held */
	BUFFER = 256 * 1024, /* one of them, at most */
};

/* What the two processes share. */
static struct shared {
	_Atomic long ticks;
	_Atomic int together; /* READs to be held until so many have come */
	_Atomic int held_most;
	_Atomic long slow; /* requests that were held */
} * shared;

/*
 * The file system: a root with "there" (SIZE bytes of the pattern), and "log",
 * which is written to.
 */

enum { ROOT = FUSE_ROOT_ID, THERE, LOG };

static struct held {
	struct fuse_in_header h;
	long until;
	uint64_t offset;
	uint32_t size;
} held[MOST];
static int nheld;
static int dev;
static unsigned char *content[LOG + 1];
static size_t length[LOG + 1];
static bool direct[LOG + 1];

static void
reply(const struct fuse_in_header *h, int err, const void *data, size_t n)
{
	struct fuse_out_header o = { .error = -err, .unique = h->unique };
	struct iovec v[2] = { { &o, sizeof o },
			      { (void *)(uintptr_t)data, n } };

	if (err != 0)
		n = 0;
	v[1].iov_len = n;
	o.len = (uint32_t)(sizeof o + n);
	/* Of one whose caller has been killed nobody wants to know. */
	if (writev(dev, v, 2) == -1 && errno != ENOENT)
		_exit(3);
}

static void
attr_of(uint64_t node, struct fuse_attr *a)
{
	memset(a, 0, sizeof *a);
	a->ino = node;
	a->mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644;
	a->nlink = 1;
	a->size = node == ROOT ? 0 : length[node];
	a->blksize = 4096;
}

static void
look_up(const struct fuse_in_header *h, const char *name)
{
	struct fuse_entry_out e = { .attr_valid = 0 };

	e.nodeid = strcmp(name, "there") == 0 ? THERE :
		   strcmp(name, "log") == 0   ? LOG :
						0;
	if (e.nodeid == 0) {
		reply(h, ENOENT, NULL, 0);
		return;
	}
	attr_of(e.nodeid, &e.attr);
	reply(h, 0, &e, sizeof e);
}

static bool
is_slow(uint32_t opcode)
{
	return opcode == FUSE_OPEN || opcode == FUSE_READ ||
	       opcode == FUSE_WRITE || opcode == FUSE_FSYNC ||
	       opcode == FUSE_FLUSH;
}

/* A request that was held has waited long enough. */
static void
answer(const struct held *r)
{
	const struct fuse_in_header *h = &r->h;
	struct fuse_open_out open_out = { 0 };
	struct fuse_write_out write_out = { .size = r->size };
	size_t n;

	switch (h->opcode) {
	case FUSE_OPEN:
		open_out.open_flags = direct[h->nodeid] ? FOPEN_DIRECT_IO : 0;
		reply(h, 0, &open_out, sizeof open_out);
		break;
	case FUSE_READ:
		n = r->offset >= length[h->nodeid] ?
			    0 :
			    length[h->nodeid] - r->offset;
		n = n < r->size ? n : r->size;
		reply(h, 0, content[h->nodeid] + r->offset, n);
		break;
	case FUSE_WRITE:
		reply(h, 0, &write_out, sizeof write_out);
		break;
	default:
		reply(h, 0, NULL, 0);
	}
}

static void
hold(const struct fuse_in_header *h, const void *arg)
{
	const struct fuse_read_in *read_in = arg;
	const struct fuse_write_in *write_in = arg;
	struct held *r = &held[nheld++];

	if (nheld > MOST)
		_exit(4);
	r->h = *h;
	r->until = shared->ticks + TICKS;
	shared->slow++;
	if (nheld > shared->held_most)
		shared->held_most = nheld;
	if (h->opcode == FUSE_READ) {
		r->offset = read_in->offset;
		r->size = read_in->size;
	} else if (h->opcode == FUSE_WRITE) {
		r->size = write_in->size;
		if (write_in->offset + write_in->size > ROOM)
			_exit(5);
		memcpy(content[h->nodeid] + write_in->offset, write_in + 1,
		       write_in->size);
		if (length[h->nodeid] < write_in->offset + write_in->size)
			length[h->nodeid] = write_in->offset + write_in->size;
	}
}

static void
request(const char *buf, size_t n)
{
	const struct fuse_in_header *h = (const void *)buf;
	const void *arg = h + 1;
	const struct fuse_init_in *init = arg;
	const struct fuse_setattr_in *set = arg;
	struct fuse_init_out init_out = { 0 };
	struct fuse_attr_out attr = { 0 };

	if (n < sizeof *h)
		_exit(6);
	if (is_slow(h->opcode)) {
		hold(h, arg);
		return;
	}
	switch (h->opcode) {
	case FUSE_INIT:
		init_out.major = FUSE_KERNEL_VERSION;
		init_out.minor = init->minor < FUSE_KERNEL_MINOR_VERSION ?
					 init->minor :
					 FUSE_KERNEL_MINOR_VERSION;
		init_out.max_write = 64 * 1024;
		init_out.max_readahead = 0;
		reply(h, 0, &init_out, sizeof init_out);
		break;
	case FUSE_LOOKUP:
		look_up(h, arg);
		break;
	case FUSE_SETATTR:
		if (set->valid & FATTR_SIZE)
			length[h->nodeid] = set->size;
		/* fall through */
	case FUSE_GETATTR:
		attr_of(h->nodeid, &attr.attr);
		reply(h, 0, &attr, sizeof attr);
		break;
	case FUSE_RELEASE:
		reply(h, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(h, ENOSYS, NULL, 0);
	}
}

static int
reads_held(void)
{
	int i, n = 0;

	for (i = 0; i < nheld; i++)
		n += held[i].h.opcode == FUSE_READ;
	return n;
}

static void
answer_those_who_waited(void)
{
	int i, together = shared->together;

	if (together > 0 && reads_held() >= together)
		shared->together = together = 0;
	for (i = 0; i < nheld; i++) {
		if (shared->ticks < held[i].until ||
		    (together > 0 && held[i].h.opcode == FUSE_READ))
			continue;
		answer(&held[i]);
		held[i--] = held[--nheld];
	}
}

static _Noreturn void
serve(void)
{
	static char buf[BUFFER];
	struct pollfd p = { .fd = dev, .events = POLLIN };
	ssize_t n;

	for (;;) {
		if (poll(&p, 1, 1) > 0) {
			n = read(dev, buf, sizeof buf);
			if (n < 0 && errno != ENOENT && errno != EINTR &&
			    errno != EAGAIN)
				_exit(0); /* unmounted */
			if (n > 0)
				request(buf, (size_t)n);
		}
		answer_those_who_waited();
	}
}

/*
 * The case's side
 */

static pid_t server;
/* Over this the server mounts it, for itself alone. */
static const char dir[] = "/tmp";
static char root[PATH_MAX];
static pthread_t ticker;
static _Atomic bool over;

static void *
tick(void *arg)
{
	while (!over) {
		usleep(1000);
		shared->ticks++;
	}
	return arg;
}

static _Noreturn void
be_the_server(int tell)
{
	char opt[128];

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		_exit(77);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev == -1)
		_exit(77);
	snprintf(opt, sizeof opt,
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=65536",
		 dev);
	if (mount("slow", dir, "fuse", MS_NOSUID | MS_NODEV, opt) != 0)
		_exit(77);
	if (write(tell, "x", 1) != 1)
		_exit(7);
	close(tell);
	serve();
}

static void
begin(bool is_direct)
{
	int told[2];
	char c;

	if (access("/dev/fuse", R_OK | W_OK) != 0)
		SKIP("no /dev/fuse for us here");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	direct[THERE] = direct[LOG] = is_direct;
	content[THERE] = malloc(ROOM);
	content[LOG] = malloc(ROOM);
	CHECK(content[THERE] != NULL && content[LOG] != NULL);
	pattern(content[THERE], SIZE, 0);
	length[THERE] = SIZE;
	CHECK_INT(pipe(told), 0);
	server = fork();
	CHECK(server != -1);
	if (server == 0)
		be_the_server(told[1]);
	shut(told[1]);
	if (read(told[0], &c, 1) != 1)
		SKIP("no mounting of file systems here");
	shut(told[0]);
	snprintf(root, sizeof root, "/proc/%d/root%s", (int)server, dir);
	ticker = party(tick, NULL);
}

static void
end(void)
{
	over = true;
	leaves(ticker);
	CHECK(shared->slow > 0);
	CHECK_INT(kill(server, SIGKILL), 0);
	CHECK_INT(waitpid(server, NULL, 0), server);
	free(content[THERE]);
	free(content[LOG]);
	CHECK_INT(munmap(shared, sizeof *shared), 0);
}

static int
slow_open(const char *name, int flags)
{
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, name);
	fd = open(path, flags);
	CHECK(fd != -1);
	return fd;
}

static FILE *
slow_fopen(const char *name, const char *mode)
{
	char path[PATH_MAX + 16];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, name);
	f = fopen(path, mode);
	CHECK(f != NULL);
	return f;
}

/* All of "log", as it is there now. */
static size_t
read_log(char *buf, size_t room)
{
	int fd = slow_open("log", O_RDONLY);
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, buf + n, room - n)) > 0)
		n += (size_t)r;
	CHECK_INT(r, 0);
	shut(fd);
	return n;
}

TEST(a_slow_file_is_read_while_others_go_on)
{
	static unsigned char buf[SIZE];
	int fd;

	begin(true);
	fd = slow_open("there", O_RDONLY);
	CHECK_RET(read(fd, buf, 10000), 10000);
	check_pattern(buf, 10000, 0);
	CHECK_RET(pread(fd, buf, 5000, 100000), 5000);
	check_pattern(buf, 5000, 100000);
	CHECK_INT(lseek(fd, SIZE - 100, SEEK_SET), SIZE - 100);
	CHECK_RET(read(fd, buf, 10000), 100);
	CHECK_RET(read(fd, buf, 10000), 0);
	shut(fd);
	end();
}

static void *
reads_a_part(void *arg)
{
	size_t at = (size_t)(intptr_t)arg * 20000;
	unsigned char buf[5000];
	int fd = slow_open("there", O_RDONLY);

	CHECK_RET(pread(fd, buf, sizeof buf, (off_t)at), sizeof buf);
	check_pattern(buf, sizeof buf, at);
	shut(fd);
	return NULL;
}

TEST(many_wait_for_one_slow_disk_at_the_same_time)
{
	enum { MANY = 8 };
	pthread_t th[MANY];
	int i;

	begin(true);
	shared->together = MANY;
	for (i = 0; i < MANY; i++)
		th[i] = party(reads_a_part, (void *)(intptr_t)i);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	CHECK_INT(shared->together, 0);
	end();
}

TEST(a_log_is_printed_to_a_slow_disk)
{
	enum { LINES = 200, FLUSH = 40 };
	static char buf[ROOM], line[64];
	size_t n, at = 0;
	FILE *f;
	int i;

	begin(false);
	f = slow_fopen("log", "a");
	for (i = 0; i < LINES; i++) {
		CHECK(fprintf(f, "line %d of the log\n", i) > 0);
		if (i % FLUSH == 0)
			CHECK_INT(fflush(f), 0);
	}
	CHECK_INT(fclose(f), 0);
	n = read_log(buf, sizeof buf);
	for (i = 0; i < LINES; i++) {
		snprintf(line, sizeof line, "line %d of the log\n", i);
		CHECK(at + strlen(line) <= n);
		CHECK(memcmp(buf + at, line, strlen(line)) == 0);
		at += strlen(line);
	}
	CHECK_INT(at, n);
	end();
}

static void *
logs(void *arg)
{
	FILE *f = arg;
	int i;

	for (i = 0; i < 10; i++) {
		CHECK(fprintf(f, "%s\n", "0123456789abcdef") == 17);
		CHECK_INT(fflush(f), 0);
	}
	return NULL;
}

TEST(many_print_to_one_slow_log_and_no_line_is_torn)
{
	enum { MANY = 4 };
	static char buf[ROOM];
	pthread_t th[MANY];
	size_t n, at;
	FILE *f;
	int i;

	begin(false);
	f = slow_fopen("log", "a");
	for (i = 0; i < MANY; i++)
		th[i] = party(logs, f);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
	CHECK_INT(fclose(f), 0);
	n = read_log(buf, sizeof buf);
	CHECK_INT(n, MANY * 10 * 17);
	for (at = 0; at < n; at += 17)
		CHECK(memcmp(buf + at, "0123456789abcdef\n", 17) == 0);
	end();
}

TEST(what_is_written_to_a_slow_disk_is_synced)
{
	static char buf[ROOM];
	struct iovec v[2] = { { (char *)"second ", 7 },
			      { (char *)"third ", 6 } };
	int fd;

	begin(false);
	fd = slow_open("log", O_WRONLY | O_APPEND);
	CHECK_RET(write(fd, "first ", 6), 6);
	CHECK_RET(fsync(fd), 0);
	CHECK_RET(writev(fd, v, 2), 13);
	CHECK_RET(fdatasync(fd), 0);
	CHECK_RET(pwritev(fd, v, 1, 0), 7); /* O_APPEND: at the end */
	shut(fd);
	CHECK_INT(read_log(buf, sizeof buf), 26);
	CHECK(memcmp(buf, "first second third second ", 26) == 0);
	end();
}

TEST(O_DIRECT_goes_to_the_slow_disk_each_time)
{
	unsigned char *buf = aligned_alloc(4096, 8192);
	long slow;
	int fd;

	CHECK(buf != NULL);
	begin(false);
	fd = slow_open("there", O_RDONLY | O_DIRECT);
	slow = shared->slow;
	CHECK_RET(pread(fd, buf, 8192, 4096), 8192);
	check_pattern(buf, 8192, 4096);
	CHECK_RET(pread(fd, buf, 8192, 4096), 8192);
	CHECK(shared->slow >= slow + 2);
	shut(fd);
	free(buf);
	end();
}

TEST(a_page_fault_on_a_slow_disk_holds_up_nobody)
{
	unsigned char *p;
	size_t at;
	int fd;

	begin(false);
	fd = slow_open("there", O_RDONLY);
	p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	for (at = 0; at < SIZE; at += 64 * 1024)
		check_pattern(p + at, 100, at);
	CHECK_INT(munmap(p, SIZE), 0);
	shut(fd);
	end();
}

struct client {
	int fd;
	size_t n;
};

static void *
downloads(void *arg)
{
	struct client *c = arg;
	char end_;

	take(c->fd, c->n, 0);
	CHECK_RET(read(c->fd, &end_, 1), 0);
	return NULL;
}

TEST(a_slow_file_is_served_to_a_socket)
{
	static unsigned char buf[32 * 1024];
	struct client c = { .n = SIZE };
	pthread_t th;
	int s[2], fd;
	ssize_t n;

	begin(true);
	tcp_pair(s);
	c.fd = s[1];
	th = party(downloads, &c);
	fd = slow_open("there", O_RDONLY);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		CHECK_RET(send(s[0], buf, (size_t)n, 0), n);
	CHECK_INT(n, 0);
	CHECK_INT(shutdown(s[0], SHUT_WR), 0);
	leaves(th);
	shut(fd);
	shut_both(s);
	end();
}

TEST(a_slow_file_is_served_by_sendfile)
{
	struct client c = { .n = SIZE };
	off_t at = 0;
	pthread_t th;
	int s[2], fd;
	ssize_t n;

	begin(false);
	tcp_pair(s);
	c.fd = s[1];
	th = party(downloads, &c);
	fd = slow_open("there", O_RDONLY);
	while (at < SIZE) {
		n = sendfile(s[0], fd, &at, (size_t)(SIZE - at));
		CHECK(n > 0);
	}
	CHECK_INT(at, SIZE);
	CHECK_INT(shutdown(s[0], SHUT_WR), 0);
	leaves(th);
	shut(fd);
	shut_both(s);
	end();
}

TEST(stdio_reads_from_a_slow_disk)
{
	static unsigned char buf[SIZE + 1];
	size_t n = 0;
	FILE *f;
	int c;

	begin(false);
	f = slow_fopen("there", "r");
	while (n < 100 && (c = getc(f)) != EOF)
		buf[n++] = (unsigned char)c;
	n += fread(buf + n, 1, sizeof buf - n, f);
	CHECK_INT(n, SIZE);
	check_pattern(buf, SIZE, 0);
	CHECK(feof(f));
	CHECK_INT(fclose(f), 0);
	end();
}

/* close(2) and dup2(2) write out what the file has: FUSE_FLUSH. */
TEST(closing_a_slow_file_holds_up_nobody)
{
	int fd, other;

	begin(false);
	fd = slow_open("there", O_RDONLY);
	other = slow_open("log", O_WRONLY);
	CHECK_RET(dup2(other, fd), fd);
	CHECK_RET(close(other), 0);
	CHECK_RET(close(fd), 0);
	end();
}
