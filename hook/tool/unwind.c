/* SPDX-License-Identifier: MIT */
/* unwind.c - the callers of a stack, from outside.
 *
 * By .eh_frame, which every x86-64 program has (psABI 4.2.4, LSB "Exception
 * Frames"): no debug information and no frame pointers are asked for. */
#include <stdlib.h>
#include <string.h>

#include "hook/tool/live.h"

enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, RA = 16, REGS = 17 };

struct regs {
	uint64_t r[REGS];
	bool known[REGS];
};

enum how { H_SAME, H_UNDEFINED, H_OFFSET, H_VALUE, H_EXPR, H_VALUE_EXPR, H_REG };

struct rule {
	enum how how;
	int64_t n;              /* an offset from the CFA, or a register */
	const uint8_t *expr;
	size_t len;
};

struct row {
	struct rule reg[REGS], cfa;     /* cfa: H_REG with offset, or H_EXPR */
	int64_t cfa_offset;
};

/* A cursor that stops at its end rather than run over it. */
struct cursor {
	const uint8_t *p, *end;
};

static uint64_t
fixed(struct cursor *c, size_t n)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < n) {
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, n);
	c->p += n;
	return v;
}

static uint64_t
uleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = (uint8_t)fixed(c, 1);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	return v;
}

static int64_t
sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = (uint8_t)fixed(c, 1);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (b & 0x40 && shift < 64)
		v |= ~UINT64_C(0) << shift;
	return (int64_t)v;
}

/* A pointer as DW_EH_PE_* encodes it; at: the address of what is read. */
static uint64_t
encoded(struct cursor *c, uint8_t enc, uint64_t at, uint64_t data)
{
	uint64_t v;

	if (enc == 0xff)
		return 0;
	switch (enc & 0x0f) {
	case 0x00: case 0x04: case 0x0c:
		v = fixed(c, 8);
		break;
	case 0x01:
		v = uleb(c);
		break;
	case 0x09:
		v = (uint64_t)sleb(c);
		break;
	case 0x02:
		v = fixed(c, 2);
		break;
	case 0x0a:
		v = (uint64_t)(int16_t)fixed(c, 2);
		break;
	case 0x03:
		v = fixed(c, 4);
		break;
	case 0x0b:
		v = (uint64_t)(int32_t)fixed(c, 4);
		break;
	default:
		return 0;
	}
	if ((enc & 0x70) == 0x10)
		v += at;
	else if ((enc & 0x70) == 0x30)
		v += data;
	return v;
}

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;
	uint8_t enc;
	bool signal, augmented;
	struct cursor program;
};

static bool
read_cie(const struct elf *e, uint64_t addr, struct cie *cie)
{
	const uint8_t *head = elf_addr(e, addr, 4);
	struct cursor c;
	const char *aug;
	uint32_t len;
	uint64_t n;

	if (head == NULL)
		return false;
	memcpy(&len, head, 4);
	head = elf_addr(e, addr, (uint64_t)len + 4);
	if (head == NULL || len < 8)
		return false;
	c.p = head + 8;
	c.end = head + 4 + len;
	memset(cie, 0, sizeof(*cie));
	fixed(&c, 1);
	aug = (const char *)c.p;
	if (memchr(aug, '\0', (size_t)(c.end - c.p)) == NULL)
		return false;
	c.p += strlen(aug) + 1;
	cie->code_align = uleb(&c);
	cie->data_align = sleb(&c);
	cie->ra = uleb(&c);
	if (*aug == 'z') {
		cie->augmented = true;
		n = uleb(&c);
		if (n > (uint64_t)(c.end - c.p))
			return false;
		cie->program.p = c.p + n;
		for (aug++; *aug != '\0'; aug++)
			if (*aug == 'R')
				cie->enc = (uint8_t)fixed(&c, 1);
			else if (*aug == 'P')
				encoded(&c, (uint8_t)fixed(&c, 1), 0, 0);
			else if (*aug == 'L')
				fixed(&c, 1);
			else if (*aug == 'S')
				cie->signal = true;
			else
				break;
	} else if (*aug != '\0') {
		return false;
	} else {
		cie->program.p = c.p;
	}
	cie->program.end = c.end;
	return true;
}

/* The instructions of a CIE or FDE, up to the address sought. */
static bool
run(struct cursor c, const struct cie *cie, uint64_t loc, uint64_t pc,
    struct row *row, const struct row *initial)
{
	struct row stack[8];
	size_t depth = 0;
	uint64_t r;
	uint8_t op;

