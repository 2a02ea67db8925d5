/* SPDX-License-Identifier: MIT */
/* client_curl.c - libcurl by HTTPS: easy handles in many threads, and many
 * transfers in one thread by each way that its multi interface has to wait.
 */
#include "crowd.h"

#include <curl/curl.h>
#include <sys/epoll.h>

#define N 40

/* One transfer: what it fetches or sends, and what came of it. */
struct fetch {
	CURL *easy;
	int seed;
	long size; /* of what it gets, or puts */
	long at;
	char answer[100]; /* where that is not the pattern */
	size_t answered;
};

static unsigned char
pattern_at(long k, int seed)
{
	return (unsigned char)(k * 7 + k / 251 + seed);
}

static size_t
check_pattern(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t k;

	(void)one;
	for (k = 0; k < n; k++, f->at++)
		if ((unsigned char)p[k] != pattern_at(f->at, f->seed))
			return 0;
	return n;
}

static size_t
keep_answer(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;

	(void)one;
	CHECK(f->answered + n < sizeof f->answer);
	memcpy(f->answer + f->answered, p, n);
	f->answered += n;
	f->answer[f->answered] = '\0';
	return n;
}

static size_t
give_pattern(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t k;

	n *= one;
	for (k = 0; k < n && f->at < f->size; k++, f->at++)
		p[k] = (char)pattern_at(f->at, f->seed);
	return k;
}

#define SET(f, option, value) \
	CHECK_INT(curl_easy_setopt((f)->easy, option, value), CURLE_OK)

static void
url(struct fetch *f, const char *path)
{
	char text[200];

	snprintf(text, sizeof text, "https://%s:%s/%s",
		 f->seed % 2 ? "localhost" : "127.0.0.1",
		 from_env("HTTPS_PORT"), path);
	SET(f, CURLOPT_URL, text);
	f->at = 0;
	f->answered = 0;
}

static void
start(struct fetch *f, int seed)
{
	memset(f, 0, sizeof *f);
	f->seed = seed;
	f->easy = curl_easy_init();
	CHECK(f->easy != NULL);
	SET(f, CURLOPT_CAINFO, from_env("TLS_CA"));
	SET(f, CURLOPT_PROXY, "");
	SET(f, CURLOPT_NOSIGNAL, 1L);
	SET(f, CURLOPT_FAILONERROR, 1L);
	SET(f, CURLOPT_WRITEDATA, f);
	SET(f, CURLOPT_READDATA, f);
	SET(f, CURLOPT_READFUNCTION, give_pattern);
}

static void
wants_pattern(struct fetch *f, int ms, long size)
{
	char path[100];

	snprintf(path, sizeof path, "get/%d/%ld/%d", ms, size, f->seed);
	url(f, path);
	f->size = size;
	SET(f, CURLOPT_WRITEFUNCTION, check_pattern);
	SET(f, CURLOPT_HTTPGET, 1L);
}

static void
wants_answer(struct fetch *f, const char *path)
{
	url(f, path);
	SET(f, CURLOPT_WRITEFUNCTION, keep_answer);
	SET(f, CURLOPT_HTTPGET, 1L);
}

static void
perform(struct fetch *f, CURLcode want)
{
	CURLcode r = curl_easy_perform(f->easy);

	if (r != want)
		fprintf(stderr, "%s\n", curl_easy_strerror(r));
	CHECK_INT(r, want);
}

