/* SPDX-License-Identifier: MIT */
/* check.c - `cohook check': what would become of a program's calls.
 *
 * Reads the program and every library that the loader would load with it, as
 * ld.so(8) looks for them, and runs nothing. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "hook/tool/loader.h"
#include "hook/tool/tool.h"

/* A call, and the objects that import it. */
struct import {
	const struct call *call;
	const struct object **in;
	size_t n;
};

enum verdict {
	V_WORKS,
	V_PARTLY,      /* runs, and some of it is not seen */
	V_CANNOT,
	V_UNREADABLE,
};

struct program {
	char *file;                /* as given */
	char *path;                /* where it was found */
	const char *kind;          /* a word, for machines */
	enum verdict verdict;
	char *reason;              /* NULL: none */
	char *interpreter;         /* of a script; NULL */
	struct object **objects;
	size_t nobjects;
	struct names missing;
	struct import *imports;
	size_t nimports;
	const char *threads;       /* the call that starts one; NULL: none */
};

static bool json, verbose;

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* --- what it loads --- */

static bool
is_loaded(const struct program *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->nobjects; i++)
		if (strcmp(p->objects[i]->name, name) == 0 ||
		    (p->objects[i]->elf->soname != NULL &&
		     strcmp(p->objects[i]->elf->soname, name) == 0))
			return true;
	return false;
}

static void
load(struct program *p, struct elf *e, const char *name,
     const struct object *by)
{
	struct object *o;
	struct stat st;
	size_t i;

	memset(&st, 0, sizeof(st));
	stat(e->path, &st);
	for (i = 0; i < p->nobjects; i++)
		if (p->objects[i]->dev == st.st_dev &&
		    p->objects[i]->ino == st.st_ino) {
			elf_close(e);
			return;
		}
	o = need(sizeof(*o));
	o->elf = e;
	o->name = name;
	o->by = by;
	o->dev = st.st_dev;
	o->ino = st.st_ino;
	p->objects = more(p->objects, (p->nobjects + 1) * sizeof(o));
	p->objects[p->nobjects++] = o;
}

static void
load_all(struct program *p)
{
	size_t i, k;
	struct object *o;
	struct elf *e;

	for (i = 0; i < p->nobjects; i++) {
		o = p->objects[i];
		for (k = 0; k < o->elf->nneeded; k++) {
			if (is_loaded(p, o->elf->needed[k]))
				continue;
			e = loader_search(o->elf->needed[k], o);
			if (e != NULL) {
				load(p, e, o->elf->needed[k], o);
				continue;
			}
			for (size_t m = 0; m < p->missing.n; m++)
				if (strcmp(p->missing.at[m],
					   o->elf->needed[k]) == 0)
					goto known;
			names_add(&p->missing, strdup(o->elf->needed[k]));
known:;
		}
	}
}

/* --- what they import --- */

static bool
defines(const struct elf *e, const char *name)
{
	size_t i;

	for (i = 0; i < e->ndynsym; i++)
		if (e->dynsym[i].st_shndx != SHN_UNDEF &&
		    ELF64_ST_BIND(e->dynsym[i].st_info) != STB_LOCAL &&
		    strcmp(elf_name(e->dynstr, e->dynstr_size,
				    e->dynsym[i].st_name),
			   name) == 0)
			return true;
	return false;
}

static void
imported(struct program *p, const struct call *call, const struct object *o)
{
	struct import *im;
	size_t i;

	for (i = 0; i < p->nimports; i++)
		if (p->imports[i].call == call)
			break;
	if (i == p->nimports) {
		p->imports = more(p->imports,
				  (i + 1) * sizeof(*p->imports));
		memset(&p->imports[i], 0, sizeof(*p->imports));
		p->imports[i].call = call;
		p->nimports++;
	}
	im = &p->imports[i];
	if (im->n > 0 && im->in[im->n - 1] == o)
		return;
	im->in = more(im->in, (im->n + 1) * sizeof(*im->in));
	im->in[im->n++] = o;
}

/* What libc itself and the loader call goes past every hook, and the library
 * that is the hook needs none. */
static bool
is_below(const char *name)
{
	return strcmp(name, "libc.so.6") == 0 ||
	       strncmp(name, "ld-linux", 8) == 0 ||
	       strncmp(name, "libcohook.so", 12) == 0;
}