	while (c.p < c.end) {
		op = *c.p++;
		switch (op & 0xc0) {
		case 0x40: /* advance_loc */
			loc += (op & 0x3f) * cie->code_align;
			if (loc > pc)
				return true;
			continue;
		case 0x80: /* offset */
			r = op & 0x3f;
			if (r < REGS) {
				row->reg[r].how = H_OFFSET;
				row->reg[r].n = (int64_t)uleb(&c) *
						cie->data_align;
			} else {
				uleb(&c);
			}
			continue;
		case 0xc0: /* restore */
			r = op & 0x3f;
			if (r < REGS)
				row->reg[r] = initial->reg[r];
			continue;
		}
		switch (op) {
		case 0x00: /* nop */
			break;
		case 0x01: /* set_loc */
			return false;
		case 0x02:
			loc += fixed(&c, 1) * cie->code_align;
			if (loc > pc)
				return true;
			break;
		case 0x03:
			loc += fixed(&c, 2) * cie->code_align;
			if (loc > pc)
				return true;
			break;
		case 0x04:
			loc += fixed(&c, 4) * cie->code_align;
			if (loc > pc)
				return true;
			break;
		case 0x05: case 0x11: case 0x14: case 0x15:
			/* offset_extended, _sf, val_offset, _sf */
			r = uleb(&c);
			if (r >= REGS)
				return false;
			row->reg[r].how = op < 0x14 ? H_OFFSET : H_VALUE;
			row->reg[r].n = (op == 0x05 || op == 0x14
						 ? (int64_t)uleb(&c)
						 : sleb(&c)) *
					cie->data_align;
			break;
		case 0x06: /* restore_extended */
			r = uleb(&c);
			if (r < REGS)
				row->reg[r] = initial->reg[r];
			break;
		case 0x07: case 0x08: /* undefined, same_value */
			r = uleb(&c);
			if (r < REGS)
				row->reg[r].how = op == 0x07 ? H_UNDEFINED
							     : H_SAME;
			break;
		case 0x09: /* register */
			r = uleb(&c);
			if (r >= REGS)
				return false;
			row->reg[r].how = H_REG;
			row->reg[r].n = (int64_t)uleb(&c);
			break;
		case 0x0a: /* remember_state */
			if (depth == 8)
				return false;
			stack[depth++] = *row;
			break;
		case 0x0b: /* restore_state */
			if (depth == 0)
				return false;
			*row = stack[--depth];
			break;
		case 0x0c: case 0x12: /* def_cfa, _sf */
			row->cfa.how = H_REG;
			row->cfa.n = (int64_t)uleb(&c);
			row->cfa_offset = op == 0x0c
						  ? (int64_t)uleb(&c)
						  : sleb(&c) * cie->data_align;
			break;
		case 0x0d: /* def_cfa_register */
			row->cfa.how = H_REG;
			row->cfa.n = (int64_t)uleb(&c);
			break;
		case 0x0e:
			row->cfa_offset = (int64_t)uleb(&c);
			break;
		case 0x13:
			row->cfa_offset = sleb(&c) * cie->data_align;
			break;
		case 0x0f: /* def_cfa_expression */
			row->cfa.how = H_EXPR;
			row->cfa.len = uleb(&c);
			row->cfa.expr = c.p;
			fixed(&c, 0);
			if (row->cfa.len > (size_t)(c.end - c.p))
				return false;
			c.p += row->cfa.len;
			break;
		case 0x10: case 0x16: /* expression, val_expression */
			r = uleb(&c);
			if (r >= REGS)
				return false;
			row->reg[r].how = op == 0x10 ? H_EXPR : H_VALUE_EXPR;
			row->reg[r].len = uleb(&c);
			row->reg[r].expr = c.p;
			if (row->reg[r].len > (size_t)(c.end - c.p))
				return false;
			c.p += row->reg[r].len;
			break;
		case 0x2e: /* GNU_args_size */
			uleb(&c);
			break;
		default:
			return false;
		}
	}
	return true;
}

/* As much of DWARF's expressions as compilers and libc use here: PLT entries,
 * signal frames, realigned stacks. */
