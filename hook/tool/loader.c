/* SPDX-License-Identifier: MIT */
/* loader.c - which file the loader would take for the name of a library,
 * ld.so(8). */
#include <ctype.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/tool/loader.h"
#include "hook/tool/tool.h"

void
names_add(struct names *l, char *name)
{
	l->at = more(l->at, (l->n + 1) * sizeof(*l->at));
	l->at[l->n++] = name;
}

/* ld.so.conf(5): a folder a line, `include' with a pattern, # comments. */
static void
read_conf(const char *path, struct names *dirs, int depth)
{
	char *line = NULL, *p, *end;
	size_t size = 0, i;
	glob_t g;
	FILE *f;

	f = depth < 8 ? fopen(path, "re") : NULL;
	if (f == NULL)
		return;
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "#\n")] = '\0';
		p = line + strspn(line, " \t");
		for (end = p + strlen(p);
		     end > p && isspace((unsigned char)end[-1]); end--)
			end[-1] = '\0';
		if (strncmp(p, "include", 7) == 0 &&
		    isspace((unsigned char)p[7])) {
			p += 7 + strspn(p + 7, " \t");
			p = p[0] == '/' ? strdup(p) : format("/etc/%s", p);
			if (p != NULL && glob(p, 0, NULL, &g) == 0) {
				for (i = 0; i < g.gl_pathc; i++)
					read_conf(g.gl_pathv[i], dirs,
						  depth + 1);
				globfree(&g);
			}
			free(p);
		} else if (p[0] == '/') {
			names_add(dirs, strdup(p));
		}
	}
	free(line);
	fclose(f);
}

static const struct names *
conf_dirs(void)
{
	static struct names dirs;
	static bool read;

	if (!read)
		read_conf("/etc/ld.so.conf", &dirs, 0);
	read = true;
	return &dirs;
}

/* The newest kind of this processor first, as ld.so --help lists them. */
static const char *const *
hwcaps(void)
{
	static const char *list[4];
	int n = 0;

	if (list[0] == NULL) {
		__builtin_cpu_init();
		if (__builtin_cpu_supports("avx512f") &&
		    __builtin_cpu_supports("avx512bw") &&
		    __builtin_cpu_supports("avx512vl"))
			list[n++] = "glibc-hwcaps/x86-64-v4/";
		if (__builtin_cpu_supports("avx2") &&
		    __builtin_cpu_supports("bmi2") &&
		    __builtin_cpu_supports("fma"))
			list[n++] = "glibc-hwcaps/x86-64-v3/";
		if (__builtin_cpu_supports("sse4.2"))
			list[n++] = "glibc-hwcaps/x86-64-v2/";
		list[n] = NULL;
	}
	return list;
}

static struct elf *
try(const char *path)
{
	struct elf *e = elf_open(path);

	/* The loader passes over libraries of other machines. */
	if (e->kind == ELF_READ)
		return e;
	elf_close(e);
	return NULL;
}

static struct elf *
try_dir(const char *dir, size_t n, const char *name)
{
	const char *const *cap;
	struct elf *e;
	char *path;

	for (cap = hwcaps(); *cap != NULL; cap++) {
		path = format("%.*s/%s%s", (int)n, dir, *cap, name);
		e = try(path);
		free(path);
		if (e != NULL)
			return e;
	}
	path = n == 0 ? format("./%s", name)
		      : format("%.*s/%s", (int)n, dir, name);
	e = try(path);
	free(path);
	return e;
}

/* $ORIGIN, $LIB and $PLATFORM, with or without braces. */
static char *
expand(const char *s, const struct object *o)
{
	char *out = format("%s", ""), *next, *real, *dir;
	size_t n;

	while (*s != '\0') {
		n = strcspn(s, "$");
		if (n > 0) {
			next = format("%s%.*s", out, (int)n, s);
			s += n;
		} else {
			size_t brace = s[1] == '{';
			const char *word = s + 1 + brace, *value = NULL;
			char origin[PATH_MAX];

			if (strncmp(word, "ORIGIN", 6) == 0) {
				real = realpath(o->elf->path, NULL);
				snprintf(origin, sizeof(origin), "%s",
					 real ? real : o->elf->path);
				free(real);
				dir = strrchr(origin, '/');
				if (dir != NULL)
					*dir = '\0';
				value = origin;
				n = 6;
			} else if (strncmp(word, "LIB", 3) == 0) {
				value = access("/lib/x86_64-linux-gnu",
					       F_OK) == 0
						? "lib/x86_64-linux-gnu"
						: "lib64";
				n = 3;
			} else if (strncmp(word, "PLATFORM", 8) == 0) {
				value = "x86_64";
				n = 8;
			}
			if (value == NULL) {
				next = format("%s$", out);
				s++;
			} else {
				next = format("%s%s", out, value);
				s = word + n;
				if (brace && *s == '}')
					s++;
			}
		}
		free(out);
		out = next;
	}
	return out;
}

static struct elf *
try_path(const char *list, const char *separators, const struct object *o,
	 const char *name)
{
	char *dirs = expand(list, o);
	const char *p = dirs;
	struct elf *e = NULL;
	size_t n;

	do {
		n = strcspn(p, separators);
		e = try_dir(p, n, name);
		p += n + (p[n] != '\0');
	} while (e == NULL && *p != '\0');
	free(dirs);
	return e;
}

/* ld.so(8): DT_RPATH of who asks and of those that loaded it, unless it has a
 * DT_RUNPATH; $LD_LIBRARY_PATH; DT_RUNPATH; what ldconfig(8) was told; and the
 * default folders. */
struct elf *
loader_search(const char *name, const struct object *by)
{
	static const char *const fixed[] = {
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
		"/lib64", "/usr/lib64", "/lib", "/usr/lib",
	};
	const struct object *o;
	const struct names *conf;
	const char *env;
	struct elf *e = NULL;
	char *path;
	size_t i;

	if (strchr(name, '/') != NULL) {
		path = expand(name, by);
		e = try(path);
		free(path);
		return e;
	}
	if (by->elf->runpath == NULL)
		for (o = by; o != NULL && e == NULL; o = o->by)
			if (o->elf->rpath != NULL && o->elf->runpath == NULL)
				e = try_path(o->elf->rpath, ":", o, name);
	env = getenv("LD_LIBRARY_PATH");
	if (e == NULL && env != NULL && env[0] != '\0')
		e = try_path(env, ":;", by, name);
	if (e == NULL && by->elf->runpath != NULL)
		e = try_path(by->elf->runpath, ":", by, name);
	if (e != NULL || by->elf->no_default_dirs)
		return e;
	conf = conf_dirs();
	for (i = 0; i < conf->n && e == NULL; i++)
		e = try_dir(conf->at[i], strlen(conf->at[i]), name);
	for (i = 0; i < sizeof(fixed) / sizeof(*fixed) && e == NULL; i++)
		e = try_dir(fixed[i], strlen(fixed[i]), name);
	return e;
}