static void
read_imports(struct program *p)
{
	const struct elf *main_elf = p->objects[0]->elf;
	size_t i, k;

	for (i = 0; i < p->nobjects; i++) {
		const struct object *o = p->objects[i];
		const struct elf *e = o->elf;

		if (is_below(base_of(o->name)))
			continue;
		for (k = 0; k < e->ndynsym; k++) {
			const Elf64_Sym *s = &e->dynsym[k];
			int type = ELF64_ST_TYPE(s->st_info);
			const struct call *call;

			if (s->st_shndx != SHN_UNDEF ||
			    (type != STT_FUNC && type != STT_NOTYPE))
				continue;
			call = call_of(elf_name(e->dynstr, e->dynstr_size,
						s->st_name));
			/* The program's own definition comes first in the
			 * loader's order, before anything preloaded. */
			if (call == NULL ||
			    (i > 0 && main_elf->executable &&
			     defines(main_elf, call->name)))
				continue;
			imported(p, call, o);
			if (p->threads == NULL &&
			    (strcmp(call->name, "pthread_create") == 0 ||
			     strcmp(call->name, "thrd_create") == 0))
				p->threads = call->name;
		}
	}
}

static int
by_call(const void *a, const void *b)
{
	return strcmp(((const struct import *)a)->call->name,
		      ((const struct import *)b)->call->name);
}

/* --- what it is --- */