static bool
evaluate(struct live *l, const struct rule *rule, const struct regs *regs,
	 bool with_cfa, uint64_t cfa, uint64_t *out)
{
	struct cursor c = { rule->expr, rule->expr + rule->len };
	uint64_t s[16], v;
	size_t n = 0;
	uint8_t op;

	if (with_cfa)
		s[n++] = cfa;
	while (c.p < c.end) {
		op = *c.p++;
		if (n > 14)
			return false;
		if (op >= 0x70 && op <= 0x8f) { /* breg */
			if (op - 0x70 >= REGS || !regs->known[op - 0x70])
				return false;
			s[n++] = regs->r[op - 0x70] + (uint64_t)sleb(&c);
			continue;
		}
		if (op >= 0x30 && op <= 0x4f) { /* lit */
			s[n++] = op - 0x30U;
			continue;
		}
		switch (op) {
		case 0x08:
			s[n++] = fixed(&c, 1);
			continue;
		case 0x09:
			s[n++] = (uint64_t)(int8_t)fixed(&c, 1);
			continue;
		case 0x0a:
			s[n++] = fixed(&c, 2);
			continue;
		case 0x0c:
			s[n++] = fixed(&c, 4);
			continue;
		case 0x10:
			s[n++] = uleb(&c);
			continue;
		case 0x11:
			s[n++] = (uint64_t)sleb(&c);
			continue;
		}
		if (n < 1)
			return false;
		switch (op) {
		case 0x06: /* deref */
			if (!live_read(l, s[n - 1], &v, 8))
				return false;
			s[n - 1] = v;
			continue;
		case 0x12: /* dup */
			s[n] = s[n - 1];
			n++;
			continue;
		case 0x23: /* plus_uconst */
			s[n - 1] += uleb(&c);
			continue;
		}
		if (n < 2)
			return false;
		v = s[--n];
		switch (op) {
		case 0x1a:
			s[n - 1] &= v;
			break;
		case 0x1c:
			s[n - 1] -= v;
			break;
		case 0x22:
			s[n - 1] += v;
			break;
		case 0x24:
			s[n - 1] <<= v & 63;
			break;
		case 0x25:
			s[n - 1] >>= v & 63;
			break;
		case 0x2a:
			s[n - 1] = (int64_t)s[n - 1] >= (int64_t)v;
			break;
		default:
			return false;
		}
	}
	if (n == 0)
		return false;
	*out = s[n - 1];
	return true;
}

