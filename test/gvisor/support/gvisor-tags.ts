/**
 * Why a test of test/e2e fails on gVisor: each reason is a tag, and a test that depends on it carries the tag. In the gvisor lane a tagged test
 * must fail; one that passes is reported. docs/security.md lists the tags.
 */
export interface GvisorTag {
  readonly name: `gvisor/${string}`;
  readonly description: string;
}

export const GVISOR_TAGS: readonly GvisorTag[] = [
  {
    name: 'gvisor/cgroup-files',
    description: 'gVisor shows a task none of the host’s limits below /sys/fs/cgroup',
  },
  {
    name: 'gvisor/threads',
    description: 'the threads of the sandbox count as processes of the task',
  },
  {
    name: 'gvisor/one-process',
    description: 'the host sees one process: when memory runs out, the kernel kills the whole task',
  },
  {
    name: 'gvisor/host-pids',
    description: 'the host cannot see single processes of a task, only the sandbox',
  },
  { name: 'gvisor/pid-1', description: 'TERM ends a pid 1 that has no handler for it' },
  {
    name: 'gvisor/own-kernel',
    description:
      'a task uses the sockets, interfaces, devices, ids and queues of gVisor’s kernel, not the host’s',
  },
  {
    name: 'gvisor/terminal-name',
    description: 'a terminal has no name, and /dev/tty cannot be opened',
  },
  { name: 'gvisor/cpu-rlimit', description: 'RLIMIT_CPU is not enforced; --cpu-time is' },
  { name: 'gvisor/tmp', description: 'an empty /tmp is a tmpfs, even under --read-only' },
  {
    name: 'gvisor/seccomp-actions',
    description: 'filters know no errno other than EPERM, and cannot kill a process',
  },
  {
    name: 'gvisor/late-command',
    description: 'runsc looks for the command when the container starts, not when it is created',
  },
  {
    name: 'gvisor/cgroup-names',
    description: 'a task cannot have the name of a file of cgroup v1',
  },
];