static char *
in_path(const char *file)
{
	const char *p = getenv("PATH");
	char *path;
	size_t n;

	if (strchr(file, '/') != NULL || access(file, F_OK) == 0)
		return strdup(file);
	for (p = p != NULL ? p : "/usr/bin:/bin"; *p != '\0';
	     p += n + (p[n] != '\0')) {
		n = strcspn(p, ":");
		path = format("%.*s/%s", (int)n, p, file);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return strdup(file);
}

static void
is(struct program *p, const char *kind, enum verdict verdict, char *reason)
{
	p->kind = kind;
	p->verdict = verdict;
	p->reason = reason;
}

static bool
needs_musl(const struct elf *e)
{
	size_t i;

	for (i = 0; i < e->nneeded; i++)
		if (strncmp(e->needed[i], "libc.musl-", 10) == 0)
			return true;
	return e->interp != NULL && strstr(e->interp, "ld-musl-") != NULL;
}

/* The loader ignores LD_PRELOAD where the kernel says AT_SECURE. */
static const char *
privileges(const struct elf *e)
{
	struct stat st;

	if (stat(e->path, &st) != 0 || !(st.st_mode & 0111))
		return NULL;
	if (st.st_mode & S_ISUID)
		return "setuid";
	/* Without group execution S_ISGID means mandatory locking. */
	if (st.st_mode & S_ISGID && st.st_mode & S_IXGRP)
		return "setgid";
	if (getxattr(e->path, "security.capability", NULL, 0) > 0)
		return "capabilities";
	return NULL;
}

/* By what its head says; false: its libraries do not matter. */
static bool
classify(struct program *p, const struct elf *e)
{
	const char *privileged = privileges(e);

	if (!e->executable && e->interp == NULL && e->dynamic) {
		is(p, "library", V_WORKS, NULL);
	} else if (e->interp == NULL) {
		is(p, e->go ? "go" : "static", V_CANNOT,
		   format("%sstatically linked: it loads no libc to stand in "
			  "front of", e->go ? "built by Go, and " : ""));
		return false;
	} else if (needs_musl(e)) {
		is(p, "musl", V_CANNOT,
		   format("linked with musl: cohook is for glibc"));
		return false;
	} else if (strncmp(base_of(e->interp), "ld-linux", 8) != 0) {
		is(p, "loader", V_CANNOT,
		   format("its loader is %s, not glibc's", e->interp));
		return false;
	} else if (privileged != NULL) {
		is(p, privileged, V_CANNOT,
		   format("%s: the loader ignores LD_PRELOAD for it",
			  privileged));
	} else if (e->go) {
		is(p, "go", V_PARTLY,
		   format("built by Go: its threads stay native, unless "
			  "COHOOK_THREADS=convert"));
	} else {
		is(p, "dynamic", V_WORKS, NULL);
	}
	return true;
}

static void
look_at_elf(struct program *p, struct elf *e)
{
	if (!classify(p, e))
		return;
	load(p, e, e->path, NULL);
	load_all(p);
	read_imports(p);
	qsort(p->imports, p->nimports, sizeof(*p->imports), by_call);
	if (p->missing.n > 0 && p->verdict == V_WORKS)
		is(p, p->kind, V_PARTLY,
		   format("not all of its libraries are there"));
}

/* "/usr/bin/env [-S] [NAME=VALUE] python3 -u": what env(1) runs. */
static char *
by_env(const char *arg)
{
	char *words = strdup(arg), *save, *w, *found = NULL;

	for (w = strtok_r(words, " \t", &save); w != NULL && found == NULL;
	     w = strtok_r(NULL, " \t", &save))
		if (w[0] != '-' && strchr(w, '=') == NULL)
			found = in_path(w);
	free(words);
	return found;
}

/* heads: the libraries and the calls do not matter. */
static void
look_at(struct program *p, const char *path, bool heads, int depth)
{
	struct elf *e = elf_open(path);
	char *next;

	switch (e->kind) {
	case ELF_UNREADABLE:
		is(p, "unreadable", V_UNREADABLE,
		   format("%s", strerror(errno)));
		return;
	case ELF_NONE:
		is(p, "unknown", V_CANNOT,
		   format("neither an ELF program nor a script"));
		return;
	case ELF_OTHER_MACHINE:
		is(p, "machine", V_CANNOT,
		   format("for %s: cohook is for x86-64", e->machine));
		return;
	case ELF_SCRIPT:
		next = e->arg != NULL && strcmp(base_of(e->interp), "env") == 0
			       ? by_env(e->arg)
			       : NULL;
		if (next == NULL)
			next = strdup(e->interp);
		free(p->interpreter);
		p->interpreter = next;
		if (depth == 4)
			is(p, "unknown", V_CANNOT,
			   format("a script of scripts without end"));
		else
			look_at(p, next, heads, depth + 1);
		return;
	case ELF_READ:
		if (heads)
			classify(p, e);
		else
			look_at_elf(p, e);
		return;
	}
}

const char *
check_reason(const char *file)
{
	struct program p;

	memset(&p, 0, sizeof(p));
	p.path = in_path(file);
	look_at(&p, p.path, true, 0);
	/* What is not there or no program, exec says better. */
	return p.verdict == V_CANNOT && strcmp(p.kind, "unknown") != 0
		       ? p.reason
		       : NULL;
}

/* --- saying it --- */

static size_t
count(const struct program *p, enum effect effect)
{
	size_t i, n = 0;

	for (i = 0; i < p->nimports; i++)
		n += p->imports[i].call->effect == effect;
	return n;
}

static void
say_calls(const struct program *p, enum effect effect)
{
	struct wrap w = { 4, 0 };
	size_t i, k;

	if (count(p, effect) == 0)
		return;
	printf("\n  %s%s%s\n", bold, effect_text[effect], plain);
	for (i = 0; i < p->nimports; i++) {
		const struct import *im = &p->imports[i];

		if (im->call->effect != effect)
			continue;
		wrap_word(&w, "%s%s", im->call->name, verbose ? ":" : "");
		if (!verbose)
			continue;
		for (k = 0; k < im->n; k++)
			wrap_word(&w, "%s", base_of(im->in[k]->name));
		wrap_end(&w);
	}
	wrap_end(&w);
}

static void
say(const struct program *p)
{
	static const char *const words[] = {
		[V_WORKS] = "works",
		[V_PARTLY] = "works in part",
		[V_CANNOT] = "cannot work",
		[V_UNREADABLE] = "cannot be read",
	};
	const char *const hue[] = { green, yellow, red, red };
	const char *base = base_of(p->path);
	struct wrap w = { 2, 0 };
	char *why = p->reason;
	char *word, *save;
	size_t i;

	printf("%s%s%s: %s%s%s\n", bold, p->path, plain, hue[p->verdict],
	       words[p->verdict], plain);
	if (p->interpreter != NULL)
		printf("  a script, run by %s\n", p->interpreter);
	if (why != NULL) {
		why = strdup(why);
		for (word = strtok_r(why, " ", &save); word != NULL;
		     word = strtok_r(NULL, " ", &save))
			wrap_word(&w, "%s", word);
		wrap_end(&w);
		free(why);
	}
	for (i = 0; i < p->missing.n; i++)
		printf("  %sno library %s%s\n", yellow, p->missing.at[i],
		       plain);
	if (p->nobjects == 0)
		return;
	if (p->verdict != V_CANNOT) {
		if (p->threads != NULL)
			printf("  %s is in it: threads become coroutines\n",
			       p->threads);
		else
			printf("  starts no thread: left alone, but for "
			       "`cohook --now %s'\n", base);
	}
	if (verbose) {
		printf("\n  %s%zu libraries%s\n", bold, p->nobjects - 1, plain);
		for (i = 1; i < p->nobjects; i++)
			printf("    %s\n", p->objects[i]->elf->path);
	}
	if (p->verdict == V_CANNOT && !verbose)
		return;
	say_calls(p, YIELDS);
	say_calls(p, LENDS);
	say_calls(p, BLOCKS);
	say_calls(p, UNSEEN);
	if (verbose)
		say_calls(p, KEEPS);
}

static void
member(const char *name, const char *value)
{
	printf(",\n   ");
	json_string(name);
	printf(": ");
	if (value != NULL)
		json_string(value);
	else
		printf("null");
}

static void
say_json(const struct program *p)
{
	size_t i, k;

	printf("  {\"file\": ");
	json_string(p->file);
	member("path", p->path);
	member("kind", p->kind);
	member("verdict", p->verdict == V_WORKS	   ? "works"
			  : p->verdict == V_PARTLY ? "partly"
			  : p->verdict == V_CANNOT ? "cannot"
						   : "unreadable");
	member("reason", p->reason);
	member("interpreter", p->interpreter);
	member("threads", p->threads);
	printf(",\n   \"libraries\": [");
	for (i = 1; i < p->nobjects; i++) {
		printf("%s\n    {\"name\": ", i > 1 ? "," : "");
		json_string(p->objects[i]->name);
		printf(", \"path\": ");
		json_string(p->objects[i]->elf->path);
		printf("}");
	}
	printf("],\n   \"missing\": [");
	for (i = 0; i < p->missing.n; i++) {
		printf("%s", i > 0 ? ", " : "");
		json_string(p->missing.at[i]);
	}
	printf("],\n   \"calls\": [");
	for (i = 0; i < p->nimports; i++) {
		const struct import *im = &p->imports[i];

		printf("%s\n    {\"name\": ", i > 0 ? "," : "");
		json_string(im->call->name);
		printf(", \"effect\": ");
		json_string(effect_name[im->call->effect]);
		printf(", \"in\": [");
		for (k = 0; k < im->n; k++) {
			printf("%s", k > 0 ? ", " : "");
			json_string(im->in[k]->elf->path);
		}
		printf("]}");
	}
	printf("]}");
}

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: cohook check [-v] [--json] FILE...\n"
		"\n"
		"Reads a program and all libraries that are loaded with it, and "
		"says what\nwould become of the calls that they import.  Nothing "
		"is run.\n"
		"\n"
		"  -v, --verbose  name the libraries, and who imports what\n"
		"  --json         for machines\n"
		"\n"
		"Exit status: 0 all work; 1 some cannot, or in part only; 2 one "
		"cannot be read.\n");
}

int
cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct program p;
	int c, i, status = 0;

	while ((c = getopt_long(argc, argv, "vjh", options, NULL)) != -1)
		switch (c) {
		case 'v':
			verbose = true;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	if (json)
		printf("[\n");
	for (i = optind; i < argc; i++) {
		memset(&p, 0, sizeof(p));
		p.file = argv[i];
		p.path = in_path(argv[i]);
		look_at(&p, p.path, false, 0);
		if (json)
			say_json(&p);
		else
			say(&p);
		if (i + 1 < argc)
			printf(json ? ",\n" : "\n");
		if (p.verdict == V_UNREADABLE)
			status = 2;
		else if (p.verdict != V_WORKS && status == 0)
			status = 1;
		/* What was read stays: it is as long as the program. */
	}
	if (json)
		printf("\n]\n");
	return status;
}
