#!/usr/bin/perl
# Load that forgives nothing: load.pl PORT|unix:PATH CONNECTIONS SECONDS|xREQUESTS BODY-FILE. Each connection sends one request after the other, obeys
# Connection: close, and counts every answer by status and revision; a reset, a short answer or a silent close is a failure, never retried.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time);
my ($where, $connections, $how_long, $file) = @ARGV;
open(my $in, '<', $file) or die "$file: $!";
my @bodies = <$in>;
chomp @bodies;
my $address = $where =~ /^unix:(.*)/ ? pack_sockaddr_un($1) : sockaddr_in($where, INADDR_LOOPBACK);
my $family = $where =~ /^unix:/ ? PF_UNIX : PF_INET;
my $requests = $how_long =~ /^x(\d+)/ ? $1 / $connections : 0;
my $end = time() + ($requests ? 3600 : $how_long);
$SIG{PIPE} = 'IGNORE';

sub one_connection {
	my ($number) = @_;
	my (%count, $socket);
	for (my $n = 0; time() < $end && (!$requests || $n < $requests); $n++) {
		if (!$socket) {
			socket($socket, $family, SOCK_STREAM, 0) or die;
			if (!connect($socket, $address)) { $count{"failed connect $!"}++; undef $socket; next; }
		}
		my $body = $bodies[($n + $number * 7) % @bodies];
		my $request = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		my $answer = '';
		if ((syswrite($socket, $request) // -1) != length $request) { $count{"failed write $!"}++; undef $socket; next; }
		my $total;
		while (!defined $total || length $answer < $total) {
			my $got = sysread($socket, $answer, 65536, length $answer);
			last if !$got;
			if (!defined $total && $answer =~ /\r\n\r\n/) {
				my $head = $+[0];
				$total = $head + ($answer =~ /\r\nContent-Length: (\d+)/i ? $1 : 0);
			}
		}
		if (!defined $total || length $answer != $total) { $count{"failed answer of " . length($answer) . " bytes"}++; undef $socket; next; }
		my ($status) = $answer =~ /^HTTP\/1\.1 (\d+)/;
		my ($revision) = $answer =~ /\r\nMlctl-Revision: (\S+)/;
		$count{"status $status"}++;
		$count{"revision $revision"}++ if $revision;
		undef $socket if $answer =~ /\r\nConnection: close\r\n/;
	}
	return %count;
}

my @pipes;
for my $number (1 .. $connections) {
	pipe(my $read, my $write) or die;
	my $pid = fork() // die;
	if (!$pid) {
		close $read;
		my %count = one_connection($number);
		syswrite($write, join('', map { "$count{$_} $_\n" } keys %count));
		exit 0;
	}
	close $write;
	push @pipes, $read;
}
my %sum;
for my $read (@pipes) {
	while (<$read>) { $sum{$2} += $1 if /^(\d+) (.*)/ }
}
1 while wait() > 0;
print "$_: $sum{$_}\n" for sort keys %sum;
