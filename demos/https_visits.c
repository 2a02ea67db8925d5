/* SPDX-License-Identifier: MIT */
/* https_visits.c - an ordinary program: each visit fetches, by HTTPS, a page
 * that the server takes 50 ms for, and checks it byte by byte.
 *
 *     HTTPS_PORT=443 HTTPS_CA=ca.pem https_visits serial|threads N
 */
#include <curl/curl.h>

#include "visits.h"

#define SIZE 100000

struct page {
	int me, at, right;
};

static size_t
check(char *p, size_t one, size_t n, void *arg)
{
	struct page *page = arg;
	size_t k;

	(void)one;
	for (k = 0; k < n; k++, page->at++)
		page->right += p[k] ==
			       (char)(page->at * 7 + page->at / 251 + page->me);
	return n;
}

static int
visit(int me)
{
	struct page page = { .me = me };
	CURL *c = curl_easy_init();
	char url[100];
	CURLcode e;

	snprintf(url, sizeof url, "https://localhost:%s/get/50/%d/%d",
		 getenv("HTTPS_PORT"), SIZE, me);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CAINFO, getenv("HTTPS_CA"));
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, check);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &page);
	e = curl_easy_perform(c);
	curl_easy_cleanup(c);
	if (e != CURLE_OK) {
		fprintf(stderr, "%s\n", curl_easy_strerror(e));
		return -1;
	}
	return page.at == SIZE && page.right == SIZE;
}

int
main(int argc, char **argv)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
	return visits(argc, argv, visit, 1);
}
