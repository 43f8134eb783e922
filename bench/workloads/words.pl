# Hashes, formats and regular expressions.
use strict;
use warnings;

my (%seen, $matches, $length);
for my $i (1 .. 150_000) {
  my $word = sprintf("key%d", $i * 7919 % 5003);
  $seen{$word}++;
  $matches++ if $word =~ /^key(\d)\d*7$/;
  $word =~ s/(\d+)/<$1>/g;
  $length += length $word;
}
my @most = (sort { $seen{$b} <=> $seen{$a} || $a cmp $b } keys %seen)[0 .. 2];
print scalar(keys %seen), " $matches $length @most\n";