static void
begin(void)
{
	CHECK_INT(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
}

/* --- easy --- */

static void
put(struct fetch *f, long size)
{
	unsigned sum = 2166136261u;
	char want[60];
	long k;

	url(f, "put");
	f->size = size;
	SET(f, CURLOPT_UPLOAD, 1L);
	SET(f, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	SET(f, CURLOPT_WRITEFUNCTION, keep_answer);
	perform(f, CURLE_OK);
	for (k = 0; k < size; k++)
		sum = (sum ^ pattern_at(k, f->seed)) * 16777619u;
	snprintf(want, sizeof want, "%ld %08x\n", size, sum);
	CHECK(strcmp(f->answer, want) == 0);
	SET(f, CURLOPT_UPLOAD, 0L);
}

static void
get(struct fetch *f, int ms, long size)
{
	wants_pattern(f, ms, size);
	perform(f, CURLE_OK);
	CHECK_INT(f->at, size);
}

static void
visit(int i)
{
	struct fetch f;
	long connections;

	start(&f, i);
	get(&f, 0, 300000);
	put(&f, 400000);
	get(&f, i % 5, 7);
	CHECK_INT(
		curl_easy_getinfo(f.easy, CURLINFO_NUM_CONNECTS, &connections),
		CURLE_OK);
	CHECK_INT(connections, 0); /* the one it had */
	curl_easy_cleanup(f.easy);
}

TEST(easy)
{
	begin();
	crowd(N, visit, NULL);
	curl_global_cleanup();
}

/* The others are kept waiting by the server until the last has come. */
static void
wait_for_the_others(int i)
{
	struct fetch f;
	char path[40];

	start(&f, 2 * i);
	snprintf(path, sizeof path, "all/%d", N + 1);
	wants_answer(&f, path);
	perform(&f, CURLE_OK);
	CHECK(strcmp(f.answer, "all\n") == 0);
	curl_easy_cleanup(f.easy);
}

static void
be_the_last(int n)
{
	struct fetch f;

	start(&f, 0);
	do {
		crowd_rest();
		wants_answer(&f, "waiting");
		perform(&f, CURLE_OK);
	} while (atoi(f.answer) != n);
	crowd_count(n);
	curl_easy_cleanup(f.easy);
	wait_for_the_others(n);
}

TEST(waits_overlap)
{
	begin();
	crowd(N, wait_for_the_others, be_the_last);
	curl_global_cleanup();
}

static int silent_port;

static void
fail_in_your_own_way(int i)
{
	int64_t since = t_now();
	struct fetch f;
	char silent[60];

	start(&f, i);
	switch (i % 4) {
	case 0:
		wants_answer(&f, "never");
		SET(&f, CURLOPT_TIMEOUT_MS, 300L);
		perform(&f, CURLE_OPERATION_TIMEDOUT);
		took(since, 0.3);
		break;
	case 1: /* no TLS comes back */
		snprintf(silent, sizeof silent, "https://127.0.0.1:%d/",
			 silent_port);
		SET(&f, CURLOPT_URL, silent);
		SET(&f, CURLOPT_CONNECTTIMEOUT_MS, 300L);
		perform(&f, CURLE_OPERATION_TIMEDOUT);
		took(since, 0.3);
		break;
	case 2:
		SET(&f, CURLOPT_CAINFO, from_env("TLS_OTHER_CA"));
		wants_answer(&f, "waiting");
		perform(&f, CURLE_PEER_FAILED_VERIFICATION);
		break;
	case 3:
		SET(&f, CURLOPT_URL, "https://127.0.0.1:1/");
		perform(&f, CURLE_COULDNT_CONNECT);
		break;
	}
	curl_easy_cleanup(f.easy);
	start(&f, i);
	get(&f, 0, 1000);
	curl_easy_cleanup(f.easy);
}

TEST(failures)
{
	int s = silent_server(&silent_port);

	begin();
	crowd(N, fail_in_your_own_way, NULL);
	curl_global_cleanup();
	close(s);
}

/* --- multi --- */

#define MULTIS 8
#define EACH 12

static void
start_all(CURLM *m, struct fetch *f, int i)
{
	int k;

	for (k = 0; k < EACH; k++) {
		start(&f[k], i * EACH + k);
		wants_pattern(&f[k], 20 + k, 20000 + 1000 * k);
		CHECK_INT(curl_multi_add_handle(m, f[k].easy), CURLM_OK);
	}
}

static void
finish_all(CURLM *m, struct fetch *f)
{
	CURLMsg *msg;
	int left, done = 0, k;

	while ((msg = curl_multi_info_read(m, &left)) != NULL) {
		CHECK_INT(msg->msg, CURLMSG_DONE);
		CHECK_INT(msg->data.result, CURLE_OK);
		done++;
	}
	CHECK_INT(done, EACH);
	for (k = 0; k < EACH; k++) {
		CHECK_INT(f[k].at, f[k].size);
		CHECK_INT(curl_multi_remove_handle(m, f[k].easy), CURLM_OK);
		curl_easy_cleanup(f[k].easy);
	}
	CHECK_INT(curl_multi_cleanup(m), CURLM_OK);
}

static void
multi_by(int i,
	 CURLMcode (*wait)(CURLM *, struct curl_waitfd *, unsigned, int, int *))
{
	struct fetch f[EACH];
	CURLM *m = curl_multi_init();
	int running, ready;

	CHECK(m != NULL);
	start_all(m, f, i);
	for (;;) {
		CHECK_INT(curl_multi_perform(m, &running), CURLM_OK);
		if (running == 0)
			break;
		CHECK_INT(wait(m, NULL, 0, 1000, &ready), CURLM_OK);
	}
	finish_all(m, f);
}

static void
by_poll(int i)
{
	multi_by(i, curl_multi_poll);
}

static void
by_wait(int i)
{
	multi_by(i, curl_multi_wait);
}

TEST(multi_poll)
{
	begin();
	crowd(MULTIS, by_poll, NULL);
	curl_global_cleanup();
}

TEST(multi_wait)
{
	begin();
	crowd(MULTIS, by_wait, NULL);
	curl_global_cleanup();
}

/* curl tells us what to wait for, and we tell it what came. */
struct events {
	int epoll;
	long timeout_ms; /* -1: none */
};

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event e = { .data.fd = fd };
	struct events *ev = arg;

	(void)easy;
	(void)known;
	if (what == CURL_POLL_REMOVE) {
		/* Closed already, maybe. */
		epoll_ctl(ev->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		e.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		e.events |= EPOLLOUT;
	if (epoll_ctl(ev->epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
		CHECK_INT(errno, EEXIST);
		CHECK_INT(epoll_ctl(ev->epoll, EPOLL_CTL_MOD, fd, &e), 0);
	}
	return 0;
}

static int
on_timer(CURLM *m, long timeout_ms, void *arg)
{
	struct events *ev = arg;

	(void)m;
	ev->timeout_ms = timeout_ms;
	return 0;
}

static void
by_epoll(int i)
{
	struct events ev = { epoll_create1(EPOLL_CLOEXEC), -1 };
	struct epoll_event got[8];
	struct fetch f[EACH];
	CURLM *m = curl_multi_init();
	int running, n, k, what;

	CHECK(m != NULL && ev.epoll != -1);
	curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m, CURLMOPT_SOCKETDATA, &ev);
	curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(m, CURLMOPT_TIMERDATA, &ev);
	start_all(m, f, i);
	CHECK_INT(curl_multi_socket_action(m, CURL_SOCKET_TIMEOUT, 0, &running),
		  CURLM_OK);
	while (running > 0) {
		n = epoll_wait(ev.epoll, got, 8, (int)ev.timeout_ms);
		CHECK(n >= 0);
		if (n == 0) {
			ev.timeout_ms = -1;
			CHECK_INT(curl_multi_socket_action(
					  m, CURL_SOCKET_TIMEOUT, 0, &running),
				  CURLM_OK);
		}
		for (k = 0; k < n; k++) {
			what = 0;
			if (got[k].events & EPOLLIN)
				what |= CURL_CSELECT_IN;
			if (got[k].events & EPOLLOUT)
				what |= CURL_CSELECT_OUT;
			if (got[k].events & (EPOLLERR | EPOLLHUP))
				what |= CURL_CSELECT_ERR;
			CHECK_INT(curl_multi_socket_action(m, got[k].data.fd,
							   what, &running),
				  CURLM_OK);
		}
	}
	finish_all(m, f);
	close(ev.epoll);
}

TEST(multi_socket_action)
{
	begin();
	crowd(MULTIS, by_epoll, NULL);
	curl_global_cleanup();
}
