# Uses Perl's core modules, XS modules, TLS, time zones and the payload; prints one line of JSON.
use v5.36;
use open qw(:std :encoding(UTF-8));
use Encode qw(decode);
use HTTP::Tiny;
use IO::Socket::SSL;
use JSON::XS;
use List::Util qw(sum);
use POSIX qw(strftime tzset);

open my $file, '<', $ENV{PAYLOAD_FILE} or die $!;
chomp(my ($text, $line) = <$file>);
my @numbers = sort { $a <=> $b } map { $_ + 0 } split ' ', $line;

sub fetch (%options) {
    return HTTP::Tiny->new(verify_SSL => 1, timeout => 10, SSL_options => \%options)->get($ENV{TEST_URL});
}
my $refusal = fetch(SSL_ca_file => '/etc/ssl/certs/ca-certificates.crt');
$ENV{TZ} = 'America/New_York';
tzset();

say decode('UTF-8', encode_json({
    version => sprintf('%vd', $^V),
    text => $text,
    length => length $text,
    sorted => \@numbers,
    sum => sum(@numbers),
    native => decode_json('{"n": 42}')->{n},
    tls => fetch(SSL_ca_file => $ENV{TEST_CA})->{content},
    refused => $refusal->{status} == 599 && $refusal->{content} =~ /certificate verify failed/ ? JSON::XS::true : JSON::XS::false,
    time => strftime('%Y-%m-%d %H:%M', localtime 1719835200),
}));
