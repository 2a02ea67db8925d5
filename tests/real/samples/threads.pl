# SPDX-License-Identifier: MIT
# threads.pl - Perl's interpreter threads: shared variables, queues,
# semaphores, sockets, children.  The output is the same, whoever runs them.
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;
use Thread::Semaphore;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my $threads = 30;
my $sum : shared = 0;
my @turn : shared;
my $next : shared = 0;

sub joined { my $n = 0; $n += $_->join for @_; $n }

print 'shared ', joined(map { my $i = $_; threads->create(sub {
	for (1 .. 20) { lock $sum; $sum += $i; }
	sleep 0.001;
	# One after the other.
	lock $next;
	cond_wait $next until $next == $i;
	push @turn, $i;
	$next++;
	cond_broadcast $next;
	return $i;
}) } 0 .. $threads - 1), " $sum @turn\n";

my ($work, $done) = (Thread::Queue->new, Thread::Queue->new);
my @workers = map { threads->create(sub {
	my $n = 0;
	while (defined(my $job = $work->dequeue)) {
		$done->enqueue($job * $job);
		$n++;
	}
	return $n;
}) } 1 .. $threads;
$work->enqueue($_) for 1 .. 300;
$work->end;
my $worked = joined @workers;
my $total = 0;
while (defined(my $n = $done->dequeue_nb)) { $total += $n; }
my $late = defined $done->dequeue_timed(0.01);
print "queues $worked $total ", $late ? 1 : 0, "\n";

my $three = Thread::Semaphore->new(3);
my ($inside, $most) : shared = (0, 0);
joined(map { threads->create(sub {
	$three->down;
	{ lock $inside; $inside++; $most = $inside if $inside > $most; }
	sleep 0.001;
	{ lock $inside; $inside--; }
	$three->up;
	return 0;
}) } 1 .. $threads);
print 'semaphores ', $most <= 3 ? 1 : 0, "\n";

my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1')
	or die "listen: $!";
my $port = $listener->sockport;
my $server = threads->create(sub {
	my @serving;
	for (1 .. $threads) {
		my $conn = $listener->accept;
		push @serving, threads->create(sub {
			while (my $line = <$conn>) { print $conn uc $line; }
			close $conn;
			return 1;
		});
		close $conn;
	}
	return joined @serving;
});
close $listener;
my $right = joined map { my $i = $_; threads->create(sub {
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")
		or die "connect: $!";
	my $n = 0;
	for my $k (1 .. 5) {
		print $s "line $k of $i\n";
		$n++ if <$s> eq "LINE $k OF $i\n";
	}
	close $s;
	return $n;
}) } 1 .. $threads;
print "sockets $right ", $server->join, "\n";

print 'children ', joined(map { my $i = $_; threads->create(sub {
	my $out = `echo $i; exit 2`;
	return $out == $i && $? >> 8 == 2 ? 1 : 0;
}) } 1 .. 10), "\n";

my $dies = threads->create({ context => 'list' }, sub { die "as it should\n" });
{ local $SIG{__WARN__} = sub { }; $dies->join; }
print 'died ', $dies->error;
my $up : shared = 0;
my $killed = threads->create(sub {
	local $SIG{KILL} = sub { threads->exit };
	{ lock $up; $up = 1; cond_signal $up; }
	sleep 0.01 while 1;
});
{ lock $up; cond_wait $up until $up; }
$killed->kill('KILL')->join;
print "killed\n";
threads->create(sub { sleep 0.001 })->detach;
sleep 0.05;
print 'left ', scalar(threads->list), "\n";