/* The FDE of an address of the file, by the sorted table of .eh_frame_hdr. */
static uint64_t
find_fde(const struct elf *e, uint64_t pc)
{
	const uint8_t *head;
	uint64_t hdr = 0, size = 0, count;
	struct cursor c;
	size_t i, low, high, mid;
	const uint8_t *table;
	int32_t pair[2];

	for (i = 0; i < e->nph; i++)
		if (e->ph[i].p_type == PT_GNU_EH_FRAME) {
			hdr = e->ph[i].p_vaddr;
			size = e->ph[i].p_filesz;
		}
	head = hdr != 0 ? elf_addr(e, hdr, size) : NULL;
	if (head == NULL || size < 12 || head[0] != 1 || head[3] != 0x3b)
		return 0;
	c.p = head + 4;
	c.end = head + size;
	encoded(&c, head[1], hdr + 4, hdr);
	count = encoded(&c, head[2], hdr + (uint64_t)(c.p - head), hdr);
	table = c.p;
	if (count > (size_t)(c.end - c.p) / 8 || count == 0)
		return 0;
	for (low = 0, high = count; low < high;) {
		mid = (low + high) / 2;
		memcpy(pair, table + 8 * mid, 8);
		if (hdr + (uint64_t)(int64_t)pair[0] <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return 0;
	memcpy(pair, table + 8 * (low - 1), 8);
	return hdr + (uint64_t)(int64_t)pair[1];
}

/* To the caller's registers.  signal: this frame was interrupted, not called
 * from.  False: there is none, or *cut. */
static bool
step(struct live *l, struct regs *regs, bool exact, bool *signal, bool *cut)
{
	uint64_t pc = regs->r[RA] - !exact, v, at, fde, begin, cfa;
	struct module *m = live_module(l, pc);
	struct row row, initial;
	struct regs up;
	const uint8_t *head;
	struct cursor c;
	struct cie cie;
	uint32_t len, back;
	int i;

	*cut = true;
	if (m == NULL)
		return false;
	v = pc - m->bias;
	fde = find_fde(m->elf, v);
	head = fde != 0 ? elf_addr(m->elf, fde, 8) : NULL;
	if (head == NULL)
		return false;
	memcpy(&len, head, 4);
	memcpy(&back, head + 4, 4);
	head = elf_addr(m->elf, fde, (uint64_t)len + 4);
	if (head == NULL || !read_cie(m->elf, fde + 4 - back, &cie) ||
	    cie.ra != RA)
		return false;
	c.p = head + 8;
	c.end = head + 4 + len;
	at = fde + 8;
	begin = encoded(&c, cie.enc, at, 0);
	if (v < begin || v >= begin + encoded(&c, cie.enc & 0x0f, 0, 0))
		return false;
	if (cie.augmented) {
		v = uleb(&c);
		if (v > (uint64_t)(c.end - c.p))
			return false;
		c.p += v;
	}
	v = pc - m->bias;
	memset(&row, 0, sizeof(row));
	memset(&initial, 0, sizeof(initial));
	if (!run(cie.program, &cie, 0, UINT64_MAX, &row, &initial))
		return false;
	initial = row;
	if (!run(c, &cie, begin, v, &row, &initial))
		return false;
	if (row.cfa.how == H_EXPR) {
		if (!evaluate(l, &row.cfa, regs, false, 0, &cfa))
			return false;
	} else {
		if (row.cfa.n >= REGS || !regs->known[row.cfa.n])
			return false;
		cfa = regs->r[row.cfa.n] + (uint64_t)row.cfa_offset;
	}
	up = *regs;
	up.r[RSP] = cfa;
	up.known[RSP] = true;
	for (i = 0; i < REGS; i++) {
		const struct rule *rule = &row.reg[i];

		switch (rule->how) {
		case H_SAME:
			if (i == RA)
				return false;
			continue;
		case H_UNDEFINED:
			up.known[i] = false;
			continue;
		case H_OFFSET:
			v = 0;
			up.known[i] = live_read(l, cfa + (uint64_t)rule->n, &v,
						8);
			break;
		case H_VALUE:
			v = cfa + (uint64_t)rule->n;
			up.known[i] = true;
			break;
		case H_EXPR:
		case H_VALUE_EXPR:
			v = 0;
			up.known[i] = evaluate(l, rule, regs, true, cfa, &v) &&
				      (rule->how == H_VALUE_EXPR ||
				       live_read(l, v, &v, 8));
			break;
		case H_REG:
			v = rule->n < REGS ? regs->r[rule->n] : 0;
			up.known[i] = rule->n < REGS && regs->known[rule->n];
			break;
		}
		up.r[i] = v;
	}
	if (!up.known[RA]) {
		*cut = row.reg[RA].how != H_UNDEFINED;
		return false;
	}
	/* Stacks grow down; the first frame of all may have none. */
	if (up.r[RSP] <= regs->r[RSP] && !cie.signal)
		return false;
	*signal = cie.signal;
	*regs = up;
	*cut = false;
	return up.r[RA] != 0;
}

static void
follow(struct live *l, struct regs *regs, bool exact, struct frames *f)
{
	bool signal = exact;

	f->n = 0;
	f->cut = false;
	do {
		f->pc[f->n++] = regs->r[RA];
		if (f->n == sizeof(f->pc) / sizeof(*f->pc)) {
			f->cut = true;
			return;
		}
		exact = signal;
		signal = false;
	} while (step(l, regs, exact, &signal, &f->cut));
}

static int64_t
saved(struct live *l, const struct coro *c, const char *name, uint64_t *out)
{
	int64_t at = live_entry(l, name);

	return at >= 0 && live_read(l, c->sp + (uint64_t)at, out, 8);
}

bool
live_unwind(struct live *l, const struct coro *c, struct frames *f)
{
	static const struct {
		const char *name;
		int reg;
	} picture[] = {
		{ "frame.rbx", RBX }, { "frame.rbp", RBP }, { "frame.r12", 12 },
		{ "frame.r13", 13 },  { "frame.r14", 14 },  { "frame.r15", 15 },
		{ "frame.rip", RA },
	};
	struct regs regs;
	size_t i;

	memset(&regs, 0, sizeof(regs));
	for (i = 0; i < sizeof(picture) / sizeof(*picture); i++) {
		if (!saved(l, c, picture[i].name, &regs.r[picture[i].reg]))
			return false;
		regs.known[picture[i].reg] = true;
	}
	regs.r[RSP] = c->sp + (uint64_t)live_entry(l, "frame.size");
	regs.known[RSP] = true;
	follow(l, &regs, false, f);
	return true;
}

/* proc(5), /proc/pid/syscall: of a thread that sleeps in one, its number, six
 * arguments, the stack pointer and the program counter. */
bool
live_unwind_blocked(struct live *l, const struct coro *c, struct frames *f)
{
	char *path = format("/proc/%d/task/%d/syscall", (int)l->pid,
			    (int)c->m_tid);
	FILE *file = fopen(path, "re");
	struct regs regs;
	unsigned long sp, pc;
	int n = 0;

	free(path);
	if (file == NULL)
		return false;
	n = fscanf(file, "%*s %*s %*s %*s %*s %*s %*s %lx %lx", &sp, &pc);
	fclose(file);
	/* It may be gone on, and run another one by now. */
	if (n != 2 || sp < c->stack ||
	    (c->stack_size != 0 && sp >= c->stack + c->stack_size))
		return false;
	memset(&regs, 0, sizeof(regs));
	regs.r[RSP] = sp;
	regs.r[RA] = pc;
	regs.known[RSP] = regs.known[RA] = true;
	follow(l, &regs, true, f);
	return true;
}
