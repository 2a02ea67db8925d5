/* SPDX-License-Identifier: MIT */
/* calls.c - libc's calls, and what becomes of each under cohook.
 *
 * What is hooked is in hooks.def.  Which of those never wait, or cost a kernel
 * thread while they do, is said here; tests/tool_check holds it against
 * the hooks' sources. */
#include <stdlib.h>
#include <string.h>

#include "hook/tool/tool.h"

const char *const effect_name[EFFECTS] = {
	[YIELDS] = "yields",
	[LENDS] = "lends",
	[KEEPS] = "keeps",
	[BLOCKS] = "blocks",
	[UNSEEN] = "unseen",
};

const char *const effect_text[EFFECTS] = {
	[YIELDS] = "yield: other coroutines run while these wait",
	[LENDS] = ("lend: these cost a kernel thread while they wait, and "
		   "another takes over"),
	[KEEPS] = "keep: hooked as well, but these never wait",
	[BLOCKS] = "block: not hooked; where these wait, their kernel thread does",
	[UNSEEN] = "unseen: what these do or bring in is not looked at here",
};

/* Hooked, and in the hands of libc or the kernel while they wait. */
static const char lends[] =
	"getaddrinfo getnameinfo gethostbyname gethostbyname2 gethostbyaddr "
	"gethostbyname_r gethostbyname2_r gethostbyaddr_r "
	"wait waitpid wait4 waitid wait3 system pclose "
	"preadv pwritev preadv2 pwritev2 preadv64 pwritev64 preadv64v2 "
	"pwritev64v2 copy_file_range "
	"open open64 __open __open64 openat openat64 __open_2 __open64_2 "
	"__openat_2 __openat64_2 creat creat64 fopen fopen64 _IO_fopen freopen "
	"freopen64 flock lockf lockf64 sync msync tcdrain tcsetattr semop "
	"semtimedop msgsnd msgrcv syslog vsyslog __syslog_chk __vsyslog_chk "
	"popen _IO_popen posix_spawn posix_spawnp __wait __waitpid "
	"__res_query __res_search __res_querydomain __res_nquery "
	"__res_nsearch __res_nquerydomain __res_send __res_nsend "
	"pthread_mutex_setprioceiling ";

/* Hooked to keep the books: of descriptors, threads, masks and owners. */
static const char keeps[] =
	"socket socketpair pipe pipe2 __pipe close __close close_range closefrom "
	"fclose shutdown dup dup2 __dup2 dup3 fcntl fcntl64 __fcntl ioctl "
	"setsockopt "
	"pthread_create pthread_tryjoin_np pthread_detach pthread_kill "
	"pthread_cancel pthread_getattr_np pthread_setname_np "
	"pthread_getname_np pthread_getaffinity_np gettid pthread_exit "
	"thrd_exit thrd_create thrd_detach pthread_key_create "
	"__pthread_key_create pthread_key_delete tss_create tss_delete "
	"pthread_mutex_consistent pthread_getcpuclockid "
	"clock_gettime clock_getres getrusage ptrace "
	"dl_iterate_phdr "
	"pthread_mutex_init __pthread_mutex_init pthread_mutex_trylock "
	"__pthread_mutex_trylock pthread_mutex_unlock __pthread_mutex_unlock "
	"mtx_unlock pthread_cond_init pthread_cond_destroy "
	"pthread_cond_signal pthread_cond_broadcast cnd_signal "
	"cnd_broadcast sem_trywait sem_post pthread_spin_trylock "
	"pthread_rwlock_tryrdlock "
	"__pthread_rwlock_tryrdlock pthread_rwlock_trywrlock "
	"__pthread_rwlock_trywrlock pthread_rwlock_unlock "
	"__pthread_rwlock_unlock pthread_barrier_init "
	"sigaction __sigaction signal pthread_sigmask sigprocmask longjmp "
	"_longjmp siglongjmp __longjmp_chk setcontext swapcontext sigpending "
	"signalfd raise tgkill pthread_sigqueue sigaltstack vfork mq_close ";

/* Not hooked (hooks.def goes before this list), and each may wait for long:
 * for a disk, a peer, a lock, or a slow descriptor under a stdio stream.
 * Left out are those that wait where a file lies on a slow disk alone: open,
 * stat and their like, which every program has. */
