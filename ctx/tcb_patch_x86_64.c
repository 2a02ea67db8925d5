/* SPDX-License-Identifier: MIT */
/* tcb_patch_x86_64.c - clone3 caught by a jump in libc's text.
 *
 * glibc has one `mov $435,%eax; syscall' (b8 b3 01 00 00 0f 05).  The mov is
 * five bytes, as long as a jump: it goes to a trampoline near libc, which
 * asks a thread-local whether this thread is being caught, and if not does the
 * mov and jumps back.  Real threads go on as ever.  For kernels without
 * Syscall User Dispatch; refused unless the pattern is there exactly once.
 */
#include <elf.h>
#include <link.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctx/sys.h"
#include "ctx/tcb_ways.h"

static const unsigned char pattern[7] = { 0xb8, 0xb3, 0x01, 0x00,
					  0x00, 0x0f, 0x05 };
enum { MOV = 5, PAGE = 4096 };

/* What the trampoline saves, by hand: the order is in emit(). */
struct saved {
	uint64_t rdx, rsi, rdi, r8, r9, r10, rbx, rbp, r12, r13, r14, r15;
};

static __thread struct co_tcb *catching __attribute__((used));

struct found {
	unsigned char *at;
	unsigned char *text;
	size_t len;
	int n;
};

static int
look(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct found *f = arg;
	const char *base = strrchr(info->dlpi_name, '/');
	int i;

	(void)size;
	if (strncmp(base ? base + 1 : info->dlpi_name, "libc.so.", 8) != 0)
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		unsigned char *p, *end;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		p = (unsigned char *)info->dlpi_addr + ph->p_vaddr;
		end = p + ph->p_memsz;
		f->text = p;
		f->len = ph->p_memsz;
		while ((p = memmem(p, (size_t)(end - p), pattern,
				   sizeof(pattern))) != NULL) {
			f->at = p++;
			f->n++;
		}
	}
	return 1;
}

/* Called by the trampoline in a thread that is being caught, in place of the
 * system call; returns its answer. */
__attribute__((used)) static long
caught(const struct clone_args *args, const struct saved *s, uint64_t rip)
{
	struct co_tcb *t = catching;
	struct co_regs *g = &t->regs;

	catching = NULL;
	g->rax = 0;
	g->rbx = s->rbx;
	g->rcx = 0;
	g->rdx = s->rdx;
	g->rsi = s->rsi;
	g->rdi = s->rdi;
	g->rbp = s->rbp;
	g->rsp = args->stack + args->stack_size;
	g->r8 = s->r8;
	g->r9 = s->r9;
	g->r10 = s->r10;
	g->r12 = s->r12;
	g->r13 = s->r13;
	g->r14 = s->r14;
	g->r15 = s->r15;
	g->rip = rip;
	t->ctx.tp = args->tls;
	t->clear_tid = (int *)(uintptr_t)args->child_tid;
	if (args->flags & CLONE_PARENT_SETTID)
		*(int *)(uintptr_t)args->parent_tid = t->tid;
	return t->tid;
}

