# Requires every module that Perl itself brings.
use strict;
use warnings;
use Module::CoreList;
my $modules = $Module::CoreList::version{$]} or die "no list for $]\n";
# Of other systems; they refuse to load here.
my $elsewhere = qr/Win32|VMS|OS2|MacOS|Mac::|OS390|DOS|Amiga|AIX|BeOS|Cygwin|NW5|UWIN|QNX|VOS|aix|android|darwin|dec_osf|os2|cygwin|beos|Netware|Epoc|Haiku/;
my (@failed, $count);
for my $name (sort keys %$modules) {
  # Pragmas that want arguments, parts of others, and what Perl brings for its own tests or keeps no file of.
  next if $name =~ $elsewhere || $name =~ /^(?:if|open|sort|unicore::.*|Unicode|Net::FTP::.*|Pod::Perldoc::ToTk|Pod::Functions::.*|XS::.*)\z/;
  next if $name =~ /^(?:Unicode::Collate::Locale|perlfaq|Test2?::|threads|ExtUtils::(?:MakeMaker::version::|XSSymSet))/;
  my $pid = fork // die;
  if (!$pid) { open STDERR, '>', '/tmp/err'; my $done = eval "require $name; 1"; print STDERR $@ unless $done; exit !$done; }
  waitpid $pid, 0;
  $count++;
  if ($?) { open my $err, '<', '/tmp/err'; push @failed, "$name: " . (<$err> // ''); }
}
print "$count modules\n";
die @failed if @failed;
