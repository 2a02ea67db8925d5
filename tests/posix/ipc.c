/* SPDX-License-Identifier: MIT */
/* ipc.c - semaphores and message queues, System V's and POSIX's. */
#define _GNU_SOURCE 1

#include <mqueue.h>
#include <stdatomic.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "tasks.h"

/* --- semaphores --- */

static int
a_set(int n)
{
	int id = semget(IPC_PRIVATE, n, 0600);

	if (id == -1 && errno == ENOSYS)
		SKIP("no System V semaphores");
	CHECK(id != -1);
	return id;
}

static int
op(int id, int num, int by, int flags)
{
	struct sembuf b = { (unsigned short)num, (short)by, (short)flags };

	return semop(id, &b, 1);
}

struct deed {
	int id, by;
	atomic_int over;
};

static void *
posts_later(void *arg)
{
	struct deed *d = arg;

	most_likely();
	d->over = 1;
	CHECK_INT(op(d->id, 0, d->by, 0), 0);
	return NULL;
}

static void *
removes_later(void *arg)
{
	struct deed *d = arg;

	most_likely();
	CHECK_INT(semctl(d->id, 0, IPC_RMID), 0);
	return NULL;
}

TEST(semop_waits_up_and_down)
{
	struct sembuf two[2] = { { 0, -1, 0 }, { 1, -1, IPC_NOWAIT } };
	struct deed d = { a_set(2), 2, 0 };
	pthread_t th;

	CHECK_ERR(op(d.id, 0, -1, IPC_NOWAIT), EAGAIN);
	th = party(posts_later, &d);
	CHECK_RET(op(d.id, 0, -2, 0), 0);
	CHECK_INT(d.over, 1);
	leaves(th);
	/* For zero. */
	CHECK_RET(op(d.id, 0, 1, 0), 0);
	d.by = -1;
	th = party(posts_later, &d);
	CHECK_RET(op(d.id, 0, 0, 0), 0);
	leaves(th);
	/* One of two does not wait: then none does. */
	CHECK_RET(op(d.id, 0, 1, 0), 0);
	CHECK_ERR(semop(d.id, two, 2), EAGAIN);
	CHECK_INT(semctl(d.id, 0, GETVAL), 1);
	CHECK_INT(semctl(d.id, 0, IPC_RMID), 0);
}

TEST(semtimedop_never_gives_up_early)
{
	struct timespec ts = { 0, 30 * T_MS }, zero = { 0, 0 };
	struct timespec bad = { 0, -1 }, ages = { 1000000000, 0 };
	struct sembuf b = { 0, -1, 0 };
	struct deed d = { a_set(1), 1, 0 };
	pthread_t th;
	int64_t t;

	t = t_now();
	CHECK_ERR(semtimedop(d.id, &b, 1, &ts), EAGAIN);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_INT(ts.tv_nsec, 30 * T_MS);
	CHECK_ERR(semtimedop(d.id, &b, 1, &zero), EAGAIN);
	CHECK_ERR(semtimedop(d.id, &b, 1, &bad), EINVAL);
	CHECK_ERR(semtimedop(d.id, &b, 1, nowhere()), EFAULT);
	th = party(posts_later, &d);
	CHECK_RET(semtimedop(d.id, &b, 1, &ages), 0);
	leaves(th);
	th = party(posts_later, &d);
	CHECK_RET(semtimedop(d.id, &b, 1, NULL), 0);
	leaves(th);
	CHECK_INT(semctl(d.id, 0, IPC_RMID), 0);
}

TEST(semop_says_what_it_cannot_do)
{
	struct timespec ts = { 100, 0 };
	struct sembuf b = { 0, -1, 0 };
	struct deed d = { a_set(1), 1, 0 };
	pthread_t th;

	CHECK_ERR(semop(d.id, nowhere(), 1), EFAULT);
	CHECK_ERR(semop(d.id, &b, 0), EINVAL);
	CHECK_ERR(op(d.id, 5, -1, 0), EFBIG);
	CHECK_ERR(op(-1, 0, -1, 0), EINVAL);
	start_ticking(SA_RESTART);
	CHECK_ERR(op(d.id, 0, -1, 0), EINTR);
	CHECK_ERR(semtimedop(d.id, &b, 1, &ts), EINTR);
	stop_ticking();
	CHECK_INT(semctl(d.id, 0, GETVAL), 0);
	th = party(removes_later, &d);
	CHECK_ERR(op(d.id, 0, -1, 0), EIDRM);
	leaves(th);
	CHECK_ERR(op(d.id, 0, -1, 0), EINVAL);
}

/* --- System V queues --- */

struct letter {
	long type;
	char text[2000];
};

static int
a_queue(void)
{
	int id = msgget(IPC_PRIVATE, 0600);

	if (id == -1 && errno == ENOSYS)
		SKIP("no System V queues");
	CHECK(id != -1);
	return id;
}

struct post {
	int id, n;
	long type;
};

