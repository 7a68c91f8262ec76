# Java's key store of certificate authorities contains the date on which each was added, so builds on different days would differ.
# This script rewrites it with one date, sorted by name. Its format is that of sun.security.provider.JavaKeyStore, version 2.
use strict;
use warnings;

my $path = '/etc/ssl/certs/java/cacerts';
my $password = 'changeit';
my $date = pack 'Q>', 0;

open my $file, '<:raw', $path or die "$path: $!";
my $store = do { local $/; <$file> };
close $file;
my ($magic, $version, $count) = unpack 'N3', $store;
die "$path: not a key store of version 2" unless $magic == 0xfeedfeed && $version == 2;

my %entries;
my $at = 12;
for (1 .. $count) {
    my ($tag, $alias) = unpack "\@$at N n/a", $store;
    die "$path: an entry that is no certificate" unless $tag == 2;
    my $certificate = $at + 6 + length($alias) + 8;
    my ($kind, $content) = unpack "\@$certificate n/a N/a", $store;
    $at = $certificate + 2 + length($kind) + 4 + length $content;
    $entries{$alias} = pack 'N n/a a* n/a N/a', $tag, $alias, $date, $kind, $content;
}
die "$path: " . (length($store) - $at) . ' bytes after the last entry' unless length($store) == $at + 20;

my $body = pack('N3', $magic, $version, scalar keys %entries) . join '', map { $entries{$_} } sort keys %entries;
my $salted = join('', map { "\0$_" } split //, $password) . 'Mighty Aphrodite' . $body;
open my $new, '>:raw', "$path.new" or die "$path.new: $!";
print $new $salted;
close $new or die "$path.new: $!";
my ($digest) = qx(sha1sum $path.new) =~ /^([0-9a-f]{40}) / or die 'no digest';
open $new, '>:raw', $path or die "$path: $!";
print $new $body, pack 'H40', $digest;
close $new or die "$path: $!";
unlink "$path.new" or die "$path.new: $!";
