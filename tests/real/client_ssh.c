/* SPDX-License-Identifier: MIT */
/* client_ssh.c - libssh, its blocking calls, against a private dropbear. */
#include "crowd.h"

#include <libssh/libssh.h>
#include <sys/stat.h>

/* dropbear hangs up on the sixth from one address that is not yet logged in,
 * and on the thirty-first from all; who has just gone may still be counted. */
#define N 14

enum { BLOCK = 32 * 1024, BLOCKS = 8 };

static char gate[256];

static ssh_session
session(int port, const char *known)
{
	ssh_session s = ssh_new();
	long seconds = 60;

	CHECK(s != NULL);
	ssh_options_set(s, SSH_OPTIONS_HOST, "127.0.0.1");
	ssh_options_set(s, SSH_OPTIONS_PORT, &port);
	ssh_options_set(s, SSH_OPTIONS_USER, "root");
	ssh_options_set(s, SSH_OPTIONS_KNOWNHOSTS, from_env(known));
	ssh_options_set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
	ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &seconds);
	return s;
}

/* From an address of i's own. */
static ssh_session
connected(int i, const char *known)
{
	ssh_session s = session(atoi(from_env("SSH_PORT")), known);
	char address[32];

	snprintf(address, sizeof address, "127.0.1.%d", i + 1);
	ssh_options_set(s, SSH_OPTIONS_BINDADDR, address);
	if (ssh_connect(s) != SSH_OK)
		fprintf(stderr, "%s\n", ssh_get_error(s));
	CHECK(ssh_is_connected(s));
	return s;
}

static int
login(ssh_session s, const char *key_file)
{
	ssh_key key;
	int r;

	CHECK_INT(ssh_pki_import_privkey_file(from_env(key_file), NULL, NULL,
					      NULL, &key),
		  SSH_OK);
	r = ssh_userauth_publickey(s, NULL, key);
	ssh_key_free(key);
	return r;
}

static ssh_session
logged_in(int i)
{
	ssh_session s = connected(i, "SSH_KNOWN");

	CHECK_INT(ssh_session_is_known_server(s), SSH_KNOWN_HOSTS_OK);
	CHECK_INT(login(s, "SSH_KEY"), SSH_AUTH_SUCCESS);
	return s;
}

static void
over(ssh_session s)
{
	ssh_disconnect(s);
	ssh_free(s);
}

static ssh_channel
command(ssh_session s, const char *text)
{
	ssh_channel c = ssh_channel_new(s);

	CHECK(c != NULL);
	CHECK_INT(ssh_channel_open_session(c), SSH_OK);
	CHECK_INT(ssh_channel_request_exec(c, text), SSH_OK);
	return c;
}

/* All n bytes, and not one more where it is the end. */
static void
takes(ssh_channel c, char *buf, int n)
{
	int have = 0, r;

	while (have < n) {
		r = ssh_channel_read(c, buf + have, (uint32_t)(n - have), 0);
		CHECK(r > 0);
		have += r;
	}
}

static void
ends(ssh_channel c, int status)
{
	char byte;

	CHECK_INT(ssh_channel_read(c, &byte, 1, 0), 0);
	CHECK(ssh_channel_is_eof(c));
	CHECK_INT(ssh_channel_get_exit_status(c), status);
	ssh_channel_close(c);
	ssh_channel_free(c);
}

static void
counts(int i)
{
	ssh_session s = logged_in(i);
	char text[128], line[32], got[32];
	ssh_channel c;
	int k, n;

	snprintf(text, sizeof text,
		 "i=0; while [ $i -lt 1000 ]; do echo %d $i; i=$((i+1)); done;"
		 " exit %d",
		 i, i);
	c = command(s, text);
	for (k = 0; k < 1000; k++) {
		n = snprintf(line, sizeof line, "%d %d\n", i, k);
		takes(c, got, n);
		CHECK_INT(memcmp(line, got, (size_t)n), 0);
	}
	ends(c, i);
	over(s);
}

TEST(what_a_command_says_comes_whole)
{
	crowd(N, counts, NULL);
}

static void
echoes(int i)
{
	ssh_session s = logged_in(i);
	ssh_channel c = command(s, "cat");
	static char out[N][BLOCK], in[N][BLOCK];
	unsigned seed = (unsigned)i + 1;
	int b, k;

	for (b = 0; b < BLOCKS; b++) {
		for (k = 0; k < BLOCK; k++) {
			seed = seed * 1103515245 + 12345;
			out[i][k] = (char)(seed >> 16);
		}
		CHECK_INT(ssh_channel_write(c, out[i], BLOCK), BLOCK);
		takes(c, in[i], BLOCK);
		CHECK_INT(memcmp(out[i], in[i], BLOCK), 0);
	}
	CHECK_INT(ssh_channel_send_eof(c), SSH_OK);
	ends(c, 0);
	over(s);
}

TEST(what_goes_both_ways_comes_back)
{
	crowd(N, echoes, NULL);
}

/* Each command says that it is there, and waits until all may go. */
static void
waits(int i)
{
	ssh_session s = logged_in(i);
	char text[1024], got[8];
	ssh_channel c;

	snprintf(text, sizeof text,
		 "touch %s/%d; while [ ! -e %s/go ]; do sleep 0.05; done;"
		 " echo gone",
		 gate, i, gate);
	c = command(s, text);
	takes(c, got, 5);
	CHECK_INT(memcmp(got, "gone\n", 5), 0);
	ends(c, 0);
	over(s);
}

static void
lets_them_go(int n)
{
	char path[512];
	int i, there;

	do {
		crowd_rest();
		for (i = there = 0; i < n; i++) {
			snprintf(path, sizeof path, "%s/%d", gate, i);
			there += access(path, F_OK) == 0;
		}
	} while (there < n);
	crowd_count(n);
	snprintf(path, sizeof path, "%s/go", gate);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%d", gate, i);
		unlink(path);
	}
}

TEST(all_wait_at_once)
{
	snprintf(gate, sizeof gate, "%s/gate.%d", from_env("SSH_DIR"),
		 (int)getpid());
	CHECK_INT(mkdir(gate, 0700), 0);
	crowd(N, waits, lets_them_go);
}

static void
is_denied(int i)
{
	ssh_session s = connected(i, i % 2 ? "SSH_KNOWN" : "SSH_OTHER_KNOWN");

	if (i % 2) {
		CHECK_INT(login(s, "SSH_OTHER_KEY"), SSH_AUTH_DENIED);
	} else {
		CHECK_INT(ssh_session_is_known_server(s),
			  SSH_KNOWN_HOSTS_CHANGED);
	}
	over(s);
}

TEST(a_wrong_key_and_a_wrong_host_are_told_apart)
{
	crowd(N, is_denied, NULL);
}

static int silent, port_of_silent;

static void
gives_up(int i)
{
	ssh_session s = session(i % 2 ? port_of_silent : 1, "SSH_KNOWN");
	long seconds = 1;
	int64_t since = t_now();

	ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &seconds);
	CHECK_INT(ssh_connect(s), SSH_ERROR);
	if (i % 2) {
		took(since, 1);
		CHECK(strstr(ssh_get_error(s), "imeout") != NULL);
	} else {
		CHECK(strstr(ssh_get_error(s), "refused") != NULL);
	}
	ssh_free(s);
}

TEST(who_is_silent_or_not_there_is_given_up)
{
	silent = silent_server(&port_of_silent);
	crowd(N, gives_up, NULL);
	close(silent);
}