static const char blocks[] =
	"flock lockf lockf64 fsync fdatasync sync syncfs sync_file_range msync "
	"pread pread64 __pread_chk __pread64_chk pwrite pwrite64 "
	"preadv pwritev preadv64 pwritev64 preadv2 pwritev2 preadv64v2 "
	"pwritev64v2 "
	"sendfile sendfile64 splice tee vmsplice copy_file_range "
	"recvmmsg sendmmsg eventfd_read eventfd_write "
	"msgrcv msgsnd semop semtimedop mq_receive mq_timedreceive mq_send "
	"mq_timedsend __mq_timedreceive_time64 aio_suspend aio_suspend64 "
	"lio_listio lio_listio64 wait3 popen tcdrain getpass posix_fallocate "
	"posix_fallocate64 "
	"getpwnam getpwnam_r getpwuid getpwuid_r getgrnam getgrnam_r getgrgid "
	"getgrgid_r getgrouplist initgroups getservbyname getservbyname_r "
	"getservbyport getservbyport_r getprotobyname getprotobyname_r "
	"getprotobynumber getnetbyname getnetbyname_r getspnam getspnam_r "
	"res_query __res_query res_search __res_search res_nquery "
	"__res_nquery res_nsearch __res_nsearch res_send res_nsend "
	"syslog vsyslog __syslog_chk __vsyslog_chk "
	"pthread_mutex_lock pthread_cond_wait "
	"fgets fgets_unlocked __fgets_chk __fgets_unlocked_chk fread "
	"fread_unlocked __fread_chk __fread_unlocked_chk fgetc getc "
	"getc_unlocked fgetc_unlocked getchar getchar_unlocked _IO_getc __uflow "
	"__underflow getline __getdelim getdelim fscanf scanf vfscanf vscanf "
	"__isoc99_fscanf __isoc99_scanf __isoc99_vfscanf __isoc99_vscanf "
	"__isoc23_fscanf __isoc23_scanf fgetwc getwc fgetws getwchar "
	"fwrite fwrite_unlocked fputs fputs_unlocked puts fputc "
	"fputc_unlocked putc putc_unlocked putchar putchar_unlocked _IO_putc "
	"__overflow printf fprintf vprintf vfprintf __printf_chk __fprintf_chk "
	"__vprintf_chk __vfprintf_chk dprintf vdprintf __dprintf_chk "
	"__vdprintf_chk fputwc putwc fputws putwchar fwprintf wprintf "
	"__fwprintf_chk perror psignal fflush fflush_unlocked freopen "
	"freopen64 fcloseall error error_at_line warn warnx err errx ";

static const char unseen[] =
	"syscall dlopen dlmopen clone io_uring_enter io_uring_setup "
	"io_uring_queue_init io_uring_submit io_uring_wait_cqe "
	"io_uring_wait_cqes ";

static struct call *calls;
static size_t ncalls;

static void
add(const char *name, enum effect effect, bool on_fd)
{
	struct call *c;

	calls = more(calls, (ncalls + 1) * sizeof(*calls));
	c = &calls[ncalls++];
	c->name = name;
	c->effect = effect;
	c->on_fd = on_fd;
}

static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	const char *p;

	for (p = list; (p = strstr(p, name)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') && p[n] == ' ')
			return true;
	return false;
}

/* region: its whole hook is a blocking region (hook/region.h). */
static void
add_hook(const char *name, const char *params, bool region)
{
	static const char *const fd[] = { "(int fd", "(int in,", "(int out," };
	bool on_fd = false;
	size_t i;

	for (i = 0; i < sizeof(fd) / sizeof(*fd); i++)
		if (strncmp(params, fd[i], strlen(fd[i])) == 0)
			on_fd = true;
	add(name,
	    region || listed(lends, name) ? LENDS
	    : listed(keeps, name)	  ? KEEPS
					  : YIELDS,
	    on_fd);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct call *)a)->name,
		      ((const struct call *)b)->name);
}

static struct call *
find(const char *name)
{
	struct call key = { .name = name };

	return bsearch(&key, calls, ncalls, sizeof(*calls), by_name);
}

/* The same function under another name. */
static void
add_alias(const char *name, const char *of, size_t hooked)
{
	struct call key = { .name = of }, *c;

	c = bsearch(&key, calls, hooked, sizeof(*calls), by_name);
	if (c == NULL)
		die(EXIT_OURS, "hooks.def: %s is an alias of no hook", name);
	key = *c; /* calls may move */
	add(name, key.effect, key.on_fd);
}

/* Those of a list that are not hooked: a hook goes before. */
static void
add_list(const char *list, enum effect effect)
{
	char *words = strdup(list), *word, *save;
	size_t hooked = ncalls;
	struct call key;

	if (words == NULL)
		die(EXIT_OURS, "no memory");
	for (word = strtok_r(words, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		key.name = word;
		if (bsearch(&key, calls, hooked, sizeof(*calls), by_name) ==
		    NULL)
			add(word, effect, false);
	}
	qsort(calls, ncalls, sizeof(*calls), by_name);
}

static void
build(void)
{
	size_t hooked;

#define ALIAS(alias, name)
#define HOOK(ret, name, params, args) add_hook(#name, #params, false);
#define HOOK_LENDS(ret, name, params, args) add_hook(#name, #params, true);
#define HOOK_SHORT(ret, name, params, args) add_hook(#name, #params, true);
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
	qsort(calls, ncalls, sizeof(*calls), by_name);
	hooked = ncalls;
#define HOOK(ret, name, params, args)
#define ALIAS(alias, name) add_alias(#alias, #name, hooked);
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
	qsort(calls, ncalls, sizeof(*calls), by_name);
	add_list(blocks, BLOCKS);
	add_list(unseen, UNSEEN);
}

const struct call *
call_of(const char *name)
{
	if (calls == NULL)
		build();
	return find(name);
}
