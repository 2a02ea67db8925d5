/* SPDX-License-Identifier: MIT */
/* fd.c - what a descriptor of a live process is, and who is at its other end.
 *
 * /proc/PID/fd names a socket by its inode, /proc/PID/net has the addresses by
 * inode, and sock_diag(7) knows a Unix socket's peer. */
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "hook/tool/live.h"

struct sock {
	unsigned long inode, peer;   /* peer: a Unix socket's; 0: none known */
	char *text;
	char *path;                  /* a Unix socket's name; NULL */
};

struct net {
	struct sock *socks;
	size_t n;
};

static struct sock *
add(struct net *net, unsigned long inode)
{
	struct sock *s;

	net->socks = more(net->socks, (net->n + 1) * sizeof(*s));
	s = &net->socks[net->n++];
	memset(s, 0, sizeof(*s));
	s->inode = inode;
	return s;
}

static struct sock *
find(struct net *net, unsigned long inode)
{
	size_t i;

	for (i = 0; i < net->n; i++)
		if (net->socks[i].inode == inode)
			return &net->socks[i];
	return NULL;
}

/* Hexadecimal words, each in the machine's byte order, and a port. */
static void
address(const char *hex, unsigned port, char *out, size_t size)
{
	uint32_t words[4] = { 0 };
	char text[INET6_ADDRSTRLEN];
	size_t i, n = strlen(hex) / 8;

	for (i = 0; i < n && i < 4; i++)
		sscanf(hex + 8 * i, "%8x", &words[i]);
	if (n == 4 && words[0] == 0 && words[1] == 0 &&
	    words[2] == htonl(0xffff)) {
		n = 1; /* IPv4 under IPv6 */
		words[0] = words[3];
	}
	inet_ntop(n == 4 ? AF_INET6 : AF_INET, words, text, sizeof(text));
	snprintf(out, size, n == 4 ? "[%s]:%u" : "%s:%u", text, port);
}

static FILE *
open_net(pid_t pid, const char *name)
{
	char *path = format("/proc/%d/net/%s", (int)pid, name);
	FILE *f = fopen(path, "re");

	free(path);
	return f;
}

static void
read_inet(struct net *net, pid_t pid, const char *name, const char *title)
{
	static const char *const states[] = {
		NULL,	     NULL,	   "connecting",   "connecting",
		"closing",   "closing",	   "closing",	   "closed",
		"peer closed", "closing", NULL,		   "closing",
	};
	FILE *f = open_net(pid, name);
	char line[512], local[40], peer[40], from[64], to[64];
	unsigned lport, pport, state;
	unsigned long inode;
	struct sock *s;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line,
			   " %*d: %39[0-9A-F]:%x %39[0-9A-F]:%x %x %*s %*s %*s "
			   "%*s %*s %lu",
			   local, &lport, peer, &pport, &state, &inode) != 6)
			continue;
		address(local, lport, from, sizeof(from));
		address(peer, pport, to, sizeof(to));
		s = add(net, inode);
		if (pport == 0)
			s->text = format("%s %s %s", title,
					 state == 10 ? "listening on" : "at",
					 from);
		else
			s->text = format("%s %s to %s%s%s", title, from, to,
					 state < 12 && states[state] != NULL
						 ? ", "
						 : "",
					 state < 12 && states[state] != NULL
						 ? states[state]
						 : "");
	}
	if (f != NULL)
		fclose(f);
}

static void
read_unix(struct net *net, pid_t pid)
{
	FILE *f = open_net(pid, "unix");
	char line[512], path[256];
	unsigned long inode;
	struct sock *s;
	int n;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		n = sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %255s", &inode,
			   path);
		if (n < 1)
			continue;
		s = add(net, inode);
		s->path = n == 2 ? strdup(path) : NULL;
	}
	if (f != NULL)
		fclose(f);
}

/* Who is connected to whom, of our own network namespace. */
static void
read_peers(struct net *net)
{
	struct {
		struct nlmsghdr nh;
		struct unix_diag_req req;
	} ask;
	struct timeval soon = { 1, 0 };
	_Alignas(struct nlmsghdr) static char buf[65536];
	struct nlmsghdr *nh;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	memset(&ask, 0, sizeof(ask));
	ask.nh.nlmsg_len = sizeof(ask);
	ask.nh.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	ask.nh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ask.req.sdiag_family = AF_UNIX;
	ask.req.udiag_states = ~0U;
	ask.req.udiag_show = UDIAG_SHOW_PEER;
	if (send(fd, &ask, sizeof(ask), 0) < 0)
		goto out;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (nh = (struct nlmsghdr *)(void *)buf; NLMSG_OK(nh, n);
		     nh = NLMSG_NEXT(nh, n)) {
			struct unix_diag_msg *d = NLMSG_DATA(nh);
			struct nlattr *a = (struct nlattr *)(d + 1);
			struct sock *s;
			uint32_t peer;

			if (nh->nlmsg_type != SOCK_DIAG_BY_FAMILY)
				goto out; /* done, or refused */
			if (nh->nlmsg_len < NLMSG_LENGTH(sizeof(*d) +
							 sizeof(*a) + 4) ||
			    a->nla_type != UNIX_DIAG_PEER)
				continue;
			memcpy(&peer, a + 1, 4);
			s = find(net, d->udiag_ino);
			if (s != NULL)
				s->peer = peer;
		}
out:
	close(fd);
}

static struct net *
net_of(struct live *l)
{
	if (l->net != NULL)
		return l->net;
	l->net = need(sizeof(*l->net));
	memset(l->net, 0, sizeof(*l->net));
	read_inet(l->net, l->pid, "tcp", "TCP");
	read_inet(l->net, l->pid, "tcp6", "TCP");
	read_inet(l->net, l->pid, "udp", "UDP");
	read_inet(l->net, l->pid, "udp6", "UDP");
	read_unix(l->net, l->pid);
	read_peers(l->net);
	return l->net;
}

void
live_fd_forget(struct live *l)
{
	size_t i;

	if (l->net == NULL)
		return;
	for (i = 0; i < l->net->n; i++) {
		free(l->net->socks[i].text);
		free(l->net->socks[i].path);
	}
	free(l->net->socks);
	free(l->net);
	l->net = NULL;
}

static char *
unix_text(struct net *net, const struct sock *s)
{
	struct sock *peer = s->peer != 0 ? find(net, s->peer) : NULL;

	if (peer != NULL && peer->path != NULL)
		return format("Unix socket to %s", peer->path);
	if (s->path != NULL)
		return format("Unix socket %s", s->path);
	return format("Unix socket");
}

char *
live_fd(struct live *l, int fd)
{
	char *path = format("/proc/%d/fd/%d", (int)l->pid, fd), to[256];
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	unsigned long inode;
	struct sock *s;

	free(path);
	if (n < 0)
		return format("closed");
	to[n] = '\0';
	if (sscanf(to, "socket:[%lu]", &inode) == 1) {
		s = find(net_of(l), inode);
		if (s == NULL)
			return format("a socket");
		return s->text != NULL ? strdup(s->text)
				       : unix_text(l->net, s);
	}
	if (strncmp(to, "anon_inode:", 11) == 0) {
		char *kind = to + 11 + (to[11] == '[');

		kind[strcspn(kind, "]")] = '\0';
		return strdup(kind);
	}
	if (strncmp(to, "pipe:", 5) == 0)
		return format("pipe %.*s", (int)strcspn(to + 6, "]"), to + 6);
	return strdup(to);
}