static void *
sends_later(void *arg)
{
	struct post *p = arg;
	struct letter l = { p->type, "hello" };

	most_likely();
	CHECK_INT(msgsnd(p->id, &l, 6, 0), 0);
	return NULL;
}

static void *
receives_later(void *arg)
{
	struct post *p = arg;
	struct letter l;
	int i;

	most_likely();
	for (i = 0; i < p->n; i++)
		CHECK_INT(msgrcv(p->id, &l, sizeof l.text, 0, 0), 2000);
	return NULL;
}

TEST(msgrcv_waits_for_its_kind)
{
	struct post p = { .id = a_queue() };
	struct letter l = { 5, "five" };
	pthread_t th;

	CHECK_ERR(msgrcv(p.id, &l, 100, 0, IPC_NOWAIT), ENOMSG);
	CHECK_RET(msgsnd(p.id, &l, 5, 0), 0);
	p.type = 7;
	th = party(sends_later, &p);
	CHECK_RET(msgrcv(p.id, &l, 100, 7, 0), 6);
	CHECK_INT(l.type, 7);
	CHECK_INT(strcmp(l.text, "hello"), 0);
	leaves(th);
	CHECK_ERR(msgrcv(p.id, &l, 2, 0, 0), E2BIG);
	CHECK_RET(msgrcv(p.id, &l, 2, 0, MSG_NOERROR), 2);
	start_ticking(SA_RESTART);
	CHECK_ERR(msgrcv(p.id, &l, 100, 0, 0), EINTR);
	stop_ticking();
	CHECK_ERR(msgrcv(-1, &l, 100, 0, 0), EINVAL);
	CHECK_INT(msgctl(p.id, IPC_RMID, NULL), 0);
	CHECK_ERR(msgrcv(p.id, &l, 100, 0, 0), EINVAL);
}

TEST(msgsnd_waits_for_room)
{
	struct post p = { .id = a_queue() };
	struct letter l = { 1, "x" };
	pthread_t th;

	while (msgsnd(p.id, &l, sizeof l.text, IPC_NOWAIT) == 0)
		p.n++;
	CHECK_INT(errno, EAGAIN);
	start_ticking(0);
	CHECK_ERR(msgsnd(p.id, &l, sizeof l.text, 0), EINTR);
	stop_ticking();
	p.n++;
	th = party(receives_later, &p);
	CHECK_RET(msgsnd(p.id, &l, sizeof l.text, 0), 0);
	leaves(th);
	CHECK_ERR(msgsnd(p.id, nowhere(), 1, 0), EFAULT);
	l.type = 0;
	CHECK_ERR(msgsnd(p.id, &l, 1, 0), EINVAL);
	CHECK_INT(msgctl(p.id, IPC_RMID, NULL), 0);
}

/* --- POSIX queues --- */

static mqd_t
a_mqueue(int flags, int room)
{
	struct mq_attr attr = { .mq_maxmsg = room, .mq_msgsize = 16 };
	char name[64];
	mqd_t q;

	snprintf(name, sizeof name, "/t-ipc-%d", (int)getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attr);
	if (q == (mqd_t)-1 && (errno == ENOSYS || errno == EACCES))
		SKIP("no POSIX queues");
	CHECK(q != (mqd_t)-1);
	CHECK_INT(mq_unlink(name), 0);
	return q;
}

static struct timespec
in_ms(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * T_MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void *
mails_later(void *arg)
{
	most_likely();
	CHECK_RET(mq_send(*(mqd_t *)arg, "hello", 6, 3), 0);
	return NULL;
}

static void *
fetches_later(void *arg)
{
	char buf[16];

	most_likely();
	CHECK_INT(mq_receive(*(mqd_t *)arg, buf, sizeof buf, NULL), 2);
	return NULL;
}

TEST(a_queue_waits_in_both_directions)
{
	mqd_t q = a_mqueue(0, 2);
	struct timespec ts;
	char buf[16];
	unsigned prio;
	pthread_t th;
	int i;

	th = party(mails_later, &q);
	CHECK_RET(mq_receive(q, buf, sizeof buf, &prio), 6);
	CHECK_INT(strcmp(buf, "hello"), 0);
	CHECK_INT(prio, 3);
	leaves(th);
	ts = in_ms(100000);
	th = party(mails_later, &q);
	CHECK_RET(mq_timedreceive(q, buf, sizeof buf, NULL, &ts), 6);
	leaves(th);
	for (i = 0; i < 2; i++) {
		CHECK_RET(mq_send(q, "a", 2, 0), 0);
		CHECK_RET(mq_send(q, "b", 2, 9), 0);
		th = party(fetches_later, &q);
		CHECK_RET(i == 0 ? mq_send(q, "c", 2, 0)
				 : mq_timedsend(q, "c", 2, 0, &ts),
			  0);
		leaves(th);
		CHECK_RET(mq_receive(q, buf, sizeof buf, NULL), 2);
		CHECK_INT(buf[0], 'a');
		CHECK_RET(mq_receive(q, buf, sizeof buf, NULL), 2);
		CHECK_INT(buf[0], 'c');
	}
	CHECK_INT(mq_close(q), 0);
}

TEST(a_queue_never_gives_up_early)
{
	mqd_t q = a_mqueue(0, 1);
	struct timespec ts = in_ms(30), past = { 1, 0 };
	int64_t t = t_now();
	char buf[16];

	CHECK_ERR(mq_timedreceive(q, buf, sizeof buf, NULL, &ts), ETIMEDOUT);
	CHECK(t_now() - t >= 29 * T_MS);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof buf, NULL, &past), ETIMEDOUT);
	CHECK_RET(mq_timedsend(q, "x", 2, 0, &past), 0);
	CHECK_ERR(mq_timedsend(q, "x", 2, 0, &past), ETIMEDOUT);
	t = t_now();
	ts = in_ms(30);
	CHECK_ERR(mq_timedsend(q, "x", 2, 0, &ts), ETIMEDOUT);
	CHECK(t_now() - t >= 29 * T_MS);
	CHECK_RET(mq_timedreceive(q, buf, sizeof buf, NULL, &past), 2);
	CHECK_INT(mq_close(q), 0);
}

