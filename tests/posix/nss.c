/* SPDX-License-Identifier: MIT */
/* nss.c - users, groups, services and protocols, asked by many at once; and
 * children that libc starts by itself. */
#define _GNU_SOURCE 1

#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <rpc/netdb.h>
#include <shadow.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "party.h"

TEST(root_is_known_by_each_of_its_names)
{
	struct passwd pw, *p;
	struct group gr, *g;
	gid_t groups[64];
	char buf[4096];
	int n = 64;

	p = getpwnam("root");
	CHECK(p != NULL);
	CHECK_INT(p->pw_uid, 0);
	p = getpwuid(0);
	CHECK(p != NULL);
	CHECK_INT(strcmp(p->pw_name, "root"), 0);
	CHECK_INT(getpwnam_r("root", &pw, buf, sizeof buf, &p), 0);
	CHECK(p == &pw);
	CHECK_INT(pw.pw_uid, 0);
	CHECK_INT(getpwuid_r(0, &pw, buf, 2, &p), ERANGE);
	CHECK(p == NULL);
	g = getgrgid(0);
	CHECK(g != NULL);
	CHECK_INT(strcmp(g->gr_name, "root"), 0);
	g = getgrnam("root");
	CHECK(g != NULL);
	CHECK_INT(g->gr_gid, 0);
	CHECK_INT(getgrnam_r("root", &gr, buf, sizeof buf, &g), 0);
	CHECK(g == &gr);
	CHECK_INT(getgrgid_r(0, &gr, buf, sizeof buf, &g), 0);
	CHECK_INT(strcmp(gr.gr_name, "root"), 0);
	CHECK(getgrouplist("root", 0, groups, &n) >= 1);
	CHECK_INT(groups[0], 0);
}

TEST(nobody_of_this_name_is_known)
{
	struct passwd pw, *p = &pw;
	char buf[4096];

	errno = 0;
	CHECK(getpwnam("nobody-of-this-name") == NULL);
	CHECK_INT(getpwnam_r("nobody-of-this-name", &pw, buf, sizeof buf, &p),
		  0);
	CHECK(p == NULL);
	CHECK(getgrnam("nobody-of-this-name") == NULL);
	CHECK(getservbyname("no-such-service", "tcp") == NULL);
}

TEST(a_walk_finds_whoever_is_asked_for_by_name)
{
	struct passwd *p;
	struct group *g;
	int roots = 0;

	setpwent();
	while ((p = getpwent()) != NULL)
		roots += strcmp(p->pw_name, "root") == 0;
	endpwent();
	CHECK_INT(roots, 1);
	roots = 0;
	setgrent();
	while ((g = getgrent()) != NULL)
		roots += strcmp(g->gr_name, "root") == 0;
	endgrent();
	CHECK_INT(roots, 1);
}

TEST(services_and_protocols_are_known_both_ways)
{
	struct protoent *p = getprotobyname("tcp");
	struct servent *s = getservbyname("http", "tcp");

	if (p == NULL || s == NULL)
		SKIP("no /etc/protocols or /etc/services");
	CHECK_INT(p->p_proto, IPPROTO_TCP);
	p = getprotobynumber(IPPROTO_UDP);
	CHECK(p != NULL);
	CHECK_INT(strcmp(p->p_name, "udp"), 0);
	CHECK_INT(ntohs((uint16_t)s->s_port), 80);
	s = getservbyport(htons(80), "tcp");
	CHECK(s != NULL);
	CHECK_INT(strcmp(s->s_name, "http"), 0);
}

