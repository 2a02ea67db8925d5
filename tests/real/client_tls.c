/* SPDX-License-Identifier: MIT */
/* client_tls.c - OpenSSL, both ends of many connections in one process.
 *
 * Its queue of errors is the thread's: what went wrong in one connection must
 * not be found by another, whatever runs in between.
 */
#include "crowd.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>

#define PAIRS 32
#define N (2 * PAIRS) /* 2k serves, 2k + 1 is its client */

static int ends[N];
static pthread_barrier_t all_here;
static SSL_CTX *serving, *trusting, *distrusting;

static int
version_of(int i)
{
	return i / 2 % 2 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/* The queue of this thread is empty; where not, it is shown. */
static void
no_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_print_errors_fp(stderr);
	CHECK(ERR_peek_error() == 0);
}

/* The last error is this, and says why. */
static void
last_error(int reason)
{
	unsigned long e = ERR_peek_last_error();

	if (ERR_GET_REASON(e) != reason)
		ERR_print_errors_fp(stderr);
	CHECK_INT(ERR_GET_REASON(e), reason);
}

#define SSL_OK(call) ssl_ok(call, __LINE__, #call)

static void
ssl_ok(int r, int line, const char *what)
{
	if (r > 0)
		return;
	ERR_print_errors_fp(stderr);
	t_fail(__FILE__, line, what, errno);
}

static SSL_CTX *
context(bool server, const char *ca)
{
	SSL_CTX *ctx =
		SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	CHECK(ctx != NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
	if (ca != NULL) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_OK(SSL_CTX_load_verify_locations(ctx, ca, NULL));
	}
	if (server) {
		SSL_OK(SSL_CTX_use_certificate_file(ctx, from_env("TLS_CERT"),
						    SSL_FILETYPE_PEM));
		SSL_OK(SSL_CTX_use_PrivateKey_file(ctx, from_env("TLS_KEY"),
						   SSL_FILETYPE_PEM));
	}
	return ctx;
}

static void
begin(void)
{
	/* A write to one who has gone. */
	signal(SIGPIPE, SIG_IGN);
	serving = context(true, NULL);
	trusting = context(false, from_env("TLS_CA"));
	distrusting = context(false, from_env("TLS_OTHER_CA"));
	errno = pthread_barrier_init(&all_here, NULL, N);
	CHECK(errno == 0);
}

static void
finish(void)
{
	SSL_CTX_free(serving);
	SSL_CTX_free(trusting);
	SSL_CTX_free(distrusting);
	pthread_barrier_destroy(&all_here);
}

/* Every two of the crowd are connected, by TCP. */
static void
connect_pairs(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int port, l = silent_server(&port), k;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	for (k = 0; k < N; k += 2) {
		ends[k + 1] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(ends[k + 1] != -1);
		CHECK_INT(connect(ends[k + 1], (struct sockaddr *)&a, sizeof a),
			  0);
		ends[k] = accept(l, NULL, NULL);
		CHECK(ends[k] != -1);
	}
	close(l);
}

static SSL *
session(int i)
{
	SSL *ssl = SSL_new(i % 2 == 0 ? serving : trusting);

	CHECK(ssl != NULL);
	SSL_OK(SSL_set_fd(ssl, ends[i]));
	if (i % 2) {
		SSL_OK(SSL_set_min_proto_version(ssl, version_of(i)));
		SSL_OK(SSL_set_max_proto_version(ssl, version_of(i)));
		SSL_OK(SSL_set1_host(ssl, "localhost"));
	}
	return ssl;
}

/* --- what goes well --- */

#define SIZE 60000
#define ROUNDS 8

static void
fill(unsigned char *p, int i, int round)
{
	int k;

	for (k = 0; k < SIZE; k++)
		p[k] = (unsigned char)(k * 7 + k / 251 + i / 2 * 3 + round);
}

static void
read_all(SSL *ssl, unsigned char *p)
{
	int got = 0, r;

	while (got < SIZE) {
		r = SSL_read(ssl, p + got, SIZE - got);
		SSL_OK(r);
		got += r;
	}
}

static void
talk(SSL *ssl, int i)
{
	static __thread unsigned char got[SIZE], want[SIZE];
	int round;

	for (round = 0; round < ROUNDS; round++) {
		fill(want, i, round);
		if (i % 2)
			CHECK_INT(SSL_write(ssl, want, SIZE), SIZE);
		read_all(ssl, got);
		CHECK(memcmp(got, want, SIZE) == 0);
		if (i % 2 == 0)
			CHECK_INT(SSL_write(ssl, got, SIZE), SIZE);
		no_errors();
	}
}

