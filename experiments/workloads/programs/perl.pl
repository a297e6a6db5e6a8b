# Data, text, processes and files.
use strict;
use warnings;
$| = 1;
my %count;
$count{ $_ % 97 } += $_ for 1 .. 50_000;
print scalar(keys %count), " $count{13}\n";
print join(",", map { $_ * $_ } grep { $_ % 3 } 1 .. 12), "\n";
my $text = "the quick brown fox " x 1000;
my $found = () = $text =~ /\b\w*o\w*\b/g;
(my $changed = $text) =~ s/(\w+) (\w+)/$2 $1/g;
print "$found ", length($changed), " ", substr($changed, 0, 15), "\n";
printf "%s\n", unpack("H*", pack("NvC", 1, 2, 3));
my $pid = open(my $from, "-|") // die "fork: $!";
if ($pid == 0) { print "from the child\n"; exit 4 }
print "got: ", <$from>;
close $from;
print "status ", $? >> 8, "\n";
print "output ", `echo one; exit 3`, "status ", $? >> 8, "\n";
for my $number (1 .. 5) { my $child = fork() // die; exit $number if $child == 0; waitpid $child, 0; print $? >> 8, " " }
print "\n";
open(my $file, "+>", "/tmp/perl-test") or die "open: $!";
print $file "line $_\n" for 1 .. 3000;
seek $file, 0, 0;
my @lines = <$file>;
print scalar(@lines), " ", -s "/tmp/perl-test", " $lines[-1]";
close $file;
unlink "/tmp/perl-test";
open(my $nothing, "<", "/no/such") or print "no: ", ($!{ENOENT} ? "ENOENT" : $!), "\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select undef, undef, undef, 10; };
print "eval: $@";
my $big = "x" x 5_000_000;
print length($big), "\n";
print join(" ", sort { $a <=> $b } (10, 9, 100, 1)), "\n";
exec "echo", "the end" or die;