static unsigned char *
put(unsigned char *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

#define PUT(p, ...)                                                           \
	put(p, (const unsigned char[]){ __VA_ARGS__ },                        \
	    sizeof((const unsigned char[]){ __VA_ARGS__ }))

/* mov fs:off,%rax; test; jne 1f; mov $435,%eax; jmp back_to_syscall
 * 1: push r15..rdx; call caught(rdi, rsp, after); add; jmp after */
static void
emit(unsigned char *p, unsigned char *at)
{
	int32_t off = (int32_t)((uintptr_t)&catching - co_ctx_tp());
	unsigned char *to_syscall = at + MOV, *after = at + MOV + 2;
	uint64_t fn = (uint64_t)caught, ret = (uint64_t)after;
	int32_t rel;

	p = PUT(p, 0x64, 0x48, 0x8b, 0x04, 0x25); /* mov %fs:off32,%rax */
	p = put(p, &off, 4);
	p = PUT(p, 0x48, 0x85, 0xc0);             /* test %rax,%rax */
	p = PUT(p, 0x75, 0x0a);                   /* jne +10 */
	p = put(p, pattern, MOV);
	rel = (int32_t)(to_syscall - (p + 5));
	p = PUT(p, 0xe9);
	p = put(p, &rel, 4);
	p = PUT(p, 0x41, 0x57, 0x41, 0x56, 0x41, 0x55, 0x41, 0x54); /* r15-12 */
	p = PUT(p, 0x55, 0x53);                   /* push rbp, rbx */
	p = PUT(p, 0x41, 0x52, 0x41, 0x51, 0x41, 0x50); /* r10 r9 r8 */
	p = PUT(p, 0x57, 0x56, 0x52);             /* rdi rsi rdx */
	p = PUT(p, 0x48, 0x89, 0xe6);             /* mov %rsp,%rsi */
	p = PUT(p, 0x48, 0xba);                   /* mov $after,%rdx */
	p = put(p, &ret, 8);
	/* clone3's wrapper calls nobody, so rsp is as it was called: align. */
	p = PUT(p, 0x48, 0x89, 0xe5);             /* mov %rsp,%rbp */
	p = PUT(p, 0x48, 0x83, 0xe4, 0xf0);       /* and $-16,%rsp */
	p = PUT(p, 0x48, 0xb8);                   /* mov $caught,%rax */
	p = put(p, &fn, 8);
	p = PUT(p, 0xff, 0xd0);                   /* call *%rax */
	p = PUT(p, 0x48, 0x89, 0xec);             /* mov %rbp,%rsp */
	p = PUT(p, 0x5a, 0x5e, 0x5f);             /* pop rdx rsi rdi */
	p = PUT(p, 0x41, 0x58, 0x41, 0x59, 0x41, 0x5a);
	p = PUT(p, 0x5b, 0x5d);
	p = PUT(p, 0x41, 0x5c, 0x41, 0x5d, 0x41, 0x5e, 0x41, 0x5f);
	rel = (int32_t)(after - (p + 5));
	p = PUT(p, 0xe9);
	put(p, &rel, 4);
}

/* A page within the reach of a jump from libc. */
static unsigned char *
near_page(const struct found *f)
{
	uintptr_t lo = (uintptr_t)f->text & ~(uintptr_t)(PAGE - 1), a;
	unsigned char *p;

	for (a = lo - 64 * PAGE; lo - a < (1u << 30); a -= 1024 * PAGE) {
		p = mmap((void *)a, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0);
		if (p == (void *)a)
			return p;
		if (p != MAP_FAILED)
			munmap(p, PAGE);
	}
	return NULL;
}

int
co_patch_init(void)
{
	struct found f = { 0 };
	unsigned char jump[MOV] = { 0xe9 }, *page, *first, *last;
	int32_t rel;

	co_libc.iterate_phdr(look, &f);
	if (f.n != 1 || (page = near_page(&f)) == NULL)
		return -1;
	emit(page, f.at);
	rel = (int32_t)(page - (f.at + MOV));
	memcpy(jump + 1, &rel, 4);
	first = (unsigned char *)((uintptr_t)f.at & ~(uintptr_t)(PAGE - 1));
	last = (unsigned char *)((uintptr_t)(f.at + MOV) &
				 ~(uintptr_t)(PAGE - 1));
	if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0 ||
	    mprotect(first, (size_t)(last - first) + PAGE,
		     PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
		munmap(page, PAGE);
		return -1;
	}
	memcpy(f.at, jump, MOV);
	mprotect(first, (size_t)(last - first) + PAGE, PROT_READ | PROT_EXEC);
	return 0;
}

int
co_patch_create(struct co_tcb *t, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg)
{
	int err;

	catching = t;
	err = co_libc.create(&t->thread, attr, start, arg);
	if (err == 0 && catching != NULL)
		err = EAGAIN; /* the jump was not taken: cannot be */
	catching = NULL;
	return err;
}