/* Who hears of the end first answers it; the other waits for that. */
static void
part(SSL *ssl, int i)
{
	char c;

	if (i % 2 == 0) {
		CHECK_INT(SSL_read(ssl, &c, 1), 0);
		CHECK_INT(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
		CHECK_INT(SSL_shutdown(ssl), 1);
	} else {
		CHECK_INT(SSL_shutdown(ssl), 0);
		CHECK_INT(SSL_shutdown(ssl), 1);
	}
	no_errors();
}

static void
meet_and_part(int i)
{
	SSL *ssl = session(i);

	if (i % 2) {
		SSL_OK(SSL_connect(ssl));
		CHECK_INT(SSL_version(ssl), version_of(i));
	} else {
		SSL_OK(SSL_accept(ssl));
	}
	talk(ssl, i);
	pthread_barrier_wait(&all_here);
	part(ssl, i);
	SSL_free(ssl);
	close(ends[i]);
}

TEST(tls_1_2_and_1_3)
{
	begin();
	connect_pairs();
	crowd(N, meet_and_part, NULL);
	finish();
}

/* --- what goes wrong, beside what goes well --- */

static void
reset(int fd)
{
	struct linger now = { 1, 0 };

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	CHECK_INT(close(fd), 0);
}

/* A mark of one's own in the queue, behind what may be there. */
static int
marked(int i)
{
	ERR_raise(ERR_LIB_USER, 100 + i);
	return 100 + i;
}

/* All have failed by now, or not.  What one finds is what one has left. */
static void
errors_are_mine(int i, unsigned long first)
{
	unsigned long e, last = 0;

	pthread_barrier_wait(&all_here);
	CHECK(ERR_peek_error() == first);
	while ((e = ERR_get_error()) != 0) {
		crowd_rest();
		if (last != 0)
			CHECK(ERR_GET_LIB(last) != ERR_LIB_USER);
		last = e;
	}
	CHECK_INT(ERR_GET_LIB(last), ERR_LIB_USER);
	CHECK_INT(ERR_GET_REASON(last), 100 + i);
	pthread_barrier_wait(&all_here);
	no_errors();
}

static void
server_that_fails(int i, SSL *ssl)
{
	char c;
	int r;

	switch (i / 2 % 6) {
	case 0: /* this one goes well */
		SSL_OK(SSL_accept(ssl));
		talk(ssl, i);
		break;
	case 1: /* the client distrusts us */
		CHECK(SSL_accept(ssl) <= 0);
		last_error(SSL_R_TLSV1_ALERT_UNKNOWN_CA);
		break;
	case 2: /* the client does not speak TLS */
		CHECK(SSL_accept(ssl) <= 0);
		last_error(SSL_R_HTTP_REQUEST);
		break;
	case 3: /* the client is gone, with a reset */
		r = SSL_accept(ssl);
		CHECK(r <= 0);
		CHECK_INT(SSL_get_error(ssl, r), SSL_ERROR_SYSCALL);
		CHECK_INT(errno, ECONNRESET);
		break;
	case 4: /* no version that both speak */
		SSL_OK(SSL_set_min_proto_version(ssl, TLS1_3_VERSION));
		CHECK(SSL_accept(ssl) <= 0);
		last_error(SSL_R_UNSUPPORTED_PROTOCOL);
		break;
	case 5: /* the client goes without a word */
		SSL_OK(SSL_accept(ssl));
		CHECK(SSL_read(ssl, &c, 1) <= 0);
		last_error(SSL_R_UNEXPECTED_EOF_WHILE_READING);
		break;
	}
}

static bool
client_that_fails(int i, SSL *ssl)
{
	static const char http[] = "GET / HTTP/1.0\r\n\r\n";

	switch (i / 2 % 6) {
	case 0:
		SSL_OK(SSL_connect(ssl));
		talk(ssl, i);
		return true;
	case 1:
		SSL_OK(SSL_set_SSL_CTX(ssl, distrusting) != NULL);
		CHECK(SSL_connect(ssl) <= 0);
		last_error(SSL_R_CERTIFICATE_VERIFY_FAILED);
		return true;
	case 2:
		CHECK_INT(write(ends[i], http, sizeof http - 1),
			  sizeof http - 1);
		return true;
	case 3:
		CHECK_INT(write(ends[i], "\x16\x03\x01", 3), 3);
		reset(ends[i]);
		return false;
	case 4:
		SSL_OK(SSL_set_min_proto_version(ssl, TLS1_2_VERSION));
		SSL_OK(SSL_set_max_proto_version(ssl, TLS1_2_VERSION));
		CHECK(SSL_connect(ssl) <= 0);
		last_error(SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
		return true;
	case 5:
		SSL_OK(SSL_connect(ssl));
		CHECK_INT(shutdown(ends[i], SHUT_WR), 0);
		return true;
	}
	return true;
}

static void
fail_in_your_own_way(int i)
{
	SSL *ssl = session(i);
	unsigned long first;
	bool open = true;

	if (i % 2)
		open = client_that_fails(i, ssl);
	else
		server_that_fails(i, ssl);
	marked(i);
	first = ERR_peek_error();
	errors_are_mine(i, first);
	SSL_free(ssl);
	if (open)
		close(ends[i]);
}

TEST(errors_stay_apart)
{
	begin();
	connect_pairs();
	crowd(N, fail_in_your_own_way, NULL);
	finish();
}

/* --- without descriptors --- */

/* What one end wrote is what the other has to read. */
static void
carry(SSL *from, SSL *to)
{
	char buf[1000];
	int n;

	while ((n = BIO_read(SSL_get_wbio(from), buf, sizeof buf)) > 0) {
		CHECK_INT(BIO_write(SSL_get_rbio(to), buf, n), n);
		sched_yield();
	}
}

static void
step(SSL *ssl, int (*fn)(SSL *))
{
	int r = fn(ssl);

	if (r != 1)
		CHECK_INT(SSL_get_error(ssl, r), SSL_ERROR_WANT_READ);
}

static void
both_ends_in_memory(int i)
{
	SSL *s = SSL_new(serving), *c = SSL_new(trusting);
	char text[60], got[60];

	CHECK(s != NULL && c != NULL);
	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(c, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_OK(SSL_set_max_proto_version(c, version_of(i)));
	while (!SSL_is_init_finished(s) || !SSL_is_init_finished(c)) {
		step(c, SSL_connect);
		carry(c, s);
		step(s, SSL_accept);
		carry(s, c);
		crowd_rest();
	}
	CHECK_INT(SSL_version(s), version_of(i));
	snprintf(text, sizeof text, "number %d and its twin", i);
	CHECK_INT(SSL_write(c, text, sizeof text), sizeof text);
	carry(c, s);
	pthread_barrier_wait(&all_here);
	CHECK_INT(SSL_read(s, got, sizeof got), sizeof text);
	CHECK(strcmp(got, text) == 0);
	CHECK(SSL_read(s, got, sizeof got) < 0);
	CHECK_INT(SSL_get_error(s, -1), SSL_ERROR_WANT_READ);
	no_errors();
	SSL_free(s);
	SSL_free(c);
}

TEST(memory)
{
	begin();
	crowd(N, both_ends_in_memory, NULL);
	finish();
}

/* --- SO_RCVTIMEO --- */

static void
wait_for_nobody(int i)
{
	struct timeval t = { 0, 200000 };
	SSL *ssl = session(i);
	int64_t since;
	char c;
	int r;

	if (i % 2 == 0) {
		/* Its own silence, after the handshake. */
		SSL_OK(SSL_accept(ssl));
		pthread_barrier_wait(&all_here);
		pthread_barrier_wait(&all_here);
		SSL_OK(SSL_write(ssl, "x", 1));
	} else {
		SSL_OK(SSL_connect(ssl));
		CHECK_INT(setsockopt(ends[i], SOL_SOCKET, SO_RCVTIMEO, &t,
				     sizeof t),
			  0);
		pthread_barrier_wait(&all_here);
		since = t_now();
		do
			r = SSL_read(ssl, &c, 1);
		while (r < 0 && t_now() - since < 200 * T_MS);
		CHECK_INT(SSL_get_error(ssl, r), SSL_ERROR_WANT_READ);
		took(since, 0.2);
		if (i == 1)
			crowd_count(N);
		pthread_barrier_wait(&all_here);
		while ((r = SSL_read(ssl, &c, 1)) < 0)
			CHECK_INT(SSL_get_error(ssl, r), SSL_ERROR_WANT_READ);
		CHECK_INT(r, 1);
		CHECK_INT(c, 'x');
	}
	no_errors();
	SSL_free(ssl);
	close(ends[i]);
}

TEST(timeouts)
{
	begin();
	connect_pairs();
	crowd(N, wait_for_nobody, NULL);
	finish();
}
