/** What tasks in gVisor cannot show: the tests of the main job that do not run on `--runtime runsc`, by name, with the reason. docs/security.md lists them. */

export interface GvisorException {
  /** The suite's file, below test/e2e. */
  readonly file: string;
  /** The test's name, as its file has it. */
  readonly test: string;
  readonly reason: string;
}

const FIGURES =
  'reads limits or figures of its cgroup inside, where gVisor shows none of the host’s';
const THREADS = 'counts processes or threads on the host: those of the sandbox count too';
const KERNEL = 'asks what kernel is underneath: it is another one';
const ONE_PROCESS =
  'on the host the task is one sandbox: the kernel ends all of it for want of memory';
const PID_1 =
  'TERM ends a pid 1 without a handler there, and whether it has one cannot be seen from outside';
const TTY = 'a terminal has no name in gVisor, and there is no /dev/tty';
const HOST = 'looks for its processes on the host';
const STARTED = 'runsc looks for the command when it starts the container, not when it creates it';

export const GVISOR_EXCEPTIONS: readonly GvisorException[] = [
  { file: 'run-options', test: '--memory bounds memory and swap together', reason: FIGURES },
  { file: 'run-options', test: '--cpus is a share of the scheduler’s period', reason: FIGURES },
  { file: 'run-options', test: '--pids-limit stops a fork bomb', reason: THREADS },
  {
    file: 'run-verdicts',
    test: 'tells processor time, wall time and the peak of processes',
    reason: THREADS,
  },
  {
    file: 'run-verdicts',
    test: 'reports a failed task whose child passed it',
    reason: ONE_PROCESS,
  },
  {
    file: 'run-verdicts',
    test: 'calls a task that survived it and exits with 0 succeeded',
    reason: ONE_PROCESS,
  },
  { file: 'run-verdicts', test: 'kills at once what %s', reason: PID_1 },
  { file: 'kill', test: 'is killed at once when TERM would be in vain', reason: PID_1 },
  {
    file: 'run-verdicts',
    test: 'reports the kill of a hard limit on cpu time',
    reason: 'gVisor does not enforce RLIMIT_CPU; --cpu-time holds',
  },
  { file: 'run-options', test: '--network host has the host’s interfaces', reason: KERNEL },
  {
    file: 'run-options',
    test: '--read-only leaves only tmpfs and binds writable',
    reason: 'gVisor mounts a tmpfs of its own over an empty /tmp',
  },
  {
    file: 'run-options',
    test: '--security-opt seccomp=FILE takes the place of the profile',
    reason: 'its filters know no errno but EPERM',
  },
  {
    file: 'run-options',
    test: 'a profile that kills makes the task signaled',
    reason: 'its filters know no such action',
  },
  {
    file: 'run-options',
    test: '--security-opt %j gives NoNewPrivs and Seccomp %s',
    reason: KERNEL,
  },
  {
    file: 'run-options',
    test: '--bundle takes another template, where the policy has it',
    reason: KERNEL,
  },
  {
    file: 'run-options',
    test: '--userns auto maps the ids of a slot, --userns host none',
    reason: KERNEL,
  },
  { file: 'run-inputs', test: 'tells of a stop, and of a task that never ran', reason: STARTED },
  { file: 'terminal', test: '-t alone gives the task one of the usual size', reason: TTY },
  { file: 'terminal', test: 'is followed without -i', reason: TTY },
  { file: 'terminal', test: 'come from the user that the task runs as', reason: TTY },
  {
    file: 'terminal',
    test: 'reach the task as they are: Ctrl-C interrupts its foreground process alone',
    reason: HOST,
  },
  { file: 'terminal', test: 'stop and continue jobs of the task with Ctrl-Z', reason: HOST },
  { file: 'run-limits', test: 'has a few message queues, and cannot have more', reason: KERNEL },
  {
    file: 'run-tenants',
    test: 'a task may be called %s',
    reason: 'gVisor makes a cgroup of the task’s name inside, where files of these names are',
  },
  {
    file: 'ps',
    test: 'is listed with what it is and who answers for it',
    reason: 'its pid is that of the sandbox',
  },
];
