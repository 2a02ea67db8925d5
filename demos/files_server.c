/* SPDX-License-Identifier: MIT */
/* files_server.c - serves the files of a folder, a thread for each connection,
 * and logs every request.
 *
 *     files_server FOLDER LOG [PORT]
 *
 * Prints "port N" once it listens.  SIGTERM ends it, with the log complete.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "log_queue.h"
#include "thread_each.h"

static int folder;

static int
answer(int fd, const char *request)
{
	char name[200] = "", head[160];
	struct stat st = { 0 };
	off_t at = 0;
	int file = -1, ok;

	/* One name: no folder below, nor above. */
	if (sscanf(request, "GET /%199[^ /] HTTP/1.", name) == 1)
		file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file >= 0 && (fstat(file, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(file);
		file = -1;
		st.st_size = 0;
	}
	snprintf(head, sizeof head,
		 "HTTP/1.1 %s\r\nContent-Length: %ld\r\n\r\n",
		 file < 0 ? "404 Not Found" : "200 OK",
		 file < 0 ? 0L : (long)st.st_size);
	/* More is to come, or the kernel would wait for an answer to this. */
	ok = send(fd, head, strlen(head), st.st_size > 0 ? MSG_MORE : 0) > 0;
	while (ok && file >= 0 && at < st.st_size)
		ok = sendfile(fd, file, &at, (size_t)(st.st_size - at)) > 0;
	log_line(name, file < 0 ? 404 : 200, (long)at);
	if (file >= 0)
		close(file);
	return ok;
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg, ok = 1;
	const char *request;
	struct http http;

	http_begin(&http);
	while (ok && http_read(&http, fd) > 0)
		while (ok && (request = http_next(&http)) != NULL)
			ok = answer(fd, request);
	close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		fail(argv[1]);
	log_begin(argv[2]);
	thread_each(listen_on(argc > 3 ? argv[3] : "0"), serve);
	log_end();
	return 0;
}