TEST(a_queue_says_what_it_cannot_do)
{
	mqd_t q = a_mqueue(O_NONBLOCK, 1);
	struct timespec bad = { 1, -1 }, ages = in_ms(100000);
	struct mq_attr wait = { 0 };
	char buf[16];

	CHECK_ERR(mq_receive(q, buf, sizeof buf, NULL), EAGAIN);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof buf, NULL, &ages), EAGAIN);
	CHECK_RET(mq_send(q, "x", 2, 0), 0);
	CHECK_ERR(mq_send(q, "x", 2, 0), EAGAIN);
	CHECK_ERR(mq_receive(q, buf, 5, NULL), EMSGSIZE);
	CHECK_ERR(mq_send(q, buf, 17, 0), EMSGSIZE);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof buf, NULL, &bad), EINVAL);
	CHECK_ERR(mq_timedsend(q, "x", 2, 0, &bad), EINVAL);
	CHECK_ERR(mq_timedsend(q, "x", 2, 0, nowhere()), EFAULT);
	CHECK_ERR(mq_send((mqd_t)-1, "x", 2, 0), EBADF);
	CHECK_ERR(mq_receive(STDERR_FILENO, buf, sizeof buf, NULL), EBADF);
	CHECK_ERR(mq_send(q, nowhere(), 2, 0), EFAULT);
	CHECK_INT(mq_setattr(q, &wait, NULL), 0);
	CHECK_RET(mq_receive(q, buf, sizeof buf, NULL), 2);
	start_ticking(0);
	CHECK_ERR(mq_receive(q, buf, sizeof buf, NULL), EINTR);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof buf, NULL, &ages), EINTR);
	CHECK_RET(mq_send(q, "x", 2, 0), 0);
	CHECK_ERR(mq_send(q, "x", 2, 0), EINTR);
	stop_ticking();
	CHECK_INT(mq_close(q), 0);
	CHECK_ERR(mq_close(q), EBADF);
	CHECK_ERR(mq_receive(q, buf, sizeof buf, NULL), EBADF);
}

static void *
mails_after_a_few_ticks(void *arg)
{
	while (ticks < 3)
		usleep(1000);
	CHECK_INT(mq_send(*(mqd_t *)arg, "hello", 6, 3), 0);
	return NULL;
}

TEST(a_queue_goes_on_after_a_handler_that_says_so)
{
	mqd_t q = a_mqueue(0, 1);
	char buf[16];
	pthread_t th;

	th = party(mails_after_a_few_ticks, &q);
	start_ticking(SA_RESTART);
	CHECK_INT(mq_receive(q, buf, sizeof buf, NULL), 6);
	stop_ticking();
	leaves(th);
	CHECK(ticks >= 3);
	CHECK_INT(mq_close(q), 0);
}

TEST(a_queue_s_number_comes_back)
{
	mqd_t q, was = -1;
	char buf[16];
	pthread_t th;
	int i;

	for (i = 0; i < 3; i++) {
		q = a_mqueue(0, 1);
		CHECK(was == -1 || was == q);
		was = q;
		th = party(mails_later, &q);
		CHECK_RET(mq_receive(q, buf, sizeof buf, NULL), 6);
		leaves(th);
		CHECK_INT(mq_close(q), 0);
	}
}

static void *
waits_for_mail(void *arg)
{
	char buf[16];

	CHECK_INT(mq_receive(*(mqd_t *)arg, buf, sizeof buf, NULL), 2);
	return NULL;
}

static void
mails_to_all(void *arg)
{
	int i;

	for (i = 0; i < WAITERS; i++)
		CHECK_INT(mq_send(*(mqd_t *)arg, "x", 2, 0), 0);
}

TEST(a_queue_is_waited_for_without_a_kernel_thread)
{
	mqd_t q = a_mqueue(0, 2);

	check_waiting(waits_for_mail, &q, mails_to_all);
	CHECK_INT(mq_close(q), 0);
}
