/**
 * The guard of a further command in a container: a small Perl program on the host; Perl is in Debian's base system and starts in a millisecond.
 *
 * The guard starts the runtime and, as subreaper, is the command's parent. So it can signal the command without confusing it with another
 * process, and reaps it at once, whatever delays this process: a pid namespace, and with it a task, does not end while a zombie in it has a
 * parent outside that does not wait. When this process dies, in whatever way, the guard kills the command.
 */

/** The guard's descriptors after the command's three. */
const GUARD_FDS = {
  /** For the runtime: the process to start, if the runtime reads it once. */
  process: 3,
  /** The guard reads signals for the command, one byte each. End of file: this process ended, or let go of the command. */
  lifeline: 4,
  /** One line when the runtime has ended: its exit status, and the command's pid or 0. */
  begin: 5,
  /** One line when the command has ended: exit code, signal, and 1 if it ran its program. */
  end: 6,
} as const;

/** The descriptor from which the runtime reads the process to start. */
export const PROCESS_FD = GUARD_FDS.process;

/** Numbers of prctl(2) and waitid(2), which differ between architectures; pidfd_open(2) is 434 on both. */
const CALLS: Readonly<Record<string, readonly [prctl: number, waitid: number]>> = {
  x64: [157, 247],
  arm64: [167, 95],
};
const [PRCTL, WAITID] = CALLS[process.arch] ?? [0, 0];

/** Arguments: the pid file; a sandbox's pid file, `--root` and container id, all empty without a sandbox; the runtime's command line. */
export const EXEC_GUARD = `
my ($file, $inner, $root, $id) = splice @ARGV, 0, 4;
$0 = 'stackshim-guard';
open(my $lifeline, '<&=', ${GUARD_FDS.lifeline});
open(my $begin, '>&=', ${GUARD_FDS.begin});
open(my $end, '>&=', ${GUARD_FDS.end});
# F_SETFD, FD_CLOEXEC
fcntl($_, 2, 1) for $lifeline, $begin, $end;
open(my $process, '<&=', ${GUARD_FDS.process});
fcntl($process, 2, 0);
# PR_SET_CHILD_SUBREAPER
syscall(${PRCTL}, 36, 1, 0, 0, 0) == 0 or exit 1;
my $command = 0;

sub read_number {
  open(my $from, '<', shift) or return 0;
  return <$from> =~ /^(\\d{1,10})$/ ? $1 + 0 : 0;
}

# Waits for the end of a child. False: stackshim has died, or gives the child up.
sub wait_for {
  my $pidfd = syscall(434, shift() + 0, 0);
  # Without a descriptor, the caller waits for the child alone.
  return 1 if $pidfd < 0;
  my $wanted = '';
  vec($wanted, $_, 1) = 1 for ${GUARD_FDS.lifeline}, $pidfd;
  for (;;) {
    next if select(my $ready = $wanted, undef, undef, undef) < 0;
    return 1 if vec($ready, $pidfd, 1);
    sysread($lifeline, my $signals, 64) or return 0;
    next unless $command;
    kill($_, -$command) or kill($_, $command) for unpack 'C*', $signals;
  }
}

# Kills everything that was started so far: orphans become children of this process.
sub kill_all {
  for (1 .. 50) {
    open(my $from, '<', "/proc/self/task/$$/children") or return;
    my @children = split ' ', <$from> // '' or return;
    kill 'KILL', @children;
    select undef, undef, undef, 0.02;
    1 while waitpid(-1, 1) > 0;
  }
}

my $runtime = fork // exit 1;
if ($runtime == 0) {
  exec { $ARGV[0] } @ARGV;
  exit 127;
}
close($process);
$SIG{$_} = 'IGNORE' for qw(PIPE HUP INT TERM);
open(STDIN, '<', '/dev/null');
open(STDOUT, '>', '/dev/null');
open(STDERR, '>', '/dev/null');
if (!wait_for($runtime)) {
  kill_all();
  exit;
}
waitpid($runtime, 0);
my $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
$command = read_number($file) if $status == 0;
# P_PID, WEXITED | WNOHANG | WNOWAIT: fails for a process that is not a child.
my $info = "\\0" x 128;
$command = 0 if $command && syscall(${WAITID}, 1, $command, $info, 0x1000005, 0) != 0;
syswrite($begin, "$status $command\\n");
close($begin);
$command or exit;
if (!wait_for($command)) {
  system { $ARGV[0] } $ARGV[0], '--root', $root, 'kill', '-pid', read_number($inner), $id, 'KILL' if $inner ne '';
  kill 'KILL', -$command;
  kill 'KILL', $command;
  waitpid($command, 0);
  exit;
}
open(my $from, '<', "/proc/$command/stat");
local $/;
my ($flags) = <$from> =~ /.*\\) (?:\\S+ ){6}(\\d+)/s;
waitpid($command, 0);
# PF_FORKNOEXEC
my $ran = $flags & 0x40 ? 0 : 1;
syswrite($end, join(' ', $? >> 8, $? & 127, $ran) . "\\n");
`;