/* Where a file is not there, or empty, nothing is found, bare as hooked. */
TEST(walks_and_buffers_by_all_other_names)
{
	char buf[4096], tiny[2];
	struct passwd pw, *p;
	struct group gr, *g;
	struct spwd sp, *s;
	struct servent se, *v;
	struct protoent pr, *o;
	struct netent ne, *e;
	struct hostent he, *h;
	struct rpcent *c;
	int err, n = 0;

	setpwent();
	CHECK_INT(getpwent_r(&pw, buf, sizeof buf, &p), 0);
	CHECK(p == &pw);
	endpwent();
	setgrent();
	CHECK_INT(getgrent_r(&gr, buf, sizeof buf, &g), 0);
	CHECK(g == &gr);
	endgrent();
	CHECK_INT(getgrgid_r(0, &gr, tiny, 2, &g), ERANGE);
	CHECK_INT(getgrnam_r("root", &gr, tiny, 2, &g), ERANGE);
	CHECK_INT(getpwnam_r("root", &pw, tiny, 2, &p), ERANGE);
	s = getspnam("root");
	if (s != NULL) {
		CHECK_INT(getspnam_r("root", &sp, buf, sizeof buf, &s), 0);
		CHECK(s == &sp);
	}
	CHECK_INT(getspnam_r("no-such-name", &sp, buf, sizeof buf, &s), 0);
	CHECK(s == NULL);
	v = getservbyname("http", "tcp");
	if (v != NULL) {
		CHECK_INT(getservbyname_r("http", "tcp", &se, buf, sizeof buf,
					  &v), 0);
		CHECK(v == &se);
		CHECK_INT(getservbyport_r(htons(80), "tcp", &se, buf,
					  sizeof buf, &v), 0);
		CHECK(v == &se);
		CHECK_INT(getservbyname_r("http", "tcp", &se, tiny, 2, &v),
			  ERANGE);
		setservent(1);
		CHECK(getservent() != NULL);
		CHECK_INT(getservent_r(&se, buf, sizeof buf, &v), 0);
		endservent();
	}
	o = getprotobyname("tcp");
	if (o != NULL) {
		CHECK_INT(getprotobyname_r("tcp", &pr, buf, sizeof buf, &o),
			  0);
		CHECK(o == &pr);
		CHECK_INT(getprotobynumber_r(17, &pr, buf, sizeof buf, &o), 0);
		CHECK_INT(getprotobynumber_r(17, &pr, tiny, 2, &o), ERANGE);
	}
	CHECK(getprotobyname("no-such-protocol") == NULL);
	CHECK(getprotobynumber(12345) == NULL);
	CHECK(getservbyport(1, "no-such-protocol") == NULL);
	CHECK(getpwuid(4000000000U) == NULL);
	CHECK(getgrgid(4000000000U) == NULL);
	e = getnetbyname("loopback");
	if (e != NULL) {
		CHECK_INT(getnetbyname_r("loopback", &ne, buf, sizeof buf, &e,
					 &err), 0);
		CHECK(e == &ne);
		CHECK(getnetbyaddr(ne.n_net, AF_INET) != NULL);
		CHECK_INT(getnetbyaddr_r(ne.n_net, AF_INET, &ne, buf,
					 sizeof buf, &e, &err), 0);
	}
	sethostent(1);
	if (gethostent() != NULL)
		CHECK_INT(gethostent_r(&he, buf, sizeof buf, &h, &err), 0);
	endhostent();
	c = getrpcbyname("portmapper");
	if (c != NULL)
		CHECK(getrpcbynumber(c->r_number) != NULL);
	CHECK_INT(getgrouplist("root", 0, (gid_t[1]){ 0 }, &n), -1);
	CHECK_INT(innetgr("no-such-group", "host", "user", "domain"), 0);
	CHECK_INT(setnetgrent("no-such-group"), 0);
	endnetgrent();
}

static void *
asks_often(void *arg)
{
	struct passwd pw, *p;
	struct group gr, *g;
	char buf[4096];
	int i;

	for (i = 0; i < 50; i++) {
		CHECK_INT(getpwuid_r(0, &pw, buf, sizeof buf, &p), 0);
		CHECK(p != NULL && strcmp(pw.pw_name, "root") == 0);
		CHECK_INT(getgrnam_r("root", &gr, buf, sizeof buf, &g), 0);
		CHECK(g != NULL && gr.gr_gid == 0);
	}
	return arg;
}

TEST(many_ask_at_once)
{
	pthread_t th[20];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = party(asks_often, NULL);
	for (i = 0; i < 20; i++)
		leaves(th[i]);
}

/* --- children --- */

TEST(wait3_waits_for_any_child)
{
	struct rusage ru;
	int status;
	pid_t pid;

	CHECK_ERR(wait3(&status, 0, NULL), ECHILD);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		usleep(30000);
		_exit(7);
	}
	CHECK_RET(wait3(&status, WNOHANG, &ru), 0);
	CHECK_RET(wait3(&status, 0, &ru), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 7);
}

extern char **environ;

TEST(spawned_children_do_what_they_are_told)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"exit 3", NULL };
	int status;
	pid_t pid;

	CHECK_INT(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 3);
	CHECK_INT(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ), 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 3);
	CHECK_INT(posix_spawn(&pid, "/no/such/file", NULL, NULL, argv, environ),
		  ENOENT);
}

TEST(popen_gives_what_its_child_says)
{
	char line[64];
	FILE *f = popen("sleep 0.05; echo hello", "r");

	CHECK(f != NULL);
	CHECK(fgets(line, sizeof line, f) != NULL);
	CHECK_INT(strcmp(line, "hello\n"), 0);
	CHECK_INT(pclose(f), 0);
	f = popen("exit 4", "r");
	CHECK(f != NULL);
	CHECK_INT(WEXITSTATUS(pclose(f)), 4);
	CHECK(popen("true", "z") == NULL);
	CHECK_INT(errno, EINVAL);
}

/* A child that libc has started has our socket, and changes its flags: then it
 * is its answer that it would wait, not ours. */
TEST(a_spawned_child_may_change_what_it_shares)
{
	char script[200], c;
	int s[2], status;
	struct sockaddr_in addr;
	int l = listener(&addr);

	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s[0] != -1);
	CHECK_INT(connect(s[0], (struct sockaddr *)&addr, sizeof addr), 0);
	s[1] = accept(l, NULL, NULL);
	CHECK(s[1] != -1);
	shut(l);
	snprintf(script, sizeof script,
		 "perl -e 'use Fcntl; open(F, \"+<&=%d\") or exit 9; "
		 "fcntl(F, F_SETFL, O_RDWR | O_NONBLOCK) or exit 8; exit 5'",
		 s[0]);
	status = system(script);
	if (WEXITSTATUS(status) == 127)
		SKIP("no perl");
	CHECK_INT(WEXITSTATUS(status), 5);
	CHECK(nonblocking(s[0]));
	CHECK_ERR(read(s[0], &c, 1), EAGAIN);
	set_nonblocking(s[0], false);
	shut_both(s);
}
